//! A call's page.

use askama::Template;

use super::super::sound::playable;
use super::super::wire::rfc3339;
use super::conversation::{Conversation, Turn};
use super::copies::{CopyItem, copies};
use super::losses::losses;
use super::summary::Summary;
use super::{Badge, Frame, Moment, list, words};
use crate::domain::{
    Direction, EndReason, Origin, Party, RecordingStatus, Stage, StageStatus, WaitingFor,
};
use crate::store::{CallDetail, NoteRow, StageRow, TranscriptRow};

/// Pause between two polls of the page while something is under way, and while nothing is.
const POLL_BUSY_MS: u32 = 1_500;
const POLL_IDLE_MS: u32 = 15_000;

/// Everything about one call.
#[derive(Template)]
#[template(path = "call.html")]
pub(super) struct CallPage {
    frame: Frame,
    sid: String,
    poll_ms: u32,
    who: String,
    who_link: String,
    direction: &'static str,
    office: String,
    live: bool,
    progress: &'static str,
    announcements: Vec<String>,
    legs: Vec<String>,
    began: Moment,
    heard_since: Option<String>,
    length: Option<String>,
    end: Option<&'static str>,
    badges: Vec<Badge>,
    stages: Vec<StageItem>,
    remarks: Vec<String>,
    hold: bool,
    hold_note: Option<String>,
    voices: Vec<Voice>,
    /// Changes when what the voices' addresses give does.
    sound_state: String,
    copies: Vec<CopyItem>,
    why_silent: &'static str,
    summary: Option<Summary>,
    notes: Vec<NoteItem>,
    conversation: Conversation,
}

/// A note.
struct NoteItem {
    at: Moment,
    author: String,
    text: String,
}

struct StageItem {
    badge: Badge,
    /// The word a retry names; none when there is nothing to retry.
    retry: Option<&'static str>,
    retry_label: &'static str,
    facts: Vec<String>,
    next: Option<Moment>,
    error: Option<String>,
}

/// Something to play.
struct Voice {
    label: &'static str,
    url: String,
}

impl CallPage {
    pub(super) fn new(
        frame: Frame,
        detail: &CallDetail,
        transcript: Option<TranscriptRow>,
        held: Option<String>,
    ) -> Self {
        let call = &detail.call;
        let office = match call.direction {
            Direction::Inbound => &call.to_number,
            Direction::Outbound => &call.from_number,
        };
        let number: String =
            form_urlencoded::byte_serialize(call.technician_address().as_bytes()).collect();
        let conversation = Conversation::new(detail, transcript, held.as_deref());
        let losses = losses(detail, conversation.state() == "final");
        Self {
            frame,
            sid: call.call_sid.to_string(),
            poll_ms: if is_busy(detail) { POLL_BUSY_MS } else { POLL_IDLE_MS },
            who: words::other(call),
            who_link: format!("/?number={number}"),
            direction: words::direction(call.direction),
            office: words::address(office),
            live: call.is_live(),
            progress: words::progress(call),
            announcements: detail
                .announcements
                .iter()
                .map(|told| words::announcement(told, call.started_at))
                .collect(),
            legs: detail.legs.iter().map(words::leg).collect(),
            began: Moment::new(call.started_at.unwrap_or(call.created_at)),
            heard_since: call.started_at.map(rfc3339),
            length: words::length(call),
            end: call.end_reason.map(words::end),
            badges: list::badges(call),
            stages: stages(detail, held),
            remarks: remarks(detail).into_iter().chain(losses).collect(),
            hold: call.hold,
            hold_note: call.hold_note.clone(),
            voices: voices(detail),
            sound_state: format!("{}-{}", u8::from(call.parties_swapped), detail.fills.len()),
            copies: copies(detail),
            why_silent: why_silent(detail),
            summary: detail.summary.as_ref().map(Summary::new),
            notes: detail.notes.iter().map(NoteItem::new).collect(),
            conversation,
        }
    }

    fn is_playable(&self) -> bool {
        !self.voices.is_empty()
    }

    /// Says whether there is something in which two parties could be mistaken for each other.
    fn can_swap(&self) -> bool {
        !self.live && (self.is_playable() || self.conversation.state() == "final")
    }
}

impl NoteItem {
    fn new(row: &NoteRow) -> Self {
        Self { at: Moment::new(row.at), author: row.author.clone(), text: row.text.clone() }
    }
}

fn is_busy(detail: &CallDetail) -> bool {
    let undone =
        |row: &StageRow| matches!(row.status, StageStatus::Pending | StageStatus::Processing);
    detail.call.is_live() || detail.stages.iter().any(undone)
}

