//! The certificates, keys, lists and home directories that the cases speak of.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::support::workshop::{Recipe, Workshop};

/// Everything is made once, and gone when this is dropped.
pub struct World {
    workshop: Workshop,
}

const CA: &str =
    "basicConstraints=critical,CA:TRUE; keyUsage=critical,keyCertSign,cRLSign; subjectKeyIdentifier=hash";
const SERVER: &str = "basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature,keyEncipherment; \
    extendedKeyUsage=serverAuth; subjectAltName=DNS:db.test,DNS:localhost,IP:127.0.0.1,IP:::1";
const CLIENT: &str =
    "basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature; extendedKeyUsage=clientAuth";
const BARE: &str = "basicConstraints=CA:FALSE; subjectAltName=DNS:db.test";

/// Name, key, issuer, subject, extensions, options.
const CERTIFICATES: &[Recipe<'static>] = &[
    ("root", "p256-ca", "self", "/CN=Root", CA, ""),
    ("evilroot", "p256-evil", "self", "/CN=Evil Root", CA, ""),
    ("twinroot", "p256-twin", "self", "/CN=Root", CA, ""),
    ("edroot", "ed25519-ca", "self", "/CN=Ed Root", CA, ""),
    ("shortroot", "rsa1024-ca", "self", "/CN=Short Root", CA, ""),
    (
        "oldroot",
        "p256-old",
        "self",
        "/CN=Old Root",
        CA,
        "from=2015 to=2020",
    ),
    ("newroot", "p256-new", "self", "/CN=New Root", CA, "from=2045"),
    (
        "noca",
        "p256-noca",
        "self",
        "/CN=No CA",
        "basicConstraints=critical,CA:FALSE",
        "",
    ),
    (
        "nosign",
        "p256-nosign",
        "self",
        "/CN=No Sign",
        "basicConstraints=critical,CA:TRUE; keyUsage=critical,cRLSign",
        "",
    ),
    (
        "flatroot",
        "p256-flat",
        "self",
        "/CN=Flat Root",
        "basicConstraints=critical,CA:TRUE,pathlen:0; keyUsage=critical,keyCertSign",
        "",
    ),
    (
        "narrowroot",
        "p256-narrow",
        "self",
        "/CN=Narrow Root",
        "basicConstraints=critical,CA:TRUE; nameConstraints=critical,permitted;DNS:inside.test",
        "",
    ),
    (
        "nocrlroot",
        "p256-ncr",
        "self",
        "/CN=No List Root",
        "basicConstraints=critical,CA:TRUE; keyUsage=critical,keyCertSign; subjectKeyIdentifier=hash",
        "",
    ),
    ("ed448root", "ed448-ca", "self", "/CN=Ed448 Root", CA, ""),
    ("inter", "p256-inter", "root", "/CN=Inter", CA, ""),
    ("flatinter", "p256-fi", "flatroot", "/CN=Flat Inter", CA, ""),
    ("clientroot", "p256-cr", "self", "/CN=Client Root", CA, ""),
    // Servers.
    ("plain", "p256-s", "root", "/CN=db.test", SERVER, ""),
    ("rsa", "rsa2048-s", "root", "/CN=db.test", SERVER, ""),
    ("p384", "p384-s", "root", "/CN=db.test", SERVER, ""),
    ("p521", "p521-s", "root", "/CN=db.test", SERVER, ""),
    ("pss", "pss2048-s", "root", "/CN=db.test", SERVER, ""),
    ("ed", "ed25519-s", "root", "/CN=db.test", SERVER, ""),
    ("edsigned", "p256-es", "edroot", "/CN=db.test", SERVER, ""),
    ("ed448", "ed448-s", "root", "/CN=db.test", SERVER, ""),
    ("shortsigned", "p256-ss", "shortroot", "/CN=db.test", SERVER, ""),
    ("v1", "p256-v1", "root", "/CN=db.test", "", ""),
    (
        "cnonly",
        "p256-cn",
        "root",
        "/CN=db.test",
        "basicConstraints=CA:FALSE",
        "",
    ),
    (
        "nameless",
        "p256-nl",
        "root",
        "/O=Nobody",
        "basicConstraints=CA:FALSE",
        "",
    ),
    (
        "wild",
        "p256-w",
        "root",
        "/CN=x",
        "basicConstraints=CA:FALSE; subjectAltName=DNS:*.db.test",
        "",
    ),
    (
        "ipcn",
        "p256-ip",
        "root",
        "/CN=127.0.0.1",
        "basicConstraints=CA:FALSE; subjectAltName=DNS:db.test",
        "",
    ),
    (
        "old",
        "p256-so",
        "root",
        "/CN=db.test",
        SERVER,
        "from=2015 to=2020",
    ),
    ("future", "p256-sf", "root", "/CN=db.test", SERVER, "from=2045"),
    (
        "clientonly",
        "p256-co",
        "root",
        "/CN=db.test",
        "extendedKeyUsage=clientAuth; subjectAltName=DNS:db.test",
        "",
    ),
    (
        "signonly",
        "p256-so2",
        "root",
        "/CN=db.test",
        "keyUsage=critical,keyCertSign; subjectAltName=DNS:db.test",
        "",
    ),
    (
        "critical",
        "p256-cri",
        "root",
        "/CN=db.test",
        "1.2.3.4=critical,ASN1:NULL; subjectAltName=DNS:db.test",
        "",
    ),
    (
        "proxy",
        "p256-px",
        "root",
        "/CN=db.test/CN=proxy",
        "proxyCertInfo=critical,language:id-ppl-anyLanguage",
        "",
    ),
    ("explicit", "p256explicit-s", "root", "/CN=db.test", BARE, ""),
    (
        "badip",
        "p256-bi",
        "root",
        "/CN=db.test",
        "subjectAltName=DER:30:0a:87:08:01:02:03:04:05:06:07:08",
        "",
    ),
    (
        "nul",
        "p256-nu",
        "root",
        "/CN=db.test",
        "subjectAltName=DER:30:0e:82:0c:64:62:2e:74:65:73:74:00:65:76:69:6c",
        "",
    ),
    ("sha1", "p256-sh", "root", "/CN=db.test", SERVER, "md=sha1"),
    ("byinter", "p256-bi2", "inter", "/CN=db.test", SERVER, ""),
    ("byold", "p256-bo", "oldroot", "/CN=db.test", SERVER, ""),
    ("bynew", "p256-bn", "newroot", "/CN=db.test", SERVER, ""),
    ("bynoca", "p256-bnc", "noca", "/CN=db.test", SERVER, ""),
    ("bynosign", "p256-bns", "nosign", "/CN=db.test", SERVER, ""),
    ("byflat", "p256-bf", "flatinter", "/CN=db.test", SERVER, ""),
    ("bynarrow", "p256-bna", "narrowroot", "/CN=db.test", SERVER, ""),
    ("bynocrl", "p256-bnl", "nocrlroot", "/CN=db.test", SERVER, ""),
    ("byed448", "p256-be4", "ed448root", "/CN=db.test", SERVER, ""),
    (
        "misshapen",
        "p256-mis",
        "root",
        "/CN=db.test",
        "basicConstraints=DER:30:06:01:01:ff:02:01:ff; subjectAltName=DNS:db.test",
        "",
    ),
    ("bytwin", "p256-bt", "twinroot", "/CN=db.test", SERVER, ""),
    ("byevil", "p256-be", "evilroot", "/CN=db.test", SERVER, ""),
    ("revoked", "p256-re", "root", "/CN=db.test", SERVER, ""),
    (
        "selfsigned",
        "p256-sel",
        "self",
        "/CN=db.test",
        "basicConstraints=critical,CA:TRUE; subjectAltName=DNS:db.test",
        "",
    ),
    ("selfleaf", "p256-sll", "self", "/CN=db.test", BARE, ""),
    // Clients.
    ("alice", "p256-a", "clientroot", "/CN=alice", CLIENT, ""),
    ("alicersa", "rsa2048-a", "clientroot", "/CN=alice", CLIENT, ""),
    ("aliceed", "ed25519-a", "clientroot", "/CN=alice", CLIENT, ""),
    ("alicepss", "pss2048-a", "clientroot", "/CN=alice", CLIENT, ""),
    (
        "alicepsssha384",
        "pss2048sha384-a",
        "clientroot",
        "/CN=alice",
        CLIENT,
        "",
    ),
    (
        "alicepsssha512",
        "pss2048sha512-a",
        "clientroot",
        "/CN=alice",
        CLIENT,
        "",
    ),
    (
        "alicepsssha256",
        "pss2048sha256-a",
        "clientroot",
        "/CN=alice",
        CLIENT,
        "",
    ),
    ("alicep384", "p384-a", "clientroot", "/CN=alice", CLIENT, ""),
    ("alicep521", "p521-a", "clientroot", "/CN=alice", CLIENT, ""),
    ("alicev1", "p256-av1", "clientroot", "/CN=alice", "", ""),
    ("bob", "p256-b", "clientroot", "/CN=bob", CLIENT, ""),
    ("eve", "p256-e", "evilroot", "/CN=alice", CLIENT, ""),
    (
        "aliceold",
        "p256-ao",
        "clientroot",
        "/CN=alice",
        CLIENT,
        "from=2015 to=2020",
    ),
    (
        "alicefuture",
        "p256-af",
        "clientroot",
        "/CN=alice",
        CLIENT,
        "from=2045",
    ),
    (
        "aliceserver",
        "p256-as",
        "clientroot",
        "/CN=alice",
        "extendedKeyUsage=serverAuth",
        "",
    ),
    ("aliceshort", "rsa1024-a", "clientroot", "/CN=alice", CLIENT, ""),
    ("alicerevoked", "p256-ar", "clientroot", "/CN=alice", CLIENT, ""),
];

