//! The order of what goes, as tables, as properties, and through ten thousand random histories.

use std::collections::HashSet;

use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom as _, IndexedRandom as _};
use rand::{Rng as _, SeedableRng as _};

use super::*;
use crate::domain::{CallSid, Party, TrackSource};
use crate::retention::OnlyCopies;
use crate::store::{Archived, Piece};

const HISTORIES: u64 = 10_000;
const DAY: Duration = Duration::from_hours(24);
const NOW: UnixMillis = UnixMillis::new(1_790_000_000_000);

pub(in crate::retention) fn call_sid(n: u64) -> CallSid {
    format!("CA{n:032x}").parse().unwrap()
}

fn piece(kind: PieceKind, party: Option<Party>) -> Piece {
    let source = match kind {
        PieceKind::Channel | PieceKind::Copy => Some(TrackSource::Cloud),
        PieceKind::Words => None,
        PieceKind::Wide | PieceKind::Narrow => Some(TrackSource::Stream),
    };
    let who = party.map_or("both", Party::as_str);
    Piece {
        kind,
        name: format!("{who}-{kind}"),
        size_bytes: match kind {
            PieceKind::Wide | PieceKind::Copy => 20,
            PieceKind::Narrow | PieceKind::Channel => 10,
            PieceKind::Words => 0,
        },
        sha256: Some(format!("{who}-{kind}")),
        party,
        source,
        part_no: 1,
        archived: None,
        at_twilio: None,
    }
}

fn archived(piece: &Piece) -> Option<Archived> {
    Some(Archived {
        key: piece.name.clone(),
        size_bytes: piece.size_bytes,
        sha256: piece.sha256.clone()?,
        etag: None,
    })
}

/// A call with everything: both parties at both rates, Twilio's copy and its channels, words.
fn whole(n: u64, age: Duration) -> Keepsake {
    let began_at = NOW.minus(age);
    let mut pieces = vec![piece(PieceKind::Copy, None)];
    pieces[0].at_twilio = format!("RE{n:032x}").parse().ok();
    for party in Party::ALL {
        for kind in [PieceKind::Narrow, PieceKind::Wide, PieceKind::Channel] {
            pieces.push(piece(kind, Some(*party)));
        }
    }
    pieces.push(piece(PieceKind::Words, None));
    for piece in &mut pieces {
        piece.name = format!("{n}/{}", piece.name);
    }
    Keepsake {
        call: CallId::for_test(n),
        call_sid: call_sid(n),
        began_at,
        ended_at: Some(began_at),
        dated: true,
        sealed: true,
        hold: false,
        erasing: false,
        under_way: false,
        undone: None,
        deleting: false,
        pieces,
    }
}

fn in_archive(mut kept: Keepsake) -> Keepsake {
    for piece in &mut kept.pieces {
        piece.archived = archived(piece);
    }
    kept
}

fn room(bytes: u64) -> Room {
    Room { bytes, gently: false }
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.steps.iter().map(|step| step.name.as_str()).collect()
}

#[test]
fn what_is_made_again_goes_first_then_what_the_archive_has_then_what_twilio_has() {
    let kept = [whole(1, 3 * DAY), in_archive(whole(2, 2 * DAY)), whole(3, DAY)];
    let plan = plan(&kept, &Policy::default(), NOW, room(u64::MAX));
    let of = |n: u64, kinds: &[&str]| -> Vec<String> {
        kinds.iter().map(|kind| format!("{n}/{kind}")).collect()
    };
    let made_again =
        ["agent-16khz", "technician-16khz", "agent-cloud_channel", "technician-cloud_channel"];
    let expected: Vec<String> = [
        of(1, &made_again),
        of(2, &made_again),
        of(3, &made_again),
        of(2, &["both-cloud_copy", "agent-8khz", "technician-8khz"]),
        of(1, &["both-cloud_copy"]),
        of(3, &["both-cloud_copy"]),
    ]
    .concat();
    assert_eq!(names(&plan), expected);
    let back: Vec<_> = plan.stays.iter().map(|stays| (stays.name.as_str(), stays.back)).collect();
    let only = |name| (name, Back::OnlyCopy);
    assert_eq!(
        back,
        [
            only("1/agent-8khz"),
            only("1/technician-8khz"),
            only("3/agent-8khz"),
            only("3/technician-8khz")
        ]
    );
}

