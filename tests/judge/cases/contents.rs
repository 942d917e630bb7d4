//! What certificates say: as CAs, as leaves, with which keys and digests.

use super::{BARE, CA, HOST, PLAIN, SERVER, Table};

impl Table {
    /// The same odd extensions on a root, an intermediate and a self-signed server certificate.
    pub fn doubtful_cas(&mut self) {
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

    /// Purposes, usages and extensions of the leaf, as a server's and as a client's.
    pub fn leaves(&mut self) {
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
            ("long-bc", "basicConstraints=DER:30000500"),
            ("long-ku", "keyUsage=DER:030207800500"),
            ("long-eku", "extendedKeyUsage=DER:300a06082b060105050703010500"),
            ("long-aki", "authorityKeyIdentifier=DER:30000500"),
            ("bad-oid-eku", "extendedKeyUsage=DER:300406022a80"),
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
            ("open-san", "subjectAltName=DER:308082016100000500"),
            ("padded-san", "subjectAltName=DER:30850000000003820161"),
            ("bad-rid", "subjectAltName=DER:3003880180"),
            ("bad-other", "subjectAltName=DER:300aa00806022a86a0020500"),
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
    pub fn algorithms(&mut self) {
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
}
