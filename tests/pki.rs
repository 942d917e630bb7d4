//! Keys and certificates, with the `openssl` program as the witness: it verifies what pgtls issues and writes what
//! pgtls reads.

use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use pgtls::pki::{
    Algorithm, Authority, AuthorityError, Certificate, HostName, Identity, KeyError, PrivateKey, Reason,
};
use proptest::prelude::*;
use secrecy::SecretString;
use tempfile::TempDir;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

/// Runs openssl in `dir`; its output, or its complaint.
fn try_openssl(dir: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .expect("these tests need the openssl program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stdout) + &text(&output.stderr))
    }
}

fn openssl(dir: &Path, arguments: &[&str]) -> String {
    try_openssl(dir, arguments).unwrap_or_else(|error| panic!("openssl {arguments:?}: {error}"))
}

fn put(dir: &TempDir, name: &str, bytes: impl AsRef<[u8]>) {
    std::fs::write(dir.path().join(name), bytes).expect("the temporary directory takes files");
}

fn read(dir: &TempDir, name: &str) -> Vec<u8> {
    std::fs::read(dir.path().join(name)).expect("openssl wrote the file")
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn hosts(names: &[&str]) -> Vec<HostName> {
    names
        .iter()
        .map(|name| name.parse().expect("a host name"))
        .collect()
}

fn verify(dir: &TempDir, purpose: &str, identity: &Identity, root: &Certificate) -> Result<String, String> {
    put(dir, "root.crt", root.to_pem());
    put(dir, "leaf.crt", identity.chain_pem());
    let verify = [
        "verify",
        "-x509_strict",
        "-purpose",
        purpose,
        "-CAfile",
        "root.crt",
        "-untrusted",
        "leaf.crt",
    ];
    try_openssl(dir.path(), &[&verify[..], &["leaf.crt"]].concat())
}

/// The four kinds of key that take different code; RSA sizes differ in a number only and are costly in time.
const KINDS: [Algorithm; 4] = [
    Algorithm::P256,
    Algorithm::P384,
    Algorithm::Rsa2048,
    Algorithm::Ed25519,
];

#[test]
fn openssl_accepts_every_certificate_of_every_ca() {
    let dir = TempDir::new().unwrap();
    for of_ca in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa2048] {
        let ca = Authority::create("pgtls CA test", of_ca, 3650, now()).unwrap();
        put(&dir, "root.crt", ca.certificate().to_pem());
        openssl(
            dir.path(),
            &[
                "verify",
                "-x509_strict",
                "-check_ss_sig",
                "-CAfile",
                "root.crt",
                "root.crt",
            ],
        );
        for of_leaf in KINDS {
            let names = hosts(&["localhost", "127.0.0.1", "::1", "*.example.com"]);
            let server = ca.issue_server(&names, of_leaf, 397, now()).unwrap();
            let client = ca.issue_client("app", of_leaf, 397, now()).unwrap();
            verify(&dir, "sslserver", &server, ca.root()).unwrap();
            verify(&dir, "sslclient", &client, ca.root()).unwrap();
            assert!(verify(&dir, "sslclient", &server, ca.root()).is_err());
            assert!(verify(&dir, "sslserver", &client, ca.root()).is_err());
            for key in [server.key(), client.key()] {
                put(&dir, "key.pem", &*key.to_pem());
                openssl(dir.path(), &["pkey", "-in", "key.pem", "-check", "-noout"]);
            }
        }
    }
}

#[test]
fn openssl_accepts_the_larger_rsa_keys_on_both_sides() {
    let dir = TempDir::new().unwrap();
    let names = hosts(&["localhost"]);
    let today = now();
    for (of_ca, of_leaf) in [
        (Algorithm::Rsa3072, Algorithm::P256),
        (Algorithm::Rsa4096, Algorithm::Rsa3072),
        (Algorithm::P256, Algorithm::Rsa4096),
    ] {
        let ca = Authority::create("pgtls CA", of_ca, 90, today).unwrap();
        let server = ca.issue_server(&names, of_leaf, 30, today).unwrap();
        verify(&dir, "sslserver", &server, ca.root()).unwrap();
        for (key, algorithm) in [(ca.key(), of_ca), (server.key(), of_leaf)] {
            assert_eq!(key.kind().algorithm(), Some(algorithm));
            put(&dir, "key.pem", &*key.to_pem());
            openssl(dir.path(), &["pkey", "-in", "key.pem", "-check", "-noout"]);
        }
    }
}

