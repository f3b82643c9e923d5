//! `fieldtape setup`: from an installed box to one that takes calls, question by question; with
//! `--yes` by its flags alone.
//!
//! Until the last question is answered nothing is changed, here or at Twilio.

mod apply;
mod ask;
mod fallback;
mod microphone;
mod number;
mod reach;
mod token;
mod trial;

use std::path::PathBuf;

use self::ask::Asker;
use self::microphone::Chosen;
use self::number::Number;
use self::reach::Way;
use self::token::Token;
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::config::{AgentSource, Config, DEFAULT_FILE, Draft, Environment, Lookup as _};
use crate::domain::AccountSid;
use crate::twilio::door::PublicUrl;
use crate::twilio::rest::{AccountResource, Client, RestError, Timeouts};

/// What is proposed to be said where nothing is yet.
const ANNOUNCEMENT: &str = "This call is recorded.";

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Args {
    /// Ask nothing: take what the other flags say, and leave the rest as it is
    #[arg(long)]
    yes: bool,
    /// The Twilio account
    #[arg(long, value_name = "SID")]
    account_sid: Option<AccountSid>,
    /// Its auth token, in a file; - is standard input
    #[arg(long, value_name = "FILE")]
    auth_token_file: Option<PathBuf>,
    /// Keep the token in a file that only fieldtape may read, even where systemd could encrypt it
    #[arg(long)]
    plain_token: bool,
    /// Ask nothing of Twilio: neither whether the token is right nor which numbers there are
    #[arg(long, conflicts_with_all = ["number", "fallback_url", "test_call"])]
    offline: bool,
    /// The office's number at Twilio; it is told to ask this box what to do with calls
    #[arg(long, value_name = "NUMBER")]
    number: Option<String>,
    /// Where Twilio reaches this box: https://…
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// The certificate for that name, if no tunnel or proxy is in front of this box
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// The certificate's key
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// The telephone that rings when somebody calls
    #[arg(long, value_name = "NUMBER")]
    agent_number: Option<String>,
    /// The Twilio client that rings when somebody calls
    #[arg(long, value_name = "NAME")]
    agent_identity: Option<String>,
    /// The box's own microphone, as `fieldtape audio devices` names it, or default; "" hears the agent
    /// through Twilio only
    #[arg(long, value_name = "NAME")]
    microphone: Option<String>,
    /// What callers are told before anything is recorded; "" says nothing
    #[arg(long, value_name = "TEXT")]
    announcement: Option<String>,
    /// A `TwiML` Bin that Twilio asks when this box cannot be reached (see --fallback-twiml)
    #[arg(long, value_name = "URL")]
    fallback_url: Option<String>,
    /// Have the running fieldtape take it up
    #[arg(long)]
    restart: bool,
    /// Ring this telephone in the end, through Twilio and this box
    #[arg(long, value_name = "NUMBER")]
    test_call: Option<String>,
    /// Print what Twilio should do with calls while this box cannot be reached, to paste into a `TwiML`
    /// Bin; nothing else
    #[arg(long)]
    fallback_twiml: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    if args.fallback_twiml {
        return output::say(&fallback::document(&context.config()?)?);
    }
    let asker = Asker::new(args.yes)?;
    let named = context.config.clone();
    let named = named.or_else(|| Environment.get("FIELDTAPE_CONFIG").map(PathBuf::from));
    let file = named.unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    apply::can_write(&file)?;
    let draft = Draft::of(&file).map_err(|error| Failure::Failed(error.to_string()))?;
    let config =
        draft.check(&Environment).map_err(|problems| Failure::Config(problems.to_string()))?;
    block_on(Setup { asker, args, file, draft, config }.run())
}

/// What is known before the first question.
struct Setup {
    asker: Asker,
    args: Args,
    file: PathBuf,
    draft: Draft,
    config: Config,
}

/// The answers, from which everything follows.
struct Plan {
    token: Option<Token>,
    client: Option<Client>,
    number: Option<Number>,
    public_url: Option<PublicUrl>,
}

impl Setup {
    async fn run(mut self) -> Result<(), Failure> {
        self.asker.head("Twilio")?;
        let account = self.account()?;
        let (token, client) = self.credentials(account.as_ref()).await?;
        let number = match &client {
            Some(client) => {
                number::choose(&self.asker, client, self.args.number.as_deref()).await?
            }
            None => None,
        };
        self.asker.head("How Twilio reaches this box")?;
        let public_url = self.way().await?;
        self.asker.head("Calls")?;
        self.calls()?;
        self.microphone()?;
        let mut plan = Plan { token, client, number, public_url };
        if let (Some(number), Some(public_url)) = (&mut plan.number, &plan.public_url) {
            number.plan(&self.asker, public_url, self.args.fallback_url.clone())?;
        }
        self.asker.head("What will be changed")?;
        let config = apply::show(&self.draft, &plan)?;
        if !self.asker.confirm("Do it?", true)? {
            return output::line("Nothing was changed.");
        }
        apply::write(&self.draft, &plan, &self.file).await?;
        apply::take_up(&self.asker, (self.args.restart, &plan), &self.config, &config)?;
        trial::ring(&self.asker, (&plan, &config), self.args.test_call.clone()).await?;
        output::line("`fieldtape status` says how the box is.")
    }

    fn account(&mut self) -> Result<Option<AccountSid>, Failure> {
        let known = self.config.twilio.account_sid.clone();
        let given = self.args.account_sid.as_ref().map(AccountSid::to_string);
        let check = |text: &str| match text.parse::<AccountSid>() {
            Ok(_) => Ok(()),
            Err(_) => Err("write it as Twilio's console shows it: AC and 32 hex digits".to_owned()),
        };
        let known = known.as_ref().map(AccountSid::as_str);
        let text = self.asker.text("Account SID", (given, known), check)?;
        let Some(text) = text else { return Ok(None) };
        self.set("twilio.account_sid", &text)?;
        text.parse().map(Some).map_err(|_| Failure::Usage("--account-sid: no account".to_owned()))
    }

