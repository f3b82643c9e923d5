//! Real speech: a live stream with losses and holes, and Twilio's copy of the same call.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "test sounds are short"
)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tempfile::TempDir;

use super::*;
use crate::audio::{Upsampler, WavReader, pcm16, wav_header};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{
    Direction, GapReason, Origin, Party, PartyMap, RateHz, RecordingSid, Samples8k, UnixMillis,
};
use crate::vault::{Expect, Folder, Options, PartNo, RelPath, TrackName, Vault, VoiceCopy};

const PARTIES: PartyMap = PartyMap::new(Direction::Inbound, Origin::Number, false);
const FRAME: usize = 160;

/// A sound for each party.
#[derive(Clone)]
struct Voices {
    technician: Vec<i16>,
    agent: Vec<i16>,
}

impl Voices {
    fn of(&self, party: Party) -> &[i16] {
        match party {
            Party::Technician => &self.technician,
            Party::Agent => &self.agent,
        }
    }

    fn map(&self, mut change: impl FnMut(&[i16]) -> Vec<i16>) -> Self {
        Self { technician: change(&self.technician), agent: change(&self.agent) }
    }
}

fn read(path: &Path) -> Vec<Vec<i16>> {
    let mut reader = WavReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let mut channels = vec![Vec::new(); usize::from(reader.channels())];
    reader.read(&mut channels, usize::MAX).unwrap();
    channels.into_iter().map(|channel| channel.into_iter().map(pcm16).collect()).collect()
}

fn asset(name: &str) -> Vec<Vec<i16>> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/assets").join(name))
}

/// A minute of two people on the telephone.
fn service_call() -> Voices {
    let [agent, technician] = asset("service-call.wav").try_into().unwrap();
    Voices { technician, agent }
}

/// One call's folder.
struct Office {
    _root: TempDir,
    vault: Vault,
    folder: Folder,
}

impl Office {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let options = Options { root: root.path().to_owned(), sync_every: Duration::from_hours(1) };
        let vault = Vault::open(options, Arc::new(SystemClock)).unwrap();
        let sid = format!("CA{:032x}", 1).parse().unwrap();
        let folder = vault.folder(&sid, UnixMillis::new(1_709_251_200_000)).unwrap();
        Self { _root: root, vault, folder }
    }

    /// Puts Twilio's copy there, as it comes from Twilio.
    fn copy(&self, rate_hz: u32, channels: &[&[i16]]) -> RelPath {
        let number = rand::rng().random::<u64>();
        let sid: RecordingSid = format!("RE{number:032x}").parse().unwrap();
        let frames = channels[0].len();
        let data_bytes = 2 * (frames * channels.len()) as u64;
        let mut bytes = wav_header(RateHz::Hz8000, channels.len() as u16, data_bytes).to_vec();
        bytes[24..28].copy_from_slice(&rate_hz.to_le_bytes());
        for frame in 0..frames {
            bytes.extend(channels.iter().flat_map(|channel| channel[frame].to_le_bytes()));
        }
        let mut download = self.vault.open_download(&self.folder, &sid).unwrap();
        download.append(&bytes).unwrap();
        download.finish(Expect { duration_s: None, channels: None }).unwrap().path
    }

    fn dual(&self, voices: &Voices) -> RelPath {
        self.copy(8000, &[&voices.technician, &voices.agent])
    }

    /// Seals what was heard live, in both rates, as the scribe does.
    fn live(&self, part_no: u32, origin: u64, voices: &Voices) -> Vec<StreamPart> {
        let mut parts = Vec::new();
        for party in Party::ALL {
            let narrow = voices.of(*party);
            let mut wide = Vec::new();
            let mut upsampler = Upsampler::new();
            upsampler.push(narrow, &mut wide);
            upsampler.finish(&mut wide);
            for (rate, samples) in [(RateHz::Hz8000, narrow), (RateHz::Hz16000, &wide[..])] {
                let part_no = PartNo::new(part_no).unwrap();
                let name = TrackName { part_no, party: *party, copy: VoiceCopy::First, rate };
                let mut track = self.vault.open_track(&self.folder, name).unwrap();
                track.append(samples).unwrap();
                let path = track.seal().unwrap().path().clone();
                let (origin, samples) = (Samples8k::new(origin), samples.len() as u64);
                parts.push(StreamPart {
                    party: *party,
                    rate,
                    origin,
                    samples,
                    path,
                    is_own: false,
                });
            }
        }
        parts
    }

    fn samples(&self, path: &RelPath) -> Vec<i16> {
        read(&self.vault.absolute(path)).remove(0)
    }

    fn bytes(&self, parts: &[StreamPart]) -> Vec<Vec<u8>> {
        parts.iter().map(|part| std::fs::read(self.vault.absolute(&part.path)).unwrap()).collect()
    }
}

