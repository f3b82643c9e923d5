//! The keeper on a real ledger and real files.

mod erasing;
mod histories;
mod house;
mod rules;
mod time;
