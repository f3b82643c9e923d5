//! What sound is called in an address, and which of a call's files that is.

use crate::domain::{Party, RateHz, Samples8k, TrackSource};
use crate::store::{GapRow, TrackRow, missed, own_source};

/// What the copy of a voice that came over Twilio's line beside its own microphone is called.
const LINE: &str = "line";

/// A file, and which stretch of it on the timeline is wanted; none for all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Picked<'a> {
    pub(super) track: &'a TrackRow,
    pub(super) span: Option<(Samples8k, Samples8k)>,
}

impl<'a> From<&'a TrackRow> for Picked<'a> {
    fn from(track: &'a TrackRow) -> Self {
        Self { track, span: None }
    }
}

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
    /// `agent-line_8000Hz.wav`, `agent-cloud_8000Hz.wav` or `agent-cloud-2_8000Hz.wav`.
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
    /// are an echo. A party's own microphone goes first, and Twilio's line where that was missing;
    /// then the live copy, for what it lacked is filled in its files.
    pub(super) fn pick<'a>(self, tracks: &'a [TrackRow], gaps: &[GapRow]) -> Vec<Picked<'a>> {
        match self.what {
            What::Mixed => {
                Party::ALL.iter().flat_map(|party| self.voice_of(*party, tracks, gaps)).collect()
            }
            What::Voice(party) => self.voice_of(party, tracks, gaps),
            What::File { party, source, part_no } => {
                let is_it = |track: &&TrackRow| {
                    (track.party, track.source, track.part_no, track.rate)
                        == (party, source, part_no, self.rate)
                };
                tracks.iter().filter(is_it).map(Picked::from).collect()
            }
        }
    }

    fn voice_of<'a>(
        self,
        party: Party,
        tracks: &'a [TrackRow],
        gaps: &[GapRow],
    ) -> Vec<Picked<'a>> {
        let heard = tracks.iter().filter(move |track| track.party == party && track.samples > 0);
        let twilios = heard.clone().map(|track| track.source).filter(|source| !source.is_own());
        let of_source = |source: Option<TrackSource>| {
            heard.clone().filter(move |t| Some(t.source) == source && t.rate == self.rate)
        };
        let line = of_source(twilios.min());
        let Some(own) = own_source(tracks, party) else { return line.map(Picked::from).collect() };
        let missed = missed(gaps, party, own);
        let instead = line
            .flat_map(|track| missed.iter().map(move |span| Picked { track, span: Some(*span) }));
        of_source(Some(own)).map(Picked::from).chain(instead).collect()
    }
}

/// Reads `2`, `line`, `cloud` or `cloud-2`. A number alone is a part of the live copy.
fn source_and_part(file: &str) -> Option<(TrackSource, u32)> {
    if let Ok(part_no) = file.parse() {
        return Some((TrackSource::Stream, part_no));
    }
    let (source, part_no) = file.split_once('-').unwrap_or((file, "1"));
    let source = if source == LINE { TrackSource::Stream } else { source.parse().ok()? };
    Some((source, part_no.parse().ok()?))
}

/// Names a file so that the address gives its very bytes: the party's plain name if the whole
/// timeline is that file, else the file's own.
pub(in crate::web::lan) fn name(track: &TrackRow, all: &[TrackRow], gaps: &[GapRow]) -> String {
    let TrackRow { party, source, part_no, rate, .. } = *track;
    let rate_hz = rate.get();
    let voice = Named { what: What::Voice(party), rate };
    let is_whole = matches!(voice.pick(all, gaps)[..], [only] if only == Picked::from(track))
        && track.origin.get() == 0
        && track.lead.get() == 0;
    let is_line = source == TrackSource::Stream && own_source(all, party).is_some();
    match (source, part_no) {
        (TrackSource::Cloud, 1) => format!("{party}-{source}_{rate_hz}Hz.wav"),
        (_, 1) if is_whole => format!("{party}_{rate_hz}Hz.wav"),
        (_, 1) if is_line => format!("{party}-{LINE}_{rate_hz}Hz.wav"),
        (_, part_no) if is_line => format!("{party}-{LINE}-{part_no}_{rate_hz}Hz.wav"),
        (TrackSource::Stream, part_no) => format!("{party}-{part_no}_{rate_hz}Hz.wav"),
        (source, 1) => format!("{party}-{source}_{rate_hz}Hz.wav"),
        (source, part_no) => format!("{party}-{source}-{part_no}_{rate_hz}Hz.wav"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::GapReason;

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
            ("agent-line_16000Hz.wav", TrackSource::Stream, 1),
            ("agent-line-2_16000Hz.wav", TrackSource::Stream, 2),
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
                vec!["agent-line_8000Hz.wav", "agent-cloud-2_8000Hz.wav", "agent_8000Hz.wav"],
            ),
            (
                vec![track(Stream, 1, 0), track(Stream, 2, 90), track(Microphone, 1, 8)],
                vec![
                    "agent-line_8000Hz.wav",
                    "agent-line-2_8000Hz.wav",
                    "agent-microphone_8000Hz.wav",
                ],
            ),
        ] {
            assert_named(&tracks, &[], &names);
        }
        let tracks = [track(Stream, 1, 0), track(Microphone, 1, 0)];
        assert_named(
            &tracks,
            &[gap(3, 5)],
            &["agent-line_8000Hz.wav", "agent-microphone_8000Hz.wav"],
        );
    }

    fn assert_named(tracks: &[TrackRow], gaps: &[GapRow], names: &[&str]) {
        let given: Vec<String> = tracks.iter().map(|t| name(t, tracks, gaps)).collect();
        assert_eq!(given, names);
        for (track, name) in tracks.iter().zip(&given) {
            let picked = Named::parse(name).unwrap().pick(tracks, gaps);
            assert_eq!(picked, [Picked::from(track)], "{name}");
        }
    }

    fn gap(start: u64, end: u64) -> GapRow {
        GapRow {
            party: Party::Agent,
            source: TrackSource::Microphone,
            start: Samples8k::new(start),
            end: Samples8k::new(end),
            reason: GapReason::Disconnected,
        }
    }

    #[test]
    fn where_a_microphone_was_missing_the_line_is_heard() {
        let tracks = [track(TrackSource::Stream, 1, 0), track(TrackSource::Microphone, 1, 0)];
        let picked = Named::voice(Party::Agent).pick(&tracks, &[gap(3, 5), gap(7, 9)]);
        let span = |start, end| Some((Samples8k::new(start), Samples8k::new(end)));
        assert_eq!(
            picked,
            [
                Picked { track: &tracks[1], span: None },
                Picked { track: &tracks[0], span: span(3, 5) },
                Picked { track: &tracks[0], span: span(7, 9) },
            ]
        );
    }

    #[test]
    fn twilios_copy_is_played_only_where_nothing_was_heard_live() {
        let mut tracks = vec![track(TrackSource::Stream, 1, 0), track(TrackSource::Cloud, 1, 0)];
        let voice = Named::voice(Party::Agent);
        assert_eq!(voice.pick(&tracks, &[]), [Picked::from(&tracks[0])]);
        tracks[0].samples = 0;
        assert_eq!(voice.pick(&tracks, &[]), [Picked::from(&tracks[1])]);
        assert_eq!(Named::MIXED.pick(&tracks, &[]), [Picked::from(&tracks[1])]);
    }
}
