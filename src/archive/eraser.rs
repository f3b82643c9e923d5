//! Working off what is to be erased in the archive and at Twilio, for as long as it takes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::removal::Removed;
use super::{Error, Remote};
use crate::clock::SharedClock;
use crate::domain::RecordingSid;
use crate::pipeline::{BACKOFF_MAX, Due, Link, pause_after};
use crate::store::{Item, ItemKind, Place, Store, StoreError, Tried};
use crate::twilio::rest::{Client, Deletion, RestError};

/// How often it is looked for something to do.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// Things taken up at once.
const ITEMS_MAX: u32 = 50;

/// What erasing elsewhere needs.
pub struct EraserOptions {
    /// The ledger.
    pub store: Store,
    /// The time.
    pub clock: SharedClock,
    /// What wakes it.
    pub due: Due,
    /// The link to the outside; none when nothing needs it.
    pub link: Option<Link>,
    /// The archive; none when none is configured.
    pub remote: Option<Remote>,
    /// Twilio; none when no account is configured.
    pub twilio: Option<Client>,
}

/// Erases elsewhere what was erased here.
pub struct Eraser {
    options: EraserOptions,
}

/// Why a thing is still there.
struct Left {
    why: String,
    /// Whether the line was at fault.
    unreachable: bool,
    /// How long to wait, if that is known.
    after: Option<Duration>,
}

impl Eraser {
    /// Makes one.
    pub fn new(options: EraserOptions) -> Self {
        Self { options }
    }

