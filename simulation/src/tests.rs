//! Tests of the way from logs to events.
