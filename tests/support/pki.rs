//! Certificates made by the `openssl` command, so that pgtls is never judged by its own work.

use std::fs;
use std::path::{Path, PathBuf};

use time::macros::format_description;
use time::{Duration, OffsetDateTime};

use super::{Job, scratch};

/// What every certificate that is no CA's says.
const END_ENTITY: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n";

/// A certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// The certificate.
    pub cert: PathBuf,
    /// The key, PKCS#8, mode 0600.
    pub key: PathBuf,
}

impl Leaf {
    /// A self-signed server certificate as the tutorials make it: `openssl req -x509`.
    pub fn self_signed(names: &[&str]) -> Self {
        let dir = scratch("self-signed");
        let leaf = Self {
            cert: dir.join("server.crt"),
            key: dir.join("server.key"),
        };
        new_key(&leaf.key);
        openssl(
            &dir,
            &[
                "req",
                "-x509",
                "-new",
                "-key",
                "server.key",
                "-out",
                "server.crt",
                "-days",
                "30",
            ],
        )
        .args([
            "-subj",
            &format!("/CN={}", names[0]),
            "-addext",
            &format!("subjectAltName={}", san(names)),
        ])
        .run()
        .expect_ok("openssl req -x509");
        leaf
    }
}

/// A certificate authority of its own: P-256, valid from a day ago for ten years.
#[derive(Debug)]
pub struct Ca {
    dir: PathBuf,
    /// Its certificate.
    pub cert: PathBuf,
    /// Its key, PKCS#8, mode 0600.
    pub key: PathBuf,
}

impl Ca {
    /// Makes one with that CN.
    pub fn new(name: &str) -> Self {
        let dir = scratch("ca");
        let (cert, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        new_key(&key);
        openssl(
            &dir,
            &[
                "req", "-x509", "-new", "-key", "ca.key", "-out", "ca.crt", "-days", "3650",
            ],
        )
        .args([
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign",
        ])
        .run()
        .expect_ok("openssl req -x509");
        Self { dir, cert, key }
    }

    /// A CA whose certificate ended two days ago, signed by this one's key.
    pub fn expired(&self) -> Leaf {
        self.issue(
            "expired ca",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign",
            -30,
            -2,
        )
    }

    /// One that already exists, such as the CA that pgtls made.
    pub fn existing(cert: &Path, key: &Path) -> Self {
        Self {
            dir: scratch("ca"),
            cert: cert.to_owned(),
            key: key.to_owned(),
        }
    }

    /// A server certificate for those names (DNS names and addresses), valid from yesterday for 30 days.
    pub fn server(&self, names: &[&str]) -> Leaf {
        self.server_between(names, -1, 30)
    }

    /// A server certificate valid between two moments, in days from now.
    pub fn server_between(&self, names: &[&str], from: i64, to: i64) -> Leaf {
        self.issue(
            names[0],
            &format!("extendedKeyUsage=serverAuth\nsubjectAltName={}", san(names)),
            from,
            to,
        )
    }

    /// A server certificate for a key that OpenSSL refuses: RSA with 1024 bits.
    pub fn weak_server(&self, names: &[&str]) -> Leaf {
        let dir = scratch("weak");
        let key = dir.join("key");
        Job::new("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:1024",
                "-out",
            ])
            .arg(&key)
            .run()
            .expect_ok("openssl genpkey");
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let cert = self.sign(&request(&key, names));
        Leaf { cert, key }
    }

    /// A client certificate with that CN, valid from yesterday for 30 days.
    pub fn client(&self, cn: &str) -> Leaf {
        self.client_between(cn, -1, 30)
    }

    /// A client certificate valid between two moments, in days from now.
    pub fn client_between(&self, cn: &str, from: i64, to: i64) -> Leaf {
        self.issue(cn, &format!("{END_ENTITY}extendedKeyUsage=clientAuth"), from, to)
    }

    /// A CA below this one.
    pub fn intermediate(&self, cn: &str) -> Self {
        let leaf = self.issue(
            cn,
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign",
            -1,
            300,
        );
        Self::existing(&leaf.cert, &leaf.key)
    }

    /// The certificate for a request, with the names and uses that it asks for, as a CA answers.
    pub fn sign(&self, request: &Path) -> PathBuf {
        self.sign_between(request, -1, 90)
    }

    /// The same, valid between two moments, in days from now.
    pub fn sign_between(&self, request: &Path, from: i64, to: i64) -> PathBuf {
        let dir = scratch("signed");
        let config = "[ca]\ndefault_ca=ours\n[ours]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n\
                      policy=any\nunique_subject=no\ncopy_extensions=copy\n[any]\ncommonName=optional\n\
                      [leaf]\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\nbasicConstraints=critical,CA:FALSE\n";
        fs::write(dir.join("config"), config).unwrap();
        fs::write(dir.join("index"), "").unwrap();
        let arguments = [
            "ca",
            "-batch",
            "-notext",
            "-config",
            "config",
            "-extensions",
            "leaf",
            "-utf8",
            "-startdate",
            &moment(from),
            "-enddate",
            &moment(to),
            "-out",
            "crt",
        ];
        openssl(&dir, &arguments)
            .arg("-in")
            .arg(request)
            .arg("-cert")
            .arg(&self.cert)
            .arg("-keyfile")
            .arg(&self.key)
            .run()
            .expect_ok("openssl ca");
        dir.join("crt")
    }

