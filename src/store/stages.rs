//! The pipeline's state: one row per (call, stage), claimed with its attempt counted, settled with
//! what it makes due.

use rusqlite::{OptionalExtension, Transaction, params};

use super::{CallId, Store, StoreError, TranscriptRow, read};
use crate::domain::{CallSid, Stage, UnixMillis, WaitingFor};

/// The right to work on one stage of one call. It must be settled; what a crash leaves unsettled
/// is put back, and counted, at the next start.
#[must_use = "a claim that is not settled stays `processing` until the next start"]
#[derive(Debug, Clone)]
pub struct Claim {
    call: CallId,
    call_sid: CallSid,
    stage: Stage,
    attempt: u32,
    /// How many files the call had when it was claimed.
    tracks: u64,
}

impl Claim {
    /// The call.
    pub fn call(&self) -> CallId {
        self.call
    }

    /// Twilio's name of the call.
    pub fn call_sid(&self) -> &CallSid {
        &self.call_sid
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// What a stage's work brought.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// A conversation, which replaces the one before it.
    Transcript {
        /// What was said.
        transcript: TranscriptRow,
        /// Files of the call that are not needed any more: they become garbage with it.
        spent: Vec<String>,
    },
}

/// How a claim ends.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Done; the output and the status change together.
    Done(Output),
    /// There was nothing to do.
    Nothing,
    /// Again later.
    Later {
        /// What went wrong, for a person to read.
        why: String,
        /// What it waits for, if that is not merely time.
        waiting_for: Option<WaitingFor>,
        /// When.
        at: UnixMillis,
        /// False gives the attempt back: the fault was not the work's.
        counted: bool,
    },
    /// Given up, for a person to look at.
    Never {
        /// What went wrong, for a person to read.
        why: String,
    },
}

/// What asking for a retry did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retried {
    /// These are due now.
    Queued(Vec<Stage>),
    /// The call has no failed stage (or not the one asked for).
    NothingFailed,
    /// There is no such call.
    UnknownCall,
}

impl Store {
    /// Takes the oldest due call of a stage, counting the attempt in the same statement.
    pub async fn claim(&self, stage: Stage, now: UnixMillis) -> Result<Option<Claim>, StoreError> {
        self.write(move |tx| {
            let due: Option<(i64, u32)> = tx
                .query_row(
                    "update stages set status = 'processing', attempts = attempts + 1, \
                       waiting_for = null, updated_at_ms = ?2 \
                     where stage = ?1 and call_id = ( \
                       select call_id from stages where stage = ?1 and status = 'pending' \
                       and next_attempt_at_ms <= ?2 order by next_attempt_at_ms, call_id limit 1) \
                     returning call_id, attempts",
                    params![stage.as_str(), now.get()],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let Some((call, attempt)) = due else {
                return Ok(None);
            };
            let call = CallId(call);
            refresh(tx, call)?;
            let sid: String =
                tx.query_row("select call_sid from calls where id = ?1", [call.0], |row| {
                    row.get(0)
                })?;
            let tracks = tracks_of(tx, call)?;
            Ok(Some(Claim { call, call_sid: read::parse(&sid)?, stage, attempt, tracks }))
        })
        .await
    }

    /// Returns when a stage is next due; none when nothing of it is pending.
    pub async fn next_due(&self, stage: Stage) -> Result<Option<UnixMillis>, StoreError> {
        self.read(move |db| {
            let at: Option<i64> = db.query_row(
                "select min(next_attempt_at_ms) from stages where stage = ?1 and status = 'pending'",
                [stage.as_str()],
                |row| row.get(0),
            )?;
            Ok(at.map(UnixMillis::new))
        })
        .await
    }

    /// Ends a claim: its result, its status and what it makes due, in one transaction.
    pub async fn settle(
        &self,
        claim: Claim,
        settlement: Settlement,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            match &settlement {
                Settlement::Done(Output::Transcript { transcript, spent }) => {
                    super::transcripts::write(tx, claim.call, transcript, now)?;
                    let grown = tracks_of(tx, claim.call)? != claim.tracks;
                    super::garbage::throw_away(tx, spent, "transcribed", now)?;
                    close(tx, &claim, "completed", None, now)?;
                    if grown {
                        // The call came back and was sealed again meanwhile; its stage could not
                        // be made due then.
                        make_due(tx, claim.call, claim.stage, now)?;
                    }
                }
                Settlement::Nothing => close(tx, &claim, "skipped", None, now)?,
                Settlement::Never { why } => close(tx, &claim, "failed", Some(why), now)?,
                Settlement::Later { why, waiting_for, at, counted } => {
                    tx.execute(
                        "update stages set status = 'pending', last_error = ?1, waiting_for = ?2, \
                         next_attempt_at_ms = ?3, attempts = attempts - ?4, updated_at_ms = ?5 \
                         where call_id = ?6 and stage = ?7 and status = 'processing'",
                        params![
                            why,
                            waiting_for.map(WaitingFor::as_str),
                            at.get(),
                            !counted,
                            now.get(),
                            claim.call.0,
                            claim.stage.as_str()
                        ],
                    )?;
                }
            }
            refresh(tx, claim.call)
        })
        .await
    }

    /// Puts back what a stopped program had under way. An attempt it took down with it counts;
    /// after `attempts_max` of them the stage has failed. Returns how many were put back.
    pub async fn put_back_claims(
        &self,
        attempts_max: u32,
        now: UnixMillis,
    ) -> Result<u32, StoreError> {
        self.write(move |tx| {
            let mut under_way = tx.prepare(
                "select call_id, stage, attempts from stages where status = 'processing'",
            )?;
            let rows = under_way
                .query_map([], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, u32>(2)?))
                })?
                .collect::<Result<Vec<_>, _>>()?;
            for (call, stage, attempts) in &rows {
                let gave_up = *attempts >= attempts_max;
                let why = format!("fieldtape stopped while it worked on this (attempt {attempts})");
                tx.execute(
                    "update stages set status = ?1, last_error = ?2, next_attempt_at_ms = ?3, \
                     updated_at_ms = ?3 where call_id = ?4 and stage = ?5",
                    params![
                        if gave_up { "failed" } else { "pending" },
                        why,
                        now.get(),
                        call,
                        stage
                    ],
                )?;
                refresh(tx, CallId(*call))?;
            }
            Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
        })
        .await
    }

    /// Makes a call's failed stages due again: all of them, or the one named. A pending one that
    /// waits for its next attempt is tried now.
    pub async fn retry(
        &self,
        call_sid: CallSid,
        stage: Option<Stage>,
        now: UnixMillis,
    ) -> Result<Retried, StoreError> {
        self.write(move |tx| {
            let known: Option<i64> = tx
                .query_row("select id from calls where call_sid = ?1", [call_sid.as_str()], |row| {
                    row.get(0)
                })
                .optional()?;
            match known {
                Some(call) => retry_call(tx, CallId(call), stage, now),
                None => Ok(Retried::UnknownCall),
            }
        })
        .await
    }
}

