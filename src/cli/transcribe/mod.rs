//! `fieldtape transcribe FILE…`: files to text, offline, without daemon or database.

mod input;
mod output;
mod vocabulary;

use std::path::PathBuf;

use super::bar::Bar;
use super::exit::Failure;
use super::speech::Settings;
use super::{Context, output as told};
use crate::models::{Language, english_only, model_dirs};
use crate::transcribe::{FileJob, FileText, Format, Hearing, Transcriber, Transcript};
use input::Input;
use output::Outputs;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// WAV files: PCM of 8 to 32 bits, float, mu-law or A-law, any rate, one or two channels; - is
    /// standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// A model's name, or the path of its file [default: transcription.model]
    #[arg(long, value_name = "M")]
    model: Option<String>,
    /// The language spoken, as two letters, or auto [default: transcription.language]
    #[arg(long, value_name = "L")]
    language: Option<String>,
    /// Names and part numbers to expect, with commas between them, or a file of them [default:
    /// transcription.vocabulary]
    #[arg(long, value_name = "FILE|WORDS")]
    vocabulary: Vec<String>,
    /// txt, json, srt or vtt; several, with commas between them, need --output-dir
    #[arg(long, default_value = "txt", value_delimiter = ',')]
    format: Vec<Format>,
    /// Write each transcript into this folder, named as its file [default: standard output]
    #[arg(long, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Who speaks on the left channel, or on the only one
    #[arg(long, value_name = "NAME", default_value = "agent")]
    party_left: String,
    /// Who speaks on the right channel
    #[arg(long, value_name = "NAME", default_value = "technician")]
    party_right: String,
    /// Threads; 0 is one a core [default: transcription.threads]
    #[arg(long)]
    threads: Option<u32>,
}

/// What all files are heard with.
struct Manner {
    language: String,
    vocabulary: Vec<String>,
    speakers: [String; 2],
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let settings = context.speech()?;
    let inputs: Vec<Input> = args.files.iter().map(Input::new).collect();
    let mut outputs = Outputs::plan(&inputs, args.format, args.output_dir)?;
    let hearing = Hearing {
        model: args.model.unwrap_or_else(|| settings.transcription.model.clone()),
        model_dirs: model_dirs(Some(&settings.data_dir)),
        threads: args
            .threads
            .unwrap_or_else(|| u32::try_from(settings.transcription.threads).unwrap_or(0)),
    };
    let manner = Manner {
        language: language(args.language, &settings, &hearing)?,
        vocabulary: vocabulary::words(&args.vocabulary, &settings)?,
        speakers: [args.party_left, args.party_right],
    };
    outputs.make_folder()?;
    let mut transcriber =
        Transcriber::load(&hearing).map_err(|error| Failure::Failed(error.to_string()))?;
    let mut failed = 0;
    for input in &inputs {
        match one(&mut transcriber, input, &manner).and_then(|text| outputs.take(input, &text)) {
            Ok(()) => {}
            Err(Failure::Failed(why)) if inputs.len() > 1 => {
                told::error(&why);
                failed += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    match failed {
        0 => Ok(()),
        failed => {
            let all = inputs.len();
            Err(Failure::Failed(format!("{failed} of {all} files were not transcribed")))
        }
    }
}

/// Returns the language to hear, and refuses one that the model does not know.
fn language(
    wanted: Option<String>,
    settings: &Settings,
    hearing: &Hearing,
) -> Result<String, Failure> {
    let language = match wanted {
        Some(word) => {
            Language::or_auto(&word).map_err(|error| Failure::Usage(error.to_string()))?
        }
        None => settings.transcription.language,
    };
    match language {
        None => Ok("auto".to_owned()),
        Some(language)
            if !language.is_english() && english_only(&hearing.model, &hearing.model_dirs) =>
        {
            Err(Failure::Usage(format!(
                "{} knows only English, and {} is asked for: choose a model without .en in its \
                 name (fieldtape model ls)",
                hearing.model,
                language.name()
            )))
        }
        Some(language) => Ok(language.to_string()),
    }
}

fn one(transcriber: &mut Transcriber, input: &Input, manner: &Manner) -> Result<FileText, Failure> {
    let name = input.name();
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{name}: {error}"));
    let job = FileJob {
        audio: input.open().map_err(|error| failed(&error))?,
        language: manner.language.clone(),
        vocabulary: manner.vocabulary.clone(),
        speakers: manner.speakers.clone(),
    };
    let bar = Bar::sound(&name);
    let heard = transcriber.hear(job, |progress| bar.of(progress.heard_ms, progress.total_ms));
    drop(bar);
    let text = heard.map_err(|error| failed(&error))?;
    if text.truncated {
        told::error(&format!("{name} is cut off: what is there was transcribed"));
    }
    if text.said.is_empty() {
        told::error(&format!("{name}: nobody speaks in it"));
    }
    Ok(text)
}

fn transcript<'a>(name: &'a str, text: &'a FileText) -> Transcript<'a> {
    Transcript {
        call_sid: None,
        file: Some(name),
        language: &text.language,
        model: &text.model,
        source: None,
        dropped: text.dropped,
        said: &text.said,
    }
}
