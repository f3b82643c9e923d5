//! Room transcribe.