/// Takes frames away as a bad link does, and tells of it as the session does.
fn lossy(voices: &Voices, seed: u64, hole: std::ops::Range<usize>) -> (Voices, Vec<Gap>) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut live, mut gaps) = (voices.clone(), Vec::new());
    for (party, voice) in
        [(Party::Technician, &mut live.technician), (Party::Agent, &mut live.agent)]
    {
        for (number, frame) in voice.chunks_mut(FRAME).enumerate() {
            let start = number * FRAME;
            if random.random_bool(0.05) || hole.contains(&start) {
                frame.fill(0);
                let end = Samples8k::new((start + frame.len()) as u64);
                let start = Samples8k::new(start as u64);
                gaps.push(Gap { party, start, end, reason: GapReason::Lost });
            }
        }
    }
    (live, gaps)
}

fn is_filled(spans: &[FilledSpan], party: Party, at: usize) -> bool {
    let at = Samples8k::new(at as u64);
    spans.iter().any(|span| span.party == party && span.start <= at && at < span.end)
}

fn placed(place: Place) -> Alignment {
    match place {
        Place::Found(alignment) => alignment,
        nowhere => panic!("{nowhere:?}"),
    }
}

#[test]
fn a_copy_is_aligned_to_the_very_sample_whatever_was_lost_on_the_way() {
    let whole = service_call().map(|voice| voice[..300_000].to_vec());
    for seed in 0..10_u64 {
        let mut random = StdRng::seed_from_u64(seed);
        let begins = if seed == 0 { 4533 } else { random.random_range(0..24_000) };
        let hole = random.random_range(0..200_000);
        let here = Office::new();
        // Twilio's copy began earlier, is louder, and has a noise of its own.
        let recording = here.dual(&whole.map(|voice| {
            let noisy = voice.iter().map(|s| s.saturating_add(s / 4) + random.random_range(-9..9));
            noisy.collect()
        }));
        let heard = whole.map(|voice| voice[begins..voice.len() - 800].to_vec());
        let (live, gaps) = lossy(&heard, seed, hole..hole + 48_000);
        let parts = here.live(1, 0, &live);
        let right = -(begins as i64);
        let order = AlignOrder {
            parts: &parts,
            gaps: &gaps,
            recording: &recording,
            parties: PARTIES,
            expected: (seed % 3 > 0).then(|| right + random.random_range(-100_000..100_000)),
        };
        let found = placed(align(&here.vault, &order).unwrap());
        assert_eq!(found.offset_samples, right, "seed {seed}");
        assert!(!found.swapped && found.confidence > 0.8, "seed {seed}: {found:?}");
        if seed % 2 == 1 {
            continue;
        }
        let crossed = here.copy(8000, &[&whole.agent, &whole.technician]);
        let order = AlignOrder { recording: &crossed, ..order };
        let found = placed(align(&here.vault, &order).unwrap());
        assert_eq!((found.offset_samples, found.swapped), (right, true), "seed {seed}");
    }
}

