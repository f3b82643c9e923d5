//! The world outside: Twilio, the way in from there, and the archive.

use std::sync::Arc;
use std::time::Duration;

use super::patient::bounded;
use crate::archive::Remote;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::health::{self, Check, Reach};
use crate::pipeline::Throttle;
use crate::twilio::rest::{Client, Timeouts};
use crate::twilio::round_trip::round_trip;
use crate::twilio::signature::Validator;

/// How long each may take: two requests, of 15 s at most.
const WITHIN: Duration = Duration::from_secs(32);

/// A person waits for the answer.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    idle: Duration::from_secs(10),
    answer: Duration::from_secs(15),
};

/// Asks all of them at once.
pub(super) async fn look(
    config: &Config,
    instance: Option<&str>,
    clock: &SharedClock,
) -> [Check; 3] {
    let (way_in, twilio, archive) = tokio::join!(
        bounded("public_url", WITHIN, way_in(config, instance, clock)),
        bounded("twilio", WITHIN, twilio(config)),
        bounded("archive", WITHIN, archive(config, clock)),
    );
    [way_in, twilio, archive]
}

async fn way_in(config: &Config, instance: Option<&str>, clock: &SharedClock) -> Check {
    let public_url = config.server.public_url.as_ref();
    let reach = match (public_url.filter(|url| !health::is_example(url)), &config.twilio.auth_token)
    {
        (Some(url), Some(token)) => {
            let validator = Validator::new(token.clone(), config.twilio.shared_key.clone());
            let came = round_trip(url, &validator).await;
            match instance {
                Some(instance) => Reach::Here { instance, came },
                None => Reach::NobodyHere(came),
            }
        }
        _ => Reach::NotSet,
    };
    health::public_url(public_url, &reach, clock.now())
}

async fn twilio(config: &Config) -> Check {
    let (Some(credentials), Some(account)) = (&config.twilio.api, &config.twilio.account_sid)
    else {
        return Check::unknown("twilio", "was not asked: no account or token is set")
            .fixed_by("see the checks \"account\" and \"credentials\"");
    };
    match Client::new(credentials.clone(), account.clone(), TIMEOUTS) {
        Ok(client) => health::twilio(client.account().await),
        Err(error) => Check::fail("twilio", error.to_string(), "apt install ca-certificates"),
    }
}

async fn archive(config: &Config, clock: &SharedClock) -> Check {
    let Some(archive) = &config.archive else {
        return health::archive(None);
    };
    let throttle = Throttle::new(Arc::clone(clock), None, Arc::new(|| false));
    let proved = match Remote::open(&archive.place, throttle) {
        Ok(remote) => remote.prove().await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    health::archive(Some(proved))
}
