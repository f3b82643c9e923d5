//! What sound is called in an address, and which of a call's files that is.

use crate::domain::{Party, RateHz, TrackSource};
use crate::store::TrackRow;

/// Which sound of a call an address names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) what: What,
    pub(super) rate: RateHz,
}

/// Whose sound, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Both parties together.
    Mixed,
    /// A party's whole timeline, each part in its place.
    Voice(Party),
    /// One file as it is, wherever its sound belongs on the timeline.
    File { party: Party, source: TrackSource, part_no: u32 },
}

impl Named {
    /// Both parties together.
    pub(super) const MIXED: Self = Self { what: What::Mixed, rate: RateHz::Hz8000 };

    /// A party's whole timeline.
    pub(super) const fn voice(party: Party) -> Self {
        Self { what: What::Voice(party), rate: RateHz::Hz8000 }
    }

    /// Reads `mixed.wav`, `technician_8000Hz.wav`, `agent_16000.wav`, `agent-2_8000Hz.wav`,
    /// `agent-cloud_8000Hz.wav` or `agent-cloud-2_8000Hz.wav`.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let name = name.strip_suffix(".wav")?;
        if name == "mixed" {
            return Some(Self::MIXED);
        }
        let (voice, rate) = name.split_once('_')?;
        let rate = RateHz::from_hz(rate.strip_suffix("Hz").unwrap_or(rate).parse().ok()?)?;
        let what = match voice.split_once('-') {
            Some((party, file)) => {
                let (source, part_no) = source_and_part(file)?;
                What::File { party: party.parse().ok()?, source, part_no }
            }
            None => What::Voice(voice.parse().ok()?),
        };
        Some(Self { what, rate })
    }

    /// Picks its files. Of a voice one copy only, should there be several: two of the same voice
    /// are an echo. The live copy goes first, for what it lacked is filled in its files.
    pub(super) fn pick(self, tracks: &[TrackRow]) -> Vec<&TrackRow> {
        let of_party = |party: Party| {
            let heard =
                tracks.iter().filter(move |track| track.party == party && track.samples > 0);
            let source = heard.clone().map(|track| track.source).min();
            heard.filter(move |track| Some(track.source) == source && track.rate == self.rate)
        };
        match self.what {
            What::Mixed => Party::ALL.iter().flat_map(|party| of_party(*party)).collect(),
            What::Voice(party) => of_party(party).collect(),
            What::File { party, source, part_no } => {
                let is_it = |track: &&TrackRow| {
                    (track.party, track.source, track.part_no, track.rate)
                        == (party, source, part_no, self.rate)
                };
                tracks.iter().filter(is_it).collect()
            }
        }
    }
}

/// Reads `2`, `cloud` or `cloud-2`. A number alone is a part of the live copy.
fn source_and_part(file: &str) -> Option<(TrackSource, u32)> {
    if let Ok(part_no) = file.parse() {
        return Some((TrackSource::Stream, part_no));
    }
    let (source, part_no) = file.split_once('-').unwrap_or((file, "1"));
    Some((source.parse().ok()?, part_no.parse().ok()?))
}

