//! The account's own numbers, and calls placed by request.

use serde_json::{Value, json};

use super::call::Call;
use super::journal::value;
use super::listing::Item;
use super::reply::Refusal;
use super::world::World;
use crate::domain::{AccountSid, CallSid, NumberSid, UnixMillis};
use crate::simulate::moment::rfc2822;

/// A number of the account's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Its name.
    pub sid: NumberSid,
    /// The number.
    pub phone_number: String,
    /// What its owner calls it.
    pub friendly_name: String,
    /// Whether it can be called.
    pub voice: bool,
    /// Its settings by the names that requests have for them, such as `VoiceUrl`.
    pub settings: Vec<(String, String)>,
}

/// The settings that a number has, as requests and as answers name them.
const SETTINGS: [(&str, &str); 7] = [
    ("VoiceUrl", "voice_url"),
    ("VoiceMethod", "voice_method"),
    ("VoiceFallbackUrl", "voice_fallback_url"),
    ("VoiceFallbackMethod", "voice_fallback_method"),
    ("VoiceApplicationSid", "voice_application_sid"),
    ("StatusCallback", "status_callback"),
    ("StatusCallbackMethod", "status_callback_method"),
];

impl Number {
    /// Returns a setting; none if it is not set.
    pub fn setting(&self, name: &str) -> Option<&str> {
        value(&self.settings, name).filter(|value| !value.is_empty())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.settings.retain(|(known, _)| known != name);
        self.settings.push((name.to_owned(), value.to_owned()));
    }

    fn json(&self, account: &AccountSid, now: UnixMillis) -> Value {
        let sid = &self.sid;
        let mut shown = json!({
            "account_sid": account.as_str(),
            "address_requirements": "none",
            "api_version": "2010-04-01",
            "beta": false,
            "capabilities": {"voice": self.voice, "sms": true, "mms": true, "fax": false},
            "date_created": rfc2822(now),
            "date_updated": rfc2822(now),
            "friendly_name": self.friendly_name,
            "origin": "twilio",
            "phone_number": self.phone_number,
            "sid": sid.as_str(),
            "sms_url": "",
            "trunk_sid": null,
            "uri": format!("/2010-04-01/Accounts/{account}/IncomingPhoneNumbers/{sid}.json"),
            "voice_receive_mode": "voice",
        });
        for (name, shown_as) in SETTINGS {
            // An address that is not set is empty, an application that is not set is nothing.
            shown[shown_as] = match self.setting(name) {
                None if name.ends_with("Sid") => Value::Null,
                setting => Value::from(setting.unwrap_or_default()),
            };
        }
        shown
    }
}

/// Returns the numbers that a query asks for.
pub(super) fn listed(
    world: &World,
    account: &AccountSid,
    (query, now): (&[(String, String)], UnixMillis),
) -> Vec<Item> {
    let wanted = value(query, "PhoneNumber").filter(|part| !part.is_empty());
    let fits = |number: &&Number| wanted.is_none_or(|part| number.phone_number.contains(part));
    let item =
        |number: &Number| Item { sid: number.sid.to_string(), json: number.json(account, now) };
    world.numbers.iter().filter(fits).map(item).collect()
}

/// Changes a number, and returns it as it is then.
pub(super) fn change(
    world: &mut World,
    account: &AccountSid,
    (sid, form, now): (&NumberSid, &[(String, String)], UnixMillis),
) -> Result<Value, Refusal> {
    let known = |name: &str| SETTINGS.iter().any(|(setting, _)| *setting == name);
    let is_url = |name: &str| name.ends_with("Url") || name == "StatusCallback";
    let bad = |(name, value): &(String, String)| {
        let no_url =
            !value.is_empty() && !value.starts_with("https://") && !value.starts_with("http://");
        let no_method = !matches!(value.as_str(), "GET" | "POST");
        (is_url(name) && no_url) || (name.ends_with("Method") && no_method)
    };
    if form.iter().any(bad) {
        return Err(Refusal::BAD_PARAMETER);
    }
    let number = world.numbers.iter_mut().find(|number| number.sid == *sid);
    let number = number.ok_or(Refusal::NOT_FOUND)?;
    for (name, value) in form.iter().filter(|(name, _)| known(name)) {
        number.set(name, value);
    }
    Ok(number.json(account, now))
}

/// Takes an order for a call. Nobody is rung: what Twilio would do then is played by whoever placed
/// the order.
pub(super) fn place(
    world: &mut World,
    account: &AccountSid,
    (sid, form, now): (CallSid, &[(String, String)], UnixMillis),
) -> Result<Value, Refusal> {
    let wanted = |name: &str| value(form, name).filter(|value| !value.is_empty());
    let (Some(to), Some(from)) = (wanted("To"), wanted("From")) else {
        return Err(Refusal::BAD_PARAMETER);
    };
    if wanted("Url").or(wanted("Twiml")).or(wanted("ApplicationSid")).is_none() {
        return Err(Refusal::BAD_PARAMETER);
    }
    let call = Call::ordered(sid, (from, to), now);
    let shown = call.json(account);
    world.calls.push(call);
    Ok(shown)
}