#[test]
fn openssl_shows_the_extensions_that_were_meant() {
    let dir = TempDir::new().unwrap();
    let ca = Authority::create("pgtls CA shop-db", Algorithm::P256, 3650, now()).unwrap();
    let names = hosts(&["bücher.example", "127.0.0.1", "::1"]);
    let server = ca.issue_server(&names, Algorithm::Rsa2048, 90, now()).unwrap();
    let client = ca
        .issue_client("Zoë, \"ops\"", Algorithm::P256, 90, now())
        .unwrap();
    let text = |certificate: &Certificate| {
        put(&dir, "x.crt", certificate.to_pem());
        openssl(
            dir.path(),
            &[
                "x509",
                "-in",
                "x.crt",
                "-noout",
                "-text",
                "-nameopt",
                "RFC2253,-esc_msb",
            ],
        )
    };
    let key_id = |id: Option<&[u8]>| {
        let hex: Vec<_> = id.unwrap().iter().map(|byte| format!("{byte:02X}")).collect();
        hex.join(":")
    };
    let of_ca = key_id(ca.certificate().subject_key_id());
    let expected = [
        (
            text(ca.certificate()),
            vec![
                "Version: 3 (0x2)".into(),
                "Basic Constraints: critical\n                CA:TRUE, pathlen:0\n".into(),
                "Key Usage: critical\n                Certificate Sign, CRL Sign\n".into(),
                format!("Subject Key Identifier: \n                {of_ca}\n"),
                "Subject: CN=pgtls CA shop-db ".into(),
            ],
        ),
        (
            text(server.leaf()),
            vec![
                "Version: 3 (0x2)".into(),
                "Basic Constraints: critical\n                CA:FALSE\n".into(),
                "Key Usage: critical\n                Digital Signature, Key Encipherment\n".into(),
                "Extended Key Usage: \n                TLS Web Server Authentication\n".into(),
                "DNS:xn--bcher-kva.example, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1\n".into(),
                format!("Authority Key Identifier: \n                {of_ca}\n"),
                "Subject: CN=xn--bcher-kva.example\n".into(),
            ],
        ),
        (
            text(client.leaf()),
            vec![
                "Key Usage: critical\n                Digital Signature\n".into(),
                "Extended Key Usage: \n                TLS Web Client Authentication\n".into(),
                format!("Subject: {}\n", client.leaf().subject()),
            ],
        ),
    ];
    for (text, fragments) in expected {
        for fragment in fragments {
            assert!(text.contains(&fragment), "missing {fragment:?} in\n{text}");
        }
    }
    assert_eq!(client.leaf().subject(), "CN=Zoë\\, \\\"ops\\\"");
    assert!(!text(client.leaf()).contains("Subject Alternative Name"));
}

#[test]
fn what_we_say_of_a_certificate_is_what_openssl_says() {
    let dir = TempDir::new().unwrap();
    let ca = Authority::create("pgtls CA", Algorithm::P384, 3650, now()).unwrap();
    let leaf = ca.issue_client("app", Algorithm::P256, 30, now()).unwrap();
    let leaf = leaf.leaf();
    put(&dir, "x.crt", leaf.to_pem());
    let ask = |what: &str| {
        openssl(dir.path(), &["x509", "-in", "x.crt", "-noout", what])
            .trim()
            .to_lowercase()
    };
    assert_eq!(
        ask("-serial"),
        format!("serial={}", leaf.serial_hex().replace(':', ""))
    );
    let fingerprint = openssl(
        dir.path(),
        &["x509", "-in", "x.crt", "-noout", "-fingerprint", "-sha256"],
    );
    assert_eq!(
        fingerprint.trim().to_lowercase(),
        format!("sha256 fingerprint={}", leaf.fingerprint_sha256())
    );
    assert_eq!(leaf.signature_algorithm(), "ecdsa-with-SHA384");
    assert_eq!(leaf.key_description(), "P-256");
    assert_eq!(leaf.version(), 3);
    assert_eq!(leaf.serial_hex().len(), 16 * 3 - 1);
    assert_eq!((leaf.is_ca(), leaf.path_len()), (false, None));
    assert_eq!(
        (ca.certificate().is_ca(), ca.certificate().path_len()),
        (true, Some(0))
    );
    assert!(ca.certificate().is_self_issued() && !leaf.is_self_issued());
    assert!(leaf.is_signed_by(ca.certificate()) && !ca.certificate().is_signed_by(leaf));
    assert_eq!(leaf.authority_key_id(), ca.certificate().subject_key_id());
}

