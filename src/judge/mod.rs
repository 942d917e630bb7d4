//! Whether a certificate chain and a host name hold, exactly as libpq with OpenSSL 3 would say, and if not, why.
//!
//! Pure: certificates, names and the time come as arguments; no file, socket or clock is touched.
//!
//! The verdict is that of `X509_verify_cert` as libpq uses it: security level 2, purpose `sslserver` (or
//! `sslclient` for what a PostgreSQL server does), trusted certificates first, no partial chains, every rule applied
//! to the trust anchor too. Where the two worlds differ this room follows OpenSSL, not RFC 5280: a strict
//! validator refuses X.509 v1 certificates and self-signed leaves that psql accepts, and accepts expired or
//! powerless trust anchors that psql refuses. The rules are described in `openssl-verification-options(1)`,
//! `SSL_CTX_set_security_level(3)`, RFC 5280 and the PostgreSQL manual's "SSL Support" of libpq.
//!
//! The bytes are read by a small reader of its own ([`der`](self)), because the verdict depends on what typed views
//! smooth over: repeated extensions, raw name bytes, dates that OpenSSL stores unread. Signatures are
//! verified by aws-lc-rs. What cannot be judged (Ed448, DSA) is said to be [undetermined](Cause::is_undetermined),
//! never guessed.

mod algorithm;
mod cause;
mod certificate;
mod checks;
mod constraints;
mod crl;
mod der;
mod extensions;
mod general_name;
mod host;
mod key;
mod lists;
mod name;
mod oid;
mod path;
mod revocation;
mod rsa;
mod sealed;
mod settings;
mod signature;
mod store;
#[cfg(test)]
mod tests;
mod tls;

pub use cause::{Cause, Identity, Refusal, VerifyError};
pub use host::{Match, MatchedBy, NameCause, NameRefusal, judge_name};
pub use lists::{ListSigner, RevocationList};
pub use path::{Path, Purpose, judge_chain};
pub use store::{StoreError, TrustStore, certificate_hash, list_hash};
pub use tls::{SUPPORTED_SCHEMES, SignatureRefusal, TlsVersion, judge_own_certificate, verify_tls_signature};
