//! `fieldtape model`: what is here, what can be fetched, and how fast it is.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;

use tokio::task::JoinSet;
use tower_http::services::ServeDir;

use super::*;

const DETECTOR: &str = "ggml-silero-v6.2.3.bin";
const MODEL: &str = "ggml-tiny.en-q8_0.bin";

/// A mirror that has what comes with the program.
async fn mirror() -> (String, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/whisper/", listener.local_addr().unwrap());
    let files = axum::Router::new().nest_service("/whisper", ServeDir::new(root().join("models")));
    let mut serving = JoinSet::new();
    serving.spawn(async move { axum::serve(listener, files).await.unwrap() });
    (base, serving)
}

fn models(home: &Home) -> Vec<String> {
    let dir = home.data_dir().join("models");
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_fetched_model_is_found_by_all_who_look_for_it() {
    let (base, _serving) = mirror().await;
    let home = Home::new().with("transcription.mirror", base.as_str());
    let listed = home.run(&["model", "ls", "--json"]).await.json();
    assert!(listed.as_array().unwrap().iter().all(|model| model["state"] == "known"), "{listed}");

    // An earlier attempt was interrupted.
    let whole = std::fs::read(root().join("models").join(MODEL)).unwrap();
    std::fs::create_dir(home.data_dir().join("models")).unwrap();
    let part = home.data_dir().join("models").join(format!("{MODEL}.part"));
    std::fs::write(&part, &whole[..whole.len() / 2]).unwrap();
    let answer = home.run(&["model", "fetch", "tiny.en-q8_0", "silero-v6.2.3"]).await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    assert!(answer.err.is_empty(), "no bar on a pipe: {answer:?}");
    assert_eq!(models(&home), [DETECTOR, MODEL]);
    assert_eq!(std::fs::read(home.data_dir().join("models").join(MODEL)).unwrap(), whole);

    let again = home.run(&["model", "fetch", "ggml-tiny.en-q8_0.bin"]).await;
    assert!(again.code == Some(0) && again.out.contains("is already at"), "{again:?}");
    let listed = home.run(&["model", "ls", "--json"]).await.json();
    let own = &listed[0];
    assert_eq!((&own["name"], &own["state"]), (&"tiny.en-q8_0".into(), &"installed".into()));
    assert_eq!((&own["languages"], &own["used_after_call"]), (&"en".into(), &true.into()));
    let shown = home.run(&["model", "ls"]).await;
    assert!(shown.out.contains("installed, used after the call"), "{shown:?}");
    assert!(shown.out.contains("base-q5_1") && shown.out.contains("can be fetched"), "{shown:?}");
}

#[tokio::test]
async fn what_cannot_be_fetched_is_one_line_that_says_what_to_do() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = Home::new().with("transcription.mirror", format!("http://{nobody}/"));
    let away = home.run(&["model", "fetch", "base-q5_1"]).await;
    assert_eq!(away.code, Some(1), "{away:?}");
    assert!(away.err.contains("cannot be reached") && away.err.contains("--from"), "{away:?}");
    let unknown = home.run(&["model", "fetch", "base-q5_1", "smal.en"]).await;
    assert_eq!(unknown.code, USAGE, "{unknown:?}");
    assert!(unknown.err.contains("did you mean small.en"), "{unknown:?}");
    let nothing = home.run(&["model", "fetch"]).await;
    assert_eq!(nothing.code, USAGE, "{nothing:?}");

    let (base, _serving) = mirror().await;
    let home = home.with("transcription.mirror", base);
    let gone = home.run(&["model", "fetch", "base-q5_1"]).await;
    assert!(gone.code == Some(1) && gone.err.contains("404"), "{gone:?}");
    let home = home.with("recording.min_free", "1000TB");
    let full = home.run(&["model", "fetch", "silero-v6.2.3"]).await;
    assert!(full.code == Some(1) && full.err.contains("recording.min_free"), "{full:?}");
    for answer in [&away, &unknown, &gone, &full] {
        assert!(answer.out.is_empty() && answer.err.lines().count() == 1, "{answer:?}");
    }
    assert!(
        !models(&home).iter().any(|name| name == MODEL || name == DETECTOR),
        "{:?}",
        models(&home)
    );
}

