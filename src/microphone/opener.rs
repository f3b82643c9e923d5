//! The edge to sound cards: what must be asked of whoever opens them.

use super::ring::Capture;

/// What is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A card's device, by the numbers they have now.
    Card {
        /// The card's.
        index: u32,
        /// The device's.
        device: u32,
    },
    /// A PCM of ALSA's configuration.
    Pcm(String),
}

/// How a device gives its sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Samples a second of each channel.
    pub rate_hz: u32,
    /// Channels beside each other.
    pub channels: u16,
    /// What a sample is, as whoever opened the device calls it.
    pub sample: &'static str,
}

/// Opens sound cards. There is one for ALSA, and tests have their own.
pub trait Opener: Send {
    /// Finds out how the device would give its sound. It may be opened for that and closed again.
    fn look(&mut self, target: &Target) -> Result<Format, OpenError>;

    /// Opens the device and has every block it gives handed to `capture`, from a thread of its own.
    /// Dropping the answer closes the device.
    fn open(
        &mut self,
        target: &Target,
        format: Format,
        capture: Capture,
    ) -> Result<Box<dyn Listening>, OpenError>;

    /// Names the PCMs of ALSA's configuration that can record.
    fn pcms(&mut self) -> Vec<String>;
}

/// A device that is open. Dropping it closes the device, which may take as long as the device does.
pub trait Listening {}

/// Why a device cannot be listened to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is not there, or not any more.
    #[error("there is no such device")]
    Gone,
    /// Another program has it.
    #[error("it is taken by another program")]
    Busy,
    /// We may not open it.
    #[error("fieldtape may not open sound cards")]
    Denied,
    /// It gives no sound of a kind that is understood.
    #[error("it cannot record in a way that is understood here: {why}")]
    Unsupported {
        /// What is the matter with it.
        why: String,
    },
    /// Something else is the matter.
    #[error("it cannot be opened: {why}")]
    Failed {
        /// What.
        why: String,
    },
    /// This program was built without microphones.
    #[error("this fieldtape was built without microphones (feature `mic`)")]
    NotBuilt,
}
