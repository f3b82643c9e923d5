//! `fieldtape transcribe` with many files, pipes, folders, and WAVs of every kind.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use fieldtape::audio::{alaw, ulaw};
use rustix::process::{Pid, Signal, kill_process};

use super::*;
use crate::support::eventually;

const SAID: &str = "young man";

fn asset(name: &str) -> String {
    root().join("tests/assets").join(name).to_str().unwrap().to_owned()
}

fn command(home: &Home, args: &[&str]) -> Command {
    let model = root().join("models/ggml-tiny.en-q8_0.bin");
    let mut command = fieldtape(home.path());
    command.args(["transcribe", "--threads", "1", "--model"]).arg(model).args(args);
    command
}

async fn transcribe(home: &Home, args: &[&str]) -> Answer {
    Answer::of(command(home, args)).await
}

/// "He was not an ill-disposed young man", 16 kHz.
fn speech() -> Vec<i16> {
    let wav = hound::WavReader::open(asset("librivox-0880.wav")).unwrap();
    wav.into_samples().map(Result::unwrap).collect()
}

/// Writes a WAV of one coding, each channel the same.
fn wav(path: &Path, tag: u16, bits: u16, rate_hz: u32, channels: u16, samples: &[Vec<u8>]) {
    let block = channels * bits / 8;
    let data: Vec<u8> = samples.iter().flat_map(|s| s.repeat(usize::from(channels))).collect();
    let length = u32::try_from(data.len()).unwrap();
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((length + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0");
    bytes.extend([tag, channels].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend([rate_hz, rate_hz * u32::from(block)].into_iter().flat_map(u32::to_le_bytes));
    bytes.extend([block, bits].into_iter().flat_map(u16::to_le_bytes));
    bytes.extend(b"data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(data);
    std::fs::write(path, bytes).unwrap();
}

/// The code whose sound is nearest.
fn coded(decode: fn(u8) -> i16, sample: i16) -> Vec<u8> {
    let away = |code: &u8| (i32::from(decode(*code)) - i32::from(sample)).abs();
    vec![(0..=255).min_by_key(away).unwrap()]
}

#[tokio::test]
async fn telephone_codings_and_studio_rates_are_heard() {
    let home = Home::new();
    let eight: Vec<i16> = speech().into_iter().step_by(2).collect();
    let ulaw: Vec<Vec<u8>> = eight.iter().map(|s| coded(ulaw::decode, *s)).collect();
    let alaw: Vec<Vec<u8>> = eight.iter().map(|s| coded(alaw::decode, *s)).collect();
    // Each sample held twelve times.
    let studio: Vec<Vec<u8>> = speech()
        .iter()
        .flat_map(|s| std::iter::repeat_n((f32::from(*s) / 32_768.0).to_le_bytes().to_vec(), 12))
        .collect();
    wav(&home.path().join("ulaw.wav"), 7, 8, 8000, 1, &ulaw);
    wav(&home.path().join("alaw.wav"), 6, 8, 8000, 1, &alaw);
    wav(&home.path().join("studio.wav"), 3, 32, 192_000, 1, &studio);
    let answer = transcribe(&home, &["ulaw.wav", "alaw.wav", "studio.wav"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(answer.out.matches(SAID).count(), 3, "{answer:?}");
    assert!(answer.out.starts_with("==> ulaw.wav <==\n[00:00] agent: "), "{answer:?}");
}

#[tokio::test]
async fn one_bad_file_among_many_costs_only_itself_and_the_exit_code() {
    let home = Home::new();
    let silent = vec![0_i16.to_le_bytes().to_vec(); 16_000];
    wav(&home.path().join("eight.wav"), 1, 16, 16_000, 8, &silent);
    wav(&home.path().join("silent.wav"), 1, 16, 16_000, 1, &silent);
    std::fs::write(home.path().join("text.wav"), "no sound, whatever its name says").unwrap();
    let good = asset("librivox-0880.wav");
    let args = ["eight.wav", "text.wav", "nowhere.wav", "data", "silent.wav", &good];
    let answer = transcribe(&home, &args).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.out.contains(SAID), "{answer:?}");
    for told in [
        "eight.wav: 8 channels",
        "text.wav: not a WAV file",
        "nowhere.wav: No such file",
        "data: is a folder",
        "silent.wav: nobody speaks in it",
        "4 of 6 files were not transcribed",
    ] {
        assert!(answer.err.contains(told), "{told}: {answer:?}");
    }
    let unreadable = home.path().join("mine.wav");
    std::fs::copy(&good, &unreadable).unwrap();
    let nobody = std::os::unix::fs::PermissionsExt::from_mode(0o000);
    std::fs::set_permissions(&unreadable, nobody).unwrap();
    if rustix::process::geteuid().is_root() {
        println!("skipped: root may read everything");
        return;
    }
    let answer = transcribe(&home, &["mine.wav"]).await;
    assert!(answer.code == Some(1) && answer.err.contains("ermission"), "{answer:?}");
}

#[tokio::test]
async fn each_file_gets_its_transcripts_in_a_folder() {
    let home = Home::new();
    let (one, two) = (asset("librivox-0880.wav"), asset("librivox-0930.wav"));
    let more = ["--output-dir", "texts", "--format", "txt,json,srt,vtt"];
    let answer = transcribe(&home, &[&[one.as_str(), &two][..], &more].concat()).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert_eq!(answer.out.lines().count(), 8, "each file is named: {answer:?}");
    assert!(answer.err.is_empty(), "{answer:?}");
    let texts = home.path().join("texts");
    assert_eq!(std::fs::read_dir(&texts).unwrap().count(), 8, "and nothing else is there");
    let text = |name: &str| std::fs::read_to_string(texts.join(name)).unwrap();
    assert!(text("librivox-0880.txt").contains(SAID));
    assert!(text("librivox-0930.vtt").starts_with("WEBVTT\n"));
    let json: serde_json::Value = serde_json::from_str(&text("librivox-0930.json")).unwrap();
    assert_eq!(json["file"], two.as_str());

    let twice = transcribe(&home, &[&one, &one, "--output-dir", "texts"]).await;
    assert_eq!(twice.code, USAGE, "one would write over the other: {twice:?}");
    for args in [&[&one, &two, "--format", "srt"][..], &[&one, "--format", "txt,json"], &["-", "-"]]
    {
        assert_eq!(transcribe(&home, args).await.code, USAGE, "{args:?}");
    }
}

#[tokio::test]
async fn standard_input_is_heard_from_a_file_and_from_a_pipe() {
    let home = Home::new();
    let mut redirected = command(&home, &["-", "--format", "json"]);
    redirected.stdin(File::open(asset("librivox-0880.wav")).unwrap());
    let answer = Answer::of(redirected).await.json();
    assert_eq!(answer["file"], "stdin");
    assert!(answer.to_string().contains(SAID), "{answer}");

    for (sound, code) in [(std::fs::read(asset("librivox-0880.wav")).unwrap(), 0), (Vec::new(), 1)]
    {
        let mut piped = command(&home, &["-"]);
        piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&sound).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout).contains(SAID), code == 0);
    }
}

#[tokio::test]
async fn what_is_stopped_leaves_no_half_transcript() {
    let home = Home::new();
    let call = asset("service-call.wav");
    let mut child =
        command(&home, &[&call, "--output-dir", "texts"]).stdout(Stdio::null()).spawn().unwrap();
    let texts = home.path().join("texts");
    eventually("it has begun", async || texts.is_dir().then_some(())).await;
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(std::fs::read_dir(&texts).unwrap().count(), 0);
}

#[tokio::test]
async fn a_vocabulary_is_words_on_the_line_or_a_file_of_them() {
    let home = Home::new();
    std::fs::write(home.path().join("names.txt"), "River Road\nill-disposed\n").unwrap();
    for words in ["names.txt", "River Road, ill-disposed"] {
        let good = asset("librivox-0880.wav");
        let answer = transcribe(&home, &[&good, "--vocabulary", words]).await;
        assert!(answer.out.contains("ill-disposed"), "{words}: {answer:?}");
    }
}
