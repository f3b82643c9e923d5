//! Other languages than English, with a model that knows them.

use super::*;

/// File, language, what is said, and what of it must be heard.
const SAID: [(&str, &str, &str, &str); 2] = [
    (
        "german.wav",
        "de",
        "Guten Morgen, hier ist der Kundendienst. Die Pumpe im Keller läuft nicht mehr, und das \
         Wasser steigt. Bitte schicken Sie heute noch einen Techniker. Vielen Dank und auf \
         Wiederhören.",
        "Pumpe im Keller",
    ),
    (
        "spanish.wav",
        "es",
        "Buenos días, le llamo del taller. La bomba no funciona y necesitamos un técnico esta \
         tarde. Muchas gracias.",
        "bomba no funciona",
    ),
];

#[test]
fn a_language_is_found_out_and_kept() {
    let Some(model) = base_model() else { return };
    let speech = Speech::start(Options { model, ..options() }).unwrap();
    for (file, language, said, understood) in SAID {
        let track = recording(&channel(file, 0));
        let heard = block_on(hear(&speech, track)).unwrap();
        let rate = wer(said, &text(&heard.segments));
        println!(
            "{file}: {} WER {:.0} %: {}",
            heard.language,
            rate.percent(),
            text(&heard.segments)
        );
        assert_eq!(heard.language, language, "{file}");
        // A machine's voice over a telephone: no more is promised than that it is understood.
        assert!(text(&heard.segments).contains(understood), "{file}: {}", text(&heard.segments));
    }
}

#[test]
fn a_language_that_is_given_is_not_found_out() {
    let Some(model) = base_model() else { return };
    let speech = Speech::start(Options { model, ..options() }).unwrap();
    let spanish = recording(&channel("spanish.wav", 0));
    assert_eq!(block_on(hear_in(&speech, spanish, "es")).unwrap().language, "es");
}
