//! Room telemetry.
