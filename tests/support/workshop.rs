//! Makes certificates and revocation lists with the openssl command line, in a directory that goes when it is dropped.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A line of the table of certificates: name, key, issuer (or `self`), subject, extensions (`; ` between them), and
/// what else (`md=sha1 from=2015 to=2020 pss=32 printable`).
pub type Recipe<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str, &'a str);

pub struct Workshop {
    dir: tempfile::TempDir,
    keys: HashSet<String>,
    /// Key, subject, whether as `PrintableString`.
    requests: Vec<(String, String, bool)>,
    serial: u32,
}

impl Workshop {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let policy: String = [
            "countryName",
            "organizationName",
            "organizationalUnitName",
            "commonName",
            "emailAddress",
        ]
        .iter()
        .fold(String::new(), |mut text, name| {
            writeln!(text, "{name}=optional").unwrap();
            text
        });
        let place = dir.path().display();
        let configuration = format!(
            "[ca]\ndefault_ca=x\n[x]\ndatabase={place}/index\nserial={place}/serial\ncrlnumber={place}/crlnumber\n\
             new_certs_dir={place}\npolicy=any\nunique_subject=no\nemail_in_dn=yes\ndefault_md=sha256\n[any]\n{policy}"
        );
        std::fs::write(dir.path().join("ca.cnf"), configuration).unwrap();
        std::fs::write(
            dir.path().join("printable.cnf"),
            "[req]\nstring_mask=default\ndistinguished_name=dn\n[dn]\n",
        )
        .unwrap();
        Self {
            dir,
            keys: HashSet::new(),
            requests: Vec::new(),
            serial: 0x1000,
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Issues one certificate; its key is made on first use.
    pub fn issue(&mut self, &(name, key, issuer, subject, extensions, options): &Recipe<'_>) {
        self.key(key);
        let option = |wanted: &str| {
            options
                .split(' ')
                .find_map(|option| option.strip_prefix(wanted)?.strip_prefix('='))
                .map(str::to_owned)
        };
        let key_file = format!("{key}.key");
        let request = self.request(key, subject, options.contains("printable"));
        self.serial += 1;
        std::fs::write(self.path("serial"), format!("{:X}\n", self.serial)).unwrap();
        std::fs::write(self.path("index"), "").unwrap();
        let certificate = format!("{name}.crt");
        let from = format!("{}0101000000Z", option("from").unwrap_or("2020".into()));
        let to = format!("{}0101000000Z", option("to").unwrap_or("2049".into()));
        let digest = option("md").unwrap_or("default".into());
        let (mut issuer_key, issuer_file) = (key_file.clone(), format!("{issuer}.crt"));
        let mut ca = vec![
            "ca",
            "-config",
            "ca.cnf",
            "-batch",
            "-notext",
            "-preserveDN",
            "-utf8",
            "-in",
            &request,
            "-out",
            &certificate,
            "-startdate",
            &from,
            "-enddate",
            &to,
            "-md",
            &digest,
        ];
        if issuer == "self" {
            ca.push("-selfsign");
        } else {
            issuer_key = std::fs::read_to_string(self.path(&format!("{issuer}.keyname"))).unwrap();
            ca.extend(["-cert", &issuer_file]);
        }
        ca.extend(["-keyfile", &issuer_key]);
        let salt = format!("rsa_pss_saltlen:{}", option("pss").unwrap_or_default());
        if options.contains("pss=") {
            ca.extend(["-sigopt", "rsa_padding_mode:pss", "-sigopt", &salt]);
        }
        if !extensions.is_empty() {
            std::fs::write(
                self.path("ext"),
                format!("[e]\n{}\n", extensions.replace("; ", "\n")),
            )
            .unwrap();
            ca.extend(["-extfile", "ext", "-extensions", "e"]);
        }
        self.openssl(&ca);
        std::fs::write(self.path(&format!("{name}.keyname")), key_file).unwrap();
    }

    /// The request for a key and a subject, made on first use.
    fn request(&mut self, key: &str, subject: &str, printable: bool) -> String {
        let wanted = (key.to_owned(), subject.to_owned(), printable);
        let known = self.requests.iter().position(|request| *request == wanted);
        let number = known.unwrap_or(self.requests.len());
        let file = format!("{number}.csr");
        if known.is_none() {
            self.requests.push(wanted);
            let key_file = format!("{key}.key");
            let mut req = vec![
                "req", "-new", "-utf8", "-key", &key_file, "-subj", subject, "-out", &file,
            ];
            if printable {
                req.extend(["-config", "printable.cnf"]);
            }
            self.openssl(&req);
        }
        file
    }

    /// Makes a revocation list: name, issuer, certificates revoked, extensions, first and last year, further options
    /// (`later`: of March, not of January; `-crl_…` belongs to the revoking, anything else to the list).
    pub fn list(
        &self,
        name: &str,
        issuer: &str,
        revoked: &[&str],
        extensions: &str,
        years: (&str, &str),
        more: &str,
    ) {
        std::fs::write(self.path("index"), "").unwrap();
        std::fs::write(self.path("crlnumber"), "01\n").unwrap();
        let mut configuration = std::fs::read_to_string(self.path("ca.cnf")).unwrap();
        write!(configuration, "\n[c]\n{}\n", extensions.replace("; ", "\n")).unwrap();
        std::fs::write(self.path("crl.cnf"), configuration).unwrap();
        let issuer_file = format!("{issuer}.crt");
        let key = std::fs::read_to_string(self.path(&format!("{issuer}.keyname"))).unwrap();
        let by = [
            "ca",
            "-config",
            "crl.cnf",
            "-cert",
            &issuer_file,
            "-keyfile",
            &key,
        ];
        let options: Vec<_> = more
            .split_whitespace()
            .filter(|option| *option != "later")
            .collect();
        let (reasons, digest) = if more.starts_with("-crl") {
            (options, vec![])
        } else {
            (vec![], options)
        };
        for certificate in revoked {
            let file = format!("{certificate}.crt");
            self.openssl(&[&by[..], &["-revoke", &file], &reasons].concat());
        }
        let month = if more == "later" { "03" } else { "01" };
        let (from, to) = (
            format!("{}{month}01000000Z", years.0),
            format!("{}0101000000Z", years.1),
        );
        let out = format!("{name}.crl");
        let mut arguments = [
            &by[..],
            &[
                "-gencrl",
                "-crl_lastupdate",
                &from,
                "-crl_nextupdate",
                &to,
                "-out",
                &out,
            ],
            &digest,
        ]
        .concat();
        if !extensions.is_empty() {
            arguments.extend(["-crlexts", "c"]);
        }
        self.openssl(&arguments);
    }

    /// Writes a copy with one bit of the signature changed.
    pub fn damage(&self, original: &str, copy: &str) {
        let mut der = self.der(original, "crt");
        let last = der.len() - 1;
        der[last] ^= 1;
        let lines: Vec<_> = STANDARD
            .encode(der)
            .into_bytes()
            .chunks(64)
            .map(|line| String::from_utf8(line.to_vec()).unwrap())
            .collect();
        let text = format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            lines.join("\n")
        );
        std::fs::write(self.path(&format!("{copy}.crt")), text).unwrap();
    }

