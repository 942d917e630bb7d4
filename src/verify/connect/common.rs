//! A handshake without common ground: whether that is so between the server and psql too, or with us alone. The server
//! is asked once more, with the offer that OpenSSL makes.

use crate::dial::{
    Address, Alert, Deadline, HandshakeFault, Lost, Negotiation, Offer, SslAnswer, open, openssl_offer,
    speaks, ssl_request,
};

use super::super::cause::Cause;
use super::super::client::Server;
use super::super::finding::Finding;
use super::super::target::Target;
use super::refusal::{broken, unknown};

/// Whether the fault may be ours alone: the server found nothing that suits it in what rustls offers.
pub const fn needs_a_second_look(fault: &HandshakeFault) -> bool {
    matches!(
        fault,
        HandshakeFault::Incompatible(_)
            | HandshakeFault::NoVersion
            | HandshakeFault::Lost(Lost::Alert(
                Alert::HANDSHAKE_FAILURE | Alert::PROTOCOL_VERSION | Alert::INTERNAL_ERROR | Alert(71)
            ))
    )
}

/// What the server says to OpenSSL's own offer; `None` if it could not be asked.
pub async fn second_look(target: &Target, address: &Address, deadline: Deadline) -> Option<Offer> {
    let versions = target.client.versions;
    if !versions.tls12 && !versions.tls13 {
        return None;
    }
    let mut stream = open(address, deadline).await.ok()?;
    if target.client.negotiation == Negotiation::Request {
        match ssl_request(&mut stream, deadline).await {
            Ok(SslAnswer::Accepts) => {}
            _ => return None,
        }
    }
    openssl_offer(stream, versions.tls12, versions.tls13, deadline)
        .await
        .ok()
}

/// No common ground: with us alone, or with psql too?
pub fn nothing_in_common(
    target: &Target,
    server: &Server,
    fault: &HandshakeFault,
    offer: Option<Offer>,
) -> Finding {
    let is_about_version = matches!(
        fault,
        HandshakeFault::NoVersion | HandshakeFault::Lost(Lost::Alert(Alert::PROTOCOL_VERSION))
    );
    match offer {
        Some(Offer::Taken(suite)) => {
            let what = match fault {
                HandshakeFault::Incompatible(what) => what.clone(),
                _ if speaks(&suite) => format!("{suite} with a key exchange group that pgtls does not have"),
                _ => suite.clone(),
            };
            unknown(
                target,
                server,
                Cause::TlsUnspoken,
                format!("psql would go on with TLS that pgtls does not speak: {what}"),
            )
            .evidence(format!("the server takes OpenSSL's offer, with {suite}"))
            .evidence(fault.to_string())
        }
        // Older versions are left to OpenSSL 3 only below security level 1, which no distribution has.
        _ if target.client.versions.older && is_about_version => unknown(
            target,
            server,
            Cause::TlsUnspoken,
            "TLS 1.2 and 1.3 are refused; psql may go down to TLS 1.0 with this conninfo, but OpenSSL 3 lets it only at \
             security level 0",
        )
        .evidence(fault.to_string()),
        Some(Offer::Refused(alert)) if alert == Alert::PROTOCOL_VERSION || is_about_version => broken(
            target,
            server,
            Cause::TlsVersion,
            "there is no TLS version that the server and this conninfo both allow",
        )
        .evidence(alert.to_string()),
        None if is_about_version => {
            broken(target, server, Cause::TlsVersion, "no TLS version is left to speak").evidence(fault.to_string())
        }
        Some(Offer::Refused(alert)) => broken(
            target,
            server,
            Cause::NothingInCommon,
            "the server finds nothing that suits it in what we offer, nor in what psql would",
        )
        .evidence(alert.to_string()),
        Some(Offer::Closed) => broken(
            target,
            server,
            Cause::NothingInCommon,
            "the server ends the handshake, and would end psql's too",
        )
        .evidence(fault.to_string()),
        Some(Offer::Garbage(bytes)) => {
            broken(target, server, Cause::TlsBroken, "the server's answer is not TLS").evidence(bytes)
        }
        None => unknown(target, server, Cause::TlsUnspoken, fault.to_string()),
    }
}
