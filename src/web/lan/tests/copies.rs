//! Twilio's copies: played, told of, and swapped.

use super::*;

const EARLY: i16 = 40;

fn recording(n: u32) -> RecordingSid {
    format!("RE{n:032x}").parse().unwrap()
}

fn news(n: u32, status: &str) -> CloudUpdate {
    CloudUpdate {
        call_sid: sid(n),
        recording_sid: recording(n),
        status: status.to_owned(),
        channels: Some(2),
        duration_s: Some(63),
        source: None,
        track: None,
        started_at: Some(at(i64::from(n) * 1000)),
        error_code: None,
        at: at(70_000),
    }
}

/// A channel of the copy, which begins `EARLY` samples before the call does.
fn channel(office: &Office, n: u32, party: Party, rate: RateHz, samples: &[i16]) -> NewTrack {
    let path = format!("recordings/{n}/{party}-cloud_{}Hz.wav", rate.get());
    let mut bytes = wav_header(rate, 1, samples.len() as u64 * 2).to_vec();
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    office.put_file(&path, &bytes);
    NewTrack {
        party,
        source: TrackSource::Cloud,
        rate,
        part_no: 1,
        path,
        origin: Some(Samples8k::ZERO),
        lead: Samples8k::new(EARLY.unsigned_abs().into()),
        samples: samples.len() as u64,
        size_bytes: bytes.len() as u64,
        salvaged: false,
    }
}

impl Office {
    async fn settle_stage(&self, stage: Stage, output: Output) {
        let claim = self.store.claim(stage, at(3_600_000)).await.unwrap().unwrap();
        self.store.settle(claim, Settlement::Done(output), at(3_600_000)).await.unwrap();
    }

    /// Twilio's copy of a call is fetched, and its channels become the call's own.
    pub(super) async fn take_copy(&self, n: u32, fills: Vec<Fill>) {
        self.store.cloud_recording(news(n, "completed")).await.unwrap();
        let path = format!("recordings/{n}/cloud_{}.wav", recording(n));
        let dual = wav_bytes(&[1, 2, 3, 4]);
        self.put_file(&path, &dual);
        let fetched = Fetched {
            recording_sid: recording(n),
            path,
            size_bytes: dual.len() as u64,
            sha256: "ab".repeat(32),
            channels: 2,
            frames: 2,
            rate_hz: 8000,
        };
        self.store.recording_fetched(fetched, at(71_000)).await.unwrap();
        self.settle_stage(Stage::Fetch, Output::Fetched).await;
        let tracks = vec![
            channel(self, n, Party::Agent, RateHz::Hz8000, &ramp(EARLY + 400, 1)),
            channel(self, n, Party::Technician, RateHz::Hz8000, &ramp(EARLY + 300, -1)),
            channel(self, n, Party::Technician, RateHz::Hz16000, &ramp(2 * EARLY + 600, -2)),
        ];
        let recordings = vec![(recording(n), Some(-i64::from(EARLY)))];
        let split = Split { recordings, tracks, rewritten: Vec::new(), fills };
        self.settle_stage(Stage::Split, Output::Split(split)).await;
    }

    /// A call that only Twilio heard.
    async fn unheard_call(&self, n: u32) {
        let update = StatusUpdate {
            call: new_call(n, "completed"),
            end: Some(EndReason::Completed),
            ended_at: None,
            duration_s: Some(63),
            now: at(0),
        };
        self.store.call_status(update).await.unwrap();
    }

    async fn page_of(&self, n: u32) -> String {
        self.get(&format!("/calls/{}", sid(n))).await.text().to_owned()
    }

    async fn call_json(&self, n: u32) -> serde_json::Value {
        self.get(&format!("/api/v1/calls/{}", sid(n))).await.json()
    }
}

