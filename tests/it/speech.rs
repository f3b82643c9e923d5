//! Speech to text with the real model: in the worker process, and a file by itself.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "sound made of small numbers"
)]

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fieldtape::audio::{Resampler, WavReader, pcm16, wav_header};
use fieldtape::domain::RateHz;
use fieldtape::transcribe::{
    FileError, FileJob, LiveJob, ModelError, Options, PATIENCE, Segment, Speech, SpeechError,
    TrackJob, TrackText, transcribe_file,
};

use crate::wer::wer;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn asset(name: &str) -> File {
    File::open(root().join("tests/assets").join(name)).unwrap()
}

fn options() -> Options {
    Options {
        program: env!("CARGO_BIN_EXE_fieldtape").into(),
        model: "tiny.en-q8_0".to_owned(),
        live_model: None,
        model_dirs: vec![root().join("models")],
        vocabulary: Vec::new(),
        threads: 1,
        nice: 10,
        idle: Duration::from_mins(1),
        patience: PATIENCE,
    }
}

fn file_job(audio: File) -> FileJob {
    FileJob {
        audio,
        model: "tiny.en-q8_0".to_owned(),
        model_dirs: vec![root().join("models")],
        language: "auto".to_owned(),
        vocabulary: Vec::new(),
        threads: 1,
        speakers: ["agent".to_owned(), "technician".to_owned()],
    }
}

/// Reads one channel of an asset at 16 kHz.
fn channel(name: &str, index: usize) -> Vec<f32> {
    let mut reader = WavReader::new(asset(name)).unwrap();
    let mut channels = vec![Vec::new(); usize::from(reader.channels())];
    while reader.read(&mut channels, 1 << 16).unwrap() > 0 {}
    let mut resampler = Resampler::new(reader.rate_hz(), RateHz::Hz16000).unwrap();
    let mut out = Vec::new();
    resampler.push(&channels[index], &mut out);
    resampler.finish(&mut out);
    out
}

/// Writes a recording as the vault does: 16 bits, one channel, 16 kHz.
fn recording(sound: &[f32]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&wav_header(RateHz::Hz16000, 1, sound.len() as u64 * 2)).unwrap();
    append(&mut file, sound);
    file
}

fn append(file: &mut File, sound: &[f32]) {
    let bytes: Vec<u8> = sound.iter().flat_map(|sample| pcm16(*sample).to_le_bytes()).collect();
    file.write_all(&bytes).unwrap();
}

fn track_job(audio: File) -> TrackJob {
    TrackJob { audio, language: "auto".to_owned() }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn text(segments: &[Segment]) -> String {
    segments.iter().map(|segment| segment.text.as_str()).collect::<Vec<_>>().join(" ")
}

#[derive(Debug)]
struct Turn {
    speaker: String,
    start_s: f64,
    text: String,
}

/// What is said in the service call.
fn turns() -> Vec<Turn> {
    let mut json = String::new();
    asset("service-call.json").read_to_string(&mut json).unwrap();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    let turns = value["turns"].as_array().unwrap();
    let words = |turn: &serde_json::Value, key: &str| turn[key].as_str().unwrap().to_owned();
    let turn = |turn| Turn {
        speaker: words(turn, "speaker"),
        start_s: turn["start_s"].as_f64().unwrap(),
        text: words(turn, "text"),
    };
    turns.iter().map(turn).collect()
}

/// How far from each turn's start the nearest segment of its speaker begins, sorted.
fn start_errors<'a>(turns: &[Turn], starts: impl Fn(&str) -> Vec<u64> + 'a) -> Vec<f64> {
    let error = |turn: &Turn| {
        let away = |start: u64| (start as f64 / 1000.0 - turn.start_s).abs();
        starts(&turn.speaker).into_iter().map(away).fold(f64::INFINITY, f64::min)
    };
    let mut errors: Vec<f64> = turns.iter().map(error).collect();
    errors.sort_by(f64::total_cmp);
    errors
}

/// Returns the value that `percent` of the sorted values do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

