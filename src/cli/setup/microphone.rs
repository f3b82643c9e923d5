//! Whether the agent speaks into a microphone of this box, and into which.

use super::ask::Asker;
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::config::{AgentSource, Config};
use crate::microphone::{DeviceName, Roots, devices, sound_cards};

/// What is chosen.
pub(super) enum Chosen {
    /// Whatever was before.
    AsItIs,
    /// The agent is heard in Twilio's stream only.
    Twilio,
    /// This one.
    Device(DeviceName),
}

/// Takes the name that was given, or lists what is plugged in and asks. A name is not tried: the
/// headset may be plugged in later, and the page says how it is.
pub(super) fn choose(
    asker: &Asker,
    config: &Config,
    given: Option<&str>,
) -> Result<Chosen, Failure> {
    match given {
        Some("") => return Ok(Chosen::Twilio),
        Some(given) => {
            let name = given.parse::<DeviceName>();
            let name = name.map_err(|error| Failure::Usage(format!("--microphone: {error}")))?;
            return Ok(Chosen::Device(name));
        }
        None if !asker.is_person() => return Ok(Chosen::AsItIs),
        None => {}
    }
    let is_on = config.recording.agent_source == AgentSource::Microphone;
    let meant = &config.microphone.device;
    let choices = devices(&Roots::default(), &mut *sound_cards(), meant);
    if choices.is_empty() {
        output::line("No microphone is plugged in here: `fieldtape setup` again when one is.")?;
        return Ok(Chosen::AsItIs);
    }
    let mut items = vec!["through Twilio only".to_owned()];
    items.extend(choices.iter().map(|choice| format!("by {}, {}", choice.name, choice.label)));
    let default = choices.iter().position(|choice| is_on && choice.is_meant).map_or(0, |at| at + 1);
    let chosen = asker.which("How the agent is heard", (&items, default))?;
    let chosen = chosen.and_then(|index| index.checked_sub(1));
    Ok(chosen
        .and_then(|index| choices.into_iter().nth(index))
        .map_or(Chosen::Twilio, |choice| Chosen::Device(choice.name)))
}
