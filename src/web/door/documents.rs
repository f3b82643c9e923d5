//! Every document that Twilio is answered with, as pure functions.
//!
//! Invariant: no verb that records or streams stands before the announcement, in any document; and
//! where there should be an announcement and is none, or where somebody said no, none stands at all.

use super::announcement::Announcement;
use super::{Answering, STATUS, TOKEN_PARAMETER};
use crate::domain::Origin;
use crate::twilio::door::PublicUrl;
use crate::twilio::round_trip::MEDIA_STREAM;
use crate::twilio::twiml::{
    AnswerOn, Dial, Gather, Noun, Recording, Response as Document, Say, Stream, StreamTracks,
    TwimlError, Verb,
};

/// How long the agent is rung.
const RING_S: u16 = 30;

/// How long a key is waited for when all is said: long enough to find it.
const KEY_WITHIN_S: u16 = 4;

/// What is asked when a key was pressed.
pub(super) const CONSENT: &str = "/twilio/consent";

/// What is asked by a leg that a browser dialled, before it is connected.
pub(super) const LEG: &str = "/twilio/leg";

/// Whose call a document is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) origin: Origin,
    /// Whom a browser dialled; none if that is nobody to be dialled from here.
    pub(super) to: Option<&'a str>,
}

/// How a call is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded<'a> {
    /// The stream's token; none streams nothing.
    pub(super) token: Option<&'a str>,
    /// Whether the document has to ask for Twilio's copy.
    pub(super) at_twilio: bool,
}

/// Says whether a call may be recorded at all. Who is dialled by the agent's browser hears the
/// announcement when the recording runs already, and cannot be asked first.
pub(super) fn may_record(answering: &Answering, origin: Origin) -> bool {
    let can_ask = answering.decline_key.is_none() || origin != Origin::Client;
    answering.announcement != Announcement::Unable && can_ask
}

/// Announces, perhaps asks, begins to record, connects: in this order.
pub(super) fn first(
    answering: &Answering,
    public_url: &PublicUrl,
    caller: Caller<'_>,
    recorded: Recorded<'_>,
) -> Result<Document, TwimlError> {
    let mut document = Document::new();
    let records = may_record(answering, caller.origin);
    if let Some(prompt) = answering.announcement.prompt(public_url).filter(|_| records) {
        document = match answering.decline_key {
            Some(_) => document.then(Gather {
                prompt,
                action: public_url.callback(CONSENT),
                timeout_s: KEY_WITHIN_S,
            }),
            None => document.then(prompt),
        };
    }
    if records {
        document = record(document, public_url, recorded)?;
    }
    Ok(connect(answering, public_url, caller, document))
}

/// Connects somebody who is not to be recorded.
pub(super) fn declined(
    answering: &Answering,
    public_url: &PublicUrl,
    caller: Caller<'_>,
) -> Document {
    connect(answering, public_url, caller, Document::new())
}

/// Announces to somebody who was dialled by a browser, before they are connected.
pub(super) fn leg(answering: &Answering, public_url: &PublicUrl) -> Document {
    let prompt = answering.announcement.prompt(public_url);
    prompt.map_or_else(Document::new, |prompt| Document::new().then(prompt))
}

fn record(
    mut document: Document,
    public_url: &PublicUrl,
    recorded: Recorded<'_>,
) -> Result<Document, TwimlError> {
    if let Some(token) = recorded.token {
        let stream = Stream::new(
            &public_url.websocket(MEDIA_STREAM),
            "fieldtape",
            StreamTracks::Both,
            &public_url.callback("/twilio/stream-status"),
        )?;
        document = document.then(stream.with_parameter(TOKEN_PARAMETER, token)?);
    }
    if recorded.at_twilio {
        let status_callback = Some(public_url.callback("/twilio/recording-status"));
        document = document.then(Recording { status_callback });
    }
    Ok(document)
}

fn connect(
    answering: &Answering,
    public_url: &PublicUrl,
    caller: Caller<'_>,
    document: Document,
) -> Document {
    let is_client = caller.origin == Origin::Client;
    let nouns = nouns(answering, caller);
    if nouns.is_empty() {
        let sorry = match caller.to {
            None => "This number cannot be called from here. Please take a telephone.",
            Some(_) => "Nobody can be reached at this number yet. Please call again later.",
        };
        let sorry = sorry.to_owned();
        return document
            .then(Say { text: sorry, language: Some("en-US".to_owned()), voice: None })
            .then(Verb::Hangup);
    }
    let announces = answering.announcement.prompt(public_url).is_some();
    document.then(Dial {
        caller_id: answering.caller_id.clone().filter(|_| is_client),
        answer: AnswerOn::Dial,
        timeout_s: RING_S,
        nouns,
        leg_callback: Some(public_url.callback(STATUS)),
        leg_document: (is_client && announces).then(|| public_url.callback(LEG)),
    })
}

/// Whom a call is put through to: all of them ring, and the first to answer has it.
pub(super) fn nouns(answering: &Answering, caller: Caller<'_>) -> Vec<Noun> {
    match caller.origin {
        // The agent's browser has said whom to ring.
        Origin::Client => {
            let to = caller.to.filter(|to| !to.is_empty());
            to.map(|to| Noun::Number(to.to_owned())).into_iter().collect()
        }
        Origin::Number | Origin::Rest => {
            let client = answering.agent_identity.clone().map(Noun::Client);
            let number = answering.agent_number.clone().map(Noun::Number);
            client.into_iter().chain(number).collect()
        }
    }
}

#[cfg(test)]
#[path = "documents_tests.rs"]
mod tests;
