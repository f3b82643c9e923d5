//! What a request's path and method ask for.

use axum::http::Method;

use super::faults::Endpoint;
use super::reply::Style;
use crate::domain::{CallSid, NumberSid, RecordingSid};

/// One thing of one account.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Account,
    Numbers,
    Number(NumberSid),
    Calls,
    PlaceCall,
    Call(CallSid),
    DeleteCall(CallSid),
    CallRecordings(CallSid),
    StartRecording(CallSid),
    Recordings,
    Recording(RecordingSid),
    DeleteRecording(RecordingSid),
    Media(RecordingSid),
    Unknown,
}

impl Target {
    /// Reads a path; what is not ours is unknown.
    pub(super) fn of(method: &Method, path: &str, account: &str) -> Self {
        Self::find(method, path, account).unwrap_or(Self::Unknown)
    }

    fn find(method: &Method, path: &str, account: &str) -> Option<Self> {
        let path = path.strip_prefix("/2010-04-01/Accounts/")?;
        if path.strip_suffix(".json") == Some(account) {
            return (method == Method::GET).then_some(Self::Account);
        }
        let path = path.strip_prefix(account)?.strip_prefix('/')?;
        let (resource, is_json) = match path.strip_suffix(".json") {
            Some(resource) => (resource, true),
            None => (path.strip_suffix(".wav").unwrap_or(path), false),
        };
        let parts: Vec<&str> = resource.split('/').collect();
        let target = match (method.as_str(), parts.as_slice(), is_json) {
            ("GET", ["IncomingPhoneNumbers"], true) => Self::Numbers,
            ("POST", ["IncomingPhoneNumbers", sid], true) => Self::Number(sid.parse().ok()?),
            ("GET", ["Calls"], true) => Self::Calls,
            ("POST", ["Calls"], true) => Self::PlaceCall,
            ("GET", ["Calls", sid], true) => Self::Call(sid.parse().ok()?),
            ("DELETE", ["Calls", sid], true) => Self::DeleteCall(sid.parse().ok()?),
            ("GET", ["Calls", sid, "Recordings"], true) => Self::CallRecordings(sid.parse().ok()?),
            ("POST", ["Calls", sid, "Recordings"], true) => Self::StartRecording(sid.parse().ok()?),
            ("GET", ["Recordings"], true) => Self::Recordings,
            ("GET", ["Recordings", sid], true) => Self::Recording(sid.parse().ok()?),
            ("DELETE", ["Recordings", sid], true) => Self::DeleteRecording(sid.parse().ok()?),
            ("GET", ["Recordings", sid], false) => Self::Media(sid.parse().ok()?),
            _ => return None,
        };
        Some(target)
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Account => Endpoint::Account,
            Self::Numbers => Endpoint::Numbers,
            Self::Number(_) => Endpoint::Number,
            Self::Calls => Endpoint::Calls,
            Self::PlaceCall => Endpoint::PlaceCall,
            Self::Call(_) => Endpoint::Call,
            Self::DeleteCall(_) => Endpoint::DeleteCall,
            Self::CallRecordings(_) => Endpoint::CallRecordings,
            Self::StartRecording(_) => Endpoint::StartRecording,
            Self::Recordings => Endpoint::Recordings,
            Self::Recording(_) => Endpoint::Recording,
            Self::DeleteRecording(_) => Endpoint::DeleteRecording,
            Self::Media(_) => Endpoint::Media,
            Self::Unknown => Endpoint::Unknown,
        }
    }
}

/// Returns what a refusal of this path is written in.
pub(super) fn style(path: &str) -> Style {
    if path.strip_suffix(".json").is_some() { Style::Json } else { Style::Xml }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_thing_of_our_account_or_unknown() {
        let account = format!("AC{}", "1".repeat(32));
        let (call, recording) = (format!("CA{}", "2".repeat(32)), format!("RE{}", "3".repeat(32)));
        let base = format!("/2010-04-01/Accounts/{account}");
        let of = |method: Method, path: String| Target::of(&method, &path, &account).endpoint();
        for (path, endpoint) in [
            (format!("{base}.json"), Endpoint::Account),
            (format!("{base}/IncomingPhoneNumbers.json"), Endpoint::Numbers),
            (format!("{base}/Calls.json"), Endpoint::Calls),
            (format!("{base}/Calls/{call}.json"), Endpoint::Call),
            (format!("{base}/Calls/{call}/Recordings.json"), Endpoint::CallRecordings),
            (format!("{base}/Recordings.json"), Endpoint::Recordings),
            (format!("{base}/Recordings/{recording}.json"), Endpoint::Recording),
            (format!("{base}/Recordings/{recording}.wav"), Endpoint::Media),
            (format!("{base}/Recordings/{recording}"), Endpoint::Media),
            (format!("{base}/Recordings/{recording}.mp3"), Endpoint::Unknown),
            (format!("{base}/Recordings/{call}.json"), Endpoint::Unknown),
            (format!("{base}/Calls"), Endpoint::Unknown),
            ("/2010-04-01/Accounts/AC2/Calls.json".to_owned(), Endpoint::Unknown),
            ("/".to_owned(), Endpoint::Unknown),
        ] {
            assert_eq!(of(Method::GET, path.clone()), endpoint, "{path}");
        }
        let number = format!("{base}/IncomingPhoneNumbers/PN{}.json", "4".repeat(32));
        assert_eq!(of(Method::POST, number), Endpoint::Number);
        assert_eq!(of(Method::POST, format!("{base}/Calls.json")), Endpoint::PlaceCall);
        let recordings = format!("{base}/Calls/{call}/Recordings.json");
        assert_eq!(of(Method::POST, recordings), Endpoint::StartRecording);
        let one = format!("{base}/Recordings/{recording}.json");
        assert_eq!(of(Method::DELETE, one.clone()), Endpoint::DeleteRecording);
        assert_eq!(of(Method::PUT, one), Endpoint::Unknown);
        assert_eq!(of(Method::DELETE, format!("{base}/Calls/{call}.json")), Endpoint::DeleteCall);
    }
}
