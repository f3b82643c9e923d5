//! The command line: what it prints, and how it ends.

mod api;
#[cfg(feature = "whisper")]
mod files;
mod model;

use std::net::TcpListener;
use std::process::Command;

use fieldtape::simulate::Sound;

use crate::support::{Answer, Home, fieldtape, fresh_call_sid, noise, root};

const USAGE: Option<i32> = Some(64);
const UNREACHABLE: Option<i32> = Some(69);

/// Runs the program without any configuration.
async fn bare(home: &Home, args: &[&str]) -> Answer {
    let mut command = fieldtape(home.path());
    command.args(args);
    Answer::of(command).await
}

#[tokio::test]
async fn wrong_usage_is_64_and_help_is_0() {
    let home = Home::new();
    for args in [
        &[][..],
        &["record"],
        &["run", "--loudly"],
        &["calls"],
        &["calls", "show"],
        &["calls", "show", "nonsense"],
        &["calls", "ls", "--limit", "0"],
        &["calls", "export", "CA00000000000000000000000000000001"],
        &["calls", "swap"],
        &["queue"],
        &["retry"],
        &["transcribe"],
        &["transcribe", "x.wav", "--format", "docx"],
        &["simulate", "x.wav", "--speed", "fast"],
        &["simulate", "x.wav", "--offline", "60s"],
        &["simulate", "x.wav", "--api", "127.0.0.1:0", "--offline", "soon"],
        &["completions", "cobol"],
        &["--log", "((", "check-config"],
    ] {
        let answer = bare(&home, args).await;
        assert_eq!(answer.code, USAGE, "{args:?}: {answer:?}");
        assert!(answer.out.is_empty() && !answer.err.is_empty(), "{args:?}: {answer:?}");
    }
    for args in [&["--help"][..], &["--version"], &["help", "calls"], &["simulate", "--help"]] {
        let answer = bare(&home, args).await;
        assert_eq!(answer.code, Some(0), "{args:?}");
        assert!(!answer.out.is_empty() && answer.err.is_empty(), "{args:?}");
    }
}

