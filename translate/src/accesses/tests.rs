//! Tests of the forms of records.