#[test]
fn dates_beyond_2049_and_lifetimes_are_exact() {
    let dir = TempDir::new().unwrap();
    let start = datetime!(2026-11-22 10:30:15.75 UTC);
    let ca = Authority::create("pgtls CA", Algorithm::P256, 20_000, start).unwrap();
    put(&dir, "x.crt", ca.certificate().to_pem());
    let dates = openssl(dir.path(), &["x509", "-in", "x.crt", "-noout", "-dates"]);
    assert_eq!(
        dates,
        "notBefore=Nov 22 09:30:15 2026 GMT\nnotAfter=Aug 25 10:30:15 2081 GMT\n"
    );
    for days in [1, 397, 20_000] {
        let leaf = ca.issue_client("app", Algorithm::P256, days, start).unwrap();
        assert_eq!(leaf.leaf().lifetime_days(), i64::from(days));
        assert_eq!(leaf.leaf().days_left(start), i64::from(days) - 1);
        assert_eq!(leaf.leaf().days_left(leaf.leaf().not_after()), 0);
        assert_eq!(
            leaf.leaf().days_left(leaf.leaf().not_after() + Duration::SECOND),
            -1
        );
    }
    for days in [0, 4_000_000, u32::MAX] {
        let error = Authority::create("pgtls CA", Algorithm::P256, days, start).unwrap_err();
        assert_eq!(error, AuthorityError::Lifetime { days });
    }
}

#[test]
fn keys_in_every_format_of_openssl_are_read() {
    let dir = TempDir::new().unwrap();
    let run = |command: &str| openssl(dir.path(), &command.split(' ').collect::<Vec<_>>());
    run("genrsa -out rsa.pem 2048");
    run("ecparam -name prime256v1 -genkey -out p256.pem");
    run("ecparam -name secp384r1 -genkey -noout -out p384.pem");
    run("ecparam -name secp521r1 -genkey -noout -out p521.pem");
    run("genpkey -algorithm ed25519 -out ed.pem");
    let passphrase = SecretString::from("correct horse");
    for (key, name) in [
        ("rsa", "RSA 2048"),
        ("p256", "P-256"),
        ("p384", "P-384"),
        ("p521", "P-521"),
        ("ed", "Ed25519"),
    ] {
        let fingerprint = run(&format!("pkey -in {key}.pem -pubout -out {key}.pub"));
        assert_eq!(fingerprint, "");
        run(&format!("pkey -pubin -in {key}.pub -outform DER -out {key}.spki"));
        let plain = ["pkey -in K.pem", "pkey -in K.pem -traditional"];
        let encrypted = [
            "pkcs8 -topk8 -in K.pem -passout pass:correct\u{a0}horse",
            "pkcs8 -topk8 -v2 aes-128-cbc -v2prf hmacWithSHA512 -in K.pem -passout pass:correct\u{a0}horse",
            "pkcs8 -topk8 -v2 aes-192-cbc -v2prf hmacWithSHA1 -in K.pem -passout pass:correct\u{a0}horse",
            "pkcs8 -topk8 -v2 des3 -in K.pem -passout pass:correct\u{a0}horse",
            "pkcs8 -topk8 -scrypt -in K.pem -passout pass:correct\u{a0}horse",
            "pkey -aes128 -traditional -in K.pem -passout pass:correct\u{a0}horse",
            "pkey -aes192 -traditional -in K.pem -passout pass:correct\u{a0}horse",
            "pkey -aes256 -traditional -in K.pem -passout pass:correct\u{a0}horse",
            "pkey -des3 -traditional -in K.pem -passout pass:correct\u{a0}horse",
        ];
        for command in plain.iter().chain(&encrypted) {
            if key == "ed" && command.contains("-traditional") {
                // There is no traditional form of Ed25519 keys.
                continue;
            }
            let command = command.replace('K', key);
            let arguments: Vec<_> = command
                .split(' ')
                .map(|word| word.replace('\u{a0}', " "))
                .collect();
            let pem = openssl(
                dir.path(),
                &arguments.iter().map(String::as_str).collect::<Vec<_>>(),
            );
            let read = PrivateKey::from_pem(pem.as_bytes(), Some(&passphrase))
                .unwrap_or_else(|error| panic!("{command}: {error}"));
            assert_eq!(read.algorithm_name(), name);
            assert_eq!(
                read.spki_der(),
                std::fs::read(dir.path().join(format!("{key}.spki"))).unwrap()
            );
            put(&dir, "again.pem", &*read.to_pem());
            run("pkey -in again.pem -check -noout");
            if pem.contains("ENCRYPTED") {
                assert!(encrypted.iter().any(|one| one.replace('K', key) == command));
                let wrong = PrivateKey::from_pem(pem.as_bytes(), Some(&SecretString::from("wrong")));
                assert_eq!(wrong.unwrap_err(), KeyError::WrongPassphrase, "{command}");
                assert_eq!(
                    PrivateKey::from_pem(pem.as_bytes(), None).unwrap_err(),
                    KeyError::NeedsPassphrase
                );
            }
        }
    }
}

