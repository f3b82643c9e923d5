//! The stage `delete`: Twilio's copy goes, once everything that makes it superfluous is proved.
//!
//! What was proved is in the audit trail before the request leaves, so a crash in between leaves
//! no deletion without its proof.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::json;

use super::evidence::Homes;
use super::keep::fetch_anew;
use super::proof::{Facts, Fetched, Proof, Times, Withheld, may_delete};
use super::{Error, Remote};
use crate::clock::SharedClock;
use crate::domain::{CallSid, RecordingSid, Stage, StageStatus, WaitingFor};
use crate::pipeline::{Verdict, Work};
use crate::store::{AuditEntry, CallDetail, Claim, CloudRecordingRow, Output, Store, StoreError};
use crate::twilio::rest::{Client, Deletion, RestError};
use crate::vault::{Mark, Vault};

/// How often it is looked again whether what withheld a deletion still does. Nothing is urgent
/// about one.
const LOOK_AGAIN: Duration = Duration::from_mins(15);

/// The longest a recording that is too young is left alone: a configuration may change.
const YOUNG_AGAIN_MAX: Duration = Duration::from_hours(6);

/// What the stage needs.
pub struct DeleteWorkOptions {
    /// The ledger.
    pub store: Store,
    /// The recordings.
    pub vault: Vault,
    /// The time.
    pub clock: SharedClock,
    /// The archive; none when none is configured.
    pub remote: Option<Remote>,
    /// Twilio; none when no account is configured.
    pub twilio: Option<Client>,
    /// Whether the owner wants recordings deleted at Twilio.
    pub asked_for: bool,
    /// How old a recording has to be.
    pub delete_after: Duration,
}

/// The work of the stage `delete`.
pub struct DeleteWork {
    options: DeleteWorkOptions,
}

