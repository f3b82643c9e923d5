use std::io::Write as _;

use super::super::fingerprint::{Fingerprint, PART_BYTES};
use super::super::remote::{Look, Shown};
use super::super::wire::SLICE_BYTES;
use super::server::{Lie, Server};
use super::*;
use crate::clock::Clock as _;
use std::time::Duration;

/// Says whether an error is the right one.
type Is = fn(&Error) -> bool;

const KEY: &str = "recordings/2026/11/21/call/cloud.wav";

fn file(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    file
}

/// Sound that no compression and no run of zeros stands for.
fn sound(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

async fn put(remote: &Remote, bytes: &[u8]) -> Result<(), Error> {
    remote.put(KEY, file(bytes), &Fingerprint::of(bytes)).await
}

async fn look(remote: &Remote, bytes: &[u8], look: Look) -> Shown {
    remote.confirm(KEY, &Fingerprint::of(bytes), None, look).await.unwrap()
}

#[tokio::test]
async fn what_is_put_is_shown_back_small_or_in_parts() {
    let server = Server::start().await;
    let remote = Remote::open(&options(&server.endpoint), at_once()).unwrap();
    for len in [0, 1, SLICE_BYTES * 3 + 1, PART_BYTES, PART_BYTES * 2 + 77] {
        let bytes = sound(len);
        put(&remote, &bytes).await.unwrap();
        assert!(server.object(KEY).unwrap() == bytes, "{len}");
        server.seen();
        let told = look(&remote, &bytes, Look::Told).await;
        assert_eq!(told, Shown::Confirmed { etag: Some(Fingerprint::of(&bytes).etag) }, "{len}");
        assert_eq!(server.seen().len(), 1, "its checksum is proof: it is not read back");
        assert_eq!(look(&remote, &bytes, Look::Through).await, told, "{len}");
        let key = format!("GET /{BUCKET}/box-7/{KEY}?");
        assert_eq!(server.seen().last(), Some(&key), "it was read back");
    }
}

#[tokio::test]
async fn a_store_that_says_yes_and_lies_is_caught() {
    let server = Server::start().await;
    let remote = Remote::open(&options(&server.endpoint), at_once()).unwrap();
    for len in [1000, PART_BYTES + 1000] {
        let bytes = sound(len);
        for lie in [Lie::KeepsNothing, Lie::KeepsHonestGarbage, Lie::KeepsHalf] {
            server.lie(lie);
            put(&remote, &bytes).await.unwrap();
            for how in [Look::Told, Look::Through] {
                let shown = look(&remote, &bytes, how).await;
                assert!(!matches!(shown, Shown::Confirmed { .. }), "{len} {lie:?} {how:?}");
            }
        }
        server.lie(Lie::KeepsGarbage);
        put(&remote, &bytes).await.unwrap();
        let shown = look(&remote, &bytes, Look::Through).await;
        assert!(matches!(shown, Shown::Differs { .. }), "{len}: its checksum is a lie: {shown:?}");
    }
}

#[tokio::test]
async fn marks_that_are_no_checksums_are_no_proof() {
    let server = Server::start().await;
    let remote = Remote::open(&options(&server.endpoint), at_once()).unwrap();
    server.lie(Lie::OpaqueMarks);
    let bytes = sound(70_000);
    put(&remote, &bytes).await.unwrap();
    let shown = look(&remote, &bytes, Look::Told).await;
    assert_eq!(shown, Shown::Confirmed { etag: Some("opaque-1".to_owned()) }, "it was read back");
    server.alter(KEY, |mut held| {
        held[69_999] ^= 1;
        Some(held)
    });
    assert!(matches!(look(&remote, &bytes, Look::Told).await, Shown::Differs { .. }));
}

#[tokio::test]
async fn a_file_that_is_not_what_it_was_takes_the_place_of_nothing() {
    let server = Server::start().await;
    let remote = Remote::open(&options(&server.endpoint), at_once()).unwrap();
    for len in [1000, PART_BYTES * 2] {
        let good = sound(len);
        put(&remote, &good).await.unwrap();
        let mut bad = good.clone();
        bad[len - 1] ^= 1;
        let refused = remote.put(KEY, file(&bad), &Fingerprint::of(&good)).await;
        assert!(matches!(refused, Err(Error::Altered { .. })), "{refused:?}");
        assert!(server.object(KEY).unwrap() == good, "{len}");
    }
    assert!(
        server.seen().iter().any(|seen| seen.starts_with("DELETE")),
        "its parts are taken away"
    );
}

#[tokio::test]
async fn what_the_store_says_is_sorted_by_what_can_be_done() {
    let server = Server::start().await;
    let remote = Remote::open(&options(&server.endpoint), at_once()).unwrap();
    let bytes = sound(100);
    let sorted: [(u16, &'static str, Is); 11] = [
        (403, "AccessDenied", |e| matches!(e, Error::Denied { .. })),
        (403, "SignatureDoesNotMatch", |e| matches!(e, Error::Denied { .. })),
        (403, "RequestTimeTooSkewed", |e| matches!(e, Error::ClockSkewed)),
        (401, "", |e| matches!(e, Error::Denied { .. })),
        (404, "NoSuchBucket", |e| matches!(e, Error::NoBucket { .. })),
        (301, "PermanentRedirect", |e| matches!(e, Error::Elsewhere { .. })),
        (400, "AuthorizationHeaderMalformed", |e| matches!(e, Error::Elsewhere { .. })),
        (503, "SlowDown", |e| matches!(e, Error::Busy { .. })),
        (500, "InternalError", |e| matches!(e, Error::Busy { .. })),
        (400, "RequestTimeout", |e| matches!(e, Error::Busy { .. })),
        (400, "InvalidArgument", |e| matches!(e, Error::Refused { .. })),
    ];
    for (status, code, is) in sorted {
        server.lie(Lie::Says(status, code));
        server.seen();
        let error = put(&remote, &bytes).await.unwrap_err();
        assert!(is(&error), "{status} {code}: {error:?}");
        assert_eq!(server.seen().len(), 1, "{status} {code}: the queue tries again, not this");
        assert!(!error.to_string().contains(SECRET));
    }
    let endpoint = server.endpoint.clone();
    drop(server);
    let nobody = Remote::open(&options(&endpoint), at_once()).unwrap();
    let error = put(&nobody, &bytes).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn wrong_keys_are_told_in_plain_words() {
    let server = Server::start().await;
    let mut wrong = options(&server.endpoint);
    wrong.secret_access_key = SecretKey::new("another secret");
    let error = put(&Remote::open(&wrong, at_once()).unwrap(), b"x").await.unwrap_err();
    assert!(error.to_string().contains("check archive.access_key_id"), "{error}");
}

#[tokio::test]
async fn nothing_follows_the_store_to_a_stranger() {
    let (server, stranger) = (Server::start().await, Server::start().await);
    server.elsewhere(&stranger.endpoint);
    let remote = Remote::open(&options(&server.endpoint), at_once()).unwrap();
    for status in [301, 302, 303, 307, 308] {
        server.lie(Lie::SendsElsewhere(status));
        let bytes = sound(100);
        put(&remote, &bytes).await.unwrap_err();
        let known = Fingerprint::of(&bytes);
        remote.confirm(KEY, &known, None, Look::Through).await.unwrap_err();
    }
    assert_eq!(stranger.seen(), Vec::<String>::new());
}

#[tokio::test]
async fn everything_sent_and_read_back_is_throttled_in_small_slices() {
    let server = Server::start().await;
    let clock = Arc::new(ManualClock::new(UnixMillis::new(0)));
    let began = clock.since_boot();
    // A second for each slice.
    let rate = SLICE_BYTES as u64;
    let throttle = Throttle::new(clock.clone(), Some(rate), Arc::new(|| false));
    let remote = Remote::open(&options(&server.endpoint), throttle).unwrap();
    let bytes = sound(SLICE_BYTES * 5);
    let both = async {
        put(&remote, &bytes).await.unwrap();
        let sent = clock.since_boot();
        look(&remote, &bytes, Look::Through).await;
        (sent.saturating_sub(began), clock.since_boot().saturating_sub(sent))
    };
    let time_passes = async {
        loop {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
    };
    let (sent, read) = tokio::select! {
        took = both => took,
        () = time_passes => unreachable!(),
    };
    assert!(sent >= Duration::from_secs(5), "{sent:?} for five slices sent");
    assert!(read >= Duration::from_secs(5), "{read:?} for five slices read back");
}
