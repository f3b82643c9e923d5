//! What Twilio does with calls while this box cannot be reached: a document that lives at Twilio.

use crate::cli::exit::Failure;
use crate::config::{CloudRecording, Config};
use crate::twilio::twiml::{AnswerOn, Dial, Noun, Recording, Response, Say};

/// How long the agent is rung.
const RING_S: u16 = 30;

/// Returns the document: it announces, records at Twilio only what was announced, and connects. What
/// Twilio records then is found and fetched when the box is back.
pub(super) fn document(config: &Config) -> Result<String, Failure> {
    let twilio = &config.twilio;
    let client = twilio.agent_identity.clone().map(Noun::Client);
    let number = twilio.agent_number.clone().map(Noun::Number);
    let nouns: Vec<Noun> = client.into_iter().chain(number).collect();
    if nouns.is_empty() {
        return Err(Failure::Config(
            "nobody to connect callers to: set twilio.agent_number or twilio.agent_identity first"
                .to_owned(),
        ));
    }
    let text = config.consent.announcement.trim();
    let mut document = Response::new();
    if !text.is_empty() {
        let language = config.consent.language.clone();
        document = document.then(Say { text: text.to_owned(), language, voice: None });
        if twilio.cloud_recording != CloudRecording::Off {
            let told = config.server.public_url.as_ref();
            let status_callback = told.map(|url| url.callback("/twilio/recording-status"));
            document = document.then(Recording { status_callback });
        }
    }
    let dial = Dial { caller_id: None, answer: AnswerOn::Dial, timeout_s: RING_S, nouns };
    Ok(format!("{}\n", document.then(dial).to_xml()))
}
