//! What was said, as it stands in the ledger.

use rusqlite::{Transaction, params};

use super::streams::sql_count;
use super::{CallId, StoreError, TranscriptRow, WordRow};
use crate::domain::UnixMillis;

/// Writes a call's conversation in place of the one before it, each party as it was recorded.
pub(super) fn write(
    tx: &Transaction<'_>,
    call: CallId,
    transcript: &TranscriptRow,
    now: UnixMillis,
) -> Result<(), StoreError> {
    tx.execute("delete from transcripts where call_id = ?1", [call.0])?;
    tx.execute(
        "insert into transcripts (call_id, source, language, model, dropped, created_at_ms) \
         values (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            call.0,
            transcript.source.as_str(),
            transcript.language,
            transcript.model,
            transcript.dropped,
            now.get()
        ],
    )?;
    let mut insert = tx.prepare_cached(
        "insert into segments (call_id, party, start_ms, end_ms, text, confidence, avg_logprob, \
         no_speech_prob, words) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?;
    for segment in &transcript.segments {
        insert.execute(params![
            call.0,
            segment.party.as_str(),
            sql_count(segment.start_ms),
            sql_count(segment.end_ms),
            segment.text,
            segment.confidence,
            segment.avg_logprob,
            segment.no_speech_prob,
            as_json(&segment.words)
        ])?;
    }
    super::notes::correct_again(tx, call)
}

/// Writes words as `[["Good",420,610],["morning.",620,1100]]`; none as nothing.
fn as_json(words: &[WordRow]) -> Option<String> {
    let rows: Vec<_> = words.iter().map(|word| (&word.text, word.start_ms, word.end_ms)).collect();
    // Text and whole numbers always become JSON.
    serde_json::to_string(&rows).ok().filter(|_| !words.is_empty())
}

/// Reads what [`as_json`] wrote.
pub(super) fn words(json: Option<&str>) -> Result<Vec<WordRow>, StoreError> {
    let rows: Vec<(String, u64, u64)> = match json {
        Some(json) => serde_json::from_str(json)
            .map_err(|error| StoreError::BadRow { what: format!("words: {error}") })?,
        None => Vec::new(),
    };
    let word = |(text, start_ms, end_ms)| WordRow { text, start_ms, end_ms };
    Ok(rows.into_iter().map(word).collect())
}
