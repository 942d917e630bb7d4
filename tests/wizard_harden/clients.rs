//! Who shows which certificate, where everybody has to: of a company's CA whose key is elsewhere, or of a kit made here.

use std::path::PathBuf;

use crate::site::{Site, answer};
use crate::support::{Ca, Leaf, Postgres, Pty, TestServer, psql};

const TLS_ONLY: &str = "hostssl all all all scram-sha-256";

/// A server with a company's certificate.
fn company(major: u16) -> Option<(Ca, Site)> {
    let ca = Ca::new("company");
    let builder = TestServer::builder(&Postgres::find(major)?)
        .tls(&ca.server(&["localhost"]))
        .hba(TLS_ONLY)
        .sql("create role report login password 'pw'");
    Some((ca, Site::of(builder)))
}

impl Site {
    fn admin(&self, ca: &Ca) -> String {
        format!("{} sslrootcert={}", self.server.socket(), ca.cert.display())
    }

    /// psql as this role, with this certificate.
    fn role(&self, role: &str, ca: &Ca, client: Option<&Leaf>) -> bool {
        let shown = client.map_or_else(
            // A file that is not there is no certificate; sslcertmode is not known to every psql.
            || "sslcert=/nonexistent".to_owned(),
            |leaf| format!("sslcert={} sslkey={}", leaf.cert.display(), leaf.key.display()),
        );
        let conninfo = format!(
            "host=localhost port={} user={role} password=pw dbname=postgres sslmode=verify-full sslrootcert={} {shown}",
            self.server.port,
            ca.cert.display()
        );
        psql(&conninfo, "select 1").ok
    }

    fn kit(&self, role: &str) -> Leaf {
        let file = |name: &str| -> PathBuf { self.kit.join("clients").join(role).join(name) };
        Leaf {
            cert: file("client.crt"),
            key: file("client.key"),
        }
    }
}

/// From the first step to the clients, where they are only asked or where they have to show a certificate.
#[track_caller]
fn clients(site: &Site, ca: &Ca, stages: &[&str]) -> Pty {
    let mut pty = site.wizard(&site.admin(ca));
    pty.expect("▸ ○ require");
    for stage in stages {
        pty.send("j");
        pty.expect(&format!("▸ ○ {stage}"));
    }
    pty.send("\r");
    pty.expect("Whose client certificates?");
    pty.expect("app, postgres, report");
    pty
}

#[test]
fn a_companys_ca_is_named_with_what_proves_it() {
    let Some((ca, site)) = company(17) else { return };
    let before = site.rules();
    let (app, late) = (ca.client("app"), ca.client_between("app", -30, -2));
    let mut pty = clients(&site, &ca, &["ask", "mtls"]);
    pty.click("Your CA's");
    pty.expect("the server judges clients by it");
    let name = |pty: &mut Pty, leaf: &Leaf| {
        for file in [&ca.cert, &leaf.cert, &leaf.key] {
            pty.send(&format!("\t\x15{}", file.display()));
        }
        pty.send("\r");
    };
    // Refused before anything is written, and the way back to it is shown.
    name(&mut pty, &late);
    pty.expect("expired on");
    pty.send("g");
    pty.expect("Whose client certificates?");
    name(&mut pty, &app);
    pty.expect("Goes back unless kept within");
    pty.send("w");
    pty.expect("for the role app");
    pty.send("\x1b");
    pty.until("the window is closed", |screen| {
        !screen.contains("for the role app")
    });
    assert_eq!(site.rules(), before);
    pty.send("\r");
    pty.expect("Keep it?");
    assert!(
        site.role("app", &ca, Some(&app)),
        "a certificate of the company's"
    );
    assert!(!site.role("app", &ca, None), "no certificate");
    assert!(!site.role("app", &ca, Some(&Ca::new("stranger").client("app"))));
    pty.send("k");
    pty.expect("Kept:");
    pty.expect("--client-ca");
    assert!(!pty.text().contains("hand them out"), "{}", pty.text());
    assert!(!site.kit("app").cert.exists(), "a kit was made");
    pty.send("q");
    assert_eq!(pty.wait(), 0);
}

/// Who has a certificate shows it, and who has none comes in as before.
#[test]
fn certificates_are_asked_for_before_they_are_demanded() {
    let Some((ca, site)) = company(17) else { return };
    let before = site.rules();
    let mut pty = clients(&site, &ca, &["ask"]);
    pty.send("\r");
    pty.expect("Goes back unless kept within");
    pty.send("\r");
    pty.expect("Keep it?");
    let kit = site.kit("app");
    assert!(site.role("app", &ca, Some(&kit)), "its kit");
    assert!(site.role("app", &ca, None), "no certificate");
    assert!(!site.role("app", &ca, Some(&Ca::new("stranger").client("app"))));
    pty.send("k");
    pty.expect("Kept:");
    pty.expect("nobody comes in without a client certificate");
    pty.send("q");
    assert_eq!(pty.wait(), 0);
    assert_eq!(site.rules(), before, "no rule demands it");
}

/// Line by line: kits only for whom one is wanted, and a company's CA where nothing proves it is asked about again.
#[test]
fn line_by_line_kits_are_made_for_whom_they_are_wanted() {
    let Some((ca, site)) = company(18) else { return };
    let mut pty = Pty::pgtls(&["--accessible"], &site.kit, (200, 400), &[]);
    answer(&mut pty, "A number, or Enter for", "harden");
    answer(&mut pty, "Log in by.", &site.admin(&ca));
    for prompt in ["Its files are in.", "Books kept in.", "Clients dial."] {
        answer(&mut pty, prompt, "");
    }
    answer(&mut pty, "A number, or Enter for 1, A new CA", "");
    answer(&mut pty, "A number, or Enter for 1, P-256", "");
    answer(&mut pty, "Valid for days.", "");
    answer(&mut pty, "The CA for days.", "");
    answer(&mut pty, "A number, or Enter for 3, require", "mtls");
    answer(&mut pty, "A number, or Enter for 1, Made here", "2");
    answer(&mut pty, "That CA.", &ca.cert.display().to_string());
    answer(&mut pty, "A client's.", "");
    pty.expect("Not right yet: it is needed to prove that whoever has one comes in.");
    pty.send("back\r");
    answer(&mut pty, "That CA.", "back");
    answer(&mut pty, "A number, or Enter for 2, Your CA's", "1");
    answer(&mut pty, "A number, or Enter for 2, Both", "");
    answer(&mut pty, "Clients. Enter for every role that may log in", "app");
    answer(&mut pty, "Enter tries it", "");
    answer(&mut pty, "\"keep\" keeps it", "keep");
    answer(&mut pty, "Enter goes to the stages", "quit");
    assert_eq!(pty.wait(), 0);
    let said = pty.text();
    assert!(said.contains("Kits for app, postgres, report"), "{said}");
    // The command is as long as the paths in it, and may be broken between two words.
    let unbroken = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unbroken.contains("--client app --stage mtls"), "{said}");
    assert!(site.role("app", &ca, Some(&site.kit("app"))), "its kit");
    assert!(!site.role("app", &ca, None), "no certificate");
    assert!(!site.kit("report").cert.exists(), "a kit that nobody wanted");
    assert!(!site.role("report", &ca, Some(&site.kit("app"))), "another's kit");
    assert!(!pty.bytes().contains(&0x1b), "something was drawn");
}
