//! Runs the stages that the ledger says are due; knows no stage's insides.
//!
//! Invariants: what is to be done stands in the ledger alone, so a restart needs no recovery of
//! its own; an attempt is counted when it is claimed; no transaction is open while work runs; a
//! panic in a stage's work is a failed attempt. Work does not retry inside: the next attempt does.
//!
//! Not here: what a stage does (each has its room), and threads or processes for the work.

mod backoff;
mod link;
mod runner;
mod throttle;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::domain::{CallSid, Stage, WaitingFor};
use crate::store::{Claim, Output};

pub use backoff::{BACKOFF_FIRST, BACKOFF_MAX, pause_after};
pub use link::{Link, LinkState, Probe};
pub use runner::{Options, Runner};
pub use throttle::{IsLive, LIVE_BYTES_PER_S, Throttle};

/// How a stage's work ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Done.
    Done(Output),
    /// There was nothing to do.
    Nothing,
    /// It went wrong and may go right another time; the attempt counts.
    Again {
        /// What went wrong, for a person to read.
        why: String,
    },
    /// It cannot go on before something else is there; the attempt does not count.
    Waits {
        /// For what.
        waiting_for: WaitingFor,
        /// What to do about it, for a person to read.
        why: String,
        /// When to look again.
        after: Duration,
    },
    /// The other side could not be reached. The link's probe decides whose fault that is: while
    /// the link is away the attempt does not count and the stage waits for the network, else it
    /// is like [`Verdict::Again`].
    Unreachable {
        /// What went wrong, for a person to read.
        why: String,
    },
    /// Something else goes first; the attempt is given back, and the call stays due.
    GivesWay,
    /// It cannot go right however often it is tried.
    Never {
        /// What went wrong, for a person to read.
        why: String,
    },
}

/// The work of one stage. The same call must give the same result however often it is done.
pub trait Work: Send + Sync + 'static {
    /// Which stage it is.
    fn stage(&self) -> Stage;

    /// After how many attempts it is given up, for a person to retry; none goes on for ever.
    fn attempts_max(&self) -> Option<u32>;

    /// How long nothing is begun, whatever is due; none when work may begin.
    fn held(&self) -> Option<Duration> {
        None
    }

    /// The calls that go before the oldest, if they are due.
    fn first(&self) -> Vec<CallSid> {
        Vec::new()
    }

    /// Does it. The future may be dropped at any point when the program stops.
    fn run<'a>(&'a self, claim: &'a Claim) -> Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;
}

/// A wake-up for every runner: something may have become due. It carries no data and may be lost,
/// for a runner also looks by time.
#[derive(Debug, Clone)]
pub struct Due {
    bell: Arc<watch::Sender<()>>,
}

impl Default for Due {
    fn default() -> Self {
        let (bell, _) = watch::channel(());
        Self { bell: Arc::new(bell) }
    }
}

impl Due {
    /// Wakes them.
    pub fn ring(&self) {
        self.bell.send_replace(());
    }

    /// Hears when they are woken.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}
