//! Whether what is elsewhere is still there: asked at the moment before something here goes on the
//! strength of it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::domain::RecordingSid;
use crate::store::Archived;

/// What is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// An object of the archive.
    Archive(Archived),
    /// A recording at Twilio.
    Twilio(RecordingSid),
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// It is there, and is what it was.
    There,
    /// It is not.
    Gone {
        /// What was seen instead.
        why: String,
    },
    /// Nobody can say at the moment.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// An answer on its way.
pub type Asked = Pin<Box<dyn Future<Output = Says> + Send>>;

/// Asks. How is not this room's affair.
pub type Witness = Arc<dyn Fn(Elsewhere) -> Asked + Send + Sync>;
