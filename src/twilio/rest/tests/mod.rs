//! The client against real sockets.

mod addresses;
mod answers;
mod hostile;
mod server;
mod sound;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use self::server::Reply;
use super::world::World;
use super::{Client, Credentials, Origin, Timeouts};
use crate::domain::{AccountSid, CallSid, RecordingSid};

const ACCOUNT: &str = "AC00000000000000000000000000000001";
const CALL: &str = "CA11111111111111111111111111111111";
const RECORDING: &str = "RE22222222222222222222222222222222";
const USER: &str = "SK33333333333333333333333333333333";
const SECRET: &str = "s3cr3tOfTheApiKeyThatNobodyElseSees";

/// Short enough for a test that waits for one, long enough for a busy machine.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    idle: Duration::from_secs(1),
    answer: Duration::from_secs(2),
};

const PATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    idle: Duration::from_secs(20),
    answer: Duration::from_secs(20),
};

/// How long to wait for this reply: short only if it never comes.
fn patience(reply: &Reply) -> Timeouts {
    if matches!(reply, Reply::Silence(_)) { SHORT } else { PATIENT }
}

fn account() -> AccountSid {
    ACCOUNT.parse().unwrap()
}

fn call_sid() -> CallSid {
    CALL.parse().unwrap()
}

fn recording_sid() -> RecordingSid {
    RECORDING.parse().unwrap()
}

fn recording_json(sid: &str) -> String {
    format!(
        r#"{{"sid":"{sid}","account_sid":"{ACCOUNT}","call_sid":"{CALL}","status":"completed",
            "channels":2,"duration":"36"}}"#
    )
}

/// A client of the origin at this address.
fn client_at(at: SocketAddr, timeouts: Timeouts) -> Client {
    client_in(&format!("http://{at}"), timeouts, World::real())
}

fn client_in(origin: &str, timeouts: Timeouts, world: World) -> Client {
    let origin = Origin::parse(origin).unwrap();
    let credentials = Credentials::new(origin, USER, SECRET).unwrap();
    Client::in_world(credentials, account(), timeouts, world).unwrap()
}

/// Names as a test sets them: some stand for themselves, all others for one address or none.
struct TestNames {
    known: HashMap<&'static str, SocketAddr>,
    others: Option<SocketAddr>,
}

impl Resolve for TestNames {
    fn resolve(&self, name: Name) -> Resolving {
        let address = self.known.get(name.as_str()).copied().or(self.others);
        Box::pin(async move {
            let address = address.ok_or_else(|| io::Error::other("no such name"))?;
            Ok(Box::new(std::iter::once(address)) as Addrs)
        })
    }
}

fn names(
    known: impl IntoIterator<Item = (&'static str, SocketAddr)>,
    others: Option<SocketAddr>,
) -> Arc<dyn Resolve> {
    Arc::new(TestNames { known: known.into_iter().collect(), others })
}
