//! What the person wants: the answers, layered and validated into one [`Setup`] that cannot be wrong.
//!
//! Answers come from flags and from TOML ([`Answers`], the raw layer, in which nothing is checked), are laid
//! over one another ([`Answers::overlay`]) and are validated once, into a [`Setup`] or into the list of every
//! [`Problem`]. This room reads no file and knows no clock; whether a named file exists is for `engine` to find.

mod access;
mod address;
mod answers;
mod image;
mod model;
mod name;
mod problem;
mod read;
mod validate;
mod write;

pub use answers::{AccessAnswer, Answers, ClientAnswer};
pub use image::{Image, image_major};
pub use model::{
    Access, Algorithm, Auth, CertificateSource, ClientCert, Mode, Run, SERVICE, SERVICES, Setup, is_loopback,
};
pub use name::{is_database, is_role};
pub use problem::{Problem, whole_number};

#[cfg(test)]
mod tests;