#[test]
fn a_copy_that_begins_after_the_live_sound_or_is_of_one_channel_is_aligned_too() {
    let whole = service_call();
    let here = Office::new();
    let parts = here.live(1, 8000, &whole);
    let late = whole.map(|voice| voice[100_123..400_000].to_vec());
    let mixed: Vec<i16> =
        late.technician.iter().zip(&late.agent).map(|(a, b)| a.saturating_add(*b)).collect();
    for recording in [here.dual(&late), here.copy(8000, &[&mixed])] {
        for (parts, expected) in [
            (&parts[..], None),
            (&parts[..], Some(200_000)),
            (&parts[..2], Some(0)),
            (&parts[1..2], Some(100_000)),
        ] {
            let (gaps, recording, parties) = (&[], &recording, PARTIES);
            let order = AlignOrder { parts, gaps, recording, parties, expected };
            let found = placed(align(&here.vault, &order).unwrap());
            assert_eq!((found.offset_samples, found.swapped), (108_123, false));
        }
    }
}

#[test]
fn what_is_another_sound_or_none_is_aligned_nowhere() {
    let whole = service_call();
    let first = whole.map(|voice| voice[..120_000].to_vec());
    let silence = first.map(|voice| vec![0; voice.len()]);
    let tone = first.map(|voice| (0..voice.len()).map(|n| (n % 20 * 800) as i16 - 8000).collect());
    let backwards = first.map(|voice| voice.iter().rev().copied().collect());
    let others_words = whole.map(|voice| voice[250_000..400_000].to_vec());
    let other: Vec<i16> = ["librivox-0870.wav", "librivox-0920.wav", "jfk.wav"]
        .iter()
        .flat_map(|n| asset(n))
        .flatten()
        .step_by(2)
        .take(160_000)
        .collect();
    let stranger = first.map(|_| other.clone());
    for (name, live, copied) in [
        ("silence", &silence, &first),
        ("silence", &first, &silence),
        ("a tone", &tone, &tone),
        ("the same backwards", &first, &backwards),
        ("the same voices later", &first, &others_words),
        ("somebody else", &first, &stranger),
    ] {
        let here = Office::new();
        let parts = here.live(1, 0, live);
        let recording = here.dual(copied);
        for expected in [None, Some(0)] {
            let (gaps, recording, parties) = (&[], &recording, PARTIES);
            let order = AlignOrder { parts: &parts, gaps, recording, parties, expected };
            let place = align(&here.vault, &order).unwrap();
            assert!(!matches!(place, Place::Found(_)), "{name}, {expected:?}: {place:?}");
        }
    }
    let here = Office::new();
    let recording = here.dual(&first);
    let (parts, gaps, recording, parties) = (&[], &[], &recording, PARTIES);
    let order = AlignOrder { parts, gaps, recording, parties, expected: None };
    assert_eq!(align(&here.vault, &order).unwrap(), Place::NothingHeard);
}

#[test]
fn each_channel_becomes_a_file_of_its_party_and_16_khz_is_exactly_twice_8() {
    let whole = service_call();
    let here = Office::new();
    let recording = here.dual(&whole);
    let recording_no = PartNo::FIRST.next();
    for (parties, wide) in
        [(PARTIES, true), (PartyMap::new(Direction::Outbound, Origin::Client, false), false)]
    {
        let order = SplitOrder { recording: &recording, recording_no, parties, wide };
        let Split::Tracks(tracks) = split(&here.vault, &order).unwrap() else { panic!("mono") };
        assert_eq!(tracks.len(), if wide { 4 } else { 2 });
        for track in tracks {
            let crossed = parties != PARTIES;
            let voice = whole.of(if crossed { track.party.other() } else { track.party });
            let mut expected = voice.to_vec();
            if track.file.rate() == RateHz::Hz16000 {
                expected.clear();
                let mut upsampler = Upsampler::new();
                upsampler.push(voice, &mut expected);
                upsampler.finish(&mut expected);
            }
            assert!(here.samples(track.file.path()) == expected);
            assert_eq!(track.file.samples(), expected.len() as u64);
            let name = format!("{}-cloud-2_{}Hz.wav", track.party, track.file.rate().get());
            assert_eq!(track.file.path().file_name(), name);
        }
    }
    let recording = here.copy(8000, &[&whole.agent]);
    let order = SplitOrder { recording: &recording, recording_no, parties: PARTIES, wide: true };
    assert_eq!(split(&here.vault, &order).unwrap(), Split::Mono);
}

