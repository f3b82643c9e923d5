//! Twilio's REST API beside the played call, so that a person can watch an outage.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::exit::Failure;
use super::super::output;
use crate::simulate::Options;
use crate::simulate::cloud::{Cloud, CloudOptions, Request};

/// How often new requests are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct ApiArgs {
    /// Play Twilio's REST API too, at this address, until Ctrl-C; the account's auth token is let in
    #[arg(long, value_name = "ADDR", conflicts_with = "json")]
    api: Option<SocketAddr>,
    /// Keep that API unreachable for so long after the call, like 60s
    #[arg(long, value_name = "LENGTH", requires = "api", value_parser = length)]
    offline: Option<Duration>,
}

/// The API, as long as it is played.
pub(super) struct Api {
    cloud: Cloud,
    offline: Option<Duration>,
}

fn length(text: &str) -> Result<Duration, String> {
    let wrong = || "is no length of time; write it like 60s or 15m".to_owned();
    let length: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

impl Api {
    /// Begins to play it, if it was asked for, and makes the call one of its calls.
    pub(super) async fn open(
        args: &ApiArgs,
        options: &mut Options,
    ) -> Result<Option<Self>, Failure> {
        let Some(address) = args.api else { return Ok(None) };
        let failed = |error: std::io::Error| Failure::Failed(format!("--api {address}: {error}"));
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let own = CloudOptions {
            account_sid: options.account_sid.clone(),
            auth_token: options.auth_token.clone(),
            api_key: None,
            public_url: options.public_url.clone(),
            clock: options.clock.clone(),
            // Names that no earlier session of the same appliance has seen.
            seed: rand::random(),
        };
        let cloud = Cloud::serve(listener, own).map_err(failed)?;
        // The number that is called, for who tries the setup out.
        cloud.add_number(&options.to, "the office");
        let url = cloud.url();
        output::line(&format!("Twilio's API: set twilio.api_url = \"{url}\" in the appliance"))?;
        let offline = args.offline;
        cloud.faults(|faults| faults.offline_at_call_end = offline.is_some());
        options.cloud = Some(cloud.clone());
        Ok(Some(Self { cloud, offline }))
    }

    /// Goes on after the call until Ctrl-C, and tells what is asked.
    pub(super) async fn stay(self) -> Result<(), Failure> {
        tokio::select! {
            biased;
            // Whether it can be listened for or not, this is the end.
            _ = tokio::signal::ctrl_c() => Ok(()),
            told = self.tell() => told,
        }
    }

    async fn tell(self) -> Result<(), Failure> {
        let mut told = self.new_requests(0)?;
        if let Some(offline) = self.offline {
            output::line(&format!("Twilio's API cannot be reached, for {offline:?}"))?;
            let back = Instant::now() + offline;
            // Requests whose answers the outage cut off are told while it lasts.
            while timeout_at(back, sleep(LOOK_EVERY)).await.is_ok() {
                told = self.new_requests(told)?;
            }
            self.cloud.online().await;
            output::line("Twilio's API can be reached again")?;
        }
        loop {
            sleep(LOOK_EVERY).await;
            told = self.new_requests(told)?;
        }
    }

    /// Tells the requests behind the first `told`, and returns how many there are now.
    fn new_requests(&self, told: usize) -> Result<usize, Failure> {
        let requests = self.cloud.requests();
        for request in requests.iter().skip(told) {
            output::line(&line(request))?;
        }
        Ok(requests.len())
    }
}

fn line(request: &Request) -> String {
    let short = |path: &str| match path.split_once("/Accounts/") {
        Some((_, rest)) => {
            rest.split_once('/').map_or_else(|| rest.to_owned(), |(_, rest)| rest.to_owned())
        }
        None => path.to_owned(),
    };
    let status = request.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let range = request.range.as_ref().map_or_else(String::new, |range| format!(" ({range})"));
    format!("API: {} {}{range}: {status}", request.method, short(&request.path))
}
