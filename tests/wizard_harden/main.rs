//! The wizard hardens a server that is there: a real terminal, a real PostgreSQL, and psql as the witness.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod request;
mod site;
mod stages;
mod turned_back;
