//! Questions to the ledger.

use std::str::FromStr;

use rusqlite::types::FromSql;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    Call, CallDetail, CallId, CloudRecordingRow, FillRow, GapRow, SegmentRow, StageRow, Store,
    StoreError, TrackRow, TranscriptRow, announced, legs, notes, summaries, transcripts,
};
use crate::domain::{CallSid, Party, RateHz, Samples8k, UnixMillis};

/// What somebody did or heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: UnixMillis,
    /// Who: a user, a token, or `local`.
    pub actor: String,
    /// What: `play`, `download`, `export`, `retry`, …
    pub action: String,
    /// To which call.
    pub call_sid: Option<CallSid>,
    /// Which part of it.
    pub detail: Option<String>,
}

pub(super) const CALL_COLUMNS: &str = "id, call_sid, direction, origin, from_number, to_number, call_status, \
    end_reason, created_at_ms, started_at_ms, ended_at_ms, clock_synced, duration_s, \
    duration_source, recording_status, transcript_status, summary_status, archive_status, \
    last_error, retry_count, waiting_for, parties_swapped, hold, hold_note, sound_purged_at_ms, \
    words_purged_at_ms, folder, live_copy, declined_at_ms, \
    (select min(next_attempt_at_ms) from stages where call_id = calls.id and status = 'pending' \
     and attempts > 0) as next_attempt_at_ms, \
    (select name from contacts where number = calls.other_number) as name";

impl Store {
    /// Returns a call with all that belongs to it.
    pub async fn call(&self, call_sid: &CallSid) -> Result<Option<CallDetail>, StoreError> {
        let call_sid = call_sid.clone();
        self.read(move |db| detail_of(db, &call_sid)).await
    }

    /// Returns a call with all that belongs to it, each party as it was recorded, whoever was
    /// swapped since. What writes rows works with this.
    pub async fn call_as_recorded(
        &self,
        call_sid: &CallSid,
    ) -> Result<Option<CallDetail>, StoreError> {
        let call_sid = call_sid.clone();
        self.read(move |db| recorded_detail(db, &call_sid)).await
    }

    /// Returns a call's conversation, if it has one.
    pub async fn transcript(
        &self,
        call_sid: &CallSid,
    ) -> Result<Option<TranscriptRow>, StoreError> {
        let call_sid = call_sid.clone();
        self.read(move |db| transcript_of(db, &call_sid)).await
    }

    /// Adds to the trail of who heard or did what; returns when it is durable.
    pub async fn audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute(
                "insert into audit (at_ms, actor, action, call_sid, detail) \
                 values (?1, ?2, ?3, ?4, ?5)",
                params![
                    entry.at.get(),
                    entry.actor,
                    entry.action,
                    entry.call_sid.as_ref().map(CallSid::as_str),
                    entry.detail
                ],
            )?;
            Ok(())
        })
        .await
    }
}

/// Reads a call with all that belongs to it, as people see it.
pub(super) fn detail_of(
    db: &Connection,
    call_sid: &CallSid,
) -> Result<Option<CallDetail>, StoreError> {
    let recorded = recorded_detail(db, call_sid)?;
    Ok(recorded.map(|mut detail| {
        if detail.call.parties_swapped {
            swap(&mut detail);
        }
        detail.tracks.sort_by_key(|track| (track.party, track.source, track.part_no, track.rate));
        detail
    }))
}

fn recorded_detail(db: &Connection, call_sid: &CallSid) -> Result<Option<CallDetail>, StoreError> {
    // By any name that Twilio, or before Twilio this box, has for it.
    let sql = format!(
        "select {CALL_COLUMNS} from calls where id = coalesce( \
           (select id from calls where call_sid = ?1), \
           (select call_id from legs where call_sid = ?1), \
           (select call_id from orders where first_sid = ?1))"
    );
    let call =
        db.query_row(&sql, [call_sid.as_str()], |row| Ok(call_row(row))).optional()?.transpose()?;
    call.map(|call| detail(db, call)).transpose()
}