#[test]
fn no_more_goes_than_is_wanted_and_gently_only_what_is_made_again() {
    let kept = [in_archive(whole(1, 2 * DAY)), in_archive(whole(2, DAY))];
    let plan_for = |room| plan(&kept, &Policy::default(), NOW, room);
    assert_eq!(names(&plan_for(room(0))), [""; 0]);
    assert_eq!(names(&plan_for(room(21))), ["1/agent-16khz", "1/technician-16khz"]);
    let gently = plan_for(Room { bytes: u64::MAX, gently: true });
    assert_eq!(gently.freed_bytes(), 120);
    assert!(gently.steps.iter().all(|step| matches!(step.rests_on, RestsOn::Here(_))));
    assert!(gently.stays.is_empty(), "nobody asked for more");
}

#[test]
fn a_call_that_is_held_live_or_worked_on_keeps_everything() {
    type Change = fn(&mut Keepsake);
    let bars: [(Change, Back); 5] = [
        (|kept| kept.hold = true, Back::Held),
        (|kept| kept.ended_at = None, Back::Live),
        (|kept| kept.sealed = false, Back::Live),
        (|kept| kept.erasing = true, Back::Erasing),
        (|kept| kept.under_way = true, Back::UnderWay),
    ];
    let policy = Policy {
        audio: Some(DAY),
        words: Some(DAY),
        only_copies: OnlyCopies::ForRoom,
        ..Policy::default()
    };
    for (change, back) in bars {
        let mut kept = in_archive(whole(1, 400 * DAY));
        change(&mut kept);
        let plan = plan(&[kept], &policy, NOW, room(u64::MAX));
        assert!(plan.steps.is_empty(), "{back:?}");
        assert_eq!(plan.stays.len(), 8, "each is told once: {back:?}");
        assert!(plan.stays.iter().all(|stays| stays.back == back), "{back:?}");
    }
}

#[test]
fn what_is_past_its_days_goes_unless_it_is_the_only_copy_and_nobody_said_so() {
    let kept = [whole(1, 40 * DAY), in_archive(whole(2, 40 * DAY)), in_archive(whole(3, 20 * DAY))];
    let days = Policy { audio: Some(30 * DAY), ..Policy::default() };
    let cautious = plan(&kept, &days, NOW, Room::default());
    assert_eq!(cautious.steps.len(), 5 + 7);
    let back: Vec<_> =
        cautious.stays.iter().map(|stays| (stays.name.as_str(), stays.back)).collect();
    assert_eq!(back, [("1/agent-8khz", Back::OnlyCopy), ("1/technician-8khz", Back::OnlyCopy)]);
    let told = Policy { only_copies: OnlyCopies::WhenExpired, ..days };
    let told = plan(&kept, &told, NOW, Room::default());
    assert_eq!((told.steps.len(), told.stays.len()), (14, 0));
    assert!(told.steps.iter().all(|step| !step.name.starts_with("3/")));
}

#[test]
fn a_kind_may_have_fewer_days_and_sound_that_goes_takes_what_is_made_of_it_along() {
    let policy = Policy {
        wide: Some(DAY),
        copy: Some(10 * DAY),
        audio: Some(30 * DAY),
        ..Policy::default()
    };
    let count = |age: Duration| {
        plan(&[in_archive(whole(1, age))], &policy, NOW, Room::default()).steps.len()
    };
    assert_eq!([count(DAY / 2), count(2 * DAY), count(11 * DAY), count(31 * DAY)], [0, 2, 5, 7]);
}

#[test]
fn an_undated_call_does_not_expire_and_one_being_deleted_at_twilio_keeps_its_copy() {
    let policy = Policy { audio: Some(DAY), ..Policy::default() };
    let undated = Keepsake { dated: false, ..in_archive(whole(1, 9 * DAY)) };
    let plan_of = |kept| plan(&[kept], &policy, NOW, Room::default());
    assert!(plan_of(undated).stays.iter().all(|stays| stays.back == Back::Undated));
    let deleting = Keepsake { deleting: true, ..in_archive(whole(1, 9 * DAY)) };
    let plan = plan_of(deleting);
    assert_eq!(plan.stays.len(), 1);
    assert_eq!(
        (plan.stays[0].name.as_str(), plan.stays[0].back),
        ("1/both-cloud_copy", Back::Deleting)
    );
}

