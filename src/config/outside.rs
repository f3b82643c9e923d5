//! `[twilio]`, `[archive]` and `[summary]`: whom we speak to outside, and by what secrets.

use super::build::{SecretKey, filled, parsed, secret};
use super::{
    Archive, CloudRecording, Deletion, Lookup, Problem, Problems, Twilio, keeping, raw, units,
};
use crate::archive::{self, PlaceOptions};
use crate::domain::AccountSid;
use crate::summarize::{Address, ApiKey, ServerOptions, Timeouts};
use crate::twilio::rest::{Credentials, Origin};
use crate::twilio::signature::{AuthToken, SharedKey};

/// Twilio is asked what it knows no oftener than this.
const RECONCILE_LEAST: std::time::Duration = std::time::Duration::from_secs(10);

/// The text of the account's token, wherever it stands.
const AUTH_TOKEN: SecretKey =
    SecretKey { key: "twilio.auth_token", credential: "fieldtape.twilio-auth-token" };

pub(super) fn twilio(
    raw: raw::Twilio,
    environment: &dyn Lookup,
    problems: &mut Problems,
) -> Option<Twilio> {
    let account_sid = parsed("twilio.account_sid", raw.account_sid.as_deref(), problems);
    let token = secret(
        &AUTH_TOKEN,
        (raw.auth_token.clone(), raw.auth_token_file.clone()),
        environment,
        problems,
    );
    let auth_token =
        token.as_deref().and_then(|t| problems.keep("twilio.auth_token", AuthToken::new(t)));
    let shared_key = secret(
        &SecretKey { key: "twilio.shared_key", credential: "fieldtape.twilio-shared-key" },
        (raw.shared_key.clone(), raw.shared_key_file.clone()),
        environment,
        problems,
    );
    let shared_key =
        shared_key.and_then(|t| problems.keep("twilio.shared_key", SharedKey::new(&t)));
    let api_origin = problems.keep("twilio.api_url", Origin::parse(&raw.api_url));
    let api = api_origin.clone().and_then(|origin| {
        api(&raw, origin, (account_sid.as_ref(), token.as_deref()), environment, problems)
    });
    let cloud_recording = match raw.cloud_recording.as_str() {
        "twiml" => Some(CloudRecording::Twiml),
        "rest" => Some(CloudRecording::Rest),
        "off" => Some(CloudRecording::Off),
        other => {
            let what = format!("{other:?} is none of \"twiml\", \"rest\", \"off\"");
            problems.add("twilio.cloud_recording", what);
            None
        }
    };
    let reconcile_every =
        problems.keep("twilio.reconcile_every", units::duration(&raw.reconcile_every));
    let reconcile_every = reconcile_every.filter(|every| {
        let fits = *every >= RECONCILE_LEAST;
        if !fits {
            problems.add("twilio.reconcile_every", "must be 10s or more");
        }
        fits
    });
    let delete_after = problems.keep("twilio.delete_after", units::duration(&raw.delete_after));
    let country = problems.keep("twilio.country", raw.country.parse());
    let bandwidth_limit = limit("twilio.bandwidth_limit", raw.bandwidth_limit, problems);
    let prices = keeping::prices(
        (raw.price_per_minute_recorded, raw.price_per_minute_stored),
        raw.price_currency,
        problems,
    );
    Some(Twilio {
        country: country?,
        account_sid,
        auth_token,
        shared_key,
        api_origin: api_origin?,
        api,
        validate_signatures: raw.validate_signatures,
        caller_id: filled(raw.caller_id),
        agent_identity: filled(raw.agent_identity),
        agent_number: filled(raw.agent_number),
        cloud_recording: cloud_recording?,
        reconcile_every: reconcile_every?,
        deletion: raw.delete.then_some(Deletion { after: delete_after? }),
        bandwidth_limit,
        prices: prices?,
    })
}

