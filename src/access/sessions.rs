//! Logging in, and being known again: by a browser's session, or by a program's token.

use std::net::IpAddr;
use std::time::Duration;

use super::{Access, AccessError, Actor, FormKey, Secret, password};
use crate::domain::{Role, UnixMillis};
use crate::store::StoreError;

/// A session that was not used for so long has ended: a shift and its breaks.
pub(super) const SESSION_IDLE_MAX: Duration = Duration::from_hours(12);

/// No session is older, however much it is used.
pub(super) const SESSION_AGE_MAX: Duration = Duration::from_hours(30 * 24);

/// Being seen is written down so often at most; a page that is open asks every few seconds.
const SEEN_EVERY_MS: i64 = 60_000;

/// A session that has just begun.
#[derive(Debug)]
pub struct Session {
    /// What the browser shows from now on.
    pub secret: Secret,
    /// Who it is.
    pub actor: Actor,
}

impl Access {
    /// Logs somebody in.
    pub async fn log_in(
        &self,
        from: IpAddr,
        name: &str,
        given: String,
    ) -> Result<Session, AccessError> {
        self.inner.guesses.one_more(from)?;
        let found = self.inner.store.password_hash(name.to_owned()).await?;
        let (user, kept) = found.unzip();
        let is_right = self.work(move || password::is_right(&given, kept.as_deref())).await?;
        match user {
            Some(user) if is_right => self.begin(&user.name, user.role).await,
            _ => Err(AccessError::Wrong),
        }
    }

    /// Gives somebody who knows the old password another; they have to log in again everywhere.
    pub async fn change_password(
        &self,
        from: IpAddr,
        name: &str,
        old: String,
        new: String,
    ) -> Result<(), AccessError> {
        self.inner.guesses.one_more(from)?;
        let kept = self.inner.store.password_hash(name.to_owned()).await?.map(|(_, kept)| kept);
        if !self.work(move || password::is_right(&old, kept.as_deref())).await? {
            return Err(AccessError::Wrong);
        }
        self.set_password(name, new).await
    }

    /// Begins a session of somebody who has shown who they are.
    pub(super) async fn begin(&self, name: &str, role: Role) -> Result<Session, AccessError> {
        let (secret, now) = (Secret::session(), self.inner.clock.now());
        let expired_before = before(now, SESSION_AGE_MAX);
        self.inner.store.begin_session(secret.hash(), name.to_owned(), now, expired_before).await?;
        let form_key = Some(secret.form_key());
        Ok(Session { actor: Actor { name: name.into(), role, form_key }, secret })
    }

    /// Recognises a browser; none if its session has ended.
    pub async fn by_session(&self, shown: &str) -> Result<Option<Actor>, StoreError> {
        let (secret, now) = (Secret::given(shown), self.inner.clock.now());
        let Some(session) = self.inner.store.session(secret.hash()).await? else {
            return Ok(None);
        };
        let is_over = session.began_at < before(now, SESSION_AGE_MAX)
            || session.seen_at < before(now, SESSION_IDLE_MAX);
        if is_over {
            self.inner.store.end_session(secret.hash()).await?;
            return Ok(None);
        }
        if now.get().abs_diff(session.seen_at.get()) >= SEEN_EVERY_MS.unsigned_abs() {
            self.inner.store.session_seen(secret.hash(), now).await?;
        }
        let form_key: Option<FormKey> = Some(secret.form_key());
        Ok(Some(Actor { name: session.user.name.into(), role: session.user.role, form_key }))
    }

    /// Ends a session.
    pub async fn log_out(&self, shown: &str) -> Result<(), StoreError> {
        self.inner.store.end_session(Secret::given(shown).hash()).await
    }

    /// Recognises a program.
    pub async fn by_token(&self, from: IpAddr, shown: &str) -> Result<Actor, AccessError> {
        let (secret, now) = (Secret::given(shown), self.inner.clock.now());
        let found = self.inner.store.token(secret.hash()).await?;
        let good = found.filter(|token| token.expires_at.is_none_or(|expires| now < expires));
        let Some(token) = good else {
            // Right ones are not counted: a program may ask as often as it likes.
            self.inner.guesses.one_more(from)?;
            return Err(AccessError::Wrong);
        };
        let is_news = |used: UnixMillis| now.get() - used.get() >= SEEN_EVERY_MS;
        if token.used_at.is_none_or(is_news) {
            self.inner.store.token_used(secret.hash(), now).await?;
        }
        let name = format!("token {}", token.name).into();
        Ok(Actor { name, role: token.role, form_key: None })
    }

    /// Works on a password, off the async threads and one at a time.
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AccessError> + Send + 'static,
    ) -> Result<T, AccessError> {
        let broken = |why: &str| AccessError::Hash(why.to_owned());
        let turn = self.inner.hashing.acquire().await.map_err(|_| broken("stopping"))?;
        let done = tokio::task::spawn_blocking(work).await.map_err(|_| broken("it broke"))?;
        drop(turn);
        done
    }
}

fn before(now: UnixMillis, age: Duration) -> UnixMillis {
    UnixMillis::new(now.get().saturating_sub_unsigned(age.as_millis().try_into().unwrap_or(0)))
}
