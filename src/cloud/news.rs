//! What Twilio's lists say, as the ledger takes it.

use crate::domain::UnixMillis;
use crate::store::{CloudUpdate, NewCall, StatusUpdate};
use crate::twilio::rest::{CallResource, RecordingResource};

/// A recording as the ledger takes it; none if it belongs to no call (a conference's).
pub(super) fn recording(resource: &RecordingResource, at: UnixMillis) -> Option<CloudUpdate> {
    Some(CloudUpdate {
        recording_sid: resource.sid.clone(),
        call_sid: resource.call_sid.clone()?,
        status: resource.status.clone(),
        channels: resource.channels.map(u32::from),
        duration_s: resource.duration_s.and_then(|seconds| u32::try_from(seconds).ok()),
        source: resource.source.clone(),
        track: resource.track.clone(),
        started_at: resource.start_time.or(resource.date_created),
        error_code: resource.error_code.map(|code| code.to_string()),
        at,
    })
}

/// A call as the ledger takes it. Its times are Twilio's own, which are right.
pub(super) fn call(resource: &CallResource, at: UnixMillis) -> StatusUpdate {
    let began_at = resource.date_created.or(resource.start_time).unwrap_or(at);
    StatusUpdate {
        call: NewCall {
            call_sid: resource.sid.clone(),
            parent_call_sid: resource.parent_call_sid.clone(),
            direction: resource.direction(),
            origin: resource.origin(),
            from_number: resource.from.clone(),
            to_number: resource.to.clone(),
            call_status: resource.status.as_str().to_owned(),
            at: began_at,
            boot: None,
            clock_synced: true,
            live_copy: true,
        },
        end: resource.status.end_reason(),
        ended_at: resource.end_time,
        duration_s: resource.duration_s.and_then(|seconds| u32::try_from(seconds).ok()),
        now: at,
    }
}
