//! A clock that was wrong when calls were written down, and what becomes of their times.

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A box whose wall clock is `wrong_ms` ahead (or behind) until it is synchronised.
#[derive(Clone, Copy)]
struct Machine {
    boot_id: &'static str,
    wrong_ms: i64,
    synchronised: bool,
}

impl Machine {
    fn new(boot_id: &'static str, wrong_ms: i64) -> Self {
        Self { boot_id, wrong_ms, synchronised: false }
    }

    /// What its clocks show when it is `ms` in truth.
    fn at(self, ms: i64) -> Reading {
        let boot_id = Some(self.boot_id.to_owned());
        let boot = BootMoment { boot_id, ..reading(ms).boot };
        Reading { at: at(ms + self.wrong_ms), boot, synchronised: self.synchronised }
    }

    /// A call as it is told of at `ms`.
    fn call(self, n: u8, ms: i64) -> NewCall {
        let now = self.at(ms);
        let (at, boot) = (now.at, Some(now.boot));
        NewCall { at, boot, clock_synced: now.synchronised, ..call(n, "in-progress", 0) }
    }
}

impl Ledger {
    /// Hears a call from its announcement at `ms` to its end a minute later; the machine may be
    /// another from its beginning, its sound and its end on.
    async fn hears(&self, n: u8, ms: i64, [first, then, last]: [Machine; 3]) {
        let id = self.store.announce_call(first.call(n, ms), None).await.unwrap();
        let now = then.at(ms + 500);
        self.store.sound_began(id, (now.at, now.boot), format!("recordings/{n}")).unwrap();
        let end = last.at(ms + 60_500);
        let ended = Finish { ended_at: end.at, ended_boot: Some(end.boot), ..finish(id, 480_000) };
        self.store.finish_call(ended).await.unwrap();
    }

    /// A call's times by the true clock, in ms.
    async fn times(&self, n: u8) -> (i64, i64, i64, bool) {
        let row = self.row(n).await;
        let ms = |moment: UnixMillis| moment.get() - at(0).get();
        let ended = row.ended_at.map(ms).unwrap();
        (ms(row.created_at), row.started_at.map(ms).unwrap(), ended, row.clock_synced)
    }
}

async fn audited(ledger: &Ledger) -> Vec<String> {
    let read = |db: &rusqlite::Connection| {
        let mut rows = db.prepare(
            "select call_sid || ' ' || detail from audit where action = 'put-times-right' order by id",
        )?;
        let rows = rows.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
        Ok(rows)
    };
    ledger.store.read(read).await.unwrap()
}

#[tokio::test]
async fn calls_of_this_boot_are_put_right_once_however_wrong_the_clock_was() {
    for wrong_ms in [-20_000 * DAY_MS, -3 * 60 * 60 * 1000, 400, 5 * 365 * DAY_MS] {
        let ledger = ledger();
        let wrong = Machine::new("boot", wrong_ms);
        ledger.hears(1, 0, [wrong; 3]).await;
        let before = ledger.row(1).await;
        assert_eq!(before.duration, Some((60, DurationSource::Timestamps)));
        let unsure = ledger.store.put_times_right(wrong.at(70_000)).await.unwrap();
        assert!(unsure.is_empty() && !ledger.row(1).await.clock_synced, "not before it is right");

        let right = Machine { wrong_ms: 0, synchronised: true, ..wrong };
        ledger.hears(2, 80_000, [right; 3]).await;
        let moved = ledger.store.put_times_right(right.at(150_000)).await.unwrap();
        assert_eq!(moved, [PutRight { call_sid: sid(1), by_ms: -wrong_ms }]);
        assert_eq!(ledger.times(1).await, (0, 500, 60_500, true));
        assert_eq!(ledger.times(2).await, (80_000, 80_500, 140_500, true));
        let after = ledger.row(1).await;
        assert_eq!((&after.folder, after.duration), (&before.folder, before.duration));

        let again = Machine { wrong_ms: 700_000, ..right };
        assert!(ledger.store.put_times_right(again.at(160_000)).await.unwrap().is_empty());
        assert_eq!(ledger.times(1).await, (0, 500, 60_500, true));
        assert_eq!(
            audited(&ledger).await,
            [format!("{} moved {} ms, by our own clock", sid(1), -wrong_ms)]
        );
    }
}

