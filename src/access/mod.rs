//! Who may come in: users with their passwords and sessions, programs with their tokens, and the
//! code by which the first user is made.
//!
//! Invariants: a secret is shown once, when it is made, and kept as a hash only; whoever guesses
//! is slowed down by address before the guess is looked at; there is no account that nobody made.
//!
//! Not here: HTTP, cookies, and which role a route asks for (the front door's).

mod account;
mod guesses;
mod password;
mod secret;
mod sessions;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

pub use account::{NewUser, UserName};
pub use secret::{FormKey, Secret};
pub use sessions::Session;

use crate::clock::SharedClock;
use crate::domain::Role;
use crate::store::{SecretHash, Store, StoreError};
use guesses::Guesses;

/// How long the code for the first user is good for.
pub const FIRST_CODE_LASTS: Duration = Duration::from_hours(1);

/// Why somebody does not come in, or a change to who may is not made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The name, the password, the code or the token is not right; which of them is not told.
    #[error("that is not right: check the name and the password")]
    Wrong,
    /// A code that is not the one given out last, or is too old.
    #[error(
        "that is not the code: it is written in the journal, and `fieldtape user add --first` \
         prints a new one"
    )]
    WrongCode,
    /// Too many guesses from one address.
    #[error("too many tries from this address; the next one is looked at in {wait_s} s")]
    TooOften {
        /// How long to wait.
        wait_s: u64,
    },
    /// A name that cannot be one.
    #[error("a name has 1 to 64 letters, digits, dots, hyphens, underscores or @ signs")]
    BadName,
    /// A password that is soon guessed.
    #[error("{0}")]
    WeakPassword(&'static str),
    /// The name belongs to somebody else.
    #[error("there is one of that name already")]
    Taken,
    /// There is nobody, or nothing, of that name.
    #[error("there is none of that name")]
    Unknown,
    /// Nobody could say who may come in any more.
    #[error("this is the only admin: make another one first")]
    LastAdmin,
    /// The ledger did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The password could not be hashed: a fault of this machine.
    #[error("the password could not be worked on: {0}")]
    Hash(String),
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The name that the audit trail keeps.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// What every form of this session must carry; none where no browser is involved.
    pub form_key: Option<FormKey>,
}

impl Actor {
    /// Makes somebody on the box itself, who may do everything.
    pub fn local() -> Self {
        Self { name: "local".into(), role: Role::Admin, form_key: None }
    }
}

/// The door's list. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: SharedClock,
    has_users: AtomicBool,
    /// Locked for a few instructions, never across a wait.
    first_code: Mutex<Option<FirstCode>>,
    guesses: Guesses,
    /// One password is worked on at a time: each takes 19 MiB and most of a core.
    hashing: Semaphore,
}

struct FirstCode {
    hash: SecretHash,
    until_since_boot: Duration,
}

impl Access {
    /// Reads whether anybody can log in.
    pub async fn open(store: Store, clock: SharedClock) -> Result<Self, StoreError> {
        let has_users = AtomicBool::new(store.has_users().await?);
        let guesses = Guesses::new(&clock);
        Ok(Self {
            inner: Arc::new(Inner {
                store,
                clock,
                has_users,
                first_code: Mutex::new(None),
                guesses,
                hashing: Semaphore::new(1),
            }),
        })
    }

    /// Says whether anybody can log in.
    pub fn has_users(&self) -> bool {
        self.inner.has_users.load(Ordering::Acquire)
    }

    /// Gives out a code by which the first user can be made; the one before is good for nothing
    /// from now on. None if there is a user already.
    pub fn first_code(&self) -> Option<Secret> {
        if self.has_users() {
            return None;
        }
        let code = Secret::code();
        let until_since_boot = self.inner.clock.since_boot() + FIRST_CODE_LASTS;
        *self.lock_code() = Some(FirstCode { hash: code.hash(), until_since_boot });
        Some(code)
    }

    /// Makes the first user, an admin, and logs them in.
    pub async fn first_user(
        &self,
        from: IpAddr,
        code: &str,
        user: NewUser,
    ) -> Result<Session, AccessError> {
        self.inner.guesses.one_more(from)?;
        let now = self.inner.clock.since_boot();
        let given = Secret::given_code(code).hash();
        let is_right = self
            .lock_code()
            .as_ref()
            .is_some_and(|code| code.until_since_boot > now && secret::same(&code.hash, &given));
        if !is_right {
            return Err(AccessError::WrongCode);
        }
        let name = user.name.clone();
        self.add_first(user).await?;
        *self.lock_code() = None;
        self.begin(name.as_str(), Role::Admin).await
    }

    fn lock_code(&self) -> std::sync::MutexGuard<'_, Option<FirstCode>> {
        self.inner.first_code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn users_changed(&self, has_users: bool) {
        self.inner.has_users.store(has_users, Ordering::Release);
    }
}

#[cfg(test)]
mod tests;
