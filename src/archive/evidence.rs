//! What speaks for and against a deletion, gathered afresh: the file here read through, the
//! archive's copy read back.

use super::keep::{Keeper, Wanted, look_here};
use super::proof::{ArchiveSays, Evidence, Facts, Times};
use super::remote::Look;
use super::{Error, Remote};
use crate::domain::RecordingSid;
use crate::store::ArchiveObject;
use crate::vault::Vault;

/// Where copies of a recording are, besides Twilio.
#[derive(Clone, Copy)]
pub(super) struct Homes<'a> {
    pub(super) vault: &'a Vault,
    pub(super) remote: Option<&'a Remote>,
    /// What the archive has shown of the call before.
    pub(super) known: &'a [ArchiveObject],
}

impl Homes<'_> {
    /// Reads the file here through, and has the archive show its copy to the last byte. What the
    /// archive has lost meanwhile is put there again.
    pub(super) async fn evidence(
        &self,
        recording_sid: RecordingSid,
        facts: Facts,
        times: Times,
    ) -> Result<Evidence, Error> {
        let (mut local, mut archive) = (None, ArchiveSays::NotConfigured);
        if let Some(fetched) = &facts.fetched {
            let wanted = Wanted {
                path: fetched.path.clone(),
                size_bytes: fetched.size_bytes,
                sha256: Some(fetched.sha256.clone()),
                recording_sid: None,
            };
            archive = self.archive_says(&wanted).await?;
            // Last, so that what was read longest ago is not what is relied on most.
            local = look_here(self.vault, &wanted.path).await?;
        }
        Ok(Evidence { recording_sid, facts, times, local, archive })
    }

    async fn archive_says(&self, wanted: &Wanted) -> Result<ArchiveSays, Error> {
        let Some(remote) = self.remote else { return Ok(ArchiveSays::NotConfigured) };
        let keeper = Keeper { remote, vault: self.vault, known: self.known, look: Look::Through };
        match keeper.file(wanted).await {
            Ok(object) => Ok(ArchiveSays::Shown(object)),
            Err(Error::NotShown { why, .. }) => Ok(ArchiveSays::NotShown { why }),
            Err(Error::Altered { what, .. }) => Ok(ArchiveSays::NotShown { why: what }),
            Err(error) => Err(error),
        }
    }
}