/// Reads a call's conversation as people see it.
pub(super) fn transcript_of(
    db: &Connection,
    call_sid: &CallSid,
) -> Result<Option<TranscriptRow>, StoreError> {
    let mut found = db.prepare_cached(
        "select call_id, source, language, model, dropped, parties_swapped \
         from transcripts join calls on calls.id = call_id where call_sid = ?1",
    )?;
    let mut rows = found.query([call_sid.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let segments = segments(db, row.get(0)?, row.get(5)?)?;
    Ok(Some(TranscriptRow {
        source: word(row, 1)?,
        language: row.get(2)?,
        model: row.get(3)?,
        dropped: row.get(4)?,
        segments,
    }))
}

fn detail(db: &Connection, call: Call) -> Result<CallDetail, StoreError> {
    let id = call.id.0;
    let mut stages = collect(
        db,
        "select stage, status, attempts, last_error, waiting_for, next_attempt_at_ms, \
         updated_at_ms from stages where call_id = ?1",
        id,
        stage_row,
    )?;
    stages.sort_by_key(|row| row.stage);
    let mut tracks = collect(
        db,
        "select party, source, rate_hz, part_no, path, origin_sample, samples, size_bytes, sha256, \
         salvaged from tracks where call_id = ?1",
        id,
        track_row,
    )?;
    let gaps = collect(
        db,
        "select party, source, start_sample, end_sample, reason from gaps where call_id = ?1 \
         order by start_sample",
        id,
        gap_row,
    )?;
    let fills = collect(
        db,
        "select party, start_sample, end_sample, recording_sid from fills \
         join cloud_recordings on cloud_recordings.id = recording_id where fills.call_id = ?1 \
         order by start_sample",
        id,
        fill_row,
    )?;
    tracks.sort_by_key(|track| (track.party, track.source, track.part_no, track.rate));
    let cloud_recordings = collect(
        db,
        "select recording_sid, status, channels, duration_s, path, size_bytes, sha256, \
         twilio_deleted_at_ms, started_at_ms, error_code, frames, origin_sample, \
         split_at_ms is not null, purged_at_ms from cloud_recordings where call_id = ?1 order by id",
        id,
        cloud_row,
    )?;
    let legs = collect(db, legs::OF_CALL, id, legs::leg_row)?;
    let announcements = collect(db, announced::OF_CALL, id, announced::announcement_row)?;
    Ok(CallDetail {
        summary: summaries::of(db, call.id)?,
        notes: notes::notes(db, call.id)?,
        corrections: notes::corrections(db, call.id, call.parties_swapped)?,
        call,
        stages,
        tracks,
        gaps,
        fills,
        cloud_recordings,
        legs,
        announcements,
    })
}

/// Exchanges the two parties, but not whose own microphone it is.
fn swap(detail: &mut CallDetail) {
    let CallDetail { tracks, gaps, fills, .. } = detail;
    let tracks = tracks.iter_mut().filter(|track| !track.source.is_own());
    let gaps = gaps.iter_mut().filter(|gap| !gap.source.is_own());
    let named = tracks.map(|track| &mut track.party);
    let named = named.chain(gaps.map(|gap| &mut gap.party));
    for party in named.chain(fills.iter_mut().map(|fill| &mut fill.party)) {
        *party = party.other();
    }
}

fn collect<T>(
    db: &Connection,
    sql: &str,
    call: i64,
    read: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut found = db.prepare_cached(sql)?;
    let mut rows = found.query([call])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(row)?);
    }
    Ok(out)
}

pub(super) fn call_row(row: &Row<'_>) -> Result<Call, StoreError> {
    let duration: Option<u32> = row.get("duration_s")?;
    let duration_source = optional_word(row, "duration_source")?;
    Ok(Call {
        id: CallId(row.get("id")?),
        call_sid: word(row, "call_sid")?,
        name: row.get("name")?,
        direction: word(row, "direction")?,
        origin: word(row, "origin")?,
        from_number: row.get("from_number")?,
        to_number: row.get("to_number")?,
        call_status: row.get("call_status")?,
        end_reason: optional_word(row, "end_reason")?,
        created_at: UnixMillis::new(row.get("created_at_ms")?),
        started_at: moment(row, "started_at_ms")?,
        ended_at: moment(row, "ended_at_ms")?,
        clock_synced: row.get("clock_synced")?,
        duration: duration.zip(duration_source),
        recording_status: word(row, "recording_status")?,
        transcript_status: word(row, "transcript_status")?,
        summary_status: word(row, "summary_status")?,
        archive_status: word(row, "archive_status")?,
        last_error: row.get("last_error")?,
        retry_count: row.get("retry_count")?,
        waiting_for: optional_word(row, "waiting_for")?,
        next_attempt_at: moment(row, "next_attempt_at_ms")?,
        parties_swapped: row.get("parties_swapped")?,
        hold: row.get("hold")?,
        hold_note: row.get("hold_note")?,
        sound_purged_at: moment(row, "sound_purged_at_ms")?,
        words_purged_at: moment(row, "words_purged_at_ms")?,
        folder: row.get("folder")?,
        live_copy: row.get("live_copy")?,
        declined_at: moment(row, "declined_at_ms")?,
    })
}

