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
    WhisperToken, WhisperVadContext, WhisperVadContextParams,
};

use super::heard::{Effort, EngineError, Haste, Heard, Manner, Word};
use super::spans::FRAME;

/// The temperature of a second try, and how many draws it takes the best of.
const THOROUGH_TEMPERATURE: f32 = 0.4;
const THOROUGH_DRAWS: i32 = 3;

/// The encoder's places, 50 a second, are a multiple of this: the fast matrix kernels take only
/// whole blocks, and at the model's own 1500 its attention falls out of them (0.93 s a window, at
/// 1488 0.79 s). Fewer places, as many as the sound fills, cost words: see `benches/speech.d`.
const PLACES_BLOCK: i32 = 16;

/// What seems to have been said after the names of a vocabulary, with its times in ticks of 20 ms.
/// After a prompt without times the model leaves them out too, and words end up in the wrong turn;
/// after names with times it takes the names for speech. These words are much the same everywhere.
const AFTER_NAMES: [(i32, &str, i32); 2] = [(0, " Okay.", 50), (100, " Hm, okay.", 200)];

/// Samples in the hundredth of a second that the engine counts in.
const SAMPLES_PER_CENTISECOND: i64 = 160;

/// Samples in one of the encoder's places: 20 ms.
const SAMPLES_PER_PLACE: usize = 320;

/// Places the model looks at beyond the sound, and at least, when it is to be quick. With these
/// tiny.en loses no words, with 64 and none it does.
const PLACES_AROUND: i32 = 128;
const PLACES_MIN: i32 = 512;

/// Layers of the smallest model's encoder.
const LAYERS_OF_TINY: i32 = 4;

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
        whisper_rs::install_logging_hooks();
        let mut parameters = WhisperContextParameters::default();
        parameters.use_gpu(false);
        parameters.flash_attn(false);
        let broken =
            |what: &str, error| EngineError::Model(format!("{what} cannot be loaded: {error}"));
        let context = WhisperContext::new_with_params(path_of(model), parameters)
            .map_err(|error| broken("the speech model", error))?;
        let state = context.create_state().map_err(|error| broken("the speech model", error))?;
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
        effort: Effort,
    ) -> Result<Heard, EngineError> {
        let language = self.language(manner.language)?;
        let prompt = self.tokens(manner.prompt);
        let draws = if effort == Effort::Quick { 1 } else { THOROUGH_DRAWS };
        let mut settings = FullParams::new(SamplingStrategy::Greedy { best_of: draws });
        settings.set_n_threads(i32::try_from(manner.threads).unwrap_or(1).max(1));
        settings.set_language(language.as_deref());
        settings.set_tokens(&prompt);
        settings.set_no_context(true);
        settings.set_token_timestamps(true);
        settings.set_audio_ctx(self.places(audio.len(), manner.haste));
        // One pass over the window and one verdict, ours: see `step::hear`.
        settings.set_single_segment(true);
        settings.set_temperature_inc(0.0);
        settings.set_no_speech_thold(1.0);
        if effort == Effort::Thorough {
            settings.set_temperature(THOROUGH_TEMPERATURE);
        }
        settings.set_print_progress(false);
        settings.set_print_realtime(false);
        settings.set_print_timestamps(false);
        settings.set_print_special(false);
        self.state
            .full(settings, audio)
            .map_err(|error| EngineError::Failed(format!("the speech model failed: {error}")))?;
        let heard_language = whisper_rs::get_lang_str(self.state.full_lang_id_from_state());
        let (words, complete_to) = self.words();
        Ok(Heard {
            words,
            complete_to,
            language: heard_language.or(language.as_deref()).unwrap_or("en").to_owned(),
        })
    }

    /// Returns at how many of its places, 20 ms of sound each, the model is to look. In haste they
    /// are little more than the sound fills; larger models lose words by that.
    fn places(&self, samples: usize, haste: Haste) -> i32 {
        let all = self.context.n_audio_ctx();
        let all = all - all % PLACES_BLOCK;
        let filled = i32::try_from(samples / SAMPLES_PER_PLACE).unwrap_or(all);
        let fitted = filled.saturating_add(PLACES_AROUND).max(PLACES_MIN);
        let fitted = fitted.saturating_add(PLACES_BLOCK - 1) / PLACES_BLOCK * PLACES_BLOCK;
        let is_tiny = self.context.model_n_audio_layer() <= LAYERS_OF_TINY;
        if haste != Haste::None && is_tiny { fitted.min(all) } else { all }
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

    /// Returns the words, and up to where the model says there are no more.
    fn words(&self) -> (Vec<Word>, Option<usize>) {
        let (text_end, times_begin) = (self.context.token_eot(), self.context.token_beg());
        let mut words = Words::default();
        let mut complete_to = None;
        for segment in self.state.as_iter() {
            let no_speech_prob = segment.no_speech_probability();
            for token in (0..segment.n_tokens()).filter_map(|index| segment.get_token(index)) {
                let id = token.token_id();
                if id < text_end {
                    words.push(&token, no_speech_prob);
                } else if id > times_begin {
                    // A time: it ends a phrase, or begins one.
                    words.end_phrase();
                    complete_to = Some(sample(i64::from(id - times_begin) * CENTISECONDS_PER_TIME));
                }
            }
        }
        (words.finish(), complete_to)
    }
}

/// Opens the same file anew by its descriptor: the engine wants a path, and this process opens
/// no other.
fn path_of(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Puts tokens together to words. A letter may be spread over tokens, so bytes are collected.
#[derive(Default)]
struct Words {
    done: Vec<Word>,
    bytes: Vec<u8>,
    current: Option<Word>,
    phrase: usize,
}

impl Words {
    fn push(&mut self, token: &WhisperToken<'_, '_>, no_speech_prob: f32) {
        let data = token.token_data();
        let bytes = token.to_bytes().unwrap_or_default();
        if bytes.first() == Some(&b' ') {
            self.close();
        }
        self.bytes.extend_from_slice(bytes);
        let word = self.current.get_or_insert(Word {
            text: String::new(),
            start: sample(data.t0),
            end: 0,
            logprob_sum: 0.0,
            tokens: 0,
            phrase: self.phrase,
            no_speech_prob,
        });
        word.end = sample(data.t1).max(word.start);
        word.logprob_sum += data.plog;
        word.tokens += 1;
    }

    fn end_phrase(&mut self) {
        self.close();
        self.phrase += 1;
    }

    fn close(&mut self) {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.bytes)).trim().to_owned();
        if let Some(word) = self.current.take()
            && !text.is_empty()
        {
            self.done.push(Word { text, ..word });
        }
    }

    fn finish(mut self) -> Vec<Word> {
        self.close();
        self.done
    }
}

fn sample(centiseconds: i64) -> usize {
    usize::try_from(centiseconds.max(0) * SAMPLES_PER_CENTISECOND).unwrap_or(0)
}
