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

use super::heard::{EngineError, Haste, Heard, Manner, Word};
use super::spans::FRAME;

/// How much the temperature rises when a window comes out badly: it is heard again at 0.4 and
/// 0.8, then taken as it is.
const TEMPERATURE_STEP: f32 = 0.4;

/// Samples in the hundredth of a second that the engine counts in.
const SAMPLES_PER_CENTISECOND: i64 = 160;

/// Samples in one step of the model's look at the sound: 20 ms.
const SAMPLES_PER_STEP: usize = 320;

/// Steps the model looks at beyond the sound, and at least, when it is to be quick. With these
/// tiny.en loses no words, with 64 and none it does.
const STEPS_AROUND: i32 = 128;
const STEPS_MIN: i32 = 512;

/// The matrix kernels take whole blocks of so many steps.
const STEPS_BLOCK: i32 = 64;

/// Layers of the smallest model's encoder.
const LAYERS_OF_TINY: i32 = 4;

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
    ) -> Result<Heard, EngineError> {
        let language = self.language(manner.language)?;
        let prompt = self.tokens(manner.prompt);
        let mut settings = FullParams::new(SamplingStrategy::Greedy { best_of: 1 });
        settings.set_n_threads(i32::try_from(manner.threads).unwrap_or(1).max(1));
        settings.set_language(language.as_deref());
        settings.set_tokens(&prompt);
        settings.set_no_context(true);
        settings.set_token_timestamps(true);
        settings.set_temperature_inc(match manner.haste {
            Haste::Guess => 0.0,
            Haste::None | Haste::Live => TEMPERATURE_STEP,
        });
        if manner.haste != Haste::None {
            settings.set_audio_ctx(self.audio_context(audio.len()));
        }
        settings.set_print_progress(false);
        settings.set_print_realtime(false);
        settings.set_print_timestamps(false);
        settings.set_print_special(false);
        self.state
            .full(settings, audio)
            .map_err(|error| EngineError::Failed(format!("the speech model failed: {error}")))?;
        let heard_language = whisper_rs::get_lang_str(self.state.full_lang_id_from_state());
        Ok(Heard {
            words: self.words(),
            language: heard_language.or(language.as_deref()).unwrap_or("en").to_owned(),
        })
    }

    /// Returns how much the model is to look at for so many samples, in its own steps of 20 ms; 0
    /// for all it can. Larger models lose words by looking at less than that.
    fn audio_context(&self, samples: usize) -> i32 {
        let all = self.context.n_audio_ctx();
        let steps = i32::try_from(samples / SAMPLES_PER_STEP).unwrap_or(all);
        let fitted = steps.saturating_add(STEPS_AROUND).max(STEPS_MIN);
        let fitted = fitted.saturating_add(STEPS_BLOCK - 1) / STEPS_BLOCK * STEPS_BLOCK;
        let is_tiny = self.context.model_n_audio_layer() <= LAYERS_OF_TINY;
        if is_tiny && fitted < all { fitted } else { 0 }
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

    /// Returns the tokens of the vocabulary, as many as half the model's text context takes.
    fn tokens(&self, prompt: &str) -> Vec<i32> {
        let tokens_max = usize::try_from(self.context.n_text_ctx() / 2).unwrap_or(0);
        let text = format!(" {}", prompt.trim()).replace('\0', "");
        if text.trim().is_empty() {
            return Vec::new();
        }
        // Room for every byte being a token: whisper-rs 0.16 takes "too many" for a length.
        let mut tokens = self.context.tokenize(&text, text.len() + 1).unwrap_or_default();
        tokens.truncate(tokens_max);
        tokens
    }

    fn words(&self) -> Vec<Word> {
        let text_end = self.context.token_eot();
        let mut words = Words::default();
        for (phrase, segment) in self.state.as_iter().enumerate() {
            let no_speech_prob = segment.no_speech_probability();
            let tokens = (0..segment.n_tokens()).filter_map(|index| segment.get_token(index));
            for token in tokens.filter(|token| token.token_id() < text_end) {
                words.push(&token, phrase, no_speech_prob);
            }
        }
        words.finish()
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
}

impl Words {
    fn push(&mut self, token: &WhisperToken<'_, '_>, phrase: usize, no_speech_prob: f32) {
        let data = token.token_data();
        let bytes = token.to_bytes().unwrap_or_default();
        let same_phrase = self.current.as_ref().is_some_and(|word| word.phrase == phrase);
        if bytes.first() == Some(&b' ') || !same_phrase {
            self.close();
        }
        self.bytes.extend_from_slice(bytes);
        let word = self.current.get_or_insert(Word {
            text: String::new(),
            start: sample(data.t0),
            end: 0,
            logprob_sum: 0.0,
            tokens: 0,
            phrase,
            no_speech_prob,
        });
        word.end = sample(data.t1).max(word.start);
        word.logprob_sum += data.plog;
        word.tokens += 1;
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
