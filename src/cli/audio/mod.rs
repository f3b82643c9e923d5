//! `fieldtape audio`: which microphones there are, and what one of them hears.

mod devices;
mod meter;

use serde_json::Value;

use super::Context;
use super::admin::Appliance;
use super::exit::Failure;
use crate::config::Config;
use crate::microphone::{DeviceName, Options, Roots};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// List the microphones, by names that can be written into the configuration
    Devices(devices::Args),
    /// Show how loud it is, until Ctrl-C
    Meter(meter::Args),
}

pub(super) fn run(context: &Context, args: Args) -> Result<(), Failure> {
    match args {
        Args::Devices(args) => devices::run(context, &args),
        Args::Meter(args) => meter::run(context, args),
    }
}

/// What the configuration says of a microphone, or what another of the same is listened to with.
fn options(config: &Config, device: DeviceName) -> Options {
    Options { device, gain_db: config.microphone.gain_db, roots: Roots::default() }
}

/// Asks the appliance how its microphone is; none if it does not run or has none.
async fn of_appliance(appliance: &Appliance) -> Option<Value> {
    // Not running is the common reason, and no mistake here.
    appliance.get("/api/v1/microphone").await.ok()
}
