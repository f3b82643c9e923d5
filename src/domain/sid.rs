//! Twilio's identifiers: two letters that name the kind, then 32 hex digits.

use std::fmt;
use std::str::FromStr;

/// A text that is not the identifier it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a {kind} ({prefix} and 32 hex digits)")]
pub struct BadSid {
    kind: &'static str,
    prefix: &'static str,
}

macro_rules! sid {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Returns the identifier as Twilio writes it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadSid;

            fn from_str(text: &str) -> Result<Self, BadSid> {
                let digits = text.strip_prefix($prefix).unwrap_or("");
                if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(BadSid { kind: stringify!($name), prefix: $prefix })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }
    };
}

sid!(
    /// One leg of a call (`CA…`).
    CallSid, "CA"
);
sid!(
    /// One media stream of a call (`MZ…`).
    StreamSid, "MZ"
);
sid!(
    /// One recording kept by Twilio (`RE…`).
    RecordingSid, "RE"
);
sid!(
    /// A Twilio account or sub-account (`AC…`).
    AccountSid, "AC"
);

sid!(
    /// A number of an account's own (`PN…`).
    NumberSid, "PN"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sid_is_its_prefix_and_32_hex_digits() {
        let good = format!("CA{}", "0a".repeat(16));
        assert_eq!(good.parse::<CallSid>().unwrap().as_str(), good);
        for bad in ["", "CA", "CA12", &good[..33], &format!("{good}0"), &good.replace('a', "g")] {
            assert!(bad.parse::<CallSid>().is_err(), "{bad:?}");
        }
        assert!(good.parse::<StreamSid>().is_err(), "another kind's prefix");
        assert!("CA../../../../../../../etc/passwd".parse::<CallSid>().is_err());
        assert!("CAéééééééééééééééé".parse::<CallSid>().is_err(), "32 bytes that are not hex");
    }
}
