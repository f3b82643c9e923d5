//! The thread that writes a call's files: decodes, resamples, appends, and in the end seals.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::recorder::LiveTrack;
use crate::audio::{Upsampler, ulaw};
use crate::clock::SharedClock;
use crate::domain::{GapReason, Party, RateHz, Samples8k, TrackSource};
use crate::store::{GapRow, NewTrack};
use crate::vault::{self, Folder, OpenTrack, SealedTrack, TrackName, Vault};

/// Batches that may wait for the disk: 30 s of a stall at 20 batches a second. A batch is 50 ms of
/// two tracks, so this is half a megabyte.
pub(super) const BATCHES_MAX: usize = 600;

/// How long after a write error the next part is tried.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Silence is written in pieces of this many samples: a second.
const SILENCE_STEP: u64 = 8000;

/// A piece of sound and its place.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) party: Party,
    pub(super) at: Samples8k,
    pub(super) ulaw: Vec<u8>,
}

/// What the scribe is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Make the files; their sample 0 lies `offset` into the call.
    Open { folder: Folder, offset: Samples8k },
    /// Write these.
    Write(Vec<Write>),
    /// Pad to `end`, seal, and say what there is.
    Finish { end: Samples8k, reply: oneshot::Sender<Written> },
}

/// What a scribe leaves behind.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) tracks: Vec<NewTrack>,
    pub(super) gaps: Vec<GapRow>,
    pub(super) trouble: Option<String>,
}

/// What a scribe needs.
pub(super) struct ScribeOptions {
    pub(super) vault: Vault,
    pub(super) clock: SharedClock,
    pub(super) rates: Vec<RateHz>,
    /// Where the files under way are shown.
    pub(super) shown: Arc<Mutex<Vec<LiveTrack>>>,
    pub(super) span: tracing::Span,
}

/// Starts a scribe. It ends with [`Order::Finish`], or when its orders can come no more; then the
/// files stay as a crash would leave them.
pub(super) fn start(options: ScribeOptions) -> std::io::Result<SyncSender<Order>> {
    let (orders, inbox) = sync_channel(BATCHES_MAX);
    std::thread::Builder::new().name("scribe".to_owned()).spawn(move || {
        let span = options.span.clone();
        span.in_scope(|| Scribe::new(options).run(&inbox));
    })?;
    Ok(orders)
}

struct Scribe {
    options: ScribeOptions,
    place: Option<Place>,
    lanes: Vec<Lane>,
    written: Written,
}

/// Where this call's files go.
struct Place {
    folder: Folder,
    offset: Samples8k,
}

/// One party's files.
struct Lane {
    party: Party,
    /// How far the party's timeline is written, or told as a gap.
    end: Samples8k,
    files: Option<Files>,
    /// Since when there are none, by the time since boot.
    broken_since: Option<Duration>,
    pcm: Vec<i16>,
}

struct Files {
    origin: Samples8k,
    narrow: OpenTrack,
    wide: Option<(OpenTrack, Upsampler)>,
    upsampled: Vec<i16>,
}

