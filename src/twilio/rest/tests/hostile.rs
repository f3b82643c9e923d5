//! Not one byte of credentials reaches any origin but the configured one.
//!
//! The sinks are real sockets. Every name that a client could come to ask for leads to one of
//! them, and in most tests every address counts as public, so that only the look at the text
//! stands between a hostile address and the sink.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::super::{Channels, Extent, RestError};
use super::addresses::{HOSTILE, PIECES};
use super::server::{Reply, Server};
use super::*;
use crate::domain::UnixMillis;

/// An origin, and sinks for all that is not the origin.
struct Scene {
    /// Says whatever `says` holds.
    origin: Server,
    says: Arc<Mutex<Reply>>,
    plain: Server,
    tls: Server,
    client: Client,
}

impl Scene {
    /// Sets up an origin of either kind. Where addresses are checked, none of them is public.
    async fn new(origin: OriginKind, is_outside: fn(std::net::IpAddr) -> bool) -> Self {
        let certificate = certificate();
        let says = Arc::new(Mutex::new(Reply::Hangup));
        let speak = {
            let says = says.clone();
            move |_: &str| says.lock().unwrap().clone()
        };
        let sink = |_: &str| Reply::with(200, &["Content-Type: audio/x-wav"], b"RIFF");
        let plain = Server::plain(sink).await;
        let tls = Server::encrypted(&certificate, sink).await;
        let (origin, url) = match origin {
            OriginKind::Plain => {
                let server = Server::plain(speak).await;
                let url = format!("http://{}", server.at);
                (server, url)
            }
            OriginKind::Encrypted => {
                let server = Server::encrypted(&certificate, speak).await;
                (server, "https://api.us1.twilio.com".to_owned())
            }
        };
        let world = World {
            names: names([("api.us1.twilio.com", origin.at)], Some(tls.at)),
            is_outside,
            authorities: vec![reqwest::Certificate::from_der(certificate.cert.der()).unwrap()],
        };
        let client = client_in(&url, PATIENT, world);
        Self { origin, says, plain, tls, client }
    }

    fn written(&self, template: &str) -> String {
        template
            .replace("{plain}", &self.plain.at.port().to_string())
            .replace("{tls}", &self.tls.at.port().to_string())
            .replace("{ours}", &format!("/2010-04-01/Accounts/{ACCOUNT}"))
            .replace("{account}", ACCOUNT)
    }

    /// Asks for sound and is redirected there.
    async fn redirected(&self, status: u16, location: &str) -> Result<Extent, RestError> {
        let location = format!("Location: {location}");
        *self.says.lock().unwrap() = Reply::with(status, &[&location], b"");
        let media = self.client.media(&recording_sid(), Channels::Two, 0).await;
        media.map(|media| media.extent())
    }