/// An encrypted key in PEM whose iteration count was changed: making a slow one for real would be slow.
fn with_iterations(der: &[u8], before: [u8; 3], after: [u8; 3]) -> String {
    let integer = [&[0x02, 0x03], &before[..]].concat();
    let at = der
        .windows(5)
        .position(|bytes| bytes == integer)
        .expect("the iteration count");
    let der = [&der[..at + 2], &after, &der[at + 5..]].concat();
    pem("ENCRYPTED PRIVATE KEY", &der)
}

#[test]
fn what_is_no_usable_key_is_named() {
    let dir = TempDir::new().unwrap();
    let run = |command: &str| openssl(dir.path(), &command.split(' ').collect::<Vec<_>>());
    let ca = Authority::create("pgtls CA", Algorithm::P256, 30, now()).unwrap();
    put(&dir, "certificate.pem", ca.certificate().to_pem());
    put(&dir, "k.pem", &*ca.key().to_pem());
    put(&dir, "der.pem", ca.key().pkcs8_der().as_slice());
    run("pkey -in k.pem -pubout -out public.pem");
    run("genrsa -out weak.pem 1024");
    run("genpkey -algorithm ed448 -out ed448.pem");
    run("ecparam -name secp256k1 -genkey -noout -out bitcoin.pem");
    run("ecparam -name prime256v1 -param_enc explicit -genkey -noout -out explicit.pem");
    run("genpkey -algorithm rsa-pss -out pss.pem");
    run("pkcs8 -topk8 -v1 PBE-SHA1-3DES -in k.pem -passout pass:x -out pbes1.pem");
    run("pkcs8 -topk8 -iter 65536 -in k.pem -passout pass:x -outform DER -out slow.der");
    put(
        &dir,
        "slow.pem",
        with_iterations(&read(&dir, "slow.der"), [0x01, 0, 0], [0x7f, 0xff, 0xff]),
    );
    run("pkcs12 -export -in certificate.pem -inkey k.pem -passout pass:x -out bundle.pem");
    put(&dir, "cut.pem", &ca.key().to_pem()[..80]);
    put(
        &dir,
        "damaged.pem",
        ca.key().to_pem().replace("PRIVATE", "RSA PRIVATE"),
    );
    for (file, expected) in [
        ("certificate.pem", "found a certificate"),
        ("public.pem", "found a public key"),
        ("der.pem", "openssl pkey -inform DER"),
        ("bundle.pem", "openssl pkcs12"),
        ("weak.pem", "1024 bits"),
        ("ed448.pem", "Ed448"),
        ("bitcoin.pem", "secp256k1"),
        ("explicit.pem", "-param_enc named_curve"),
        ("pss.pem", "RSA-PSS"),
        ("pbes1.pem", "PBES1"),
        ("slow.pem", "minutes"),
        ("cut.pem", "cut off"),
        ("damaged.pem", "no valid RSA key"),
    ] {
        let error = PrivateKey::from_pem(&read(&dir, file), Some(&SecretString::from("x"))).unwrap_err();
        assert!(error.to_string().contains(expected), "{file}: {error}");
    }
}

#[test]
fn a_ca_of_openssl_issues_whatever_its_name_and_key() {
    let dir = TempDir::new().unwrap();
    let run = |arguments: &[&str]| openssl(dir.path(), arguments);
    let passphrase = SecretString::from("x");
    // Repeated attributes, a multi-valued RDN and string types that a re-encoding would change.
    let name = "/DC=com/DC=example/O=Exämple+OU=Ops/CN=Own CA";
    for key in [
        &["rsa:2048"][..],
        &["ec", "-pkeyopt", "ec_paramgen_curve:secp521r1"],
    ] {
        let make = [
            "req",
            "-x509",
            "-utf8",
            "-multivalue-rdn",
            "-subj",
            name,
            "-days",
            "90",
            "-addext",
            "keyUsage=keyCertSign",
            "-passout",
            "pass:x",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-newkey",
        ];
        run(&[&make[..], key].concat());
        let ca = Authority::load(
            &read(&dir, "ca.crt"),
            &read(&dir, "ca.key"),
            Some(&passphrase),
            now(),
        )
        .unwrap();
        let server = ca
            .issue_server(&hosts(&["localhost"]), Algorithm::P256, 30, now())
            .unwrap();
        verify(&dir, "sslserver", &server, ca.root()).unwrap();
        assert_eq!(server.chain().len(), 1);
        let subject = run(&[
            "x509",
            "-in",
            "ca.crt",
            "-noout",
            "-subject",
            "-nameopt",
            "RFC2253,-esc_msb",
        ]);
        assert_eq!(subject.trim(), format!("subject={}", ca.certificate().subject()));
        assert_eq!(ca.certificate().common_name(), Some("Own CA"));
    }
}

