//! The command line: one file a command; text for people, JSON for scripts.

pub mod args;
mod output;
