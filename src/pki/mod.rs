//! Keys and certificates: making them, reading them, writing them out.
//!
//! Owns X.509 and PKCS#8 as pgtls sees them. Reads no file and no clock: bytes and the time come as
//! arguments. Whether a chain is to be trusted is asked of `judge`, not here.

mod algorithm;
mod name;

pub use algorithm::Algorithm;
pub use name::{HostName, HostNameError};
