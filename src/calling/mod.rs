//! Calls that the office places: a number is checked, written down, and rung through Twilio.
//!
//! Invariants: the call's row is in the ledger before Twilio is asked; nobody is rung a second time
//! because an answer was lost: what became of the first request is looked for at Twilio, and told by
//! Twilio's own callbacks, before another is sent, and where it cannot be found out that is said; a
//! call that cannot be placed now has failed now, and is not placed later by surprise.
//!
//! Not here: what a call is told to do when somebody answers (web's door), and whom a browser dials.

mod dialler;

use crate::contacts::{BadNumber, Country, Number};

pub use dialler::{Dialler, DiallerOptions, NotRung, order_of};

/// Reads whom a browser dialled, for who has to connect it: the number as the world dials it, or the
/// text as it is where it cannot be read, for Twilio has the last word; none if it is not dialled from
/// here.
pub fn dialled(text: &str, country: Country) -> Option<String> {
    match Number::parse(text, country) {
        Ok(number) => Some(number.as_str().to_owned()),
        Err(BadNumber::Short { .. }) => None,
        Err(_) => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_browser_dials_is_read_as_well_as_it_can_be() {
        let us = "US".parse().unwrap();
        assert_eq!(dialled("512 555 0123", us).as_deref(), Some("+15125550123"));
        assert_eq!(dialled("client:ben", us).as_deref(), Some("client:ben"));
        assert_eq!((dialled("911", us), dialled("", us).as_deref()), (None, Some("")));
    }
}
