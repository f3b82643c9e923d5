//! `fieldtape simulate WAV`: Twilio, played by ourselves.

mod api;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use url::Url;

use self::api::{Api, ApiArgs};
use super::exit::Failure;
use super::{Context, block_on, output};
use crate::audio::{Resampler, WavReader, pcm16, ulaw};
use crate::clock::SystemClock;
use crate::domain::{AccountSid, CallSid, Origin, RateHz};
use crate::simulate::{Ending, Faults, Options, Report, Roots, Sound, fresh_call_sid, run as play};

/// The account of a configuration that has none: any will do for the appliance that shares it.
const NO_ACCOUNT: &str = "AC00000000000000000000000000000000";

/// Samples read at once.
const PIECE: usize = 8000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A WAV of two channels: left is the agent, right the technician; one channel is the technician
    wav: PathBuf,
    /// Where the appliance's Twilio listener is [default: the configuration's `twilio_listen`]
    #[arg(long, value_name = "URL")]
    to: Option<Url>,
    /// Believe the certificates of this authority instead of those that the machine knows; over https
    /// the appliance must prove the name in `public_url`, wherever it is
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The call's name [default: a fresh one]
    #[arg(long, value_name = "S")]
    call_sid: Option<CallSid>,
    /// The caller
    #[arg(long, default_value = "+15550100")]
    from: String,
    /// The called
    #[arg(long, default_value = "+15550199")]
    called: String,
    /// What begins the call: number, client or rest
    #[arg(long, default_value = "number")]
    origin: Origin,
    /// How fast the call's own time goes
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    speed: f64,
    /// The share of frames that are lost, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    drop: f64,
    /// The share of frames that come out of order
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    reorder: f64,
    /// The share of frames that come twice
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    duplicate: f64,
    /// Now and then everything stands still for so many milliseconds, then comes at once
    #[arg(long, value_name = "MS", default_value_t = 0)]
    stall: u64,
    /// After so many seconds the stream breaks off and comes back
    #[arg(long, value_name = "S")]
    cut_after: Option<f64>,
    /// End without a stop message
    #[arg(long)]
    no_stop: bool,
    /// Which frames meet which fault
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    api: ApiArgs,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    let config = context.config()?;
    let auth_token = config.twilio.auth_token.clone().ok_or_else(|| {
        Failure::Config("twilio.auth_token is not set: webhooks cannot be signed".to_owned())
    })?;
    let usage = |error: String| Failure::Usage(error);
    let scheme = if config.server.twilio_tls.is_some() { "https" } else { "http" };
    let target = match args.to.clone() {
        Some(url) => url,
        None => Url::parse(&format!("{scheme}://{}", config.server.twilio_listen))
            .map_err(|error| usage(error.to_string()))?,
    };
    let public_url = config.server.public_url.clone().ok_or_else(|| {
        Failure::Config("server.public_url is not set: it is what Twilio signs".to_owned())
    })?;
    let account_sid: AccountSid = match config.twilio.account_sid.clone() {
        Some(sid) => sid,
        None => NO_ACCOUNT.parse().map_err(|_| usage("no account".to_owned()))?,
    };
    let sound = read(&args.wav)?;
    let json = args.json;
    let faults = faults(&args)?;
    let mut options = Options {
        target,
        roots: args.ca.as_deref().map(roots).transpose()?,
        public_url,
        auth_token,
        account_sid,
        call_sid: args.call_sid.unwrap_or_else(fresh_call_sid),
        from: args.from,
        to: args.called,
        origin: args.origin,
        speed: args.speed,
        faults,
        clock: Arc::new(SystemClock),
        cloud: None,
    };
    block_on(async {
        let api = Api::open(&args.api, &mut options).await?;
        tell(&call(options, sound).await?, json)?;
        match api {
            Some(api) => api.stay().await,
            None => Ok(()),
        }
    })
}

fn roots(file: &Path) -> Result<Roots, Failure> {
    let usage =
        |error: &dyn std::fmt::Display| Failure::Usage(format!("{}: {error}", file.display()));
    let pem = std::fs::read(file).map_err(|error| usage(&error))?;
    Roots::parse(&pem).map_err(|error| usage(&error))
}