impl World {
    /// Makes everything.
    pub fn new() -> Self {
        let mut workshop = Workshop::new();
        for recipe in CERTIFICATES {
            workshop.issue(recipe);
        }
        let world = Self { workshop };
        world.keys();
        world.lists();
        world.files();
        world.homes();
        world
    }

    /// Adds `endless.crt`: below the root more CAs than OpenSSL follows, which is 100 unless somebody sets a depth.
    pub fn with_endless_chain(mut self) -> Self {
        const CAS: usize = 101;
        let mut issuer = "root".to_owned();
        let mut chain = Vec::new();
        for at in 1..=CAS {
            let name = format!("link{at}");
            let subject = format!("/CN=Link {at}");
            let extensions = "basicConstraints=critical,CA:TRUE";
            self.workshop
                .issue(&(&name, "p256-link", &issuer, &subject, extensions, ""));
            chain.insert(0, format!("{name}.crt"));
            issuer = name;
        }
        self.workshop
            .issue(&("endless-leaf", "p256-endless", &issuer, "/CN=db.test", SERVER, ""));
        chain.insert(0, "endless-leaf.crt".to_owned());
        let chain: Vec<_> = chain.iter().map(String::as_str).collect();
        self.bundle("endless.crt", &chain);
        self.copy("p256-endless.key", "endless.key", 0o600);
        self
    }