    pub fn der(&self, name: &str, extension: &str) -> Vec<u8> {
        let text = std::fs::read_to_string(self.path(&format!("{name}.{extension}"))).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(body).unwrap()
    }

    /// Concatenates PEM files.
    pub fn bundle(&self, out: &str, names: &[String], extension: &str) -> PathBuf {
        let read =
            |name: &String| std::fs::read_to_string(self.path(&format!("{name}.{extension}"))).unwrap();
        let path = self.path(out);
        std::fs::write(&path, names.iter().map(read).collect::<String>()).unwrap();
        path
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut openssl = Command::new("openssl");
        openssl
            .args(arguments)
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = self.run(arguments);
        assert!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// `p256`, `rsa2048`, `ed25519`… with an optional `-2` after it for another key of the kind.
    fn key(&mut self, name: &str) {
        if !self.keys.insert(name.to_owned()) {
            return;
        }
        let kind = name.split('-').next().unwrap();
        let out = format!("{name}.key");
        let curve = |curve: &str| format!("ec_paramgen_curve:{curve}");
        let (algorithm, options) = match kind {
            "p224" | "p256" | "p384" | "p521" => ("EC", vec![curve(&kind.replace('p', "P-"))]),
            "p256explicit" => ("EC", vec![curve("P-256"), "ec_param_enc:explicit".into()]),
            "ed25519" | "ed448" => (kind, vec![]),
            other if other.starts_with("rsa") => ("RSA", vec![format!("rsa_keygen_bits:{}", &other[3..])]),
            // `pss2048`, or `pss2048sha256`: restricted to a digest.
            other if other.starts_with("pss") => {
                let bits = other[3..].split("sha").next().unwrap();
                let mut options = vec![format!("rsa_keygen_bits:{bits}")];
                if let Some(digest) = other[3..].strip_prefix(bits).filter(|digest| !digest.is_empty()) {
                    options.extend(["md", "mgf1_md"].map(|what| format!("rsa_pss_keygen_{what}:{digest}")));
                    options.push(format!(
                        "rsa_pss_keygen_saltlen:{}",
                        digest[3..].parse::<u32>().unwrap() / 8
                    ));
                }
                ("RSA-PSS", options)
            }
            other => ("EC", vec![curve(other)]),
        };
        let mut arguments = vec!["genpkey", "-algorithm", algorithm, "-out", &out];
        for option in &options {
            arguments.extend(["-pkeyopt", option]);
        }
        self.openssl(&arguments);
    }
}