async fn post(office: &Office, path: &str) -> Answer {
    let request = Request::post(path).header("host", "localhost").header("x-fieldtape", "1");
    office.ask(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_call_that_only_twilio_heard_is_played_from_its_copy() {
    let office = Office::new().await;
    office.unheard_call(1).await;
    office.take_copy(1, Vec::new()).await;
    let audio = |name: &str| format!("/api/v1/calls/{}/audio/{name}", sid(1));
    let early = usize::try_from(EARLY).unwrap();
    let agent = ramp(EARLY + 400, 1);
    let technician = ramp(2 * EARLY + 600, -2);
    let voice = office.get(&audio("agent_8000Hz.wav")).await;
    assert_eq!(voice.body, wav_bytes(&agent[early..]), "from the call's first sample on");
    let wide = office.get(&audio("technician_16000Hz.wav")).await;
    assert_eq!(wide.body.len(), 44 + 2 * 600);
    assert_eq!(wide.body[44..46], technician[2 * early].to_le_bytes());
    assert_eq!(office.get(&audio("mixed.wav")).await.body.len(), 44 + 2 * 400);
    let page = office.page_of(1).await;
    for part in ["audio/mixed.wav", "/recordings/RE", "Twilio has it too"] {
        assert!(page.contains(part), "{part}");
    }
}

#[tokio::test]
async fn every_track_has_an_address_that_gives_its_very_bytes() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.take_copy(1, Vec::new()).await;
    let call = office.call_json(1).await;
    let tracks = call["tracks"].as_array().unwrap();
    let mut urls: Vec<&str> = tracks.iter().map(|track| track["url"].as_str().unwrap()).collect();
    for (track, url) in tracks.iter().zip(&urls) {
        let answer = office.get(url).await;
        assert_eq!(answer.status, 200, "{url}");
        assert_eq!(answer.body.len(), track["bytes"], "{url}");
        let name = url.rsplit('/').next().unwrap();
        let path = match track["source"].as_str().unwrap() {
            "cloud" => format!("recordings/1/{name}"),
            _ => format!("recordings/1/{}", name.replace('_', "-1_")),
        };
        let file = std::fs::read(office.folder.path().join(path)).unwrap();
        assert_eq!(answer.body, file, "{url}");
    }
    assert_eq!(urls.len(), 5);
    urls.sort_unstable();
    urls.dedup();
    assert_eq!(urls.len(), 5, "{urls:?}");
    let live = office.get(&format!("/api/v1/calls/{}/audio/agent_8000Hz.wav", sid(1))).await;
    assert_eq!(live.body, wav_bytes(&ramp(8000, 3)), "what was heard live goes first");
}

#[tokio::test]
async fn the_page_tells_how_twilios_copy_stands() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.store.cloud_recording(news(1, "in-progress")).await.unwrap();
    assert!(office.page_of(1).await.contains("Being made at Twilio."));
    office.store.cloud_recording(news(1, "completed")).await.unwrap();
    assert!(office.page_of(1).await.contains("Ready at Twilio; it is fetched next."));
    office.store.link_down(reading(72_000), "no answer".to_owned()).await.unwrap();
    let waiting = office.page_of(1).await;
    assert!(waiting.contains("Ready at Twilio; waits for the network."));
    assert!(!waiting.contains("Try now"), "nobody can hurry a network");
    office.store.link_up(reading(73_000)).await.unwrap();
    office.take_copy(1, Vec::new()).await;
    let here = office.page_of(1).await;
    assert!(here.contains("Here: 1:03 long, each party on a side of its own"));
    for badge in ["Fetch from Twilio</span> completed", "Split the channels</span> completed"] {
        assert!(here.contains(badge), "{badge}");
    }
    let proof = "archive etag".to_owned();
    office.store.recording_deleted(recording(1), proof, at(80_000)).await.unwrap();
    let deleted = office.page_of(1).await;
    assert!(deleted.contains("Deleted at Twilio: <time") && !deleted.contains("has it too"));
}

