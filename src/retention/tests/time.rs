//! What a clock that is set means to what was dated by it, and what is looked after every minute.

use std::sync::Arc;
use std::time::Duration;

use super::house::House;
use crate::clock::Clock as _;
use crate::domain::*;
use crate::retention::time::Timekeeper;
use crate::retention::{KeeperOptions, Policy, sweep};
use crate::store::*;
use crate::vault::{PartNo, TrackName, VoiceCopy};

fn call(sid: &CallSid, at: UnixMillis) -> NewCall {
    NewCall {
        call_sid: sid.clone(),
        parent_call_sid: None,
        direction: Direction::Inbound,
        origin: Origin::Number,
        from_number: String::new(),
        to_number: String::new(),
        call_status: "completed".to_owned(),
        at,
        boot: None,
        clock_synced: true,
        live_copy: true,
    }
}

fn at(ms: i64) -> UnixMillis {
    UnixMillis::new(1_790_000_000_000 + ms)
}

fn timekeeper(options: &KeeperOptions) -> Timekeeper {
    Timekeeper::new(options.store.clone(), Arc::clone(&options.clock))
}

const YEAR_MS: i64 = 365 * 24 * 60 * 60 * 1000;
const HOUR_MS: i64 = 60 * 60 * 1000;

#[tokio::test]
async fn two_jumps_and_a_restart_later_every_call_of_this_boot_is_put_right() {
    // Five years ahead, and nobody knows.
    let house = House::new(Policy::default());
    let (options, manual) = (&house.options, Arc::clone(&house.clock));
    manual.jump_to(at(5 * YEAR_MS), false);
    let announce = async |n: u128| {
        let sid: CallSid = format!("CA{n:032x}").parse().unwrap();
        let now = manual.reading();
        let new = NewCall {
            call_status: "in-progress".to_owned(),
            boot: Some(now.boot),
            clock_synced: now.synchronised,
            ..call(&sid, now.at)
        };
        options.store.announce_call(new, None).await.unwrap();
        sid
    };
    let row = async |sid: &CallSid| options.store.call(sid).await.unwrap().unwrap().call;
    let first = announce(1).await;
    let mut keeper = timekeeper(options);
    keeper.look().await;
    // Something is due, by that clock.
    let id = row(&first).await.id;
    let finish = Finish {
        call: id,
        tracks: vec![track()],
        gaps: vec![],
        reason: EndReason::Completed,
        ended_at: manual.now(),
        ended_boot: Some(manual.boot()),
        at: manual.now(),
        trouble: None,
    };
    options.store.finish_call(finish).await.unwrap();

    // Set by hand to six hours ago: nearer, and still nobody knows.
    manual.jump_to(at(-6 * HOUR_MS), false);
    keeper.look().await;
    let due = options.store.claim(Stage::Transcript, manual.now()).await.unwrap();
    assert!(due.is_some(), "a clock that was ahead holds nothing up");
    let second = announce(2).await;
    assert!(!row(&first).await.clock_synced && !row(&second).await.clock_synced);
    manual.advance(Duration::from_mins(1));
    sweep(options).await.unwrap();
    assert!(row(&second).await.is_live(), "nobody ends a call because a clock moved");

    // The program starts anew, and then the clock is set right: a minute has passed.
    let mut keeper = timekeeper(options);
    keeper.look().await;
    let third = announce(3).await;
    manual.jump_to(at(60_000), true);
    keeper.look().await;
    for (sid, ms) in [(&first, 0), (&second, 0), (&third, 60_000)] {
        let row = row(sid).await;
        assert_eq!((row.created_at, row.clock_synced), (at(ms), true), "{sid}");
    }
    assert_eq!(row(&first).await.ended_at, Some(at(0)));
    // Whatever the clock does then is no reason to touch them again.
    manual.jump_to(at(10 * YEAR_MS), true);
    keeper.look().await;
    assert_eq!(row(&first).await.created_at, at(0));
}

