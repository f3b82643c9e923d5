//! What the box has kept of a call, against what Twilio had sent of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use fieldtape::audio::{Resampler, Upsampler, WavReader, pcm16, ulaw};
use fieldtape::domain::{CallSid, Party, RateHz};
use fieldtape::simulate::{Report, Sound};

use crate::support::{Ledger, decoded, read_wav, root};

/// A sound file as the telephone carries it; one channel is the technician.
pub(crate) fn telephone(asset: &str) -> Sound {
    let mut reader =
        WavReader::new(File::open(root().join("tests/assets").join(asset)).unwrap()).unwrap();
    let mut channels = vec![Vec::new(); usize::from(reader.channels())];
    while reader.read(&mut channels, 1 << 16).unwrap() > 0 {}
    let mut coded = channels.into_iter().map(|channel| {
        let mut narrow = Vec::new();
        let mut resampler = Resampler::new(reader.rate_hz(), RateHz::Hz8000).unwrap();
        resampler.push(&channel, &mut narrow);
        resampler.finish(&mut narrow);
        narrow.into_iter().map(|sample| ulaw::encode(pcm16(sample))).collect()
    });
    match (coded.next().unwrap(), coded.next()) {
        (agent, Some(technician)) => Sound::stereo(agent, technician),
        (technician, None) => Sound::mono(technician),
    }
}

/// A call's files, each party's parts of a rate one behind the other.
pub(crate) fn files(
    ledger: &Ledger,
    data_dir: &Path,
    call: &CallSid,
) -> BTreeMap<(Party, u32), Vec<i16>> {
    let mut files: BTreeMap<_, Vec<i16>> = BTreeMap::new();
    for track in ledger.tracks(call) {
        let sound = read_wav(&data_dir.join(&track.path), track.rate_hz);
        files.entry((track.party.parse().unwrap(), track.rate_hz)).or_default().extend(sound);
    }
    files
}

/// What had left of one party's sound when its call ended. The calls of these tests come to our
/// number, so the technician is on the inbound track.
pub(crate) fn sent(report: &Report, sound: &Sound, party: Party) -> Vec<i16> {
    let frames = match party {
        Party::Technician => report.inbound_frames,
        Party::Agent => report.outbound_frames,
    };
    decoded(&sound.of(party)[..usize::try_from(frames).unwrap() * 160])
}

/// The same at the wide rate.
pub(crate) fn widened(narrow: &[i16]) -> Vec<i16> {
    let (mut upsampler, mut wide) = (Upsampler::new(), Vec::new());
    upsampler.push(narrow, &mut wide);
    upsampler.finish(&mut wide);
    wide
}

/// How many samples of `file` are those of `sent`, from the first one on.
pub(crate) fn same(sent: &[i16], file: &[i16]) -> usize {
    sent.iter().zip(file).take_while(|(sent, file)| sent == file).count()
}

/// Checks that every sample of a whole call is there at its place in every file, and nothing
/// else but the padding of a track that ended a frame before the other.
pub(crate) fn assert_whole(ledger: &Ledger, data_dir: &Path, report: &Report, sound: &Sound) {
    let call = &report.call_sid;
    assert_eq!(ledger.gaps(call), [], "{call}");
    let files = files(ledger, data_dir, call);
    assert_eq!(files.len(), 4, "{call}");
    let longest = report.inbound_frames.max(report.outbound_frames);
    for party in Party::ALL.iter().copied() {
        let mut sent = sent(report, sound, party);
        sent.resize(usize::try_from(longest).unwrap() * 160, 0);
        assert!(files[&(party, 8000)] == sent, "{call}: {party} at 8 kHz");
        assert!(files[&(party, 16000)] == widened(&sent), "{call}: {party} at 16 kHz");
    }
}
