//! What is kept of finished calls, piece by piece, with where else the same is had; and letting
//! pieces go.

use std::collections::HashMap;

use rusqlite::{Connection, Row, Transaction, params};

use super::{CallId, Store, StoreError, garbage, read, summaries};
use crate::domain::{CallSid, Party, PieceKind, RecordingSid, Stage, TrackSource, UnixMillis};

/// Calls looked at once, the oldest: more than fit on the largest card with a minute each.
const CALLS_MAX: u32 = 100_000;

/// What is kept of a call, as the ledger knows it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Keepsake {
    /// Its row.
    pub call: CallId,
    /// Twilio's name of it.
    pub call_sid: CallSid,
    /// When it began, by the wall clock as it stood.
    pub began_at: UnixMillis,
    /// When it ended, by the wall clock as it stood; none while it lasts.
    pub ended_at: Option<UnixMillis>,
    /// Whether those are certain: the clock was right then.
    pub dated: bool,
    /// Whether its files are the ledger's: nobody writes to them any more.
    pub sealed: bool,
    /// Whether a person holds it.
    pub hold: bool,
    /// Whether an erasure is about to take it.
    pub erasing: bool,
    /// Whether any stage of it is being worked on.
    pub under_way: bool,
    /// The first of its stages that may still need what is here.
    pub undone: Option<Stage>,
    /// Whether its copy at Twilio is to be deleted, for which the file here is read again.
    pub deleting: bool,
    /// What there is.
    pub pieces: Vec<Piece>,
}

/// A piece of what is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// What it is.
    pub kind: PieceKind,
    /// A file's path relative to the data folder; a word for what is no file.
    pub name: String,
    /// Its size; 0 for what is no file.
    pub size_bytes: u64,
    /// SHA-256 in hex, once known.
    pub sha256: Option<String>,
    /// Whose voice it is; none for both.
    pub party: Option<Party>,
    /// Where its sound came from.
    pub source: Option<TrackSource>,
    /// Which part, or of which of the call's recordings.
    pub part_no: u32,
    /// The archive's copy of the same bytes.
    pub archived: Option<Archived>,
    /// The recording at Twilio that it is the copy of, while that is there.
    pub at_twilio: Option<RecordingSid>,
}

/// What the archive has shown of a piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// Its key below the archive's prefix.
    pub key: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 in hex.
    pub sha256: String,
    /// The archive's own mark of it, when it was proven.
    pub etag: Option<String>,
}

/// Pieces of a call that are to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purge {
    /// The call as it was when that was decided.
    pub expected: Keepsake,
    /// The names of the pieces.
    pub names: Vec<String>,
    /// Why, for the audit trail.
    pub detail: String,
    /// Who asked for it, as in the audit trail.
    pub actor: String,
    /// Now.
    pub at: UnixMillis,
}

/// The name of the piece that is no file.
pub const WORDS_NAME: &str = "transcript";

impl Store {
    /// Lists what is kept of calls, the oldest call first.
    pub async fn keepsakes(&self) -> Result<Vec<Keepsake>, StoreError> {
        self.read(|db| load(db, None)).await
    }

    /// Lets pieces of a call go: the deed is in the audit trail, the rows are gone, and the files
    /// are garbage, together. False, and nothing is changed, if the call is not as it was any more.
    pub async fn purge(&self, purge: Purge) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let now = load(tx, Some(purge.expected.call))?.pop();
            if now.as_ref() != Some(&purge.expected) {
                return Ok(false);
            }
            apply(tx, &purge)?;
            Ok(true)
        })
        .await
    }

    /// Makes a call's archiving due again: the archive does not show what it has shown before.
    pub async fn archive_lost(&self, call: CallId, at: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| {
            super::chain::make_due(tx, call, Stage::Archive, at)?;
            super::chain::refresh(tx, call)
        })
        .await
    }
}

fn apply(tx: &Transaction<'_>, purge: &Purge) -> Result<(), StoreError> {
    let Purge { expected, names, detail, actor, at } = purge;
    let call = expected.call;
    tx.execute(
        "insert into audit (at_ms, actor, action, call_sid, detail) values (?1, ?2, 'purge', ?3, ?4)",
        params![at.get(), actor, expected.call_sid.as_str(), detail],
    )?;
    for name in names {
        let Some(piece) = expected.pieces.iter().find(|piece| piece.name == *name) else {
            continue;
        };
        match piece.kind {
            PieceKind::Wide | PieceKind::Narrow | PieceKind::Channel => {
                garbage::throw_away(tx, std::slice::from_ref(name), "purged", *at)?;
            }
            PieceKind::Copy => {
                tx.execute(
                    "update cloud_recordings set path = null, purged_at_ms = ?1 where path = ?2",
                    params![at.get(), name],
                )?;
                garbage::add(tx, name, "purged", *at)?;
            }
            PieceKind::Words => {
                tx.execute("delete from transcripts where call_id = ?1", [call.0])?;
                summaries::go_with_the_words(tx, call)?;
                tx.execute(
                    "update calls set words_purged_at_ms = ?1 where id = ?2",
                    params![at.get(), call.0],
                )?;
            }
        }
    }
    tx.execute(
        "update calls set sound_purged_at_ms = ?1 where id = ?2 \
         and not exists (select 1 from tracks where call_id = calls.id and samples > 0) \
         and not exists (select 1 from cloud_recordings where call_id = calls.id and path is not null)",
        params![at.get(), call.0],
    )?;
    Ok(())
}

