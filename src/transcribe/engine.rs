//! whisper.cpp and its voice detector: sound in, words out.
//!
//! Here stand all the settings that were measured: greedy, timestamps on, no text carried from
//! window to window, never `suppress_nst`, never whisper's built-in voice detection, whose four
//! threads cost more than the speech itself. Flash attention is off: for a processor without
//! AVX-512 its kernel takes one exponential at a time, and a window costs 1.7 times the
//! processor's time (2.4 s for 1.4 s, tiny.en-q8_0) to save 70 MB.

use std::fs::File;
use std::os::fd::AsRawFd as _;

use whisper_rs::{
    FullParams, SamplingStrategy, WhisperContext, WhisperContextParameters, WhisperState,
    WhisperTokenId, WhisperVadContext, WhisperVadContextParams,
};

use super::heard::{Attempt, EngineError, Haste, Heard, Manner, Word};
use super::memory::{Pages, give_back, use_huge_pages};
use super::spans::FRAME;
use super::timing::{self, Phrase, Token};

/// The temperature of a second try. One draw: the best of three would need 12 MB more for good.
const AGAIN_TEMPERATURE: f32 = 0.4;

/// The encoder's places for a second of sound.
const PLACES_PER_SECOND: usize = 50;

/// Places beyond the sound, 10 s, and the fewest, 20 s: with half as many words are lost.
const PLACES_SPARE: usize = 512;
const PLACES_MIN: usize = 1024;

/// The most places, 26.6 s, a breath more than a window: the memory of a window's work grows with
/// their square, and the last second's is 5 MB.
const PLACES_MAX: usize = 1328;

/// Places are a multiple of this: the fast matrix kernels take only whole blocks, and at the
/// model's own 1500 its attention falls out of them (0.93 s a window, at 1488 0.79 s).
const PLACES_BLOCK: usize = 16;

/// What seems to have been said after the names of a vocabulary, with its times in ticks of 20 ms.
/// After a prompt without times the model leaves them out too, and words end up in the wrong turn;
/// after names with times it takes the names for speech. These words are much the same everywhere.
const AFTER_NAMES: [(i32, &str, i32); 2] = [(0, " Okay.", 50), (100, " Hm, okay.", 200)];

/// Samples in the hundredth of a second that the engine counts in.
const SAMPLES_PER_CENTISECOND: i64 = 160;

/// In haste, places beyond the sound and the fewest: with these tiny.en loses next to no words;
/// larger models do.
const HASTY_SPARE: usize = 128;
const HASTY_MIN: usize = 512;

/// Layers of the smallest model's encoder.
const LAYERS_OF_TINY: i32 = 4;

/// How probable the model must hold a time, and any time, for a hint where a word begins.
const HINT_PROBABLE: f32 = 0.01;

/// The hundredths of a second from one time the model can write to the next.
const CENTISECONDS_PER_TIME: i64 = 2;

/// A loaded model with its voice detector.
pub(crate) struct Engine {
    context: WhisperContext,
    state: WhisperState,
    detector: WhisperVadContext,
}

impl Engine {
    /// Loads both models from open files.
    pub(crate) fn load(model: &File, detector: &File) -> Result<Self, EngineError> {
        if let Some(missing) = super::swift::missing() {
            let error =
                format!("this processor has no {missing}, without which no speech is heard");
            return Err(EngineError::Failed(error));
        }
        give_back();
        whisper_rs::install_logging_hooks();
        let mut parameters = WhisperContextParameters::default();
        parameters.use_gpu(false);
        parameters.flash_attn(false);
        let broken =
            |what: &str, error| EngineError::Model(format!("{what} cannot be loaded: {error}"));
        let context = WhisperContext::new_with_params(path_of(model), parameters)
            .map_err(|error| broken("the speech model", error))?;
        use_huge_pages(Pages::Filled);
        let state = context.create_state().map_err(|error| broken("the speech model", error))?;
        use_huge_pages(Pages::Fresh);
        let mut parameters = WhisperVadContextParams::new();
        parameters.set_n_threads(1);
        parameters.set_use_gpu(false);
        let detector = WhisperVadContext::new(&path_of(detector), parameters)
            .map_err(|error| broken("the voice detector", error))?;
        Ok(Self { context, state, detector })
    }

    /// Returns the probability of speech of each whole frame of `audio`, which it takes for the
    /// beginning of a track.
    pub(crate) fn speech(&mut self, audio: &[f32]) -> Result<Vec<f32>, EngineError> {
        let whole = audio.len() - audio.len() % FRAME;
        let audio = audio.get(..whole).unwrap_or_default();
        if audio.is_empty() {
            return Ok(Vec::new());
        }
        let failed = |error| EngineError::Failed(format!("the voice detector failed: {error}"));
        self.detector.detect_speech(audio).map_err(failed)?;
        Ok(self.detector.probabilities().to_vec())
    }

    /// Returns the words in `audio`, at most 30 s of it.
    pub(crate) fn listen(
        &mut self,
        audio: &[f32],
        manner: &Manner<'_>,
        attempt: Attempt,
    ) -> Result<Heard, EngineError> {
        let language = self.language(manner.language)?;
        let prompt = self.tokens(manner.prompt);
        let mut settings = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        settings.set_n_threads(i32::try_from(manner.threads).unwrap_or(1).max(1));
        settings.set_language(language.as_deref());
        settings.set_tokens(&prompt);
        settings.set_no_context(true);
        settings.set_audio_ctx(self.places(audio.len(), manner.haste));
        // One pass over the window and one verdict, ours: see `step::hear`.
        settings.set_single_segment(true);
        settings.set_temperature_inc(0.0);
        settings.set_no_speech_thold(1.0);
        if attempt == Attempt::Second {
            settings.set_temperature(AGAIN_TEMPERATURE);
        }
        settings.set_print_progress(false);
        settings.set_print_realtime(false);
        settings.set_print_timestamps(false);
        settings.set_print_special(false);
        self.state
            .full(settings, audio)
            .map_err(|error| EngineError::Failed(format!("the speech model failed: {error}")))?;
        let heard_language = whisper_rs::get_lang_str(self.state.full_lang_id_from_state());
        let (words, complete_to) = self.words(audio.len());
        Ok(Heard {
            words,
            complete_to,
            language: heard_language.or(language.as_deref()).unwrap_or("en").to_owned(),
        })
    }

