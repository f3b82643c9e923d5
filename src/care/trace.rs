//! What a backup leaves in the data folder: when it was made, so that its age can be told while the
//! stick it is on lies in a drawer.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::domain::UnixMillis;

/// The trace's name in a data folder.
const TRACE: &str = "last-backup";

/// Whoever may enter the folder may read it: a backup is often made as root.
const MODE: u32 = 0o644;

/// Leaves the trace. A disk that takes none any more is a reason for a backup, not against it.
pub(super) fn leave(data_dir: &Path, made_at: UnixMillis) {
    let written = tempfile::Builder::new()
        .permissions(std::fs::Permissions::from_mode(MODE))
        .tempfile_in(data_dir)
        .and_then(|mut file| {
            writeln!(file, "{}", made_at.get())?;
            file.persist(data_dir.join(TRACE)).map_err(|error| error.error)
        });
    if let Err(error) = written {
        tracing::warn!(%error, "the backup is made; when, could not be written down in {}", data_dir.display());
    }
}

/// Returns when the last backup of a data folder was made.
pub fn last_backup(data_dir: &Path) -> Option<UnixMillis> {
    let text = std::fs::read_to_string(data_dir.join(TRACE)).ok()?;
    text.trim().parse().ok().map(UnixMillis::new)
}