#[test]
fn a_copy_at_another_rate_is_brought_to_ours() {
    let whole = service_call();
    let here = Office::new();
    let high = whole.map(|voice| {
        let mut high = Vec::new();
        let mut upsampler = Upsampler::new();
        upsampler.push(voice, &mut high);
        upsampler.finish(&mut high);
        high
    });
    let recording = here.copy(16_000, &[&high.technician, &high.agent]);
    let (recording_no, parties) = (PartNo::FIRST, PARTIES);
    let order = SplitOrder { recording: &recording, recording_no, parties, wide: true };
    let Split::Tracks(tracks) = split(&here.vault, &order).unwrap() else { panic!("mono") };
    let frames = whole.agent.len() as u64;
    let lengths: Vec<u64> = tracks.iter().map(|track| track.file.samples()).collect();
    assert_eq!(lengths, [frames, 2 * frames, frames, 2 * frames]);

    let parts = here.live(1, 0, &whole.map(|voice| voice[70_001..].to_vec()));
    let (gaps, expected) = (&[], Some(0));
    let order = AlignOrder { parts: &parts, gaps, recording: &recording, parties, expected };
    let found = placed(align(&here.vault, &order).unwrap());
    assert_eq!(found.offset_samples, -70_001);
}

#[test]
fn what_was_lost_is_filled_and_what_was_heard_stays_to_the_bit() {
    const BEGINS: usize = 4533;
    const HOLE: std::ops::Range<usize> = 200_000..248_000;
    let whole = service_call();
    let here = Office::new();
    let recording = here.dual(&whole);
    let heard = whole.map(|voice| voice[BEGINS..voice.len() - 16_000].to_vec());
    let (live, mut gaps) = lossy(&heard, 7, HOLE);
    let paused = Gap {
        party: Party::Agent,
        start: Samples8k::new(240_000),
        end: Samples8k::new(244_000),
        reason: GapReason::Paused,
    };
    gaps.push(paused);
    let parts = here.live(1, 0, &live);
    let before: Vec<_> = parts.iter().map(|part| here.samples(&part.path)).collect();
    let order = FillOrder {
        parts: &parts,
        gaps: &gaps,
        recording: &recording,
        parties: PARTIES,
        offset_samples: -(BEGINS as i64),
    };
    let filled = fill(&here.vault, &order).unwrap();

    let length = whole.agent.len() - BEGINS;
    assert_eq!(filled.files.len(), 4);
    for ((part, before), file) in parts.iter().zip(&before).zip(&filled.files) {
        assert_eq!(file.file.path(), &part.path);
        let after = here.samples(&part.path);
        let voice = &whole.of(part.party)[BEGINS..];
        if part.rate == RateHz::Hz8000 {
            assert_eq!(after.len(), length, "the tail is there");
            for (at, sample) in after.iter().enumerate() {
                let is_pause = part.party == Party::Agent && (240_000..244_000).contains(&at);
                let right = if is_pause { 0 } else { voice[at] };
                // At the edge of a pause the copy's sound fades from silence.
                let near = part.party == Party::Agent && (239_980..244_020).contains(&at);
                assert!(*sample == right || near && !is_pause, "{} at {at}", part.party);
            }
        } else {
            assert_eq!(after.len(), 2 * length);
            let mut wide = Vec::new();
            let mut upsampler = Upsampler::new();
            upsampler.push(whole.of(part.party), &mut wide);
            upsampler.finish(&mut wide);
            assert!(
                after[2 * 201_000..2 * 239_000] == wide[2 * (BEGINS + 201_000)..][..2 * 38_000],
                "upsampled as if the whole had been"
            );
        }
        let times = part.rate.get() as usize / 8000;
        for (at, sample) in before.iter().enumerate() {
            let outside = !is_filled(&filled.spans, part.party, at / times);
            assert!(!outside || after[at] == *sample, "{} changed at {at}", part.party);
        }
    }
    check_again_gives_the_same(&here, &order, &filled);
}

