//! The thread that writes a call's files: decodes, resamples, appends, and in the end seals.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::oneshot;

mod files;
mod lane;

use files::Files;
pub(super) use lane::{Lane, Sound, Write};

use super::live::{LiveTrack, Shown};
use crate::clock::SharedClock;
use crate::domain::{GapReason, Party, RateHz, Samples8k};
use crate::store::{GapRow, NewTrack};
use crate::vault::{self, Folder, OpenTrack, PartNo, SealedTrack, Vault};

/// Batches that may wait for the disk: 30 s of a stall at 20 batches a second. A batch is 50 ms of
/// two tracks, so this is half a megabyte.
pub(super) const BATCHES_MAX: usize = 600;

/// How long after a write error the next part is tried.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// What the scribe is told.
#[derive(Debug)]
pub(super) enum Order {
    /// Make the files; their sample 0 lies `offset` into the call.
    Open { folder: Folder, offset: Samples8k, lanes: Vec<Lane> },
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
    pub(super) shown: Shown,
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
    tables: Vec<Table>,
    written: Written,
}

/// Where this call's files go.
struct Place {
    folder: Folder,
    offset: Samples8k,
}

/// One lane's files, and how far they are.
struct Table {
    lane: Lane,
    /// How far the lane's timeline is written, or told as a gap.
    end: Samples8k,
    files: Option<Files>,
    /// Since when there are none, by the time since boot.
    broken_since: Option<Duration>,
}

impl Scribe {
    fn new(options: ScribeOptions) -> Self {
        Self { options, place: None, tables: Vec::new(), written: Written::default() }
    }

