//! The steps of hardening a server that is there: which server, which stage, what it would change, the try.

mod attempt;
mod clients;
mod plan;
mod request;
mod server;
mod stage;

pub use attempt::{Attempt, after_a_fall, command};
pub use clients::Clients;
pub use plan::Plan;
pub use request::Request;
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
            "Nothing changes. Who is connected is looked at twice a second, the server's log tells who came in between, and whoever \
             came without TLS is kept in the books. A day catches what runs at night."
        }
        Stage::Require => {
            "Rules that let clients in without TLS (host) become rules for TLS (hostssl), and whoever comes without it is \
             rejected. Sessions that are open stay open."
        }
        Stage::Ask => {
            "Every role gets a client certificate, in a kit to hand out, and the server asks everybody for one. Whoever has none comes \
             in as before."
        }
        Stage::Mtls => {
            "The server wants a certificate from everybody who logs in. The next step asks whose: of a kit that is made here for \
             every role, or of a CA of yours. Kits are made by the first try, and stay when it goes back."
        }
        Stage::Floor => {
            "TLS before 1.2 and weak ciphers are turned away; TLS 1.2 too, where everybody who was seen speaks 1.3."
        }
    }
}
