use super::*;
use proptest::prelude::*;

const INBOUND: StreamTrack = StreamTrack::Inbound;
const OUTBOUND: StreamTrack = StreamTrack::Outbound;

fn frame(track: StreamTrack, sequence: u64, timestamp_ms: u64) -> Event {
    // A frame's bytes tell its sequence number, so that a test can see where it went.
    let ulaw = vec![u8::try_from(sequence % 251).unwrap(); 160];
    Event::Frame(Frame { track, sequence, timestamp_ms, ulaw })
}

/// Runs a session over events, 10 ms apart, and gathers what was written.
struct Tape {
    session: Session,
    now: Duration,
    tracks: [Vec<u8>; 2],
    gaps: Vec<(StreamTrack, u64, u64, GapReason)>,
    skipped: Vec<Skip>,
    end: Option<u64>,
    stream_origins: Vec<u64>,
}

impl Tape {
    fn new() -> Self {
        Self {
            session: Session::default(),
            now: Duration::from_secs(5000),
            tracks: [Vec::new(), Vec::new()],
            gaps: Vec::new(),
            skipped: Vec::new(),
            end: None,
            stream_origins: Vec::new(),
        }
    }

    fn open() -> Self {
        let mut tape = Self::new();
        tape.hear(Event::Opened);
        tape
    }

    fn hear(&mut self, event: Event) -> &mut Self {
        self.hear_after(event, Duration::from_millis(10))
    }

    fn hear_after(&mut self, event: Event, pause: Duration) -> &mut Self {
        self.now += pause;
        let (session, effects) = std::mem::take(&mut self.session).step(event, self.now);
        self.session = session;
        for effect in effects {
            match effect {
                Effect::Write { track, at, ulaw } => {
                    let tape = &mut self.tracks[usize::from(track == OUTBOUND)];
                    let at = usize::try_from(at.get()).unwrap();
                    assert!(at >= tape.len(), "never before the end");
                    tape.resize(at, 0xff);
                    tape.extend(ulaw);
                }
                Effect::Gap { track, start, end, reason } => {
                    self.gaps.push((track, start.get(), end.get(), reason));
                }
                Effect::Skipped(skip) => self.skipped.push(skip),
                Effect::Finished { end } => self.end = Some(end.get()),
                Effect::StreamBegan { origin } => self.stream_origins.push(origin.get()),
                Effect::Began { .. } => {}
            }
        }
        self
    }

    fn inbound(&self) -> &[u8] {
        &self.tracks[0]
    }

    /// Which frames lie on the inbound track, in order, silence as 255.
    fn inbound_frames(&self) -> Vec<u8> {
        self.inbound().chunks(160).map(|chunk| chunk[0]).collect()
    }
}

/// Frames of both tracks, every 20 ms from 102 ms, sequence numbers from 2.
fn both(count: u64) -> Vec<Event> {
    (0..count)
        .flat_map(|n| {
            [frame(INBOUND, 2 + 2 * n, 102 + 20 * n), frame(OUTBOUND, 3 + 2 * n, 102 + 20 * n)]
        })
        .collect()
}

fn play(events: impl IntoIterator<Item = Event>) -> Tape {
    let mut tape = Tape::open();
    for event in events {
        tape.hear(event);
    }
    tape.hear(Event::End);
    tape
}

#[test]
fn a_whole_stream_is_appended_from_sample_zero_without_a_gap() {
    let tape = play(both(50));
    assert_eq!(tape.inbound_frames(), (0..50).map(|n| 2 + 2 * n).collect::<Vec<u8>>());
    assert_eq!((tape.gaps.len(), tape.skipped.len(), tape.end), (0, 0, Some(8000)));
}

#[test]
fn timestamps_that_wander_move_nothing() {
    let wander = [0_i64, 3, -4, 5, -3, 8, 2, -2];
    let mut tape = Tape::open();
    for n in 0..400_u64 {
        let ts = (155 + 20 * n).saturating_add_signed(wander[usize::try_from(n % 8).unwrap()]);
        tape.hear(frame(INBOUND, 2 + 2 * n, ts)).hear(frame(OUTBOUND, 3 + 2 * n, ts));
    }
    tape.hear(Event::End);
    assert_eq!(tape.inbound().len(), 400 * 160);
    assert!(tape.gaps.is_empty() && tape.skipped.is_empty());
}

#[test]
fn a_lost_frame_becomes_silence_and_a_gap_and_moves_nothing_after_it() {
    let mut events = both(20);
    events.remove(10); // inbound frame 5
    let tape = play(events);
    assert_eq!(tape.inbound().len(), 20 * 160);
    assert_eq!(tape.inbound_frames()[5], 0xff);
    assert_eq!(tape.inbound_frames()[6], 2 + 12);
    assert_eq!(tape.gaps, [(INBOUND, 800, 960, GapReason::Lost)]);
}