/// Why a recording is still at Twilio.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the ledger: {0}")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Archive(#[from] Error),
    #[error(transparent)]
    Twilio(#[from] RestError),
    #[error("Twilio's copy stays: {0}")]
    Withheld(#[from] Withheld),
}

impl DeleteWork {
    /// Makes the stage's work.
    pub fn new(options: DeleteWorkOptions) -> Self {
        Self { options }
    }

    async fn delete(&self, claim: &Claim) -> Verdict {
        let DeleteWorkOptions { store, twilio, asked_for, .. } = &self.options;
        let (Some(twilio), true) = (twilio, *asked_for) else { return Verdict::Nothing };
        let detail = match store.call(claim.call_sid()).await {
            Ok(Some(detail)) => detail,
            Ok(None) => return Verdict::Nothing,
            Err(error) => return Failure::from(error).into(),
        };
        let there: Vec<_> = detail.cloud_recordings.iter().filter(|row| is_there(row)).collect();
        let mut verdict = if detail.cloud_recordings.is_empty() {
            Verdict::Nothing
        } else {
            Verdict::Done(Output::Deleted)
        };
        // One that has to wait holds no other up; what a person has to mend is told before what
        // time mends.
        for row in there {
            let sid = &row.recording_sid;
            if let Err(failure) = self.consider(twilio, claim.call_sid(), sid).await {
                if failure.is_alarming() {
                    tracing::error!(error = %failure, recording.sid = %sid, "{failure}");
                }
                let failure = self.heal(sid, failure).await;
                if !matches!(verdict, Verdict::Never { .. }) {
                    verdict = failure.into();
                }
            }
        }
        verdict
    }

    /// Gathers what speaks for and against one deletion, judges, and deletes.
    async fn consider(
        &self,
        twilio: &Client,
        call_sid: &CallSid,
        sid: &RecordingSid,
    ) -> Result<(), Failure> {
        let DeleteWorkOptions { store, vault, clock, remote, delete_after, .. } = &self.options;
        let facts = self.facts(call_sid, sid).await?;
        facts.judge()?;
        let answer = match twilio.recording(sid).await {
            Ok(answer) => answer,
            Err(RestError::NotFound) => return self.gone_already(sid).await,
            Err(error) => return Err(error.into()),
        };
        let mut times = Times {
            delete_after: *delete_after,
            now: clock.now(),
            synchronised: clock.synchronised(),
            twilio_now: answer.date,
            created: answer.resource.date_created,
            status: answer.resource.status,
            channels: answer.resource.channels,
        };
        times.judge()?;
        let known = store.archive_objects(call_sid).await?;
        let homes = Homes { vault, remote: remote.as_ref(), known: &known };
        let mut evidence = homes.evidence(sid.clone(), facts, times.clone()).await?;
        // Reading took its time, in which a person may have held the call.
        times.synchronised &= clock.synchronised();
        evidence.times = times;
        evidence.facts = self.facts(call_sid, sid).await?;
        let proof = may_delete(evidence)?;
        self.delete_proven(twilio, call_sid, &proof).await
    }

    /// Has a recording fetched anew whose file here is no good, while Twilio's copy is there to be
    /// fetched.
    async fn heal(&self, sid: &RecordingSid, failure: Failure) -> Failure {
        let Failure::Withheld(Withheld::LocalGone { path } | Withheld::LocalAltered { path, .. }) =
            &failure
        else {
            return failure;
        };
        let DeleteWorkOptions { store, vault, clock, .. } = &self.options;
        let asked = fetch_anew((store, vault), sid, path, clock.now()).await;
        asked.map_or_else(Failure::from, |()| failure)
    }

    async fn delete_proven(
        &self,
        twilio: &Client,
        call_sid: &CallSid,
        proof: &Proof,
    ) -> Result<(), Failure> {
        let DeleteWorkOptions { store, clock, .. } = &self.options;
        let sid = proof.recording_sid();
        let proved = AuditEntry {
            at: clock.now(),
            actor: "fieldtape".to_owned(),
            action: "prove-deletion".to_owned(),
            call_sid: Some(call_sid.clone()),
            detail: Some(proof.to_json().to_string()),
        };
        store.audit(proved).await?;
        let outcome = match twilio.delete_recording(sid).await? {
            Deletion::Deleted => "deleted",
            Deletion::WasNotThere => "was not there",
        };
        let mut told = proof.to_json();
        if let Some(told) = told.as_object_mut() {
            told.insert("outcome".to_owned(), outcome.into());
        }
        store.recording_deleted(sid.clone(), told.to_string(), clock.now()).await?;
        tracing::info!(event = "recording.deleted", recording.sid = %sid, "{sid} is deleted at Twilio: its file here was read again, and what was proved is in the audit trail");
        Ok(())
    }

    /// Somebody else deleted it, or we did and were stopped before the ledger heard of it.
    async fn gone_already(&self, sid: &RecordingSid) -> Result<(), Failure> {
        let told = json!({ "recording_sid": sid.as_str(), "outcome": "was not there" });
        let now = self.options.clock.now();
        self.options.store.recording_deleted(sid.clone(), told.to_string(), now).await?;
        tracing::warn!(event = "recording.gone", recording.sid = %sid, "{sid} is not at Twilio any more; the file here is what there is");
        Ok(())
    }

    /// Asks the ledger, now.
    async fn facts(&self, call_sid: &CallSid, sid: &RecordingSid) -> Result<Facts, Failure> {
        let DeleteWorkOptions { store, remote, asked_for, .. } = &self.options;
        let detail = store.call(call_sid).await?.ok_or(Withheld::NotFetched)?;
        let row = detail.cloud_recordings.iter().find(|row| row.recording_sid == *sid);
        let fetched = row.and_then(|row| {
            let (path, size_bytes) = (row.path.clone()?, row.size_bytes?);
            Some(Fetched { path, size_bytes, sha256: row.sha256.clone()?, channels: row.channels? })
        });
        Ok(Facts {
            asked_for: *asked_for,
            hold: detail.call.hold,
            fetch: status(&detail, Stage::Fetch),
            split: status(&detail, Stage::Split),
            transcript: status(&detail, Stage::Transcript),
            archive: status(&detail, Stage::Archive),
            has_archive: remote.is_some(),
            fetched,
        })
    }
}

/// Says whether Twilio may have a copy that has not been dealt with. One whose file here went by the
/// rules of retention stays: it may be what those relied on.
fn is_there(row: &CloudRecordingRow) -> bool {
    row.twilio_deleted_at.is_none()
        && row.purged_at.is_none()
        && !matches!(&*row.status, "absent" | "failed" | "deleted")
}

fn status(detail: &CallDetail, stage: Stage) -> Option<StageStatus> {
    detail.stages.iter().find(|row| row.stage == stage).map(|row| row.status)
}

impl Work for DeleteWork {
    fn stage(&self) -> Stage {
        Stage::Delete
    }

    /// A copy too many costs a little; it is tried for ever.
    fn attempts_max(&self) -> Option<u32> {
        None
    }

    /// With no room here, Twilio's copies are what new calls are kept by.
    fn held(&self) -> Option<Duration> {
        (self.options.vault.mark() >= Mark::Black).then_some(LOOK_AGAIN)
    }

    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>> {
        Box::pin(self.delete(claim))
    }
}

impl Failure {
    /// Says whether a copy was found to be lost.
    fn is_alarming(&self) -> bool {
        matches!(
            self,
            Self::Withheld(
                Withheld::LocalGone { .. }
                    | Withheld::LocalAltered { .. }
                    | Withheld::FewerChannels { .. }
                    | Withheld::ArchiveLacks { .. }
            )
        )
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        let why = failure.to_string();
        match failure {
            Failure::Store(_) => Self::Again { why },
            Failure::Archive(error) => error.into(),
            Failure::Twilio(error) => of_twilio(&error, why),
            Failure::Withheld(withheld) => of_withheld(&withheld, why),
        }
    }
}

fn of_twilio(error: &RestError, why: String) -> Verdict {
    match error {
        RestError::Unreachable { .. } => Verdict::Unreachable { why },
        RestError::Throttled { after: Some(after) }
        | RestError::Busy { after: Some(after), .. } => {
            Verdict::Waits { waiting_for: WaitingFor::Twilio, why, after: *after }
        }
        RestError::Unauthorized { .. } => Verdict::Never { why },
        // Looking again tells whether it was deleted.
        RestError::Unanswered { .. }
        | RestError::Throttled { after: None }
        | RestError::Busy { after: None, .. }
        | RestError::NotFound
        | RestError::TooEarly
        | RestError::NotDual
        | RestError::BeyondEnd
        | RestError::Refused { .. }
        | RestError::Garbled { .. } => Verdict::Again { why },
    }
}

fn of_withheld(withheld: &Withheld, why: String) -> Verdict {
    let waits = |waiting_for| Verdict::Waits { waiting_for, why: why.clone(), after: LOOK_AGAIN };
    match withheld {
        Withheld::NotAsked => Verdict::Nothing,
        Withheld::Held
        | Withheld::NotFetched
        | Withheld::NotSplit
        | Withheld::NotArchived
        | Withheld::NotCompleted { .. }
        // It is fetched anew.
        | Withheld::LocalGone { .. }
        | Withheld::LocalAltered { .. } => waits(WaitingFor::Recording),
        Withheld::NotTranscribed => waits(WaitingFor::Model),
        Withheld::Undated => waits(WaitingFor::Twilio),
        Withheld::ClockUnsure | Withheld::ClocksApart { .. } => waits(WaitingFor::Clock),
        Withheld::TooYoung { left } => Verdict::Waits {
            waiting_for: WaitingFor::Clock,
            after: (*left).min(YOUNG_AGAIN_MAX),
            why,
        },
        Withheld::FewerChannels { .. } => Verdict::Never { why },
        Withheld::ArchiveLacks { .. } => Verdict::Again { why },
    }
}