#[test]
fn sixteen_khz_of_a_microphone_is_what_was_recorded_and_not_made_again() {
    let mut kept = whole(1, DAY);
    for piece in &mut kept.pieces {
        piece.source = piece.source.map(|_| TrackSource::Microphone);
        piece.at_twilio = None;
    }
    kept.pieces.retain(|piece| matches!(piece.kind, PieceKind::Wide | PieceKind::Narrow));
    let plan = plan(&[kept], &Policy::default(), NOW, room(u64::MAX));
    assert!(plan.steps.is_empty());
    assert!(plan.stays.iter().all(|stays| stays.back == Back::OnlyCopy));
}

#[test]
fn a_summary_still_to_be_made_keeps_the_words_and_no_sound() {
    let done = in_archive(whole(1, 9 * DAY));
    let summing = Keepsake { undone: Some(Stage::Summary), ..done.clone() };
    let policy = Policy { words: Some(DAY), ..Policy::default() };
    let plan_of = |kept: Keepsake| plan(&[kept], &policy, NOW, room(u64::MAX));
    let (done, summing) = (plan_of(done), plan_of(summing));
    let sound =
        |plan: &Plan| plan.steps.iter().filter(|step| step.kind != PieceKind::Words).count();
    let words = |plan: &Plan| plan.steps.len() - sound(plan);
    assert!(sound(&done) > 0 && words(&done) == 1);
    assert_eq!((sound(&summing), words(&summing)), (sound(&done), 0));
}

#[test]
fn work_that_is_not_done_keeps_what_it_may_need_until_nothing_else_is_left() {
    let undone = Keepsake { undone: Some(Stage::Transcript), ..in_archive(whole(1, 9 * DAY)) };
    let kept = [undone, whole(2, DAY)];
    let cautious = plan(&kept, &Policy::default(), NOW, room(u64::MAX));
    let of_undone: Vec<_> =
        names(&cautious).into_iter().filter(|name| name.starts_with("1/")).collect();
    assert_eq!(of_undone, ["1/agent-16khz", "1/technician-16khz"]);
    assert_eq!(names(&cautious).last(), Some(&"1/technician-16khz"), "and last of all");
    let told = Policy { only_copies: OnlyCopies::ForRoom, ..Policy::default() };
    let told = plan(&kept, &told, NOW, room(u64::MAX));
    assert_eq!(
        names(&told).last(),
        Some(&"1/technician-8khz"),
        "only copies of what is done first"
    );
    assert!(told.stays.is_empty());
}

prop_compose! {
    fn keepsakes()(calls in proptest::collection::vec(
        (0..60_u64, any::<[bool; 6]>(), any::<[bool; 8]>(), any::<[bool; 8]>()), 0..6,
    )) -> Vec<Keepsake> {
        let mut kept: Vec<Keepsake> = calls.into_iter().enumerate().map(|(n, (days, facts, there, far))| {
            let mut kept = whole(n as u64, DAY * u32::try_from(days).unwrap());
            let [hold, live, dated, under_way, undone, deleting] = facts;
            // One bar in four, so that most calls may go.
            kept.hold = hold && live;
            kept.under_way = under_way && undone && dated;
            kept.dated = dated || hold;
            kept.undone = (undone && !live).then_some(Stage::Archive);
            kept.deleting = deleting && hold;
            let mut place = 0;
            kept.pieces.retain(|_| { place += 1; there[place - 1] || far[place - 1] });
            for (piece, far) in kept.pieces.iter_mut().zip(far) {
                piece.archived = archived(piece).filter(|_| far);
                piece.at_twilio = piece.at_twilio.take().filter(|_| far || deleting);
            }
            kept
        }).collect();
        kept.sort_by_key(|kept| kept.began_at);
        kept
    }
}

