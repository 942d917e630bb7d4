//! The root file and the revocation lists, by libpq's rules
//! (<https://www.postgresql.org/docs/18/libpq-ssl.html#LIBQ-SSL-CERTIFICATES>, fe-secure-openssl.c `initialize_SSL`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::conninfo::{Located, Resolved, RootCert};
use crate::judge::{TrustStore, certificate_hash, list_hash};
use crate::pki::{Bundle, PemError};
use crate::verify::{Cause, FileFault, Root};

use super::client::must_verify;
use crate::engine::files;

/// What the server is to be judged by. A root file that exists is used whatever the `sslmode`; one that does not is
/// missed only by `verify-ca` and `verify-full`.
pub fn read(resolved: &Resolved, notes: &mut Vec<String>) -> Result<Option<Root>, FileFault> {
    let located = match &resolved.sslrootcert {
        RootCert::System => return Ok(Some(system())),
        RootCert::File(located) => located,
    };
    let path = match located.path() {
        // libpq asks whether the path leads anywhere (`stat`), not whether it may be read.
        Some(path) if std::fs::metadata(path).is_ok() => path,
        path if must_verify(resolved) => return Err(missing(path, resolved)),
        _ => return Ok(None),
    };
    let mut bundle = bundle(path).map_err(|why| unreadable(path, &why))?;
    if bundle.certificates.is_empty() && bundle.lists.is_empty() {
        return Err(unreadable(path, "it holds no certificate in PEM"));
    }
    let revocation = lists(resolved, &mut bundle, notes);
    let store = TrustStore::new(&bundle.certificates, &bundle.lists)
        .map_err(|error| unreadable(path, &error.to_string()))?;
    let store = match revocation {
        Ok(checked) => store.check_revocation(checked),
        // A chain that does not hold without revocation holds with it no more.
        Err(why) => store.check_revocation(false).in_doubt(why),
    };
    Ok(Some(Root {
        store: Arc::new(store),
        from: path.display().to_string(),
    }))
}

fn missing(path: Option<&PathBuf>, resolved: &Resolved) -> FileFault {
    let file = path.cloned().unwrap_or_default();
    let why = match path {
        Some(path) => format!(
            "the root file {} does not exist, and sslmode={} cannot do without",
            path.display(),
            resolved.sslmode
        ),
        None => "no root file is named, and there is no home directory to look for one".to_owned(),
    };
    FileFault {
        cause: Cause::RootMissing,
        file,
        why,
    }
}

fn unreadable(path: &Path, why: &str) -> FileFault {
    FileFault {
        cause: Cause::RootUnreadable,
        file: path.to_path_buf(),
        why: format!("the root file {} cannot be used: {why}", path.display()),
    }
}

/// A file of certificates and lists, or why it is none.
fn bundle(path: &Path) -> Result<Bundle, String> {
    let bytes = files::must_read("the file", path).map_err(|error| match error {
        crate::engine::Error::File { why, .. } => why,
        other => other.to_string(),
    })?;
    Bundle::from_pem(&bytes).map_err(|error: PemError| error.to_string())
}

/// Adds the revocation lists that `sslcrl` and `sslcrldir` bring (else `~/.postgresql/root.crl`); whether lists are
/// asked for at all. As in OpenSSL (`X509_STORE_load_locations(3)`): a file that cannot be read is passed over in
/// silence and takes the directory with it, a directory counts even if it is empty or missing, and what certificates
/// these places hold are trusted like those of the root file.
///
/// The error says, in a sentence, what cannot be read here and OpenSSL may be able to read.
fn lists(resolved: &Resolved, into: &mut Bundle, notes: &mut Vec<String>) -> Result<bool, String> {
    let mut found = false;
    if let Some(path) = resolved.sslcrl.path() {
        match bundle(path) {
            Ok(more) if !more.certificates.is_empty() || !more.lists.is_empty() => {
                readable(path, &more)?;
                into.certificates.extend(more.certificates);
                into.lists.extend(more.lists);
                found = true;
            }
            outcome => {
                if matches!(resolved.sslcrl, Located::Named(_)) || path.exists() {
                    let why = outcome
                        .err()
                        .unwrap_or_else(|| "it holds no list in PEM".to_owned());
                    notes.push(format!(
                        "no revocation is checked: the list {} cannot be used ({why}), which libpq passes over in silence",
                        path.display()
                    ));
                }
                if matches!(resolved.sslcrl, Located::Named(_)) {
                    return Ok(false);
                }
            }
        }
    }
    if let Some(directories) = &resolved.sslcrldir {
        for directory in directories.to_string_lossy().split(':') {
            directory_of_lists(Path::new(directory), into)?;
        }
        found = true;
    }
    Ok(found)
}