#[test]
fn a_lost_frame_among_wandering_timestamps_still_moves_nothing() {
    let mut tape = Tape::open();
    for n in (0..100_u64).filter(|n| n % 7 != 3) {
        let ts = 102 + 20 * n + n % 5;
        tape.hear(frame(INBOUND, 2 + 2 * n, ts)).hear(frame(OUTBOUND, 3 + 2 * n, ts));
    }
    tape.hear(Event::End);
    for (place, seen) in tape.inbound_frames().into_iter().enumerate() {
        let place = u64::try_from(place).unwrap();
        let want = if place % 7 == 3 { 0xff } else { u8::try_from((2 + 2 * place) % 251).unwrap() };
        assert_eq!(seen, want, "frame {place}");
    }
}

#[test]
fn reordered_frames_are_put_right() {
    let mut events = both(20);
    events.swap(4, 7);
    events.swap(20, 21);
    let tape = play(events);
    assert_eq!(tape.inbound_frames(), (0..20).map(|n| 2 + 2 * n).collect::<Vec<u8>>());
    assert!(tape.gaps.is_empty() && tape.skipped.is_empty());
}

#[test]
fn a_repeated_frame_is_dropped() {
    let mut events = both(20);
    events.insert(6, events[4].clone());
    events.insert(30, events[4].clone());
    let tape = play(events);
    assert_eq!(tape.inbound().len(), 20 * 160);
    assert_eq!(tape.skipped, [Skip::Late, Skip::Late]);
}

#[test]
fn a_frame_that_comes_long_after_it_was_given_up_is_dropped() {
    let mut events = both(40);
    let late = events.remove(10);
    events.insert(60, late);
    let tape = play(events);
    assert_eq!(tape.gaps, [(INBOUND, 800, 960, GapReason::Lost)]);
    assert_eq!(tape.skipped, [Skip::Late]);
    assert_eq!(tape.inbound().len(), 40 * 160);
}

#[test]
fn a_stall_and_its_burst_move_nothing() {
    let mut tape = Tape::open();
    for (n, event) in both(1000).into_iter().enumerate() {
        let pause = if n == 900 { 10_000 } else { u64::from(!(900..1400).contains(&n)) * 10 };
        tape.hear_after(event, Duration::from_millis(pause));
    }
    tape.hear(Event::End);
    assert_eq!(tape.inbound().len(), 1000 * 160);
    assert!(tape.gaps.is_empty());
}

#[test]
fn the_earlier_first_timestamp_of_the_two_tracks_is_the_origin() {
    let mut tape = Tape::open();
    tape.hear(frame(INBOUND, 2, 155)).hear(frame(OUTBOUND, 3, 102));
    tape.hear(frame(INBOUND, 4, 175)).hear(frame(OUTBOUND, 5, 122)).hear(Event::End);
    assert_eq!(tape.gaps[0], (INBOUND, 0, 53 * 8, GapReason::Lost));
    assert_eq!(tape.tracks[1].len(), 320);
    assert_eq!(tape.end, Some(320 + 53 * 8));
}

#[test]
fn one_track_alone_is_written_at_once_and_the_other_is_padded_with_a_gap() {
    let mut tape = Tape::open();
    for n in 0..50 {
        tape.hear(frame(INBOUND, 2 + n, 20 * n));
        assert!(tape.inbound().len() as u64 + 10 * 160 > n * 160, "held for at most 100 ms");
    }
    tape.hear(Event::End);
    assert_eq!(tape.gaps, [(OUTBOUND, 0, 8000, GapReason::Lost)]);
}

#[test]
fn silence_that_twilio_did_not_send_is_filled_by_its_timestamps() {
    let mut events = both(10);
    events.extend((0..10).flat_map(|n| {
        [frame(INBOUND, 22 + 2 * n, 2302 + 20 * n), frame(OUTBOUND, 23 + 2 * n, 302 + 20 * n)]
    }));
    let tape = play(events);
    assert_eq!(tape.gaps[0], (INBOUND, 1600, 2200 * 8, GapReason::Lost));
    assert_eq!(tape.inbound().len(), 2400 * 8);
}

#[test]
fn a_timestamp_from_the_far_future_is_refused_and_the_call_goes_on() {
    let mut events = both(10);
    events.insert(10, frame(INBOUND, 12, u64::MAX));
    events.insert(11, frame(OUTBOUND, 13, 400_000_000));
    let tape = play(events.into_iter().enumerate().map(|(n, event)| match event {
        Event::Frame(f) => Event::Frame(Frame { sequence: n as u64 + 2, ..f }),
        other => other,
    }));
    assert_eq!(tape.skipped, [Skip::TooFarAhead, Skip::TooFarAhead]);
    assert_eq!(tape.inbound().len(), 1600);
}

