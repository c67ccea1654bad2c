//! The real binary on traces written for the purpose: goldens, exit statuses, damaged input, readers of its formats.

mod cli;
mod golden;
mod sarif;
mod support;
mod xml;