/// Plays the call; Ctrl-C hangs it up as a caller would.
async fn call(options: Options, sound: Sound) -> Result<Report, Failure> {
    let hang_up = CancellationToken::new();
    let playing = play(options, sound, hang_up.clone());
    tokio::pin!(playing);
    let report = tokio::select! {
        report = &mut playing => report,
        _ = tokio::signal::ctrl_c() => {
            hang_up.cancel();
            playing.await
        }
    };
    report.map_err(|error| match error {
        crate::simulate::Error::Unreachable { .. } => Failure::Unreachable(error.to_string()),
        crate::simulate::Error::BadOption { .. } => Failure::Usage(error.to_string()),
        _ => Failure::Failed(error.to_string()),
    })
}

fn faults(args: &Args) -> Result<Faults, Failure> {
    let cut_after = args.cut_after.map(Duration::try_from_secs_f64).transpose();
    Ok(Faults {
        drop_ratio: args.drop,
        reorder_ratio: args.reorder,
        duplicate_ratio: args.duplicate,
        stall_ms: args.stall,
        cut_after: cut_after.map_err(|error| Failure::Usage(format!("--cut-after: {error}")))?,
        ending: if args.no_stop { Ending::Silence } else { Ending::Stop },
        ..Faults::none(args.seed)
    })
}

/// Reads a WAV as the telephone would carry it.
fn read(path: &Path) -> Result<Sound, Failure> {
    let name = path.display();
    let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{name}: {error}"));
    let file = File::open(path).map_err(|error| failed(&error))?;
    let mut reader = WavReader::new(BufReader::new(file)).map_err(|error| failed(&error))?;
    let count = usize::from(reader.channels());
    if count > 2 {
        return Err(failed(&format!(
            "{count} channels: two are needed, agent left, technician right"
        )));
    }
    let resampler = || Resampler::new(reader.rate_hz(), RateHz::Hz8000);
    let mut resamplers =
        (0..count).map(|_| resampler()).collect::<Result<Vec<_>, _>>().map_err(|e| failed(&e))?;
    let mut channels = vec![Vec::new(); count];
    let mut sound = vec![Vec::new(); count];
    loop {
        channels.iter_mut().for_each(Vec::clear);
        let got = reader.read(&mut channels, PIECE).map_err(|error| failed(&error))?;
        for (index, channel) in channels.iter().enumerate() {
            let mut narrow = Vec::new();
            resamplers[index].push(channel, &mut narrow);
            if got == 0 {
                resamplers[index].finish(&mut narrow);
            }
            sound[index].extend(narrow.into_iter().map(|sample| ulaw::encode(pcm16(sample))));
        }
        if got == 0 {
            break;
        }
    }
    let mut channels = sound.into_iter();
    Ok(match (channels.next(), channels.next()) {
        (Some(left), Some(right)) => Sound::stereo(left, right),
        (Some(technician), None) => Sound::mono(technician),
        _ => return Err(failed(&"no channels")),
    })
}

fn tell(report: &Report, json: bool) -> Result<(), Failure> {
    let sid = &report.call_sid;
    let troubles: Vec<String> = report.troubles.iter().map(ToString::to_string).collect();
    if json {
        let answer = serde_json::json!({
            "call_sid": sid.as_str(),
            "streams": report.streams.len(),
            "inbound_frames": report.inbound_frames,
            "outbound_frames": report.outbound_frames,
            "dropped": report.dropped.len(),
            "reordered": report.reordered,
            "duplicated": report.duplicated,
            "troubles": troubles,
        });
        return output::line(&answer.to_string());
    }
    for trouble in &troubles {
        output::error(trouble);
    }
    output::line(&format!(
        "{sid}: {} + {} frames sent, {} dropped, {} reordered, {} repeated",
        report.inbound_frames,
        report.outbound_frames,
        report.dropped.len(),
        report.reordered,
        report.duplicated
    ))
}
