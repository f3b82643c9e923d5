//! The list of users and of tokens, and changes to it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Access, AccessError, Secret, password};
use crate::domain::{Role, UnixMillis};
use crate::store::{Listed, StoreError, TokenRow, UserRow};

/// Fits a line of the page.
const NAME_LENGTH_MAX: usize = 64;

/// A name that a user or a token can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// Returns it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserName {
    type Err = AccessError;

    fn from_str(text: &str) -> Result<Self, AccessError> {
        let fits = |letter: char| letter.is_alphanumeric() || ".-_@".contains(letter);
        let is_good = !text.is_empty()
            && text.chars().count() <= NAME_LENGTH_MAX
            && text.chars().all(fits)
            // The audit trail's own words.
            && !["local", "system", "twilio"].contains(&text.to_lowercase().as_str());
        if is_good { Ok(Self(text.to_owned())) } else { Err(AccessError::BadName) }
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Somebody who is to be taken in.
#[derive(Debug)]
pub struct NewUser {
    /// The name.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Their password, in the clear; it goes no further than to be hashed.
    pub password: String,
}

impl Access {
    /// Returns everybody who may log in.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.inner.store.users().await
    }

    /// Takes somebody in.
    pub async fn add_user(&self, user: NewUser) -> Result<(), AccessError> {
        let (row, hash) = self.hashed(user).await?;
        told(self.inner.store.add_user(row, hash).await?)?;
        self.users_changed(true);
        Ok(())
    }

    pub(super) async fn add_first(&self, user: NewUser) -> Result<(), AccessError> {
        let (row, hash) = self.hashed(NewUser { role: Role::Admin, ..user }).await?;
        told(self.inner.store.add_first_user(row, hash).await?)?;
        self.users_changed(true);
        Ok(())
    }

    async fn hashed(&self, user: NewUser) -> Result<(UserRow, String), AccessError> {
        let NewUser { name, role, password: given } = user;
        password::check(&given, name.as_str())?;
        let hash = self.work(move || password::hash(&given)).await?;
        Ok((UserRow { name: name.0, role, created_at: self.inner.clock.now() }, hash))
    }

    /// Gives somebody another password; they have to log in again everywhere.
    pub async fn set_password(&self, name: &str, given: String) -> Result<(), AccessError> {
        password::check(&given, name)?;
        let hash = self.work(move || password::hash(&given)).await?;
        told(self.inner.store.set_password(name.to_owned(), hash).await?)
    }

    /// Lets somebody do more, or less.
    pub async fn set_role(&self, name: &str, role: Role) -> Result<(), AccessError> {
        told(self.inner.store.set_role(name.to_owned(), role).await?)
    }

    /// Takes somebody off the list; wherever they are logged in they are not any more.
    pub async fn remove_user(&self, name: &str) -> Result<(), AccessError> {
        told(self.inner.store.remove_user(name.to_owned()).await?)
    }

    /// Returns every token, without its secret.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.inner.store.tokens().await
    }

    /// Makes a token. What is returned is shown once and kept nowhere.
    pub async fn make_token(
        &self,
        name: &UserName,
        role: Role,
        lasts: Option<Duration>,
    ) -> Result<Secret, AccessError> {
        let (secret, now) = (Secret::token(), self.inner.clock.now());
        let expires_at = lasts.map(|lasts| {
            let lasts_ms = lasts.as_millis().try_into().unwrap_or(u64::MAX);
            UnixMillis::new(now.get().saturating_add_unsigned(lasts_ms))
        });
        let row =
            TokenRow { name: name.0.clone(), role, created_at: now, expires_at, used_at: None };
        told(self.inner.store.add_token(row, secret.hash()).await?)?;
        Ok(secret)
    }

    /// Takes a token off the list.
    pub async fn revoke_token(&self, name: &str) -> Result<(), AccessError> {
        told(self.inner.store.remove_token(name.to_owned()).await?)
    }
}

const fn told(listed: Listed) -> Result<(), AccessError> {
    match listed {
        Listed::Done => Ok(()),
        Listed::Taken => Err(AccessError::Taken),
        Listed::Unknown => Err(AccessError::Unknown),
        Listed::LastAdmin => Err(AccessError::LastAdmin),
    }
}
