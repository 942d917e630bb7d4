//! What CAs forbid: names outside their constraints, and certificates they took back.

use super::{CA, HOST, SERVER, Table};

impl Table {
    /// All kinds of constraints on one CA, each against leaves with all kinds of names.
    pub fn name_constraints(&mut self) {
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
    pub fn lists_made(&mut self) {
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
    }

    pub fn judged_lists(&mut self) {
        self.all(
            "leaf < root < empty | revoked < root < empty | revoked < root < revoking | leaf < root < revoking | \
             leaf < root < of-other | leaf < root < stale | leaf < root < stale empty | leaf < root < empty stale | \
             leaf < root < future | leaf < root < future empty | revoked < root < empty newer-revoking | \
             revoked < root < newer-revoking empty | revoked < root < revoking newer-empty | \
             revoked < root < newer-empty revoking | l-inter inter < root < empty | \
             l-inter inter < root < empty of-inter | l-inter inter < root < of-inter | \
             l-i-revoked i-revoked < root < revoking of-revoked | l-i-revoked i-revoked < root < of-revoked empty | \
             leaf < root < of-twin | leaf < root < of-twin empty | leaf < root < of-twin-pointing | \
             leaf < root < of-twin-pointing empty | leaf < root < only-users | leaf < root < only-users empty | \
             leaf < root < only-cas | leaf < root < only-users only-cas | leaf < root < only-attributes | \
             leaf < root < only-attributes empty | leaf < root < contradictory | \
             leaf < root < contradictory empty | leaf < root < critical | leaf < root < critical empty | \
             leaf < root < uncritical | revoked < root < removed | revoked < root < held | root < root < empty | \
             root < root < of-other | root < root < only-users | leaf < root < one-point | \
             point < root < one-point | point < root < one-point empty | point2 < root < one-point | \
             point2 < root < one-point empty | point-reasons < root < empty | point-reasons < root < one-point | \
             point-issuer < root < empty | leaf < root < indirect | leaf < root < indirect empty | \
             leaf < root < some-reasons | leaf < root < delta | leaf < root < delta empty | \
             revoked < root < delta | leaf < root < bad-aki | leaf < root < bad-aki empty | \
             leaf-expired < root < empty | leaf-expired < root < revoking | leaf-damaged < root < empty | \
             leaf < root < sha1",
        );
        self.listed("l-r-nosign", "r-nosign", "of-nosign");
        self.listed("leaf", "root-old", "empty");
        self.listed("l-q-rsa2048", "q-rsa2048", "rsa-sha1");
        self.listed("l-q-rsa2048", "q-rsa2048", "rsa-md5");
    }
}
