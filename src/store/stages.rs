//! The pipeline's state: one row per (call, stage), claimed with its attempt counted, settled with
//! what it makes due.

use std::time::Duration;

use rusqlite::{OptionalExtension, Transaction, params};

use super::chain::{self, advance, make_due, refresh};
use super::{
    ArchiveObject, CallId, Split, Store, StoreError, SummaryRow, TranscriptRow, heard, pauses,
    read, summaries, turns,
};
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
    /// When the ledger gave it out.
    claimed_at: UnixMillis,
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

    /// When it was given out.
    pub fn claimed_at(&self) -> UnixMillis {
        self.claimed_at
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
    /// A conversation worse than the one that stands, which therefore stays.
    Kept,
    /// Twilio's copies are here; each was written down when it was whole.
    Fetched,
    /// Twilio's copies have become the call's own.
    Split(Split),
    /// What the call came to, which replaces what stood there before.
    Summary(SummaryRow),
    /// The archive has shown all of these back.
    Archived {
        /// What it holds of the call now.
        objects: Vec<ArchiveObject>,
    },
    /// Nothing of the call is left at Twilio; each deletion was written down with its proof.
    Deleted,
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
    /// Something else goes first: the attempt is given back, and the call is due.
    GivenBack,
    /// Given up, for a person to look at.
    Never {
        /// What went wrong, for a person to read.
        why: String,
    },
}

impl Store {
    /// Takes the due call of a stage that began first, counting the attempt in the same statement.
    pub async fn claim(&self, stage: Stage, now: UnixMillis) -> Result<Option<Claim>, StoreError> {
        self.claim_first(stage, &[], now).await
    }

    /// Like [`Store::claim`], but `first` go before all others, the newest of them first of all.
    pub async fn claim_first(
        &self,
        stage: Stage,
        first: &[CallSid],
        now: UnixMillis,
    ) -> Result<Option<Claim>, StoreError> {
        let first = turns::as_json(first);
        self.write(move |tx| {
            let due: Option<(i64, u32)> = tx
                .query_row(
                    &format!(
                        "update stages set status = 'processing', attempts = attempts + 1, \
                           waiting_for = null, updated_at_ms = ?2 \
                         where stage = ?1 and call_id = ( \
                           select call_id from (select call_id, \
                             coalesce(started_at_ms, created_at_ms) as began, \
                             call_sid in (select value from json_each(?3)) as is_first \
                             from stages join calls on calls.id = call_id \
                             where stage = ?1 and erasing is null and {} and {}) \
                           order by is_first desc, iif(is_first, -began, began), call_id limit 1) \
                         returning call_id, attempts",
                        turns::IS_DUE,
                        pauses::GOES_ON
                    ),
                    params![stage.as_str(), now.get(), first],
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
            let call_sid = read::parse(&sid)?;
            Ok(Some(Claim { call, call_sid, stage, attempt, tracks, claimed_at: now }))
        })
        .await
    }

    /// Returns when a stage is next due; none when nothing of it is pending, or it is paused.
    pub async fn next_due(&self, stage: Stage) -> Result<Option<UnixMillis>, StoreError> {
        self.read(move |db| {
            let at: Option<i64> = db.query_row(
                &format!(
                    "select min(next_attempt_at_ms) from stages join calls on calls.id = call_id \
                     where stage = ?1 and status = 'pending' and erasing is null and {}",
                    pauses::GOES_ON
                ),
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
            // A call that was erased meanwhile has no use for what was made of it.
            if !stands(tx, &claim)? {
                return Ok(());
            }
            match &settlement {
                Settlement::Done(output) => done(tx, &claim, output, now)?,
                Settlement::Nothing => {
                    let grown = has_grown(tx, &claim)?;
                    close(tx, &claim, "skipped", None, now)?;
                    go_on(tx, &claim, grown, now)?;
                }
                Settlement::GivenBack => turns::give_back(tx, &claim, now)?,
                Settlement::Never { why } => {
                    let grown = has_grown(tx, &claim)?;
                    close(tx, &claim, "failed", Some(why), now)?;
                    go_on(tx, &claim, grown, now)?;
                }
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
                    chain::use_what_came(tx, claim.call, claim.stage, now)?;
                }
            }
            refresh(tx, claim.call)
        })
        .await
    }

    /// Puts back what a stopped program had under way. An attempt it took down with it counts;
    /// after `attempts_max` of them a stage that works on this machine alone has failed, and one
    /// that is tried for ever waits for `pause`. Returns how many were put back.
    pub async fn put_back_claims(
        &self,
        attempts_max: u32,
        pause: Duration,
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
                let (call, stage) = (*call, read::parse::<Stage>(stage)?);
                let often = *attempts >= attempts_max;
                let gave_up = often && !stage.needs_network();
                let at = if often { now.plus(pause) } else { now };
                let why = format!("fieldtape stopped while it worked on this (attempt {attempts})");
                tx.execute(
                    "update stages set status = ?1, last_error = ?2, next_attempt_at_ms = ?3, \
                     updated_at_ms = ?4 where call_id = ?5 and stage = ?6",
                    params![
                        if gave_up { "failed" } else { "pending" },
                        why,
                        at.get(),
                        now.get(),
                        call,
                        stage.as_str()
                    ],
                )?;
                if gave_up {
                    advance(tx, CallId(call), stage, now)?;
                }
                refresh(tx, CallId(call))?;
            }
            Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
        })
        .await
    }
}

