//! The chains that are judged: what is issued, and what is presented to whom.

use super::workshop::{Recipe, Workshop};

const CA: &str =
    "basicConstraints=critical,CA:TRUE; keyUsage=critical,keyCertSign,cRLSign; subjectKeyIdentifier=hash";
/// A server's leaf that no rule objects to, without a pointer to its issuer's key.
const PLAIN: &str = "basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature; \
    extendedKeyUsage=serverAuth; subjectAltName=DNS:db.example.org";
const SERVER: &str = "basicConstraints=critical,CA:FALSE; keyUsage=critical,digitalSignature; \
    extendedKeyUsage=serverAuth; subjectAltName=DNS:db.example.org; subjectKeyIdentifier=hash; \
    authorityKeyIdentifier=keyid";
/// The least a leaf says.
const BARE: &str = "basicConstraints=CA:FALSE; subjectAltName=DNS:db.example.org";
const HOST: &str = "/CN=db.example.org";

/// Names of certificates and lists, by file name without its ending.
#[derive(Debug)]
pub struct Case {
    pub presented: Vec<String>,
    pub trust: Vec<String>,
    pub lists: Vec<String>,
    pub client: bool,
}

/// Issues certificates and collects cases as it goes.
pub struct Table {
    pub workshop: Workshop,
    pub cases: Vec<Case>,
}

impl Table {
    pub fn new() -> Self {
        let mut table = Self {
            workshop: Workshop::new(),
            cases: Vec::new(),
        };
        table.roots();
        table.doubtful_cas();
        table.paths();
        table.path_lengths();
        table.leaves();
        table.algorithms();
        table.damage();
        table.name_constraints();
        table.lists();
        table
    }

    fn cert(&mut self, name: &str, key: &str, issuer: &str, subject: &str, extensions: &str, options: &str) {
        let recipe: Recipe<'_> = (name, key, issuer, subject, extensions, options);
        self.workshop.issue(&recipe);
    }

    fn case(&mut self, presented: &str, trust: &str) {
        self.listed(presented, trust, "");
    }

    fn listed(&mut self, presented: &str, trust: &str, lists: &str) {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        let (presented, trust, lists) = (words(presented), words(trust), words(lists));
        self.cases.push(Case {
            presented,
            trust,
            lists,
            client: false,
        });
    }

    fn as_client(&mut self, presented: &str, trust: &str) {
        self.case(presented, trust);
        if let Some(case) = self.cases.last_mut() {
            case.client = true;
        }
    }

