//! Twilio, played by ourselves: a call placed into a running appliance, over real sockets.
//!
//! Duty: a signed webhook, the obeyed `TwiML`, the WebSocket with its 20 ms frames, the
//! callbacks, and on request every fault that the link between has been seen to have; in
//! [`cloud`] also Twilio's REST API, where the call can be found and fetched.
//!
//! Invariant: what is sent is byte for byte the sound that was given, and the report says
//! exactly which stretches of it were withheld. Which frames meet which fault depends on the
//! seed alone.
//!
//! Not here: reading sound files (the caller brings mu-law), and any knowledge of the appliance
//! but what Twilio has: its public address, its token, its answers.

mod answer;
mod call;
pub mod cloud;
mod faults;
mod forms;
mod line;
mod moment;
mod plan;
mod report;
mod socket;
mod sound;
mod way;

use tokio_util::sync::CancellationToken;
use url::Url;

pub use call::fresh_call_sid;
use call::fresh_recording_sid;
pub use faults::{Ending, Faults};
pub use report::{Dropped, Report, Trouble, Webhook};
pub use sound::Sound;
pub use way::{BadRoots, Roots};

use self::cloud::Cloud;
use crate::clock::SharedClock;
use crate::domain::{AccountSid, CallSid, Origin};
use crate::twilio::door::PublicUrl;
use crate::twilio::signature::AuthToken;

/// The call that is to be played, and where.
pub struct Options {
    /// Where the appliance's Twilio listener is reached from here.
    pub target: Url,
    /// Who vouches for it, if it is encrypted; none for those that the machine knows.
    pub roots: Option<Roots>,
    /// The address that Twilio believes it calls; it is what gets signed.
    pub public_url: PublicUrl,
    /// The account's secret.
    pub auth_token: AuthToken,
    /// The account.
    pub account_sid: AccountSid,
    /// The call.
    pub call_sid: CallSid,
    /// Who calls: a number, or `client:name` of an agent's browser.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// What began the call; it decides who is on which track.
    pub origin: Origin,
    /// How fast the call's own time goes, 1 being life.
    pub speed: f64,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// The time that callbacks tell.
    pub clock: SharedClock,
    /// The Twilio that the call is one of: its API shows it and records it, and its callbacks are
    /// told by it. Without one the call is played all the same, and no sound is kept.
    pub cloud: Option<Cloud>,
}

/// Why no call came about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that makes no call.
    #[error("{option} must be {must}")]
    BadOption {
        /// Its name.
        option: &'static str,
        /// What it must be.
        must: &'static str,
    },
    /// Nobody there.
    #[error("nobody answers at {target} ({why}): is the appliance running there?")]
    Unreachable {
        /// Where.
        target: String,
        /// What happened instead.
        why: String,
    },
    /// It takes us for somebody else.
    #[error(
        "the appliance refused the call (403): are auth_token, account_sid and public_url the same \
         here and there?"
    )]
    Refused,
    /// It is there, but does not answer calls.
    #[error("the appliance answered HTTP {status} instead of TwiML; Twilio would end the call")]
    BadStatus {
        /// What it said.
        status: u16,
    },
    /// Something that Twilio would not take for an answer.
    #[error("the appliance's answer is not TwiML: {why}")]
    NotTwiml {
        /// What is wrong with it.
        why: String,
    },
    /// This machine cannot make requests at all.
    #[error("no HTTP client on this machine: {0}")]
    Client(#[source] reqwest::Error),
}

/// Plays one call to its end, or until `stop` hangs it up.
///
/// An error means that no call came about. What went wrong later is in the report, because the
/// call went on, as a real one would.
pub async fn run(options: Options, sound: Sound, stop: CancellationToken) -> Result<Report, Error> {
    options.faults.check()?;
    if !options.speed.is_finite() || options.speed <= 0.0 {
        return Err(Error::BadOption { option: "speed", must: "more than 0" });
    }
    // On the heap: a call's state is some 20 kB, and tests run many of them.
    Box::pin(call::Call::new(options, sound, stop)?.live()).await
}

#[cfg(test)]
mod tests;
