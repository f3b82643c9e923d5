//! The end of a call's recording: one transaction from open files to a ledger that owns them.

use rusqlite::{Transaction, params};

use super::streams::{insert_gaps, sql_count, sql_samples};
use super::{CallId, GapRow, Store, StoreError, calls, chain, summaries};
use crate::clock::BootMoment;
use crate::domain::{CallSid, EndReason, Party, RateHz, Samples8k, Stage, TrackSource, UnixMillis};

/// A sealed file about to become a row.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrack {
    /// Whose voice, as recorded.
    pub party: Party,
    /// Where it came from.
    pub source: TrackSource,
    /// Its rate.
    pub rate: RateHz,
    /// 1 for the first, 2 and up for those begun after an interruption.
    pub part_no: u32,
    /// Relative to the data folder.
    pub path: String,
    /// Where its first sample lies on the call's timeline; none when a crash took that with it,
    /// then it follows what came before.
    pub origin: Option<Samples8k>,
    /// How much of it lies before the call's first sample.
    pub lead: Samples8k,
    /// Its length in samples of its own rate.
    pub samples: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Whether it was closed at start, after a crash.
    pub salvaged: bool,
}

/// How a call's recording ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Finish {
    /// The call.
    pub call: CallId,
    /// Its files.
    pub tracks: Vec<NewTrack>,
    /// Gaps not yet told.
    pub gaps: Vec<GapRow>,
    /// Why it ended, unless Twilio's word is there already.
    pub reason: EndReason,
    /// When it ended, likewise.
    pub ended_at: UnixMillis,
    /// The same by the clock that never jumps, if it was told by our own clock.
    pub ended_boot: Option<BootMoment>,
    /// Now.
    pub at: UnixMillis,
    /// Why there is less than there should be, for a person to read.
    pub trouble: Option<String>,
}

impl Store {
    /// Ends a call's recording: the call, its files, its gaps and the stages that are due now,
    /// together. Telling it twice is telling it once.
    pub async fn finish_call(&self, finish: Finish) -> Result<(), StoreError> {
        self.write(move |tx| apply(tx, &finish)).await
    }

    /// Returns the row of the call named so, making one for a folder that no row speaks of.
    pub async fn adopt_call(
        &self,
        call: calls::NewCall,
        folder: Option<String>,
    ) -> Result<CallId, StoreError> {
        self.write(move |tx| {
            let (id, _) = calls::upsert(tx, &call)?;
            tx.execute(
                "update calls set folder = coalesce(folder, ?1) where id = ?2",
                params![folder, id.0],
            )?;
            Ok(id)
        })
        .await
    }

    /// Picks those calls whose sealed sound no ledger entry speaks of: they are unknown here, or over
    /// without a track, and nothing of theirs is to be deleted.
    pub async fn calls_without_tracks(
        &self,
        call_sids: Vec<CallSid>,
    ) -> Result<Vec<CallSid>, StoreError> {
        self.read(|db| {
            let mut known = db.prepare(
                "select exists (select 1 from calls where call_sid = ?1 and (ended_at_ms is null \
                   or exists (select 1 from tracks where call_id = calls.id))) \
                 or exists (select 1 from garbage where instr(path, ?1) > 0)",
            )?;
            let mut without = Vec::new();
            for call_sid in call_sids {
                if !known.query_row([call_sid.as_str()], |row| row.get::<_, bool>(0))? {
                    without.push(call_sid);
                }
            }
            Ok(without)
        })
        .await
    }

    /// Returns the calls that a stopped program left open.
    pub async fn open_calls(&self) -> Result<Vec<OpenCall>, StoreError> {
        self.read(|db| {
            let mut open = db.prepare(
                "select id, call_sid, folder, coalesce(started_at_ms, created_at_ms) from calls \
                 where ended_at_ms is null or (recording_status = 'recording' and folder is not null \
                   and not exists (select 1 from tracks where call_id = calls.id)) order by id",
            )?;
            let mut rows = open.query([])?;
            let mut calls = Vec::new();
            while let Some(row) = rows.next()? {
                calls.push(OpenCall {
                    call: CallId(row.get(0)?),
                    call_sid: super::read::parse(&row.get::<_, String>(1)?)?,
                    folder: row.get(2)?,
                    started_at: UnixMillis::new(row.get(3)?),
                });
            }
            Ok(calls)
        })
        .await
    }
}