impl Scribe {
    fn new(options: ScribeOptions) -> Self {
        let lanes = Party::ALL
            .iter()
            .map(|party| Lane {
                party: *party,
                end: Samples8k::ZERO,
                files: None,
                broken_since: None,
                pcm: Vec::new(),
            })
            .collect();
        Self { options, place: None, lanes, written: Written::default() }
    }

    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            match order {
                Order::Open { folder, offset } => self.open(folder, offset),
                Order::Write(batch) => batch.into_iter().for_each(|write| self.write(&write)),
                Order::Finish { end, reply } => {
                    self.finish(end);
                    // The asker is gone only when the process is ending; salvage finds the files.
                    let _ = reply.send(self.written);
                    return;
                }
            }
        }
    }

    fn open(&mut self, folder: Folder, offset: Samples8k) {
        self.place = Some(Place { folder, offset });
        for index in 0..self.lanes.len() {
            self.open_lane(index, Samples8k::ZERO);
        }
    }

    /// Begins the next part of a lane at `origin`.
    fn open_lane(&mut self, index: usize, origin: Samples8k) {
        let now = self.options.clock.since_boot();
        let Some((place, lane)) = self.place.as_ref().zip(self.lanes.get(index)) else { return };
        let party = lane.party;
        let opened = open_files(&self.options, &place.folder, party, origin);
        let lane = &mut self.lanes[index];
        match opened {
            Ok(files) => {
                lane.files = Some(files);
                lane.end = origin;
                if lane.broken_since.take().is_some() {
                    tracing::warn!(
                        event = "recording.resumed", party = %party,
                        "the disk takes the {party}'s sound again"
                    );
                } else {
                    let folder = place.folder.as_str();
                    tracing::info!(
                        event = "recording.started", party = %party,
                        "the {party}'s sound is written to {folder}"
                    );
                }
                self.show();
            }
            Err(error) => {
                lane.broken_since = Some(now);
                self.trouble("cannot be recorded here", &error);
            }
        }
    }

    fn write(&mut self, write: &Write) {
        let Some(index) = self.lanes.iter().position(|lane| lane.party == write.party) else {
            return;
        };
        if self.lanes[index].files.is_none() && self.may_reopen(index) {
            self.open_lane(index, write.at);
        }
        let lane = &mut self.lanes[index];
        let end = write.at.plus(write.ulaw.len() as u64);
        let Some(files) = &mut lane.files else {
            self.lose(index, write.at, end);
            return;
        };
        lane.pcm.clear();
        ulaw::decode_into(&write.ulaw, &mut lane.pcm);
        let appended =
            files.silence(write.at.since(lane.end)).and_then(|()| files.append(&lane.pcm));
        match appended {
            Ok(()) => lane.end = end,
            Err(error) => self.breaks(index, &error, end),
        }
    }

    fn may_reopen(&self, index: usize) -> bool {
        let now = self.options.clock.since_boot();
        self.lanes[index].broken_since.is_none_or(|since| now.saturating_sub(since) >= REOPEN_AFTER)
    }

    /// The disk refused: what is written is closed as well as it can be, and a new part begins
    /// when the disk takes one.
    fn breaks(&mut self, index: usize, error: &vault::Error, lost_to: Samples8k) {
        let now = self.options.clock.since_boot();
        let lane = &mut self.lanes[index];
        let lost_from = lane.end;
        lane.broken_since = Some(now);
        if let Some(files) = lane.files.take() {
            let (origin, party) = (files.origin, lane.party);
            let tracks = files.into_tracks();
            self.seal(party, origin, tracks);
        }
        self.trouble("is not being recorded here", error);
        self.lose(index, lost_from, lost_to);
        self.show();
    }

    fn lose(&mut self, index: usize, start: Samples8k, end: Samples8k) {
        let offset = self.place.as_ref().map_or(0, |place| place.offset.get());
        let lane = &mut self.lanes[index];
        let (start, party) = (start.max(lane.end), lane.party);
        lane.end = end;
        let (start, end) = (start.plus(offset), end.plus(offset));
        match self.written.gaps.iter_mut().rev().find(|gap| gap.party == party) {
            Some(last) if last.end == start => last.end = end,
            _ => self.written.gaps.push(GapRow {
                party,
                source: TrackSource::Stream,
                start,
                end,
                reason: GapReason::Disk,
            }),
        }
    }

    fn finish(&mut self, end: Samples8k) {
        let mut open = Vec::new();
        for lane in &mut self.lanes {
            let Some(mut files) = lane.files.take() else { continue };
            if let Err(error) = files.silence(end.since(lane.end)).and_then(|()| files.flush()) {
                tracing::warn!(error = %error, party = %lane.party, "the end of a track could not be padded");
            }
            open.push((lane.party, files.origin, files.into_tracks()));
        }
        if end == Samples8k::ZERO {
            self.discard(open);
            return;
        }
        let counts: Vec<_> = open.iter().map(|(p, o, tracks)| (*p, *o, tracks.len())).collect();
        let tracks = open.into_iter().flat_map(|(_, _, tracks)| tracks).collect();
        let mut sealed = self.options.vault.seal_all(tracks).into_iter();
        for (party, origin, count) in counts {
            for result in sealed.by_ref().take(count) {
                self.keep(party, origin, result);
            }
        }
        self.show();
    }

    /// Removes files that never got a sample.
    fn discard(&mut self, open: Vec<(Party, Samples8k, Vec<OpenTrack>)>) {
        for track in open.into_iter().flat_map(|(_, _, tracks)| tracks) {
            let removed = track.seal().map_err(|failed| failed.to_string()).and_then(|sealed| {
                self.options.vault.remove(sealed.path()).map_err(|error| error.to_string())
            });
            if let Err(error) = removed {
                tracing::warn!(error, "an empty track could not be removed");
            }
        }
    }

    fn seal(&mut self, party: Party, origin: Samples8k, tracks: Vec<OpenTrack>) {
        for result in self.options.vault.seal_all(tracks) {
            self.keep(party, origin, result);
        }
    }

    fn keep(
        &mut self,
        party: Party,
        origin: Samples8k,
        result: Result<SealedTrack, vault::SealFailed>,
    ) {
        let offset = self.place.as_ref().map_or(0, |place| place.offset.get());
        match result {
            Ok(sealed) => self.written.tracks.push(NewTrack {
                party,
                source: TrackSource::Stream,
                rate: sealed.rate(),
                part_no: sealed.part_no().get(),
                path: sealed.path().as_str().to_owned(),
                origin: Some(origin.plus(offset)),
                lead: Samples8k::ZERO,
                samples: sealed.samples(),
                size_bytes: sealed.bytes(),
                salvaged: false,
            }),
            Err(failed) => self.trouble(
                "could not be sealed; it is tried again at the next start",
                failed.error(),
            ),
        }
    }

    fn trouble(&mut self, what: &str, error: &vault::Error) {
        let text = format!("the sound of this call {what}: {}", chain(error));
        if self.written.trouble.is_none() {
            tracing::error!(event = "recording.failed", error = %chain(error), "{text}; free or repair the disk, the call goes on");
        }
        self.written.trouble.get_or_insert(text);
    }

    /// Shows the wide files under way to whoever writes down live.
    fn show(&self) {
        let offset = self.place.as_ref().map_or(0, |place| place.offset.get());
        let shown = self.lanes.iter().filter_map(|lane| {
            let files = lane.files.as_ref()?;
            let track = files.wide.as_ref().map_or(&files.narrow, |(wide, _)| wide);
            Some(LiveTrack {
                party: lane.party,
                part_path: track.part_path(),
                rate: track.name().rate,
                origin: files.origin.plus(offset),
            })
        });
        let mut board = self.options.shown.lock().unwrap_or_else(PoisonError::into_inner);
        *board = shown.collect();
    }
}