/// Doing it again, on what is there now, by the old ledger and by the new one.
fn check_again_gives_the_same(here: &Office, order: &FillOrder<'_>, filled: &Filled) {
    let done = here.bytes(order.parts);
    assert_eq!(&fill(&here.vault, order).unwrap(), filled, "the ledger was not told");
    assert!(here.bytes(order.parts) == done);
    let told: Vec<StreamPart> = order
        .parts
        .iter()
        .map(|part| {
            let of_part = |file: &&FilledFile| file.file.path() == &part.path;
            let samples = filled.files.iter().find(of_part).map(|file| file.file.samples());
            StreamPart { samples: samples.unwrap_or(part.samples), ..part.clone() }
        })
        .collect();
    let order = FillOrder { parts: &told, ..order.clone() };
    fill(&here.vault, &order).unwrap();
    assert!(here.bytes(order.parts) == done, "the ledger was told");
}

#[test]
fn an_interrupted_call_is_completed_to_the_end_whenever_the_filling_itself_was_interrupted() {
    let whole = service_call();
    let parts_of = |here: &Office| {
        let first = whole.map(|voice| voice[..100_000].to_vec());
        let second = whole.map(|voice| voice[180_000..300_000].to_vec());
        let mut parts = here.live(1, 0, &first);
        parts.extend(here.live(2, 180_000, &second));
        parts
    };
    let reference = Office::new();
    let recording = reference.dual(&whole);
    let parts = parts_of(&reference);
    let old = reference.bytes(&parts);
    let (gaps, parties, offset_samples) = (&[], PARTIES, 0);
    let order = FillOrder { parts: &parts, gaps, recording: &recording, parties, offset_samples };
    let filled = fill(&reference.vault, &order).unwrap();
    let new = reference.bytes(&parts);
    let span = |party, start: usize, end: usize| {
        let (start, end) = (Samples8k::new(start as u64), Samples8k::new(end as u64));
        FilledSpan { party, start, end }
    };
    let end = whole.agent.len();
    let of = |party| [span(party, 100_000, 180_000), span(party, 300_000, end)];
    assert_eq!(filled.spans, [of(Party::Agent), of(Party::Technician)].concat());
    for part in parts.iter().filter(|part| part.rate == RateHz::Hz8000) {
        let origin = part.origin.get() as usize;
        let to = if origin == 0 { 180_000 } else { end };
        assert!(reference.samples(&part.path) == whole.of(part.party)[origin..to]);
    }
    check_again_gives_the_same(&reference, &order, &filled);

    // Killed after any number of files: some are new, the others old, one is half written.
    for done in 0..parts.len() {
        for (number, part) in parts.iter().enumerate() {
            let bytes = if number < done { &new[number] } else { &old[number] };
            std::fs::write(reference.vault.absolute(&part.path), bytes).unwrap();
        }
        let unfinished = reference.vault.absolute(&parts[done].path).with_extension("wav.new");
        std::fs::write(&unfinished, "half a file").unwrap();
        assert_eq!(fill(&reference.vault, &order).unwrap(), filled, "after {done} files");
        assert!(reference.bytes(&parts) == new, "after {done} files");
        assert!(!unfinished.exists());
    }
}

