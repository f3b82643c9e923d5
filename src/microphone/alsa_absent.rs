//! Stands in for ALSA in a program built without it: nothing can be opened.

use super::opener::{Format, Listening, OpenError, Opener, Target};
use super::ring::Capture;

/// No ALSA.
pub(super) struct Alsa;

impl Opener for Alsa {
    fn look(&mut self, _target: &Target) -> Result<Format, OpenError> {
        Err(OpenError::NotBuilt)
    }

    fn open(
        &mut self,
        _target: &Target,
        _format: Format,
        _capture: Capture,
    ) -> Result<Box<dyn Listening>, OpenError> {
        Err(OpenError::NotBuilt)
    }

    fn pcms(&mut self) -> Vec<String> {
        Vec::new()
    }
}
