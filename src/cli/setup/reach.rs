//! The way from Twilio to this box.

use std::path::PathBuf;
use std::time::Duration;

use super::ask::Asker;
use crate::cli::exit::Failure;
use crate::cli::output;
use crate::clock::{Clock as _, SystemClock};
use crate::twilio::door::PublicUrl;
use crate::web::tls::{CertificateFiles, Identity};

/// How long the way there and back may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Who encrypts.
pub(super) enum Way {
    /// As before.
    AsItIs,
    /// Something in front of the box.
    InFront,
    /// The box, with this certificate.
    Own(CertificateFiles),
}

/// Asks who encrypts.
pub(super) fn way(
    asker: &Asker,
    given: Option<(PathBuf, PathBuf)>,
    known: Option<&CertificateFiles>,
) -> Result<Way, Failure> {
    if let Some((certificate, key)) = given {
        return Ok(Way::Own(CertificateFiles { certificate, key }));
    }
    let ways = [
        "a tunnel (cloudflared, ngrok, Tailscale Funnel) or a proxy (Caddy, nginx) leads there",
        "this box itself, with a certificate of its own",
    ]
    .map(str::to_owned);
    let default = usize::from(known.is_some());
    match asker.which("Who answers at that address?", (&ways, default))? {
        None => Ok(Way::AsItIs),
        Some(0) => Ok(Way::InFront),
        Some(_) => {
            let exists = |text: &str| match std::fs::metadata(text) {
                Ok(_) => Ok(()),
                Err(error) => Err(error.to_string()),
            };
            let path = |question, known: Option<&PathBuf>| {
                let known = known.map(|path| path.to_string_lossy().into_owned());
                let text = asker.text(question, (None, known.as_deref()), exists)?;
                Ok::<_, Failure>(PathBuf::from(text.unwrap_or_default()))
            };
            let certificate = path(
                "Certificate (PEM, with those between it and its root)",
                known.map(|files| &files.certificate),
            )?;
            let key = path("Its key (PEM)", known.map(|files| &files.key))?;
            Ok(Way::Own(CertificateFiles { certificate, key }))
        }
    }
}

/// Says what a certificate is for, or why it is none.
pub(super) fn check_files(files: &CertificateFiles) -> Result<(), Failure> {
    let identity = Identity::read(files).map_err(|error| Failure::Usage(error.to_string()))?;
    let (names, days) = (identity.names().join(", "), identity.days_left(SystemClock.now()));
    output::line(&format!("The certificate is for {names}, and good for {days} days."))
}

/// Knocks at the public address as anybody could, and says what that shows: fieldtape answers 403 to
/// whom it does not know.
pub(super) async fn look(public_url: &PublicUrl) -> String {
    let url = public_url.webhook("/twilio/voice");
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let answer = match client {
        Ok(client) => client.post(&url).send().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(answer) if answer.status() == reqwest::StatusCode::FORBIDDEN => {
            format!("{url} leads to a fieldtape.")
        }
        Ok(answer) => format!(
            "Careful: {url} answers {}, and fieldtape would answer 403. Does the tunnel or proxy lead to server.twilio_listen?",
            answer.status()
        ),
        Err(error) => {
            let cause = std::iter::successors(std::error::Error::source(&error), |e| e.source());
            let cause = cause.last().map_or_else(|| error.to_string(), ToString::to_string);
            format!(
                "Careful: {url} cannot be reached from here ({cause}). Twilio needs a certificate that everybody knows, and a name that everybody finds."
            )
        }
    }
}
