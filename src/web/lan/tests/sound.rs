//! Sound on its way to a player.

use super::*;

const MIXED: &str = "mixed.wav";
const TECHNICIAN: &str = "technician_8000Hz.wav";

fn audio(n: u32, name: &str) -> String {
    format!("/api/v1/calls/{}/audio/{name}", sid(n))
}

async fn range(office: &Office, path: &str, range: &str) -> Answer {
    office.ask(get(path).header("range", range).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_partys_sound_is_its_file_and_may_be_asked_for_in_ranges() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let file = wav_bytes(&ramp(8000, -5));
    let whole = office.get(&audio(1, TECHNICIAN)).await;
    assert_eq!(whole.status, 200);
    assert_eq!(whole.body, file);
    assert_eq!(whole.header("content-type"), "audio/wav");
    assert_eq!(whole.header("accept-ranges"), "bytes");
    assert_eq!(whole.header("cache-control"), "no-store");
    assert_eq!(whole.header("content-length"), "16044");

    for (asked, start, end) in [
        ("bytes=0-", 0, 16_044),
        ("bytes=0-99", 0, 100),
        ("bytes=1001-2000", 1001, 2001),
        ("bytes=16000-99999", 16_000, 16_044),
        ("bytes=-44", 16_000, 16_044),
    ] {
        let part = range(&office, &audio(1, TECHNICIAN), asked).await;
        assert_eq!(part.status, 206, "{asked}");
        assert_eq!(part.body, file[start..end], "{asked}");
        assert_eq!(part.header("content-range"), format!("bytes {start}-{}/16044", end - 1));
        assert_eq!(part.header("content-length"), (end - start).to_string());
        assert_eq!(part.header("cache-control"), "no-store");
    }
    let several = range(&office, &audio(1, TECHNICIAN), "bytes=0-1,5-6").await;
    assert_eq!((several.status.as_u16(), several.body.len()), (200, 16_044));
    let beyond = range(&office, &audio(1, TECHNICIAN), "bytes=16044-").await;
    beyond.problem(416);
    assert_eq!(beyond.header("content-range"), "bytes */16044");
}

#[tokio::test]
async fn both_parties_together_are_their_sum_sample_by_sample() {
    let office = Office::new().await;
    let call = office.live_call(1).await;
    let agent = [100, 30_000, -30_000, 7];
    let technician = [1, 2, 30_000, -30_000, 5, 6];
    let files: [(Party, u32, u64, &[i16]); 2] =
        [(Party::Agent, 1, 0, &agent), (Party::Technician, 1, 1, &technician)];
    office.end_call(1, call, &files).await;
    let mixed = office.get(&audio(1, MIXED)).await;
    assert_eq!(mixed.body, wav_bytes(&[100, 30_001, -29_998, 30_007, -30_000, 5, 6]));
    let part = range(&office, &audio(1, MIXED), "bytes=45-48").await;
    assert_eq!(part.body, mixed.body[45..49]);
}

#[tokio::test]
async fn a_long_sound_comes_whole_over_many_pieces() {
    let office = Office::new().await;
    let call = office.live_call(1).await;
    let long: Vec<i16> = (0..200_000_u32).map(|n| (n % 30_011) as i16).collect();
    office.end_call(1, call, &[(Party::Agent, 1, 0, &long)]).await;
    let whole = office.get(&audio(1, "agent_8000.wav")).await;
    assert_eq!(whole.body, wav_bytes(&long));
}

#[tokio::test]
async fn parts_of_a_party_are_one_timeline_with_silence_between_and_each_can_be_had_alone() {
    let office = Office::new().await;
    let call = office.live_call(1).await;
    let files: [(Party, u32, u64, &[i16]); 2] =
        [(Party::Agent, 1, 0, &[1, 2]), (Party::Agent, 2, 5, &[3, 4])];
    office.end_call(1, call, &files).await;
    let all = office.get(&audio(1, "agent_8000Hz.wav")).await;
    assert_eq!(all.body, wav_bytes(&[1, 2, 0, 0, 0, 3, 4]));
    let second = office.get(&audio(1, "agent-2_8000Hz.wav")).await;
    assert_eq!(second.body, wav_bytes(&[3, 4]));
    let call = office.get(&format!("/api/v1/calls/{}", sid(1))).await.json();
    assert_eq!(call["tracks"][1]["url"], audio(1, "agent-2_8000Hz.wav"));
    assert_eq!(call["tracks"][1]["bytes"], second.body.len());
}

#[tokio::test]
async fn every_playing_is_in_the_trail_before_it_begins_and_head_plays_nothing() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let head = Request::head(audio(1, MIXED)).header("host", "localhost").body(Body::empty());
    let head = office.ask(head.unwrap()).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), "16044");
    assert_eq!(head.header("accept-ranges"), "bytes");
    assert_eq!(office.trail(), [""; 0]);

    let request = get(&audio(1, MIXED)).body(Body::empty()).unwrap();
    let response = office.page.clone().oneshot(request).await.unwrap();
    assert_eq!(office.trail(), ["local play mixed.wav"], "no byte has been taken yet");
    drop(response);
    let download = office.get(&format!("{}?download=1", audio(1, TECHNICIAN))).await;
    let name = format!("attachment; filename=\"{}_{TECHNICIAN}\"", sid(1));
    assert_eq!(download.header("content-disposition"), name);
    assert_eq!(office.trail()[1], format!("local download {TECHNICIAN}"));
}

