//! Room pipeline.
