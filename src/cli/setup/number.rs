//! The office's number at Twilio: chosen, and told whom to ask.

use super::ask::Asker;
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::twilio::door::PublicUrl;
use crate::twilio::rest::{Client, NumberResource, NumberSettings, RestError};

/// The number that was chosen.
pub(super) struct Number {
    found: NumberResource,
    /// What it is to be told, if anything.
    settings: Option<NumberSettings>,
}

/// Lists the account's numbers and asks which.
pub(super) async fn choose(
    asker: &Asker,
    client: &Client,
    given: Option<&str>,
) -> Result<Option<Number>, Failure> {
    if given.is_none() && !asker.is_person() {
        return Ok(None);
    }
    let mut numbers = match client.numbers().await {
        Ok(numbers) => numbers,
        // A restricted key may not see them.
        Err(error @ (RestError::Unauthorized { .. } | RestError::Unreachable { .. })) => {
            asker.go_on_without(&error.to_string(), "leave --number out to set it by hand")?;
            return Ok(None);
        }
        Err(error) => return Err(Failure::Failed(error.to_string())),
    };
    numbers.retain(|number| number.takes_calls);
    if let Some(given) = given {
        let found = numbers.iter().find(|number| number.phone_number == given).cloned();
        let known: Vec<_> = numbers.iter().map(|number| number.phone_number.as_str()).collect();
        let missing = || {
            Failure::Usage(format!(
                "--number {given} is no number of this account that takes calls; there are: {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            ))
        };
        return Ok(Some(Number { found: found.ok_or_else(missing)?, settings: None }));
    }
    if numbers.is_empty() {
        output::line("The account has no number that takes calls; buy one in Twilio's console.")?;
        return Ok(None);
    }
    let mut items: Vec<String> = numbers
        .iter()
        .map(|number| format!("{} ({})", number.phone_number, number.friendly_name))
        .collect();
    items.push("none of them: it is set by hand".to_owned());
    let chosen = asker.which("The office's number", (&items, 0))?;
    let found = chosen.and_then(|index| numbers.into_iter().nth(index));
    Ok(found.map(|found| Number { found, settings: None }))
}

impl Number {
    /// Decides what it is told, and asks for the address that is asked while the box is dark.
    pub(super) fn plan(
        &mut self,
        asker: &Asker,
        public_url: &PublicUrl,
        fallback: Option<String>,
    ) -> Result<(), Failure> {
        let check = |text: &str| {
            let is_web = text.starts_with("https://");
            if is_web {
                Ok(())
            } else {
                Err("write it like https://handler.twilio.com/…".to_owned())
            }
        };
        let question = "TwiML Bin for when this box cannot be reached (fieldtape setup --fallback-twiml prints it)";
        let known = self.found.voice_fallback_url.as_deref();
        let voice_fallback_url = asker.optional(question, (fallback, known), check)?;
        let settings = NumberSettings {
            voice_url: public_url.webhook("/twilio/voice"),
            status_callback: public_url.callback("/twilio/status"),
            voice_fallback_url,
        };
        self.settings = (!settings.are_those_of(&self.found)).then_some(settings);
        Ok(())
    }

    /// Returns the number itself.
    pub(super) fn phone_number(&self) -> &str {
        &self.found.phone_number
    }

    /// Says what is changed at Twilio, line by line.
    pub(super) fn told(&self) -> Vec<String> {
        let number = self.phone_number();
        let Some(settings) = &self.settings else {
            return vec![format!("{number} at Twilio asks this box already.")];
        };
        let was = |old: Option<&String>| match old {
            Some(old) => format!(" (was {old})"),
            None => String::new(),
        };
        let mut told = vec![
            format!("At Twilio, {number}:"),
            format!(
                "  a call comes in      → {}{}",
                settings.voice_url,
                was(self.found.voice_url.as_ref())
            ),
            format!(
                "  call status changes  → {}{}",
                settings.status_callback,
                was(self.found.status_callback.as_ref())
            ),
        ];
        if let Some(url) = &settings.voice_fallback_url {
            told.push(format!(
                "  if that fails        → {url}{}",
                was(self.found.voice_fallback_url.as_ref())
            ));
        }
        if let Some(application) = &self.found.voice_application_sid {
            told.push(format!(
                "  its application {application} is taken off: it would be asked instead"
            ));
        }
        if let Some(trunk) = &self.found.trunk_sid {
            told.push(format!(
                "  it belongs to the trunk {trunk}: calls go there until it is taken off by hand"
            ));
        }
        told
    }

    /// Tells Twilio.
    pub(super) async fn set(&self, client: &Client) -> Result<(), Failure> {
        let Some(settings) = &self.settings else { return Ok(()) };
        client.set_number(&self.found, settings).await.map_err(|error| {
            Failure::Failed(format!(
                "the configuration is written, but {} could not be set at Twilio: {error}",
                self.phone_number()
            ))
        })?;
        output::line(&format!("{} asks this box from now on.", self.phone_number()))
    }
}