    /// Asks for the token until Twilio takes it.
    async fn credentials(
        &mut self,
        account: Option<&AccountSid>,
    ) -> Result<(Option<Token>, Option<Client>), Failure> {
        let Some(account) = account else { return Ok((None, None)) };
        loop {
            let given = self.args.auth_token_file.take();
            let token = token::ask(&self.asker, given, &self.config)?;
            let known = token::credentials(token.as_ref(), account, &self.config)?;
            if let Some(token) = &token {
                token.plan(&mut self.draft, &self.file, self.args.plain_token)?;
            }
            let Some(credentials) = known.filter(|_| !self.args.offline) else {
                return Ok((token, None));
            };
            let client = Client::new(credentials, account.clone(), Timeouts::default());
            let client = client.map_err(|error| Failure::Failed(error.to_string()))?;
            match client.account().await {
                Ok(found) => {
                    if let Some(found) = found {
                        tell_account(&found)?;
                    }
                    return Ok((token, Some(client)));
                }
                Err(error @ RestError::Unreachable { .. }) => {
                    let hint = "with --offline it is not asked";
                    self.asker.go_on_without(&error.to_string(), hint)?;
                    return Ok((token, None));
                }
                Err(error) => self.asker.again(&error.to_string())?,
            }
        }
    }

    /// Asks for the public address, and who encrypts it.
    async fn way(&mut self) -> Result<Option<PublicUrl>, Failure> {
        let known = self.config.server.public_url.as_ref().map(PublicUrl::as_str);
        let check =
            |text: &str| PublicUrl::parse(text).map(drop).map_err(|error| error.to_string());
        let given = self.args.public_url.clone();
        let text = self.asker.text("Public address (https://…)", (given, known), check)?;
        let Some(text) = text else { return Ok(None) };
        self.set("server.public_url", &text)?;
        let url = PublicUrl::parse(&text).map_err(|error| Failure::Usage(error.to_string()))?;
        let files = self.args.cert.clone().zip(self.args.key.clone());
        match reach::way(&self.asker, files, self.config.server.twilio_tls.as_ref())? {
            Way::AsItIs => {}
            Way::InFront => {
                self.draft
                    .unset("server.twilio_tls")
                    .map_err(|e| Failure::Failed(e.to_string()))?;
            }
            Way::Own(files) => {
                reach::check_files(&files)?;
                let set = self.draft.set_files("server.twilio_tls", &files);
                set.map_err(|error| Failure::Failed(error.to_string()))?;
            }
        }
        if !self.args.offline {
            output::line(&reach::look(&url).await)?;
        }
        Ok(Some(url))
    }

    /// Asks who rings and what is said.
    fn calls(&mut self) -> Result<(), Failure> {
        let twilio = self.config.twilio.clone();
        let anything = |_: &str| Ok(());
        let number = self.asker.optional(
            "The telephone that rings when somebody calls (+1…)",
            (self.args.agent_number.clone(), twilio.agent_number.as_deref()),
            phone_number,
        )?;
        let identity = if number.is_some() && self.args.agent_identity.is_none() {
            None
        } else {
            self.asker.optional(
                "The Twilio client that rings when somebody calls",
                (self.args.agent_identity.clone(), twilio.agent_identity.as_deref()),
                anything,
            )?
        };
        for (key, value) in [("twilio.agent_number", number), ("twilio.agent_identity", identity)] {
            if let Some(value) = value {
                self.set(key, &value)?;
            }
        }
        let said = self.config.consent.announcement.clone();
        let proposal = if said.is_empty() { ANNOUNCEMENT } else { &said };
        let question = "What callers are told before anything is recorded";
        let given = self.args.announcement.clone();
        if let Some(text) = self.asker.proposed(question, (given, proposal))? {
            if text.is_empty() {
                let unset = self.draft.unset("consent.announcement");
                unset.map_err(|error| Failure::Failed(error.to_string()))?;
            } else {
                self.set("consent.announcement", &text)?;
            }
        }
        Ok(())
    }

    /// Asks how the agent is heard.
    fn microphone(&mut self) -> Result<(), Failure> {
        let given = self.args.microphone.as_deref();
        let source = match microphone::choose(&self.asker, &self.config, given)? {
            Chosen::AsItIs => return Ok(()),
            Chosen::Twilio if self.config.recording.agent_source == AgentSource::Twilio => {
                return Ok(());
            }
            Chosen::Twilio => "twilio",
            Chosen::Device(name) => {
                self.set("microphone.device", &name.to_string())?;
                "microphone"
            }
        };
        self.set("recording.agent_source", source)
    }

    fn set(&mut self, key: &str, text: &str) -> Result<(), Failure> {
        self.draft.set(key, text).map_err(|error| Failure::Failed(error.to_string()))
    }
}

fn tell_account(account: &AccountResource) -> Result<(), Failure> {
    let AccountResource { friendly_name, status, is_trial } = account;
    output::line(&format!("The account is \"{friendly_name}\" ({status})."))?;
    if *is_trial {
        output::line(
            "It is a trial: Twilio says so in every call, and rings verified numbers only.",
        )?;
    }
    Ok(())
}

/// Numbers as Twilio dials them.
fn phone_number(text: &str) -> Result<(), String> {
    let digits = text.strip_prefix('+').unwrap_or_default();
    let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if fits { Ok(()) } else { Err("write it like +15550100: +, country, number".to_owned()) }
}
