//! The appliance under test: the real program, as a process of its own, in a folder of its own.
//!
//! A [`Home`] is what survives the process (configuration, data folder); an [`Appliance`] is one
//! run of it. [`Appliance::stop`] asks it to stop in good order and then checks what every stop
//! must leave behind: no file under way, and a ledger that knows every file and its size.
#![cfg_attr(
    not(feature = "whisper"),
    allow(
        dead_code,
        unused_imports,
        reason = "some of it is for tests that need the speech engine"
    )
)]

mod card;
mod home;
mod ledger;
mod process;
mod s3;
mod sounds;
mod stream;
mod tunnel;
mod twilio;
mod wall;

use std::time::Duration;

use tokio::time::{Instant, sleep};

pub(crate) use card::SoundCard;
pub(crate) use home::{ACCOUNT, AGENT, Home, PUBLIC_URL, TOKEN};
pub(crate) use ledger::{Call, Gap, Ledger, Track};
pub(crate) use process::{Answer, Appliance, fieldtape};
pub(crate) use s3::S3;
pub(crate) use sounds::{asset_sound, decoded, noise, read_wav, root, tone};
pub(crate) use stream::{Connected, Socket};
pub(crate) use tunnel::{Flaw, Tunnel};
pub(crate) use twilio::{
    Form, Twilio, fresh_call_sid, fresh_recording_sid, fresh_stream_sid, twilio_api,
};
pub(crate) use wall::Wall;

/// How long a fact may take to come true. Two cores are shared with other tests and a speech
/// model, so this is for a machine that is very busy; a healthy run waits for none of it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// How often a fact is looked for.
const GLANCE: Duration = Duration::from_millis(20);

/// Waits until `look` finds what it looks for.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, look).await
}

/// Waits so long and no longer until `look` finds what it looks for.
pub(crate) async fn within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} in vain: {what}");
        sleep(GLANCE).await;
    }
}
