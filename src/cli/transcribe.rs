//! `fieldtape transcribe FILE`: one file, offline, without daemon, database or configuration.

use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use super::exit::Failure;
use super::output;
use crate::transcribe::{FileJob, Format, Progress, Transcript, model_dirs, transcribe_file};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A WAV file: PCM of 8 to 32 bits, float, mu-law or A-law, any rate, one or two channels
    file: PathBuf,
    /// A model's name, or the path of its file
    #[arg(long, value_name = "M", default_value = "tiny.en-q8_0")]
    model: String,
    /// The language spoken, as two letters
    #[arg(long, value_name = "L", default_value = "auto")]
    language: String,
    /// txt, json, srt or vtt
    #[arg(long, default_value = "txt")]
    format: Format,
    /// Who speaks on the left channel
    #[arg(long, value_name = "NAME", default_value = "agent")]
    party_left: String,
    /// Who speaks on the right channel
    #[arg(long, value_name = "NAME", default_value = "technician")]
    party_right: String,
    /// Threads; 0 is one a core
    #[arg(long, default_value_t = 0)]
    threads: u32,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let name = args.file.display().to_string();
    let audio =
        File::open(&args.file).map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
    let job = FileJob {
        audio,
        model: args.model,
        model_dirs: model_dirs(None),
        language: args.language,
        vocabulary: Vec::new(),
        threads: args.threads,
        speakers: [args.party_left, args.party_right],
    };
    let text = transcribe_file(job, show_progress())
        .map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
    if text.truncated {
        output::error(&format!("{name} is cut off: what is there was transcribed"));
    }
    let transcript = Transcript {
        call_sid: None,
        language: &text.language,
        model: &text.model,
        source: None,
        dropped: text.dropped,
        said: &text.said,
    };
    output::say(&transcript.write(args.format))
}

/// Shows how far it is, on a terminal only.
fn show_progress() -> impl FnMut(Progress) {
    let on_terminal = std::io::stderr().is_terminal();
    move |progress| {
        if on_terminal {
            let (heard_s, total_s) = (progress.heard_ms / 1000, progress.total_ms / 1000);
            let end = if progress.heard_ms >= progress.total_ms { "\n" } else { "" };
            // A bar that cannot be drawn is not missed.
            let _ = write!(std::io::stderr(), "\r{heard_s} of {total_s} s heard{end}");
        }
    }
}
