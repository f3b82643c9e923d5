//! The list of calls.

use askama::Template;

use super::super::query::ListQuery;
use super::super::wire::rfc3339;
use super::banner::Banner;
use super::{Badge, Frame, words};
use crate::domain::{Direction, EndReason, RecordingStatus, StageStatus};
use crate::store::{Backlog, Call, CallPage, Cursor};

/// The page of calls, newest first.
#[derive(Template)]
#[template(path = "list.html")]
pub(super) struct ListPage {
    frame: Frame,
    banner: Banner,
    rows: Vec<Row>,
    filter: Option<String>,
    work: Vec<Work>,
    is_first: bool,
    newest: String,
    older: Option<String>,
    /// Whether whoever looks may ring somebody.
    can_ring: bool,
}

struct Row {
    sid: String,
    outgoing: bool,
    direction: &'static str,
    who: String,
    since: String,
    since_utc: String,
    /// None while the call lasts.
    length: Option<String>,
    heard_since: Option<String>,
    /// How far a call has come that nobody has been heard in.
    progress: &'static str,
    remark: Option<&'static str>,
    badges: Vec<Badge>,
    trouble: Option<String>,
}

/// Work that is undone, with the calls it is for.
struct Work {
    text: String,
    failed: bool,
    link: String,
}

impl ListPage {
    pub(super) fn new(
        frame: Frame,
        banner: Banner,
        page: &CallPage,
        asked: &ListQuery,
        query: &str,
        backlog: &[Backlog],
    ) -> Self {
        Self {
            frame,
            banner,
            rows: page.calls.iter().map(Row::new).collect(),
            filter: describe(asked),
            work: backlog.iter().flat_map(work).collect(),
            is_first: asked.cursor.is_none(),
            newest: page_link(query, None),
            older: page.next.map(|next| page_link(query, Some(next))),
            can_ring: false,
        }
    }

    /// Lets whoever looks ring somebody.
    pub(super) fn with_telephone(self) -> Self {
        Self { can_ring: true, ..self }
    }
}

impl Row {
    fn new(call: &Call) -> Self {
        let began = call.started_at.unwrap_or(call.created_at);
        Self {
            outgoing: call.direction == Direction::Outbound,
            direction: words::direction(call.direction),
            who: words::other(call),
            since: rfc3339(began),
            since_utc: words::utc(began),
            length: call.ended_at.map(|_| words::length(call).unwrap_or_default()),
            heard_since: call.started_at.map(rfc3339),
            progress: words::progress(call),
            remark: remark(call),
            badges: badges(call),
            // What is being tried again is not yet worth a line here.
            trouble: call.last_error.clone().filter(|_| has_failed(call)),
            sid: call.call_sid.to_string(),
        }
    }
}

fn remark(call: &Call) -> Option<&'static str> {
    let declined = call.declined_at.map(|_| "not recorded: declined");
    declined.or_else(|| call.end_reason.and_then(words::end_briefly))
}

/// One label per stage, leaving out those that have nothing to do for this call.
pub(super) fn badges(call: &Call) -> Vec<Badge> {
    let later = [("Summary", call.summary_status), ("Archive", call.archive_status)];
    let recording = Badge { stage: "Recording", status: call.recording_status.as_str() };
    let transcript = ("Transcript", call.transcript_status);
    let with_work = |(_, status): &(_, StageStatus)| match status {
        StageStatus::Skipped => false,
        StageStatus::Pending => !call.is_live(),
        StageStatus::Processing | StageStatus::Completed | StageStatus::Failed => true,
    };
    let transcript = [transcript].into_iter().filter(|(_, status)| *status != StageStatus::Skipped);
    let stages = transcript.chain(later.into_iter().filter(with_work));
    let stages = stages.map(|(stage, status)| Badge { stage, status: status.as_str() });
    // A call that nobody took has nothing to record, and that is no stage left undone.
    let under_way = call.is_live() && call.declined_at.is_none();
    let recorded = under_way || call.recording_status != RecordingStatus::Pending;
    recorded.then_some(recording).into_iter().chain(stages).collect()
}

fn has_failed(call: &Call) -> bool {
    call.recording_status == RecordingStatus::Failed
        || call.end_reason == Some(EndReason::Failed)
        || [call.transcript_status, call.summary_status, call.archive_status]
            .contains(&StageStatus::Failed)
}

fn work(backlog: &Backlog) -> Vec<Work> {
    let stage = words::stage_in_text(backlog.stage);
    let entry = |count: u64, status: StageStatus, what: &str| Work {
        text: format!("{stage}: {count} {what}"),
        failed: status == StageStatus::Failed,
        link: format!("/?stage={}&stage_status={status}", backlog.stage),
    };
    let entries = [
        (backlog.failed, StageStatus::Failed, "failed"),
        (backlog.processing, StageStatus::Processing, "under way"),
        (backlog.pending, StageStatus::Pending, "waiting"),
    ];
    let undone = entries.into_iter().filter(|(count, ..)| *count > 0);
    undone.map(|(count, status, what)| entry(count, status, what)).collect()
}

/// Says which calls are left out; none when none are.
fn describe(asked: &ListQuery) -> Option<String> {
    let filter = &asked.filter;
    let mut parts = Vec::new();
    if let Some(number) = &filter.number {
        parts.push(format!("with {}", words::address(number)));
    }
    if let Some(status) = filter.recording_status {
        parts.push(format!("whose recording is {status}"));
    }
    if let Some(status) = filter.stage_status {
        let stage = filter.stage.map_or("some stage".to_owned(), words::stage_in_text);
        parts.push(format!("whose {stage} is {status}"));
    }
    if let Some(from) = filter.from {
        parts.push(format!("since {}", words::utc(from)));
    }
    if let Some(to) = filter.to {
        parts.push(format!("before {}", words::utc(to)));
    }
    if filter.words.is_some() {
        parts.push("in which what is looked for was said".to_owned());
    }
    (!parts.is_empty()).then(|| format!("Only calls {}", parts.join(", ")))
}

/// The same list from another place on.
fn page_link(query: &str, cursor: Option<Cursor>) -> String {
    let mut out = form_urlencoded::Serializer::new(String::new());
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| key != "cursor");
    out.extend_pairs(kept);
    if let Some(cursor) = cursor {
        out.append_pair("cursor", &cursor.to_text());
    }
    match out.finish() {
        query if query.is_empty() => "/".to_owned(),
        query => format!("/?{query}"),
    }
}