/// Reads what is kept of one call, or of all.
fn load(db: &Connection, only: Option<CallId>) -> Result<Vec<Keepsake>, StoreError> {
    let (filter, call) = match only {
        Some(call) => ("and calls.id = ?1", call.0),
        // A condition that names the parameter and asks nothing of it.
        None => ("and ?1 = 0", 0),
    };
    let mut kept = calls(db, filter, call)?;
    let places: HashMap<CallId, usize> =
        kept.iter().enumerate().map(|(place, kept)| (kept.call, place)).collect();
    let mut add = |call: CallId, piece: Piece| {
        if let Some(kept) = places.get(&call).and_then(|place| kept.get_mut(*place)) {
            kept.pieces.push(piece);
        }
    };
    for sql in [TRACKS, COPIES, WORDS] {
        let mut found = db.prepare_cached(&sql.replace("{filter}", filter))?;
        let mut rows = found.query([call])?;
        while let Some(row) = rows.next()? {
            add(CallId(row.get(0)?), piece(row)?);
        }
    }
    kept.retain(|kept| !kept.pieces.is_empty());
    Ok(kept)
}

/// A call whose stream has ended and whose files are not rows yet is still being sealed.
fn calls(db: &Connection, filter: &str, call: i64) -> Result<Vec<Keepsake>, StoreError> {
    let sql = format!(
        "select calls.id, call_sid, coalesce(started_at_ms, created_at_ms), ended_at_ms, \
           clock_synced, hold, erasing is not null, \
           exists (select 1 from stages where call_id = calls.id and status = 'processing'), \
           (select stage from stages where call_id = calls.id and stage <> 'delete' \
              and (status in ('pending', 'processing') \
                or (status = 'failed' and stage in ('split', 'transcript', 'archive'))) \
              order by instr('fetch split transcript archive summary', stage) limit 1), \
           exists (select 1 from stages where call_id = calls.id and stage = 'delete' \
             and status in ('pending', 'processing', 'failed')), \
           not exists (select 1 from streams where call_id = calls.id and stopped_at_ms is null) \
             and (recording_status <> 'recording' \
               or not exists (select 1 from streams where call_id = calls.id)) \
         from calls where true {filter} \
         order by coalesce(started_at_ms, created_at_ms), calls.id limit {CALLS_MAX}"
    );
    let mut found = db.prepare_cached(&sql)?;
    let mut rows = found.query([call])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        let ended_at: Option<i64> = row.get(3)?;
        kept.push(Keepsake {
            call: CallId(row.get(0)?),
            call_sid: read::word(row, 1)?,
            began_at: UnixMillis::new(row.get(2)?),
            ended_at: ended_at.map(UnixMillis::new),
            dated: row.get(4)?,
            hold: row.get(5)?,
            erasing: row.get(6)?,
            under_way: row.get(7)?,
            undone: read::optional_word(row, 8)?,
            deleting: row.get(9)?,
            sealed: row.get(10)?,
            pieces: Vec::new(),
        });
    }
    Ok(kept)
}

/// Columns: call, kind, name, size, hash, party, source, part, then the archive's copy (key, size,
/// hash, mark) and the recording at Twilio.
const TRACKS: &str = "select tracks.call_id, \
      case when rate_hz = 16000 then '16khz' when source = 'cloud' then 'cloud_channel' else '8khz' end, \
      tracks.path, tracks.size_bytes, tracks.sha256, party, source, part_no, \
      object_key, o.size_bytes, o.sha256, o.etag, null \
    from calls join tracks on tracks.call_id = calls.id \
    left join archive_objects o on o.call_id = calls.id and o.path = tracks.path \
    where true {filter} order by tracks.call_id, part_no, party, rate_hz";

const COPIES: &str = "select c.call_id, 'cloud_copy', c.path, c.size_bytes, c.sha256, null, 'cloud', \
      (select count(*) from cloud_recordings before \
        where before.call_id = c.call_id and before.id <= c.id), \
      object_key, o.size_bytes, o.sha256, o.etag, \
      iif(c.status = 'completed' and c.twilio_deleted_at_ms is null, c.recording_sid, null) \
    from calls join cloud_recordings c on c.call_id = calls.id \
    left join archive_objects o on o.call_id = calls.id and o.path = c.path \
    where c.path is not null {filter} order by c.call_id, c.id";

/// What the archive has of the words is text made from them, so no hash here can be that of it.
const WORDS: &str = "select t.call_id, 'transcript', 'transcript', 0, null, null, null, 1, \
      object_key, o.size_bytes, o.sha256, o.etag, null \
    from calls join transcripts t on t.call_id = calls.id \
    left join archive_objects o on o.call_id = calls.id and o.object_key like '%/transcript.json' \
      and o.proven_at_ms >= coalesce(t.changed_at_ms, t.created_at_ms) \
    where true {filter} order by t.call_id";

fn piece(row: &Row<'_>) -> Result<Piece, StoreError> {
    let kind: PieceKind = read::word(row, 1)?;
    let (size_bytes, sha256): (u64, Option<String>) = (row.get(3)?, row.get(4)?);
    let key: Option<String> = row.get(8)?;
    let archived = match key {
        Some(key) => {
            let archived =
                Archived { key, size_bytes: row.get(9)?, sha256: row.get(10)?, etag: row.get(11)? };
            let same =
                sha256.as_ref() == Some(&archived.sha256) && size_bytes == archived.size_bytes;
            (same || kind == PieceKind::Words).then_some(archived)
        }
        None => None,
    };
    Ok(Piece {
        kind,
        name: row.get(2)?,
        size_bytes,
        sha256,
        party: read::optional_word(row, 5)?,
        source: read::optional_word(row, 6)?,
        part_no: row.get(7)?,
        archived,
        at_twilio: read::optional_word(row, 12)?,
    })
}