/// Whether everything in a file of lists can be read here.
fn readable(path: &Path, found: &Bundle) -> Result<(), String> {
    TrustStore::new(&found.certificates, &found.lists)
        .map(drop)
        .map_err(|error| {
            format!(
                "{} cannot be read here: {error}; whether psql can read it, and what it finds revoked then, is not known",
                path.display()
            )
        })
}

/// The files that OpenSSL would find there: `HASH.r0`, `HASH.r1`, … of the issuers of lists, `HASH.0`, … of
/// certificates, without a gap (`openssl-rehash(1)`).
fn directory_of_lists(directory: &Path, into: &mut Bundle) -> Result<(), String> {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let hashes: BTreeSet<String> = names
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (hash, _) = name.split_once('.')?;
            let is_hash = hash.len() == 8
                && hash
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            is_hash.then(|| hash.to_owned())
        })
        .collect();
    for hash in hashes {
        let numbered = |kind: &str, number: usize| directory.join(format!("{hash}.{kind}{number}"));
        for path in (0..)
            .map(|number| numbered("r", number))
            .take_while(|path| path.exists())
        {
            if let Ok(found) = bundle(&path) {
                readable(&path, &found)?;
                if found
                    .lists
                    .iter()
                    .any(|list| list_hash(list).as_ref() == Some(&hash))
                {
                    into.lists.extend(found.lists);
                }
            }
        }
        for path in (0..)
            .map(|number| numbered("", number))
            .take_while(|path| path.exists())
        {
            if let Ok(found) = bundle(&path) {
                let known = found.certificates.iter();
                if known
                    .clone()
                    .any(|one| certificate_hash(one).as_ref() == Some(&hash))
                {
                    into.certificates.extend(found.certificates);
                }
            }
        }
    }
    Ok(())
}

