//! Room audio.
