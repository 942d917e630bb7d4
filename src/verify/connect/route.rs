//! The order of attempts: servers, addresses, and for each the ways of connecting that `sslmode` admits.

use std::net::SocketAddr;

use crate::conninfo::{SslMode, TargetSessionAttrs};
use crate::dial::{Address, Deadline, Stream};

use super::super::client::{Place, Server};
use super::super::target::Target;
use super::attempt::{self, Attempt, Next, Way};

/// Follows libpq until it is in or gives up; every attempt, the last one deciding.
pub async fn follow(target: &Target) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    let passes: &[TargetSessionAttrs] = match target.client.attributes {
        // First a standby, then whatever there is.
        TargetSessionAttrs::PreferStandby => &[TargetSessionAttrs::Standby, TargetSessionAttrs::Any],
        _ => std::slice::from_ref(&target.client.attributes),
    };
    for wanted in passes {
        for (index, server) in target.client.servers.iter().enumerate() {
            if let End::GiveUp = one_server(target, index, server, *wanted, &mut attempts).await {
                return attempts;
            }
        }
    }
    attempts
}

enum End {
    GiveUp,
    NextServer,
}

async fn one_server(
    target: &Target,
    index: usize,
    server: &Server,
    wanted: TargetSessionAttrs,
    attempts: &mut Vec<Attempt>,
) -> End {
    let addresses = match addresses(target, server).await {
        Ok(addresses) => addresses,
        Err(failed) => {
            attempts.push(failed.of(index));
            return End::NextServer;
        }
    };
    for address in addresses {
        match one_address(target, index, server, &address, wanted, attempts).await {
            Next::Nothing => return End::GiveUp,
            Next::Server => return End::NextServer,
            Next::Address | Next::OtherWay => {}
        }
    }
    End::NextServer
}

/// One address, by every way that is left.
async fn one_address(
    target: &Target,
    index: usize,
    server: &Server,
    address: &Address,
    wanted: TargetSessionAttrs,
    attempts: &mut Vec<Attempt>,
) -> Next {
    let is_socket = matches!(address, Address::Unix(_));
    let mut kept: Option<Stream> = None;
    let mut ways = ways(target.client.sslmode, is_socket).iter().peekable();
    while let Some(way) = ways.next() {
        let may_go_on = ways.peek().is_some();
        let making = attempt::make(target, server, address, *way, wanted, may_go_on, kept.take());
        let mut attempt = Box::pin(making).await.of(index);
        kept = attempt.kept.take();
        let next = attempt.next;
        let is_in = attempt.session.is_some();
        let is_open = attempt.is_open();
        attempts.push(attempt);
        match next {
            _ if is_in => return Next::Nothing,
            // Whether libpq would have had to go on is not known.
            Next::OtherWay if is_open => return Next::Nothing,
            Next::OtherWay if may_go_on => {}
            Next::OtherWay => return Next::Nothing,
            other => return other,
        }
    }
    Next::Nothing
}

/// The ways of connecting, in order (fe-connect.c, `select_next_encryption_method`).
const fn ways(sslmode: SslMode, is_socket: bool) -> &'static [Way] {
    match sslmode {
        _ if is_socket => &[Way::Plaintext],
        SslMode::Disable => &[Way::Plaintext],
        SslMode::Allow => &[Way::Plaintext, Way::Tls],
        SslMode::Prefer => &[Way::Tls, Way::Plaintext],
        SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Way::Tls],
    }
}

async fn addresses(target: &Target, server: &Server) -> Result<Vec<Address>, Attempt> {
    let each = |host: &str, addresses: Vec<SocketAddr>| {
        addresses
            .into_iter()
            .map(|address| Address::known(host, address))
            .collect()
    };
    match &server.place {
        Place::Socket(path) => Ok(vec![Address::Unix(path.clone())]),
        Place::Address(address) => Ok(each(&server.label, vec![*address])),
        Place::Fault(why) => Err(attempt::no_place(why)),
        Place::Name(host, port) => {
            // Resolved once already, for whoever wants to know what is proven.
            if let Address::Tcp {
                host: known,
                addresses,
            } = &target.address
                && known == host
                && addresses.first().is_some_and(|address| address.port() == *port)
            {
                return Ok(each(host, addresses.clone()));
            }
            match Address::resolve(host, *port, deadline(target)).await {
                Ok(Address::Tcp { host, addresses }) => Ok(each(&host, addresses)),
                Ok(other) => Ok(vec![other]),
                Err(error) => Err(attempt::unreachable(target, server, &error)),
            }
        }
    }
}

/// The time for one attempt: what the conninfo or the person allows, whichever is less.
pub fn deadline(target: &Target) -> Deadline {
    let patience = target.client.patience.unwrap_or(target.timeout);
    Deadline::after(patience.min(target.timeout))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-CONNECT-SSLMODE>
    #[test]
    fn allow_and_prefer_try_both_ways_and_a_socket_knows_only_one() {
        use Way::{Plaintext, Tls};
        for (sslmode, wanted) in [
            (SslMode::Disable, &[Plaintext][..]),
            (SslMode::Allow, &[Plaintext, Tls]),
            (SslMode::Prefer, &[Tls, Plaintext]),
            (SslMode::Require, &[Tls]),
            (SslMode::VerifyCa, &[Tls]),
            (SslMode::VerifyFull, &[Tls]),
        ] {
            assert_eq!(ways(sslmode, false), wanted);
            assert_eq!(ways(sslmode, true), [Plaintext]);
        }
    }
}