fn tracks_of(tx: &Transaction<'_>, call: CallId) -> Result<u64, StoreError> {
    let sql = "select count(*) from tracks where call_id = ?1";
    Ok(tx.query_row(sql, [call.0], |row| row.get(0))?)
}

fn retry_call(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Option<Stage>,
    now: UnixMillis,
) -> Result<Retried, StoreError> {
    let mut again = tx.prepare(
        "update stages set status = 'pending', waiting_for = null, next_attempt_at_ms = ?1, \
         updated_at_ms = ?1 where call_id = ?2 and (?3 is null or stage = ?3) \
         and (status = 'failed' or (status = 'pending' and next_attempt_at_ms > ?1)) \
         returning stage",
    )?;
    let queued = again
        .query_map(params![now.get(), call.0, stage.map(Stage::as_str)], |row| {
            row.get::<_, String>(0)
        })?
        .map(|word| read::parse(&word?))
        .collect::<Result<Vec<Stage>, StoreError>>()?;
    refresh(tx, call)?;
    Ok(if queued.is_empty() { Retried::NothingFailed } else { Retried::Queued(queued) })
}

/// Makes a stage due now, whatever it was before: there is new sound to work on.
pub(super) fn make_due(
    tx: &Transaction<'_>,
    call: CallId,
    stage: Stage,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms) \
         values (?1, ?2, 'pending', ?3, ?3) on conflict (call_id, stage) do update \
         set status = 'pending', waiting_for = null, last_error = null, \
         next_attempt_at_ms = excluded.next_attempt_at_ms, updated_at_ms = excluded.updated_at_ms \
         where status <> 'processing'",
        params![call.0, stage.as_str(), now.get()],
    )?;
    Ok(())
}

/// Says that a stage has nothing to do, unless it has a row already.
pub(super) fn skip(tx: &Transaction<'_>, call: CallId, stage: Stage) -> Result<(), StoreError> {
    tx.execute(
        "insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms) \
         select id, ?2, 'skipped', ended_at_ms, ended_at_ms from calls where id = ?1 \
         on conflict do nothing",
        params![call.0, stage.as_str()],
    )?;
    Ok(())
}

/// Takes back that there is nothing to do: there may be sound after all.
pub(super) fn unskip(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    tx.execute("delete from stages where call_id = ?1 and status = 'skipped'", [call.0])?;
    Ok(())
}

/// Derives the call's columns from its stages.
pub(super) fn refresh(tx: &Transaction<'_>, call: CallId) -> Result<(), StoreError> {
    for (stage, column) in [
        (Stage::Transcript, "transcript_status"),
        (Stage::Summary, "summary_status"),
        (Stage::Archive, "archive_status"),
    ] {
        tx.execute(
            &format!(
                "update calls set {column} = coalesce((select status from stages \
                 where call_id = ?1 and stage = ?2), 'pending') where id = ?1"
            ),
            params![call.0, stage.as_str()],
        )?;
    }
    // An attempt that is under way has not failed yet, so it is no retry yet.
    tx.execute(
        "update calls set (last_error, retry_count, waiting_for) = ( \
           select coalesce(max(s.last_error), iif(calls.recording_status = 'failed', calls.last_error, null)), \
                  coalesce(max(s.attempts - (s.status = 'processing')), 0), max(s.waiting_for) \
           from (select * from stages where call_id = ?1 and status not in ('completed', 'skipped') \
             order by instr('fetch split transcript summary archive delete', stage) limit 1) s) \
         where id = ?1",
        [call.0],
    )?;
    Ok(())
}

fn close(
    tx: &Transaction<'_>,
    claim: &Claim,
    status: &str,
    error: Option<&str>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute(
        "update stages set status = ?1, last_error = ?2, waiting_for = null, updated_at_ms = ?3 \
         where call_id = ?4 and stage = ?5 and status = 'processing'",
        params![status, error, now.get(), claim.call.0, claim.stage.as_str()],
    )?;
    Ok(())
}
