//! Room twilio.