#[test]
fn a_service_call_is_heard_right_and_on_time() {
    let speech = Speech::start(options()).unwrap();
    let parties = ["agent", "technician"];
    let heard: Vec<TrackText> = (0..2)
        .map(|index| {
            let track = recording(&channel("service-call.wav", index));
            block_on(speech.transcribe(track_job(track))).unwrap()
        })
        .collect();
    let turns = turns();
    for (party, track) in parties.iter().zip(&heard) {
        let said: Vec<&str> =
            turns.iter().filter(|t| t.speaker == *party).map(|t| t.text.as_str()).collect();
        let rate = wer(&said.join(" "), &text(&track.segments));
        println!("{party}: WER {:.1} % of {} words", rate.percent(), rate.words);
        assert!(rate.percent() <= 12.0, "{:#?}", track.segments);
        assert_eq!((track.language.as_str(), track.model.as_str()), ("en", "tiny.en-q8_0"));
        assert_eq!(track.duration_ms, 68_260);
        for pair in track.segments.windows(2) {
            assert!(pair[0].end_ms <= pair[1].start_ms, "{pair:?}");
        }
    }
    let starts = |speaker: &str| {
        let track = &heard[parties.iter().position(|party| *party == speaker).unwrap()];
        track.segments.iter().map(|segment| segment.start_ms).collect()
    };
    let errors = start_errors(&turns, starts);
    let (p50, p90) = (percentile(&errors, 50), percentile(&errors, 90));
    println!("segment starts: {p50:.2} s off at p50, {p90:.2} s at p90");
    assert!(p90 <= 0.5, "{errors:?}");
    let everything = format!("{} {}", text(&heard[0].segments), text(&heard[1].segments));
    for word in ["compressor", "capacitor", "River Road"] {
        assert!(everything.contains(word), "{word}: {everything}");
    }
}

#[test]
fn silence_noise_hum_and_ringing_give_no_text() {
    let speech = Speech::start(options()).unwrap();
    let mut seed = 1_u32;
    let mut noise = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(seed >> 8) / f64::from(1 << 24) - 0.5
    };
    let sine = |t: f64, hz: f64| (t * hz * std::f64::consts::TAU).sin();
    let mut sound = |make: &mut dyn FnMut(f64, f64) -> f64| -> Vec<f32> {
        (0..60 * 16_000).map(|n| make(f64::from(n) / 16_000.0, noise()) as f32).collect()
    };
    let digits = [697.0, 770.0, 852.0, 941.0];
    let sounds = [
        ("silence", sound(&mut |_, _| 0.0)),
        ("line noise", sound(&mut |_, noise| 0.02 * noise)),
        ("loud noise", sound(&mut |_, noise| 0.4 * noise)),
        ("hum", sound(&mut |t, noise| 0.2 * sine(t, 50.0) + 0.1 * sine(t, 150.0) + 0.01 * noise)),
        (
            "ringback",
            sound(&mut |t, _| {
                if t % 6.0 < 2.0 { 0.2 * (sine(t, 440.0) + sine(t, 480.0)) } else { 0.0 }
            }),
        ),
        (
            "dialling",
            sound(&mut |t, _| {
                let digit = digits[(t * 2.0) as usize % 4];
                if t % 0.5 < 0.1 { 0.2 * (sine(t, digit) + sine(t, 1336.0)) } else { 0.0 }
            }),
        ),
        (
            "music",
            sound(&mut |t, _| {
                let note = 220.0 * 2_f64.powf(f64::from((t * 4.0) as i32 % 12) / 12.0);
                0.2 * (-(t % 0.25) * 8.0).exp() * (sine(t, note) + 0.5 * sine(t, 2.0 * note))
            }),
        ),
    ];
    for (name, sound) in sounds {
        let heard = block_on(speech.transcribe(track_job(recording(&sound)))).unwrap();
        assert_eq!(heard.segments, [], "{name}");
        assert_eq!(heard.duration_ms, 60_000);
    }
}

