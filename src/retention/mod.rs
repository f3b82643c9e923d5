//! How long things are kept: what goes when its days are over or room is wanted, what is erased
//! because a person says so, the small things that are looked after by time, and what was dated by a
//! clock that was not synchronised, put right when it is.
//!
//! Invariants: nothing is deleted here that still has a row; the audit trail is told first, the row
//! goes with it, in one transaction, then the file, its name on the disk, and last the note that it
//! must go. An only copy goes only if the configuration says so in as many words; what rests on a
//! copy elsewhere goes only when that copy has just been shown. Nothing goes by the rules while the
//! clock is not synchronised, or because a wall clock moved, or of a call that is held, live or being
//! worked on.
//!
//! Not here: erasing elsewhere (archive), and who may ask for what (web).

mod certificate;
mod erase;
mod keeper;
mod plan;
mod planner;
mod policy;
mod purge;
mod room;
mod rounds;
mod steady;
mod sweep;
mod time;
mod witness;

pub use certificate::{as_json, as_text};
pub use keeper::{CountLive, Keeper, KeeperOptions, Seen};
pub use plan::{Back, Plan, RestsOn, Room, Stays, Step, Why, plan};
pub use policy::{OnlyCopies, Policy};
pub use purge::{Purged, Withheld};
pub use room::{Lines, Load, call_bytes_per_s};
pub use rounds::Forecast;
pub use sweep::sweep;
pub use time::keep_time;
pub use witness::{Asked, Elsewhere, Says, Witness};

#[cfg(test)]
mod tests;
