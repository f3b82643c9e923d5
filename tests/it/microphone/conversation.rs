//! What the agent says into the microphone, written down beside what the technician says on the
//! telephone.
#![cfg(feature = "whisper")]

use fieldtape::domain::Party;
use fieldtape::simulate::{self, Sound};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{await_state, heard, with_microphone};
use crate::kept::telephone;
use crate::speech::turns;
use crate::support::{Home, SoundCard, decoded, within};
use crate::wer::wer;

/// How long a minute's call may take to be written down on a machine that does other things too.
const TRANSCRIBED_WITHIN: std::time::Duration = std::time::Duration::from_mins(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_call_with_the_agent_at_the_microphone_is_written_down() {
    let Some(card) = SoundCard::new(200.0) else { return };
    let home =
        with_microphone(Home::with_speech(), SoundCard::NAME).with("transcription.live", true);
    let appliance = home.start_by(card.command()).await;
    appliance.await_ready().await;
    await_state(&appliance, "ok").await;
    let sound = telephone("service-call.wav");
    // Twilio has nothing of the agent: all words of that side come by the microphone.
    let technician = Sound::mono(sound.of(Party::Technician).to_vec());
    let options = appliance.call_options(|_| {});
    let call = options.call_sid.clone();
    let playing = simulate::run(options, technician, CancellationToken::new());
    let speaking = async {
        appliance.log().await_line(&["stream.started", call.as_str()]).await;
        card.say(&decoded(sound.of(Party::Agent)));
    };
    let (report, ()) = tokio::join!(playing, speaking);
    assert_eq!(report.unwrap().troubles, []);
    appliance.await_recorded(&call).await;

    let own = heard(&home, &call, "agent_16000Hz.wav").len();
    let technician = heard(&home, &call, "technician_16000Hz.wav").len();
    assert!(own.abs_diff(technician) <= 320, "they end {own} and {technician}, within 20 ms");
    assert_eq!(home.ledger().gaps_of(&call, "microphone"), [], "nothing was lost");
    within(TRANSCRIBED_WITHIN, "the call is written down", async || {
        let row = home.ledger().call(&call).unwrap();
        assert_ne!(row.transcript_status, "failed", "{row:?}");
        (row.transcript_status == "completed").then_some(())
    })
    .await;
    let transcript = appliance.api(&format!("/calls/{call}/transcript")).await;
    for party in ["agent", "technician"] {
        let said: Vec<String> =
            segments_of(&transcript, party).map(|s| text(s).to_owned()).collect();
        let meant = turns();
        let meant =
            meant.iter().filter(|turn| turn.speaker == party).map(|turn| turn.text.as_str());
        let rate = wer(&meant.collect::<Vec<_>>().join(" "), &said.join(" "));
        println!("{party}: WER {:.1} % of {} words", rate.percent(), rate.words);
        assert!(rate.percent() <= 12.0, "{transcript:#}");
    }
    in_order(&transcript);
    appliance.stop().await;
}

/// Checks that both sides' turns alternate as they were spoken.
fn in_order(transcript: &Value) {
    let mut speakers: Vec<&str> = Vec::new();
    for segment in transcript["segments"].as_array().unwrap() {
        let speaker = segment["speaker"].as_str().unwrap();
        if speakers.last() != Some(&speaker) {
            speakers.push(speaker);
        }
    }
    let mut meant: Vec<String> = Vec::new();
    for turn in turns() {
        if meant.last() != Some(&turn.speaker) {
            meant.push(turn.speaker);
        }
    }
    assert_eq!(speakers, meant, "{transcript:#}");
}

fn segments_of<'a>(transcript: &'a Value, speaker: &'a str) -> impl Iterator<Item = &'a Value> {
    transcript["segments"].as_array().unwrap().iter().filter(move |s| s["speaker"] == speaker)
}

fn text(segment: &Value) -> &str {
    segment["text"].as_str().unwrap()
}
