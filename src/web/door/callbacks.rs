//! What Twilio tells of calls, streams and recordings: in any order, any number of times.

use axum::extract::State;
use axum::http::StatusCode;

use super::gate::{Signed, Turned, check_account};
use super::voice::new_call;
use super::{DoorState, Inside, LEDGER_PATIENCE, ask_for_copy};
use crate::domain::CallSid;
use crate::store::{CloudUpdate, StatusUpdate, StoreError};
use crate::twilio::webhook::{
    CallStatusCallback, RecordingStatusCallback, StreamEvent, StreamStatusCallback, VoiceRequest,
};

/// Answers `POST /twilio/status`.
pub(super) async fn call_status(
    State(state): State<DoorState>,
    Signed { form, gatekeeper }: Signed,
) -> Result<StatusCode, Turned> {
    let news = CallStatusCallback::from_form(&form)?;
    check_account(&gatekeeper, &news.account_sid)?;
    let inside = inside(&state)?;
    let sid = &news.call_sid;
    let end = news.status.end_reason();
    let was_live = end.is_some() && inside.recorder.call_ended(sid);
    let mut call = new_call(&state, &VoiceRequest::from_form(&form)?, true);
    let now = call.at;
    // The callback may be late; when it says when, that is when.
    if let Some(at) = news.timestamp.filter(|at| call.clock_synced && *at < now) {
        call.at = at;
        let late = now.since(at);
        if let Some(boot) = &mut call.boot {
            boot.since_boot = boot.since_boot.saturating_sub(late);
        }
    }
    let duration_s = news.duration_s.and_then(|seconds| u32::try_from(seconds).ok());
    let update = StatusUpdate { call, end, ended_at: None, duration_s, now };
    let outcome = soon(inside.store.call_status(update)).await?;
    if outcome.changed {
        let word = news.status.as_str();
        let event = if outcome.ended || was_live { "call.ended" } else { "call.status" };
        tracing::info!(call.sid = %sid, event, call_status = word, "{sid} is {word}");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Answers `POST /twilio/stream-status`. Start and stop are known from the socket itself; an error
/// is news.
pub(super) async fn stream_status(
    State(state): State<DoorState>,
    Signed { form, gatekeeper }: Signed,
) -> Result<StatusCode, Turned> {
    let news = StreamStatusCallback::from_form(&form)?;
    check_account(&gatekeeper, &news.account_sid)?;
    let inside = inside(&state)?;
    let sid = &news.call_sid;
    ask_for_copy(&state, sid);
    if news.event == StreamEvent::Error {
        let error = news.error.unwrap_or_else(|| "no reason given".to_owned());
        tracing::error!(call.sid = %sid, stream.sid = %news.stream_sid, event = "stream.failed", error, "Twilio could not stream {sid} to us: {error}");
        soon(inside.store.stream_error(news.stream_sid, error)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Answers `POST /twilio/recording-status`.
pub(super) async fn recording_status(
    State(state): State<DoorState>,
    Signed { form, gatekeeper }: Signed,
) -> Result<StatusCode, Turned> {
    let news = RecordingStatusCallback::from_form(&form)?;
    check_account(&gatekeeper, &news.account_sid)?;
    let inside = inside(&state)?;
    let word = form.get("RecordingStatus").unwrap_or_default().to_owned();
    let update = CloudUpdate {
        recording_sid: news.recording_sid.clone(),
        call_sid: news.call_sid.clone(),
        status: word.clone(),
        channels: news.channels.map(u32::from),
        duration_s: news.duration_s.and_then(|seconds| u32::try_from(seconds).ok()),
        source: news.source,
        track: form.filled("RecordingTrack").map(str::to_owned),
        started_at: news.start_time,
        error_code: news.error_code.map(|code| code.to_string()),
        at: state.clock.now(),
    };
    if soon(inside.store.cloud_recording(update)).await? {
        told(&news.call_sid, news.recording_sid.as_str(), &word);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn told(sid: &CallSid, recording: &str, word: &str) {
    match word {
        "absent" | "failed" => {
            tracing::error!(call.sid = %sid, recording.sid = recording, event = "cloud.absent", "Twilio has no recording of {sid} ({word})");
        }
        _ => {
            tracing::info!(call.sid = %sid, recording.sid = recording, event = format_args!("cloud.{word}"), "Twilio's recording of {sid} is {word}");
        }
    }
}

fn inside(state: &DoorState) -> Result<&Inside, Turned> {
    state.inside.as_ref().ok_or_else(|| Turned::Later {
        why: "a callback cannot be written down: the data folder cannot be used".to_owned(),
    })
}

/// Waits for the ledger, but not so long that Twilio gives up.
async fn soon<T>(change: impl Future<Output = Result<T, StoreError>>) -> Result<T, Turned> {
    match tokio::time::timeout(LEDGER_PATIENCE, change).await {
        Ok(Ok(out)) => Ok(out),
        Ok(Err(error)) => {
            Err(Turned::Later { why: format!("a callback cannot be written down: {error}") })
        }
        Err(_elapsed) => Err(Turned::Later {
            why: "a callback cannot be written down: the ledger does not answer".to_owned(),
        }),
    }
}
