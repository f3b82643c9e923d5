//! Media streams: their one-time tokens, their rows, their gaps.

use std::time::Duration;

use rusqlite::{OptionalExtension, params};

use super::calls::{self, NewCall};
use super::clock::{in_scale, told_by_boot, whole_ms};
use super::{CallId, GapRow, Store, StoreError};
use crate::clock::{BootMoment, Reading};
use crate::domain::{CallSid, Samples8k, StreamSid, UnixMillis};

/// How long a stream's token is good: Twilio connects within seconds of the TwiML, or never.
const TOKEN_LIFE: Duration = Duration::from_mins(10);

/// No call is longer, at Twilio.
const CALL_MAX: Duration = Duration::from_hours(24);

/// What a stream's token proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenVerdict {
    /// Ours, for this call, used for the first time just now.
    Good(CallId),
    /// Ours, but used before.
    Spent,
    /// Ours, but older than ten minutes.
    Expired,
    /// Not ours, or another call's.
    Unknown,
}

/// A stream as it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct NewStream {
    /// Its call, as far as the stream describes it, should it be unknown here.
    pub call: NewCall,
    /// Twilio's name of it.
    pub stream_sid: StreamSid,
    /// Whether it brought our token.
    pub verified: bool,
    /// When it began, by the clock that never jumps.
    pub boot: BootMoment,
}

/// Where a stream's sound belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlace {
    /// Its call.
    pub call: CallId,
    /// The call's folder, when it has sound already.
    pub folder: Option<String>,
    /// How long before this stream that sound began; none when it has none.
    pub sound_since: Option<Duration>,
}

/// A stream as it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEnd {
    /// Twilio's name of it.
    pub stream_sid: StreamSid,
    /// When.
    pub at: UnixMillis,
    /// Where its first sound lies on the call's timeline; none if it brought none.
    pub origin: Option<Samples8k>,
    /// Media messages taken.
    pub frames: u64,
    /// Late, repeated or unreadable ones.
    pub frames_skipped: u64,
}

impl Store {
    /// Uses up a call's token; of two askers only one gets [`TokenVerdict::Good`]. How old it is, is
    /// told by the clock that never jumps; by the wall clock only if that was right then and is now.
    pub async fn spend_token(
        &self,
        token_hash: String,
        call_sid: CallSid,
        now: Reading,
    ) -> Result<TokenVerdict, StoreError> {
        self.write(move |tx| {
            let known: Option<(i64, Option<i64>, i64)> = tx
                .query_row(
                    "select call_id, spent_at_ms, \
                       iif(t.boot_id = ?3, ?4 - t.boot_ms, iif(clock_synced and ?6, ?5 - issued_at_ms, 0)) \
                     from stream_tokens t join calls on calls.id = call_id \
                     where token_hash = ?1 and call_sid = ?2",
                    params![
                        token_hash,
                        call_sid.as_str(),
                        now.boot.boot_id,
                        whole_ms(&now.boot),
                        now.at.get(),
                        now.synchronised
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()?;
            let Some((call, spent_at_ms, age_ms)) = known else {
                return Ok(TokenVerdict::Unknown);
            };
            if spent_at_ms.is_some() {
                return Ok(TokenVerdict::Spent);
            }
            if Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)) > TOKEN_LIFE {
                return Ok(TokenVerdict::Expired);
            }
            tx.execute(
                "update stream_tokens set spent_at_ms = ?1 where token_hash = ?2",
                params![now.at.get(), token_hash],
            )?;
            Ok(TokenVerdict::Good(CallId(call)))
        })
        .await
    }