    /// Returns the language to ask for, `None` to find it out.
    fn language(&self, wanted: &str) -> Result<Option<String>, EngineError> {
        let wanted = wanted.to_lowercase();
        let multilingual = self.context.is_multilingual();
        match wanted.as_str() {
            "" | "auto" if multilingual => Ok(None),
            "" | "auto" | "en" | "english" => Ok(Some("en".to_owned())),
            _ if wanted.contains('\0') || whisper_rs::get_lang_id(&wanted).is_none() => {
                Err(EngineError::Language(format!("no speech model knows the language {wanted:?}")))
            }
            _ if !multilingual => Err(EngineError::Language(format!(
                "this speech model knows only English, not {wanted:?}: choose one without .en in \
                 its name"
            ))),
            _ => Ok(Some(wanted)),
        }
    }

    /// Returns the tokens of the vocabulary, as many names as half the model's text context takes,
    /// and of a few timed words behind them: see [`AFTER_NAMES`].
    fn tokens(&self, vocabulary: &str) -> Vec<i32> {
        let tokens_max = usize::try_from(self.context.n_text_ctx() / 2).unwrap_or(0);
        // Room for every byte being a token: whisper-rs 0.16 takes "too many" for a length.
        let of = |text: &str| self.context.tokenize(text, text.len() + 1).unwrap_or_default();
        let first_time = self.context.token_beg();
        let mut after = Vec::new();
        for (start, text, end) in AFTER_NAMES {
            after.push(first_time + start);
            after.extend(of(text));
            after.push(first_time + end);
        }
        let mut tokens = Vec::new();
        for name in vocabulary.lines() {
            let comma = if tokens.is_empty() { "" } else { "," };
            let name = of(&format!("{comma} {}", name.trim()).replace('\0', ""));
            if tokens.len() + name.len() + 1 + after.len() > tokens_max {
                break;
            }
            tokens.extend(name);
        }
        if !tokens.is_empty() {
            tokens.extend(of("."));
            tokens.extend(after);
        }
        tokens
    }

    /// Returns at how many of its places the encoder is to look for so many samples.
    fn places(&self, samples: usize, haste: Haste) -> i32 {
        let is_tiny = self.context.model_n_audio_layer() <= LAYERS_OF_TINY;
        let (spare, min) = match haste {
            Haste::Live | Haste::Guess if is_tiny => (HASTY_SPARE, HASTY_MIN),
            Haste::None | Haste::Live | Haste::Guess => (PLACES_SPARE, PLACES_MIN),
        };
        let wanted = samples * PLACES_PER_SECOND / 16_000 + spare;
        let most = usize::try_from(self.context.n_audio_ctx()).unwrap_or(0);
        let most = PLACES_MAX.min(most - most % PLACES_BLOCK);
        let places = wanted.max(min).next_multiple_of(PLACES_BLOCK).min(most);
        i32::try_from(places).unwrap_or(0)
    }

    /// Returns the words in `samples` of sound, and up to where the model says there are no more.
    fn words(&self, samples: usize) -> (Vec<Word>, Option<usize>) {
        let (text_end, times_begin) = (self.context.token_eot(), self.context.token_beg());
        let time = |id: WhisperTokenId| sample(i64::from(id - times_begin) * CENTISECONDS_PER_TIME);
        let mut phrases = Vec::new();
        let mut phrase = Phrase { end: samples, ..Phrase::default() };
        let mut no_speech_prob = 0.0;
        for segment in self.state.as_iter() {
            no_speech_prob = segment.no_speech_probability();
            for token in (0..segment.n_tokens()).filter_map(|index| segment.get_token(index)) {
                let data = token.token_data();
                if data.id < text_end {
                    let thinks = data.pt > HINT_PROBABLE && data.ptsum > HINT_PROBABLE;
                    phrase.tokens.push(Token {
                        bytes: token.to_bytes().unwrap_or_default().to_vec(),
                        logprob: data.plog,
                        hint: thinks.then(|| time(data.tid)),
                    });
                } else if data.id >= times_begin {
                    // A time: it ends a phrase, or begins one.
                    let at = time(data.id).min(samples);
                    let next = Phrase { start: at, end: samples, tokens: Vec::new() };
                    phrases.push(Phrase { end: at, ..std::mem::replace(&mut phrase, next) });
                }
            }
        }
        let open = !phrase.tokens.is_empty();
        let complete_to = (phrase.start > 0 && !open).then_some(phrase.start);
        phrases.push(phrase);
        phrases.retain(|phrase| !phrase.tokens.is_empty());
        (timing::words(&phrases, no_speech_prob), complete_to)
    }
}

/// Opens the same file anew by its descriptor: the engine wants a path, and this process opens
/// no other.
fn path_of(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn sample(centiseconds: i64) -> usize {
    usize::try_from(centiseconds.max(0) * SAMPLES_PER_CENTISECOND).unwrap_or(0)
}