/// What Twilio's REST API is asked with: an API key, which can be revoked alone, or the account
/// itself. None while neither is set.
fn api(
    raw: &raw::Twilio,
    origin: Origin,
    (account, token): (Option<&AccountSid>, Option<&str>),
    environment: &dyn Lookup,
    problems: &mut Problems,
) -> Option<Credentials> {
    let key_secret = secret(
        &SecretKey { key: "twilio.api_key_secret", credential: "fieldtape.twilio-api-key-secret" },
        (raw.api_key_secret.clone(), raw.api_key_secret_file.clone()),
        environment,
        problems,
    );
    let key_sid = filled(raw.api_key_sid.clone());
    let (key, user, secret) = match (&key_sid, &key_secret) {
        (Some(sid), Some(secret)) => ("twilio.api_key_secret", sid.as_str(), secret.as_str()),
        (None, None) => ("twilio.auth_token", account?.as_str(), token?),
        (Some(_), None) => {
            problems.add("twilio.api_key_secret", "is missing: twilio.api_key_sid is set");
            return None;
        }
        (None, Some(_)) => {
            problems.add("twilio.api_key_sid", "is missing: twilio.api_key_secret is set");
            return None;
        }
    };
    problems.keep(key, Credentials::new(origin, user, secret))
}

/// Reads a pace such as `500KB` as bytes a second.
fn limit(key: &str, text: Option<String>, problems: &mut Problems) -> Option<u64> {
    let bytes = problems.keep(key, units::size(&filled(text)?))?;
    if bytes == 0 {
        problems.add(key, "is 0: nothing would ever pass; leave it out for no limit");
        return None;
    }
    Some(bytes)
}

pub(super) fn archive(
    raw: raw::Archive,
    environment: &dyn Lookup,
    problems: &mut Problems,
) -> Option<Archive> {
    let bandwidth_limit = limit("archive.bandwidth_limit", raw.bandwidth_limit, problems);
    let access_key_id = secret(
        &SecretKey { key: "archive.access_key_id", credential: "fieldtape.archive-access-key-id" },
        (raw.access_key_id, raw.access_key_id_file),
        environment,
        problems,
    );
    let secret_access_key = secret(
        &SecretKey {
            key: "archive.secret_access_key",
            credential: "fieldtape.archive-secret-access-key",
        },
        (raw.secret_access_key, raw.secret_access_key_file),
        environment,
        problems,
    );
    let url = filled(raw.url)?;
    let place = PlaceOptions {
        url,
        endpoint: filled(raw.endpoint),
        region: filled(raw.region),
        access_key_id: access_key_id.unwrap_or_default(),
        secret_access_key: archive::SecretKey::new(secret_access_key.unwrap_or_default()),
    };
    if let Err(wrong) = place.check() {
        problems.add(wrong.key(), wrong.to_string());
        return None;
    }
    Some(Archive { place, bandwidth_limit })
}

/// The server that writes summaries; none while they are made on the box.
pub(super) fn summary(
    raw: raw::Summary,
    environment: &dyn Lookup,
    problems: &mut Problems,
    warnings: &mut Vec<Problem>,
) -> Option<ServerOptions> {
    let which = SecretKey { key: "summary.api_key", credential: "fieldtape.summary-api-key" };
    let key = secret(&which, (raw.api_key, raw.api_key_file), environment, problems);
    let key = key.and_then(|text| {
        let plain = ApiKey::new(&text).ok_or("is letters and digits, without spaces");
        problems.keep(which.key, plain)
    });
    let (url, model) = (filled(raw.url), filled(raw.model));
    match raw.engine.as_str() {
        "extractive" => {
            for (key, set) in [("summary.url", url.is_some()), ("summary.model", model.is_some())] {
                if set {
                    let what = "has no effect while summary.engine is \"extractive\"".to_owned();
                    warnings.push(Problem { key: key.to_owned(), what });
                }
            }
            None
        }
        "openai" => {
            let missing = "is missing: summary.engine is \"openai\"";
            let address = match url {
                Some(url) => problems.keep("summary.url", Address::parse(&url)),
                None => problems.keep("summary.url", Err::<Address, _>(missing)),
            };
            let model = problems.keep("summary.model", model.ok_or(missing));
            Some(ServerOptions {
                address: address?,
                model: model?,
                key,
                timeouts: Timeouts::default(),
            })
        }
        other => {
            let what = format!("{other:?} is neither \"extractive\" nor \"openai\"");
            problems.add("summary.engine", what);
            None
        }
    }
}
