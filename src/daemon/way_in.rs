//! The way in from Twilio, walked now and then: a tunnel that fell shut makes no sound, and no call
//! comes to tell of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::wing::Wing;
use crate::clock::SharedClock;
use crate::health::{self, Check, Reach};
use crate::pipeline::Link;
use crate::twilio::round_trip::round_trip;
use crate::web::door::Settings;

/// How often it is walked: two small requests.
const WALK_EVERY: Duration = Duration::from_mins(15);

/// How soon it is walked again after it led nowhere: a tunnel that comes back does so within
/// seconds, and until then the page says that it is away.
const AGAIN: Duration = Duration::from_mins(1);

/// How soon after the start: the tunnel starts with the box, as we do.
const FIRST: Duration = Duration::from_secs(30);

/// Walks the way in.
pub(super) struct WayIn {
    /// As a reload leaves them.
    pub(super) settings: watch::Receiver<Settings>,
    pub(super) clock: SharedClock,
    pub(super) link: Option<Link>,
    pub(super) instance: Arc<str>,
}

impl WayIn {
    /// Walks as long as the wing stands, and tells what is found.
    pub(super) fn start(self, wing: &mut Wing) -> watch::Receiver<Check> {
        let (told, found) = watch::channel(Check::unknown("public_url", "it was not tried yet"));
        wing.spawn("the way in", self.run(told, wing.stop()));
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
        let name = "public_url";
        let gatekeeper = self.settings.borrow().gatekeeper.clone();
        let Some(gatekeeper) = gatekeeper else {
            return Check::unknown(name, "it is not tried before the account is set");
        };
        let url = &gatekeeper.public_url;
        if health::is_example(url) {
            let what = format!("{} is a name for examples, which is not tried", url.as_str());
            return Check::unknown(name, what);
        }
        if self.link.as_ref().is_some_and(|link| !link.is_up()) {
            return Check::unknown(name, "it is not tried while there is no link");
        }
        let reach = match &gatekeeper.door {
            // Whoever lets anybody in has nothing to sign with.
            None => Reach::NotSet,
            Some(door) => {
                let came = round_trip(url, door.validator()).await;
                Reach::Here { instance: &self.instance, came }
            }
        };
        health::public_url(Some(url), &reach, self.clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::super::heart::Heart;
    use super::*;
    use crate::clock::ManualClock;
    use crate::domain::UnixMillis;
    use crate::health::CheckState;
    use crate::twilio::door::{Door, PublicUrl};
    use crate::twilio::signature::{AuthToken, Validator};
    use crate::web::door::{Answering, CloudCopy, Gatekeeper};

    fn settings(public_url: &str) -> Settings {
        let public_url = PublicUrl::parse(public_url).unwrap();
        let validator = Validator::new(AuthToken::new("token").unwrap(), None);
        Settings {
            gatekeeper: Some(Gatekeeper {
                door: Some(Door::new(public_url.clone(), validator)),
                account_sid: format!("AC{}", "0".repeat(32)).parse().unwrap(),
                public_url,
            }),
            answering: Answering {
                announcement: String::new(),
                language: None,
                caller_id: None,
                agent_identity: None,
                agent_number: None,
                cloud_copy: CloudCopy::Off,
            },
        }
    }

    #[tokio::test]
    async fn a_way_in_that_leads_nowhere_is_told_and_walked_again_with_new_settings() {
        let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
        let (wishes, seen) = watch::channel(settings("https://127.0.0.1:9"));
        let way_in =
            WayIn { settings: seen, clock: clock.clone(), link: None, instance: "run".into() };
        let stop = CancellationToken::new();
        let mut wing = Wing::new(&stop, &Heart::default());
        let mut found = way_in.start(&mut wing);
        assert_eq!(found.borrow().state, CheckState::Unknown, "nothing is known yet");
        let after = async |pause, found: &mut watch::Receiver<Check>| {
            // The loop may not be asleep yet: time passes until it has walked.
            while !found.has_changed().unwrap() {
                clock.advance(pause);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            found.borrow_and_update().clone()
        };
        let shut = after(FIRST, &mut found).await;
        assert!(
            shut.state == CheckState::Fail && shut.detail.contains("nobody answers"),
            "{shut:?}"
        );
        wishes.send_replace(settings("https://calls.example.org"));
        let example = after(AGAIN, &mut found).await;
        assert!(!example.is_trouble() && example.detail.contains("examples"), "{example:?}");
        stop.cancel();
        assert_eq!(wing.ended().await.unwrap(), "the way in");
    }
}