    /// One root in many forms: another key, no key identifier, other dates, other spellings of the name.
    fn roots(&mut self) {
        let bare = "basicConstraints=critical,CA:TRUE";
        self.cert("root", "p256", "self", "/CN=Root", CA, "");
        self.cert("root-bare", "p256", "self", "/CN=Root", bare, "");
        self.cert("twin", "p256-2", "self", "/CN=Root", CA, "");
        self.cert("twin-bare", "p256-2", "self", "/CN=Root", bare, "");
        self.cert("root-old", "p256", "self", "/CN=Root", CA, "from=2010 to=2021");
        self.cert("root-older", "p256", "self", "/CN=Root", CA, "from=2010 to=2015");
        self.cert("root-future", "p256", "self", "/CN=Root", CA, "from=2040");
        self.cert("root-case", "p256", "self", "/CN=  rOOt ", CA, "");
        self.cert("root-printable", "p256", "self", "/CN=Root", CA, "printable");
        self.cert("other", "p256-3", "self", "/CN=Other Root", CA, "");
        self.cert("leaf", "p256-l", "root", HOST, SERVER, "");
        self.cert("leaf-plain", "p256-l", "root", HOST, PLAIN, "");
        self.cert("leaf-bare", "p256-l", "root-bare", HOST, PLAIN, "");
        self.cert("leaf-v1", "p256-l", "root", HOST, "", "");
        let by_serial = SERVER.replace("keyid", "keyid,issuer:always");
        self.cert("leaf-serial", "p256-l", "root", HOST, &by_serial, "");
        self.cert(
            "leaf-expired",
            "p256-l",
            "root",
            HOST,
            SERVER,
            "from=2015 to=2020",
        );
        self.cert("leaf-future", "p256-l", "root", HOST, SERVER, "from=2040");
        self.cert("leaf-9999", "p256-l", "root", HOST, SERVER, "to=9999");
        for (presented, trust) in [
            ("leaf", "root"),
            ("leaf", "other"),
            ("leaf root", "root"),
            ("leaf root", "other"),
            ("leaf leaf", "root"),
            ("leaf", "twin"),
            ("leaf", "twin root"),
            ("leaf", "root twin"),
            ("leaf", "twin-bare"),
            ("leaf", "root-bare"),
            ("leaf-plain", "twin"),
            ("leaf-plain", "twin root"),
            ("leaf-plain", "root twin-bare"),
            ("leaf-plain", "twin-bare root"),
            ("leaf-bare", "twin-bare"),
            ("leaf-bare", "twin-bare root-bare"),
            ("leaf-bare", "root-bare twin-bare"),
            ("leaf-bare twin-bare", "other"),
            ("leaf", "root-old"),
            ("leaf", "root-old root"),
            ("leaf", "root root-old"),
            ("leaf", "root-older root-old"),
            ("leaf", "root-old root-older"),
            ("leaf", "root-future"),
            ("leaf", "root-future root-old"),
            ("leaf root", "root-old"),
            ("leaf", "root-case"),
            ("leaf", "root-printable"),
            ("leaf-v1", "root"),
            ("leaf-v1", "twin"),
            ("leaf-serial", "root"),
            ("leaf-serial", "root-bare"),
            ("leaf-serial", "root-old"),
            ("leaf-expired", "root"),
            ("leaf-future", "root"),
            ("leaf-9999", "root"),
            ("leaf-expired", "other"),
            ("leaf other", "root"),
            ("leaf other root", "root twin"),
            ("other", "root"),
            ("root", "root"),
        ] {
            self.case(presented, trust);
        }
        self.as_client("root", "root");
    }

