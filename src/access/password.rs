//! Passwords: which will do, and what is kept of them.
//!
//! Argon2id with 19 MiB, two passes and one lane, as OWASP's Password Storage Cheat Sheet has it,
//! kept as a PHC string. What will do follows NIST SP 800-63B: length counts, and no rules of which
//! characters.

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};

use super::AccessError;

/// Ten characters, at one guess each ten seconds.
const LENGTH_MIN: usize = 10;

/// Longer ones only cost time.
const LENGTH_MAX: usize = 1024;

/// Says whether a password will do for somebody of that name.
pub(super) fn check(password: &str, name: &str) -> Result<(), AccessError> {
    let weak = |why| Err(AccessError::WeakPassword(why));
    let count = password.chars().count();
    if count < LENGTH_MIN {
        return weak("a password has at least 10 characters; several words are good");
    }
    if count > LENGTH_MAX {
        return weak("a password has at most 1024 characters");
    }
    let small = password.to_lowercase();
    let first = small.chars().next();
    if small.chars().all(|letter| Some(letter) == first) {
        return weak("a password is not one character over and over");
    }
    if small.contains("fieldtape") || small.contains(&name.to_lowercase()) && name.len() > 2 {
        return weak("a password does not contain the name of its owner or of this program");
    }
    Ok(())
}

/// Makes what is kept of a password. Takes a while, on purpose.
pub(super) fn hash(password: &str) -> Result<String, AccessError> {
    let salt = SaltString::generate(&mut OsRng);
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| AccessError::Hash(error.to_string()))
}

/// Says whether this is the password. Without one to compare with it takes as long as with one, so
/// that its time does not tell which names there are.
pub(super) fn is_right(password: &str, kept: Option<&str>) -> Result<bool, AccessError> {
    let broken = |error: argon2::password_hash::Error| AccessError::Hash(error.to_string());
    let Some(kept) = kept else {
        hash(password)?;
        return Ok(false);
    };
    let kept = PasswordHash::new(kept).map_err(broken)?;
    match Argon2::default().verify_password(password.as_bytes(), &kept) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(error) => Err(broken(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_password_itself_is_right_and_none_is_kept_in_the_clear() {
        let kept = hash("correct horse battery").unwrap();
        assert!(kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{kept}");
        assert!(!kept.contains("horse"));
        assert!(is_right("correct horse battery", Some(&kept)).unwrap());
        assert!(!is_right("correct horse batterie", Some(&kept)).unwrap());
        assert!(!is_right("correct horse battery", None).unwrap());
        assert_ne!(hash("correct horse battery").unwrap(), kept, "every one has its own salt");
    }

    #[test]
    fn a_password_that_is_soon_guessed_will_not_do() {
        for weak in
            ["", "short", "aaaaaaaaaaaaaa", "my-fieldtape-1", "Maria-Maria", &"x y".repeat(400)]
        {
            assert!(check(weak, "maria").is_err(), "{weak}");
        }
        for good in ["correct horse battery", "дорога у реки", "2 vans & a ladder"] {
            check(good, "maria").unwrap();
        }
    }
}