    /// A file of it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.workshop.path(name)
    }

    /// A home directory; `""` is an empty one.
    pub fn home(&self, name: &str) -> PathBuf {
        self.path(&format!("home-{name}"))
    }

    fn openssl(&self, line: &str) {
        let arguments: Vec<_> = line.split(' ').collect();
        let output = self.workshop.run(&arguments);
        assert!(
            output.status.success(),
            "openssl {line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Each certificate's key beside it, mode 0600, and the forms in which keys come.
    fn keys(&self) {
        for (name, key, ..) in CERTIFICATES {
            self.copy(&format!("{key}.key"), &format!("{name}.key"), 0o600);
        }
        for line in [
            "pkey -in alice.key -out alice-sec1.key -traditional",
            "pkey -in alicersa.key -out alicersa-pkcs1.key -traditional",
            "pkey -in alicersa.key -out alicersa-pkcs8.der -outform DER",
            "pkey -in alicersa.key -out alicersa-pkcs1.der -outform DER -traditional",
            "pkey -in alice.key -out alice-sec1.der -outform DER -traditional",
            "pkey -in alice.key -out alice-enc.key -aes256 -passout pass:secret",
            "pkey -in alicersa.key -out alicersa-enctrad.key -traditional -aes128 -passout pass:secret",
            "pkcs8 -topk8 -in alice.key -out alice-enc.der -outform DER -v2 aes256 -passout pass:secret",
            "pkcs12 -export -in alice.crt -inkey alice.key -out alice.p12 -passout pass:secret",
            "x509 -in root.crt -outform DER -out root.der",
            "x509 -in alice.crt -outform DER -out alicecrt.der",
        ] {
            self.openssl(line);
        }
        for (mode, name) in [
            (0o644, "0644"),
            (0o640, "0640"),
            (0o604, "0604"),
            (0o400, "0400"),
            (0o700, "0700"),
        ] {
            self.copy("alice.key", &format!("alice-{name}.key"), mode);
        }
        for name in [
            "alice-sec1.key",
            "alicersa-pkcs1.key",
            "alicersa-pkcs8.der",
            "alicersa-pkcs1.der",
            "alice-sec1.der",
            "alice-enc.key",
            "alicersa-enctrad.key",
            "alice-enc.der",
            "alice.p12",
        ] {
            self.mode(name, 0o600);
        }
        self.write("junk.key", "this is no key\n", 0o600);
        self.copy("alice.key", "a:b.key", 0o600);
        // What the copies as `alice-….key` belong to.
        for name in [
            "alice-sec1",
            "alice-enc",
            "alice-0644",
            "alice-0640",
            "alice-0604",
            "alice-0400",
            "alice-0700",
        ] {
            self.copy("alice.crt", &format!("{name}.crt"), 0o644);
        }
    }

    fn lists(&self) {
        let years = ("2020", "2049");
        let aki = "authorityKeyIdentifier=keyid";
        self.workshop.list("empty", "root", &[], aki, years, "");
        self.workshop
            .list("revoking", "root", &["revoked"], aki, years, "");
        self.workshop
            .list("stale", "root", &[], aki, ("2015", "2020"), "");
        self.workshop
            .list("early", "root", &[], aki, ("2045", "2049"), "");
        self.workshop.list("weak", "evilroot", &[], aki, years, "");
        self.workshop.list("interlist", "inter", &[], aki, years, "");
        self.workshop
            .list("clients", "clientroot", &["alicerevoked"], aki, years, "");
        self.workshop.list("nosignlist", "nosign", &[], "", years, "");
        self.workshop.list("nocrllist", "nocrlroot", &[], aki, years, "");
        self.bundle("both.crl", &["empty.crl", "interlist.crl"]);
        // One bit of the signature changed.
        let mut forged = self.workshop.der("empty", "crl");
        let last = forged.len() - 1;
        forged[last] ^= 1;
        fs::write(self.path("forged.der"), forged).unwrap();
        self.openssl("crl -inform DER -in forged.der -out forged.crl");
        self.odd_lists();
        for (directory, list) in [
            ("crldir", "revoking.crl"),
            ("emptydir", ""),
            ("unhashed", "revoking.crl"),
        ] {
            fs::create_dir(self.path(directory)).unwrap();
            if !list.is_empty() {
                self.copy(list, &format!("{directory}/{list}"), 0o644);
            }
        }
        self.openssl("rehash crldir");
    }

    /// The revoking list in forms of BER, which OpenSSL reads, and one that it does not.
    fn odd_lists(&self) {
        let list = self.workshop.der("revoking", "crl");
        let (_, inside, _) = element(&list);
        let (signed, fields, rest) = element(inside);
        let (algorithm, _, signature) = element(rest);
        let (version, _, others) = element(fields);
        assert_eq!(version, b"\x02\x01\x01");
        let lists = [
            // The length of the whole left open.
            ("open.crl", [b"\x30\x80", inside, b"\0\0"].concat()),
            // The signature put together of one piece.
            (
                "pieces.crl",
                sized(0x30, &[signed, algorithm, &sized(0x23, signature)].concat()),
            ),
            // A version without a number.
            (
                "unloadable.crl",
                sized(
                    0x30,
                    &[&sized(0x30, &[b"\x02\0", others].concat())[..], rest].concat(),
                ),
            ),
        ];
        for (name, der) in lists {
            fs::write(self.path(name), pgtls::pki::revocation_list_pem(&der)).unwrap();
        }
    }

    fn files(&self) {
        self.bundle("byinter-chain.crt", &["byinter.crt", "inter.crt"]);
        self.bundle("byflat-chain.crt", &["byflat.crt", "flatinter.crt"]);
        self.bundle("bundle.crt", &["evilroot.crt", "root.crt"]);
        self.bundle("bundle-inter.crt", &["root.crt", "inter.crt"]);
        self.bundle("twins.crt", &["twinroot.crt", "root.crt"]);
        for (chain, leaf) in [("byinter-chain", "byinter"), ("byflat-chain", "byflat")] {
            self.copy(&format!("{leaf}.key"), &format!("{chain}.key"), 0o600);
        }
        self.workshop.damage("plain", "damaged");
        self.copy("plain.key", "damaged.key", 0o600);
        let root = fs::read_to_string(self.path("root.crt")).unwrap();
        self.write("root-crlf.crt", &root.replace('\n', "\r\n"), 0o644);
        self.write("root-text.crt", &format!("some words\n\n{root}more\n"), 0o644);
        self.write("root-cut.crt", &root[..root.len() / 2], 0o644);
        self.write(
            "root-header.crt",
            &root.replacen('\n', "\nComment: x\n\n", 1),
            0o644,
        );
        self.write(
            "root-blank.crt",
            &root.replace("\n-----END", "\n\n-----END"),
            0o644,
        );
        let bad_key = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        self.write("root-badkey.crt", &format!("{root}{bad_key}"), 0o644);
        self.write("root-bom.crt", &format!("\u{feff}{root}"), 0o644);
        for line in [
            "x509 -in root.crt -addtrust serverAuth -out root-trusted.crt",
            "x509 -in root.crt -addtrust clientAuth -out root-clients.crt",
            "x509 -in root.crt -addreject serverAuth -out root-rejected.crt",
            "x509 -in inter.crt -addtrust serverAuth -out inter-trusted.crt",
        ] {
            self.openssl(line);
        }
        self.write("empty.crt", "", 0o644);
        self.write("junk.crt", "this is no certificate\n", 0o644);
        fs::create_dir(self.path("nothing")).unwrap();
        self.write("passfile", "*:*:*:alice:right\n", 0o600);
        self.write("passfile-open", "*:*:*:alice:right\n", 0o644);
    }

    fn homes(&self) {
        for (home, files) in [
            ("", &[][..]),
            ("root", &[("root.crt", "root.crt")]),
            ("evilroot", &[("evilroot.crt", "root.crt")]),
            ("junkroot", &[("junk.crt", "root.crt")]),
            ("crl", &[("root.crt", "root.crt"), ("revoking.crl", "root.crl")]),
            ("junkcrl", &[("root.crt", "root.crt"), ("junk.crt", "root.crl")]),
            (
                "alice",
                &[("alice.crt", "postgresql.crt"), ("alice.key", "postgresql.key")],
            ),
            (
                "eve",
                &[("eve.crt", "postgresql.crt"), ("eve.key", "postgresql.key")],
            ),
            ("nokey", &[("alice.crt", "postgresql.crt")]),
            ("onlykey", &[("alice.key", "postgresql.key")]),
            (
                "openkey",
                &[
                    ("alice.crt", "postgresql.crt"),
                    ("alice-0644.key", "postgresql.key"),
                ],
            ),
        ] {
            let directory = self.home(home).join(".postgresql");
            fs::create_dir_all(&directory).unwrap();
            for (from, to) in files {
                fs::copy(self.path(from), directory.join(to)).unwrap();
            }
        }
    }

    fn bundle(&self, out: &str, parts: &[&str]) {
        let text: String = parts
            .iter()
            .map(|part| fs::read_to_string(self.path(part)).unwrap())
            .collect();
        self.write(out, &text, 0o644);
    }

    fn copy(&self, from: &str, to: &str, mode: u32) {
        fs::copy(self.path(from), self.path(to)).unwrap();
        self.mode(to, mode);
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        self.mode(name, mode);
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }
}

/// The first element of DER, what is in it, and what follows it.
fn element(der: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (header, length) = match der[1] {
        short @ ..0x80 => (2, usize::from(short)),
        long => {
            let octets = &der[2..2 + usize::from(long & 0x7f)];
            let length = octets
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            (2 + octets.len(), length)
        }
    };
    let (whole, rest) = der.split_at(header + length);
    (whole, &whole[header..], rest)
}

/// An element with two octets of length.
fn sized(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[tag, 0x82], &length[..], content].concat()
}