#[tokio::test]
async fn a_proxy_named_in_the_environment_is_asked() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = proxy.local_addr().unwrap();
    let asked = std::thread::spawn(move || {
        let (mut socket, _) = proxy.accept().unwrap();
        let mut lines = BufReader::new(socket.try_clone().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
        socket.write_all(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n").unwrap();
        first
    });
    let home = Home::new().with("transcription.mirror", "http://models.invalid/w");
    let mut command = fieldtape(home.path());
    command.arg("-c").arg(home.config_file()).args(["model", "fetch", "base"]);
    command.env("http_proxy", format!("http://{address}"));
    let answer = Answer::of(command).await;
    assert_eq!(answer.code, Some(1), "{answer:?}");
    let first = asked.join().unwrap();
    assert!(first.starts_with("GET http://models.invalid/w/ggml-base.bin "), "{first}");
}

#[tokio::test]
async fn models_come_from_a_stick_that_another_machine_filled() {
    let (base, _serving) = mirror().await;
    let other = Home::new().with("transcription.mirror", base);
    let stick = other.path().join("stick");
    let into = ["model", "fetch", "tiny.en-q8_0", "silero-v6.2.3", "--into"];
    let filled = other.run(&[&into[..], &[stick.to_str().unwrap()]].concat()).await;
    assert_eq!(filled.code, Some(0), "{filled:?}");

    let home = Home::new();
    let from = ["model", "fetch", "--from", stick.to_str().unwrap()];
    let answer = home.run(&from).await;
    assert_eq!((answer.code, answer.out.lines().count()), (Some(0), 2), "{answer:?}");
    assert_eq!(models(&home), [DETECTOR, MODEL]);

    let file = stick.join(MODEL);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[1_000_000] ^= 1;
    std::fs::write(&file, bytes).unwrap();
    let wrong = home.run(&["model", "fetch", "--from", file.to_str().unwrap()]).await;
    assert!(wrong.code == Some(1) && wrong.err.contains("SHA-256"), "{wrong:?}");
    let nothing = home.run(&["model", "fetch", "--from", home.path().to_str().unwrap()]).await;
    assert!(nothing.code == Some(1) && nothing.err.contains("--sha256"), "{nothing:?}");
    assert_eq!(models(&home), [DETECTOR, MODEL], "what was there stays");
}

#[cfg(feature = "whisper")]
#[tokio::test]
async fn a_bench_is_kept_and_sets_the_configuration_without_touching_the_rest() {
    // Other tests run meanwhile, and nobody makes a call here.
    let home = Home::new().with("transcription.nice", 0).with("transcription.threads", 1);
    let from = root().join("models");
    home.run(&["model", "fetch", "--from", from.to_str().unwrap()]).await;
    let file = home.config_file();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("# the office's own\n{text}")).unwrap();
    let answer = home.run(&["model", "bench", "--set", "--json"]).await;
    let bench: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    let measured = &bench[0];
    assert_eq!(measured["name"], "tiny.en-q8_0");
    for key in ["rtf", "cpu_rtf", "live_rtf", "utterance_ms"] {
        assert!(measured[key].as_f64().unwrap() > 0.0, "{key}: {bench}");
    }
    let listed = home.run(&["model", "ls", "--json"]).await.json();
    assert_eq!(listed[0]["bench"]["rtf"], measured["rtf"], "{listed}");

    // How fast this machine is must not decide the test: what was fit is what is set.
    let after = std::fs::read_to_string(&file).unwrap();
    assert!(after.starts_with("# the office's own\n"), "{after}");
    if measured["fit_after_call"] == true {
        assert_eq!(answer.code, Some(0), "{answer:?}");
        assert!(after.contains("model = \"tiny.en-q8_0\""), "{after}");
        assert_eq!(home.run(&["check-config"]).await.code, Some(0));
    } else {
        assert_eq!(answer.code, Some(1), "{answer:?}");
        assert!(answer.err.contains("no model is fit"), "{answer:?}");
    }
    let missing = home.run(&["model", "bench", "base"]).await;
    assert!(missing.code == Some(1) && missing.err.contains("model fetch base"), "{missing:?}");
}

#[tokio::test]
async fn a_model_of_english_only_refuses_another_language_wherever_it_is_set() {
    let home = Home::new().with("transcription.language", "de");
    for args in [&["check-config"][..], &["run"], &["transcribe", "x.wav"]] {
        let answer = home.run(args).await;
        assert_eq!(answer.code, USAGE, "{answer:?}");
        assert!(answer.err.contains("knows only English"), "{answer:?}");
    }
    let home = home.without("transcription.language");
    let answer = home.run(&["transcribe", "x.wav", "--language", "German"]).await;
    assert!(answer.code == USAGE && answer.err.contains("knows only English"), "{answer:?}");
    let answer = home.run(&["transcribe", "x.wav", "--language", "klingon"]).await;
    assert!(answer.code == USAGE && answer.err.contains("klingon"), "{answer:?}");
    assert!(!Path::new("x.wav").exists());
}
