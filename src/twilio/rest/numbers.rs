//! The account and its numbers, as the REST API describes them, and what may be set of a number.

use serde::Deserialize;

use super::RestError;
use super::resources::{Page, Word, must_be_ours, parse};
use crate::domain::{AccountSid, NumberSid};

/// The account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountResource {
    /// What its owner calls it.
    pub friendly_name: String,
    /// Twilio's word: `active`, `suspended`, `closed` or one not known here.
    pub status: String,
    /// Whether it is a trial, which rings only numbers that were verified.
    pub is_trial: bool,
}

impl AccountResource {
    /// Says whether its calls are put through.
    pub fn is_active(&self) -> bool {
        self.status == "active"
    }
}

/// A number of the account's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberResource {
    /// Which one.
    pub sid: NumberSid,
    /// The number.
    pub phone_number: String,
    /// What its owner calls it.
    pub friendly_name: String,
    /// Whether it can be called.
    pub takes_calls: bool,
    /// What is asked when a call comes in.
    pub voice_url: Option<String>,
    /// What is asked when that does not answer.
    pub voice_fallback_url: Option<String>,
    /// What is told when a call has ended.
    pub status_callback: Option<String>,
    /// An application, whose addresses are asked instead of these.
    pub voice_application_sid: Option<String>,
    /// A trunk, to which calls go instead.
    pub trunk_sid: Option<String>,
}

/// What a number is to do with calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSettings {
    /// What is asked when a call comes in.
    pub voice_url: String,
    /// What is told when a call has ended.
    pub status_callback: String,
    /// What is asked when `voice_url` does not answer; none leaves what is set.
    pub voice_fallback_url: Option<String>,
}

impl NumberSettings {
    /// Returns them as the API wants them for a number as it is now. An application would be asked
    /// instead of `voice_url`, so it is taken off.
    pub(super) fn fields(&self, number: &NumberResource) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("VoiceUrl", self.voice_url.clone()),
            ("VoiceMethod", "POST".to_owned()),
            ("StatusCallback", self.status_callback.clone()),
            ("StatusCallbackMethod", "POST".to_owned()),
        ];
        if number.voice_application_sid.is_some() {
            fields.push(("VoiceApplicationSid", String::new()));
        }
        if let Some(url) = &self.voice_fallback_url {
            fields.push(("VoiceFallbackUrl", url.clone()));
            fields.push(("VoiceFallbackMethod", "GET".to_owned()));
        }
        fields
    }

    /// Says whether a number is set so already.
    pub fn are_those_of(&self, number: &NumberResource) -> bool {
        let fallback = self.voice_fallback_url.is_none()
            || self.voice_fallback_url == number.voice_fallback_url;
        number.voice_url.as_ref() == Some(&self.voice_url)
            && number.status_callback.as_ref() == Some(&self.status_callback)
            && number.voice_application_sid.is_none()
            && fallback
    }
}

/// A call that is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOrder {
    /// Who is rung.
    pub to: String,
    /// A number of the account's own, or a verified one.
    pub from: String,
    /// What is asked when somebody answers.
    pub url: String,
    /// What is told how it goes.
    pub status_callback: String,
}

impl CallOrder {
    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![
            ("To", self.to.clone()),
            ("From", self.from.clone()),
            ("Url", self.url.clone()),
            ("Method", "POST".to_owned()),
            ("StatusCallback", self.status_callback.clone()),
            ("StatusCallbackMethod", "POST".to_owned()),
        ];
        for event in ["initiated", "ringing", "answered", "completed"] {
            fields.push(("StatusCallbackEvent", event.to_owned()));
        }
        fields
    }
}

/// Reads the account.
pub(super) fn account(account: &AccountSid, body: &[u8]) -> Result<AccountResource, RestError> {
    let body: AccountBody = parse(body)?;
    must_be_ours(&body.sid, account)?;
    Ok(AccountResource {
        friendly_name: body.friendly_name.0.unwrap_or_default(),
        status: body.status.0.unwrap_or_default(),
        is_trial: body.kind.0.is_some_and(|kind| kind.eq_ignore_ascii_case("trial")),
    })
}

/// Reads one number.
pub(super) fn number(account: &AccountSid, body: &[u8]) -> Result<NumberResource, RestError> {
    parse::<NumberBody>(body)?.checked(account)
}

/// Reads a page of numbers.
pub(super) fn numbers(
    account: &AccountSid,
    body: &[u8],
) -> Result<Page<NumberResource>, RestError> {
    let page: NumbersBody = parse(body)?;
    let items = page.incoming_phone_numbers.into_iter().map(|number| number.checked(account));
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: page.next_page_uri.0 })
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccountBody {
    sid: Word,
    friendly_name: Word,
    status: Word,
    #[serde(rename = "type")]
    kind: Word,
}

