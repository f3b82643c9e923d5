//! The way in from Twilio, walked now and then: a tunnel that fell shut makes no sound, and no call
//! comes to tell of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::heart::Heart;
use crate::clock::SharedClock;
use crate::config::Config;
use crate::health::{self, Check, Reach};
use crate::pipeline::Link;
use crate::twilio::round_trip::round_trip;
use crate::twilio::signature::Validator;

/// How often it is walked: two small requests.
const WALK_EVERY: Duration = Duration::from_mins(15);

/// How soon it is walked again after it led nowhere: a tunnel that comes back does so within
/// seconds, and until then the page says that it is away.
const AGAIN: Duration = Duration::from_mins(1);

/// How soon after the start: the tunnel starts with the box, as we do.
const FIRST: Duration = Duration::from_secs(30);

/// Walks the way in.
pub(super) struct WayIn {
    pub(super) config: Config,
    pub(super) clock: SharedClock,
    pub(super) link: Option<Link>,
    pub(super) instance: Arc<str>,
}

impl WayIn {
    /// Walks until `stop`, and tells what is found.
    pub(super) fn start(
        self,
        (heart, rooms): (&Heart, &mut JoinSet<&'static str>),
        stop: &CancellationToken,
    ) -> watch::Receiver<Check> {
        let (told, found) = watch::channel(Check::unknown("public_url", "it was not tried yet"));
        rooms.spawn(heart.beating("the way in", self.run(told, stop.clone())));
        found
    }

    async fn run(self, told: watch::Sender<Check>, stop: CancellationToken) {
        let mut pause = FIRST;
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep(pause) => {}
            }
            let found = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                found = self.walk() => found,
            };
            pause = if found.is_trouble() { AGAIN } else { WALK_EVERY };
            told.send_replace(found);
        }
    }

    async fn walk(&self) -> Check {
        let public_url = self.config.server.public_url.as_ref();
        let away = self.link.as_ref().is_some_and(|link| !link.is_up());
        let (Some(url), false) = (public_url, away) else {
            return Check::unknown("public_url", "it is not tried while there is no link");
        };
        if health::is_example(url) {
            let what = format!("{} is a name for examples, which is not tried", url.as_str());
            return Check::unknown("public_url", what);
        }
        let twilio = &self.config.twilio;
        let reach = match &twilio.auth_token {
            None => Reach::NotSet,
            Some(token) => {
                let validator = Validator::new(token.clone(), twilio.shared_key.clone());
                let came = round_trip(url, &validator).await;
                Reach::Here { instance: &self.instance, came }
            }
        };
        health::public_url(public_url, &reach, self.clock.now())
    }
}
