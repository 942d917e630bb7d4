//! What to do when a promise does not hold, in the person's own names.

use crate::dial::ServerMessage;
use crate::judge::{Cause, Refusal};

use super::target::Target;

/// For a certificate that has run out.
pub const RENEW: &str = "reissue the certificate (in a pgtls project: `pgtls renew`) and reload the server";

/// For a chain that does not hold.
pub fn chain(refusal: &Refusal, target: &Target) -> String {
    match refusal.cause {
        Cause::Expired | Cause::NotYetValid => RENEW.to_owned(),
        Cause::WrongPurpose | Cause::KeyUsage => {
            "reissue it as a server certificate: extended key usage serverAuth".to_owned()
        }
        Cause::WeakDigest | Cause::WeakKey => {
            "reissue it with SHA-256 and a key of P-256 or RSA-2048 at least".to_owned()
        }
        _ => format!(
            "if this is the right server, put the root certificate of the CA that issued its certificate into {} \
             (and intermediates into the server's ssl_cert_file, after its own); if not, somebody is in between",
            target.trust_file
        ),
    }
}

/// For a certificate that does not carry the dialled name.
pub fn host_name(target: &Target) -> String {
    format!(
        "dial a name that the certificate carries, or reissue it with {0} among its names (in a pgtls project: \
         `pgtls up --host {0}`, after the names that are there)",
        target.host
    )
}

/// For a client certificate that the server turns away.
pub fn client_certificate(target: &Target) -> String {
    match target.identity {
        Some(_) => {
            "show a certificate of the CA in the server's ssl_ca_file, within its dates, made for clients"
                .to_owned()
        }
        None => "give a client certificate: sslcert and sslkey".to_owned(),
    }
}

/// For a login that the server refuses.
pub fn login(message: &ServerMessage, target: &Target) -> String {
    let (user, dbname) = (
        crate::pki::printable(&target.user),
        crate::pki::printable(&target.dbname),
    );
    match (message.sqlstate.as_str(), message.routine.as_deref()) {
        ("28P01", _) => format!("check the password of role {user}"),
        ("28000", Some("InitializeSessionUserId")) => format!("make the role: CREATE ROLE {user} LOGIN"),
        ("28000", Some("ClientAuthentication")) if target.identity.is_none() => format!(
            "if pg_hba.conf has no line for role {user}, database {dbname} and your address, add a `hostssl` line; if \
             the server wants a client certificate, give sslcert and sslkey"
        ),
        ("28000", Some("ClientAuthentication")) => {
            format!(
                "add a `hostssl` line for role {user}, database {dbname} and your address to pg_hba.conf, then reload"
            )
        }
        _ => format!(
            "the certificate's common name must be the role {user}, or pg_ident.conf must map it; else issue another \
             certificate"
        ),
    }
}