fn policies() -> impl Strategy<Value = Policy> {
    let days = || proptest::option::of((1..60_u32).prop_map(|days| DAY * days));
    let only = prop_oneof![
        Just(OnlyCopies::Keep),
        Just(OnlyCopies::WhenExpired),
        Just(OnlyCopies::ForRoom)
    ];
    (days(), days(), days(), days(), only).prop_map(|(audio, wide, copy, words, only_copies)| {
        Policy { audio, wide, copy, words, max_bytes: None, only_copies }
    })
}

proptest! {
    #[test]
    fn every_plan_keeps_the_rules(kept in keepsakes(), policy in policies(), bytes in 0..400_u64) {
        let plan = plan(&kept, &policy, NOW, room(bytes));
        let mut gone = HashSet::new();
        for step in &plan.steps {
            let call = kept.iter().find(|kept| kept.call == step.call).unwrap();
            let piece = call.pieces.iter().find(|piece| piece.name == step.name).unwrap();
            prop_assert!(!call.hold && !call.under_way);
            prop_assert!(gone.insert(&step.name), "{} goes once", step.name);
            match &step.rests_on {
                RestsOn::Here(name) => {
                    prop_assert!(call.pieces.iter().any(|other| other.name == *name));
                    prop_assert!(!gone.contains(name), "{name} was gone before {}", step.name);
                }
                RestsOn::Archive => prop_assert!(piece.archived.is_some()),
                RestsOn::Twilio(_) => prop_assert!(piece.at_twilio.is_some()),
                RestsOn::Nothing => match step.why {
                    Why::Expired { .. } => prop_assert!(policy.only_copies != OnlyCopies::Keep),
                    Why::Room => prop_assert!(policy.only_copies == OnlyCopies::ForRoom),
                },
            }
            if let Why::Expired { after } = step.why {
                prop_assert!(call.dated && NOW.since(call.ended_at.unwrap()) > after);
            }
        }
        prop_assert!(plan.freed_bytes() + plan.short_bytes >= bytes, "short of it is told");
        for stays in &plan.stays {
            prop_assert!(!gone.contains(&stays.name), "{} goes and stays", stays.name);
        }
        prop_assert_eq!(&plan, &super::plan(&kept, &policy, NOW, room(bytes)), "the same each time");
        // Everything that could have gone before an unarchived or undone piece has gone.
        let last_resort = plan.steps.iter().any(|step| {
            let call = kept.iter().find(|kept| kept.call == step.call).unwrap();
            step.why == Why::Room && (call.undone.is_some() && step.kind != PieceKind::Wide
                || step.rests_on == RestsOn::Nothing)
        });
        if last_resort {
            let rest: Vec<Keepsake> = kept.iter().cloned().map(|mut kept| {
                kept.pieces.retain(|piece| !gone.contains(&piece.name));
                kept
            }).collect();
            let cautious = Policy { only_copies: OnlyCopies::Keep, ..Policy::default() };
            let left = super::plan(&rest, &cautious, NOW, room(u64::MAX));
            prop_assert!(left.steps.iter().all(|step| matches!(step.rests_on, RestsOn::Here(_))), "{left:?}");
        }
    }
}