#[test]
fn every_kind_of_wav_is_transcribed_or_refused_by_name() {
    let heard = transcribe_file(file_job(asset("jfk.wav")), |_| {}).unwrap();
    let said = "And so my fellow Americans, ask not what your country can do for you, ask what \
                you can do for your country.";
    let rate = wer(said, &all(&heard.said));
    println!("jfk.wav: WER {:.1} %", rate.percent());
    assert!(rate.percent() <= 10.0, "{heard:?}");
    assert!(heard.said.iter().all(|said| said.speaker == "agent"));

    let stereo = transcribe_file(file_job(asset("service-call.wav")), |_| {}).unwrap();
    let turns = turns();
    let starts = |speaker: &str| {
        let own = stereo.said.iter().filter(|said| said.speaker == speaker);
        own.map(|said| said.segment.start_ms).collect()
    };
    assert!(percentile(&start_errors(&turns, starts), 90) <= 0.5, "{stereo:#?}");
    let said: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    assert!(wer(&said.join(" "), &all(&stereo.said)).percent() <= 12.0, "in the order spoken");
}

fn all(said: &[fieldtape::transcribe::Said<String>]) -> String {
    said.iter().map(|said| said.segment.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Writes a WAV of `channels` equal channels.
fn wav(sound: &[f32], tag: u16, bits: u16, rate_hz: u32, channels: u16) -> File {
    let mut data = Vec::new();
    let mut resampler = Resampler::new(16_000, RateHz::Hz8000).unwrap();
    let mut sound_8k = Vec::new();
    resampler.push(sound, &mut sound_8k);
    // 44.1 kHz and others: each sample held, which speech survives.
    let frames = sound.len() as u64 * u64::from(rate_hz) / 16_000;
    for frame in 0..frames {
        let sample = sound[usize::try_from(frame * 16_000 / u64::from(rate_hz)).unwrap()];
        for _ in 0..channels {
            match (tag, bits) {
                (1, 8) => data.push((sample * 127.0 + 128.0) as u8),
                (1, 24) => data.extend(&((sample * 8_388_607.0) as i32).to_le_bytes()[..3]),
                (1, _) => data.extend(pcm16(sample).to_le_bytes()),
                _ => data.extend(sample.to_le_bytes()),
            }
        }
    }
    let block = channels * bits / 8;
    let length = u32::try_from(data.len()).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"RIFF").unwrap();
    file.write_all(&(length + 36).to_le_bytes()).unwrap();
    file.write_all(b"WAVEfmt \x10\0\0\0").unwrap();
    file.write_all(&tag.to_le_bytes()).unwrap();
    file.write_all(&channels.to_le_bytes()).unwrap();
    file.write_all(&rate_hz.to_le_bytes()).unwrap();
    file.write_all(&(rate_hz * u32::from(block)).to_le_bytes()).unwrap();
    file.write_all(&block.to_le_bytes()).unwrap();
    file.write_all(&bits.to_le_bytes()).unwrap();
    file.write_all(b"data").unwrap();
    file.write_all(&length.to_le_bytes()).unwrap();
    file.write_all(&data).unwrap();
    file.rewind().unwrap();
    file
}

#[test]
fn other_codings_and_rates_are_heard_as_well() {
    let sound = channel("librivox-0880.wav", 0);
    for (tag, bits, rate_hz) in [(1, 8, 16_000), (1, 24, 44_100), (3, 32, 48_000), (1, 16, 8000)] {
        let job = file_job(wav(&sound, tag, bits, rate_hz, 1));
        let heard = transcribe_file(job, |_| {}).unwrap();
        let rate = wer("he was not an ill disposed young man", &all(&heard.said));
        assert!(rate.percent() <= 30.0, "{bits} bits {rate_hz} Hz: {heard:?}");
    }
    let refused = transcribe_file(file_job(wav(&sound, 1, 16, 16_000, 3)), |_| {}).unwrap_err();
    assert!(matches!(refused, FileError::Channels { channels: 3 }), "{refused}");
    let mut page = tempfile::tempfile().unwrap();
    page.write_all(b"<html>not found, and quite long enough to be a header</html>").unwrap();
    page.rewind().unwrap();
    let refused = transcribe_file(file_job(page), |_| {}).unwrap_err();
    assert!(refused.to_string().contains("not a WAV"), "{refused}");
    let job = FileJob { model: "large".to_owned(), ..file_job(asset("jfk.wav")) };
    let refused = transcribe_file(job, |_| {}).unwrap_err();
    assert!(refused.to_string().contains("ggml-large.bin"), "{refused}");
}

/// Waits for a fact.
#[expect(clippy::disallowed_methods, reason = "a test's deadline is by the real clock")]
fn until(what: &str, fact: impl Fn() -> bool) {
    let (_nobody, never) = std::sync::mpsc::sync_channel::<()>(1);
    let deadline = Instant::now() + Duration::from_mins(1);
    while !fact() {
        assert!(Instant::now() < deadline, "{what}: not within a minute");
        // Nobody sends: this is how long to wait before looking again.
        let _ = never.recv_timeout(Duration::from_millis(5));
    }
}

fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

fn status(pid: u32, key: &str) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_default().trim_matches([':', '\t', ' ']).to_owned()
}

