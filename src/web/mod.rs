//! web
pub mod door;