#[tokio::test]
async fn calls_of_an_earlier_boot_stay_as_they_are() {
    let house = House::new(Policy::default());
    let (options, manual) = (&house.options, Arc::clone(&house.clock));
    manual.jump_to(at(-YEAR_MS), false);
    let sid: CallSid = format!("CA{:032x}", 1).parse().unwrap();
    let boot = Some(manual.boot());
    let new = NewCall { boot, clock_synced: false, ..call(&sid, manual.now()) };
    options.store.announce_call(new, None).await.unwrap();
    manual.reboot();
    manual.jump_to(at(0), true);
    timekeeper(options).look().await;
    let row = options.store.call(&sid).await.unwrap().unwrap().call;
    assert_eq!((row.created_at, row.clock_synced), (at(-YEAR_MS), false));
}

fn track() -> NewTrack {
    NewTrack {
        party: Party::Agent,
        source: TrackSource::Stream,
        rate: RateHz::Hz8000,
        part_no: 1,
        path: "recordings/x".to_owned(),
        origin: Some(Samples8k::ZERO),
        lead: Samples8k::ZERO,
        samples: 8000,
        size_bytes: 16_044,
        salvaged: false,
    }
}

#[tokio::test]
async fn a_sweep_hashes_what_is_kept_and_deletes_what_was_given_up() {
    let house = House::new(Policy::default());
    let House { store, vault, clock: manual, options, .. } = &house;
    let sid: CallSid = format!("CA{:032x}", 1).parse().unwrap();
    let now = manual.now();
    let place = vault.folder(&sid, now).unwrap();
    let tracks: Vec<_> = [RateHz::Hz8000, RateHz::Hz16000]
        .into_iter()
        .map(|rate| {
            let name = TrackName {
                part_no: PartNo::FIRST,
                party: Party::Agent,
                copy: VoiceCopy::First,
                rate,
            };
            let mut track = vault.open_track(&place, name).unwrap();
            track.append(&[1, 2, 3]).unwrap();
            track.seal().unwrap()
        })
        .collect();
    let id = store.announce_call(call(&sid, now), None).await.unwrap();
    let rows = tracks.iter().map(|sealed| NewTrack {
        party: sealed.party(),
        source: TrackSource::Stream,
        rate: sealed.rate(),
        part_no: 1,
        path: sealed.path().as_str().to_owned(),
        origin: Some(Samples8k::ZERO),
        lead: crate::domain::Samples8k::ZERO,
        samples: sealed.samples(),
        size_bytes: sealed.bytes(),
        salvaged: false,
    });
    let finish = Finish {
        call: id,
        tracks: rows.collect(),
        gaps: vec![],
        reason: EndReason::Completed,
        ended_at: now,
        ended_boot: None,
        at: now,
        trouble: None,
    };
    store.finish_call(finish).await.unwrap();
    let claim = store.claim(Stage::Transcript, now).await.unwrap().unwrap();
    let transcript = TranscriptRow {
        source: TrackSource::Stream,
        language: "en".to_owned(),
        model: "m".to_owned(),
        dropped: 0,
        segments: vec![],
    };
    let wide = tracks[1].path();
    let spent = vec![wide.as_str().to_owned()];
    let done = Settlement::Done(Output::Transcript { transcript, spent });
    store.settle(claim, done, now).await.unwrap();
    assert!(vault.absolute(wide).exists(), "the row goes before the file");

    sweep(options).await.unwrap();
    sweep(options).await.unwrap();
    assert!(!vault.absolute(wide).exists() && vault.absolute(tracks[0].path()).exists());
    let detail = store.call(&sid).await.unwrap().unwrap();
    let hash = vault.hash(tracks[0].path()).unwrap();
    assert_eq!(detail.tracks[0].sha256.as_deref(), Some(hash.as_str()));
    assert!(store.garbage().await.unwrap().is_empty());
}
