//! What is wrong with the API.

use std::time::Duration;

use super::call::CallScript;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Whatever there is, in a rule for faults.
    Any,
    /// The account itself.
    Account,
    /// The account's own numbers.
    Numbers,
    /// What one of them does with calls.
    Number,
    /// The list of calls.
    Calls,
    /// Placing a call.
    PlaceCall,
    /// One call.
    Call,
    /// Deleting a call's record.
    DeleteCall,
    /// The recordings of one call.
    CallRecordings,
    /// Recording a call from now on.
    StartRecording,
    /// The list of recordings.
    Recordings,
    /// One recording's facts.
    Recording,
    /// Deleting a recording.
    DeleteRecording,
    /// A recording's sound.
    Media,
    /// Nothing that there is.
    Unknown,
}

/// One thing that goes wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is taken up only after so long.
    Slow(Duration),
    /// It is refused, in JSON or for sound in XML. Nothing happens.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Twilio's own code, which may be missing.
        code: Option<u32>,
    },
    /// It is one too many (429, 20429). Nothing happens.
    TooManyRequests {
        /// The seconds in `Retry-After`, which may be missing.
        retry_after_s: Option<u32>,
    },
    /// It is answered 200 with an XML page that speaks of an error. Nothing happens.
    ErrorPage {
        /// What the page claims to be.
        content_type: &'static str,
    },
    /// It is answered 307 with this address. Nothing happens.
    RedirectTo(String),
    /// It takes effect, and the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks after so many bytes of the answer's body.
    CutAfter(u64),
    /// The answer is only so many bytes long and says so, as if that were all.
    TruncatedTo(u64),
    /// `Content-Length` promises so many bytes more than come.
    ClaimsMore(u64),
    /// There is no `Content-Length`.
    LengthUntold,
    /// The WAV's header says that there are so many bytes of sound.
    HeaderLength(u32),
    /// A `Range` is not heeded: the whole sound comes.
    NoRange,
    /// A `Range` is answered 206 with the sound's beginning.
    WrongRange,
}

impl Fault {
    /// The server itself failed, without a code of Twilio's.
    pub const fn server_error() -> Self {
        Self::Refused { status: 500, code: None }
    }

    /// The recording is being changed by somebody else (408, 16114).
    pub const fn being_changed() -> Self {
        Self::Refused { status: 408, code: Some(16_114) }
    }

    /// There is no such thing, or not yet (404, 20404).
    pub const fn not_found() -> Self {
        Self::Refused { status: 404, code: Some(20_404) }
    }

    /// The call is not in progress (400, 21220).
    pub const fn not_eligible() -> Self {
        Self::Refused { status: 400, code: Some(21_220) }
    }

    /// An error page in the guise of sound.
    pub const fn error_page() -> Self {
        Self::ErrorPage { content_type: "audio/x-wav" }
    }
}

struct Rule {
    endpoint: Endpoint,
    fault: Fault,
    /// `None` for ever.
    left: Option<u32>,
}

/// Everything that is wrong, until it is changed.
#[derive(Default)]
pub struct Faults {
    /// For how long after its beginning a call cannot be recorded by request (400, 21220), by
    /// the clock of this Twilio.
    pub too_early_for: Option<Duration>,
    /// The code with which recordings turn out to be absent when their call ends.
    pub absent: Option<u32>,
    /// A call that appears at the front of its list between the first page asked for and the
    /// next, once.
    pub between_pages: Option<CallScript>,
    /// Whether the API goes away in the moment a call ends, until it is brought back.
    pub offline_at_call_end: bool,
    rules: Vec<Rule>,
}

impl Faults {
    /// Lets the next so many requests for `endpoint` meet a fault.
    pub fn next(&mut self, requests: u32, endpoint: Endpoint, fault: Fault) -> &mut Self {
        self.rules.push(Rule { endpoint, fault, left: Some(requests) });
        self
    }

    /// Lets every request for `endpoint` meet a fault.
    pub fn always(&mut self, endpoint: Endpoint, fault: Fault) -> &mut Self {
        self.rules.push(Rule { endpoint, fault, left: None });
        self
    }

    /// Mends everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes what one request meets: of each kind of fault, the rule that was made first.
    pub(super) fn take(&mut self, endpoint: Endpoint) -> Vec<Fault> {
        let mut taken: Vec<Fault> = Vec::new();
        for rule in &mut self.rules {
            let meant = rule.endpoint == Endpoint::Any || rule.endpoint == endpoint;
            let kind = std::mem::discriminant(&rule.fault);
            let twice = taken.iter().any(|fault| std::mem::discriminant(fault) == kind);
            if !meant || twice || rule.left == Some(0) {
                continue;
            }
            rule.left = rule.left.map(|left| left - 1);
            taken.push(rule.fault.clone());
        }
        self.rules.retain(|rule| rule.left != Some(0));
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_met_as_often_as_it_was_asked_for() {
        let mut faults = Faults::default();
        faults.next(2, Endpoint::Media, Fault::NoRange).next(1, Endpoint::Any, Fault::AnswerLost);
        faults.always(Endpoint::Calls, Fault::LengthUntold);
        assert_eq!(faults.take(Endpoint::Media), [Fault::NoRange, Fault::AnswerLost]);
        assert_eq!(faults.take(Endpoint::Media), [Fault::NoRange]);
        assert_eq!(faults.take(Endpoint::Media), []);
        assert_eq!(faults.take(Endpoint::Calls), [Fault::LengthUntold]);
        assert_eq!(faults.take(Endpoint::Calls), [Fault::LengthUntold]);
        faults.clear();
        assert_eq!(faults.take(Endpoint::Calls), []);
    }

    #[test]
    fn rules_for_one_kind_of_fault_follow_each_other() {
        let mut faults = Faults::default();
        faults.next(1, Endpoint::Media, Fault::CutAfter(10));
        faults.next(1, Endpoint::Media, Fault::CutAfter(20));
        assert_eq!(faults.take(Endpoint::Media), [Fault::CutAfter(10)]);
        assert_eq!(faults.take(Endpoint::Media), [Fault::CutAfter(20)]);
    }
}
