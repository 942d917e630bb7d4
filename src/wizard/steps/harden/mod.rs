//! The steps of hardening a server that is there: which server, which stage, what it would change, the try.

mod attempt;
mod plan;
mod server;
mod stage;

pub use attempt::{Attempt, command};
pub use plan::Plan;
pub use server::Server;
pub use stage::Stages;

use crate::harden::Stage;

/// What a stage does, for somebody who has to decide.
#[must_use]
pub const fn about(stage: Stage) -> &'static str {
    match stage {
        Stage::On => {
            "The server gets a certificate and offers TLS. Clients that ask for it use it; those that do not come in as before. \
             Nobody is turned away."
        }
        Stage::Watch => {
            "Nothing changes. Everybody who is connected is looked at twice a second, and whoever came without TLS is kept in \
             the books: the next stage is judged by it. A day catches what runs at night."
        }
        Stage::Require => {
            "Rules that let clients in without TLS (host) become rules for TLS (hostssl), and whoever comes without it is \
             rejected. Sessions that are open stay open."
        }
        Stage::Mtls => {
            "Every role gets a client certificate, in a kit to hand out, and the server wants one from everybody. Hand the kits \
             out first."
        }
        Stage::Floor => {
            "TLS before 1.2 and weak ciphers are turned away; TLS 1.2 too, where everybody who was seen speaks 1.3."
        }
    }
}
