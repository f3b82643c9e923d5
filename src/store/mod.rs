//! The ledger: what is known of every call, in one SQLite file.
//!
//! Invariants: one thread owns the one connection that writes; every change is one transaction
//! that is durable when its method returns (WAL, `synchronous=FULL`); no transaction is open
//! while work runs. A `calls` row's stage columns are derived from `stages` in the transaction
//! that changes them.
//!
//! Not here: files (the vault's), and what to do about a status (the pipeline's). No other room
//! writes SQL.

mod access;
mod announced;
mod archive;
mod calls;
mod chain;
mod clock;
mod cloud;
mod connection;
mod contacts;
mod erasure_items;
mod erasure_rows;
mod erasures;
mod error;
mod figures;
mod finish;
mod garbage;
mod heard;
mod holds;
mod keepsakes;
mod kept;
mod legs;
mod list;
mod notes;
mod numbers;
mod orders;
mod outages;
mod outside;
mod parties;
mod pauses;
mod queue;
mod read;
mod retry;
mod rows;
mod schema;
mod search;
mod split;
mod stages;
mod streams;
mod summaries;
mod survey;
mod transcripts;
mod turns;
mod voices;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

pub use access::{Listed, SecretHash, SessionRow, TokenRow, UserRow};
pub use announced::{AnnouncementRow, Given, Stamp};
pub use archive::ArchiveObject;
pub use calls::{NewCall, StatusOutcome, StatusUpdate};
pub use clock::PutRight;
pub use cloud::{CloudUpdate, Fetched};
pub use contacts::{Contact, Imported};
pub use erasure_rows::{Erasure, Item, ItemKind, ItemStatus, PendingErasure, Place, Tried};
pub use erasures::{Begun, Erasable, ErasureOf, NewErasure};
pub use error::StoreError;
pub use figures::{AtTwilio, KeptOnDay, WrittenOnDay};
pub use finish::{Finish, NewTrack, OpenCall, Unhashed};
pub use heard::HeardWindow;
pub use holds::Held;
pub use keepsakes::{Archived, Keepsake, Piece, Purge, WORDS_NAME};
pub use kept::{PutBack, SignOfLife, put_back};
pub use legs::LegRow;
pub use notes::{Corrected, CorrectionRow, NewCorrection, NoteRow};
pub use numbers::{LastSummary, NumberCursor, NumberPage, NumberRow, OpenItem};
pub use orders::{OrderRow, Ordered, order_window};
pub use outages::Outage;
pub use outside::{
    Inventory, KeptFile, copy_ledger, erased, first_call_at, inventory, ledger_damage,
    ledger_faults,
};
pub use pauses::Pause;
pub use queue::{Pace, QueueItem};
pub use read::AuditEntry;
pub use retry::Retried;
pub use rows::{
    Backlog, Call, CallDetail, CallFilter, CallId, CallPage, CloudRecordingRow, Cursor, FillRow,
    GapRow, SegmentRow, StageRow, TrackRow, TranscriptRow, WordRow,
};
pub use search::{Hit, HitPage, HitPlace, SaidAt, SearchQuery, Snippet, TERMS_MAX};
pub use split::{Fill, Rewritten, Split};
pub use stages::{Claim, Output, Settlement};
pub use streams::{NewStream, StreamEnd, StreamPlace, TokenVerdict};
pub use summaries::{ActionItem, Statement, Stretch, SummaryRow, Told};
pub use survey::{Count, Survey, Trouble, addresses, survey};
pub use voices::{missed, own_source};

use connection::ReadPool;

/// Changes that may wait for the writer: 16 calls x (a gap batch, a stream row, a status, a
/// webhook) each second of a 10 s disk stall, and room for the page.
const INBOX_MAX: usize = 1024;

/// Connections that read. The page and the pipeline seldom ask at once; more would only hold more
/// memory.
const READERS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the ledger; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    inbox: mpsc::Sender<Job>,
    readers: ReadPool,
    /// What is written before it is folded into the ledger's file.
    journal: PathBuf,
    // Joined by nobody: it ends when the last handle drops the inbox, after the last change.
    _writer: std::thread::JoinHandle<()>,
}

