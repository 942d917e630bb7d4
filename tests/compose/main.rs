//! PostgreSQL in a container, against a real engine and real compose; psql, openssl and docker are the witnesses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod failures;
mod files;
mod journeys;
mod left;
mod lesson;
mod valid;