#[test]
fn a_stream_that_comes_back_goes_on_where_time_has_got_to() {
    let mut tape = Tape::open();
    for event in both(50) {
        tape.hear(event); // 100 messages, 10 ms each: one second
    }
    tape.hear(Event::Closed);
    tape.hear_after(Event::Opened, Duration::from_secs(4));
    for event in both(50) {
        tape.hear(event);
    }
    tape.hear(Event::End);
    let gap = tape.gaps[0];
    assert_eq!((gap.0, gap.1, gap.3), (INBOUND, 8000, GapReason::Disconnected));
    assert!((38_000..42_000).contains(&gap.2), "about five seconds in: {}", gap.2);
    assert_eq!(tape.inbound().len() as u64, gap.2 + 8000);
    assert_eq!(tape.stream_origins, [0, gap.2]);
    assert_eq!(tape.gaps.len(), 2, "one gap a track");
}

#[test]
fn frames_of_any_length_are_taken_and_an_overlap_is_cut() {
    let mut tape = Tape::open();
    let long = |sequence, timestamp_ms, fill| {
        Event::Frame(Frame { track: INBOUND, sequence, timestamp_ms, ulaw: vec![fill; 800] })
    };
    tape.hear(long(2, 0, 1)).hear(long(3, 100, 2)).hear(long(4, 150, 3)).hear(Event::End);
    assert_eq!(tape.inbound().len(), 2000, "the last one's first half was there already");
    assert_eq!(tape.inbound()[1600], 3);
}

#[test]
fn sound_after_the_stream_ended_is_not_taken_for_the_call() {
    let mut tape = Tape::open();
    tape.hear(Event::Closed).hear(frame(INBOUND, 2, 0));
    assert_eq!(tape.skipped, [Skip::NoStream]);
}

#[test]
fn an_hour_of_loss_stalls_and_reordering_shifts_no_sample_by_more_than_20_ms() {
    let mut tape = Tape::open();
    let mut random = 12_345_u64;
    let mut next = move || {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        random >> 33
    };
    let frames_an_hour = 3600 * 50;
    let mut events = Vec::new();
    for n in 0..frames_an_hour {
        let wander = next() % 7;
        for track in [INBOUND, OUTBOUND] {
            let sequence = 2 + 2 * n + u64::from(track == OUTBOUND);
            let mut ulaw = n.to_le_bytes().to_vec();
            ulaw.resize(160, 0);
            let event =
                Event::Frame(Frame { track, sequence, timestamp_ms: 102 + 20 * n + wander, ulaw });
            let arrival_ms = 20 * n + if n % 30_000 > 29_500 { 10_000 } else { 0 };
            match next() % 100 {
                0..5 => {}
                5..7 if !events.is_empty() => events.insert(events.len() - 1, (arrival_ms, event)),
                _ => events.push((arrival_ms, event)),
            }
        }
    }
    let start = tape.now;
    for (arrival_ms, event) in events {
        // A stall holds everything back, and then it all comes at once.
        tape.now = tape.now.max(start + Duration::from_millis(arrival_ms));
        tape.hear_after(event, Duration::ZERO);
    }
    tape.hear(Event::End);
    let mut worst = 0;
    for (place, chunk) in tape.inbound().chunks_exact(160).enumerate() {
        if chunk[0..8] == [0xff; 8] {
            continue;
        }
        let n = usize::try_from(u64::from_le_bytes(chunk[0..8].try_into().unwrap())).unwrap();
        worst = worst.max(n.abs_diff(place));
    }
    assert_eq!(worst, 0, "in frames of 20 ms");
    assert_eq!(tape.inbound().len().div_ceil(160), 3600 * 50);
}

proptest! {
    #[test]
    fn whatever_comes_both_tracks_end_together_and_every_silence_is_told(
        messages in prop::collection::vec((any::<bool>(), 0u64..400, 0u64..9000, 1usize..400), 0..200)
    ) {
        let mut tape = Tape::open();
        for (outbound, sequence, timestamp_ms, length) in messages {
            let track = if outbound { OUTBOUND } else { INBOUND };
            let ulaw = vec![1; length];
            tape.hear(Event::Frame(Frame { track, sequence, timestamp_ms, ulaw }));
        }
        tape.hear(Event::End);
        let end = tape.end.unwrap();
        for (index, track) in [INBOUND, OUTBOUND].into_iter().enumerate() {
            let sound: u64 = tape.tracks[index].iter().map(|byte| u64::from(*byte == 1)).sum();
            let told: u64 = tape.gaps.iter().filter(|g| g.0 == track).map(|g| g.2 - g.1).sum();
            prop_assert!(end - sound - told <= JITTER, "{end} {sound} {told}");
        }
    }
}
