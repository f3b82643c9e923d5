//! Names and part numbers to expect: they help, they move nothing, and nobody hears them in noise.

use super::*;

fn heard(audio: File, vocabulary: &[&str]) -> FileText {
    let vocabulary = vocabulary.iter().map(|&name| name.to_owned()).collect();
    transcribe_file(FileJob { vocabulary, ..file_job(audio) }, |_| {}).unwrap()
}

#[test]
fn a_word_that_is_expected_is_heard_right() {
    let plain = all(&heard(asset("librivox-0880.wav"), &[]).said);
    let expected = all(&heard(asset("librivox-0880.wav"), &["ill-disposed"]).said);
    println!("plain: {plain}\nexpected: {expected}");
    assert!(expected.contains("ill-disposed"), "{expected}");
    let shared = Path::new("/work/shared/assets/audio/corpus/ls-8266-258262-0001.ulaw.wav");
    let Ok(audio) = File::open(shared) else {
        println!("skipped: {} is not here", shared.display());
        return;
    };
    let expected = all(&heard(audio, &["Karaj", "Amalekite"]).said);
    assert!(expected.contains("Karaj") && expected.contains("Amalekite"), "{expected}");
}

#[test]
fn words_stay_in_their_turn_whatever_is_expected() {
    let vocabulary = ["HX-4070", "Grundfos", "River Road", "Ana Kowalczyk", "PSV-12"];
    let heard = heard(asset("service-call.wav"), &vocabulary);
    let turns = turns();
    let starts = |speaker: &str| {
        let own = heard.said.iter().filter(|said| said.speaker == speaker);
        own.map(|said| said.segment.start_ms).collect()
    };
    assert!(percentile(&start_errors(&turns, starts), 90) <= 0.5, "{heard:#?}");
    let said: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    // In the order spoken: a word in the wrong turn counts twice.
    let rate = wer(&said.join(" "), &all(&heard.said));
    println!("service call with a vocabulary: WER {:.1} %", rate.percent());
    assert!(rate.percent() <= 6.0, "{heard:#?}");
    let text = all(&heard.said);
    for name in vocabulary.iter().filter(|name| **name != "River Road") {
        assert!(!text.contains(name), "nobody said {name}: {text}");
    }
}

/// A minute of each kind of nothing.
fn nothing() -> Vec<(&'static str, Vec<f32>)> {
    let minute = 60 * 16_000;
    let time = |n: usize| n as f32 / 16_000.0;
    let tone = |hz: f32, n: usize| (time(n) * hz * std::f32::consts::TAU).sin();
    let mut state = 1_u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state) / f64::from(u32::MAX) - 0.5) as f32
    };
    vec![
        ("silence", vec![0.0; minute]),
        ("noise", (0..minute).map(|_| 0.05 * noise()).collect()),
        ("hum", (0..minute).map(|n| 0.1 * (tone(50.0, n) + tone(150.0, n))).collect()),
        (
            "ringback",
            (0..minute)
                .map(|n| {
                    let rings = n % (6 * 16_000) < 2 * 16_000;
                    if rings { 0.15 * (tone(440.0, n) + tone(480.0, n)) } else { 0.0 }
                })
                .collect(),
        ),
    ]
}

#[test]
fn nobody_hears_what_is_expected_where_nobody_speaks() {
    for (what, sound) in nothing() {
        let heard = heard(rewound(recording(&sound)), &["HX-4070", "Grundfos", "River Road"]);
        assert!(heard.said.is_empty(), "{what}: {heard:?}");
    }
}

fn rewound(mut file: File) -> File {
    file.rewind().unwrap();
    file
}
