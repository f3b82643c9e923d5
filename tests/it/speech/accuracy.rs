//! What the model hears, against what was said, and when.

use super::*;

#[test]
fn a_service_call_is_heard_right_and_on_time() {
    let speech = Speech::start(options()).unwrap();
    let parties = ["agent", "technician"];
    let heard: Vec<TrackText> = (0..2)
        .map(|index| {
            let track = recording(&channel("service-call.wav", index));
            block_on(hear(&speech, track)).unwrap()
        })
        .collect();
    let turns = turns();
    for (party, track) in parties.iter().zip(&heard) {
        let said: Vec<&str> =
            turns.iter().filter(|t| t.speaker == *party).map(|t| t.text.as_str()).collect();
        let rate = wer(&said.join(" "), &text(&track.segments));
        println!("{party}: WER {:.1} % of {} words", rate.percent(), rate.words);
        assert!(rate.percent() <= 12.0, "{:#?}", track.segments);
        assert_eq!((track.language.as_str(), track.model.as_str()), ("en", "tiny.en-q8_0"));
        assert_eq!(track.duration_ms, 68_260);
        for pair in track.segments.windows(2) {
            assert!(pair[0].end_ms <= pair[1].start_ms, "{pair:?}");
        }
    }
    let pid = speech.worker_pid().unwrap();
    println!("{:.1} CPU s for both, {} at peak", cpu_s(pid), status(pid, "VmHWM"));
    let starts = |speaker: &str| {
        let track = &heard[parties.iter().position(|party| *party == speaker).unwrap()];
        track.segments.iter().map(|segment| segment.start_ms).collect()
    };
    let errors = start_errors(&turns, starts);
    let (p50, p90) = (percentile(&errors, 50), percentile(&errors, 90));
    println!("segment starts: {p50:.2} s off at p50, {p90:.2} s at p90");
    assert!(p90 <= 0.5, "{errors:?}");
    let everything = format!("{} {}", text(&heard[0].segments), text(&heard[1].segments));
    for word in ["compressor", "capacitor", "River Road"] {
        assert!(everything.contains(word), "{word}: {everything}");
    }
}

/// A minute each of what is no speech.
fn no_speech() -> Vec<(&'static str, Vec<f32>)> {
    let mut seed = 1_u32;
    let mut noise = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed >> 8) / f64::from(1 << 24) - 0.5
    };
    let sine = |t: f64, hz: f64| (t * hz * std::f64::consts::TAU).sin();
    let mut sound = |make: &mut dyn FnMut(f64, f64) -> f64| -> Vec<f32> {
        (0..60 * 16_000).map(|n| make(f64::from(n) / 16_000.0, noise()) as f32).collect()
    };
    let digits = [697.0, 770.0, 852.0, 941.0];
    vec![
        ("silence", sound(&mut |_, _| 0.0)),
        ("line noise", sound(&mut |_, noise| 0.02 * noise)),
        ("loud noise", sound(&mut |_, noise| 0.4 * noise)),
        ("hum", sound(&mut |t, noise| 0.2 * sine(t, 50.0) + 0.1 * sine(t, 150.0) + 0.01 * noise)),
        (
            "ringback",
            sound(&mut |t, _| {
                if t % 6.0 < 2.0 { 0.2 * (sine(t, 440.0) + sine(t, 480.0)) } else { 0.0 }
            }),
        ),
        (
            "dialling",
            sound(&mut |t, _| {
                let digit = digits[(t * 2.0) as usize % 4];
                if t % 0.5 < 0.1 { 0.2 * (sine(t, digit) + sine(t, 1336.0)) } else { 0.0 }
            }),
        ),
        (
            "music",
            sound(&mut |t, _| {
                let note = 220.0 * 2_f64.powf(f64::from((t * 4.0) as i32 % 12) / 12.0);
                0.2 * (-(t % 0.25) * 8.0).exp() * (sine(t, note) + 0.5 * sine(t, 2.0 * note))
            }),
        ),
    ]
}

#[test]
fn silence_noise_hum_and_ringing_give_no_text() {
    let sounds = no_speech();
    for model in std::iter::once("tiny.en-q8_0".to_owned()).chain(base_model()) {
        let speech = Speech::start(Options { model, ..options() }).unwrap();
        for (name, sound) in &sounds {
            let heard = block_on(hear(&speech, recording(sound))).unwrap();
            assert_eq!(heard.segments, [], "{name}");
            assert_eq!(heard.duration_ms, 60_000);
        }
    }
}

#[test]
fn every_turn_has_its_speaker_and_no_word_stands_in_a_pause() {
    let heard = transcribe_file(file_job(asset("service-call.wav")), |_| {}).unwrap();
    let turns = turns();
    let near = |turn: &Turn, at_s: f64| turn.start_s - 0.5 <= at_s && at_s <= turn.end_s + 0.5;
    let mut words = Vec::new();
    for said in &heard.said {
        let segment = &said.segment;
        let text: Vec<&str> = segment.words.iter().map(|word| word.text.as_str()).collect();
        assert_eq!(text.join(" "), segment.text);
        let mut floor = segment.start_ms;
        for word in &segment.words {
            assert!(floor <= word.start_ms && word.start_ms <= word.end_ms, "{segment:?}");
            assert!(word.end_ms <= segment.end_ms, "{segment:?}");
            floor = word.start_ms;
            let middle_s = (word.start_ms + word.end_ms) as f64 / 2000.0;
            words.push((said.speaker.as_str(), middle_s, word.text.as_str()));
            let mut own = turns.iter().filter(|turn| turn.speaker == said.speaker);
            assert!(own.any(|turn| near(turn, middle_s)), "{word:?} in a pause: {segment:?}");
        }
    }
    for turn in &turns {
        let own = words.iter().filter(|(who, at_s, _)| turn.speaker == *who && near(turn, *at_s));
        let text: Vec<&str> = own.map(|(_, _, word)| *word).collect();
        assert!(wer(&turn.text, &text.join(" ")).percent() <= 50.0, "{turn:?}: {text:?}");
    }
}

/// Puts the technician's voice on the agent's track too, a seventh of a second later and 22 dB
/// lower, as a telephone without echo cancellation does.
fn agent_with_echo() -> Vec<f32> {
    let (mut agent, technician) = (channel("service-call.wav", 0), channel("service-call.wav", 1));
    for (sample, voice) in agent.iter_mut().skip(2_300).zip(&technician) {
        *sample += 0.08 * voice;
    }
    agent
}

#[test]
fn the_other_partys_echo_is_not_heard_twice() {
    let speech = Speech::start(options()).unwrap();
    let agent = recording(&agent_with_echo());
    let other = recording(&channel("service-call.wav", 1));
    let alone = block_on(hear(&speech, agent.try_clone().unwrap())).unwrap();
    assert!(text(&alone.segments).contains("pump station"), "the echo is loud enough to be heard");
    let heard = block_on(hear_beside(&speech, agent, Some(other), "auto")).unwrap();
    let turns = turns();
    let said: Vec<&str> =
        turns.iter().filter(|t| t.speaker == "agent").map(|t| t.text.as_str()).collect();
    let rate = wer(&said.join(" "), &text(&heard.segments));
    println!("with an echo: WER {:.1} %", rate.percent());
    assert!(rate.percent() <= 12.0, "{:#?}", heard.segments);
}
