//! Keys and certificates: making them, reading them, writing them out.
//!
//! Owns X.509 and PKCS#8 as pgtls sees them. Reads no file and no clock: bytes and the time come as
//! arguments. Whether a chain is to be trusted is asked of `judge`, not here.

mod algorithm;
mod authority;
mod authority_error;
mod bundle;
mod certificate;
mod chain;
mod csr;
mod delivery;
mod der;
mod dn;
mod identity;
mod key;
mod key_import;
mod kind;
mod list;
mod name;
mod name_error;
mod parse;
mod pem;
mod pkcs12;
mod signature;
mod template;
mod text;
mod traditional;

pub use algorithm::Algorithm;
pub use authority::Authority;
pub use authority_error::AuthorityError;
pub use bundle::{Bundle, revocation_list_pem};
pub use certificate::{Certificate, CertificateError};
pub use csr::{asks_the_same, request_client, request_server};
pub use delivery::{Delivery, DeliveryError};
pub use identity::{Identity, IdentityError, Reason};
pub use key::{KeyError, PrivateKey};
pub use kind::KeyKind;
pub(crate) use kind::RSASSA_PSS;
pub use name::HostName;
pub use name_error::HostNameError;
pub use pem::PemError;
pub use pkcs12::{Strength, key_store, trust_store};
pub use text::printable;