    /// The same odd extensions on a root, an intermediate and a self-signed server certificate.
    fn doubtful_cas(&mut self) {
        let with = |more: &str| format!("{CA}; {more}");
        let odd: &[(&str, String)] = &[
            ("v1", String::new()),
            ("nobc", "subjectKeyIdentifier=hash".into()),
            ("cafalse", "basicConstraints=CA:FALSE".into()),
            ("catrue", "basicConstraints=CA:TRUE".into()),
            (
                "nokcs",
                "basicConstraints=critical,CA:TRUE; keyUsage=critical,digitalSignature".into(),
            ),
            ("ku", "keyUsage=keyCertSign".into()),
            ("ku-other", "keyUsage=digitalSignature".into()),
            (
                "cafalse-kcs",
                "basicConstraints=CA:FALSE; keyUsage=keyCertSign".into(),
            ),
            ("ns-ssl", "nsCertType=sslCA".into()),
            ("ns-email", "nsCertType=emailCA".into()),
            ("ns-server", "nsCertType=server".into()),
            ("eku-server", with("extendedKeyUsage=serverAuth")),
            ("eku-client", with("extendedKeyUsage=clientAuth")),
            ("eku-any", with("extendedKeyUsage=anyExtendedKeyUsage")),
            ("eku-sgc", with("extendedKeyUsage=msSGC")),
            ("critical", with("1.2.3.4=critical,DER:0500")),
            ("uncritical", with("1.2.3.4=DER:0500")),
            (
                "critical-ski",
                CA.replace("Identifier=hash", "Identifier=critical,hash"),
            ),
            ("bad-bc", "basicConstraints=DER:0500".into()),
            ("bad-ku", "basicConstraints=CA:TRUE; keyUsage=DER:0500".into()),
            ("empty-ku", "basicConstraints=CA:TRUE; keyUsage=DER:030100".into()),
            ("negative-length", "basicConstraints=DER:30060101ff0201ff".into()),
            (
                "huge-length",
                "basicConstraints=DER:300d0101ff02087fffffffffffffff".into(),
            ),
            ("bad-nc", with("nameConstraints=DER:0500")),
            (
                "bad-ski",
                "basicConstraints=CA:TRUE; subjectKeyIdentifier=DER:0500".into(),
            ),
            ("bad-cdp", with("crlDistributionPoints=DER:0500")),
            ("bad-policy", with("certificatePolicies=DER:0500")),
            (
                "policy",
                with(
                    "certificatePolicies=critical,1.2.3.4; policyConstraints=critical,requireExplicitPolicy:0",
                ),
            ),
            ("inhibit", with("inhibitAnyPolicy=critical,0")),
            ("explicit-text", with("nsComment=hello")),
        ];
        for (name, extensions) in odd {
            let (root, inter, own) = (format!("r-{name}"), format!("i-{name}"), format!("s-{name}"));
            self.cert(&root, "p256-4", "self", &format!("/CN={root}"), extensions, "");
            self.cert(&format!("l-{root}"), "p256-l", &root, HOST, PLAIN, "");
            self.case(&format!("l-{root}"), &root);
            self.cert(&inter, "p256-5", "root", &format!("/CN={inter}"), extensions, "");
            self.cert(&format!("l-{inter}"), "p256-l", &inter, HOST, PLAIN, "");
            self.case(&format!("l-{inter} {inter}"), "root");
            self.case(&format!("l-{inter}"), &format!("root {inter}"));
            self.cert(&own, "p256-6", "self", HOST, extensions, "");
            self.case(&own, &own);
            self.case(&own, "root");
        }
        self.as_client("l-r-eku-server", "r-eku-server");
        self.as_client("l-i-eku-client i-eku-client", "root");
    }

    /// Intermediates: missing, doubled, expired, cross-signed, trusted without their root.
    fn paths(&mut self) {
        let pointed = format!("{CA}; authorityKeyIdentifier=keyid");
        self.cert("inter", "p256-5", "root", "/CN=Inter", &pointed, "");
        self.cert("inter2", "p256-6", "inter", "/CN=Inter Two", &pointed, "");
        self.cert(
            "inter-old",
            "p256-5",
            "root",
            "/CN=Inter",
            CA,
            "from=2015 to=2020",
        );
        self.cert("inter-cross", "p256-5", "other", "/CN=Inter", CA, "");
        self.cert("inter-self", "p256-5", "self", "/CN=Inter", CA, "");
        self.cert("l-inter", "p256-l", "inter", HOST, SERVER, "");
        self.cert("l-inter2", "p256-l", "inter2", HOST, SERVER, "");
        self.cert("by-leaf", "p256-9", "leaf", "/CN=by leaf", PLAIN, "");
        for (presented, trust) in [
            ("l-inter", "root"),
            ("l-inter inter", "root"),
            ("l-inter inter root", "root"),
            ("l-inter inter", "inter"),
            ("l-inter", "inter"),
            ("l-inter", "root inter"),
            ("l-inter inter", "root inter"),
            ("l-inter inter-old", "root"),
            ("l-inter inter-old inter", "root"),
            ("l-inter", "inter-old inter root"),
            ("l-inter inter", "inter-old root"),
            ("l-inter inter-cross", "root"),
            ("l-inter inter-cross inter", "root"),
            ("l-inter inter inter-cross", "other"),
            ("l-inter inter-cross", "other"),
            ("l-inter inter-cross", "inter root"),
            ("l-inter inter", "inter-cross"),
            ("l-inter inter", "inter-cross root"),
            ("l-inter inter", "inter-cross other"),
            ("l-inter", "inter-self"),
            ("l-inter inter", "inter-self"),
            ("l-inter inter-self", "root"),
            ("l-inter inter-self inter", "root"),
            ("l-inter2", "root"),
            ("l-inter2 inter2", "root"),
            ("l-inter2 inter", "root"),
            ("l-inter2 inter2 inter", "root"),
            ("l-inter2 inter inter2", "root"),
            ("l-inter2 inter2 inter root", "root"),
            ("l-inter2 inter2", "root inter"),
            ("l-inter2 inter2", "inter"),
            ("l-inter2 inter2 inter", "other"),
            ("inter", "root"),
            ("inter", "inter"),
            ("inter2 inter", "root"),
            ("by-leaf leaf", "root"),
            ("by-leaf", "root leaf"),
            ("by-leaf leaf", "leaf"),
        ] {
            self.case(presented, trust);
        }
    }

