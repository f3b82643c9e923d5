//! Our own certificates: calls come in under them, and new ones are taken while calls go on.

use std::os::unix::fs::PermissionsExt as _;

use fieldtape::simulate::{Roots, Sound};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Appliance, Home, decoded, eventually, noise, read_wav};

/// Twilio's door under a certificate of its own.
fn encrypted() -> Home {
    let home = Home::new();
    let file = |name: &str| home.path().join(name).to_str().unwrap().to_owned();
    let files = [("cert", file("cert.pem")), ("key", file("key.pem"))];
    let files: toml::Table =
        files.into_iter().map(|(name, path)| (name.to_owned(), path.into())).collect();
    home.with("server.twilio_tls", files)
}

/// Puts a new certificate there; returns whom to believe to believe it.
fn renew(home: &Home) -> Roots {
    let made = rcgen::generate_simple_self_signed(vec!["fieldtape.example".to_owned()]).unwrap();
    std::fs::write(home.path().join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(home.path().join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    Roots::parse(made.cert.pem().as_bytes()).unwrap()
}

/// Plays a call over https and wss.
async fn play(appliance: &Appliance, sound: Sound, roots: &Roots) -> Result<String, String> {
    let options = appliance.call_options(|options| {
        options.target.set_scheme("https").unwrap();
        options.roots = Some(roots.clone());
    });
    let call_sid = options.call_sid.to_string();
    let stop = tokio_util::sync::CancellationToken::new();
    match fieldtape::simulate::run(options, sound, stop).await {
        Ok(report) if report.troubles.is_empty() => Ok(call_sid),
        Ok(report) => Err(format!("{:?}", report.troubles)),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_call_goes_on_under_its_certificate_while_a_new_one_is_taken() {
    let home = encrypted();
    let first = renew(&home);
    let appliance = home.start().await;
    let sound = Sound::stereo(noise(1, 3000), noise(2, 3000));
    let long = play(&appliance, sound.clone(), &first);
    let meanwhile = async {
        appliance.log().await_line(&["stream.started"]).await;
        let second = renew(&home);
        appliance.signal(Signal::HUP);
        appliance.log().await_line(&["config.reloaded"]).await;
        let short = || Sound::stereo(noise(3, 200), noise(4, 200));
        let refused = play(&appliance, short(), &first).await.unwrap_err();
        assert!(refused.contains("certificate"), "{refused}");
        play(&appliance, short(), &second).await.unwrap();

        std::fs::write(home.path().join("key.pem"), "a renewal that went wrong").unwrap();
        appliance.signal(Signal::HUP);
        let line = appliance.log().await_line(&["config.refused"]).await;
        assert!(line.contains("server.twilio_tls") && line.contains("key.pem"), "{line}");
        play(&appliance, short(), &second).await.unwrap();
        eventually("somebody is told", async || {
            let health = appliance.api("/health").await;
            let checks = health["checks"].as_array()?.clone();
            let configuration = checks.iter().find(|check| check["name"] == "configuration")?;
            (configuration["state"] == "warn").then_some(())
        })
        .await;
    };
    let (long, ()) = tokio::join!(long, meanwhile);
    let call_sid = long.unwrap().parse().unwrap();
    appliance.await_recorded(&call_sid).await;
    let ledger = home.ledger();
    assert_eq!(ledger.gaps(&call_sid), []);
    for track in ledger.tracks(&call_sid).iter().filter(|track| track.rate_hz == 8000) {
        let sent = decoded(sound.of(track.party.parse().unwrap()));
        assert_eq!(read_wav(&home.data_dir().join(&track.path), 8000), sent);
    }
    appliance.stop().await;
}

#[tokio::test]
async fn the_page_under_a_certificate_of_the_boxs_own() {
    let home = Home::new().with("server.lan_tls", "self-signed");
    let appliance = home.start_degraded().await;
    let line = appliance.log().await_line(&["the page is encrypted"]).await;
    let (_, fingerprint) = line.split_once("fingerprint is ").unwrap();
    let fingerprint = &fingerprint[..95];
    let status = eventually("the box can be asked", async || {
        let status = home.run(&["status"]).await;
        status.out.contains("page certificate").then_some(status)
    })
    .await;
    assert!(status.out.contains(fingerprint), "{status:?}");

    let file = home.data_dir().join("lan_tls.pem");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let certificate = reqwest::Certificate::from_pem_bundle(&std::fs::read(&file).unwrap());
    let client = reqwest::Client::builder().no_proxy().tls_certs_only(certificate.unwrap());
    let client = client.build().unwrap();
    let url = format!("https://{}/api/v1/calls", appliance.lan());
    let calls: Value = client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(calls["calls"], serde_json::json!([]));
    let plain = appliance.get("/").await;
    assert_eq!(plain.status(), 400, "who comes in the clear is told so");
    appliance.stop().await;
}
