//! The real binary on traces written for the purpose: goldens, exit statuses, damaged input.

mod cli;
mod golden;
mod support;