/// The machine's own roots, without revocation, as libpq takes them.
fn system() -> Root {
    let (file, directory) = (
        std::env::var_os("SSL_CERT_FILE"),
        std::env::var_os("SSL_CERT_DIR"),
    );
    let mut certificates: Vec<Vec<u8>> = Vec::new();
    let mut add = |found: rustls_native_certs::CertificateResult| {
        certificates.extend(found.certs.into_iter().map(|der| der.to_vec()));
    };
    // OpenSSL looks at each of the two places by itself: a variable replaces its own default only.
    if file.is_some() != directory.is_some() {
        let own = ["/usr/lib/ssl", "/etc/ssl", "/etc/pki/tls"].map(Path::new);
        let first = |name: &str| {
            own.iter()
                .map(|place| place.join(name))
                .find(|path| path.exists())
        };
        let rest = if file.is_some() {
            rustls_native_certs::load_certs_from_paths(None, first("certs").as_deref())
        } else {
            rustls_native_certs::load_certs_from_paths(first("cert.pem").as_deref(), None)
        };
        add(rest);
    }
    add(rustls_native_certs::load_native_certs());
    let readable = |der: &Vec<u8>| TrustStore::new(std::slice::from_ref(der), &[]).is_ok();
    certificates.retain(readable);
    Root {
        store: Arc::new(
            TrustStore::new(&certificates, &[])
                .or_else(|_| TrustStore::new(&[], &[]))
                .unwrap_or_default(),
        ),
        from: "the system's roots".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::fs;
    use std::process::Command;

    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
        KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
    };
    use time::OffsetDateTime;

    use crate::conninfo::{Conninfo, Environment, resolve};
    use crate::judge::{self, Purpose, judge_chain};
    use crate::verify::Cause;

    use super::*;

    /// Two CAs in one root file, a server certificate of the first, and each one's list, of which the first revokes it.
    struct World {
        home: tempfile::TempDir,
        leaf: Vec<u8>,
    }

    impl World {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let now = OffsetDateTime::now_utc();
            let mut roots = String::new();
            let mut leaf = Vec::new();
            for name in ["first", "second"] {
                let key = KeyPair::generate().unwrap();
                let mut params = CertificateParams::new(Vec::new()).unwrap();
                params.distinguished_name.push(DnType::CommonName, name);
                params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
                roots += &params.self_signed(&key).unwrap().pem();
                let issuer = Issuer::new(params, key);
                if name == "first" {
                    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
                    params.serial_number = Some(SerialNumber::from(7));
                    let key = KeyPair::generate().unwrap();
                    leaf = params.signed_by(&key, &issuer).unwrap().der().to_vec();
                }
                let revoked = RevokedCertParams {
                    serial_number: SerialNumber::from(7),
                    revocation_time: now,
                    reason_code: None,
                    invalidity_date: None,
                };
                let list = CertificateRevocationListParams {
                    this_update: now - time::Duration::HOUR,
                    next_update: now + time::Duration::DAY,
                    crl_number: SerialNumber::from(1),
                    issuing_distribution_point: None,
                    revoked_certs: vec![revoked],
                    key_identifier_method: KeyIdMethod::Sha256,
                };
                let pem = list.signed_by(&issuer).unwrap().pem().unwrap();
                fs::write(home.path().join(format!("{name}.crl")), pem).unwrap();
            }
            let world = Self { home, leaf };
            world.write("root.crt", &roots);
            fs::create_dir(world.path(".postgresql")).unwrap();
            fs::create_dir(world.path("empty")).unwrap();
            world.write("nothing.crl", "");
            world
        }

        fn path(&self, name: &str) -> PathBuf {
            self.home.path().join(name)
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.path(name), text).unwrap();
        }

        /// What is read under these words, where `~` stands for the home directory; and what is noted.
        fn read(&self, words: &str) -> (Result<Option<Root>, FileFault>, Vec<String>) {
            let words = words.replace('~', self.home.path().to_str().unwrap());
            let env = Environment {
                home: Some(self.home.path().to_owned()),
                user: Some("me".to_owned()),
                ..Environment::default()
            };
            let resolved = resolve(Conninfo::parse(&format!("host=db {words}")).unwrap(), &env).unwrap();
            let mut notes = Vec::new();
            (read(&resolved, &mut notes), notes)
        }

        /// What becomes of the revoked certificate; and how much was noted.
        fn verdict(&self, words: &str) -> (Option<judge::Cause>, usize) {
            let (root, notes) = self.read(&format!("sslmode=verify-ca sslrootcert=~/root.crt {words}"));
            let store = root.unwrap().unwrap().store;
            let chain = [self.leaf.as_slice().into()];
            let judged = judge_chain(&chain, &store, Purpose::Server, OffsetDateTime::now_utc());
            (judged.err().map(|refusal| refusal.cause), notes.len())
        }
    }

    /// libpq-ssl, "Client Verification of Server Certificates": "if a root CA file exists", `require` is `verify-ca`; only
    /// the two strict modes cannot do without.
    #[test]
    fn a_root_file_is_used_where_it_is_and_missed_where_it_must_be() {
        let world = World::new();
        for (sslmode, is_strict) in [
            ("prefer", false),
            ("require", false),
            ("verify-ca", true),
            ("verify-full", true),
        ] {
            let (there, _) = world.read(&format!("sslmode={sslmode} sslrootcert=~/root.crt"));
            assert_eq!(there.unwrap().unwrap().store.len(), 2);
            for missing in ["sslrootcert=~/none.crt", ""] {
                let (outcome, _) = world.read(&format!("sslmode={sslmode} {missing}"));
                let cause = outcome
                    .map(|root| assert!(root.is_none()))
                    .err()
                    .map(|fault| fault.cause);
                assert_eq!(
                    cause,
                    is_strict.then_some(Cause::RootMissing),
                    "{sslmode} {missing}"
                );
            }
            let (empty, _) = world.read(&format!("sslmode={sslmode} sslrootcert=~/nothing.crl"));
            assert_eq!(empty.err().map(|fault| fault.cause), Some(Cause::RootUnreadable));
        }
        world.write(
            ".postgresql/root.crt",
            &fs::read_to_string(world.path("root.crt")).unwrap(),
        );
        assert!(world.read("sslmode=require").0.unwrap().is_some());
    }

    /// libpq-connect, `sslcrl` and `sslcrldir`; `X509_STORE_load_locations(3)`: the file first, and without it nothing.
    #[test]
    fn lists_are_asked_where_libpq_asks_them() {
        use judge::Cause::{CrlMissing, CrlUnread, Revoked};
        let world = World::new();
        // Lists in the root file itself are never asked.
        assert_eq!(world.verdict(""), (None, 0));
        assert_eq!(world.verdict("sslcrl=~/first.crl"), (Some(Revoked), 0));
        // Whole chain: the list of another CA is none of this one's.
        assert_eq!(world.verdict("sslcrl=~/second.crl"), (Some(CrlMissing), 0));
        // What cannot be read is passed over, and takes the directory with it; we say so.
        for unusable in [
            "sslcrl=~/none.crl",
            "sslcrl=~/nothing.crl",
            "sslcrl=~/none.crl sslcrldir=~/empty",
        ] {
            assert_eq!(world.verdict(unusable), (None, 1), "{unusable}");
        }
        // What cannot be read here OpenSSL may be able to read: no verdict.
        world.write("odd.crl", &crate::pki::revocation_list_pem(b"\x30\x02\x05\0"));
        for doubtful in ["sslcrl=~/odd.crl", "sslcrl=~/odd.crl sslcrldir=~/empty"] {
            assert_eq!(world.verdict(doubtful), (Some(CrlUnread), 0), "{doubtful}");
        }
        // A directory counts even if it is empty or missing.
        assert_eq!(world.verdict("sslcrldir=~/empty"), (Some(CrlMissing), 0));
        assert_eq!(world.verdict("sslcrldir=~/none"), (Some(CrlMissing), 0));
        // The default file: used where it is, nothing said where it is not; never beside a directory that is named.
        fs::copy(world.path("first.crl"), world.path(".postgresql/root.crl")).unwrap();
        assert_eq!(world.verdict(""), (Some(Revoked), 0));
        world.write(".postgresql/root.crl", "");
        assert_eq!(world.verdict(""), (None, 1));
        assert_eq!(world.verdict("sslcrldir=~/empty"), (Some(CrlMissing), 0));
    }

    /// `openssl-rehash(1)`: `HASH.rN` counted from 0 without a gap; several directories with colons between.
    #[test]
    fn a_directory_is_read_by_the_names_that_openssl_gives() {
        use judge::Cause::{CrlMissing, Revoked};
        let world = World::new();
        fs::create_dir(world.path("lists")).unwrap();
        fs::copy(world.path("first.crl"), world.path("lists/first.crl")).unwrap();
        // A name that says nothing is not opened.
        assert_eq!(world.verdict("sslcrldir=~/lists").0, Some(CrlMissing));
        let done = Command::new("openssl")
            .arg("rehash")
            .arg(world.path("lists"))
            .status();
        assert!(done.unwrap().success());
        assert_eq!(world.verdict("sslcrldir=~/lists").0, Some(Revoked));
        assert_eq!(world.verdict("sslcrldir=~/empty:~/lists").0, Some(Revoked));
        let hashed = fs::read_dir(world.path("lists"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|end| end == "r0"))
            .unwrap();
        let mine = hashed.file_stem().unwrap().to_str().unwrap();
        assert_eq!(mine.len(), 8);
        // Behind a gap it is not found, nor under another issuer's hash.
        fs::rename(&hashed, hashed.with_extension("r1")).unwrap();
        assert_eq!(world.verdict("sslcrldir=~/lists").0, Some(CrlMissing));
        fs::rename(hashed.with_extension("r1"), world.path("lists/0123abcd.r0")).unwrap();
        assert_eq!(world.verdict("sslcrldir=~/lists").0, Some(CrlMissing));
    }
}
