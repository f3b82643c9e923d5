use std::sync::Mutex;

use super::*;
use crate::transcribe::PATIENCE;

const S: u64 = RATE_HZ;

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ear() -> Ear {
    let track = LiveTrackSource {
        party: Party::Agent,
        part_path: "agent.part".into(),
        rate: RateHz::Hz16000,
        origin: Samples8k::from_millis(500),
        heard_from: Samples8k::ZERO,
    };
    Ear::new(1, &track, "auto", at(10_000))
}

fn said(start_ms: u64, text: &str) -> Segment {
    Segment {
        start_ms,
        end_ms: start_ms + 900,
        text: text.to_owned(),
        avg_logprob: 0.0,
        no_speech_prob: 0.0,
        words: Vec::new(),
    }
}

fn look(consumed_to: u64, segments: Vec<Segment>, guess: Vec<Segment>) -> LiveText {
    let open_since = (!guess.is_empty()).then_some(consumed_to);
    LiveText { segments, guess, consumed_to, waiting_since: None, open_since, language: None }
}

/// What a look puts onto the board: what is said plain, what is guessed in brackets.
fn shown(ear: &mut Ear, text: LiveText) -> Vec<String> {
    let shown = Mutex::new(Vec::new());
    ear.show(text, |event| {
        shown.lock().unwrap().push(match event {
            Shown::Said(line) => format!("{} {}", line.start_ms, line.text),
            Shown::Guess(line) => format!("({})", line.text),
        });
    });
    shown.into_inner().unwrap()
}

#[test]
fn a_guess_stands_until_its_words_come_or_nothing_comes_of_it() {
    let mut ear = ear();
    assert_eq!(shown(&mut ear, look(0, vec![], vec![said(0, "Good")])), ["(Good)"]);
    let guess = vec![said(0, "Good"), said(950, "morning")];
    assert_eq!(shown(&mut ear, look(0, vec![], guess)), ["(Good morning)"]);
    assert_eq!(shown(&mut ear, look(0, vec![], vec![])), [""; 0], "a look between guesses");
    let words = vec![said(0, "Good morning."), said(1_000, "Who is it?")];
    let both = ["500 Good morning.", "1500 Who is it?"];
    assert_eq!(shown(&mut ear, look(3 * S, words, vec![])), both, "on the call's timeline");
    assert_eq!(shown(&mut ear, look(3 * S, vec![], vec![said(3_000, "hm")])), ["(hm)"]);
    assert_eq!(shown(&mut ear, look(4 * S, vec![], vec![])), ["()"], "nobody spoke after all");
    assert_eq!(shown(&mut ear, look(5 * S, vec![], vec![])), [""; 0]);
}

#[test]
fn behind_is_how_long_what_has_ended_waits_or_nobody_has_looked() {
    let mut ear = ear();
    assert_eq!(ear.lag(at(10_100)), Duration::ZERO, "the next look is not due");
    assert_eq!(ear.lag(at(12_250)), at(2_000));
    (ear.looked_to, ear.looked_at) = (9 * S, at(12_000));
    ear.open_since = Some(0);
    assert_eq!(ear.lag(at(12_200)), Duration::ZERO, "a long speech is not late");
    ear.waiting_since = Some(6 * S);
    assert_eq!(ear.lag(at(12_200)), at(3_200));
}

#[test]
fn speech_is_guessed_at_once_a_second_when_there_is_enough_of_it() {
    let mut ear = ear();
    assert!(!ear.is_to_be_guessed(at(20_000)), "nobody speaks");
    (ear.open_since, ear.looked_to) = (Some(2 * S), 2 * S + GUESS_MIN - 1);
    assert!(!ear.is_to_be_guessed(at(20_000)));
    ear.looked_to += 1;
    assert!(ear.is_to_be_guessed(at(20_000)));
    ear.guessed_at = at(19_500);
    assert!(!ear.is_to_be_guessed(at(20_499)));
    assert!(ear.is_to_be_guessed(at(20_500)));
}

/// A writer that follows two calls, of which nobody asks anything.
fn writer(clock: &Arc<crate::clock::ManualClock>) -> LiveWriter<fn() -> Vec<LiveSource>> {
    let sources: fn() -> Vec<LiveSource> = || {
        let call = |n: u8| LiveSource {
            call_sid: format!("CA{n:032x}").parse().unwrap(),
            tracks: Party::ALL
                .iter()
                .map(|party| LiveTrackSource {
                    party: *party,
                    part_path: format!("{n}-{party}.part").into(),
                    rate: RateHz::Hz16000,
                    origin: Samples8k::ZERO,
                    heard_from: Samples8k::ZERO,
                })
                .collect(),
        };
        vec![call(1), call(2)]
    };
    let options = crate::transcribe::Options {
        program: "/nowhere".into(),
        socket: None,
        model: "none".to_owned(),
        live_model: None,
        model_dirs: Vec::new(),
        vocabulary: Vec::new(),
        threads: 1,
        nice: 0,
        idle: PATIENCE,
        patience: PATIENCE,
    };
    let speech = Arc::new(Speech::start(options).unwrap());
    LiveWriter::new(speech, LiveBoard::default(), clock.clone(), "auto".to_owned(), sources)
}

#[test]
fn guesses_go_round_the_speakers_and_stop_when_words_are_late() {
    let clock = Arc::new(crate::clock::ManualClock::new(crate::domain::UnixMillis::new(0)));
    let mut writer = writer(&clock);
    writer.take_note_of(&(writer.sources)());
    assert_eq!(writer.ears().count(), 4);
    assert_eq!(writer.next_to_guess(), None, "nobody speaks");
    let now = writer.clock.since_boot();
    let ears = writer.calls.values_mut().flat_map(|progress| progress.tracks.values_mut());
    for (n, ear) in ears.enumerate() {
        (ear.open_since, ear.looked_to) = (Some(0), 5 * S);
        ear.guessed_at = now.saturating_sub(Duration::from_secs([3, 9, 5, 4][n]));
    }
    let (_, path) = writer.next_to_guess().unwrap();
    assert_eq!(path, PathBuf::from("1-technician.part"), "guessed at the longest ago");
    writer.next_guess = now + at(1);
    assert_eq!(writer.next_to_guess(), None, "half of the time is for what has ended");
    clock.advance(at(1));
    assert!(writer.next_to_guess().is_some());
    let first = writer.calls.values_mut().next().unwrap();
    first.tracks.values_mut().next().unwrap().waiting_since = Some(4 * S);
    assert_eq!(writer.next_to_guess(), None, "somebody's words wait");
    let first = writer.calls.values_mut().next().unwrap();
    first.tracks.values_mut().next().unwrap().waiting_since = None;
    clock.advance(GUESS_LAG_MAX + LOOK_EVERY + at(1));
    assert_eq!(writer.next_to_guess(), None, "nobody has looked for too long");
}

#[test]
fn a_track_that_takes_over_is_heard_from_where_it_does() {
    let track = LiveTrackSource {
        party: Party::Agent,
        part_path: "agent-line.part".into(),
        rate: RateHz::Hz16000,
        origin: Samples8k::from_millis(500),
        heard_from: Samples8k::from_millis(2500),
    };
    let ear = Ear::new(1, &track, "auto", at(0));
    assert_eq!((ear.consumed_to, ear.looked_to), (32_000, 32_000));
}