    /// A limit of 0 and of 1; a self-issued CA does not count.
    fn path_lengths(&mut self) {
        for limit in ["0", "1"] {
            let name = |suffix: &str| format!("length{limit}{suffix}");
            let (root, first, second, own) = (name(""), name("-a"), name("-b"), name("-own"));
            let limited = CA.replace("CA:TRUE", &format!("CA:TRUE,pathlen:{limit}"));
            self.cert(&root, "p256-4", "self", &format!("/CN={root}"), &limited, "");
            self.cert(&first, "p256-5", &root, &format!("/CN={first}"), CA, "");
            self.cert(&second, "p256-6", &first, &format!("/CN={second}"), CA, "");
            self.cert(&own, "p256-7", &root, &format!("/CN={root}"), CA, "");
            for issuer in [&root, &first, &second, &own] {
                self.cert(&format!("l-{issuer}"), "p256-l", issuer, HOST, SERVER, "");
            }
            self.case(&format!("l-{root}"), &root);
            self.case(&format!("l-{first} {first}"), &root);
            self.case(&format!("l-{second} {second} {first}"), &root);
            self.case(&format!("l-{own} {own}"), &root);
            self.case(&first, &root);
        }
    }

    /// Purposes, usages and extensions of the leaf, as a server's and as a client's.
    fn leaves(&mut self) {
        let odd = [
            ("none", ""),
            ("eku-client", "extendedKeyUsage=clientAuth"),
            ("eku-both", "extendedKeyUsage=clientAuth,serverAuth"),
            ("eku-any", "extendedKeyUsage=anyExtendedKeyUsage"),
            (
                "eku-any-server",
                "extendedKeyUsage=anyExtendedKeyUsage,serverAuth",
            ),
            ("eku-code", "extendedKeyUsage=critical,codeSigning"),
            ("eku-ms", "extendedKeyUsage=msSGC"),
            ("eku-ns", "extendedKeyUsage=nsSGC"),
            ("ku-encipher", "keyUsage=keyEncipherment"),
            ("ku-agree", "keyUsage=keyAgreement"),
            ("ku-sign", "keyUsage=keyCertSign"),
            ("ku-other", "keyUsage=nonRepudiation"),
            ("ku-data", "keyUsage=dataEncipherment"),
            ("ku-decipher", "keyUsage=decipherOnly"),
            ("ns-server", "nsCertType=server"),
            ("ns-client", "nsCertType=critical,client"),
            ("policy", "certificatePolicies=critical,1.2.3.4"),
            ("unknown", "1.2.3.4=critical,DER:0500"),
            ("critical-aki", "authorityKeyIdentifier=critical,keyid"),
            ("bad-eku", "extendedKeyUsage=DER:0500"),
            ("empty-eku", "extendedKeyUsage=DER:3000"),
            ("bad-aki", "authorityKeyIdentifier=DER:0500"),
            ("bad-ns", "nsCertType=DER:0500"),
            ("ocsp", "noCheck=critical,ignored"),
            ("issuer-name", "issuerAltName=critical,DNS:x"),
            ("feature", "tlsfeature=critical,status_request"),
            (
                "proxy-names",
                "1.3.6.1.5.5.7.1.14=critical,DER:300c300a06082b06010505071501",
            ),
        ];
        let alone = [
            (
                "ca-true",
                "basicConstraints=CA:TRUE; subjectAltName=DNS:db.example.org",
            ),
            ("critical-san", "subjectAltName=critical,DNS:a"),
            ("bad-san", "subjectAltName=DER:0500"),
            ("empty-san", "subjectAltName=DER:3000"),
            ("short-san", "subjectAltName=DER:3003820161"),
            (
                "proxy",
                "1.3.6.1.5.5.7.1.14=critical,DER:300c300a06082b06010505071501",
            ),
            ("bad-proxy", "1.3.6.1.5.5.7.1.14=critical,DER:0500"),
        ];
        let odd = odd.map(|(name, more)| (name, format!("{BARE}; {more}")));
        let alone = alone.map(|(name, extensions)| (name, extensions.to_owned()));
        for (name, extensions) in odd.into_iter().chain(alone) {
            let name = format!("f-{name}");
            self.cert(
                &name,
                "p256-l",
                "root",
                HOST,
                extensions.trim_end_matches("; "),
                "",
            );
            self.case(&name, "root");
            self.as_client(&name, "root");
        }
    }