    fn run(mut self, inbox: &Receiver<Order>) {
        while let Ok(order) = inbox.recv() {
            match order {
                Order::Open { folder, offset, lanes } => self.open((folder, offset), lanes),
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

    fn open(&mut self, (folder, offset): (Folder, Samples8k), lanes: Vec<Lane>) {
        self.place = Some(Place { folder, offset });
        let table = |lane| Table { lane, end: Samples8k::ZERO, files: None, broken_since: None };
        self.tables = lanes.into_iter().map(table).collect();
        // Known before any is there: a party's copies have the same number.
        let numbers: Vec<_> =
            self.tables.iter().map(|table| self.next_part_no(table.lane.party)).collect();
        for (index, part_no) in numbers.into_iter().enumerate() {
            self.open_lane(index, (part_no, Samples8k::ZERO));
        }
    }

    fn next_part_no(&self, party: Party) -> Option<PartNo> {
        let Place { folder, .. } = self.place.as_ref()?;
        let vault = &self.options.vault;
        // Where it cannot be told the files cannot be made, and that is told.
        vault.make_folder(folder).and_then(|()| vault.next_part_no(folder, party)).ok()
    }

    /// Begins the next part of a lane at `origin`.
    fn open_lane(&mut self, index: usize, (part_no, origin): (Option<PartNo>, Samples8k)) {
        let now = self.options.clock.since_boot();
        let Some((place, table)) = self.place.as_ref().zip(self.tables.get(index)) else { return };
        let lane = table.lane;
        let opened = Files::open(&self.options, &place.folder, lane, (part_no, origin));
        let table = &mut self.tables[index];
        match opened {
            Ok(files) => {
                table.files = Some(files);
                table.end = origin;
                let party = lane.party;
                if table.broken_since.take().is_some() {
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
                table.broken_since = Some(now);
                self.trouble("cannot be recorded here", &error);
            }
        }
    }

    fn write(&mut self, write: &Write) {
        let is_its =
            |table: &Table| (table.lane.party, table.lane.source) == (write.party, write.source);
        let Some(index) = self.tables.iter().position(is_its) else { return };
        if self.tables[index].files.is_none() && self.may_reopen(index) {
            self.open_lane(index, (None, write.at));
        }
        let table = &mut self.tables[index];
        let end = write.end();
        let Some(files) = &mut table.files else {
            self.lose(index, write.at, end);
            return;
        };
        let appended =
            files.silence(write.at.since(table.end)).and_then(|()| files.append(&write.sound));
        match appended {
            Ok(()) => table.end = end,
            Err(error) => self.breaks(index, &error, end),
        }
    }

    fn may_reopen(&self, index: usize) -> bool {
        let now = self.options.clock.since_boot();
        self.tables[index]
            .broken_since
            .is_none_or(|since| now.saturating_sub(since) >= REOPEN_AFTER)
    }

    /// The disk refused: what is written is closed as well as it can be, and a new part begins
    /// when the disk takes one.
    fn breaks(&mut self, index: usize, error: &vault::Error, lost_to: Samples8k) {
        let now = self.options.clock.since_boot();
        let table = &mut self.tables[index];
        let (lane, lost_from) = (table.lane, table.end);
        table.broken_since = Some(now);
        if let Some(files) = table.files.take() {
            let origin = files.origin;
            let tracks = files.into_tracks();
            self.seal(lane, origin, tracks);
        }
        self.trouble("is not being recorded here", error);
        self.lose(index, lost_from, lost_to);
        self.show();
    }

    fn lose(&mut self, index: usize, start: Samples8k, end: Samples8k) {
        let offset = self.place.as_ref().map_or(0, |place| place.offset.get());
        let table = &mut self.tables[index];
        let (start, Lane { party, source, .. }) = (start.max(table.end), table.lane);
        table.end = end;
        let (start, end) = (start.plus(offset), end.plus(offset));
        let is_its = |gap: &&mut GapRow| (gap.party, gap.source) == (party, source);
        match self.written.gaps.iter_mut().rev().find(is_its) {
            Some(last) if last.end == start => last.end = end,
            _ => self.written.gaps.push(GapRow {
                party,
                source,
                start,
                end,
                reason: GapReason::Disk,
            }),
        }
    }

    fn finish(&mut self, end: Samples8k) {
        let mut open = Vec::new();
        for Table { lane, end: written, files, .. } in &mut self.tables {
            let Some(mut files) = files.take() else { continue };
            if let Err(error) = files.silence(end.since(*written)).and_then(|()| files.flush()) {
                tracing::warn!(error = %error, party = %lane.party, "the end of a track could not be padded");
            }
            open.push((*lane, files.origin, files.into_tracks()));
        }
        if end == Samples8k::ZERO {
            self.discard(open);
            return;
        }
        let counts: Vec<_> = open.iter().map(|(l, o, tracks)| (*l, *o, tracks.len())).collect();
        let tracks = open.into_iter().flat_map(|(_, _, tracks)| tracks).collect();
        let mut sealed = self.options.vault.seal_all(tracks).into_iter();
        for (lane, origin, count) in counts {
            for result in sealed.by_ref().take(count) {
                self.keep(lane, origin, result);
            }
        }
        self.show();
    }

    /// Removes files that never got a sample.
    fn discard(&mut self, open: Vec<(Lane, Samples8k, Vec<OpenTrack>)>) {
        for track in open.into_iter().flat_map(|(_, _, tracks)| tracks) {
            let removed = track.seal().map_err(|failed| failed.to_string()).and_then(|sealed| {
                self.options.vault.remove(sealed.path()).map_err(|error| error.to_string())
            });
            if let Err(error) = removed {
                tracing::warn!(error, "an empty track could not be removed");
            }
        }
    }

    fn seal(&mut self, lane: Lane, origin: Samples8k, tracks: Vec<OpenTrack>) {
        for result in self.options.vault.seal_all(tracks) {
            self.keep(lane, origin, result);
        }
    }

    fn keep(
        &mut self,
        lane: Lane,
        origin: Samples8k,
        result: Result<SealedTrack, vault::SealFailed>,
    ) {
        let offset = self.place.as_ref().map_or(0, |place| place.offset.get());
        match result {
            Ok(sealed) => self.written.tracks.push(NewTrack {
                party: lane.party,
                source: lane.source,
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
        let tracks = self.tables.iter().filter_map(|table| {
            let files = table.files.as_ref()?;
            let track = files.widest();
            Some(LiveTrack {
                party: table.lane.party,
                source: table.lane.source,
                part_path: track.part_path(),
                rate: track.name().rate,
                origin: files.origin.plus(offset),
                heard_from: Samples8k::ZERO,
            })
        });
        self.options.shown.set_tracks(tracks.collect());
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