    /// Asks for a list whose next page is there, and for that page.
    async fn linked(&self, link: &str) -> Result<(), RestError> {
        let link = serde_json::to_string(link).unwrap();
        let item = recording_json(RECORDING).replace('}', &format!(r#","media_url":{link}}}"#));
        let body = format!(r#"{{"recordings":[{item}],"next_page_uri":{link}}}"#);
        *self.says.lock().unwrap() = Reply::json(200, &body);
        let mut pages = self.client.recordings_since(UnixMillis::new(0));
        pages.next().await?;
        pages.next().await.map(drop)
    }

    fn sinks(&self) -> Vec<String> {
        [self.plain.seen(), self.tls.seen()].concat()
    }
}

#[derive(Clone, Copy)]
enum OriginKind {
    Plain,
    Encrypted,
}

fn certificate() -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let hosts = ["api.us1.twilio.com", "api.twilio.com", "sound.s3.amazonaws.com", "evil.test"];
    let mut names: Vec<String> = hosts.map(str::to_owned).to_vec();
    names.extend(["localhost", "127.0.0.1", "*.twilio.com"].map(str::to_owned));
    rcgen::generate_simple_self_signed(names).unwrap()
}

/// Fails if the text has anything of the credentials in it, in any encoding we could think of.
fn assert_innocent(seen: &str, when: &str) {
    let low = seen.to_lowercase();
    for given_away in secrets() {
        assert!(!low.contains(&given_away.to_lowercase()), "{when:?} told {given_away}: {seen}");
    }
}

fn secrets() -> Vec<String> {
    let pair = format!("{USER}:{SECRET}");
    let hex = SECRET.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().concat();
    vec![
        "authorization".to_owned(),
        USER.to_owned(),
        SECRET.to_owned(),
        SECRET.chars().rev().collect(),
        hex,
        STANDARD.encode(&pair),
        STANDARD.encode(SECRET),
        URL_SAFE_NO_PAD.encode(&pair),
        URL_SAFE_NO_PAD.encode(SECRET),
    ]
}

#[test]
fn the_table_is_long_enough() {
    assert!(HOSTILE.len() >= 60, "{}", HOSTILE.len());
}

#[tokio::test]
async fn the_origin_is_told_the_credentials() {
    for kind in [OriginKind::Plain, OriginKind::Encrypted] {
        let scene = Scene::new(kind, |_| true).await;
        scene.client.probe().await.unwrap_err();
        let seen = scene.origin.seen().concat().to_lowercase();
        let pair = STANDARD.encode(format!("{USER}:{SECRET}")).to_lowercase();
        assert!(seen.contains(&format!("authorization: basic {pair}\r\n")), "{seen}");
        assert!(scene.sinks().is_empty());
    }
}

#[tokio::test]
async fn no_hostile_redirect_is_followed() {
    for kind in [OriginKind::Plain, OriginKind::Encrypted] {
        let scene = Scene::new(kind, |_| true).await;
        for template in HOSTILE {
            for status in [301, 302, 303, 307, 308] {
                let told = scene.redirected(status, &scene.written(template)).await;
                assert!(told.is_err(), "{template:?} was followed");
                assert_eq!(scene.sinks(), [""; 0], "{template:?}");
            }
        }
    }
}

#[tokio::test]
async fn no_hostile_link_to_a_next_page_is_followed() {
    for kind in [OriginKind::Plain, OriginKind::Encrypted] {
        let scene = Scene::new(kind, |_| true).await;
        for template in HOSTILE.iter().filter(|template| !template.is_empty()) {
            scene.origin.forget();
            let told = scene.linked(&scene.written(template)).await;
            assert!(matches!(told, Err(RestError::Garbled { .. })), "{template:?}: {told:?}");
            assert_eq!(scene.origin.seen().len(), 1, "{template:?} was asked for");
            assert_eq!(scene.sinks(), [""; 0], "{template:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_is_followed_to_where_sound_is_kept_but_not_with_credentials() {
    for kind in [OriginKind::Plain, OriginKind::Encrypted] {
        let scene = Scene::new(kind, |_| true).await;
        for location in [
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1.wav",
            "https://media.twilio.com/x?y=z",
            "https://sound.s3.amazonaws.com/RE1?X-Amz-Signature=ab",
        ] {
            scene.tls.forget();
            let extent = scene.redirected(302, location).await.unwrap();
            assert_eq!(extent, Extent::Full { len: Some(4) });
            let seen = scene.tls.seen().concat();
            let path = location.splitn(4, '/').last().unwrap();
            assert!(seen.starts_with(&format!("GET /{path} HTTP/1.1\r\n")), "{seen}");
            assert_innocent(&seen, location);
        }
        assert!(scene.plain.seen().is_empty());
    }
}

#[tokio::test]
async fn a_known_host_at_a_private_address_is_not_connected_to() {
    let scene = Scene::new(OriginKind::Plain, super::super::world::is_outside).await;
    for location in ["https://api.twilio.com/x", "https://sound.s3.amazonaws.com/x"] {
        let told = scene.redirected(302, location).await.unwrap_err().to_string();
        assert!(told.ends_with("inside a private network"), "{told}");
    }
    assert_eq!(scene.sinks(), [""; 0]);
}

#[tokio::test]
async fn one_private_address_among_public_ones_is_enough_to_refuse() {
    struct Mixed(SocketAddr);
    impl Resolve for Mixed {
        fn resolve(&self, _: Name) -> Resolving {
            let addresses = ["3.5.140.2:0".parse().unwrap(), self.0];
            Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }
    let sink = Server::plain(|_| Reply::Hangup).await;
    let to_sound = "Location: https://sound.s3.amazonaws.com/x";
    let origin = Server::plain(move |_| Reply::with(302, &[to_sound], b"")).await;
    let world = World { names: Arc::new(Mixed(sink.at)), ..World::real() };
    let client = client_in(&format!("http://{}", origin.at), PATIENT, world);
    let told = client.media(&recording_sid(), Channels::Two, 0).await;
    assert!(matches!(told, Err(RestError::Garbled { .. })), "{told:?}");
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    /// Gives a good address first and a bad one ever after.
    struct Flip(Mutex<Vec<SocketAddr>>, SocketAddr);
    impl Resolve for Flip {
        fn resolve(&self, _: Name) -> Resolving {
            let address = self.0.lock().unwrap().pop().unwrap_or(self.1);
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
        }
    }
    let certificate = certificate();
    let sound = |_: &str| Reply::with(200, &["Content-Type: audio/x-wav"], b"RIFF");
    let good = Server::encrypted(&certificate, sound).await;
    let bad = Server::encrypted(&certificate, sound).await;
    let to_sound = "Location: https://sound.s3.amazonaws.com/x";
    let origin = Server::plain(move |_| Reply::with(302, &[to_sound], b"")).await;
    let world = World {
        names: Arc::new(Flip(Mutex::new(vec![good.at]), bad.at)),
        is_outside: |_| true,
        authorities: vec![reqwest::Certificate::from_der(certificate.cert.der()).unwrap()],
    };
    let client = client_in(&format!("http://{}", origin.at), PATIENT, world);
    client.media(&recording_sid(), Channels::Two, 0).await.unwrap();
    assert_eq!((good.seen().len(), bad.seen().len()), (1, 0));
}

#[tokio::test]
async fn what_the_second_host_says_is_not_taken_for_twilios_word() {
    let certificate = certificate();
    let says = Arc::new(Mutex::new(Reply::Hangup));
    let speak = says.clone();
    let store = Server::encrypted(&certificate, move |_| speak.lock().unwrap().clone()).await;
    let to_sound = "Location: https://sound.s3.amazonaws.com/x";
    let origin = Server::plain(move |_| Reply::with(302, &[to_sound], b"")).await;
    let world = World {
        names: names([], Some(store.at)),
        is_outside: |_| true,
        authorities: vec![reqwest::Certificate::from_der(certificate.cert.der()).unwrap()],
    };
    let client = client_in(&format!("http://{}", origin.at), PATIENT, world);
    let told = async |reply: Reply| {
        *says.lock().unwrap() = reply;
        client.media(&recording_sid(), Channels::Two, 7).await
    };
    for status in [301, 307, 401, 403, 404] {
        let again = "Location: https://sound.s3.amazonaws.com/x";
        let answer = told(Reply::with(status, &[again], b"")).await;
        assert!(matches!(answer, Err(RestError::Garbled { .. })), "{status}: {answer:?}");
    }
    let busy = told(Reply::with(503, &[], b"")).await.unwrap_err();
    assert_eq!(busy, RestError::Busy { status: 503, after: None });
    let rest = ["Content-Type: audio/x-wav", "Content-Range: bytes 7-9/10"];
    let media = told(Reply::with(206, &rest, b"abc")).await.unwrap();
    assert_eq!(media.extent(), Extent::Partial { from: 7, total: Some(10) });
    for seen in store.seen() {
        assert!(seen.contains("range: bytes=7-\r\n"), "{seen}");
        assert_innocent(&seen, "a redirect");
    }
    assert_eq!(store.seen().len(), 7, "no second hop");
}

/// Generated addresses, each tried as a redirect and as a link.
const GENERATED: u32 = 5000;

#[test]
fn no_generated_address_is_told_the_credentials() {
    use proptest::strategy::{Strategy, ValueTree};
    use proptest::test_runner::TestRunner;

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::new(OriginKind::Plain, |_| true));
    let mut runner = TestRunner::deterministic();
    let piece = proptest::prop_oneof![
        6 => proptest::sample::select(PIECES).prop_map(str::to_owned),
        1 => "[ -~]{0,3}",
        1 => "\\PC{0,2}",
    ];
    let addresses = proptest::collection::vec(piece, 1..9);
    let mut followed = 0;
    for _ in 0..GENERATED {
        let template = addresses.new_tree(&mut runner).unwrap().current().concat();
        let address = scene.written(&template);
        runtime.block_on(async {
            followed += u32::from(scene.redirected(302, &address).await.is_ok());
            drop(scene.linked(&address).await);
        });
        for seen in scene.tls.seen() {
            assert_innocent(&seen, &template);
        }
        assert!(scene.plain.seen().is_empty(), "{template:?}");
        scene.tls.forget();
        scene.origin.forget();
    }
    assert!(followed > 0, "some addresses are good, or nothing was tried");
}
