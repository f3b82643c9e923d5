//! Sound that is made and waits until the call has come to where it lies.

use std::collections::VecDeque;

use crate::domain::Samples8k;

/// Samples of 16 kHz in order, in pieces with nothing between them.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pieces: VecDeque<Piece>,
}

#[derive(Debug)]
struct Piece {
    /// Where it begins, in samples of 16 kHz: a whole sample of the timeline.
    at: u64,
    pcm: Vec<i16>,
}

impl Ready {
    /// Takes sound that begins at `at`, behind all that is there.
    pub(super) fn append(&mut self, at: u64, pcm: Vec<i16>) {
        if let Some(last) = self.pieces.back_mut() {
            if last.at + last.pcm.len() as u64 == at {
                last.pcm.extend(pcm);
                return;
            }
            last.make_even();
        }
        // The timeline counts in pairs: what begins within one begins with it.
        let half = usize::from(!at.is_multiple_of(2));
        let mut whole = vec![0; half];
        whole.extend(pcm);
        self.pieces.push_back(Piece { at: at - half as u64, pcm: whole });
    }

    /// Returns the next stretch that lies before `limit`, in whole samples of the timeline.
    pub(super) fn take(&mut self, limit: Samples8k) -> Option<(Samples8k, Vec<i16>)> {
        let piece = self.pieces.front_mut()?;
        let whole = (2 * limit.get()).saturating_sub(piece.at).min(piece.pcm.len() as u64) & !1;
        if whole == 0 {
            return None;
        }
        let rest = piece.pcm.split_off(usize::try_from(whole).unwrap_or(usize::MAX));
        let (at, wide) = (piece.at, std::mem::replace(&mut piece.pcm, rest));
        piece.at += whole;
        if piece.pcm.is_empty() {
            self.pieces.pop_front();
        }
        Some((Samples8k::new(at / 2), wide))
    }

    /// Nothing follows.
    pub(super) fn end(&mut self) {
        if let Some(last) = self.pieces.back_mut() {
            last.make_even();
        }
    }
}

impl Piece {
    /// Ends it with the sample of the timeline that it ends in.
    fn make_even(&mut self) {
        if !self.pcm.len().is_multiple_of(2) {
            self.pcm.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All there is before `limit`.
    fn taken(ready: &mut Ready, limit: u64) -> Vec<(u64, Vec<i16>)> {
        let next = || ready.take(Samples8k::new(limit)).map(|(at, wide)| (at.get(), wide));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn what_follows_is_one_piece_and_only_pairs_before_the_limit_go() {
        let mut ready = Ready::default();
        ready.append(4, vec![1, 2, 3]);
        ready.append(7, vec![4, 5]);
        assert_eq!(taken(&mut ready, 2), []);
        assert_eq!(taken(&mut ready, 3), [(2, vec![1, 2])]);
        assert_eq!(taken(&mut ready, 9), [(3, vec![3, 4])], "half a pair waits");
        ready.append(9, vec![6]);
        assert_eq!(taken(&mut ready, 9), [(4, vec![5, 6])]);
    }

    #[test]
    fn a_piece_that_begins_or_ends_within_a_pair_is_filled_with_silence() {
        let mut ready = Ready::default();
        ready.append(0, vec![1]);
        ready.append(5, vec![2, 3]);
        assert_eq!(taken(&mut ready, 9), [(0, vec![1, 0]), (2, vec![0, 2])]);
        ready.end();
        assert_eq!(taken(&mut ready, 9), [(3, vec![3, 0])]);
    }
}
