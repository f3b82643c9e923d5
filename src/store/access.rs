//! Users, their sessions, and programs' tokens. Secrets are here as hashes only.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};

use super::read::parse;
use super::{Store, StoreError};
use crate::domain::{Role, UnixMillis};

/// What a secret is known by: its SHA-256.
pub type SecretHash = [u8; 32];

/// Somebody who may log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRow {
    /// The name, as it was first written; upper and lower case are the same name.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Since when there is such a user.
    pub created_at: UnixMillis,
}

/// A token that a program shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// What it is for.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is good for nothing; none: never.
    pub expires_at: Option<UnixMillis>,
    /// When it was last shown, to the minute.
    pub used_at: Option<UnixMillis>,
}

/// A browser that somebody has logged in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Who.
    pub user: UserRow,
    /// Since when.
    pub began_at: UnixMillis,
    /// When it was last used, to the minute.
    pub seen_at: UnixMillis,
}

/// What became of a change to the list of users or tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listed {
    /// It is done.
    Done,
    /// There is one of that name already.
    Taken,
    /// There is none of that name.
    Unknown,
    /// It would have left nobody who may say who comes in.
    LastAdmin,
}

impl Store {
    /// Says whether anybody can log in.
    pub async fn has_users(&self) -> Result<bool, StoreError> {
        self.read(|db| {
            Ok(db.query_row("select exists (select 1 from users)", [], |row| row.get(0))?)
        })
        .await
    }

    /// Returns everybody who may log in, by name.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        self.read(|db| {
            let mut rows =
                db.prepare("select name, role, created_at_ms from users order by name")?;
            let users = rows.query_map([], |row| Ok(user_row(row)))?;
            users.map(|row| row?).collect()
        })
        .await
    }

    /// Takes in a user.
    pub async fn add_user(
        &self,
        user: UserRow,
        password_hash: String,
    ) -> Result<Listed, StoreError> {
        self.write(move |tx| insert_user(tx, &user, &password_hash)).await
    }

    /// Takes in the first user, who is an admin, if there is none yet.
    pub async fn add_first_user(
        &self,
        user: UserRow,
        password_hash: String,
    ) -> Result<Listed, StoreError> {
        self.write(move |tx| {
            let taken: bool =
                tx.query_row("select exists (select 1 from users)", [], |row| row.get(0))?;
            if taken { Ok(Listed::Taken) } else { insert_user(tx, &user, &password_hash) }
        })
        .await
    }

    /// Returns what a user's password is checked against, and the user.
    pub async fn password_hash(
        &self,
        name: String,
    ) -> Result<Option<(UserRow, String)>, StoreError> {
        self.read(move |db| {
            let found = db.query_row(
                "select name, role, created_at_ms, password_hash from users where name = ?1",
                [name],
                |row| Ok((user_row(row), row.get(3)?)),
            );
            found.optional()?.map(|(user, hash)| Ok((user?, hash))).transpose()
        })
        .await
    }

    /// Gives a user another password. Every session of theirs ends.
    pub async fn set_password(
        &self,
        name: String,
        password_hash: String,
    ) -> Result<Listed, StoreError> {
        self.write(move |tx| {
            let changed = tx.execute(
                "update users set password_hash = ?2 where name = ?1",
                params![name, password_hash],
            )?;
            end_sessions(tx, &name)?;
            Ok(if changed == 1 { Listed::Done } else { Listed::Unknown })
        })
        .await
    }

    /// Lets a user do more, or less.
    pub async fn set_role(&self, name: String, role: Role) -> Result<Listed, StoreError> {
        self.write(move |tx| {
            if role != Role::Admin && is_last_admin(tx, &name)? {
                return Ok(Listed::LastAdmin);
            }
            let sql = "update users set role = ?2 where name = ?1";
            let changed = tx.execute(sql, params![name, role.as_str()])?;
            Ok(if changed == 1 { Listed::Done } else { Listed::Unknown })
        })
        .await
    }

    /// Takes a user off the list. Every session of theirs ends.
    pub async fn remove_user(&self, name: String) -> Result<Listed, StoreError> {
        self.write(move |tx| {
            if is_last_admin(tx, &name)? {
                return Ok(Listed::LastAdmin);
            }
            let removed = tx.execute("delete from users where name = ?1", [&name])?;
            Ok(if removed == 1 { Listed::Done } else { Listed::Unknown })
        })
        .await
    }

    /// Begins a session. Those that began before `expired_before` are forgotten.
    pub async fn begin_session(
        &self,
        token: SecretHash,
        user: String,
        at: UnixMillis,
        expired_before: UnixMillis,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "delete from sessions where began_at_ms < ?1";
            tx.execute(sql, [expired_before.get()])?;
            tx.execute(
                "insert into sessions (token_sha256, user_id, began_at_ms, seen_at_ms) \
                 select ?1, id, ?3, ?3 from users where name = ?2",
                params![token, user, at.get()],
            )?;
            Ok(())
        })
        .await
    }

    /// Returns a session, if there is one by that token.
    pub async fn session(&self, token: SecretHash) -> Result<Option<SessionRow>, StoreError> {
        self.read(move |db| {
            let found = db.query_row(
                "select name, role, created_at_ms, began_at_ms, seen_at_ms from sessions \
                 join users on users.id = user_id where token_sha256 = ?1",
                [token],
                |row| Ok((user_row(row), row.get(3)?, row.get(4)?)),
            );
            let Some((user, began_at, seen_at)) = found.optional()? else { return Ok(None) };
            let (began_at, seen_at) = (UnixMillis::new(began_at), UnixMillis::new(seen_at));
            Ok(Some(SessionRow { user: user?, began_at, seen_at }))
        })
        .await
    }

    /// Notes that a session was used.
    pub async fn session_seen(&self, token: SecretHash, at: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "update sessions set seen_at_ms = ?2 where token_sha256 = ?1";
            tx.execute(sql, params![token, at.get()])?;
            Ok(())
        })
        .await
    }

    /// Ends a session.
    pub async fn end_session(&self, token: SecretHash) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("delete from sessions where token_sha256 = ?1", [token])?;
            Ok(())
        })
        .await
    }

    /// Returns every token, by name.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.read(|db| {
            let mut rows = db.prepare(
                "select name, role, created_at_ms, expires_at_ms, used_at_ms from api_tokens \
                 order by name",
            )?;
            let tokens = rows.query_map([], |row| Ok(token_row(row)))?;
            tokens.map(|row| row?).collect()
        })
        .await
    }

    /// Takes in a token.
    pub async fn add_token(
        &self,
        token: TokenRow,
        secret: SecretHash,
    ) -> Result<Listed, StoreError> {
        self.write(move |tx| {
            let sql = "insert into api_tokens (name, token_sha256, role, created_at_ms, \
                       expires_at_ms) values (?1, ?2, ?3, ?4, ?5) on conflict (name) do nothing";
            let expires_at_ms = token.expires_at.map(UnixMillis::get);
            let (role, at_ms) = (token.role.as_str(), token.created_at.get());
            let added = tx.execute(sql, params![token.name, secret, role, at_ms, expires_at_ms])?;
            Ok(if added == 1 { Listed::Done } else { Listed::Taken })
        })
        .await
    }

    /// Returns the token that this secret is.
    pub async fn token(&self, secret: SecretHash) -> Result<Option<TokenRow>, StoreError> {
        self.read(move |db| {
            let found = db.query_row(
                "select name, role, created_at_ms, expires_at_ms, used_at_ms from api_tokens \
                 where token_sha256 = ?1",
                [secret],
                |row| Ok(token_row(row)),
            );
            found.optional()?.transpose()
        })
        .await
    }

    /// Notes that a token was shown.
    pub async fn token_used(&self, secret: SecretHash, at: UnixMillis) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "update api_tokens set used_at_ms = ?2 where token_sha256 = ?1";
            tx.execute(sql, params![secret, at.get()])?;
            Ok(())
        })
        .await
    }

    /// Takes a token off the list: it is good for nothing from now on.
    pub async fn remove_token(&self, name: String) -> Result<Listed, StoreError> {
        self.write(move |tx| {
            let removed = tx.execute("delete from api_tokens where name = ?1", [name])?;
            Ok(if removed == 1 { Listed::Done } else { Listed::Unknown })
        })
        .await
    }
}

