//! A part of the house that can be closed and built anew while the rest goes on.

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::heart::Heart;

/// Loops that begin and end together.
pub(super) struct Wing {
    rooms: JoinSet<&'static str>,
    stop: CancellationToken,
    heart: Heart,
}

impl Wing {
    /// Makes an empty one that is told to stop when the house is.
    pub(super) fn new(house: &CancellationToken, heart: &Heart) -> Self {
        Self { rooms: JoinSet::new(), stop: house.child_token(), heart: heart.clone() }
    }

    /// What ends its loops.
    pub(super) fn stop(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Starts a loop; nothing but `stop` may end it.
    pub(super) fn spawn(
        &mut self,
        name: &'static str,
        room: impl Future<Output = ()> + Send + 'static,
    ) {
        self.rooms.spawn(self.heart.beating(name, room));
    }

    /// Waits until one of its loops ends, and returns its name.
    pub(super) async fn ended(&mut self) -> Result<&'static str, JoinError> {
        match self.rooms.join_next().await {
            Some(ended) => ended,
            None => std::future::pending().await,
        }
    }

    /// Ends its loops, in good order.
    pub(super) async fn close(mut self) {
        self.stop.cancel();
        while self.rooms.join_next().await.is_some() {}
    }
}