#[derive(Deserialize)]
struct NumbersBody {
    incoming_phone_numbers: Vec<NumberBody>,
    #[serde(default)]
    next_page_uri: Word,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NumberBody {
    sid: Word,
    account_sid: Word,
    phone_number: Word,
    friendly_name: Word,
    capabilities: Capabilities,
    voice_url: Word,
    voice_fallback_url: Word,
    status_callback: Word,
    voice_application_sid: Word,
    trunk_sid: Word,
}

/// Twilio writes them in small letters or in large ones.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    #[serde(alias = "Voice", alias = "VOICE")]
    voice: Option<bool>,
}

impl NumberBody {
    fn checked(self, account: &AccountSid) -> Result<NumberResource, RestError> {
        must_be_ours(&self.account_sid, account)?;
        let without_sid = || RestError::garbled("a number without its SID");
        Ok(NumberResource {
            sid: self.sid.parsed().ok_or_else(without_sid)?,
            phone_number: self.phone_number.0.unwrap_or_default(),
            friendly_name: self.friendly_name.0.unwrap_or_default(),
            // One that does not say so can.
            takes_calls: self.capabilities.voice.unwrap_or(true),
            voice_url: self.voice_url.0,
            voice_fallback_url: self.voice_fallback_url.0,
            status_callback: self.status_callback.0,
            voice_application_sid: self.voice_application_sid.0,
            trunk_sid: self.trunk_sid.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> AccountSid {
        format!("AC{}", "a".repeat(32)).parse().unwrap()
    }

    #[test]
    fn a_number_is_read_whatever_else_twilio_tells_of_it() {
        let sid = format!("PN{}", "b".repeat(32));
        let body = format!(
            r#"{{"sid":"{sid}","account_sid":"{}","phone_number":"+15550199","friendly_name":"desk",
            "capabilities":{{"voice":false,"sms":true,"mms":true,"fax":false}},"voice_url":"",
            "status_callback":null,"voice_application_sid":"AP1","trunk_sid":null,"beta":false,
            "emergency_status":"Inactive","new_thing":{{"x":[1]}}}}"#,
            ours()
        );
        let number = number(&ours(), body.as_bytes()).unwrap();
        assert_eq!((number.sid.as_str(), number.takes_calls), (sid.as_str(), false));
        assert_eq!((number.voice_url.as_ref(), number.trunk_sid.as_ref()), (None, None));
        assert_eq!(number.voice_application_sid.as_deref(), Some("AP1"));
        let foreign = body.replace(ours().as_str(), &format!("AC{}", "c".repeat(32)));
        assert!(super::number(&ours(), foreign.as_bytes()).is_err());
        let page = format!(r#"{{"incoming_phone_numbers":[{body}],"next_page_uri":null}}"#);
        assert_eq!(numbers(&ours(), page.as_bytes()).unwrap().items.len(), 1);
    }

    #[test]
    fn settings_know_whether_a_number_has_them() {
        let settings = NumberSettings {
            voice_url: "https://h/twilio/voice".to_owned(),
            status_callback: "https://h/twilio/status".to_owned(),
            voice_fallback_url: None,
        };
        let mut number = NumberResource {
            sid: format!("PN{}", "b".repeat(32)).parse().unwrap(),
            phone_number: "+15550199".to_owned(),
            friendly_name: String::new(),
            takes_calls: true,
            voice_url: Some(settings.voice_url.clone()),
            voice_fallback_url: Some("https://h/bin".to_owned()),
            status_callback: Some(settings.status_callback.clone()),
            voice_application_sid: None,
            trunk_sid: None,
        };
        assert!(settings.are_those_of(&number));
        let fallback = Some("https://h/other".to_owned());
        assert!(
            !NumberSettings { voice_fallback_url: fallback, ..settings.clone() }
                .are_those_of(&number)
        );
        number.voice_application_sid = Some("AP1".to_owned());
        assert!(!settings.are_those_of(&number), "it would be asked instead");
    }

    #[test]
    fn an_account_says_whether_it_is_a_trial() {
        let body = format!(
            r#"{{"sid":"{}","friendly_name":"Office 7","status":"active","type":"Trial","auth_token":"s"}}"#,
            ours()
        );
        let account = account(&ours(), body.as_bytes()).unwrap();
        assert!(account.is_trial && account.friendly_name == "Office 7");
        assert!(super::account(&ours(), b"{}").is_err());
    }
}
