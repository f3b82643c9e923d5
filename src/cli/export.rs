//! `fieldtape calls export`: a call as a folder that can be handed on, whole or not at all.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::admin::Appliance;
use super::exit::Failure;
use super::output;
use crate::clock::{Clock as _, SystemClock};
use crate::domain::CallSid;

/// The forms a transcript is written in.
const FORMATS: [&str; 4] = ["txt", "json", "srt", "vtt"];

/// Exports a call into a folder of its own below `dir`; returns that and the manifest.
pub(super) async fn export(
    appliance: &Appliance,
    call_sid: &CallSid,
    dir: &Path,
) -> Result<(PathBuf, Value), Failure> {
    let folder = dir.join(call_sid.as_str());
    if folder.symlink_metadata().is_ok() {
        return Err(is_there(&folder));
    }
    let stopped = async {
        // Without a signal handler there is nothing to wait for, and Ctrl-C ends the program.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = stopped => Err(Failure::Failed("stopped; nothing was exported".to_owned())),
        manifest = fill(appliance, call_sid, dir, &folder) => Ok((folder, manifest?)),
    }
}

/// Says in a line what was exported.
pub(super) fn tell(folder: &Path, manifest: &Value) -> Result<(), Failure> {
    let files = manifest["files"].as_array().map_or(&[][..], Vec::as_slice);
    let bytes: u64 = files.iter().filter_map(|file| file["bytes"].as_u64()).sum();
    let count = files.len();
    output::line(&format!("{}: {count} files, {bytes} bytes, and manifest.json", folder.display()))
}

async fn fill(
    appliance: &Appliance,
    call_sid: &CallSid,
    dir: &Path,
    folder: &Path,
) -> Result<Value, Failure> {
    let path = format!("/api/v1/calls/{call_sid}");
    let call: Value = appliance.get(&path).await?;
    if call["ended_at"].is_null() {
        let why = "the call is still in progress: export it when it has ended";
        return Err(Failure::Failed(why.to_owned()));
    }
    let mut partial = Partial::begin(dir, call_sid)?;
    for track in list(&call, "tracks") {
        let url = track["url"].as_str().unwrap_or_default();
        let name = url.rsplit('/').next().unwrap_or_default();
        partial.sound(appliance, url, name, track).await?;
    }
    for recording in list(&call, "cloud_recordings") {
        if let Some(url) = recording["url"].as_str() {
            let sid = recording["recording_sid"].as_str().unwrap_or_default();
            partial.sound(appliance, url, &format!("cloud_{sid}.wav"), recording).await?;
        }
    }
    for format in FORMATS {
        let path = format!("{path}/transcript?format={format}");
        if let Some(text) = appliance.text_if_there(&path).await? {
            partial.text(&format!("transcript.{format}"), &text)?;
        }
    }
    if essence(&appliance.get(&path).await?) != essence(&call) {
        let why = "the call changed while it was exported: try again";
        return Err(Failure::Failed(why.to_owned()));
    }
    partial.finish(folder, &call)
}

fn list<'a>(call: &'a Value, key: &str) -> &'a [Value] {
    call[key].as_array().map_or(&[], Vec::as_slice)
}

/// What of a call must stay as it is while it is exported.
fn essence(call: &Value) -> Vec<String> {
    let files = list(call, "tracks").iter().chain(list(call, "cloud_recordings"));
    let file = |file: &Value| format!("{} {}", file["url"], file["bytes"]);
    files.map(file).chain([call["parties_swapped"].to_string()]).collect()
}

/// A folder on its way, beside where it will be. It is gone with this unless it was finished.
struct Partial {
    path: PathBuf,
    files: Vec<Value>,
    finished: bool,
}

impl Partial {
    fn begin(dir: &Path, call_sid: &CallSid) -> Result<Self, Failure> {
        std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
        let path = dir.join(format!(".{call_sid}.partial-{}", std::process::id()));
        // What people said is for the one who exports it.
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| failed(&path, &error))?;
        Ok(Self { path, files: Vec::new(), finished: false })
    }

    /// Takes a file of sound, and makes sure that it is what the ledger says.
    async fn sound(
        &mut self,
        appliance: &Appliance,
        url: &str,
        name: &str,
        ledger: &Value,
    ) -> Result<(), Failure> {
        let mut file = Exported::create(&self.path, name)?;
        appliance.download(&format!("{url}?why=export"), |bytes| file.write(bytes)).await?;
        let told = file.close()?;
        let differs = |key: &str| !ledger[key].is_null() && ledger[key] != told[key];
        if differs("bytes") || differs("sha256") {
            return Err(Failure::Failed(format!(
                "{name} is not what the ledger says it is: try again; if it stays so, the file on the appliance is damaged"
            )));
        }
        self.files.push(told);
        Ok(())
    }

    fn text(&mut self, name: &str, text: &str) -> Result<(), Failure> {
        let mut file = Exported::create(&self.path, name)?;
        file.write(text.as_bytes())?;
        self.files.push(file.close()?);
        Ok(())
    }

    /// Writes the manifest and gives the folder its name, in that order and durably.
    fn finish(mut self, folder: &Path, call: &Value) -> Result<Value, Failure> {
        let now = jiff::Timestamp::from_millisecond(SystemClock.now().get());
        let manifest = json!({
            "fieldtape": env!("CARGO_PKG_VERSION"),
            "exported_at": now.unwrap_or(jiff::Timestamp::MAX).to_string(),
            "call": call,
            "files": std::mem::take(&mut self.files),
        });
        self.text("manifest.json", &format!("{manifest:#}\n"))?;
        sync(&self.path)?;
        match rustix::fs::renameat_with(CWD, &self.path, CWD, folder, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(is_there(folder)),
            // A file system that knows no such flag: then the look at the beginning has to do.
            Err(Errno::INVAL | Errno::NOSYS) => {
                std::fs::rename(&self.path, folder).map_err(|error| failed(folder, &error))?;
            }
            Err(error) => return Err(failed(folder, &error.into())),
        }
        self.finished = true;
        sync(folder.parent().unwrap_or(Path::new(".")))?;
        Ok(manifest)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed says by its name that it is not whole.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// A file being written, and what it holds so far.
struct Exported {
    path: PathBuf,
    name: String,
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl Exported {
    fn create(folder: &Path, name: &str) -> Result<Self, Failure> {
        let path = folder.join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(|error| failed(&path, &error))?;
        Ok(Self { path, name: name.to_owned(), file, hash: Sha256::new(), bytes: 0 })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).map_err(|error| failed(&self.path, &error))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Makes it durable, and says what it is.
    fn close(self) -> Result<Value, Failure> {
        self.file.sync_all().map_err(|error| failed(&self.path, &error))?;
        let sha256 = format!("{:x}", self.hash.finalize());
        Ok(json!({ "name": self.name, "bytes": self.bytes, "sha256": sha256 }))
    }
}

fn sync(folder: &Path) -> Result<(), Failure> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| failed(folder, &error))
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    Failure::Failed(format!("{}: {error}", path.display()))
}

fn is_there(folder: &Path) -> Failure {
    let folder = folder.display();
    Failure::Failed(format!("{folder} is there already: move it away, or export to another folder"))
}