    /// A revocation list in PEM that holds between two moments, in days from now.
    pub fn list(&self, revoked: &[&Leaf], from: i64, to: i64) -> PathBuf {
        let dir = scratch("list");
        let config = "[ca]\ndefault_ca=ours\n[ours]\ndatabase=index\ndefault_md=sha256\ncrlnumber=number\n\
                      crl_extensions=crl\n[crl]\nauthorityKeyIdentifier=keyid\n";
        fs::write(dir.join("config"), config).unwrap();
        fs::write(dir.join("index"), "").unwrap();
        fs::write(dir.join("number"), "01\n").unwrap();
        let ours = |arguments: &[&str]| {
            openssl(&dir, &["ca", "-config", "config"])
                .arg("-cert")
                .arg(&self.cert)
                .arg("-keyfile")
                .arg(&self.key)
                .args(arguments)
                .run()
                .expect_ok("openssl ca");
        };
        for leaf in revoked {
            ours(&["-revoke", leaf.cert.to_str().unwrap()]);
        }
        ours(&[
            "-gencrl",
            "-crl_lastupdate",
            &moment(from),
            "-crl_nextupdate",
            &moment(to),
            "-out",
            "crl",
        ]);
        dir.join("crl")
    }

    /// Issues by `openssl ca`, the one command of OpenSSL 3.0 that takes any dates.
    fn issue(&self, cn: &str, extensions: &str, from: i64, to: i64) -> Leaf {
        let dir = scratch("leaf");
        let leaf = Leaf {
            cert: dir.join("leaf.crt"),
            key: dir.join("leaf.key"),
        };
        new_key(&leaf.key);
        let config = format!(
            "[ca]\ndefault_ca=ours\n[ours]\ndatabase=index\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n\
             policy=any\nunique_subject=no\n[any]\ncommonName=supplied\n\
             [leaf]\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{extensions}\n\
             [req]\ndistinguished_name=any\n"
        );
        fs::write(dir.join("config"), config).unwrap();
        fs::write(dir.join("index"), "").unwrap();
        openssl(
            &dir,
            &[
                "req", "-new", "-config", "config", "-key", "leaf.key", "-out", "leaf.csr",
            ],
        )
        .args(["-utf8", "-subj", &format!("/CN={}", cn.replace('/', "\\/"))])
        .run()
        .expect_ok("openssl req");
        openssl(
            &dir,
            &[
                "ca",
                "-batch",
                "-notext",
                "-config",
                "config",
                "-extensions",
                "leaf",
                "-utf8",
            ],
        )
        .args([
            "-in",
            "leaf.csr",
            "-out",
            "leaf.crt",
            "-startdate",
            &moment(from),
            "-enddate",
            &moment(to),
        ])
        .arg("-cert")
        .arg(&self.cert)
        .arg("-keyfile")
        .arg(&self.key)
        .run()
        .expect_ok("openssl ca");
        leaf
    }
}

/// A request of this key for these names.
pub fn request(key: &Path, names: &[&str]) -> PathBuf {
    let dir = scratch("request");
    openssl(&dir, &["req", "-new", "-out", "csr"])
        .arg("-key")
        .arg(key)
        .args(["-subj", &format!("/CN={}", names[0]), "-addext"])
        .arg(format!("subjectAltName={}", san(names)))
        .run()
        .expect_ok("openssl req");
    dir.join("csr")
}

/// `openssl` in that directory.
fn openssl(dir: &Path, args: &[&str]) -> Job {
    Job::new("openssl").args(args).dir(dir)
}

fn new_key(path: &Path) {
    let curve = [
        "genpkey",
        "-algorithm",
        "EC",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-out",
    ];
    Job::new("openssl")
        .args(curve)
        .arg(path)
        .run()
        .expect_ok("openssl genpkey");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// A subjectAltName in the words of `openssl`: addresses as IP, everything else as DNS.
fn san(names: &[&str]) -> String {
    let typed = |name: &&str| match name.parse::<std::net::IpAddr>() {
        Ok(address) => format!("IP:{address}"),
        Err(_) => format!("DNS:{name}"),
    };
    names.iter().map(typed).collect::<Vec<_>>().join(",")
}

/// A moment that many days from now, as `openssl ca` wants it.
fn moment(days: i64) -> String {
    let at = OffsetDateTime::now_utc() + Duration::days(days);
    at.format(format_description!("[year][month][day][hour][minute][second]Z"))
        .unwrap()
}