    /// Every kind of key as leaf, as CA and as its own anchor; every digest under the common keys.
    fn algorithms(&mut self) {
        for key in [
            "p384",
            "p521",
            "rsa2048",
            "rsa3072",
            "ed25519",
            "ed448",
            "pss2048",
            "secp256k1",
            "brainpoolP256r1",
            "p224",
            "prime192v1",
            "rsa1024",
            "rsa1960",
            "rsa1968",
            "rsa1976",
            "rsa2000",
            "rsa2047",
            "p256explicit",
        ] {
            let (leaf, ca, own) = (format!("k-{key}"), format!("q-{key}"), format!("u-{key}"));
            self.cert(&leaf, key, "root", HOST, SERVER, "");
            self.case(&leaf, "root");
            self.cert(&ca, key, "self", &format!("/CN={ca}"), CA, "");
            self.cert(&format!("l-{ca}"), "p256-l", &ca, HOST, SERVER, "");
            self.case(&format!("l-{ca}"), &ca);
            self.cert(&own, key, "self", HOST, "subjectAltName=DNS:db.example.org", "");
            self.case(&own, &own);
        }
        for (key, ca) in [
            ("p256", "root"),
            ("p384", "q-p384"),
            ("p521", "q-p521"),
            ("rsa2048", "q-rsa2048"),
            ("k1", "q-secp256k1"),
        ] {
            for digest in [
                "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512",
            ] {
                let name = format!("d-{key}-{digest}");
                self.cert(&name, "p256-l", ca, HOST, SERVER, &format!("md={digest}"));
                self.case(&name, ca);
            }
        }
        for (digest, salt) in [
            ("sha256", 32),
            ("sha256", 20),
            ("sha256", 222),
            ("sha256", 0),
            ("sha384", 48),
            ("sha512", 64),
            ("sha1", 20),
        ] {
            let name = format!("pss-{digest}-{salt}");
            self.cert(
                &name,
                "p256-l",
                "q-rsa2048",
                HOST,
                SERVER,
                &format!("md={digest} pss={salt}"),
            );
            self.case(&name, "q-rsa2048");
        }
        for digest in ["md5", "sha1", "ripemd160"] {
            let (root, inter) = (format!("root-{digest}"), format!("i-{digest}"));
            self.cert(
                &root,
                "rsa2048-2",
                "self",
                &format!("/CN={root}"),
                CA,
                &format!("md={digest}"),
            );
            self.cert(&format!("l-{root}"), "p256-l", &root, HOST, SERVER, "");
            self.case(&format!("l-{root}"), &root);
            self.cert(
                &inter,
                "p256-5",
                &root,
                &format!("/CN={inter}"),
                CA,
                &format!("md={digest}"),
            );
            self.cert(&format!("l-{inter}"), "p256-l", &inter, HOST, SERVER, "");
            self.case(&format!("l-{inter} {inter}"), &root);
            self.case(&format!("l-{inter}"), &format!("{inter} {root}"));
        }
    }