/// Names a file so that the address gives its very bytes: the party's plain name if the whole
/// timeline is that file, else the file's own.
pub(in crate::web::lan) fn name(track: &TrackRow, all: &[TrackRow]) -> String {
    let TrackRow { party, source, part_no, rate, .. } = *track;
    let rate_hz = rate.get();
    let voice = Named { what: What::Voice(party), rate };
    let is_whole = matches!(voice.pick(all)[..], [only] if only == track)
        && track.origin.get() == 0
        && track.lead.get() == 0;
    match (source, part_no) {
        (TrackSource::Stream, 1) if is_whole => format!("{party}_{rate_hz}Hz.wav"),
        (TrackSource::Stream, part_no) => format!("{party}-{part_no}_{rate_hz}Hz.wav"),
        (source, 1) => format!("{party}-{source}_{rate_hz}Hz.wav"),
        (source, part_no) => format!("{party}-{source}-{part_no}_{rate_hz}Hz.wav"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Samples8k;

    fn track(source: TrackSource, part_no: u32, origin: u64) -> TrackRow {
        TrackRow {
            party: Party::Agent,
            source,
            rate: RateHz::Hz8000,
            part_no,
            path: format!("{source}-{part_no}"),
            origin: Samples8k::new(origin),
            lead: Samples8k::ZERO,
            samples: 9,
            size_bytes: 62,
            sha256: None,
            salvaged: false,
        }
    }

    #[test]
    fn sound_is_named_as_its_file_is() {
        let named = |what, rate| Some(Named { what, rate });
        let voice = What::Voice(Party::Technician);
        let file = |source, part_no| What::File { party: Party::Agent, source, part_no };
        assert_eq!(Named::parse("mixed.wav"), named(What::Mixed, RateHz::Hz8000));
        for name in ["technician_8000Hz.wav", "technician_8000.wav"] {
            assert_eq!(Named::parse(name), named(voice, RateHz::Hz8000), "{name}");
        }
        for (name, source, part_no) in [
            ("agent-2_16000Hz.wav", TrackSource::Stream, 2),
            ("agent-cloud_16000Hz.wav", TrackSource::Cloud, 1),
            ("agent-cloud-3_16000Hz.wav", TrackSource::Cloud, 3),
            ("agent-microphone_16000Hz.wav", TrackSource::Microphone, 1),
        ] {
            let expected = named(file(source, part_no), RateHz::Hz16000);
            assert_eq!(Named::parse(name), expected, "{name}");
        }
        for name in [
            "mixed",
            "mixed_8000Hz.wav",
            "boss_8000Hz.wav",
            "agent_44100Hz.wav",
            "agent.wav",
            "agent-x_8000Hz.wav",
            "agent-cloud-_8000Hz.wav",
            "agent-2-cloud_8000Hz.wav",
            "../agent_8000Hz.wav",
            "",
        ] {
            assert_eq!(Named::parse(name), None, "{name}");
        }
    }

    #[test]
    fn every_file_has_a_name_of_its_own_that_leads_back_to_it() {
        use TrackSource::{Cloud, Microphone, Stream};
        for (tracks, names) in [
            (vec![track(Stream, 1, 0)], vec!["agent_8000Hz.wav"]),
            (vec![track(Stream, 1, 8)], vec!["agent-1_8000Hz.wav"]),
            (vec![track(Cloud, 1, 0)], vec!["agent-cloud_8000Hz.wav"]),
            (
                vec![track(Stream, 1, 0), track(Stream, 2, 90), track(Cloud, 1, 0)],
                vec!["agent-1_8000Hz.wav", "agent-2_8000Hz.wav", "agent-cloud_8000Hz.wav"],
            ),
            (
                vec![track(Stream, 1, 0), track(Cloud, 2, 0), track(Microphone, 1, 0)],
                vec!["agent_8000Hz.wav", "agent-cloud-2_8000Hz.wav", "agent-microphone_8000Hz.wav"],
            ),
        ] {
            let given: Vec<String> = tracks.iter().map(|track| name(track, &tracks)).collect();
            assert_eq!(given, names);
            for (track, name) in tracks.iter().zip(&given) {
                assert_eq!(Named::parse(name).unwrap().pick(&tracks), [track], "{name}");
            }
        }
    }

    #[test]
    fn twilios_copy_is_played_only_where_nothing_was_heard_live() {
        let mut tracks = vec![track(TrackSource::Stream, 1, 0), track(TrackSource::Cloud, 1, 0)];
        let voice = Named::voice(Party::Agent);
        assert_eq!(voice.pick(&tracks), [&tracks[0]]);
        tracks[0].samples = 0;
        assert_eq!(voice.pick(&tracks), [&tracks[1]]);
        assert_eq!(Named::MIXED.pick(&tracks), [&tracks[1]]);
    }
}
