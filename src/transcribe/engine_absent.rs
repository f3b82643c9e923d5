//! Stands in for the engine in a program built without it: no value of it can exist.

use std::fs::File;

use super::heard::{Attempt, EngineError, Heard, Manner};

/// No engine.
pub(crate) enum Engine {}

impl Engine {
    /// Says that there is none.
    pub(crate) fn load(_model: &File, _detector: &File) -> Result<Self, EngineError> {
        Err(EngineError::Model("there is no speech engine in this program".to_owned()))
    }

    /// Cannot be called.
    pub(crate) fn speech(&mut self, _audio: &[f32]) -> Result<Vec<f32>, EngineError> {
        match *self {}
    }

    /// Cannot be called.
    pub(crate) fn listen(
        &mut self,
        _audio: &[f32],
        _manner: &Manner<'_>,
        _attempt: Attempt,
    ) -> Result<Heard, EngineError> {
        match *self {}
    }
}