#[test]
fn a_step_at_a_seam_is_spread_within_the_span_and_nowhere_else() {
    let whole = service_call().map(|voice| voice[30_000..60_000].to_vec());
    let here = Office::new();
    // The copy is shifted by a few samples, so it meets the live sound nowhere.
    let recording = here.dual(&whole.map(|voice| voice[7..].to_vec()));
    let (live, gaps) = lossy(&whole, 3, 10_080..12_000);
    let parts = here.live(1, 0, &live);
    let (parties, offset_samples) = (PARTIES, 0);
    let order =
        FillOrder { parts: &parts, gaps: &gaps, recording: &recording, parties, offset_samples };
    let filled = fill(&here.vault, &order).unwrap();
    let part = parts.iter().find(|part| part.rate == RateHz::Hz8000).unwrap();
    let after = here.samples(&part.path);
    let copied = &whole.of(part.party)[7..];
    let heard = live.of(part.party);
    for span in filled.spans.iter().filter(|span| span.party == part.party) {
        let (start, end) = (span.start.get() as usize, span.end.get() as usize);
        if start == 0 || end >= 29_900 {
            continue;
        }
        assert!(after[start + 20..end - 20] == copied[start + 20..end - 20]);
        let jump_in = i32::from(heard[start - 1]) - i32::from(after[start]);
        let natural = i32::from(copied[start - 1]) - i32::from(copied[start]);
        let step = i32::from(heard[start - 1]) - i32::from(copied[start - 1]);
        assert!((jump_in - natural).abs() <= step.abs() / 20 + 2, "at {start}");
        assert_eq!(after[start - 1], heard[start - 1]);
        assert_eq!(after[end], heard[end]);
    }
    check_again_gives_the_same(&here, &order, &filled);
}

#[test]
fn a_file_shorter_than_the_ledger_says_is_left_as_it_is() {
    let whole = service_call().map(|voice| voice[..40_000].to_vec());
    let here = Office::new();
    let recording = here.dual(&whole);
    let mut parts = here.live(1, 0, &whole.map(|voice| voice[..10_000].to_vec()));
    let bytes = here.bytes(&parts);
    parts[0].samples = 10_001;
    let (gaps, parties, offset_samples) = (&[], PARTIES, 0);
    let order = FillOrder { parts: &parts, gaps, recording: &recording, parties, offset_samples };
    let error = fill(&here.vault, &order).unwrap_err();
    assert!(matches!(&error, SoundError::Short { found: 10_000, .. }), "{error}");
    assert!(here.bytes(&parts) == bytes);

    let mono = here.copy(8000, &[&whole.agent]);
    let order = FillOrder { recording: &mono, ..order };
    assert_eq!(fill(&here.vault, &order).unwrap(), Filled::default());
}

#[test]
fn an_hour_is_aligned_in_seconds() {
    const MINUTES: usize = 60;
    let minute = service_call().map(|voice| voice[..480_000].to_vec());
    let here = Office::new();
    let long = |path: &RelPath, channels: u16, begins: usize, voices: &[&[i16]]| {
        let frames = (0..480_000).flat_map(|n| voices.iter().flat_map(move |v| v[n].to_le_bytes()));
        let sound: Vec<u8> = frames.collect();
        let sound = &sound.repeat(MINUTES)[begins * 2 * voices.len()..];
        let header = wav_header(RateHz::Hz8000, channels, sound.len() as u64);
        let file = [&header[..], sound].concat();
        std::fs::write(here.vault.absolute(path), file).unwrap();
    };
    let recording = here.dual(&minute);
    let mut parts = here.live(1, 0, &minute);
    parts.retain(|part| part.rate == RateHz::Hz8000);
    long(&recording, 2, 0, &[&minute.technician, &minute.agent]);
    for part in &mut parts {
        long(&part.path, 1, 4533, &[minute.of(part.party)]);
        part.samples = (MINUTES * 480_000 - 4533) as u64;
    }
    let (gaps, recording, parties, expected) = (&[], &recording, PARTIES, Some(0));
    let order = AlignOrder { parts: &parts, gaps, recording, parties, expected };
    let before = SystemClock.since_boot();
    let found = placed(align(&here.vault, &order).unwrap());
    let took = SystemClock.since_boot().saturating_sub(before);
    println!("an hour was aligned in {took:?}");
    assert_eq!(found.offset_samples, -4533);
    assert!(took < Duration::from_mins(1), "{took:?}");
}
