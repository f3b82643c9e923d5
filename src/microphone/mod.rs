//! The box's own ear: found by a name that lasts, listened to, looked for again for ever.
//!
//! ```text
//!   card's thread ──ring──> microphone's thread ──Heard──> listener
//!                             │ looks, opens, listens, closes, looks again
//!                             └ State: absent, refused, mute, silent, hears
//! ```
//!
//! Invariants: whoever listens is told of each sample which one it is, and when it was heard as far
//! as the card's clock has been measured; a device that hangs holds one thread and nobody else;
//! whatever keeps it from hearing is told within a second, and told once. What is heard is handed
//! on and kept nowhere here.
//!
//! It listens all the time, call or no call: a microphone that is broken is to be known before the
//! call that needs it, and its clock is known to a few millionths when that begins.
//!
//! Not here: which call hears it, and where its sound lies in that (capture's).

#[cfg(feature = "mic")]
mod alsa;
#[cfg(not(feature = "mic"))]
#[path = "alsa_absent.rs"]
mod alsa;
mod cards;
mod devices;
mod ear;
mod hearing;
mod level;
mod name;
mod opener;
mod ring;
mod state;

pub use cards::{Absent, Card, Roots, Usb, cards};
pub use devices::{Choice, check, devices};
pub use ear::{Heard, Listener, Microphone, Options};
pub use level::Level;
pub use name::{BadName, DeviceName, UsbName, Which};
pub use opener::{Format, Listening, OpenError, Opener, Target};
pub use ring::{Capture, Trouble};
pub use state::{Finding, State, Status};

/// Returns what opens this machine's sound cards.
pub fn sound_cards() -> Box<dyn Opener> {
    Box::new(alsa::Alsa)
}
