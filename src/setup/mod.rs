//! What the person wants: the answers, layered and validated into one [`Setup`] that cannot be wrong.

mod model;

pub use model::{Access, Algorithm, Auth, CertificateSource, ClientCert, Mode, Run, Setup};