fn open_files(
    options: &ScribeOptions,
    folder: &Folder,
    party: Party,
    origin: Samples8k,
) -> Result<Files, vault::Error> {
    options.vault.make_folder(folder)?;
    let part_no = options.vault.next_part_no(folder, party)?;
    let open = |rate| options.vault.open_track(folder, TrackName { part_no, party, rate });
    let narrow = open(RateHz::Hz8000)?;
    let wide = if options.rates.contains(&RateHz::Hz16000) {
        Some((open(RateHz::Hz16000)?, Upsampler::new()))
    } else {
        None
    };
    Ok(Files { origin, narrow, wide, upsampled: Vec::new() })
}

impl Files {
    fn silence(&mut self, mut samples: u64) -> Result<(), vault::Error> {
        while samples > 0 {
            let step = samples.min(SILENCE_STEP);
            self.append(&vec![0; usize::try_from(step).unwrap_or(0)])?;
            samples -= step;
        }
        Ok(())
    }

    fn append(&mut self, pcm: &[i16]) -> Result<(), vault::Error> {
        self.narrow.append(pcm)?;
        if let Some((track, upsampler)) = &mut self.wide {
            self.upsampled.clear();
            upsampler.push(pcm, &mut self.upsampled);
            track.append(&self.upsampled)?;
        }
        Ok(())
    }

    /// Writes what is still inside the filter.
    fn flush(&mut self) -> Result<(), vault::Error> {
        if let Some((track, upsampler)) = &mut self.wide {
            self.upsampled.clear();
            upsampler.finish(&mut self.upsampled);
            track.append(&self.upsampled)?;
        }
        Ok(())
    }

    fn into_tracks(self) -> Vec<OpenTrack> {
        std::iter::once(self.narrow).chain(self.wide.map(|(track, _)| track)).collect()
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