    /// Works until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut bell = self.options.due.listen();
        let mut was_up = true;
        loop {
            bell.mark_unchanged();
            let is_up = self.is_up();
            if let Err(error) = self.round(is_up && !was_up, &stop).await {
                tracing::error!(error = %error, "the ledger does not answer the eraser");
            }
            was_up = is_up;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Ok(()) = bell.changed() => {}
                () = self.options.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Takes what can be taken now, and tries what is due. `returned` says that the link has just
    /// come back: what waited for it is due.
    pub async fn round(&self, returned: bool, stop: &CancellationToken) -> Result<(), StoreError> {
        let EraserOptions { store, clock, remote, .. } = &self.options;
        store.take_erasing(clock.now(), remote.is_some()).await?;
        if returned {
            store.hurry_erasures(clock.now()).await?;
        }
        for place in [Place::Archive, Place::Twilio] {
            loop {
                let due = store.erasure_items_due(place, clock.now(), ITEMS_MAX).await?;
                if due.is_empty() || stop.is_cancelled() {
                    break;
                }
                for item in due {
                    self.take(item).await?;
                }
            }
        }
        Ok(())
    }

    fn is_up(&self) -> bool {
        self.options.link.as_ref().is_none_or(Link::is_up)
    }

    async fn take(&self, item: Item) -> Result<(), StoreError> {
        let EraserOptions { store, clock, .. } = &self.options;
        let tried = if self.is_up() {
            match self.try_one(&item).await? {
                Ok(tried) => tried,
                Err(left) => self.later(&item, left).await,
            }
        } else {
            let why = "the network is away".to_owned();
            Tried::Later { why, at: clock.now().plus(BACKOFF_MAX), counted: false }
        };
        match &tried {
            Tried::Later { why, .. } => {
                tracing::warn!(call.sid = %item.call_sid, event = "erase.waiting", error = why, "{} of {} is not erased yet: {why}", item.kind.as_str(), item.call_sid);
            }
            Tried::Gone { .. } | Tried::WasNotThere => {
                tracing::info!(call.sid = %item.call_sid, event = "erase.done", "{} of {} is erased ({})", item.kind.as_str(), item.call_sid, item.place.as_str());
            }
        }
        store.erasure_tried(item, tried, clock.now()).await
    }

    async fn try_one(&self, item: &Item) -> Result<Result<Tried, Left>, StoreError> {
        Ok(match (item.place, item.kind) {
            (Place::Archive, _) => self.object(item).await,
            (Place::Twilio, ItemKind::Recording) => self.recording(item).await,
            (Place::Twilio, _) => return self.call(item).await,
            // What is here is the sweep's.
            (Place::Here, _) => Err(Left::of("it is on this box".to_owned())),
        })
    }

    async fn object(&self, item: &Item) -> Result<Tried, Left> {
        let Some(remote) = &self.options.remote else {
            let why = "no archive is configured any more: configure it again, or delete the object there by hand";
            return Err(Left::of(why.to_owned()));
        };
        match remote.remove(&item.name).await {
            Ok(Removed::Gone { versions }) => {
                let note = (versions > 0).then(|| format!("{versions} versions of it are gone"));
                Ok(Tried::Gone { note })
            }
            Ok(Removed::Hidden) => Ok(Tried::Gone {
                note: Some(
                    "the bucket keeps its older versions, and the archive's key may not remove them \
                     (s3:DeleteObjectVersion): remove them there, or by a rule of the bucket"
                        .to_owned(),
                ),
            }),
            Ok(Removed::WasNotThere) => Ok(Tried::WasNotThere),
            Err(Error::Denied { why }) => Err(Left::of(format!(
                "the archive's key has no right to delete ({why}): give it s3:DeleteObject on the \
                 archive's prefix, or delete the object there by hand"
            ))),
            Err(error @ Error::Unreachable { .. }) => {
                Err(Left { why: error.to_string(), unreachable: true, after: None })
            }
            Err(error) => Err(Left::of(error.to_string())),
        }
    }

    async fn recording(&self, item: &Item) -> Result<Tried, Left> {
        let twilio = self.twilio()?;
        let sid: RecordingSid = item
            .name
            .parse()
            .map_err(|error: crate::domain::BadSid| Left::of(error.to_string()))?;
        Ok(of_deletion(twilio.delete_recording(&sid).await?))
    }

    /// Erases a call's record, once nothing that was recorded of it is left there. What is found
    /// there that was not known here goes too.
    async fn call(&self, item: &Item) -> Result<Result<Tried, Left>, StoreError> {
        let EraserOptions { store, clock, .. } = &self.options;
        let twilio = match self.twilio() {
            Ok(twilio) => twilio,
            Err(left) => return Ok(Err(left)),
        };
        let recordings = match twilio.recordings_of(&item.call_sid).await {
            Ok(recordings) => recordings,
            // Then there is no call either, which the deletion tells.
            Err(RestError::NotFound) => Vec::new(),
            Err(error) => return Ok(Err(error.into())),
        };
        for recording in &recordings {
            store.erase_recording_too(item.clone(), recording.sid.clone(), clock.now()).await?;
        }
        if !recordings.is_empty() {
            let why = format!("{} recordings of it are erased first", recordings.len());
            let at = clock.now().plus(LOOK_EVERY);
            return Ok(Ok(Tried::Later { why, at, counted: false }));
        }
        let deleted = twilio.delete_call(&item.call_sid).await;
        Ok(deleted.map(of_deletion).map_err(Left::from))
    }

    fn twilio(&self) -> Result<&Client, Left> {
        let why = "Twilio's account is not set: set twilio.account_sid and its token";
        self.options.twilio.as_ref().ok_or_else(|| Left::of(why.to_owned()))
    }

    /// Decides when a thing is tried again: with the link away, when that is back.
    async fn later(&self, item: &Item, left: Left) -> Tried {
        let Left { why, unreachable, after } = left;
        let now = self.options.clock.now();
        if unreachable
            && let Some(link) = &self.options.link
            && !link.check().await.is_up()
        {
            return Tried::Later { why, at: now.plus(BACKOFF_MAX), counted: false };
        }
        let pause = after.unwrap_or_else(|| pause_after(item.attempts.saturating_add(1)));
        Tried::Later { why, at: now.plus(pause), counted: true }
    }
}

fn of_deletion(deletion: Deletion) -> Tried {
    match deletion {
        Deletion::Deleted => Tried::Gone { note: None },
        Deletion::WasNotThere => Tried::WasNotThere,
    }
}

impl Left {
    fn of(why: String) -> Self {
        Self { why, unreachable: false, after: None }
    }
}

impl From<RestError> for Left {
    fn from(error: RestError) -> Self {
        let why = error.to_string();
        match error {
            RestError::Unreachable { .. } => Self { why, unreachable: true, after: None },
            RestError::Throttled { after } | RestError::Busy { after, .. } => {
                Self { why, unreachable: false, after }
            }
            RestError::Unauthorized { .. } => Self::of(format!(
                "{why}; the credentials must be allowed to delete recordings and calls"
            )),
            RestError::Unanswered { .. }
            | RestError::NotFound
            | RestError::TooEarly
            | RestError::NotDual
            | RestError::BeyondEnd
            | RestError::Refused { .. }
            | RestError::Garbled { .. } => Self::of(why),
        }
    }
}