#[test]
fn an_intermediate_ca_travels_with_its_leaves() {
    let dir = TempDir::new().unwrap();
    let run = |command: &str| openssl(dir.path(), &command.split(' ').collect::<Vec<_>>());
    run(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=Root -days 90 -addext keyUsage=keyCertSign -keyout root.key -out top.crt",
    );
    put(
        &dir,
        "ca.ext",
        "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\nsubjectKeyIdentifier=hash\n\
        authorityKeyIdentifier=keyid\n",
    );
    run("req -newkey rsa:2048 -nodes -subj /CN=Inter -keyout inter.key -out inter.csr");
    run("x509 -req -in inter.csr -CA top.crt -CAkey root.key -days 60 -extfile ca.ext -out inter.crt");
    let (root, inter) = (read(&dir, "top.crt"), read(&dir, "inter.crt"));
    let key = read(&dir, "inter.key");
    let missing = Authority::load(&inter, &key, None, now()).unwrap_err();
    assert!(
        missing
            .to_string()
            .contains("append the certificates up to the root"),
        "{missing}"
    );
    let narrow = "req -x509 -key root.key -subj /CN=Root -days 90 -addext basicConstraints=critical,CA:TRUE,pathlen:0 -config empty";
    put(&dir, "empty", "[req]\ndistinguished_name=dn\n[dn]\n");
    let narrow = openssl(dir.path(), &narrow.split(' ').collect::<Vec<_>>());
    let error = Authority::load(&[&inter, narrow.as_bytes()].concat(), &key, None, now()).unwrap_err();
    assert!(error.to_string().contains("pathlen"), "{error}");
    run("x509 -req -sha1 -in inter.csr -CA top.crt -CAkey root.key -days 60 -extfile ca.ext -out sha1.crt");
    let error = Authority::load(
        &[read(&dir, "sha1.crt"), root.clone()].concat(),
        &key,
        None,
        now(),
    )
    .unwrap_err();
    assert!(error.to_string().contains("ca md too weak"), "{error}");
    let ca = Authority::load(&[inter, root].concat(), &key, None, now()).unwrap();
    assert_eq!(ca.root().common_name(), Some("Root"));
    let server = ca
        .issue_server(&hosts(&["localhost"]), Algorithm::P256, 30, now())
        .unwrap();
    assert_eq!(server.chain().len(), 2);
    verify(&dir, "sslserver", &server, ca.root()).unwrap();
    let again = Identity::load(
        server.chain_pem().as_bytes(),
        server.key().to_pem().as_bytes(),
        None,
    )
    .unwrap();
    again
        .satisfies_server(
            &hosts(&["localhost"]),
            Algorithm::P256,
            30,
            ca.certificate(),
            now(),
        )
        .unwrap();
    let reversed: String = server.chain().iter().rev().map(Certificate::to_pem).collect();
    let error = Identity::load(reversed.as_bytes(), server.key().to_pem().as_bytes(), None).unwrap_err();
    assert!(error.to_string().contains("certificate number 2"), "{error}");
    let reloaded = Authority::load(ca.to_pem().as_bytes(), &key, None, now()).unwrap();
    assert_eq!(reloaded.root(), ca.root());
}

#[test]
fn openssl_takes_an_empty_list_of_every_ca() {
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::Rsa2048] {
        let dir = TempDir::new().expect("a temporary directory");
        let ca = Authority::create("shop", algorithm, 3650, now()).expect("a CA");
        let client = ca
            .issue_client("app", Algorithm::P256, 30, now())
            .expect("a client");
        let list = ca
            .empty_list(now())
            .expect("a list")
            .expect("a CA of ours may sign one");
        put(&dir, "list.crl", pgtls::pki::revocation_list_pem(&list));
        put(&dir, "root.crt", ca.certificate().to_pem());
        put(&dir, "leaf.crt", client.chain_pem());
        let asked = ["crl", "-in", "list.crl", "-CAfile", "root.crt", "-noout", "-text"];
        let shown = openssl(dir.path(), &asked);
        assert!(shown.contains("No Revoked Certificates"), "{shown}");
        // As PostgreSQL asks for lists.
        let verify = [
            "verify",
            "-x509_strict",
            "-crl_check_all",
            "-purpose",
            "sslclient",
            "-CAfile",
            "root.crt",
        ];
        let with = |list: &[&str]| try_openssl(dir.path(), &[&verify[..], list, &["leaf.crt"]].concat());
        with(&["-CRLfile", "list.crl"]).expect("nothing is revoked");
        let without = with(&[]).expect_err("no list");
        assert!(without.contains("unable to get certificate CRL"), "{without}");
        // Of another CA by the same name it is no list.
        let other = Authority::create("shop", algorithm, 3650, now()).expect("a CA");
        put(&dir, "root.crt", other.certificate().to_pem());
        put(
            &dir,
            "leaf.crt",
            other
                .issue_client("app", Algorithm::P256, 30, now())
                .expect("a client")
                .chain_pem(),
        );
        with(&["-CRLfile", "list.crl"]).expect_err("another CA");
    }
}

