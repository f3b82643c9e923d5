//! Why a model did not come.

use std::io;
use std::path::PathBuf;

/// Why a model did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No model of that name is published.
    #[error("{}", unknown(.name, .near))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Names that may have been meant.
        near: Vec<&'static str>,
    },
    /// The other end cannot be reached, or went away for good.
    #[error(
        "{from} cannot be reached ({why}): what has come is kept, so try again when there is a \
         network; behind a proxy set HTTPS_PROXY; or bring the file on a stick: model fetch --from"
    )]
    Unreachable {
        /// Where the model was to come from, without a password.
        from: String,
        /// What the network said.
        why: String,
    },
    /// The other end has no such file.
    #[error("{from} has no such file (404): set transcription.mirror to a place that has it")]
    NotThere {
        /// Where the model was to come from, without a password.
        from: String,
    },
    /// The other end does not want to give it.
    #[error(
        "{from} refuses with status {status}: set transcription.mirror to a place that gives it"
    )]
    Refused {
        /// Where the model was to come from, without a password.
        from: String,
        /// The status it answered with.
        status: u16,
    },
    /// What is offered cannot be the model, by its length.
    #[error(
        "{from} gives {bytes} bytes{kind} where the model has {expected}: it is another file, or \
         the page of a network that wants a login"
    )]
    OtherLength {
        /// Where it came from.
        from: String,
        /// How long it is.
        bytes: u64,
        /// What it claims to be, if it says.
        kind: String,
        /// How long the model is.
        expected: u64,
    },
    /// All of it came, and it is not the model.
    #[error(
        "what {from} gave for {name} is not that model: its SHA-256 is {got}, not {expected}. \
         Nothing was installed; get it from another place"
    )]
    WrongBytes {
        /// The model.
        name: String,
        /// Where it came from.
        from: String,
        /// What it hashes to.
        got: String,
        /// What it should.
        expected: String,
    },
    /// There is nothing at this place that is known.
    #[error("{} holds no model that is known by its hash: {why}", path.display())]
    NothingKnown {
        /// The file or folder.
        path: PathBuf,
        /// What was looked for.
        why: String,
    },
    /// The disk has no room for it beside what recordings need.
    #[error(
        "{} has no room for it: {needed} more are needed, {free} are free, and {kept} stay free \
         for recordings (recording.min_free)", dir.display()
    )]
    NoRoom {
        /// The folder it was to be put into.
        dir: PathBuf,
        /// Bytes still to come, as people read them.
        needed: String,
        /// Bytes free.
        free: String,
        /// Bytes that must stay free.
        kept: String,
    },
    /// Another program is fetching the same.
    #[error("{} is being fetched by another program: wait for it", path.display())]
    Busy {
        /// The part file.
        path: PathBuf,
    },
    /// The disk does not take or give it.
    #[error("{what} {}: {source}", path.display())]
    Disk {
        /// What was being done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
}

fn unknown(name: &str, near: &[&str]) -> String {
    let instead = match near {
        [] => "fieldtape model ls shows those there are".to_owned(),
        near => format!("did you mean {}?", near.join(", ")),
    };
    format!("no model {name:?} is published: {instead}")
}
