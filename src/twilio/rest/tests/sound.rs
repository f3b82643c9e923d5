//! Sound: whole, in part, cut short, and not sound at all.

use super::super::{Channels, Extent, Media, RestError};
use super::server::{Reply, Server};
use super::*;

const WAV: &str = "Content-Type: audio/x-wav";

/// Asks a server that gives this reply; it stays there while the sound is read.
async fn asked(reply: Reply, channels: Channels, from: u64) -> (Server, Result<Media, RestError>) {
    let patience = patience(&reply);
    let server = Server::plain(move |_| reply.clone()).await;
    let media = client_at(server.at, patience).media(&recording_sid(), channels, from).await;
    (server, media)
}

/// Asks a server whose reply's head says enough.
async fn fetch(reply: Reply, channels: Channels, from: u64) -> Result<Media, RestError> {
    asked(reply, channels, from).await.1
}

async fn whole(media: &mut Media) -> Result<Vec<u8>, RestError> {
    let mut sound = Vec::new();
    while let Some(chunk) = media.chunk().await? {
        sound.extend_from_slice(&chunk);
    }
    Ok(sound)
}

#[tokio::test]
async fn sound_is_asked_for_by_our_account_the_recording_and_its_channels() {
    for (channels, from, query) in [(Channels::Two, 0, 2), (Channels::One, 7, 1)] {
        let server = Server::plain(|_| Reply::with(200, &[WAV], b"RIFF")).await;
        let client = client_at(server.at, PATIENT);
        let mut media = client.media(&recording_sid(), channels, from).await.unwrap();
        assert_eq!(media.extent(), Extent::Full { len: Some(4) });
        assert_eq!(whole(&mut media).await.unwrap(), b"RIFF");
        let seen = server.seen().remove(0);
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Recordings/{RECORDING}.wav");
        assert!(seen.starts_with(&format!("GET {path}?RequestedChannels={query} ")), "{seen}");
        assert_eq!(seen.to_lowercase().contains("range: bytes=7-\r\n"), from == 7, "{seen}");
    }
}

#[tokio::test]
async fn the_rest_of_a_file_is_taken_where_it_is_offered() {
    let headers = [WAV, "Content-Range: bytes 4-7/8"];
    let (_server, media) = asked(Reply::with(206, &headers, b"WAVE"), Channels::Two, 4).await;
    let mut media = media.unwrap();
    assert_eq!(media.extent(), Extent::Partial { from: 4, total: Some(8) });
    assert_eq!(whole(&mut media).await.unwrap(), b"WAVE");
    let other = fetch(Reply::with(206, &headers, b"WAVE"), Channels::Two, 3).await;
    assert!(matches!(other, Err(RestError::Garbled { .. })), "{other:?}");
    let beyond = fetch(Reply::with(416, &["Content-Range: bytes */8"], b""), Channels::Two, 9);
    assert_eq!(beyond.await.unwrap_err(), RestError::BeyondEnd);
}

#[tokio::test]
async fn sound_that_breaks_off_is_not_taken_for_whole() {
    let head = |lines: &str| format!("HTTP/1.1 200 OK\r\n{WAV}\r\n{lines}\r\n\r\nRIFF");
    let part = format!(
        "HTTP/1.1 206 X\r\n{WAV}\r\nContent-Range: bytes 4-99/100\r\nConnection: close\r\n\r\nWAVE"
    );
    let chunked =
        format!("HTTP/1.1 200 OK\r\n{WAV}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\n");
    for (reply, from) in [
        (Reply::Raw(head("Content-Length: 100").into_bytes()), 0),
        (Reply::Silence(head("Content-Length: 100").into_bytes()), 0),
        (Reply::Raw(part.into_bytes()), 4),
        (Reply::Raw(chunked.into_bytes()), 0),
    ] {
        let (_server, media) = asked(reply, Channels::Two, from).await;
        let mut media = media.unwrap();
        assert_eq!(media.chunk().await.unwrap().unwrap().len(), 4, "what came is good");
        let told = media.chunk().await;
        assert!(matches!(told, Err(RestError::Unreachable { .. })), "{told:?}");
    }
}

#[tokio::test]
async fn sound_of_unknown_length_ends_with_its_connection() {
    let reply = format!("HTTP/1.1 200 OK\r\n{WAV}\r\nConnection: close\r\n\r\nRIFF");
    let (_server, media) = asked(Reply::Raw(reply.into_bytes()), Channels::Two, 0).await;
    let mut media = media.unwrap();
    assert_eq!(media.extent(), Extent::Full { len: None });
    assert_eq!(whole(&mut media).await.unwrap(), b"RIFF");
}

#[tokio::test]
async fn only_sound_is_taken_for_sound() {
    for headers in [
        &["Content-Type: application/xml"][..],
        &["Content-Type: text/html"],
        &["Content-Type: multipart/byteranges"],
        &[],
        &[WAV, "Content-Encoding: gzip"],
    ] {
        let told = fetch(Reply::with(200, headers, b"<html>"), Channels::Two, 0).await;
        assert!(matches!(told, Err(RestError::Garbled { .. })), "{headers:?} {told:?}");
    }
}

#[tokio::test]
async fn a_refusal_of_sound_tells_what_to_do() {
    let xml = b"<TwilioResponse><RestException><Code>20404</Code></RestException></TwilioResponse>";
    let busy = RestError::Busy { status: 503, after: None };
    for (status, channels, expected) in [
        (400, Channels::Two, RestError::NotDual),
        (401, Channels::Two, RestError::Unauthorized { status: 401 }),
        (404, Channels::Two, RestError::NotFound),
        (429, Channels::Two, RestError::Throttled { after: None }),
        (503, Channels::One, busy),
    ] {
        let told = fetch(Reply::with(status, &[], xml), channels, 0).await;
        assert_eq!(told.unwrap_err(), expected);
    }
    for (status, from) in [(400, 0), (416, 0), (204, 0)] {
        let told = fetch(Reply::with(status, &[WAV], b""), Channels::One, from).await;
        assert!(
            matches!(told, Err(RestError::Refused { .. } | RestError::Garbled { .. })),
            "{status} {told:?}"
        );
    }
    let endless = "HTTP/1.1 404 X\r\nContent-Length: 9\r\n\r\n";
    let told = fetch(Reply::Silence(endless.into()), Channels::Two, 0).await;
    assert_eq!(told.unwrap_err(), RestError::NotFound, "its status came");
}