/// Runs a job and does something to the worker once it is loaded and at work.
fn disturbed(speech: &Speech, disturb: impl Fn(u32)) -> Result<TrackText, SpeechError> {
    std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            let track = recording(&channel("service-call.wav", 1));
            block_on(speech.transcribe(track_job(track)))
        });
        until("a worker at work", || {
            speech.worker_pid().is_some_and(|pid| {
                let kib = status(pid, "VmRSS").trim_end_matches("kB").trim().parse::<u64>();
                kib.is_ok_and(|kib| kib > 90_000)
            })
        });
        disturb(speech.worker_pid().unwrap());
        job.join().unwrap()
    })
}

#[test]
fn a_killed_worker_costs_one_attempt_and_the_next_job_works() {
    let speech = Speech::start(options()).unwrap();
    let error = disturbed(&speech, |pid| {
        let oom = std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(oom.trim(), "1000");
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        assert_eq!(after_name.split_whitespace().nth(16), Some("10"), "nice");
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        assert_eq!(environ, b"", "no secrets in its environment");
        signal(pid, rustix::process::Signal::KILL);
    });
    let error = error.unwrap_err();
    assert!(matches!(error, SpeechError::WorkerDied { .. }), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
    let heard = block_on(speech.transcribe(track_job(asset("librivox-0880.wav")))).unwrap();
    assert!(text(&heard.segments).contains("young man"), "{heard:?}");
}

#[test]
fn a_worker_that_stops_answering_is_killed() {
    let patience = Duration::from_secs(2);
    let speech = Speech::start(Options { patience, ..options() }).unwrap();
    let result = disturbed(&speech, |pid| signal(pid, rustix::process::Signal::STOP));
    assert!(
        matches!(&result, Err(SpeechError::WorkerDied { how, .. }) if how.contains("stopped answering")),
        "{result:?}"
    );
    assert_eq!(speech.worker_pid(), None);
}

#[test]
fn stopping_does_not_wait_for_the_job() {
    let speech = Speech::start(options()).unwrap();
    let result = disturbed(&speech, |_| speech.stop());
    assert!(matches!(result, Err(SpeechError::Stopped)), "{result:?}");
}

#[test]
fn an_idle_worker_gives_its_memory_back() {
    let idle = Duration::from_millis(100);
    let speech = Speech::start(Options { idle, ..options() }).unwrap();
    block_on(speech.transcribe(track_job(asset("librivox-0880.wav")))).unwrap();
    until("no worker", || speech.worker_pid().is_none());
}

#[test]
fn what_cannot_be_heard_is_refused_by_its_reason() {
    let ask = |options: Options, audio: File, language: &str| {
        let speech = Speech::start(options).unwrap();
        let job = TrackJob { audio, language: language.to_owned() };
        block_on(speech.transcribe(job)).unwrap_err()
    };
    let missing = Options { model_dirs: vec!["/nowhere".into()], ..options() };
    let error = ask(missing, asset("jfk.wav"), "auto");
    assert!(matches!(error, SpeechError::Model(ModelError::Missing { .. })), "{error}");

    let dir = tempfile::tempdir().unwrap();
    corrupt_model(dir.path());
    let corrupt = Options { model_dirs: vec![dir.path().to_owned()], ..options() };
    let error = ask(corrupt, asset("jfk.wav"), "auto");
    assert!(matches!(error, SpeechError::Model(ModelError::Corrupt { .. })), "{error}");

    let error = ask(options(), asset("jfk.wav"), "de");
    assert!(matches!(error, SpeechError::Language(_)), "{error}");
    let error = ask(options(), tempfile::tempfile().unwrap(), "auto");
    assert!(matches!(error, SpeechError::BadAudio(_)), "{error}");
    let error = ask(options(), asset("service-call.wav"), "auto");
    assert!(matches!(error, SpeechError::BadAudio(_)), "{error}");

    let program = PathBuf::from("/nowhere/fieldtape");
    let error = ask(Options { program, ..options() }, asset("jfk.wav"), "auto");
    assert!(matches!(error, SpeechError::NotStarted { .. }), "{error}");
    let program = PathBuf::from("/bin/false");
    let error = ask(Options { program, ..options() }, asset("jfk.wav"), "auto");
    assert!(matches!(error, SpeechError::WorkerDied { .. }), "{error}");
}

/// Puts the first half of the model where a model is looked for.
fn corrupt_model(dir: &Path) {
    let models = root().join("models");
    let whole = std::fs::read(models.join("ggml-tiny.en-q8_0.bin")).unwrap();
    std::fs::write(dir.join("ggml-tiny.en-q8_0.bin"), &whole[..whole.len() / 2]).unwrap();
    let detector = "ggml-silero-v6.2.3.bin";
    std::fs::copy(models.join(detector), dir.join(detector)).unwrap();
}

#[test]
fn live_looks_hear_each_utterance_once_it_has_ended() {
    let speech = Speech::start(options()).unwrap();
    let sound = channel("service-call.wav", 1);
    let mut part = tempfile::tempfile().unwrap();
    part.write_all(&wav_header(RateHz::Hz16000, 1, 0)).unwrap();
    let (mut from_sample, mut segments): (u64, Vec<Segment>) = (0, Vec::new());
    let mut written = 0;
    for second in sound.chunks(16_000) {
        append(&mut part, second);
        written += second.len() as u64;
        let job = LiveJob {
            audio: part.try_clone().unwrap(),
            from_sample,
            to_sample: written,
            language: "auto".to_owned(),
        };
        let looked = block_on(speech.live(job)).unwrap();
        assert!((from_sample..=written).contains(&looked.consumed_to), "{looked:?}");
        from_sample = looked.consumed_to;
        segments.extend(looked.segments);
    }
    let said: Vec<Turn> = turns().into_iter().filter(|t| t.speaker == "technician").collect();
    let words: Vec<&str> = said.iter().map(|turn| turn.text.as_str()).collect();
    let rate = wer(&words.join(" "), &text(&segments));
    let errors = start_errors(&said, |_| segments.iter().map(|segment| segment.start_ms).collect());
    println!(
        "live: WER {:.1} %, starts {:.2} s off at p90",
        rate.percent(),
        percentile(&errors, 90)
    );
    assert!(rate.percent() <= 15.0, "{segments:#?}");
    assert!(percentile(&errors, 90) <= 0.5, "{errors:?}");
}

#[test]
fn a_live_look_goes_in_between_the_windows_of_a_track() {
    let speech = Speech::start(options()).unwrap();
    let sound = channel("service-call.wav", 1);
    let long = [sound.as_slice(), &sound, &sound].concat();
    let live = || LiveJob {
        audio: recording(&sound[..16_000 * 11]),
        from_sample: 0,
        to_sample: 16_000 * 11,
        language: "auto".to_owned(),
    };
    block_on(async {
        let mut track = std::pin::pin!(speech.transcribe(track_job(recording(&long))));
        let mut looks = 0;
        loop {
            tokio::select! {
                biased;
                heard = &mut track => {
                    heard.unwrap();
                    break;
                }
                looked = speech.live(live()), if looks < 2 => {
                    assert!(text(&looked.unwrap().segments).contains("River Road"));
                    looks += 1;
                }
            }
        }
        assert_eq!(looks, 2, "both before the track was done");
    });
}