impl Store {
    /// Opens the ledger at `path`, making or upgrading it as needed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_telling(path, &(Arc::new(|| {}) as SignOfLife))
    }

    /// Opens the ledger at `path`, making or upgrading it as needed. Before an upgrade a copy of it
    /// is made and checked; `alive` is called again and again meanwhile.
    ///
    /// Fails without touching the file when it was written by a newer program that does not
    /// allow this one.
    pub fn open_telling(path: &Path, alive: &SignOfLife) -> Result<Self, StoreError> {
        let mut writer = connection::open_writer(path)?;
        schema::upgrade(&mut writer, alive)?;
        let readers = ReadPool::open(path, READERS)?;
        let (inbox, mut jobs) = mpsc::channel::<Job>(INBOX_MAX);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || {
                while let Some(job) = jobs.blocking_recv() {
                    job(&mut writer);
                }
                connection::close(writer);
            })
            .map_err(StoreError::Thread)?;
        let journal = connection::journal(path);
        Ok(Self { inner: Arc::new(Inner { inbox, readers, journal, _writer: thread }) })
    }

    /// Runs `change` in one transaction and returns when it is durable. The change takes its place
    /// in line at once, not when the answer is first waited for.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + 'static {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more when the asker timed out; the change stands all the same.
            let _ = reply.send(transact(connection, change));
        });
        let inbox = self.inner.inbox.clone();
        let sent = inbox.try_send(job);
        async move {
            if let Err(mpsc::error::TrySendError::Full(job)) = sent {
                inbox.send(job).await.map_err(|_closed| StoreError::Closed)?;
            }
            answer.await.map_err(|_dropped| StoreError::Closed)?
        }
    }

    /// Puts `change` in the writer's inbox without waiting for it; a failure is logged by `what`.
    fn submit(
        &self,
        what: &'static str,
        change: impl FnOnce(&Transaction<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        let job: Job = Box::new(move |connection| {
            if let Err(error) = transact(connection, change) {
                tracing::error!(error = %error, "the ledger could not take {what}");
            }
        });
        self.inner.inbox.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Runs `question` on a connection that sees the last durable state.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.inner.readers.ask(question).await
    }

    /// Sets room aside on the disk, so that the ledger takes changes when others have filled it.
    /// Where the file system sets none aside, that is as it is.
    pub async fn set_room_aside(&self) -> Result<(), StoreError> {
        let journal = self.inner.journal.clone();
        let asked = tokio::task::spawn_blocking(move || connection::set_room_aside(&journal));
        asked.await.map_err(|_panicked| StoreError::Closed)?.map_err(StoreError::Room)
    }

    /// Folds what was written lately into the ledger's file and empties the journal, so that what
    /// was deleted stands in neither. False while somebody reads what was before.
    pub async fn fold(&self) -> Result<bool, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any more when the asker timed out; it is folded all the same.
            let _ = reply.send(connection::fold(connection));
        });
        self.inner.inbox.send(job).await.map_err(|_closed| StoreError::Closed)?;
        answer.await.map_err(|_dropped| StoreError::Closed)?
    }

    /// Returns the size of the ledger's file, and of its journal.
    pub async fn size_bytes(&self) -> Result<u64, StoreError> {
        let journal = self.inner.journal.clone();
        let of_file = self
            .read(|db| {
                Ok(db.query_row(
                    "select page_count * page_size from pragma_page_count, pragma_page_size",
                    [],
                    |row| row.get::<_, u64>(0),
                )?)
            })
            .await?;
        Ok(of_file + std::fs::metadata(journal).map_or(0, |meta| meta.len()))
    }

    /// Proves that the ledger takes changes, by making one.
    pub async fn prove_writable(&self) -> Result<(), StoreError> {
        self.write(|tx| {
            tx.execute(
                "insert into meta (key, value) values ('proved_writable', '1') \
                 on conflict (key) do update set value = value + 1",
                [],
            )?;
            Ok(())
        })
        .await
    }
}

fn transact<T>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let out = change(&tx)?;
    tx.commit()?;
    Ok(out)
}

#[cfg(test)]
mod tests;
