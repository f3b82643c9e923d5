//! Calls that the office places: a number is checked, written down, and rung through Twilio.
//!
//! Invariants: the call's row is in the ledger before Twilio is asked; nobody is rung a second time
//! because an answer was lost: what became of the first request is looked for at Twilio, and told by
//! Twilio's own callbacks, before another is sent, and where it cannot be found out that is said; a
//! call that cannot be placed now has failed now, and is not placed later by surprise.
//!
//! Not here: what a call is told to do when somebody answers (web's door), and whom a browser dials.

mod dialler;
mod number;

pub use dialler::{Dialler, DiallerOptions, NotRung, order_of};
pub use number::{BadCountry, BadNumber, Country, Number, dialled};
