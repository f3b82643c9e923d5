//! The worker process: killed, stopped, idle, refused, and shared by live and whole tracks.

use super::*;

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

/// Runs a job and does something to the worker once it is loaded and at work.
fn disturbed(speech: &Speech, disturb: impl Fn(u32)) -> Result<TrackText, SpeechError> {
    std::thread::scope(|scope| {
        let job = scope.spawn(|| {
            let track = recording(&channel("service-call.wav", 1));
            block_on(hear(speech, track))
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
        assert_eq!(stat_field(&stat, 19), "10", "nice");
        let environ = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let names = environ.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        for name in names {
            assert!(
                name.starts_with(b"MALLOC_") || name.starts_with(b"GGML_"),
                "nothing of ours is in its environment"
            );
        }
        signal(pid, rustix::process::Signal::KILL);
    });
    let error = error.unwrap_err();
    assert!(matches!(error, SpeechError::WorkerDied { .. }), "{error}");
    assert!(error.to_string().contains("signal: 9"), "{error}");
    let heard = block_on(hear(&speech, asset("librivox-0880.wav"))).unwrap();
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
    block_on(hear(&speech, asset("librivox-0880.wav"))).unwrap();
    until("no worker", || speech.worker_pid().is_none());
}

#[test]
fn what_cannot_be_heard_is_refused_by_its_reason() {
    let ask = |options: Options, audio: File, language: &str| {
        let speech = Speech::start(options).unwrap();
        block_on(hear_in(&speech, audio, language)).unwrap_err()
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
fn a_live_look_goes_in_between_the_windows_of_a_track_and_changes_nothing() {
    let speech = Speech::start(options()).unwrap();
    let sound = channel("service-call.wav", 1);
    let long = [sound.as_slice(), &sound, &sound].concat();
    let live = || LiveJob {
        audio: recording(&sound[..16_000 * 11]),
        track: 1,
        from_sample: 0,
        to_sample: 16_000 * 11,
        language: "auto".to_owned(),
        guess: false,
    };
    let heard = block_on(async {
        let mut track = std::pin::pin!(hear(&speech, recording(&long)));
        let mut looks = 0;
        let heard = loop {
            tokio::select! {
                biased;
                heard = &mut track => break heard.unwrap(),
                looked = speech.live(live()), if looks < 2 => {
                    assert!(text(&looked.unwrap().segments).contains("River Road"));
                    looks += 1;
                }
            }
        };
        assert_eq!(looks, 2, "both before the track was done");
        heard
    });
    let mut file = recording(&long);
    file.rewind().unwrap();
    let at_once = transcribe_file(file_job(file), |_| {}).unwrap();
    assert!(wer(&all(&at_once.said), &text(&heard.segments)).percent() <= 3.0, "{heard:#?}");
    // A step that ends in mid-sentence may divide a segment in two: each begins with a word that
    // was heard at that time.
    let words = || at_once.said.iter().flat_map(|said| &said.segment.words);
    for stepped in &heard.segments {
        let begins_ms = stepped.words.first().map_or(stepped.start_ms, |word| word.start_ms);
        let near = words().any(|word| word.start_ms.abs_diff(begins_ms) <= 100);
        assert!(near, "{stepped:?}");
    }
}