#[tokio::test]
async fn a_clock_that_moves_in_the_middle_of_a_call_leaves_its_times_as_far_apart_as_they_were() {
    let behind = Machine::new("boot", -20_000 * DAY_MS);
    let ahead = Machine::new("boot", 2 * 60 * 60 * 1000);
    let right = Machine { wrong_ms: 0, synchronised: true, ..behind };
    for machines in [
        [behind, right, right],
        [behind, behind, right],
        [ahead, behind, right],
        [ahead, ahead, behind],
        [behind, ahead, right],
    ] {
        let ledger = ledger();
        ledger.hears(1, 0, machines).await;
        assert_eq!(ledger.row(1).await.duration, Some((60, DurationSource::Timestamps)));
        ledger.store.put_times_right(right.at(70_000)).await.unwrap();
        assert_eq!(ledger.times(1).await, (0, 500, 60_500, true));
    }
    // Right at the beginning, and set wrongly by hand afterwards.
    let ledger = ledger();
    ledger.hears(1, 0, [right, ahead, behind]).await;
    assert_eq!(ledger.times(1).await, (0, 500, 60_500, true));
}

#[tokio::test]
async fn put_right_in_the_middle_of_a_call_what_comes_after_is_right_too() {
    let ledger = ledger();
    let wrong = Machine::new("boot", -20_000 * DAY_MS);
    let right = Machine { wrong_ms: 0, synchronised: true, ..wrong };
    let id = ledger.store.announce_call(wrong.call(1, 0), None).await.unwrap();
    let began = wrong.at(500);
    ledger.store.put_times_right(right.at(1000)).await.unwrap();
    // Taken before, and told after.
    ledger.store.sound_began(id, (began.at, began.boot), "recordings/1".to_owned()).unwrap();
    let end = right.at(60_500);
    let ended = Finish { ended_at: end.at, ended_boot: Some(end.boot), ..finish(id, 480_000) };
    ledger.store.finish_call(ended).await.unwrap();
    assert_eq!(ledger.times(1).await, (0, 500, 60_500, true));
}

#[tokio::test]
async fn calls_of_an_earlier_boot_stay_marked_until_twilio_tells_their_times() {
    let ledger = ledger();
    let earlier = Machine::new("the boot before", -20_000 * DAY_MS);
    ledger.hears(1, 0, [earlier; 3]).await;
    ledger.hears(2, 100_000, [earlier; 3]).await;
    let now = Machine { synchronised: true, ..Machine::new("boot", 0) };
    assert!(ledger.store.put_times_right(now.at(200_000)).await.unwrap().is_empty());
    assert_eq!(ledger.store.calls_unsure(now.at(0).boot).await.unwrap(), 2);

    // Twilio's list, in whole seconds, and what it says of the end is known here already.
    for _ in 0..2 {
        let by_twilio = StatusUpdate {
            call: NewCall { at: at(-1000), boot: None, ..call(1, "completed", 0) },
            end: Some(EndReason::Completed),
            ended_at: Some(at(60_000)),
            duration_s: Some(61),
            now: at(300_000),
        };
        ledger.store.call_status(by_twilio).await.unwrap();
        assert_eq!(ledger.times(1).await, (-1000, -500, 59_500, true));
    }
    assert!(
        !ledger.times(2).await.3 && ledger.store.calls_unsure(now.at(0).boot).await.unwrap() == 1
    );
    assert_eq!(audited(&ledger).await.len(), 1);

    // Our own callbacks tell our own time, and put nothing right.
    let told = StatusUpdate { call: now.call(2, 400_000), ..status(2, "completed", None, None) };
    ledger.store.call_status(told).await.unwrap();
    assert!(!ledger.times(2).await.3);
}

#[tokio::test]
async fn a_difference_that_twilios_seconds_cannot_tell_moves_nothing() {
    let ledger = ledger();
    let unsure = Machine::new("the boot before", 300);
    ledger.hears(1, 0, [unsure; 3]).await;
    let by_twilio = StatusUpdate {
        call: NewCall { at: at(-1000), boot: None, ..call(1, "completed", 0) },
        ..status(1, "completed", None, None)
    };
    ledger.store.call_status(by_twilio).await.unwrap();
    assert_eq!(ledger.times(1).await, (300, 800, 60_800, true));
}

#[tokio::test]
async fn no_token_grows_old_and_no_call_is_given_up_because_a_clock_moved() {
    let ledger = ledger();
    let store = &ledger.store;
    let behind = Machine::new("boot", -20_000 * DAY_MS);
    let right = Machine { wrong_ms: 0, synchronised: true, ..behind };
    for (n, first, then) in [(1, behind, right), (2, right, behind), (3, behind, behind)] {
        let token = format!("token-{n}");
        store.announce_call(first.call(n, 0), Some(token.clone())).await.unwrap();
        store.announce_call(first.call(n, 0), Some(format!("{token}-late"))).await.unwrap();
        let spend = |token: String, ms| store.spend_token(token, sid(n), then.at(ms));
        assert!(matches!(spend(token.clone(), 2000).await.unwrap(), TokenVerdict::Good(_)), "{n}");
        let late = spend(format!("{token}-late"), 600_001).await.unwrap();
        assert_eq!(late, TokenVerdict::Expired, "{n}");
        // After a restart of the box only two right clocks can tell.
        store.announce_call(first.call(n, 0), Some(format!("{token}-boot"))).await.unwrap();
        let rebooted = Machine { boot_id: "boot after", ..then };
        let good = store.spend_token(format!("{token}-boot"), sid(n), rebooted.at(9_000_000));
        assert!(matches!(good.await.unwrap(), TokenVerdict::Good(_)), "{n}");
    }
    let age = Duration::from_hours(4);
    let hours = |hours: i64| hours * 60 * 60 * 1000;
    assert_eq!(store.end_stale_calls(age, right.at(hours(3))).await.unwrap(), 0);
    assert_eq!(store.end_stale_calls(age, behind.at(hours(3))).await.unwrap(), 0);
    let rebooted = Machine { boot_id: "boot after", ..behind };
    assert_eq!(store.end_stale_calls(age, rebooted.at(hours(99))).await.unwrap(), 0);
    assert_eq!(store.end_stale_calls(age, behind.at(hours(5))).await.unwrap(), 3);
}