#[tokio::test]
async fn every_mistake_in_a_configuration_is_one_line_with_its_key() {
    let home = Home::new()
        .with("server.lan_listem", "127.0.0.1:0")
        .with("server.max_calls", 0)
        .with("twilio.account_sid", "AC123");
    for args in [&["check-config"][..], &["run"], &["status"], &["simulate", "x.wav"]] {
        let answer = home.run(args).await;
        assert_eq!(answer.code, USAGE, "{args:?}: {answer:?}");
        let told = answer.err.lines().filter(|line| line.starts_with("  ")).count();
        assert_eq!(told, 3, "{args:?}: {answer:?}");
        for part in ["lan_listem", "\"lan_listen\"", "server.max_calls", "twilio.account_sid"] {
            assert!(answer.err.contains(part), "{part}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn check_config_says_which_file_is_good_and_what_has_no_effect() {
    let home = Home::new().with("server.metrics_listen", "127.0.0.1:9091");
    let answer = home.run(&["check-config"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    let file = home.config_file();
    assert_eq!(answer.out, format!("ok ({})\n", file.display()));
    assert!(answer.err.contains("server.metrics_listen"), "{answer:?}");

    // The file may be named in the environment, and the environment lies over it.
    let mut command = fieldtape(home.path());
    command.arg("check-config").env("FIELDTAPE_CONFIG", &file);
    command.env("FIELDTAPE_SERVER__MAX_CALLS", "none");
    let answer = Answer::of(command).await;
    assert_eq!(answer.code, USAGE, "{answer:?}");
    assert!(answer.err.contains("FIELDTAPE_SERVER__MAX_CALLS"), "{answer:?}");

    let missing = bare(&home, &["-c", "nowhere.toml", "check-config"]).await;
    assert_eq!(missing.code, USAGE, "{missing:?}");
    assert!(missing.err.contains("nowhere.toml"), "{missing:?}");
    std::fs::write(&file, "[server\n").unwrap();
    let broken = home.run(&["check-config"]).await;
    assert_eq!(broken.code, USAGE, "{broken:?}");
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for key in ["server.lan_listen", "server.twilio_listen"] {
        let home = Home::new().with(key, address.as_str());
        let answer = home.run(&["run"]).await;
        assert_eq!(answer.code, Some(1), "{answer:?}");
        let lines: Vec<&str> = answer.err.lines().collect();
        assert_eq!(lines.len(), 1, "{answer:?}");
        assert!(lines[0].contains(key) && lines[0].contains(&address), "{answer:?}");
    }
}

#[tokio::test]
async fn a_command_that_reaches_nobody_says_so_with_69() {
    let home = Home::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = home.with("server.twilio_listen", free.to_string());
    let wav = root().join("tests/assets/librivox-0880.wav");
    let sid = fresh_call_sid();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["calls", "ls"],
        &["calls", "show", sid.as_str()],
        &["calls", "export", sid.as_str(), "out"],
        &["calls", "swap", sid.as_str()],
        &["queue", "ls"],
        &["queue", "run"],
        &["retry", "--all-failed"],
        &["simulate", wav.to_str().unwrap()],
    ] {
        let answer = home.run(args).await;
        assert_eq!(answer.code, UNREACHABLE, "{args:?}: {answer:?}");
        assert!(answer.out.is_empty(), "{answer:?}");
        assert_eq!(answer.err.lines().count(), 1, "{answer:?}");
        assert!(answer.err.contains("running"), "it says what to look at: {answer:?}");
    }
}

#[tokio::test]
async fn the_appliance_tells_how_it_is_and_what_it_has() {
    let home = Home::new();
    let appliance = home.start().await;
    let empty = home.run(&["calls", "ls"]).await;
    assert_eq!((empty.code, empty.out.as_str()), (Some(0), "no calls\n"));

    let report = appliance.play(Sound::stereo(noise(1, 400), noise(2, 400)), |_| {}).await;
    let sid = report.call_sid.as_str();
    appliance.await_recorded(&report.call_sid).await;

    let status = home.run(&["status"]).await;
    assert_eq!(status.code, Some(0), "{status:?}");
    assert!(status.out.contains("ledger") && status.out.contains("queue"), "{status:?}");
    let status = home.run(&["status", "--json"]).await.json();
    assert_eq!(status["health"]["ready"], true, "{status}");
    assert!(status["queue"]["stages"].is_array(), "{status}");

    let listed = home.run(&["calls", "ls"]).await;
    assert_eq!(listed.code, Some(0));
    assert!(listed.out.lines().count() == 2 && listed.out.contains(sid), "{listed:?}");
    let listed = home.run(&["calls", "ls", "--json", "--limit", "1"]).await.json();
    assert_eq!(listed["calls"][0]["call_sid"], sid);
    assert_eq!(listed["next_cursor"], serde_json::Value::Null);

    let shown = home.run(&["calls", "show", sid]).await;
    assert_eq!(shown.code, Some(0));
    assert!(shown.out.contains("recording_status") && shown.out.contains("technician 8000 Hz"));
    let shown = home.run(&["calls", "show", sid, "--json"]).await.json();
    assert_eq!(shown, appliance.api(&format!("/calls/{sid}")).await, "as the API tells it");
    assert_eq!(shown["tracks"].as_array().unwrap().len(), 4);

    let unknown = home.run(&["calls", "show", fresh_call_sid().as_str()]).await;
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    assert!(unknown.out.is_empty() && unknown.err.lines().count() == 1, "{unknown:?}");
    let nothing = home.run(&["retry", "--all-failed"]).await;
    assert_eq!((nothing.code, nothing.out.as_str()), (Some(0), "nothing has failed\n"));
    appliance.stop().await;
}

#[tokio::test]
async fn a_second_appliance_on_the_same_ports_leaves_the_first_alone() {
    let home = Home::new();
    let appliance = home.start().await;
    let (lan, door) = (appliance.lan().to_owned(), appliance.door().to_owned());
    let home = home.with("server.lan_listen", lan).with("server.twilio_listen", door);
    assert_eq!(home.run(&["run"]).await.code, Some(1));
    assert_eq!(home.run(&["status"]).await.code, Some(0), "the first still answers");
    appliance.stop().await;
}

#[tokio::test]
async fn simulate_plays_a_call_and_tells_what_was_sent() {
    let home = Home::new();
    let appliance = home.start().await;
    let sid = fresh_call_sid();
    let wav = root().join("tests/assets/librivox-0880.wav");
    let to = format!("http://{}", appliance.door());
    let args = ["simulate", wav.to_str().unwrap(), "--to", &to, "--call-sid", sid.as_str()];
    let mut args = args.to_vec();
    args.extend(["--speed", "4", "--drop", "0.1", "--json"]);
    let report = home.run(&args).await.json();
    assert_eq!(
        (report["call_sid"].as_str(), report["streams"].as_u64()),
        (Some(sid.as_str()), Some(1))
    );
    assert!(report["dropped"].as_u64().unwrap() > 0 && report["troubles"] == serde_json::json!([]));
    appliance.await_recorded(&sid).await;
    let gaps = home.ledger().gaps(&sid).len() as u64;
    assert!(gaps.abs_diff(report["dropped"].as_u64().unwrap()) <= 2, "a lost end is no gap");

    let stranger = home.with("twilio.auth_token", "another");
    let refused = stranger.run(&args).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("403"), "{refused:?}");
    let no_file = stranger.run(&["simulate", "nowhere.wav", "--to", &to]).await;
    assert_eq!(no_file.code, Some(1), "{no_file:?}");
    appliance.stop().await;
}

#[tokio::test]
async fn completions_and_manual_pages_are_made_from_the_commands() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish"] {
        let answer = bare(&home, &["completions", shell]).await;
        assert_eq!(answer.code, Some(0), "{shell}");
        assert!(answer.out.contains("check-config"), "{shell}");
    }
    // Longer than an argument may be.
    let script = home.path().join("completions");
    std::fs::write(&script, bare(&home, &["completions", "bash"]).await.out).unwrap();
    let mut bash = Command::new("/bin/bash");
    bash.arg("-n").arg(&script);
    assert_eq!(Answer::of(bash).await.err, "", "bash reads it");

    let man = home.path().join("man");
    std::fs::create_dir(&man).unwrap();
    let answer = bare(&home, &["man", man.to_str().unwrap()]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    for page in ["fieldtape.1", "fieldtape-run.1", "fieldtape-calls-ls.1"] {
        let text = std::fs::read_to_string(man.join(page)).unwrap();
        assert!(text.contains(".SH NAME"), "{page}");
    }
    let nowhere = bare(&home, &["man", "/proc/nowhere"]).await;
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
}

#[cfg(feature = "whisper")]
mod transcribe {
    use std::path::{Path, PathBuf};

    use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

    use super::*;

    /// Three seconds at 16 kHz: "He was not an ill-disposed young man."
    fn speech() -> Vec<i16> {
        let path = root().join("tests/assets/librivox-0880.wav");
        WavReader::open(path).unwrap().into_samples().map(Result::unwrap).collect()
    }

    async fn transcribe(file: &Path, more: &[&str]) -> Answer {
        let home = Home::new();
        let model = root().join("models/ggml-tiny.en-q8_0.bin");
        let mut args =
            vec!["transcribe", file.to_str().unwrap(), "--model", model.to_str().unwrap()];
        args.extend(more);
        bare(&home, &args).await
    }

    fn put(home: &Home, name: &str, bytes: &[u8]) -> PathBuf {
        let path = home.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    #[tokio::test]
    async fn a_stereo_file_of_44100_hz_and_24_bits_is_heard_by_its_channels() {
        let home = Home::new();
        let path = home.path().join("stereo.wav");
        let spec = WavSpec {
            channels: 2,
            sample_rate: 44_100,
            bits_per_sample: 24,
            sample_format: SampleFormat::Int,
        };
        let speech = speech();
        let mut wav = WavWriter::create(&path, spec).unwrap();
        let mut place = 0;
        while place / 44_100 + 1 < speech.len() {
            // Between two samples of 16 kHz, in 44,100ths.
            let (at, part) = (place / 44_100, i64::try_from(place % 44_100).unwrap());
            let (before, after) = (i64::from(speech[at]), i64::from(speech[at + 1]));
            let sample = (before * 256 * (44_100 - part) + after * 256 * part) / 44_100;
            wav.write_sample(0_i32).unwrap();
            wav.write_sample(i32::try_from(sample).unwrap()).unwrap();
            place += 16_000;
        }
        wav.finalize().unwrap();
        let more = ["--format", "json", "--party-right", "president"];
        let answer = transcribe(&path, &more).await.json();
        let segments = answer["segments"].as_array().unwrap();
        assert!(segments.iter().all(|segment| segment["speaker"] == "president"), "{answer}");
        let text: Vec<&str> = segments.iter().map(|s| s["text"].as_str().unwrap()).collect();
        let text = text.join(" ");
        assert!(text.contains("He was not") && text.contains("young man"), "{answer}");
    }

    #[tokio::test]
    async fn a_file_of_floats_that_is_cut_off_is_heard_as_far_as_it_goes() {
        let home = Home::new();
        let path = home.path().join("float.wav");
        let spec = WavSpec {
            channels: 1,
            sample_rate: 16_000,
            bits_per_sample: 32,
            sample_format: SampleFormat::Float,
        };
        let mut wav = WavWriter::create(&path, spec).unwrap();
        for sample in speech() {
            wav.write_sample(f32::from(sample) / 32_768.0).unwrap();
        }
        wav.finalize().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let cut = put(&home, "cut.wav", &whole[..whole.len() - 30_001]);
        let answer = transcribe(&cut, &[]).await;
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(answer.out.to_lowercase().contains("he was not"), "{answer:?}");
        assert!(answer.err.contains("cut off"), "{answer:?}");
    }

    #[tokio::test]
    async fn what_is_no_recording_is_one_clear_line_and_1() {
        let home = Home::new();
        let wav = std::fs::read(root().join("tests/assets/jfk.wav")).unwrap();
        let mut odd = wav.clone();
        odd[20..22].copy_from_slice(&85_u16.to_le_bytes()); // MP3 inside
        for (name, bytes) in [
            ("empty.wav", &[][..]),
            ("text.wav", b"this is not a recording, whatever its name says"),
            ("page.wav", b"<html><body>404 not found</body></html>"),
            ("header.wav", &wav[..30]),
            ("nothing.wav", &wav[..44]),
            ("mp3.wav", &odd),
        ] {
            let answer = transcribe(&put(&home, name, bytes), &[]).await;
            assert_eq!(answer.code, Some(1), "{answer:?}");
            assert!(answer.out.is_empty(), "{answer:?}");
            assert_eq!(answer.err.lines().count(), 1, "{answer:?}");
            assert!(answer.err.contains(name), "{answer:?}");
        }
        let nowhere = transcribe(Path::new("nowhere.wav"), &[]).await;
        assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
        let folder = transcribe(home.path(), &[]).await;
        assert_eq!(folder.code, Some(1), "{folder:?}");
    }

    #[tokio::test]
    async fn without_a_model_it_says_what_to_do_and_fails() {
        let home = Home::new();
        let wav = root().join("tests/assets/librivox-0880.wav");
        let answer = bare(&home, &["transcribe", wav.to_str().unwrap()]).await;
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.err.contains("ggml-tiny.en-q8_0.bin"), "{answer:?}");
    }
}