    /// One bit of the signature changed.
    fn damage(&mut self) {
        self.workshop.damage("leaf", "leaf-damaged");
        self.workshop.damage("inter", "inter-damaged");
        self.workshop.damage("root", "root-damaged");
        self.case("leaf-damaged", "root");
        self.case("l-inter inter-damaged", "root");
        self.case("l-inter", "inter-damaged root");
        self.case("leaf", "root-damaged");
        self.case("root-damaged", "root-damaged");
        self.case("root-damaged", "root");
    }

    /// All kinds of constraints on one CA, each against leaves with all kinds of names.
    fn name_constraints(&mut self) {
        let subject = "/O=Org/CN=Constrained";
        self.cert("nc", "p256-4", "self", subject, CA, "");
        let leaves = [
            ("dns", HOST, "DNS:db.example.org"),
            ("near", HOST, "DNS:xexample.org"),
            ("apex", HOST, "DNS:EXAMPLE.org"),
            ("cn", HOST, ""),
            ("word", "/CN=server", ""),
            ("spaced", "/CN=not a host.name", ""),
            ("ip", "/CN=x", "IP:10.1.2.3"),
            ("cn-ip", HOST, "IP:10.1.2.3"),
            ("ip6", "/CN=x", "IP:fd00::1"),
            ("mail", "/CN=x", "email:a@example.org"),
            ("mail2", "/CN=x", "email:b@sub.example.org"),
            (
                "subject-mail",
                "/CN=x/emailAddress=a@example.org",
                "DNS:db.example.org",
            ),
            ("uri", "/CN=x", "URI:https://example.org/a"),
            ("uri2", "/CN=x", "URI:https://sub.example.org:99/a"),
            ("bad-uri", "/CN=x", "URI:mailto:a"),
            ("bad-mail", "/CN=x", "email:nobody"),
            ("org", "/O=Org/CN=y", "DNS:db.example.org"),
            ("org2", "/O=  oRG/OU=u/CN=y", "DNS:db.example.org"),
            ("rid", "/CN=x", "RID:1.2.3.4"),
            ("empty", "/", "DNS:db.example.org"),
            ("other", "/CN=x", "otherName:1.2.3.4;UTF8:a"),
            ("bad-ip", "/CN=x", "DER:30058703010203"),
        ];
        for (name, subject, names) in leaves {
            let names = if names.is_empty() {
                String::new()
            } else {
                format!("; subjectAltName={}", names.replace(' ', ""))
            };
            self.cert(
                &format!("n-{name}"),
                "p256-l",
                "nc",
                subject,
                &format!("basicConstraints=CA:FALSE{names}"),
                "",
            );
        }
        for (index, constraints) in [
            "permitted;DNS:example.org",
            "permitted;DNS:.example.org",
            "permitted;DNS:allowed.test",
            "DER:3006a00430028200",
            "excluded;DNS:example.org",
            "excluded;DNS:allowed.test",
            "permitted;DNS:allowed.test,permitted;DNS:example.org",
            "permitted;IP:10.0.0.0/255.0.0.0",
            "excluded;IP:10.0.0.0/255.0.0.0",
            "permitted;IP:fd00::/ffff::",
            "permitted;email:example.org",
            "permitted;email:.example.org",
            "permitted;email:a@example.org",
            "permitted;URI:example.org",
            "permitted;URI:.example.org",
            "permitted;dirName:dn; [dn]; O=Org",
            "excluded;dirName:dn; [dn]; O=Org",
            "permitted;RID:1.2.3",
            "excluded;otherName:1.2.3.4;UTF8:a",
            "DER:3014a0123010820b6578616d706c652e6f7267800101",
            "DER:3014a0123010820b6578616d706c652e6f7267810109",
        ]
        .iter()
        .enumerate()
        {
            let root = format!("nc{index}");
            self.cert(
                &root,
                "p256-4",
                "self",
                subject,
                &format!("{CA}; nameConstraints={constraints}"),
                "",
            );
            for (leaf, ..) in leaves {
                self.case(&format!("n-{leaf}"), &root);
            }
        }
        let constrained = format!("{CA}; nameConstraints=permitted;DNS:allowed.test");
        self.cert(
            "nc-inter",
            "p256-5",
            "root",
            "/CN=Constrained Inter",
            &constrained,
            "",
        );
        self.cert("l-nc-inter", "p256-l", "nc-inter", HOST, SERVER, "");
        self.case("l-nc-inter nc-inter", "root");
        self.case("l-nc-inter", "nc-inter root");
    }

