//! The request for `TwiML` and the call's progress.

use super::{
    Form, WebhookError, number, optional_sid, optional_text, required_sid, required_text, rfc2822,
};
use crate::domain::{AccountSid, CallSid, Direction, EndReason, Origin, UnixMillis};

/// Twilio's word for who placed a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VoiceDirection {
    /// Somebody reached us: a telephone, or our own agent's browser.
    Inbound,
    /// The Calls API placed it.
    OutboundApi,
    /// A `<Dial>` placed it: a child leg.
    OutboundDial,
    /// A word not known here.
    Other(String),
}

impl VoiceDirection {
    /// Takes Twilio's word.
    pub fn new(word: &str) -> Self {
        match word {
            "inbound" => Self::Inbound,
            "outbound-api" => Self::OutboundApi,
            "outbound-dial" => Self::OutboundDial,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Says what began a call of this direction that is `from` there; of a child leg, what it
    /// looks like from its own end.
    pub fn origin(&self, from: &str) -> Origin {
        match self {
            Self::OutboundApi => Origin::Rest,
            _ if from.starts_with("client:") => Origin::Client,
            Self::Other(word) if word.starts_with("outbound") => Origin::Rest,
            _ => Origin::Number,
        }
    }

    /// Says who rang whom, seen from the office: our agent's browser rings out, although it
    /// reaches Twilio as an inbound call.
    pub fn seen_from_office(&self, from: &str) -> Direction {
        match (self.origin(from), self) {
            (Origin::Client | Origin::Rest, _) | (_, Self::OutboundDial) => Direction::Outbound,
            (Origin::Number, _) => Direction::Inbound,
        }
    }
}

/// `POST /twilio/voice`: a call asks what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceRequest {
    /// The call.
    pub call_sid: CallSid,
    /// Whose it is.
    pub account_sid: AccountSid,
    /// The leg that dialled this one, absent on the first.
    pub parent_call_sid: Option<CallSid>,
    /// Who calls: E.164, `client:name`, `sip:…` or free text; empty if withheld.
    pub from: String,
    /// Who is called, likewise.
    pub to: String,
    /// Who placed it, in Twilio's words.
    pub voice_direction: VoiceDirection,
    /// How far it has come.
    pub status: CallStatus,
}

impl VoiceRequest {
    /// Reads the form.
    pub fn from_form(form: &Form) -> Result<Self, WebhookError> {
        Ok(Self {
            call_sid: required_sid(form, "CallSid")?,
            account_sid: required_sid(form, "AccountSid")?,
            parent_call_sid: optional_sid(form, "ParentCallSid")?,
            from: optional_text(form, "From").unwrap_or_default(),
            to: optional_text(form, "To").unwrap_or_default(),
            voice_direction: VoiceDirection::new(form.get("Direction").unwrap_or("inbound")),
            status: CallStatus(optional_text(form, "CallStatus").unwrap_or_default()),
        })
    }

    /// Says who rang whom, seen from the office.
    pub fn direction(&self) -> Direction {
        self.voice_direction.seen_from_office(&self.from)
    }

    /// Says what began the call.
    pub fn origin(&self) -> Origin {
        self.voice_direction.origin(&self.from)
    }

    /// Says whether another leg dialled this one.
    pub fn is_child_leg(&self) -> bool {
        self.parent_call_sid.is_some() || self.voice_direction == VoiceDirection::OutboundDial
    }
}

/// Twilio's word for how far a call has come, kept as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStatus(String);

impl CallStatus {
    /// Takes Twilio's word.
    pub fn new(word: &str) -> Self {
        Self(word.to_owned())
    }

    /// Returns the word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Ranks the word in a call's life. News comes in any order; only a higher rank is news.
    /// An unknown word ranks lowest and so changes nothing.
    pub fn rank(&self) -> u8 {
        match self.as_str() {
            "queued" => 1,
            "initiated" => 2,
            "ringing" => 3,
            "in-progress" | "answered" => 4,
            _ if self.is_terminal() => 5,
            _ => 0,
        }
    }

    /// Says whether the call is over; no word comes after such a one.
    pub fn is_terminal(&self) -> bool {
        self.end_reason().is_some()
    }

    /// Returns why the call is over, if it is.
    pub fn end_reason(&self) -> Option<EndReason> {
        match self.as_str() {
            "completed" => Some(EndReason::Completed),
            "busy" => Some(EndReason::Busy),
            "failed" => Some(EndReason::Failed),
            "no-answer" => Some(EndReason::NoAnswer),
            "canceled" => Some(EndReason::Canceled),
            _ => None,
        }
    }
}

/// `POST /twilio/status`: a call has come further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallStatusCallback {
    /// The call.
    pub call_sid: CallSid,
    /// Whose it is.
    pub account_sid: AccountSid,
    /// The leg that dialled this one, absent on the first.
    pub parent_call_sid: Option<CallSid>,
    /// How far it has come.
    pub status: CallStatus,
    /// Its length in seconds, at its end. Twilio's `Duration` beside it is in minutes, for the
    /// bill, and is not read.
    pub duration_s: Option<u64>,
    /// When this happened.
    pub timestamp: Option<UnixMillis>,
    /// The place of this news among the call's, from 0; they arrive in any order.
    pub sequence: Option<u64>,
}

impl CallStatusCallback {
    /// Reads the form.
    pub fn from_form(form: &Form) -> Result<Self, WebhookError> {
        Ok(Self {
            call_sid: required_sid(form, "CallSid")?,
            account_sid: required_sid(form, "AccountSid")?,
            parent_call_sid: optional_sid(form, "ParentCallSid")?,
            status: CallStatus::new(required_text(form, "CallStatus")?),
            duration_s: number(form, "CallDuration"),
            timestamp: rfc2822(form, "Timestamp"),
            sequence: number(form, "SequenceNumber"),
        })
    }
}
