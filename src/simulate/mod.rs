//! Room simulate.
