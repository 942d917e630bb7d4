//! `pgtls harden` on real servers. The witness is psql.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../support/mod.rs"]
mod support;

mod ask;
mod broken;
mod clients_of_a_ca;
mod drills;
mod keeping;
mod kit;
mod live;
mod names;
mod networks;
mod over_sql;
mod passphrase;
mod peer;
mod places;
mod questions;
mod rights;
mod sessions;
mod stages;
mod two_kits;
mod undo;
mod unread;
