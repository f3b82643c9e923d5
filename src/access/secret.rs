//! Secrets that this box makes up: what they look like, and how they are told apart.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use rand::Rng as _;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::store::SecretHash;

/// 256 bits: nobody guesses one, so a fast hash of it is enough.
const SECRET_BYTES: usize = 32;

/// What a token begins with, so that it is recognised where it should not be.
const TOKEN_PREFIX: &str = "fieldtape_";

/// Letters and digits that are not mistaken for each other when read from a screen (Crockford's).
const CODE_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 50 bits, for an hour, at one guess each ten seconds.
const CODE_LENGTH: usize = 10;

/// A secret, in the clear. It is not shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Makes up a session's.
    pub(super) fn session() -> Self {
        Self(random_text())
    }

    /// Makes up a token.
    pub(super) fn token() -> Self {
        Self(format!("{TOKEN_PREFIX}{}", random_text()))
    }

    /// Makes up a code that is typed by hand.
    pub(super) fn code() -> Self {
        let mut random = rand::rng();
        let mut letter = || char::from(CODE_LETTERS[random.random_range(0..CODE_LETTERS.len())]);
        Self((0..CODE_LENGTH).map(|_| letter()).collect())
    }

    /// Takes one that was shown.
    pub(super) fn given(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Takes a code as a person types it: spaces and hyphens, small letters, O for 0.
    pub(super) fn given_code(text: &str) -> Self {
        let letters = text.chars().filter(char::is_ascii_alphanumeric);
        let read = letters.map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        });
        Self(read.collect())
    }

    /// Returns it, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns what the ledger keeps of it.
    pub(super) fn hash(&self) -> SecretHash {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// Returns what the forms of this session carry.
    pub(super) fn form_key(&self) -> FormKey {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes())
            .unwrap_or_else(|never| unreachable!("HMAC takes keys of any length: {never}"));
        mac.update(b"fieldtape form");
        FormKey(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(…)")
    }
}

/// What a form carries to show that it comes from a page which this session was given: another
/// site can send the session's cookie along, but cannot read a page.
#[derive(Clone, PartialEq, Eq)]
pub struct FormKey(String);

impl FormKey {
    /// Returns it as it stands in a form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Says whether this is what came with a form.
    pub fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for FormKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("FormKey(…)")
    }
}

/// Compares without telling by its time how much is right.
pub(super) fn same(one: &SecretHash, other: &SecretHash) -> bool {
    one.ct_eq(other).into()
}

fn random_text() -> String {
    let mut bytes = [0u8; SECRET_BYTES];
    rand::rng().fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_typed_as_it_is_read() {
        let code = Secret::code();
        assert_eq!(code.reveal().len(), CODE_LENGTH);
        let (front, back) = code.reveal().split_at(4);
        let typed = format!(" {}-{} ", front.to_lowercase(), back).replace('0', "o");
        assert_eq!(Secret::given_code(&typed).hash(), code.hash());
        assert_ne!(Secret::code().hash(), code.hash());
    }

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        let (secret, key) = (Secret::token(), Secret::session().form_key());
        assert!(secret.reveal().starts_with(TOKEN_PREFIX));
        assert_eq!(format!("{secret:?} {key:?}"), "Secret(…) FormKey(…)");
        assert!(key.is(key.as_str()) && !key.is("") && !key.is(secret.reveal()));
    }
}