#[test]
fn what_cannot_be_a_ca_is_refused() {
    let dir = TempDir::new().unwrap();
    let run = |command: &str| openssl(dir.path(), &command.split(' ').collect::<Vec<_>>());
    let today = now();
    let ca = Authority::create("pgtls CA", Algorithm::P256, 30, today).unwrap();
    let other = Authority::create("pgtls CA", Algorithm::P256, 30, today).unwrap();
    assert_ne!(ca.certificate().subject(), other.certificate().subject());
    let load = |certificate: &str, key: &str, at| {
        Authority::load(certificate.as_bytes(), key.as_bytes(), None, at)
            .unwrap_err()
            .to_string()
    };
    let (certificate, key) = (ca.to_pem(), ca.key().to_pem());
    let leaf = ca.issue_client("app", Algorithm::P256, 10, today).unwrap();
    run("req -x509 -newkey ed25519 -nodes -subj /CN=Ed -days 90 -keyout ed.key -out ed.crt");
    run(
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=NoSign -days 90 -addext keyUsage=cRLSign -keyout n.key -out n.crt",
    );
    run("req -newkey rsa:2048 -nodes -subj /CN=V1 -keyout v1.key -out v1.csr");
    run("x509 -req -in v1.csr -signkey v1.key -days 30 -out v1.crt");
    let text = |name: &str| String::from_utf8(read(&dir, name)).unwrap();
    for (error, expected) in [
        (
            load(&certificate, &other.key().to_pem(), today),
            "does not fit the CA certificate",
        ),
        (load(&certificate, &key, today + Duration::days(31)), "expired on"),
        (
            load(&certificate, &key, today - Duration::days(1)),
            "is valid from",
        ),
        (
            load(&leaf.chain_pem(), &leaf.key().to_pem(), today),
            "do not say CA:TRUE",
        ),
        (load(&text("ed.crt"), &text("ed.key"), today), "Ed25519"),
        (load(&text("n.crt"), &text("n.key"), today), "lacks keyCertSign"),
        (load(&text("v1.crt"), &text("v1.key"), today), "version 1"),
        (load(&key, &key, today), "found a private key"),
        (load(&certificate, &certificate, today), "found a certificate"),
    ] {
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(
        Authority::create("x", Algorithm::Ed25519, 30, today).unwrap_err(),
        AuthorityError::Ed25519
    );
    // The version 1 certificate is no CA, but it is read and described.
    let v1 = Certificate::from_pem(&read(&dir, "v1.crt")).unwrap().remove(0);
    assert_eq!(
        (v1.version(), v1.common_name(), v1.is_ca()),
        (1, Some("V1"), false)
    );
}

#[test]
fn leaves_do_not_outlive_their_ca_and_names_are_bounded() {
    let today = now();
    let ca = Authority::create("pgtls CA", Algorithm::P256, 30, today).unwrap();
    ca.issue_client("app", Algorithm::P256, 30, today).unwrap();
    let later = today + Duration::days(3);
    let error = ca.issue_client("app", Algorithm::P256, 30, later).unwrap_err();
    assert!(matches!(
        error,
        AuthorityError::OutlivesCa {
            days: 30,
            most: 27,
            ..
        }
    ));
    assert!(error.to_string().contains("use --days 27 or fewer"), "{error}");
    for (name, expected) in [
        ("", "empty"),
        ("a\0b", "control"),
        (&"x".repeat(65), "64 characters"),
    ] {
        let error = ca
            .issue_client(name, Algorithm::P256, 1, today)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(
        ca.issue_server(&[], Algorithm::P256, 1, today).unwrap_err(),
        AuthorityError::NoHosts
    );
}

#[test]
fn a_name_too_long_for_a_cn_is_in_the_san_alone() {
    let dir = TempDir::new().unwrap();
    let today = now();
    let ca = Authority::create(&"long ".repeat(40), Algorithm::P256, 30, today).unwrap();
    let long = format!("{}.example.com", "a".repeat(60));
    let server = ca
        .issue_server(&hosts(&[&long]), Algorithm::P256, 30, today)
        .unwrap();
    assert_eq!(server.leaf().common_name(), None);
    verify(&dir, "sslserver", &server, ca.root()).unwrap();
    let text = openssl(
        dir.path(),
        &["x509", "-in", "leaf.crt", "-noout", "-ext", "subjectAltName"],
    );
    assert!(text.contains("critical") && text.contains(&long), "{text}");
}

#[test]
fn what_no_longer_serves_says_why() {
    let today = now();
    let ca = Authority::create("pgtls CA", Algorithm::P256, 365, today).unwrap();
    let other = Authority::create("pgtls CA", Algorithm::P256, 365, today).unwrap();
    let names = hosts(&["localhost", "127.0.0.1"]);
    let server = ca.issue_server(&names, Algorithm::P256, 90, today).unwrap();
    let ask = |names: &[&str], algorithm, days, issuer: &Authority, at| {
        server
            .satisfies_server(&hosts(names), algorithm, days, issuer.certificate(), at)
            .map_err(|reason| reason.to_string())
    };
    let both = ["127.0.0.1", "localhost"];
    let p256 = Algorithm::P256;
    assert_eq!(ask(&both, p256, 90, &ca, today), Ok(()));
    for (answer, expected) in [
        (
            ask(&both, Algorithm::Rsa2048, 90, &ca, today),
            "its key is P-256, the setup asks for RSA 2048",
        ),
        (
            ask(&both, p256, 91, &ca, today),
            "it was made for 90 days, the setup asks for 91",
        ),
        (
            ask(&both, p256, 90, &other, today),
            "it was not issued by the present CA",
        ),
        (
            ask(&["db", "localhost"], p256, 90, &ca, today),
            "db is missing from its names",
        ),
        (
            ask(&["localhost"], p256, 90, &ca, today),
            "it still carries the name 127.0.0.1",
        ),
        (
            ask(&both, p256, 90, &ca, today + Duration::days(91)),
            "it expired on",
        ),
        (
            ask(&both, p256, 90, &ca, today - Duration::days(1)),
            "it is valid from",
        ),
    ] {
        let reason = answer.unwrap_err();
        assert!(reason.starts_with(expected), "{reason}");
    }
    let client = ca.issue_client("app", p256, 90, today).unwrap();
    let root = ca.certificate();
    assert_eq!(client.satisfies_client("app", p256, 90, root, today), Ok(()));
    let reason = client.satisfies_client("App", p256, 90, root, today).unwrap_err();
    assert_eq!(
        reason.to_string(),
        "its common name is \"app\", the setup asks for \"App\""
    );
    let reason = client
        .satisfies_server(&names, p256, 90, root, today)
        .unwrap_err();
    assert_eq!(reason, Reason::WrongPurpose("serverAuth"));
}

#[test]
fn certificates_are_read_as_leniently_as_openssl_does() {
    let dir = TempDir::new().unwrap();
    let today = now();
    let ca = Authority::create("pgtls CA", Algorithm::P256, 30, today).unwrap();
    let client = ca.issue_client("app", Algorithm::P256, 30, today).unwrap();
    put(&dir, "x.crt", ca.certificate().to_pem());
    let texts = openssl(dir.path(), &["x509", "-in", "x.crt", "-text"]);
    let trusted = openssl(
        dir.path(),
        &["x509", "-in", "x.crt", "-trustout", "-addtrust", "serverAuth"],
    );
    assert!(trusted.contains("TRUSTED CERTIFICATE"));
    let file =
        format!("{texts}{}{trusted}{}", *client.key().to_pem(), client.chain_pem()).replace('\n', "\r\n");
    let read = Certificate::from_pem(file.as_bytes()).unwrap();
    assert_eq!(
        read,
        [
            ca.certificate().clone(),
            ca.certificate().clone(),
            client.leaf().clone()
        ]
    );
    assert_eq!(
        Certificate::from_der(client.leaf().der()).unwrap(),
        *client.leaf()
    );
    let longer = [client.leaf().der(), &[0]].concat();
    assert!(
        Certificate::from_der(&longer)
            .unwrap_err()
            .to_string()
            .contains("bytes follow")
    );
}

#[test]
fn a_hostile_name_is_shown_harmlessly() {
    let dir = TempDir::new().unwrap();
    let config = "oid_section=oids\n[req]\ndistinguished_name=dn\nprompt=no\nutf8=yes\n[oids]\nodd=1.2.3.4\n\
                  [dn]\nCN=a\u{1b}[2Jb\u{202e}c\nO=\" x, \\\"y\\\"#\"\nodd=z\n";
    put(&dir, "config", config);
    let make = [
        "req", "-x509", "-config", "config", "-newkey", "ed25519", "-nodes", "-keyout", "k", "-out", "x",
    ];
    openssl(dir.path(), &make);
    let certificate = Certificate::from_pem(&read(&dir, "x")).unwrap().remove(0);
    assert_eq!(
        certificate.subject(),
        "1.2.3.4=#0C017A,O=\\ x\\, \\\"y\\\"#,CN=a\\1B[2Jb\\u{202e}c"
    );
    assert_eq!(certificate.common_name(), Some("a\u{1b}[2Jb\u{202e}c"));
    assert!(format!("{certificate:?}").is_ascii());
}

#[test]
fn a_throw_away_client_is_cheap() {
    let (rounds, today) = (20, now());
    let start = std::time::Instant::now();
    for _ in 0..rounds {
        let ca = Authority::create("elsewhere", Algorithm::P256, 1, today).unwrap();
        ca.issue_client("app", Algorithm::P256, 1, today).unwrap();
    }
    let each = start.elapsed() / rounds;
    // Ten times what it takes unoptimized on a busy machine: it guards against seconds, not microseconds.
    assert!(each.as_millis() < 20, "{each:?}");
    eprintln!("a throw-away CA and client take {each:?}");
}

#[test]
fn a_ca_for_one_purpose_issues_for_that_one() {
    let dir = TempDir::new().unwrap();
    let make = "req -x509 -newkey rsa:2048 -nodes -subj /CN=Clients -days 90 -addext extendedKeyUsage=clientAuth \
                -addext keyUsage=keyCertSign -keyout ca.key -out ca.crt";
    openssl(
        dir.path(),
        &make
            .split(' ')
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>(),
    );
    let ca = Authority::load(&read(&dir, "ca.crt"), &read(&dir, "ca.key"), None, now()).unwrap();
    let client = ca.issue_client("app", Algorithm::P256, 30, now()).unwrap();
    verify(&dir, "sslclient", &client, ca.root()).unwrap();
    let error = ca
        .issue_server(&hosts(&["localhost"]), Algorithm::P256, 30, now())
        .unwrap_err();
    assert!(error.to_string().contains("lacks serverAuth"), "{error}");
}

#[test]
fn a_name_given_twice_is_in_the_certificate_once() {
    let today = now();
    let ca = Authority::create("pgtls CA", Algorithm::P256, 30, today).unwrap();
    let names = hosts(&["localhost", "LOCALHOST", "::1", "127.0.0.1", "0:0::1"]);
    let server = ca.issue_server(&names, Algorithm::P256, 30, today).unwrap();
    assert_eq!(server.leaf().dns_names(), ["localhost"]);
    assert_eq!(server.leaf().ip_addresses().len(), 2);
    assert_eq!(
        server.satisfies_server(&names, Algorithm::P256, 30, ca.certificate(), today),
        Ok(())
    );
}

/// A certificate and a key to damage.
fn specimens() -> &'static (Vec<u8>, Vec<u8>) {
    static SPECIMENS: std::sync::OnceLock<(Vec<u8>, Vec<u8>)> = std::sync::OnceLock::new();
    SPECIMENS.get_or_init(|| {
        let today = now();
        let ca = Authority::create("pgtls CA", Algorithm::P256, 30, today).expect("a CA");
        let names = hosts(&["localhost", "127.0.0.1"]);
        let server = ca
            .issue_server(&names, Algorithm::P256, 30, today)
            .expect("a certificate");
        (server.leaf().der().to_vec(), server.key().pkcs8_der().to_vec())
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Certificates come from servers that nobody vouches for: whatever they hold, reading them ends without a panic.
    #[test]
    fn damaged_bytes_are_an_error_or_a_certificate(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        shorten in any::<bool>(),
        label in prop::sample::select(vec!["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]),
    ) {
        let (certificate, key) = specimens();
        for (original, is_key) in [(certificate, false), (key, true)] {
            let mut bytes = original.clone();
            for (at, value) in &changes {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            if shorten {
                bytes.truncate(cut.index(bytes.len()));
            }
            if is_key {
                let passphrase = SecretString::from("x");
                let _ = PrivateKey::from_pem(pem(label, &bytes).as_bytes(), Some(&passphrase));
            } else if let Ok(certificate) = Certificate::from_der(&bytes) {
                prop_assert!(!certificate.subject().chars().any(char::is_control));
                let _ = (certificate.is_signed_by(&certificate), certificate.days_left(now()), certificate.key_usage());
            }
        }
    }

    #[test]
    fn any_bytes_are_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Certificate::from_der(&bytes).is_err());
        prop_assert!(Certificate::from_pem(&bytes).is_err());
        prop_assert!(PrivateKey::from_pem(&bytes, None).is_err());
    }
}
