//! `[microphone]` and `recording.agent_source`: where the agent is heard.

use super::{AgentSource, Microphone, Problem, Problems, raw};

/// More than this is no correction: a microphone that needs it is the wrong one.
const GAIN_DB_MAX: f64 = 40.0;

pub(super) fn source(
    raw: &raw::Recording,
    problems: &mut Problems,
    warnings: &mut Vec<Problem>,
) -> Option<AgentSource> {
    match raw.agent_source.as_str() {
        "twilio" => Some(AgentSource::Twilio),
        "microphone" => Some(AgentSource::Microphone),
        "browser" => {
            warnings.push(Problem {
                key: "recording.agent_source".to_owned(),
                what: "has no effect in this version; the agent is heard through Twilio".to_owned(),
            });
            Some(AgentSource::Twilio)
        }
        other => {
            let what = format!("{other:?} is none of \"twilio\", \"microphone\", \"browser\"");
            problems.add("recording.agent_source", what);
            None
        }
    }
}

pub(super) fn microphone(raw: &raw::Microphone, problems: &mut Problems) -> Option<Microphone> {
    let device = problems.keep("microphone.device", raw.device.parse());
    if raw.gain_db.is_nan() || raw.gain_db.abs() > GAIN_DB_MAX {
        let what = format!("{} is not within -{GAIN_DB_MAX} and {GAIN_DB_MAX}", raw.gain_db);
        problems.add("microphone.gain_db", what);
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "a few tens of dB")]
    device.map(|device| Microphone { device, gain_db: raw.gain_db as f32 })
}

/// Tells of settings of a microphone that nobody listens to.
pub(super) fn unused(
    raw: &raw::Microphone,
    source: Option<AgentSource>,
    warnings: &mut Vec<Problem>,
) {
    let default = raw::Microphone::default();
    let is_set = [
        ("microphone.device", raw.device != default.device),
        ("microphone.gain_db", raw.gain_db.to_bits() != default.gain_db.to_bits()),
    ];
    let is_unused = source == Some(AgentSource::Twilio);
    for (key, _) in is_set.into_iter().filter(|(_, is_set)| *is_set && is_unused) {
        let what = "has no effect while recording.agent_source is not \"microphone\"";
        warnings.push(Problem { key: key.to_owned(), what: what.to_owned() });
    }
}
