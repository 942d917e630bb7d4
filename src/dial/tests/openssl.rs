//! Certificates by the openssl program: the witness is not our own code.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use secrecy::SecretSlice;
use tempfile::TempDir;

use crate::dial::ClientIdentity;

/// How `openssl genpkey` names a kind of key.
pub const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
pub const P384: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"];
pub const P521: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"];
pub const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
pub const ED25519: &[&str] = &["-algorithm", "ED25519"];

/// A directory with a CA in it, which issues.
pub struct Ca {
    dir: TempDir,
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "openssl {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Ca {
    /// A CA with this kind of key; `digest` are more arguments for its signature.
    pub fn new(key: &[&str]) -> Self {
        let ca = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        ca.key("ca", key);
        let arguments = [
            "req",
            "-x509",
            "-new",
            "-key",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            "30",
            "-subj",
            "/CN=Test CA",
        ];
        openssl(ca.dir.path(), &arguments);
        ca
    }

    fn key(&self, name: &str, key: &[&str]) {
        let file = format!("{name}.key");
        openssl(self.dir.path(), &[&["genpkey", "-out", &file], key].concat());
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues NAME.crt and NAME.key. Without `extensions` the certificate is X.509 v1.
    pub fn issue(&self, name: &str, common_name: &str, key: &[&str], extensions: &str, signature: &[&str]) {
        let dir = self.dir.path();
        self.key(name, key);
        let file = |suffix: &str| format!("{name}.{suffix}");
        openssl(
            dir,
            &[
                "req",
                "-new",
                "-key",
                &file("key"),
                "-out",
                &file("csr"),
                "-subj",
                &format!("/CN={common_name}"),
            ],
        );
        let (csr, crt, ext) = (file("csr"), file("crt"), file("ext"));
        let mut arguments = vec!["x509", "-req", "-in", &csr, "-out", &crt, "-days", "20"];
        arguments.extend(["-CA", "ca.crt", "-CAkey", "ca.key", "-set_serial", "7"]);
        arguments.extend(signature);
        if !extensions.is_empty() {
            fs::write(self.file(&ext), extensions).unwrap();
            arguments.extend(["-extfile", &ext]);
        }
        openssl(dir, &arguments);
    }

    pub fn issue_server(&self, key: &[&str], signature: &[&str]) {
        self.issue(
            "server",
            "localhost",
            key,
            "subjectAltName=DNS:localhost,IP:127.0.0.1\n",
            signature,
        );
    }

    pub fn der(&self, name: &str) -> CertificateDer<'static> {
        let out = self.file(&format!("{name}.der"));
        let file = format!("{name}.crt");
        openssl(
            self.dir.path(),
            &[
                "x509",
                "-in",
                &file,
                "-outform",
                "DER",
                "-out",
                out.to_str().unwrap(),
            ],
        );
        CertificateDer::from(fs::read(out).unwrap())
    }

    pub fn pkcs8(&self, name: &str) -> SecretSlice<u8> {
        let out = self.file(&format!("{name}.pk8"));
        let file = format!("{name}.key");
        let arguments = [
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            &file,
            "-outform",
            "DER",
            "-out",
            out.to_str().unwrap(),
        ];
        openssl(self.dir.path(), &arguments);
        SecretSlice::from(fs::read(out).unwrap())
    }

    pub fn identity(&self, name: &str) -> ClientIdentity {
        ClientIdentity::new(vec![self.der(name)], &self.pkcs8(name)).unwrap()
    }
}
