//! Routes, each with what it asks of whoever comes.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};

use super::{LanState, gate};
use crate::domain::Role;

/// A method at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) method: Method,
    /// As the router reads it, with `{parameters}`.
    pub(super) path: &'static str,
    /// The least that whoever comes must be.
    pub(super) role: Role,
}

/// Routes behind the login. There is no way to add one without saying who may take it.
#[derive(Default)]
pub(super) struct Routes {
    router: Router<LanState>,
    list: Vec<Route>,
}

impl Routes {
    /// What everybody who has logged in may see and hear.
    pub(super) fn seen<H, T>(self, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, LanState>,
        T: 'static,
    {
        self.add(Method::GET, MethodFilter::GET, path, Role::Viewer, handler)
    }

    /// What only some may see.
    pub(super) fn seen_by<H, T>(self, role: Role, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, LanState>,
        T: 'static,
    {
        self.add(Method::GET, MethodFilter::GET, path, role, handler)
    }

    /// What is changed.
    pub(super) fn changed_by<H, T>(self, role: Role, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, LanState>,
        T: 'static,
    {
        self.add(Method::POST, MethodFilter::POST, path, role, handler)
    }

    /// What is removed.
    pub(super) fn removed_by<H, T>(self, role: Role, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, LanState>,
        T: 'static,
    {
        self.add(Method::DELETE, MethodFilter::DELETE, path, role, handler)
    }

    fn add<H, T>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        role: Role,
        handler: H,
    ) -> Self
    where
        H: Handler<T, LanState>,
        T: 'static,
    {
        let asked = on(filter, handler).route_layer(from_fn_with_state(role, gate::allowed));
        self.router = self.router.route(path, asked);
        self.list.push(Route { method, path, role });
        self
    }

    /// Puts two sets of routes together.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.list.extend(other.list);
        self
    }

    /// Returns the router.
    pub(super) fn router(self) -> Router<LanState> {
        self.router
    }

    /// Returns every route.
    #[cfg(test)]
    pub(super) fn list(&self) -> &[Route] {
        &self.list
    }
}
