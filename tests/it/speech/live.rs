//! Words while people speak: looks at growing files, and what comes onto the board of them.

use std::sync::Mutex;

use fieldtape::clock::SystemClock;
use fieldtape::domain::{CallSid, Party, Samples8k};
use fieldtape::transcribe::{
    LiveBoard, LiveEvent, LiveSegment, LiveSource, LiveText, LiveTrackSource, LiveWriter,
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::support::within;

/// A growing file and how far it has been looked at.
struct Growing {
    part: File,
    written: u64,
    consumed_to: u64,
}

impl Growing {
    fn new() -> Self {
        let mut part = tempfile::tempfile().unwrap();
        part.write_all(&wav_header(RateHz::Hz16000, 1, 0)).unwrap();
        Self { part, written: 0, consumed_to: 0 }
    }

    fn grow(&mut self, sound: &[f32]) {
        append(&mut self.part, sound);
        self.written += sound.len() as u64;
    }

    fn look(&mut self, speech: &Speech, guess: bool) -> LiveText {
        let job = LiveJob {
            audio: self.part.try_clone().unwrap(),
            track: 7,
            from_sample: self.consumed_to,
            to_sample: self.written,
            language: "auto".to_owned(),
            guess,
        };
        let looked = block_on(speech.live(job)).unwrap();
        assert!((self.consumed_to..=self.written).contains(&looked.consumed_to), "{looked:?}");
        self.consumed_to = looked.consumed_to;
        looked
    }
}

fn technician() -> (Vec<Turn>, String) {
    let said: Vec<Turn> = turns().into_iter().filter(|t| t.speaker == "technician").collect();
    let words: Vec<&str> = said.iter().map(|turn| turn.text.as_str()).collect();
    let words = words.join(" ");
    (said, words)
}

#[test]
fn live_looks_hear_each_utterance_once_it_has_ended() {
    let speech = Speech::start(options()).unwrap();
    let sound = channel("service-call.wav", 1);
    let (mut growing, mut segments) = (Growing::new(), Vec::new());
    for quarter in sound.chunks(4_000) {
        growing.grow(quarter);
        let looked = growing.look(&speech, false);
        assert!(looked.guess.is_empty(), "nobody asked");
        segments.extend(looked.segments);
    }
    let (said, words) = technician();
    let rate = wer(&words, &text(&segments));
    let errors = start_errors(&said, |_| segments.iter().map(|segment| segment.start_ms).collect());
    let late = percentile(&errors, 90);
    println!("live: WER {:.1} %, starts {late:.2} s off at p90", rate.percent());
    assert!(rate.percent() <= 15.0, "{segments:#?}");
    assert!(late <= 0.5, "{errors:?}");
}

#[test]
fn a_guess_is_made_at_the_utterance_under_way_and_changes_nothing_that_is_said() {
    let speech = Speech::start(options()).unwrap();
    let sound = channel("service-call.wav", 1);
    let run = |guess: bool| {
        let (mut growing, mut said, mut guesses) = (Growing::new(), Vec::new(), Vec::new());
        for half in sound[..16_000 * 12].chunks(8_000) {
            growing.grow(half);
            let looked = growing.look(&speech, guess);
            if !looked.guess.is_empty() {
                let began = looked.open_since.unwrap() / 16;
                assert!(looked.segments.is_empty(), "what has ended goes first");
                assert!(looked.guess[0].start_ms >= began, "{looked:?}");
                assert!(looked.guess[0].end_ms <= growing.written / 16, "{looked:?}");
                guesses.push(text(&looked.guess));
            }
            said.extend(looked.segments);
        }
        (text(&said), guesses)
    };
    let ((said, guesses), (said_alone, none)) = (run(true), run(false));
    assert_eq!(said, said_alone);
    assert_eq!(none, Vec::<String>::new());
    assert!(guesses.len() >= 5, "{guesses:?}");
    assert!(guesses.iter().any(|guess| guess.contains("Daniel")), "{guesses:?}");
}

#[test]
fn looks_that_come_late_or_to_another_worker_miss_nothing() {
    let sound = channel("service-call.wav", 1);
    let mut late = Growing::new();
    late.grow(&sound[..16_000 * 12]);
    let mut segments = late.look(&Speech::start(options()).unwrap(), false).segments;
    late.grow(&sound[16_000 * 12..]);
    loop {
        // Each time one that has never heard of the track.
        let looked = late.look(&Speech::start(options()).unwrap(), false);
        let more = looked.waiting_since.is_some() || !looked.segments.is_empty();
        segments.extend(looked.segments);
        if !more {
            break;
        }
    }
    let rate = wer(&technician().1, &text(&segments));
    assert!(rate.percent() <= 15.0, "{segments:#?}");
    for pair in segments.windows(2) {
        assert!(pair[0].end_ms <= pair[1].start_ms, "heard once: {pair:?}");
    }
}

/// Two parties' files in a folder, as a recorder makes them.
struct Call {
    folder: tempfile::TempDir,
    sid: CallSid,
    on_air: Arc<Mutex<bool>>,
}

impl Call {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sid = format!("CA{:032x}", 5).parse().unwrap();
        Self { folder, sid, on_air: Arc::new(Mutex::new(true)) }
    }

    fn path(&self, party: Party) -> PathBuf {
        self.folder.path().join(format!("{party}_16000Hz.wav.part"))
    }

    fn source(&self) -> LiveSource {
        let track = |party: &Party| LiveTrackSource {
            party: *party,
            part_path: self.path(*party),
            rate: RateHz::Hz16000,
            origin: Samples8k::ZERO,
            heard_from: Samples8k::ZERO,
        };
        LiveSource { call_sid: self.sid.clone(), tracks: Party::ALL.iter().map(track).collect() }
    }

    /// Writes both parties' sound at twice the pace they spoke it.
    async fn speak(&self, seconds: usize) {
        let sounds = [channel("service-call.wav", 0), channel("service-call.wav", 1)];
        let mut files: Vec<File> = Party::ALL
            .iter()
            .map(|party| {
                let mut file = File::create(self.path(*party)).unwrap();
                file.write_all(&wav_header(RateHz::Hz16000, 1, 0)).unwrap();
                file
            })
            .collect();
        let mut beat = tokio::time::interval(Duration::from_millis(50));
        for tenth in 0..seconds * 10 {
            beat.tick().await;
            for (file, sound) in files.iter_mut().zip(&sounds) {
                append(file, &sound[tenth * 1_600..(tenth + 1) * 1_600]);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_parties_words_come_onto_the_board_as_guesses_and_then_for_good() {
    let (call, board, stop) = (Call::new(), LiveBoard::default(), CancellationToken::new());
    let writer = {
        let (source, on_air) = (call.source(), Arc::clone(&call.on_air));
        let speech = Arc::new(Speech::start(options()).unwrap());
        LiveWriter::new(
            speech,
            board.clone(),
            Arc::new(SystemClock),
            "auto".to_owned(),
            move || {
                if *on_air.lock().unwrap() { vec![source.clone()] } else { Vec::new() }
            },
        )
    };
    let running = writer.run(stop.clone());
    let looking = async {
        let mut view =
            within(Duration::from_mins(1), "it is on the board", async || board.view(&call.sid))
                .await;
        let (mut said, mut guesses): (Vec<LiveSegment>, Vec<LiveSegment>) =
            (Vec::new(), Vec::new());
        loop {
            match view.events.recv().await.unwrap() {
                LiveEvent::Segment(segment) => said.push(segment),
                LiveEvent::Guess(guess) => guesses.push(guess),
                LiveEvent::Status { lag_s } => assert!(lag_s >= 0.0),
                LiveEvent::End => return (said, guesses),
            }
        }
    };
    let speaking = async {
        call.speak(24).await;
        // The last words have ended by now: they come before the call does.
        within(Duration::from_mins(1), "the last words", async || {
            let said = board.view(&call.sid)?.segments;
            let of = |party: Party| said.iter().filter(|one| one.party == party).count();
            (of(Party::Agent) >= 2 && of(Party::Technician) >= 2).then_some(())
        })
        .await;
        *call.on_air.lock().unwrap() = false;
        within(Duration::from_mins(1), "it is off the board", async || {
            board.view(&call.sid).is_none().then_some(())
        })
        .await;
        stop.cancel();
    };
    let ((), (said, guesses), ()) = tokio::join!(running, looking, speaking);
    for party in Party::ALL {
        let own: Vec<&LiveSegment> = said.iter().filter(|one| one.party == *party).collect();
        for pair in own.windows(2) {
            assert!(pair[0].end_ms <= pair[1].start_ms, "said once, in order: {pair:?}");
        }
        assert!(guesses.iter().any(|one| one.party == *party), "{guesses:?}");
    }
    let words: Vec<&str> = said.iter().map(|one| one.text.as_str()).collect();
    assert!(words.join(" ").contains("River Road"), "{words:?}");
}
