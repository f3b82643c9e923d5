use super::*;

#[tokio::test]
async fn sound_comes_whole_or_from_where_it_was_left() {
    let desk = Desk::open().await;
    let (sid, path) = desk.recorded_call();
    let path = format!("{path}.wav");
    let expected = desk.cloud.recording(&sid).unwrap().media.unwrap().wav();
    let whole = desk.get(&path).await;
    assert_eq!(whole.headers()["content-type"], "audio/x-wav");
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.content_length(), Some(expected.len() as u64));
    assert!(whole.bytes().await.unwrap() == expected);

    let range = async |range: &str| {
        let request = desk.request(reqwest::Method::GET, &path).header("Range", range);
        request.send().await.unwrap()
    };
    let rest = range("bytes=50000-").await;
    assert_eq!(rest.status(), 206);
    let told = format!("bytes 50000-{}/{}", expected.len() - 1, expected.len());
    assert_eq!(rest.headers()["content-range"], told.as_str());
    assert!(rest.bytes().await.unwrap() == expected[50_000..]);
    assert_eq!(range("bytes=64044-").await.status(), 416);
    let served = desk.cloud.recording(&sid).unwrap().served_bytes;
    assert_eq!(served, expected.len() as u64 * 2 - 50_000);
}

#[tokio::test]
async fn channels_can_be_asked_for_as_far_as_there_are_any() {
    let desk = Desk::open().await;
    let script = CallScript::inbound(NOW, MINUTE)
        .recorded(Media::dual(&[100; 8], &[50; 8]))
        .recorded(Media::mono(&[7; 8]));
    let sid = desk.cloud.place_call(script);
    let [dual, mono] = &desk.cloud.recordings_of(&sid)[..] else { panic!("two") };
    let get = async |sid: &RecordingSid, channels: u8| {
        desk.get(&format!("/Recordings/{sid}.wav?RequestedChannels={channels}")).await
    };
    let mixed = get(&dual.sid, 1).await.bytes().await.unwrap();
    assert_eq!((mixed[22], mixed.len(), mixed[44]), (1, 44 + 16, 75));
    assert_eq!(get(&dual.sid, 2).await.bytes().await.unwrap()[22], 2);
    let refused = get(&mono.sid, 2).await;
    assert_eq!(refused.status(), 400);
    assert!(refused.text().await.unwrap().starts_with("<?xml"));
    let bare = desk.get(&format!("/Recordings/{}", mono.sid)).await;
    assert_eq!(bare.headers()["content-type"], "audio/x-wav");
}

#[tokio::test]
async fn a_day_of_sound_costs_no_memory_and_is_served_from_anywhere() {
    let desk = Desk::open().await;
    let day = Media::noise(2, Duration::from_hours(24), 9);
    let sid = desk.cloud.place_call(CallScript::inbound(NOW, HOUR * 24).recorded(day.clone()));
    let path = format!("/Recordings/{}.wav", desk.cloud.recordings_of(&sid)[0].sid);
    let whole = desk.get(&path).await;
    assert_eq!(whole.content_length(), Some(2_764_800_044));
    drop(whole);
    let end = desk.request(reqwest::Method::GET, &path).header("Range", "bytes=2764700000-");
    let end = end.send().await.unwrap().bytes().await.unwrap();
    assert!(end == day.read(2_764_700_000, usize::MAX));
}