#[tokio::test]
async fn what_was_lost_and_taken_from_twilio_is_told_in_words() {
    let office = Office::new().await;
    office.finished_call(1).await;
    let fill = |party, start_ms, end_ms| Fill {
        recording_sid: recording(1),
        party,
        start: Samples8k::from_millis(start_ms),
        end: Samples8k::from_millis(end_ms),
    };
    let fills = vec![
        fill(Party::Technician, 12_000, 18_000),
        fill(Party::Agent, 20_000, 20_040),
        fill(Party::Agent, 30_000, 30_160),
    ];
    office.take_copy(1, fills).await;
    let page = office.page_of(1).await;
    for told in [
        "Technician: 0:12–0:18 was lost on the way and taken from Twilio&#39;s copy.",
        "Agent: 0.2 s lost in 2 short gaps, taken from Twilio&#39;s copy.",
        "Technician: 0:01–0:04 missing: the stream was interrupted.",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let call = office.call_json(1).await;
    let stream = call["tracks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|track| track["source"] == "stream" && track["party"] == "technician");
    let filled = serde_json::json!(
        [{"start_s": 12.0, "end_s": 18.0, "recording_sid": recording(1).as_str()}]
    );
    assert_eq!(stream.unwrap()["filled"], filled);
}

#[tokio::test]
async fn two_parties_are_swapped_by_one_click_and_back_by_another() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.transcribe(&[(Party::Agent, 0, "Hello.")]).await;
    let before = office.page_of(1).await;
    assert!(before.contains("Swap agent and technician") && !before.contains("swapped by hand"));
    let heard = |answer: &Answer| answer.body.clone();
    let path = format!("/api/v1/calls/{}/audio/agent_8000Hz.wav", sid(1));
    let agent = heard(&office.get(&path).await);

    let swapped = post(&office, &format!("/calls/{}/swap", sid(1))).await;
    assert_eq!(swapped.status, 303);
    assert_eq!(swapped.header("location"), format!("/calls/{}", sid(1)));
    let after = office.page_of(1).await;
    assert!(after.contains("swapped by hand") && after.contains("class=\"turn technician\""));
    assert!(after.contains("data-sound=\"1-0\""), "the player is made anew");
    assert_ne!(heard(&office.get(&path).await), agent);

    let back = post(&office, &format!("/api/v1/calls/{}/swap", sid(1))).await;
    assert_eq!(back.status, 200);
    assert_eq!(back.json(), office.call_json(1).await);
    assert_eq!(back.json()["parties_swapped"], false);
    assert_eq!(heard(&office.get(&path).await), agent);
    assert_eq!(office.trail().iter().filter(|line| line.starts_with("local swap")).count(), 2);
    post(&office, &format!("/api/v1/calls/{}/swap", sid(9))).await.problem(404);
    let foreign = Request::post(format!("/calls/{}/swap", sid(1))).header("host", "localhost");
    office.ask(foreign.body(Body::empty()).unwrap()).await.problem(403);
}

#[tokio::test]
async fn a_live_call_offers_no_swap_and_a_transcript_says_what_it_was_made_from() {
    let office = Office::new().await;
    office.live_call(1).await;
    assert!(!office.page_of(1).await.contains("Swap agent"));
    office.finished_call(2).await;
    office.transcribe(&[(Party::Agent, 0, "Hello.")]).await;
    assert!(office.page_of(2).await.contains("from what was heard live by the model"));
}

#[tokio::test]
async fn what_is_exported_is_in_the_trail_as_that() {
    let office = Office::new().await;
    office.finished_call(1).await;
    office.take_copy(1, Vec::new()).await;
    let call = format!("/api/v1/calls/{}", sid(1));
    for path in ["audio/agent_8000Hz.wav".to_owned(), format!("recordings/{}.wav", recording(1))] {
        let answer = office.get(&format!("{call}/{path}?why=export")).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-disposition"), "");
    }
    let expected =
        ["local export agent_8000Hz.wav".to_owned(), format!("local export {}.wav", recording(1))];
    assert_eq!(office.trail(), expected);
}