fn insert_user(
    tx: &Transaction<'_>,
    user: &UserRow,
    password_hash: &str,
) -> Result<Listed, StoreError> {
    let added = tx.execute(
        "insert into users (name, role, password_hash, created_at_ms) values (?1, ?2, ?3, ?4) \
         on conflict (name) do nothing",
        params![user.name, user.role.as_str(), password_hash, user.created_at.get()],
    )?;
    Ok(if added == 1 { Listed::Done } else { Listed::Taken })
}

fn end_sessions(tx: &Transaction<'_>, name: &str) -> Result<(), StoreError> {
    let sql = "delete from sessions where user_id in (select id from users where name = ?1)";
    tx.execute(sql, [name])?;
    Ok(())
}

/// Says whether this user is an admin and nobody else is.
fn is_last_admin(db: &Connection, name: &str) -> Result<bool, StoreError> {
    let sql = "select exists (select 1 from users where name = ?1 and role = 'admin') \
               and not exists (select 1 from users where name <> ?1 and role = 'admin')";
    Ok(db.query_row(sql, [name], |row| row.get(0))?)
}

fn user_row(row: &Row<'_>) -> Result<UserRow, StoreError> {
    let (name, created_at_ms) = (row.get(0)?, row.get(2)?);
    Ok(UserRow { name, role: role(row, 1)?, created_at: UnixMillis::new(created_at_ms) })
}

fn token_row(row: &Row<'_>) -> Result<TokenRow, StoreError> {
    let expires_at: Option<i64> = row.get(3)?;
    let used_at: Option<i64> = row.get(4)?;
    Ok(TokenRow {
        name: row.get(0)?,
        role: role(row, 1)?,
        created_at: UnixMillis::new(row.get(2)?),
        expires_at: expires_at.map(UnixMillis::new),
        used_at: used_at.map(UnixMillis::new),
    })
}

fn role(row: &Row<'_>, column: usize) -> Result<Role, StoreError> {
    let word: String = row.get(column)?;
    parse(&word)
}
