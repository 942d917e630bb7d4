//! pgtls puts TLS on PostgreSQL and proves that it holds.
//!
//! The rooms, ground floor first; a room imports only from rooms above it in this list:
//!
//! | Room | Owns | Door to the world |
//! |---|---|---|
//! | [`pki`] | keys, certificates, the CA, import and export | randomness; the clock is passed in |
//! | [`judge`] | whether a certificate chain and a name hold, by libpq's and OpenSSL's rules | none |
//! | [`conf`] | grammars of `postgresql.conf`, `pg_hba.conf`, `pg_ident.conf`: lossless reading and editing | none |
//! | [`conninfo`] | libpq connection strings, `PG*` variables, service and password files | reads those files |
//! | [`setup`] | what the person wants: [`setup::Setup`], its layers and its validation | none |
//! | [`clients`] | how every driver and tool connects: descriptions, snippets, key formats | none |
//! | [`plan`] | the files that follow from a setup, and why each line is there | none |
//! | [`apply`] | difference against the disk, journal, atomic write, undo | the only writer of a person's files |
//! | [`dial`] | sockets to PostgreSQL, TLS, login | the only one that opens sockets to PostgreSQL |
//! | [`server`] | where PostgreSQL runs: the sandbox | the only one that starts processes |
//! | [`verify`] | probes, verdict, diagnosis with remedies | through [`dial`] |
//! | [`audit`] | grading a running server, reading only: facts, findings, report | through [`dial`] |
//! | [`harden`] | the lines of a running server's files that change at each stage, and who would be turned away | none |
//! | [`engine`] | the journeys (up, plan, apply, undo, renew, down), told as events | through the rooms above |
//! | [`wizard`] | the journeys on a full screen | the terminal |
//! | [`cli`] | one file a command; text and JSON | stdout, stderr, prompts |

pub mod apply;
pub mod audit;
pub mod cli;
pub mod clients;
pub mod conf;
pub mod conninfo;
pub mod dial;
pub mod engine;
pub mod harden;
pub mod judge;
pub mod pki;
pub mod plan;
pub mod server;
pub mod setup;
pub mod verify;
pub mod wizard;