    /// Revocation: which list is taken, and what is wrong with it.
    fn lists(&mut self) {
        let point = |more: &str| format!("{SERVER}; crlDistributionPoints={more}");
        self.cert("revoked", "p256-l", "root", HOST, SERVER, "");
        self.cert(
            "r-nosign",
            "p256-4",
            "self",
            "/CN=No CRL Sign",
            &CA.replace(",cRLSign", ""),
            "",
        );
        self.cert("l-r-nosign", "p256-l", "r-nosign", HOST, SERVER, "");
        self.cert("i-revoked", "p256-5", "root", "/CN=Revoked Inter", CA, "");
        self.cert("l-i-revoked", "p256-l", "i-revoked", HOST, SERVER, "");
        self.cert("point", "p256-l", "root", HOST, &point("URI:http://x/1.crl"), "");
        self.cert("point2", "p256-l", "root", HOST, &point("URI:http://x/2.crl"), "");
        let reasons = point("p; [p]; fullname=URI:http://x/1.crl; reasons=keyCompromise");
        self.cert("point-reasons", "p256-l", "root", HOST, &reasons, "");
        let elsewhere =
            point("p; [p]; fullname=URI:http://x/1.crl; CRLissuer=dirName:who; [who]; CN=Elsewhere");
        self.cert("point-issuer", "p256-l", "root", HOST, &elsewhere, "");

        let now = ("2030", "2040");
        let revoked: &[&str] = &["revoked", "i-revoked"];
        let idp = |more: &str| format!("issuingDistributionPoint=critical,@i; [i]; {more}");
        let workshop = &self.workshop;
        for (name, issuer, revoked, extensions, years, more) in [
            ("empty", "root", &[][..], "authorityKeyIdentifier=keyid", now, ""),
            ("revoking", "root", revoked, "", now, ""),
            ("newer-empty", "root", &[], "", ("2030", "2041"), "later"),
            ("newer-revoking", "root", revoked, "", ("2030", "2041"), "later"),
            ("stale", "root", &[], "", ("2028", "2029"), ""),
            ("future", "root", &[], "", ("2035", "2040"), ""),
            ("of-other", "other", &[], "", now, ""),
            ("of-inter", "inter", &[], "", now, ""),
            ("of-revoked", "i-revoked", &[], "", now, ""),
            ("of-nosign", "r-nosign", &[], "", now, ""),
            ("of-twin", "twin", &[], "", now, ""),
            (
                "of-twin-pointing",
                "twin",
                &[],
                "authorityKeyIdentifier=keyid",
                now,
                "",
            ),
            ("removed", "root", revoked, "", now, "-crl_reason removeFromCRL"),
            (
                "held",
                "root",
                revoked,
                "",
                now,
                "-crl_hold holdInstructionReject",
            ),
            ("only-users", "root", &[], &idp("onlyuser=TRUE"), now, ""),
            ("only-cas", "root", &[], &idp("onlyCA=TRUE"), now, ""),
            ("only-attributes", "root", &[], &idp("onlyAA=TRUE"), now, ""),
            (
                "contradictory",
                "root",
                &[],
                &idp("onlyCA=TRUE; onlyuser=TRUE"),
                now,
                "",
            ),
            ("indirect", "root", &[], &idp("indirectCRL=TRUE"), now, ""),
            (
                "some-reasons",
                "root",
                &[],
                &idp("onlysomereasons=keyCompromise"),
                now,
                "",
            ),
            (
                "one-point",
                "root",
                &[],
                &idp("fullname=URI:http://x/1.crl"),
                now,
                "",
            ),
            ("critical", "root", &[], "1.2.3.4=critical,DER:0500", now, ""),
            ("uncritical", "root", &[], "1.2.3.4=DER:0500", now, ""),
            ("delta", "root", revoked, "deltaCRL=critical,DER:020101", now, ""),
            ("bad-aki", "root", &[], "authorityKeyIdentifier=DER:0500", now, ""),
            ("sha1", "root", &[], "", now, "-md sha1"),
            ("rsa-sha1", "q-rsa2048", &[], "", now, "-md sha1"),
            ("rsa-md5", "q-rsa2048", &[], "", now, "-md md5"),
        ] {
            workshop.list(name, issuer, revoked, extensions, years, more);
        }
        for (presented, lists) in [
            ("leaf", "empty"),
            ("revoked", "empty"),
            ("revoked", "revoking"),
            ("leaf", "revoking"),
            ("leaf", "of-other"),
            ("leaf", "stale"),
            ("leaf", "stale empty"),
            ("leaf", "empty stale"),
            ("leaf", "future"),
            ("leaf", "future empty"),
            ("revoked", "empty newer-revoking"),
            ("revoked", "newer-revoking empty"),
            ("revoked", "revoking newer-empty"),
            ("revoked", "newer-empty revoking"),
            ("l-inter inter", "empty"),
            ("l-inter inter", "empty of-inter"),
            ("l-inter inter", "of-inter"),
            ("l-i-revoked i-revoked", "revoking of-revoked"),
            ("l-i-revoked i-revoked", "of-revoked empty"),
            ("leaf", "of-twin"),
            ("leaf", "of-twin empty"),
            ("leaf", "of-twin-pointing"),
            ("leaf", "of-twin-pointing empty"),
            ("leaf", "only-users"),
            ("leaf", "only-users empty"),
            ("leaf", "only-cas"),
            ("leaf", "only-users only-cas"),
            ("leaf", "only-attributes"),
            ("leaf", "only-attributes empty"),
            ("leaf", "contradictory"),
            ("leaf", "contradictory empty"),
            ("leaf", "critical"),
            ("leaf", "critical empty"),
            ("leaf", "uncritical"),
            ("revoked", "removed"),
            ("revoked", "held"),
            ("root", "empty"),
            ("root", "of-other"),
            ("root", "only-users"),
            ("leaf", "one-point"),
            ("point", "one-point"),
            ("point", "one-point empty"),
            ("point2", "one-point"),
            ("point2", "one-point empty"),
            ("point-reasons", "empty"),
            ("point-reasons", "one-point"),
            ("point-issuer", "empty"),
            ("leaf", "indirect"),
            ("leaf", "indirect empty"),
            ("leaf", "some-reasons"),
            ("leaf", "delta"),
            ("leaf", "delta empty"),
            ("revoked", "delta"),
            ("leaf", "bad-aki"),
            ("leaf", "bad-aki empty"),
            ("leaf-expired", "empty"),
            ("leaf-expired", "revoking"),
            ("leaf-damaged", "empty"),
            ("leaf", "sha1"),
        ] {
            self.listed(presented, "root", lists);
        }
        self.listed("l-r-nosign", "r-nosign", "of-nosign");
        self.listed("leaf", "root-old", "empty");
        self.listed("l-q-rsa2048", "q-rsa2048", "rsa-sha1");
        self.listed("l-q-rsa2048", "q-rsa2048", "rsa-md5");
    }
}