/// What there is of a call's sound, wherever it is, in a history.
struct World {
    rng: StdRng,
    kept: Vec<Keepsake>,
    /// Names of files here whose bytes are not what they were.
    spoilt: HashSet<String>,
    /// Names of what the archive, and Twilio, really have.
    archive: HashSet<String>,
    twilio: HashSet<String>,
    policy: Policy,
    now: UnixMillis,
    purged: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let calls = rng.random_range(1..5);
        let kept: Vec<_> = (0..calls).map(|n| whole(n, DAY)).collect();
        let twilio = kept.iter().map(|kept| kept.pieces[0].name.clone()).collect();
        let some_days =
            |rng: &mut StdRng| rng.random_bool(0.5).then(|| DAY * rng.random_range(1..90));
        let policy = Policy {
            audio: some_days(&mut rng),
            wide: some_days(&mut rng),
            copy: some_days(&mut rng),
            words: some_days(&mut rng),
            ..Policy::default()
        };
        let (spoilt, archive) = Default::default();
        Self { rng, kept, spoilt, archive, twilio, policy, now: NOW, purged: 0 }
    }

    /// The sounds that were recorded: each by the names of all that holds it here.
    fn sounds(n: u64) -> Vec<Vec<String>> {
        let mut sounds: Vec<Vec<String>> = Party::ALL
            .iter()
            .map(|party| vec![format!("{n}/{party}-8khz"), format!("{n}/{party}-16khz")])
            .collect();
        sounds.push(vec![format!("{n}/both-cloud_copy")]);
        sounds
    }

    fn is_had(&self, sound: &[String]) -> bool {
        let here = |name: &String| {
            let there = self.kept.iter().flat_map(|kept| &kept.pieces);
            !self.spoilt.contains(name) && there.into_iter().any(|piece| piece.name == *name)
        };
        sound
            .iter()
            .any(|name| here(name) || self.archive.contains(name) || self.twilio.contains(name))
    }

    fn had(&self) -> HashSet<Vec<String>> {
        let calls = 0..self.kept.len() as u64;
        calls.flat_map(Self::sounds).filter(|sound| self.is_had(sound)).collect()
    }

    fn any_name(&mut self) -> Option<String> {
        let kept = self.kept.choose(&mut self.rng)?;
        kept.pieces.choose(&mut self.rng).map(|piece| piece.name.clone())
    }

    fn step(&mut self) {
        match self.rng.random_range(0..12) {
            0..3 => self.now = self.now.plus(DAY * self.rng.random_range(1..40)),
            3 => self.archive_one(),
            // A card that forgets, an archive that loses, somebody at Twilio who deletes.
            4 => {
                let name = self.any_name();
                self.spoilt.extend(name);
            }
            5 => {
                if let Some(name) = self.any_name() {
                    self.archive.remove(&name);
                }
            }
            6 => {
                if let Some(name) = self.any_name() {
                    self.twilio.remove(&name);
                }
            }
            7 => {
                let (hold, undone, under_way) =
                    (self.rng.random(), self.rng.random(), self.rng.random());
                if let Some(kept) = self.kept.choose_mut(&mut self.rng) {
                    kept.hold = hold && undone;
                    kept.undone = (undone && !hold).then_some(Stage::Transcript);
                    kept.under_way = under_way && hold;
                }
            }
            _ => self.purge(),
        }
    }

    /// What is good here goes to the archive, which shows it back.
    fn archive_one(&mut self) {
        let Some(kept) = self.kept.choose_mut(&mut self.rng) else { return };
        for piece in &mut kept.pieces {
            if !self.spoilt.contains(&piece.name) {
                self.archive.insert(piece.name.clone());
                piece.archived = archived(piece);
            }
        }
    }

    /// Does what a plan says as the keeper does: what it rests on is looked at again.
    fn purge(&mut self) {
        let bytes = if self.rng.random() { self.rng.random_range(0..300) } else { 0 };
        let plan = plan(&self.kept, &self.policy, self.now, room(bytes));
        let had = self.had();
        for step in &plan.steps {
            let there = |name: &String| {
                let pieces = self.kept.iter().flat_map(|kept| &kept.pieces);
                !self.spoilt.contains(name) && pieces.into_iter().any(|piece| piece.name == *name)
            };
            let stands = match &step.rests_on {
                RestsOn::Here(name) => there(name),
                RestsOn::Archive => self.archive.contains(&step.name),
                RestsOn::Twilio(_) => self.twilio.contains(&step.name),
                RestsOn::Nothing => panic!("nobody said that only copies may go"),
            };
            if stands {
                let kept = self.kept.iter_mut().find(|kept| kept.call == step.call).unwrap();
                kept.pieces.retain(|piece| piece.name != step.name);
                self.purged += 1;
            }
        }
        let left = self.had();
        let lost: Vec<_> = had.difference(&left).collect();
        assert!(lost.is_empty(), "the only copy was deleted: {lost:?}");
    }
}

#[test]
fn in_ten_thousand_histories_the_only_copy_is_never_deleted() {
    let mut purged = 0;
    for seed in 0..HISTORIES {
        let mut world = World::new(seed);
        let lived = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..world.rng.random_range(5..40) {
                world.step();
            }
        }));
        assert!(lived.is_ok(), "history {seed}");
        purged += world.purged;
    }
    assert!(purged > HISTORIES * 5, "{purged}: what may go does go");
}
