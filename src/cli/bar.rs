//! Progress on a terminal, and nothing anywhere else.

use indicatif::{ProgressBar, ProgressStyle};

use super::output;

/// How a bar of bytes looks.
const BYTES: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta} left";

/// How a bar of a recording's seconds looks.
const SECONDS: &str = "{msg} {wide_bar} {percent} % of {prefix}, {eta} left";

/// How a needle looks.
const LEVEL: &str = "{wide_bar} {msg}";

/// What a needle shows, in dB below full scale.
const LEVEL_DB: f32 = 60.0;

/// A bar on standard error, if that is a terminal. It is gone when this is dropped.
pub(super) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    /// Begins a bar of so many bytes.
    pub(super) fn bytes(what: &str, total: u64) -> Self {
        Self::new(what, total, BYTES)
    }

    /// Begins a bar of a recording whose length is told with its progress.
    pub(super) fn sound(what: &str) -> Self {
        let bar = Self::new(what, 1, SECONDS);
        bar.bar.set_prefix("…");
        bar
    }

    /// Begins a needle.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "60")]
    pub(super) fn level() -> Self {
        Self::new("", LEVEL_DB as u64, LEVEL)
    }

    /// Moves the needle.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to 60")]
    pub(super) fn level_is(&self, dbfs: f32, text: &str) {
        self.bar.set_position((LEVEL_DB + dbfs).clamp(0.0, LEVEL_DB) as u64);
        self.bar.set_message(text.to_owned());
    }

    /// Says whether there is nobody to see it.
    pub(super) fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    fn new(what: &str, total: u64, look: &str) -> Self {
        let bar = ProgressBar::new(total);
        // A template that is wrong leaves the plain one, which a test of this file would see.
        if let Ok(style) = ProgressStyle::with_template(look) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Self { bar }
    }

    /// Moves it.
    pub(super) fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// Moves the bar of a recording.
    pub(super) fn of(&self, done_ms: u64, total_ms: u64) {
        if self.bar.length() != Some(total_ms) {
            let s = total_ms / 1000;
            self.bar.set_length(total_ms);
            self.bar.set_prefix(format!("{}:{:02}", s / 60, s % 60));
        }
        self.bar.set_position(done_ms);
    }

    /// Says something above it, or on standard error where there is no bar.
    pub(super) fn note(&self, text: &str) {
        if self.bar.is_hidden() {
            output::error(text);
        } else {
            self.bar.println(format!("fieldtape: {text}"));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_look_can_be_drawn() {
        for look in [BYTES, SECONDS, LEVEL] {
            assert!(ProgressStyle::with_template(look).is_ok(), "{look}");
        }
    }
}