/// Says whether the call of a claim is still there.
fn stands(tx: &Transaction<'_>, claim: &Claim) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from calls where id = ?1)";
    Ok(tx.query_row(sql, [claim.call.0], |row| row.get(0))?)
}

/// Writes a stage's result down and makes due what follows from it.
fn done(
    tx: &Transaction<'_>,
    claim: &Claim,
    output: &Output,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let call = claim.call;
    let grown = has_grown(tx, claim)?;
    let mut status = "completed";
    match output {
        Output::Transcript { transcript, spent } => {
            super::transcripts::write(tx, call, transcript, now)?;
            // A held call keeps everything.
            if !super::holds::is_held(tx, call)? {
                super::garbage::throw_away(tx, spent, "transcribed", now)?;
            }
        }
        Output::Split(split) => {
            super::split::apply(tx, call, split, now)?;
            if grown {
                super::split::undo(tx, call)?;
            }
        }
        Output::Summary(summary) => {
            summaries::write(tx, call, summary, now)?;
            // Of a call without words there was nothing to sum up: a line says what became of it.
            if summary.words_at.is_none() {
                status = "skipped";
            }
        }
        Output::Archived { objects } => super::archive::write(tx, call, objects, now)?,
        Output::Kept | Output::Fetched | Output::Deleted => {}
    }
    close(tx, claim, status, None, now)?;
    go_on(tx, claim, grown, now)
}

/// Makes due what follows, and the stage itself if more came for it while it was under way and
/// could not be made due then.
fn go_on(
    tx: &Transaction<'_>,
    claim: &Claim,
    grown: bool,
    now: UnixMillis,
) -> Result<(), StoreError> {
    advance(tx, claim.call, claim.stage, now)?;
    if grown { make_due(tx, claim.call, claim.stage, now) } else { Ok(()) }
}

/// Says whether there is more for a stage to work on than when it was claimed.
fn has_grown(tx: &Transaction<'_>, claim: &Claim) -> Result<bool, StoreError> {
    let call = claim.call;
    let since = |sql: &str| {
        let found = tx.query_row(sql, params![call.0, claim.claimed_at.get()], |row| row.get(0));
        found.map_err(StoreError::from)
    };
    match claim.stage {
        Stage::Transcript | Stage::Split => Ok(tracks_of(tx, call)? != claim.tracks),
        Stage::Fetch => since(
            "select exists (select 1 from cloud_recordings where call_id = ?1 \
             and status = 'completed' and path is null and purged_at_ms is null and updated_at_ms > ?2)",
        ),
        Stage::Archive => since(
            "select exists (select 1 from stages where call_id = ?1 and status = 'completed' \
             and stage in ('fetch', 'split', 'transcript') and updated_at_ms > ?2)",
        ),
        Stage::Delete => since(
            "select exists (select 1 from cloud_recordings where call_id = ?1 \
             and fetched_at_ms > ?2)",
        ),
        // In the same millisecond too: it is better summed up once too often.
        Stage::Summary => since(
            "select exists (select 1 from transcripts where call_id = ?1 \
             and coalesce(changed_at_ms, created_at_ms) >= ?2)",
        ),
    }
}

fn tracks_of(tx: &Transaction<'_>, call: CallId) -> Result<u64, StoreError> {
    let sql = "select count(*) from tracks where call_id = ?1";
    Ok(tx.query_row(sql, [call.0], |row| row.get(0))?)
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
    // One that failed keeps what was heard: whoever has it tried again goes on from there.
    if claim.stage == Stage::Transcript && status != "failed" {
        heard::forget(tx, claim.call)?;
    }
    Ok(())
}
