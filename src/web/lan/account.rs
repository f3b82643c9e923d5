//! What somebody who has logged in can do about themselves.

use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::LanState;
use super::frame::Frame;
use super::login::address;
use super::pages::{self, PageProblem};
use super::problem::Problem;
use crate::access::{AccessError, Actor};
use crate::web::serve::Ends;

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    frame: Frame,
    name: String,
    role: &'static str,
    trouble: Option<String>,
    /// Somebody who has logged in, and not just whoever is on the box.
    has_password: bool,
}

/// `GET /account`
pub(super) async fn page(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
) -> Response {
    account_page(&lan, &actor, StatusCode::OK, None)
}

fn account_page(
    lan: &LanState,
    actor: &Actor,
    status: StatusCode,
    trouble: Option<String>,
) -> Response {
    let page = AccountPage {
        frame: Frame::new(&lan.health.borrow(), actor),
        name: actor.name.to_string(),
        role: actor.role.as_str(),
        trouble,
        has_password: actor.form_key.is_some(),
    };
    (status, pages::html(&HeaderMap::new(), &page)).into_response()
}

/// `POST /account/password`: every session of this user ends, this one too.
pub(super) async fn set_password(
    State(lan): State<LanState>,
    Extension(actor): Extension<Actor>,
    ends: Option<Extension<Ends>>,
    body: Bytes,
) -> Result<Response, PageProblem> {
    let field = |name: &str| {
        let found = form_urlencoded::parse(&body).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let changed = async {
        let (password, again) = (field("password"), field("password_again"));
        if password != again {
            return Err(AccessError::WeakPassword("the two passwords are not the same"));
        }
        lan.access
            .change_password(address(ends), &actor.name, field("old_password"), password)
            .await
    };
    match changed.await {
        Ok(()) => {
            lan.audit(&actor, "user.password", None, &actor.name).await?;
            Ok(Redirect::to("/login").into_response())
        }
        Err(AccessError::Store(error)) => Err(error.into()),
        Err(error) => {
            let status = Problem::from_refusal(&error);
            Ok(account_page(&lan, &actor, status, Some(error.to_string())))
        }
    }
}
