//! The box's own microphone as the daemon sets it up: what it hears goes to the call that has it, how
//! it is goes to whoever looks after the appliance.

use std::time::Duration;

use anyhow::Context as _;

use crate::capture::{AgentSound, Recorder};
use crate::clock::SharedClock;
use crate::config::{AgentSource, Config};
use crate::domain::GapReason;
use crate::health::{Check, CheckState};
use crate::microphone::{self, Heard, Microphone, Roots, State, Status};

/// Begins to listen, if the configuration wants the agent to be heard so.
pub(super) fn start(
    config: &Config,
    recorder: &Recorder,
    clock: &SharedClock,
) -> anyhow::Result<Option<Microphone>> {
    match config.recording.agent_source {
        AgentSource::Twilio => return Ok(None),
        AgentSource::Microphone => {}
    }
    let recorder = recorder.clone();
    let listener = move |heard: &Heard<'_>| {
        // While no call is live what is heard goes no further.
        if recorder.hears_agent() {
            recorder.hear_agent(sound(heard));
        }
    };
    let microphone = Microphone::start(
        options(config),
        microphone::sound_cards(),
        Box::new(listener),
        clock.clone(),
    );
    microphone.context("no thread for the microphone").map(Some)
}

/// Returns which microphone the configuration means.
pub(super) fn options(config: &Config) -> microphone::Options {
    let device = config.microphone.device.clone();
    let gain_db = config.microphone.gain_db;
    microphone::Options { device, gain_db, roots: Roots::default() }
}

fn sound(heard: &Heard<'_>) -> AgentSound {
    let before = if heard.after_overrun { GapReason::Lost } else { GapReason::Disconnected };
    AgentSound {
        epoch: heard.epoch,
        before,
        rate_hz: heard.rate_hz,
        first: heard.first,
        line: heard.line,
        samples: heard.samples.to_vec(),
    }
}

/// Says how it is. What it does not hear is in Twilio's stream, but not as well.
pub(super) fn look(status: &Status, now: Duration) -> Check {
    let finding = status.finding(now);
    let state = match (finding.is_well, status.state()) {
        (true, _) => CheckState::Ok,
        (false, State::Silent { .. }) => CheckState::Warn,
        (false, _) => CheckState::Fail,
    };
    let (name, fix) = ("microphone".to_owned(), finding.fix);
    Check { name, state, detail: finding.detail, fix }
}

/// Waits until it is another than before; for ever where there is none.
pub(super) async fn changed(microphone: &mut Option<Status>) {
    match microphone {
        Some(status) => status.changed().await,
        None => std::future::pending().await,
    }
}
