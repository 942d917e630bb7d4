//! Key formats on request: `client.pk8`, `client.p12`, a truststore, beside the files of a client kit.

use std::path::Path;

use crate::apply::Written;
use crate::clients::Format;
use crate::pki::{Certificate, Identity};
use crate::plan::{Kit, Layout, Stores};

use super::credentials::random_password;
use super::install::write_beside;
use super::up::Ask;
use super::{Error, files};

/// The formats that a kit has on disk, with the password that is there.
pub(super) fn found(dir: &Path, kit: &str) -> Result<Stores, Error> {
    let file = |name: &str| dir.join(Layout::kit_file(kit, name));
    let formats = Format::ALL
        .into_iter()
        .filter(|format| file(format.file()).exists())
        .collect();
    let path = file(Format::PASSWORD_FILE);
    let password = if path.exists() {
        Some(files::secret("the password of the PKCS#12 files", &path)?)
    } else {
        None
    };
    let mut stores = Stores { formats, password };
    furnish(&mut stores)?;
    Ok(stores)
}

/// A password, where one is needed and none is there.
fn furnish(stores: &mut Stores) -> Result<(), Error> {
    if stores.password.is_none() && stores.formats.iter().any(|format| format.wants_password()) {
        stores.password = Some(random_password()?);
    }
    Ok(())
}

/// Makes these formats in a kit, beside those it has, from the certificate and key that lie there. Where all is as
/// it should be nothing is touched, and nobody is waited for.
pub fn make(dir: &Path, kit: &Kit, formats: &[Format], ask: &dyn Ask) -> Result<Written, Error> {
    let mut stores = found(dir, &kit.name)?;
    for format in formats {
        if !stores.formats.contains(format) {
            stores.formats.push(*format);
        }
    }
    if let (None, Some(format)) = (&kit.cn, formats.iter().find(|format| format.wants_certificate())) {
        return Err(Error::DoesNotFit {
            what: format!("{format} holds a client's key, and clients have none in one-way mode"),
            remedy: "only the truststore format fits one-way mode".to_owned(),
        });
    }
    furnish(&mut stores)?;
    let file = |name: &str| dir.join(Layout::kit_file(&kit.name, name));
    let wrong = |what, path: &Path, why: String| Error::File {
        what,
        path: path.to_path_buf(),
        why,
        remedy: "`pgtls apply` writes the files of a kit anew".to_owned(),
    };
    let identity = if kit.cn.is_some() {
        let (certificate, key) = (file("client.crt"), file("client.key"));
        let chain = files::must_read("the client certificate", &certificate)?;
        let key = files::must_read("the client key", &key)?;
        let identity = Identity::load(&chain, &key, None)
            .map_err(|error| wrong("the client certificate and key", &certificate, error.to_string()))?;
        Some(identity)
    } else {
        None
    };
    let root = file("root.crt");
    let roots = Certificate::from_pem(&files::must_read("the root certificate", &root)?)
        .map_err(|error| wrong("the root certificate", &root, error.to_string()))?;
    let artifacts = stores.artifacts(&kit.name, identity.as_ref(), &roots);
    write_beside(dir, &artifacts, ask)
}