impl Store {
    /// Lists files whose hash is not known yet, oldest first, at most `limit`.
    pub async fn tracks_without_hash(&self, limit: u32) -> Result<Vec<Unhashed>, StoreError> {
        self.read(move |db| {
            let mut paths = db.prepare(
                "select path, sealed_at_ms from tracks where sha256 is null order by id limit ?1",
            )?;
            let rows = paths.query_map([limit], |row| {
                Ok(Unhashed { path: row.get(0)?, sealed_at_ms: row.get(1)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Puts down the SHA-256, in hex, of a file. If another has taken its name since it was found
    /// without one, it is that one's hash that is wanted, and nothing is put down.
    pub async fn track_hashed(&self, file: Unhashed, sha256: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "update tracks set sha256 = ?1 where path = ?2 and sealed_at_ms = ?3",
                params![sha256, file.path, file.sealed_at_ms],
            )?;
            Ok(())
        })
        .await
    }
}

/// A file whose SHA-256 is not known, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unhashed {
    /// Where it is, relative to the data folder.
    pub path: String,
    sealed_at_ms: i64,
}

/// A call that a stopped program left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCall {
    /// The call.
    pub call: CallId,
    /// Twilio's name of it.
    pub call_sid: CallSid,
    /// Where its files are, if it has any.
    pub folder: Option<String>,
    /// When its sound, or else its row, began.
    pub started_at: UnixMillis,
}

fn apply(tx: &Transaction<'_>, finish: &Finish) -> Result<(), StoreError> {
    let call = finish.call;
    let sql = "select exists (select 1 from calls where id = ?1)";
    if !tx.query_row(sql, [call.0], |row| row.get::<_, bool>(0))? {
        // It was erased while its files were sealed: they go the same way.
        for track in &finish.tracks {
            super::garbage::add(tx, &track.path, "erased", finish.at)?;
        }
        return Ok(());
    }
    let is_news = insert_tracks(tx, finish)?;
    insert_gaps(tx, call, &finish.gaps)?;
    tx.execute(
        "update streams set stopped_at_ms = ?1 where call_id = ?2 and stopped_at_ms is null",
        params![finish.at.get(), call.0],
    )?;
    let heard: bool = tx.query_row(
        "select exists (select 1 from tracks where call_id = ?1 and samples > 0)",
        [call.0],
        |row| row.get(0),
    )?;
    let streamed: bool = tx.query_row(
        "select exists (select 1 from streams where call_id = ?1)",
        [call.0],
        |row| row.get(0),
    )?;
    if heard {
        tx.execute("update calls set recording_status = 'completed' where id = ?1", [call.0])?;
        chain::make_due(tx, call, Stage::Transcript, finish.at)?;
        summaries::forget_line(tx, call)?;
        if is_news && super::cloud::has_any(tx, call)? {
            // Twilio's copy was here first: what was heard live is filled from it now.
            super::split::undo(tx, call)?;
            chain::make_due(tx, call, Stage::Split, finish.at)?;
        }
    } else {
        // 'recording' is for a call that is being heard; a copy at Twilio sets it again below.
        let status = if streamed { "failed" } else { "pending" };
        tx.execute(
            "update calls set recording_status = ?1 where id = ?2",
            params![status, call.0],
        )?;
        super::cloud::follow_recordings(tx, call, finish.at)?;
    }
    calls::end(tx, call, finish.reason, (finish.ended_at, finish.ended_boot.as_ref()))?;
    calls::estimate_duration(tx, call)?;
    settle_soundless(tx, call)?;
    chain::refresh(tx, call)?;
    if let Some(trouble) = &finish.trouble {
        tx.execute("update calls set last_error = ?1 where id = ?2", params![trouble, call.0])?;
    }
    Ok(())
}

/// Makes sealed files rows; says whether any of them was not one yet.
fn insert_tracks(tx: &Transaction<'_>, finish: &Finish) -> Result<bool, StoreError> {
    let mut is_news = false;
    for track in &finish.tracks {
        is_news |= insert_track(tx, finish.call, track, finish.at)?;
    }
    Ok(is_news)
}

/// Makes a sealed file a row; says whether that changed anything. One made anew under the same
/// name takes the earlier one's place.
pub(super) fn insert_track(
    tx: &Transaction<'_>,
    call: CallId,
    track: &NewTrack,
    at: UnixMillis,
) -> Result<bool, StoreError> {
    let origin = match track.origin {
        Some(origin) => sql_samples(origin) - sql_samples(track.lead),
        None => end_of_earlier_parts(tx, call, track.part_no)?,
    };
    let again = match track.source {
        TrackSource::Cloud => {
            "(path) do update set samples = excluded.samples, origin_sample = excluded.origin_sample, \
             size_bytes = excluded.size_bytes, sha256 = null, sealed_at_ms = excluded.sealed_at_ms"
        }
        TrackSource::Stream | TrackSource::Microphone | TrackSource::Browser => "do nothing",
    };
    let mut insert = tx.prepare_cached(&format!(
        "insert into tracks (call_id, party, source, rate_hz, part_no, path, origin_sample, \
         samples, size_bytes, salvaged, sealed_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) on conflict {again}"
    ))?;
    let changed = insert.execute(params![
        call.0,
        track.party.as_str(),
        track.source.as_str(),
        track.rate.get(),
        track.part_no,
        track.path,
        origin,
        sql_count(track.samples),
        sql_count(track.size_bytes),
        track.salvaged,
        at.get(),
    ])?;
    Ok(changed > 0)
}

/// Where a part whose place was lost is put: behind everything that came before it.
fn end_of_earlier_parts(
    tx: &Transaction<'_>,
    call: CallId,
    part_no: u32,
) -> Result<i64, StoreError> {
    Ok(tx.query_row(
        "select coalesce(max(origin_sample + samples * 8000 / rate_hz), 0) from tracks \
         where call_id = ?1 and part_no < ?2",
        params![call.0, part_no],
        |row| row.get(0),
    )?)
}

/// A call that is over and left no sound has nothing to write down or archive, unless Twilio has a
/// copy. What became of it is said in a line.
pub(super) fn settle_soundless(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    let (ended, awaited, has_sound): (bool, bool, bool) = tx.query_row(
        "select ended_at_ms is not null, recording_status = 'recording', \
         exists (select 1 from tracks where call_id = calls.id and samples > 0) or exists \
           (select 1 from cloud_recordings where call_id = calls.id and path is not null) \
         from calls where id = ?1",
        [call.0],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    if awaited && !has_sound {
        summaries::forget_line(tx, call)?;
        return chain::unskip(tx, call);
    }
    if ended && !awaited && !has_sound {
        chain::skip(tx, call, Stage::Transcript)?;
        chain::skip(tx, call, Stage::Archive)?;
        chain::due_at_end(tx, call, Stage::Summary)?;
    }
    Ok(())
}