#[tokio::test]
async fn that_nobody_recorded_a_call_is_not_said_because_a_clock_moved() {
    let ledger = ledger();
    let behind = Machine::new("boot", -20_000 * DAY_MS);
    let right = Machine { wrong_ms: 0, synchronised: true, ..behind };
    let ended = StatusUpdate {
        call: behind.call(1, 0),
        ..status(1, "completed", Some(EndReason::Completed), None)
    };
    ledger.store.call_status(ended).await.unwrap();
    let within = Duration::from_mins(15);
    let settle = |machine: Machine, ms| ledger.store.settle_unheard(within, machine.at(ms));
    assert_eq!(settle(right, 60_000).await.unwrap(), 0);
    assert_eq!(settle(behind, 60_000).await.unwrap(), 0);
    assert_eq!(settle(behind, 16 * 60_000).await.unwrap(), 1);
}

#[tokio::test]
async fn an_outage_lasts_as_long_as_it_lasted_and_is_put_right_with_the_calls() {
    let behind = Machine::new("boot", -20_000 * DAY_MS);
    let right = Machine { wrong_ms: 0, synchronised: true, ..behind };
    for up in [behind, right] {
        let ledger = ledger();
        let store = &ledger.store;
        store.link_down(behind.at(0), "no route".to_owned()).await.unwrap();
        let outage = store.link_up(up.at(90_000)).await.unwrap().unwrap();
        assert_eq!(outage.to.unwrap().since(outage.from), Duration::from_secs(90));
        store.put_times_right(right.at(100_000)).await.unwrap();
        let outage = store.outages(1).await.unwrap().remove(0);
        assert_eq!((outage.from, outage.to), (at(0), Some(at(90_000))));
    }
    // It began before a restart of the box: when, nobody knows.
    let ledger = ledger();
    let earlier = Machine { boot_id: "the boot before", ..behind };
    ledger.store.link_down(earlier.at(0), "no route".to_owned()).await.unwrap();
    ledger.store.link_up(right.at(90_000)).await.unwrap().unwrap();
    assert!(ledger.store.put_times_right(right.at(100_000)).await.unwrap().is_empty());
    assert_eq!(ledger.store.outages(1).await.unwrap().remove(0).to, Some(at(90_000)));
}

#[tokio::test]
async fn a_stream_that_returns_is_placed_by_the_clock_that_never_jumps() {
    let behind = Machine::new("boot", -20_000 * DAY_MS);
    let right = Machine { wrong_ms: 0, synchronised: true, ..behind };
    let rebooted = Machine { boot_id: "boot after", ..right };
    for (again, since_ms) in [(behind, 199_500), (right, 199_500), (rebooted, 60_000)] {
        let ledger = ledger();
        ledger.hears(1, 0, [behind; 3]).await;
        let returning = again.at(200_000);
        let stream = NewStream { call: again.call(1, 200_000), boot: returning.boot, ..stream(9) };
        let place = ledger.store.stream_started(stream).await.unwrap();
        assert_eq!(place.sound_since, Some(Duration::from_millis(since_ms)));
    }
}

#[tokio::test]
async fn a_number_is_listed_by_when_it_really_called() {
    let ledger = ledger();
    let wrong = Machine::new("boot", -DAY_MS);
    ledger.hears(1, 0, [wrong; 3]).await;
    let right = Machine { wrong_ms: 0, synchronised: true, ..wrong };
    ledger.hears(2, 80_000, [right; 3]).await;
    let times = async || {
        let page = ledger.store.numbers(None, None, 10).await.unwrap();
        page.numbers.iter().map(|row| (row.first_at, row.last_at)).collect::<Vec<_>>()
    };
    assert_eq!(times().await, [(at(-DAY_MS), at(80_000))]);
    ledger.store.put_times_right(right.at(150_000)).await.unwrap();
    assert_eq!(times().await, [(at(0), at(80_000))]);
}