    /// Writes down a stream that began, and its call if need be. A call that we gave up as
    /// interrupted is live again. What is told after this call is written after it, even if the
    /// answer has not been waited for.
    pub fn stream_started(
        &self,
        stream: NewStream,
    ) -> impl Future<Output = Result<StreamPlace, StoreError>> + Send + 'static {
        self.write(move |tx| {
            let (call, _) = calls::upsert(tx, &stream.call)?;
            tx.execute(
                "insert into streams (call_id, stream_sid, verified, started_at_ms, boot_ms, \
                 boot_id, clock_synced) values (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 on conflict (stream_sid) do update set stopped_at_ms = null",
                params![
                    call.0,
                    stream.stream_sid.as_str(),
                    stream.verified,
                    stream.call.at.get(),
                    whole_ms(&stream.boot),
                    stream.boot.boot_id.as_deref().unwrap_or("unknown"),
                    stream.call.clock_synced,
                ],
            )?;
            tx.execute("update calls set recording_status = 'recording' where id = ?1", [call.0])?;
            tx.execute(
                "update calls set ended_at_ms = null, end_reason = null, duration_s = null, \
                 duration_source = null where id = ?1 and end_reason = 'interrupted' \
                 and coalesce(duration_source, '') <> 'twilio'",
                [call.0],
            )?;
            let folder =
                tx.query_row("select folder from calls where id = ?1", [call.0], |row| row.get(0))?;
            Ok(StreamPlace { call, folder, sound_since: sound_since(tx, call, &stream)? })
        })
    }

    /// Puts down when and where the call's sound began. The first word stands.
    pub fn sound_began(
        &self,
        call: CallId,
        (at, boot): (UnixMillis, BootMoment),
        folder: String,
    ) -> Result<(), StoreError> {
        self.submit("the start of a call's sound", move |tx| {
            let started_at = in_scale(tx, call, (at, Some(&boot)))?;
            tx.execute(
                "update calls set started_at_ms = coalesce(started_at_ms, ?1), \
                 folder = coalesce(folder, ?2) where id = ?3",
                params![started_at.get(), folder, call.0],
            )?;
            Ok(())
        })
    }

    /// Gives a call the folder its files go to, unless it has one; returns the one it has.
    pub async fn give_folder(&self, call: CallId, folder: String) -> Result<String, StoreError> {
        self.write(move |tx| {
            Ok(tx.query_row(
                "update calls set folder = coalesce(folder, ?1) where id = ?2 returning folder",
                params![folder, call.0],
                |row| row.get(0),
            )?)
        })
        .await
    }

    /// Writes down gaps as they become known. A gap told twice is one.
    pub fn gaps_found(&self, call: CallId, gaps: Vec<GapRow>) -> Result<(), StoreError> {
        self.submit("a call's gaps", move |tx| insert_gaps(tx, call, &gaps))
    }

    /// Writes down that a stream ended. Its call goes on until it is finished.
    pub fn stream_stopped(&self, end: StreamEnd) -> Result<(), StoreError> {
        self.submit("the end of a stream", move |tx| {
            tx.execute(
                "update streams set stopped_at_ms = ?1, origin_sample = ?2, frames = ?3, \
                 frames_skipped = ?4 where stream_sid = ?5",
                params![
                    end.at.get(),
                    end.origin.map(sql_samples),
                    sql_count(end.frames),
                    sql_count(end.frames_skipped),
                    end.stream_sid.as_str()
                ],
            )?;
            Ok(())
        })
    }

    /// Keeps what Twilio's stream-error callback said; says whether the stream is known.
    pub async fn stream_error(
        &self,
        stream_sid: StreamSid,
        error: String,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let changed = tx.execute(
                "update streams set error = ?1 where stream_sid = ?2",
                params![error, stream_sid.as_str()],
            )?;
            Ok(changed > 0)
        })
        .await
    }
}

/// Says how long before a stream the sound of its call began. Where no clock can say it, the stream
/// follows what is there.
fn sound_since(
    tx: &rusqlite::Transaction<'_>,
    call: CallId,
    stream: &NewStream,
) -> Result<Option<Duration>, StoreError> {
    let row: (Option<i64>, bool, i64) = tx.query_row(
        "select started_at_ms, clock_synced, coalesce((select \
           max((origin_sample + samples * 8000 / rate_hz) / 8) from tracks where call_id = calls.id), 0) \
         from calls where id = ?1",
        [call.0],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let (Some(started_at_ms), was_sure, heard_ms) = row else { return Ok(None) };
    let by_wall = (was_sure && stream.call.clock_synced).then_some(stream.call.at);
    let at = told_by_boot(tx, call, &stream.boot)?.or(by_wall);
    let since = at.map(|at| at.since(UnixMillis::new(started_at_ms)));
    let heard = Duration::from_millis(u64::try_from(heard_ms).unwrap_or(0));
    Ok(Some(since.filter(|since| *since <= CALL_MAX).unwrap_or_default().max(heard)))
}

pub(super) fn insert_gaps(
    tx: &rusqlite::Transaction<'_>,
    call: CallId,
    gaps: &[GapRow],
) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "insert into gaps (call_id, party, source, start_sample, end_sample, reason) \
         values (?1, ?2, ?3, ?4, ?5, ?6) \
         on conflict do update set end_sample = max(end_sample, excluded.end_sample)",
    )?;
    for gap in gaps.iter().filter(|gap| gap.end > gap.start) {
        insert.execute(params![
            call.0,
            gap.party.as_str(),
            gap.source.as_str(),
            sql_samples(gap.start),
            sql_samples(gap.end),
            gap.reason.as_str()
        ])?;
    }
    Ok(())
}

pub(super) fn sql_samples(samples: Samples8k) -> i64 {
    sql_count(samples.get())
}

/// SQLite's integers are signed; a count past 2^63 cannot come from a file or a call.
pub(super) fn sql_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
