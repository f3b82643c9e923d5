//! Who speaks on which track.

use super::{Direction, Origin, Party, StreamTrack};

/// Who is heard on the inbound track; the other party is on the outbound one.
///
/// Twilio's inbound is what it receives from the person on the recorded leg, so it depends on
/// who began the call: the caller of our number, the person we rang, or our own agent's browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartyMap {
    inbound: Party,
}

impl PartyMap {
    /// Works out the map from how the call began, and whether a person has since swapped it.
    pub const fn new(direction: Direction, origin: Origin, swapped: bool) -> Self {
        let inbound = match (direction, origin) {
            (_, Origin::Client) => Party::Agent,
            (Direction::Inbound | Direction::Outbound, Origin::Number | Origin::Rest) => {
                Party::Technician
            }
        };
        Self { inbound: if swapped { inbound.other() } else { inbound } }
    }

    /// Returns who is heard on `track`.
    pub const fn party(self, track: StreamTrack) -> Party {
        match track {
            StreamTrack::Inbound => self.inbound,
            StreamTrack::Outbound => self.inbound.other(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_browser_is_the_inbound_party_and_everybody_else_is_the_technician() {
        let heard =
            |direction, origin| PartyMap::new(direction, origin, false).party(StreamTrack::Inbound);
        assert_eq!(heard(Direction::Inbound, Origin::Number), Party::Technician);
        assert_eq!(heard(Direction::Outbound, Origin::Rest), Party::Technician);
        assert_eq!(heard(Direction::Outbound, Origin::Client), Party::Agent);
    }

    #[test]
    fn a_swap_exchanges_the_two() {
        let map = PartyMap::new(Direction::Inbound, Origin::Number, true);
        assert_eq!(map.party(StreamTrack::Inbound), Party::Agent);
        assert_eq!(map.party(StreamTrack::Outbound), Party::Technician);
    }
}