#[tokio::test]
async fn sound_is_409_until_it_can_be_played_and_404_when_there_is_none() {
    let office = Office::new().await;
    let call = office.live_call(1).await;
    office.get(&audio(1, TECHNICIAN)).await.problem(409);
    office.end_call(1, call, &[(Party::Agent, 1, 0, &[1, 2])]).await;
    assert_eq!(office.get(&audio(1, "agent_8000Hz.wav")).await.status, 200);
    office.get(&audio(1, TECHNICIAN)).await.problem(404);
    office.get(&audio(1, "agent_16000Hz.wav")).await.problem(404);
    office.get(&audio(1, "agent_44100Hz.wav")).await.problem(404);
    office.get(&audio(2, TECHNICIAN)).await.problem(404);
    office.get("/api/v1/calls/CA12/audio/mixed.wav").await.problem(400);
}

#[tokio::test]
async fn sound_that_has_gone_from_the_disk_is_told_and_not_played() {
    let office = Office::new().await;
    office.finished_call(1).await;
    std::fs::remove_file(office.folder.path().join("recordings/1/agent-1_8000Hz.wav")).unwrap();
    office.get(&audio(1, MIXED)).await.problem(500);
    assert_eq!(office.get(&audio(1, TECHNICIAN)).await.status, 200);
    assert_eq!(office.trail().len(), 1);
}

#[tokio::test]
async fn a_cloud_recording_is_409_until_it_is_here() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let recording: RecordingSid = format!("RE{:032x}", 7).parse().unwrap();
    let path = format!("/api/v1/calls/{}/recordings/{recording}.wav", sid(1));
    office.get(&path).await.problem(404);
    let update = CloudUpdate {
        call_sid: sid(1),
        recording_sid: recording.clone(),
        status: "completed".to_owned(),
        channels: Some(2),
        duration_s: Some(63),
        source: None,
        track: None,
        started_at: None,
        error_code: None,
        at: at(70_000),
    };
    office.store.cloud_recording(update).await.unwrap();
    office.get(&path).await.problem(409);
    let call = office.get(&format!("/api/v1/calls/{}", sid(1))).await.json();
    assert_eq!(call["cloud_recordings"][0]["recording_sid"], recording.as_str());
    assert_eq!(call["cloud_recordings"][0]["url"], serde_json::Value::Null);
}
