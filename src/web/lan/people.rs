//! Who may come in, over the API: users and tokens.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};

use super::LanState;
use super::problem::Problem;
use super::query::word;
use super::wire::rfc3339;
use crate::access::{Actor, FIRST_CODE_LASTS, NewUser, UserName};
use crate::domain::{Role, UnixMillis};
use crate::store::{TokenRow, UserRow};

/// A token that lasts longer may as well last for ever.
const DAYS_MAX: u64 = 3650;

/// Everybody who may log in.
#[derive(Debug, Serialize)]
pub(super) struct Users {
    users: Vec<User>,
}

#[derive(Debug, Serialize)]
struct User {
    name: String,
    role: &'static str,
    created_at: String,
}

impl From<UserRow> for User {
    fn from(row: UserRow) -> Self {
        let created_at = rfc3339(row.created_at);
        Self { name: row.name, role: row.role.as_str(), created_at }
    }
}

/// `GET /api/v1/users`
pub(super) async fn users(State(lan): State<LanState>) -> Result<Json<Users>, Problem> {
    let users = lan.access.users().await?.into_iter().map(User::from);
    Ok(Json(Users { users: users.collect() }))
}

/// Somebody to take in.
#[derive(Debug, Deserialize)]
pub(super) struct UserBody {
    name: String,
    role: String,
    password: String,
}

/// `POST /api/v1/users`
pub(super) async fn add_user(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Json(body): Json<UserBody>,
) -> Result<StatusCode, Problem> {
    let name: UserName = body.name.parse()?;
    let role: Role = word("role", &body.role)?;
    let detail = format!("{name} {role}");
    lan.access.add_user(NewUser { name, role, password: body.password }).await?;
    lan.audit(&actor, "user.add", None, &detail).await?;
    Ok(StatusCode::CREATED)
}

/// The code by which the first user is made.
#[derive(Debug, Serialize)]
pub(super) struct FirstCode {
    code: String,
    lasts_s: u64,
}

/// `POST /api/v1/users/first`
pub(super) async fn first_code(State(lan): State<LanState>) -> Result<Json<FirstCode>, Problem> {
    let code = lan
        .access
        .first_code()
        .ok_or_else(|| Problem::not_yet("there is a user already; an admin can add others"))?;
    Ok(Json(FirstCode { code: code.reveal().to_owned(), lasts_s: FIRST_CODE_LASTS.as_secs() }))
}

/// A new password.
#[derive(Debug, Deserialize)]
pub(super) struct PasswordBody {
    password: String,
}

/// `POST /api/v1/users/{name}/password`
pub(super) async fn set_password(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(body): Json<PasswordBody>,
) -> Result<StatusCode, Problem> {
    lan.access.set_password(&name, body.password).await?;
    lan.audit(&actor, "user.password", None, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Another role.
#[derive(Debug, Deserialize)]
pub(super) struct RoleBody {
    role: String,
}

/// `POST /api/v1/users/{name}/role`
pub(super) async fn set_role(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(body): Json<RoleBody>,
) -> Result<StatusCode, Problem> {
    let role: Role = word("role", &body.role)?;
    lan.access.set_role(&name, role).await?;
    lan.audit(&actor, "user.role", None, &format!("{name} {role}")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE /api/v1/users/{name}`
pub(super) async fn remove_user(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    lan.access.remove_user(&name).await?;
    lan.audit(&actor, "user.remove", None, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Every token, without its secret.
#[derive(Debug, Serialize)]
pub(super) struct Tokens {
    tokens: Vec<Token>,
}

#[derive(Debug, Serialize)]
struct Token {
    name: String,
    scope: &'static str,
    created_at: String,
    expires_at: Option<String>,
    used_at: Option<String>,
}

impl From<TokenRow> for Token {
    fn from(row: TokenRow) -> Self {
        let moment = |moment: Option<UnixMillis>| moment.map(rfc3339);
        Self {
            name: row.name,
            scope: row.role.as_str(),
            created_at: rfc3339(row.created_at),
            expires_at: moment(row.expires_at),
            used_at: moment(row.used_at),
        }
    }
}

/// `GET /api/v1/tokens`
pub(super) async fn tokens(State(lan): State<LanState>) -> Result<Json<Tokens>, Problem> {
    let tokens = lan.access.tokens().await?.into_iter().map(Token::from);
    Ok(Json(Tokens { tokens: tokens.collect() }))
}

/// A token to make.
#[derive(Debug, Deserialize)]
pub(super) struct TokenBody {
    name: String,
    scope: String,
    days: Option<u64>,
}

/// A token, this once.
#[derive(Debug, Serialize)]
pub(super) struct Made {
    name: String,
    token: String,
}

/// `POST /api/v1/tokens`
pub(super) async fn make_token(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Json(body): Json<TokenBody>,
) -> Result<(StatusCode, Json<Made>), Problem> {
    let name: UserName = body.name.parse()?;
    let scope: Role = word("scope", &body.scope)?;
    if body.days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
        return Err(Problem::bad_parameter("days", format!("not a number from 1 to {DAYS_MAX}")));
    }
    let lasts = body.days.map(|days| Duration::from_secs(days * 24 * 3600));
    let secret = lan.access.make_token(&name, scope, lasts).await?;
    lan.audit(&actor, "token.create", None, &format!("{name} {scope}")).await?;
    let made = Made { name: name.to_string(), token: secret.reveal().to_owned() };
    Ok((StatusCode::CREATED, Json(made)))
}

/// `DELETE /api/v1/tokens/{name}`
pub(super) async fn revoke_token(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    lan.access.revoke_token(&name).await?;
    lan.audit(&actor, "token.revoke", None, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}
