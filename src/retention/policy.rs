//! How long each kind is kept, and what may go at all.

use std::time::Duration;

use crate::domain::PieceKind;

/// How long each kind is kept, and what may go at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// All sound of a call.
    pub audio: Option<Duration>,
    /// Its 16 kHz files, if shorter.
    pub wide: Option<Duration>,
    /// Twilio's copy and its channels, if shorter.
    pub copy: Option<Duration>,
    /// Its transcript.
    pub words: Option<Duration>,
    /// The most that recordings may take up.
    pub max_bytes: Option<u64>,
    /// Whether what is nowhere else may go.
    pub only_copies: OnlyCopies,
}

/// Whether what is nowhere else may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnlyCopies {
    /// Never.
    #[default]
    Keep,
    /// When it is past its days.
    WhenExpired,
    /// Also for room, when nothing else is left.
    ForRoom,
}

impl Policy {
    /// Returns how long a kind is kept; none is for ever.
    pub fn days_of(&self, kind: PieceKind) -> Option<Duration> {
        let own = match kind {
            PieceKind::Words => return self.words,
            PieceKind::Narrow => None,
            PieceKind::Wide => self.wide,
            PieceKind::Channel | PieceKind::Copy => self.copy,
        };
        own.into_iter().chain(self.audio).min()
    }
}