fn stages(detail: &CallDetail, held: Option<String>) -> Vec<StageItem> {
    let call = &detail.call;
    let recording = StageItem {
        badge: Badge { stage: "Recording", status: call.recording_status.as_str() },
        retry: None,
        retry_label: "",
        facts: Vec::new(),
        next: None,
        error: call.last_error.clone().filter(|_| call.recording_status == RecordingStatus::Failed),
    };
    let with_work = detail.stages.iter().filter(|row| row.status != StageStatus::Skipped);
    let mut stages: Vec<StageItem> =
        std::iter::once(recording).chain(with_work.map(StageItem::new)).collect();
    let name = words::stage(Stage::Transcript);
    let transcript = stages.iter_mut().find(|item| item.badge.stage == name);
    if let Some(item) = transcript {
        item.facts.extend(held);
    }
    stages
}

impl StageItem {
    fn new(row: &StageRow) -> Self {
        let tried = row.attempts > 0 || row.waiting_for.is_some();
        // What waits for the network goes on by itself when that is back, and not before. A server
        // that makes summaries may be away by itself.
        let offline = row.waiting_for == Some(WaitingFor::Network) && row.stage.needs_network();
        let waits = row.status == StageStatus::Pending && tried && !offline;
        let failed = row.status == StageStatus::Failed;
        let mut facts = Vec::new();
        if row.attempts > 1 || (row.attempts > 0 && (waits || failed)) {
            facts.push(words::count(row.attempts.into(), "attempt", "attempts"));
        }
        facts.extend(row.waiting_for.map(|what| words::waiting(what).to_owned()));
        Self {
            badge: Badge { stage: words::stage(row.stage), status: row.status.as_str() },
            retry: (failed || waits).then_some(row.stage.as_str()),
            retry_label: if failed { "Retry" } else { "Try now" },
            facts,
            next: waits.then(|| Moment::new(row.next_attempt_at)),
            error: row
                .last_error
                .clone()
                .filter(|_| row.status != StageStatus::Completed && !offline),
        }
    }
}

/// What else is to be known about the recording.
fn remarks(detail: &CallDetail) -> Vec<String> {
    let mut remarks = Vec::new();
    if detail.call.declined_at.is_some() {
        remarks.push(
            "Whoever was on the line said that they are not to be recorded, so nothing was."
                .to_owned(),
        );
        if detail.cloud_recordings.iter().any(|row| row.twilio_deleted_at.is_none()) {
            remarks.push(
                "Twilio has made a recording all the same: the account records every call by its \
                 own default. It is not fetched; delete it there, and switch that off."
                    .to_owned(),
            );
        }
    }
    let refused = detail.call.last_error.clone();
    remarks.extend(refused.filter(|_| {
        detail.call.end_reason == Some(EndReason::Failed)
            || (detail.call.is_live() && detail.call.origin == Origin::Rest)
    }));
    if !detail.call.live_copy && detail.call.declined_at.is_none() {
        remarks.push(
            "Too many calls were in progress, so this one was not recorded here as it was spoken; \
             Twilio was asked to record it."
                .to_owned(),
        );
    }
    if detail.tracks.iter().any(|track| track.salvaged) {
        remarks.push(
            "The appliance stopped during this call. What had been heard was kept and put in \
             order at the next start."
                .to_owned(),
        );
    }
    if detail.call.parties_swapped {
        remarks.push("Agent and technician were swapped by hand.".to_owned());
    }
    if detail.call.sound_purged_at.is_some() {
        remarks.push(
            "The sound of this call is no longer here: it went by the rules of retention."
                .to_owned(),
        );
    }
    if detail.call.words_purged_at.is_some() {
        remarks.push("The transcript went by the rules of retention.".to_owned());
    }
    if !detail.call.clock_synced {
        remarks
            .push("The clock was not set when this call began; its time may be wrong.".to_owned());
    }
    remarks
}

fn voices(detail: &CallDetail) -> Vec<Voice> {
    let base = format!("/api/v1/calls/{}/audio", detail.call.call_sid);
    let one = |party: Party| {
        playable(detail, party).then(|| Voice {
            label: words::party(party),
            url: format!("{base}/{party}_8000Hz.wav"),
        })
    };
    let (technician, agent) = (one(Party::Technician), one(Party::Agent));
    let both = technician.is_some() && agent.is_some();
    let both = both.then(|| Voice { label: "Both", url: format!("{base}/mixed.wav") });
    [both, technician, agent].into_iter().flatten().collect()
}

/// Says why there is nothing to play, for a call that has nothing.
fn why_silent(detail: &CallDetail) -> &'static str {
    match detail.call.recording_status {
        _ if detail.call.declined_at.is_some() => "Nothing was recorded: it was declined.",
        _ if detail.call.is_live() => "The recording can be played when the call has ended.",
        _ if detail.cloud_recordings.iter().any(|row| row.path.is_some()) => {
            "The voices have not been taken out of Twilio's copy yet; the copy itself can be played."
        }
        RecordingStatus::Pending => "Nothing was said, so there is nothing to play.",
        RecordingStatus::Recording => "The recording has not come from Twilio yet.",
        RecordingStatus::Completed if detail.call.sound_purged_at.is_some() => {
            "The sound is no longer here: it went by the rules of retention."
        }
        RecordingStatus::Completed => "The recording holds no sound.",
        RecordingStatus::Failed => "There is no recording: see below what went wrong.",
    }
}