fn stage_row(row: &Row<'_>) -> Result<StageRow, StoreError> {
    Ok(StageRow {
        stage: word(row, 0)?,
        status: word(row, 1)?,
        attempts: row.get(2)?,
        last_error: row.get(3)?,
        waiting_for: optional_word(row, 4)?,
        next_attempt_at: UnixMillis::new(row.get(5)?),
        updated_at: UnixMillis::new(row.get(6)?),
    })
}

fn track_row(row: &Row<'_>) -> Result<TrackRow, StoreError> {
    let rate_hz: u32 = row.get(2)?;
    let origin: i64 = row.get(5)?;
    let (origin, lead) = (origin.max(0).unsigned_abs(), origin.min(0).unsigned_abs());
    Ok(TrackRow {
        party: word(row, 0)?,
        source: word(row, 1)?,
        rate: RateHz::from_hz(rate_hz)
            .ok_or_else(|| StoreError::BadRow { what: format!("a rate of {rate_hz} Hz") })?,
        part_no: row.get(3)?,
        path: row.get(4)?,
        origin: Samples8k::new(origin),
        lead: Samples8k::new(lead),
        samples: row.get(6)?,
        size_bytes: row.get(7)?,
        sha256: row.get(8)?,
        salvaged: row.get(9)?,
    })
}

fn gap_row(row: &Row<'_>) -> Result<GapRow, StoreError> {
    Ok(GapRow {
        party: word(row, 0)?,
        source: word(row, 1)?,
        start: Samples8k::new(row.get(2)?),
        end: Samples8k::new(row.get(3)?),
        reason: word(row, 4)?,
    })
}

fn fill_row(row: &Row<'_>) -> Result<FillRow, StoreError> {
    Ok(FillRow {
        party: word(row, 0)?,
        start: Samples8k::new(row.get(1)?),
        end: Samples8k::new(row.get(2)?),
        recording_sid: word(row, 3)?,
    })
}

fn cloud_row(row: &Row<'_>) -> Result<CloudRecordingRow, StoreError> {
    Ok(CloudRecordingRow {
        recording_sid: word(row, 0)?,
        status: row.get(1)?,
        channels: row.get(2)?,
        duration_s: row.get(3)?,
        path: row.get(4)?,
        size_bytes: row.get(5)?,
        sha256: row.get(6)?,
        twilio_deleted_at: moment(row, 7)?,
        started_at: moment(row, 8)?,
        error_code: row.get(9)?,
        frames: row.get(10)?,
        origin_8k: row.get(11)?,
        split: row.get(12)?,
        purged_at: moment(row, 13)?,
    })
}

fn segments(db: &Connection, call: i64, swapped: bool) -> Result<Vec<SegmentRow>, StoreError> {
    let mut found = db.prepare_cached(
        "select party, start_ms, end_ms, text, confidence, avg_logprob, no_speech_prob, words \
         from segments where call_id = ?1 order by start_ms, id",
    )?;
    let mut rows = found.query([call])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        let party: Party = word(row, 0)?;
        out.push(SegmentRow {
            party: if swapped { party.other() } else { party },
            start_ms: row.get(1)?,
            end_ms: row.get(2)?,
            text: row.get(3)?,
            confidence: row.get(4)?,
            avg_logprob: row.get(5)?,
            no_speech_prob: row.get(6)?,
            words: transcripts::words(row.get::<_, Option<String>>(7)?.as_deref())?,
        });
    }
    Ok(out)
}

pub(super) fn word<T>(row: &Row<'_>, column: impl rusqlite::RowIndex) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    parse(&get::<String>(row, column)?)
}

pub(super) fn optional_word<T>(
    row: &Row<'_>,
    column: impl rusqlite::RowIndex,
) -> Result<Option<T>, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    get::<Option<String>>(row, column)?.map(|text| parse(&text)).transpose()
}

pub(super) fn moment(
    row: &Row<'_>,
    column: impl rusqlite::RowIndex,
) -> Result<Option<UnixMillis>, StoreError> {
    Ok(get::<Option<i64>>(row, column)?.map(UnixMillis::new))
}

fn get<T: FromSql>(row: &Row<'_>, column: impl rusqlite::RowIndex) -> Result<T, StoreError> {
    Ok(row.get(column)?)
}

/// Reads one of the domain's words back from the ledger.
pub(super) fn parse<T>(text: &str) -> Result<T, StoreError>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::BadRow { what: error.to_string() })
}
