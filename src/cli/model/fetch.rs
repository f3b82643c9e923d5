//! `fieldtape model fetch`.

use std::path::PathBuf;

use super::super::bar::Bar;
use super::super::exit::Failure;
use super::super::speech::Settings;
use super::super::{Context, block_on, output};
use super::size;
use crate::clock::SystemClock;
use crate::models::{Fetch, FetchError, Known, Put, Shelf, Step, near_misses, offers};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Names as `model ls` shows them; with --from none means all that is there
    #[arg(value_name = "NAME", required_unless_present = "from")]
    names: Vec<String>,
    /// Take them from this file or folder (a stick) and not from the network
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// The hash of a model of your own, in 64 hex digits
    #[arg(long, value_name = "HEX", requires = "from", value_parser = hash)]
    sha256: Option<String>,
    /// Put them into this folder (a stick) [default: models in `server.data_dir`]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

fn hash(text: &str) -> Result<String, String> {
    let right = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right { Ok(text.to_lowercase()) } else { Err("is no SHA-256 of 64 hex digits".to_owned()) }
}

pub(super) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let settings = context.speech()?;
    let (shelf, put) = if let Some(dir) = &args.into {
        (Shelf::at(dir), Put { dir: dir.clone(), keep_free: 0 })
    } else {
        let shelf = Shelf::new(&settings.data_dir);
        let dir = shelf.own().to_owned();
        (shelf, Put { dir, keep_free: settings.min_free_bytes })
    };
    if let Some(from) = &args.from {
        let names: Vec<Option<&str>> = match args.names.as_slice() {
            [] => vec![None],
            names => names.iter().map(|name| Some(plain(name))).collect(),
        };
        return names
            .into_iter()
            .try_for_each(|name| import(from, name, args.sha256.as_deref(), &put));
    }
    let known = args.names.iter().map(|name| published(name));
    // All names are looked at before the first byte is fetched.
    let known = known.collect::<Result<Vec<&Known>, Failure>>()?;
    known.into_iter().try_for_each(|known| fetch(known, &settings, &shelf, &put))
}

/// People copy names from addresses and listings.
fn plain(name: &str) -> &str {
    name.trim_start_matches("ggml-").trim_end_matches(".bin")
}

fn published(name: &str) -> Result<&'static Known, Failure> {
    let unknown = || FetchError::Unknown { name: name.to_owned(), near: near_misses(name) };
    Known::named(plain(name)).ok_or_else(|| Failure::Usage(unknown().to_string()))
}

fn fetch(known: &Known, settings: &Settings, shelf: &Shelf, put: &Put) -> Result<(), Failure> {
    if let Some(path) = shelf.whole(known.name) {
        return output::line(&format!("{} is already at {}", known.name, path.display()));
    }
    let bar = Bar::bytes(known.name, known.bytes);
    let mut tell = |step| match step {
        Step::Have(bytes) => bar.at(bytes),
        Step::Again { why } => bar.note(&format!("the connection was cut ({why}); it goes on")),
    };
    let from = Fetch { mirror: &settings.transcription.mirror, put, clock: &SystemClock };
    let path =
        block_on(async { from.model(known, &mut tell).await.map_err(|error| failed(&error)) })?;
    drop(bar);
    done(known.name, known.bytes, &path)
}

fn import(
    from: &std::path::Path,
    name: Option<&str>,
    sha256: Option<&str>,
    put: &Put,
) -> Result<(), Failure> {
    for offer in offers(from, name, sha256).map_err(|error| failed(&error))? {
        let bar = Bar::bytes(&offer.name, offer.bytes);
        let path = offer.put(put, &mut |bytes| bar.at(bytes)).map_err(|error| failed(&error))?;
        drop(bar);
        done(&offer.name, offer.bytes, &path)?;
    }
    Ok(())
}

fn done(name: &str, bytes: u64, path: &std::path::Path) -> Result<(), Failure> {
    output::line(&format!("{name} is at {} ({}, its hash is right)", path.display(), size(bytes)))
}

fn failed(error: &FetchError) -> Failure {
    Failure::Failed(error.to_string())
}
