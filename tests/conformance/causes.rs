//! Every cause provoked on a live server, and its words checked: the name in the JSON, the evidence, the person's own
//! files in the remedy.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cases::Case;
use super::servers::Running;
use super::support::{Account, Postgres, Project, pgtls, psql, psql_as, wait_for};
use super::witness::Witness;
use super::world::World;
use super::{Verdict, each_case, ours, scripted, servers};

/// A cause, the server and conninfo (and home) that bring it about, and what must be said: in evidence, sentence or
/// remedy. `{d}` is where the files are.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// The causes that are provoked apart from the rows.
const CLOSED: &str = "socket-denied";
const PEER: &str = "peer-account";

const FULL: &str = "sslmode=verify-full sslrootcert={d}/root.crt";

const ROWS: &[Row] = &[
    (
        "bad-conninfo",
        "tls",
        "sslmode=verify_full",
        "",
        &["sslmode", "verify-full"],
    ),
    ("bad-conninfo", "tls", "nonsense=1", "", &["nonsense"]),
    (
        "bad-conninfo",
        "tls",
        "sslmode=require sslrootcert=system",
        "",
        &["verify-full"],
    ),
    (
        "host-unknown",
        "tls",
        "host=nowhere.invalid hostaddr=''",
        "",
        &["nowhere.invalid", "getent hosts"],
    ),
    (
        "connection-refused",
        "tls",
        "port=1",
        "",
        &["db.test port 1", "listen_addresses"],
    ),
    (
        "no-socket",
        "tls",
        "host=/nowhere hostaddr=''",
        "",
        &["/nowhere", "unix_socket_directories"],
    ),
    (
        "wrong-peer",
        "socket",
        "host={sock} hostaddr='' requirepeer=daemon",
        "",
        &["daemon"],
    ),
    (
        "server-has-no-ssl",
        "plaintext",
        "sslmode=require",
        "",
        &["SSLRequest: N", "ssl = on"],
    ),
    (
        "client-rootcert-missing",
        "tls",
        "sslmode=verify-full sslrootcert={d}/missing.crt",
        "",
        &["{d}/missing.crt"],
    ),
    (
        "client-rootcert-missing",
        "tls",
        "sslmode=verify-ca",
        "",
        &[".postgresql/root.crt"],
    ),
    (
        "client-rootcert-unreadable",
        "tls",
        "sslmode=require sslrootcert={d}/junk.crt",
        "",
        &["pgtls inspect {d}/junk.crt"],
    ),
    (
        "client-cert-unreadable",
        "tls",
        "sslmode=require sslcert={d}/junk.crt",
        "",
        &["{d}/junk.crt", "sslcertmode=disable"],
    ),
    (
        "client-cert-weak",
        "tls",
        "sslmode=require sslcert={d}/aliceshort.crt sslkey={d}/aliceshort.key",
        "",
        &["1024", "{d}/aliceshort.crt"],
    ),
    (
        "client-key-missing",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/missing.key",
        "",
        &["{d}/missing.key", "{d}/alice.crt"],
    ),
    (
        "client-key-not-file",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/nothing",
        "",
        &["{d}/nothing"],
    ),
    (
        "client-key-mode",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/alice-0644.key",
        "",
        &["chmod 600 {d}/alice-0644.key", "0644"],
    ),
    (
        "client-key-unreadable",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/junk.key",
        "",
        &["{d}/junk.key", "pkcs12"],
    ),
    (
        "client-key-passphrase",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/alice-enc.key",
        "",
        &["sslpassword", "{d}/alice-enc.key"],
    ),
    (
        "client-key-passphrase",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/alice-enc.key sslpassword=wrong",
        "",
        &["does not open"],
    ),
    (
        "client-key-mismatch",
        "tls",
        "sslmode=require sslcert={d}/alice.crt sslkey={d}/bob.key",
        "",
        &["{d}/bob.key", "{d}/alice.crt"],
    ),
    (
        "tls-version",
        "only11",
        "sslmode=require",
        "",
        &["alert 70", "ssl_min_protocol_version"],
    ),
    (
        "tls-version",
        "only12",
        "sslmode=require ssl_min_protocol_version=TLSv1.3",
        "",
        &["alert 70"],
    ),
    (
        "handshake",
        "cbcec",
        "sslmode=require",
        "",
        &["alert 40", "ssl_ciphers"],
    ),
    (
        "tls-unspoken",
        "cbc",
        "sslmode=require",
        "",
        &["AES128-SHA", "psql"],
    ),
    (
        "tls-unspoken",
        "x448group[18]",
        "sslmode=require",
        "",
        &["group", "psql"],
    ),
    (
        "tls-unspoken",
        "cert:ed448",
        "sslmode=require",
        "",
        &["Ed448", "psql"],
    ),
    (
        "direct-tls",
        "direct[15]",
        "sslmode=require sslnegotiation=direct",
        "",
        &["17", "sslnegotiation"],
    ),
    (
        "server-cert-untrusted-issuer",
        "cert:byevil",
        FULL,
        "",
        &["Evil Root", "{d}/root.crt", "error 20"],
    ),
    (
        "server-cert-issuer-key-differs",
        "cert:bytwin",
        FULL,
        "",
        &["{d}/root.crt"],
    ),
    (
        "server-cert-self-signed-not-trusted",
        "cert:selfsigned",
        FULL,
        "",
        &["self-signed", "error 18"],
    ),
    (
        "server-cert-partial-chain",
        "cert:byinter-chain",
        "sslmode=verify-ca sslrootcert={d}/inter.crt",
        "",
        &["{d}/inter.crt"],
    ),
    (
        "server-cert-expired",
        "cert:old",
        FULL,
        "",
        &["2020-01-01", "pgtls renew"],
    ),
    (
        "server-cert-not-yet-valid",
        "cert:future",
        FULL,
        "",
        &["2045-01-01", "clock"],
    ),
    (
        "server-cert-anchor-expired",
        "cert:byold",
        "sslmode=verify-ca sslrootcert={d}/oldroot.crt",
        "",
        &["2020-01-01", "Old Root", "{d}/oldroot.crt"],
    ),
    (
        "server-cert-anchor-not-yet-valid",
        "cert:bynew",
        "sslmode=verify-ca sslrootcert={d}/newroot.crt",
        "",
        &["2045-01-01"],
    ),
    (
        "server-cert-not-a-ca",
        "cert:bynoca",
        "sslmode=verify-ca sslrootcert={d}/noca.crt",
        "",
        &["No CA", "CA:TRUE"],
    ),
    (
        "server-cert-wrong-purpose",
        "cert:clientonly",
        FULL,
        "",
        &["serverAuth"],
    ),
    (
        "server-cert-key-usage",
        "cert:signonly",
        FULL,
        "",
        &["digitalSignature"],
    ),
    (
        "server-cert-path-length",
        "cert:byflat-chain",
        "sslmode=verify-ca sslrootcert={d}/flatroot.crt",
        "",
        &["pathlen"],
    ),
    (
        "server-cert-name-constraint",
        "cert:bynarrow",
        "sslmode=verify-ca sslrootcert={d}/narrowroot.crt",
        "",
        &["db.test"],
    ),
    ("server-cert-weak-digest", "cert:sha1", FULL, "", &["SHA-256"]),
    (
        "server-cert-weak-key",
        "cert:shortsigned",
        "sslmode=verify-ca sslrootcert={d}/shortroot.crt",
        "",
        &["1024"],
    ),
    (
        "server-cert-unknown-critical-extension",
        "cert:critical",
        FULL,
        "",
        &["critical"],
    ),
    (
        "server-cert-bad-signature",
        "cert:damaged",
        FULL,
        "",
        &["{d}/root.crt"],
    ),
    (
        "server-cert-explicit-curve",
        "cert:explicit",
        FULL,
        "",
        &["named curve"],
    ),
    (
        "server-cert-revoked",
        "cert:revoked",
        "sslmode=verify-ca sslrootcert={d}/root.crt sslcrl={d}/revoking.crl",
        "",
        &["revoked", "error 23"],
    ),
    (
        "server-cert-revoked",
        "cert:revoked",
        "sslmode=verify-ca",
        "crl",
        &["revoked"],
    ),
    (
        "server-cert-crl-missing",
        "tls",
        "sslmode=verify-ca sslrootcert={d}/root.crt sslcrl={d}/weak.crl",
        "",
        &["error 3", "openssl rehash"],
    ),
    (
        "server-cert-crl-expired",
        "tls",
        "sslmode=verify-ca sslrootcert={d}/root.crt sslcrl={d}/stale.crl",
        "",
        &["2020-01-01"],
    ),
    (
        "server-cert-crl-not-yet-valid",
        "tls",
        "sslmode=verify-ca sslrootcert={d}/root.crt sslcrl={d}/early.crl",
        "",
        &["2045-01-01"],
    ),
    (
        "server-cert-crl-bad-signature",
        "tls",
        "sslmode=verify-ca sslrootcert={d}/root.crt sslcrl={d}/forged.crl",
        "",
        &["error 8"],
    ),
    (
        "server-cert-crl-unread",
        "cert:revoked",
        "sslmode=verify-ca sslrootcert={d}/root.crt sslcrl={d}/pieces.crl",
        "",
        &["{d}/pieces.crl", "psql"],
    ),
    (
        "server-cert-chain-too-long",
        "cert:endless",
        FULL,
        "",
        &["error 22", "Link 1"],
    ),
    (
        "server-cert-crl-unusable",
        "cert:bynocrl",
        "sslmode=verify-ca sslrootcert={d}/nocrlroot.crt sslcrl={d}/nocrllist.crl",
        "",
        &["No List Root", "cRLSign", "error 35"],
    ),
    (
        "server-cert-proxy-certificate",
        "cert:proxy",
        FULL,
        "",
        &["error 40", "CN=proxy"],
    ),
    (
        "server-cert-malformed",
        // OpenSSL 3 does not load such a certificate; the OpenSSL 1.1.1 of this server does.
        "cert:misshapen[13]",
        FULL,
        "",
        &["pgtls inspect", "db.test"],
    ),
    (
        "server-cert-unsupported-algorithm",
        "cert:byed448",
        "sslmode=verify-full sslrootcert={d}/ed448root.crt",
        "",
        &["Ed448", "psql"],
    ),
    (
        "no-host-name",
        "tls",
        "sslmode=verify-full sslrootcert={d}/root.crt host=''",
        "",
        &["host="],
    ),
    (
        "host-mismatch",
        "tls",
        "sslmode=verify-full sslrootcert={d}/root.crt host=other.test",
        "",
        &["db.test", "other.test", "pgtls up --host other.test"],
    ),
    ("no-names", "cert:nameless", FULL, "", &["subjectAltName"]),
    ("nul-in-name", "cert:nul", FULL, "", &["NUL"]),
    ("bad-ip-san", "cert:badip", FULL, "", &["8 bytes"]),
    (
        "client-cert-untrusted",
        "cert",
        "sslmode=require sslcert={d}/eve.crt sslkey={d}/eve.key",
        "",
        &["alert 48", "{d}/eve.crt", "ssl_ca_file"],
    ),
    (
        "client-cert-untrusted",
        "cert12",
        "sslmode=require sslcert={d}/eve.crt sslkey={d}/eve.key",
        "",
        &["alert 48"],
    ),
    (
        "client-cert-untrusted",
        "optional",
        "sslmode=require",
        "eve",
        &[".postgresql/postgresql.crt", "sslcertmode=disable"],
    ),
    (
        "client-cert-expired",
        "cert",
        "sslmode=require sslcert={d}/aliceold.crt sslkey={d}/aliceold.key",
        "",
        &["alert 45", "{d}/aliceold.crt"],
    ),
    (
        "client-cert-revoked",
        "revoking",
        "sslmode=require sslcert={d}/alicerevoked.crt sslkey={d}/alicerevoked.key",
        "",
        &["alert 44", "{d}/alicerevoked.crt"],
    ),
    (
        "client-cert-purpose",
        "cert",
        "sslmode=require sslcert={d}/aliceserver.crt sslkey={d}/aliceserver.key",
        "",
        &["alert 43", "clientAuth"],
    ),
    (
        "client-cert-bad",
        "cert",
        "sslmode=require sslcert={d}/alicefuture.crt sslkey={d}/alicefuture.key",
        "",
        &["alert 42", "{d}/alicefuture.crt"],
    ),
    (
        "client-cert-required",
        "cert",
        "sslmode=require",
        "",
        &["sslcert", "28000"],
    ),
    (
        "client-cert-wrong-user",
        "cert",
        "sslmode=require sslcert={d}/bob.crt sslkey={d}/bob.key",
        "",
        &["bob", "alice", "pg_ident.conf"],
    ),
    (
        "server-no-ca",
        "certnoca",
        "sslmode=require",
        "",
        &["ssl_ca_file"],
    ),
    (
        "hba-no-entry-plain",
        "tls",
        "sslmode=disable",
        "",
        &["28000", "sslmode=verify-full"],
    ),
    (
        "hba-no-entry-ssl",
        "nobody",
        "sslmode=require",
        "",
        &["alice", "SHOW hba_file", "hostssl"],
    ),
    (
        "hba-reject",
        "reject",
        "sslmode=require",
        "",
        &["reject", "SHOW hba_file"],
    ),
    (
        "password",
        "scram",
        "sslmode=require password=wrong",
        "",
        &["28P01", "alice"],
    ),
    (
        "password",
        "verifyfull",
        "sslmode=require password=right sslcert={d}/bob.crt sslkey={d}/bob.key",
        "",
        &["\\\"bob\\\"", "clientcert=verify-full"],
    ),
    (
        "password-missing",
        "scram",
        "sslmode=require",
        "",
        &["PGPASSWORD", ":postgres:alice:"],
    ),
    (
        "password-missing",
        "scram",
        "sslmode=require passfile={d}/passfile-open",
        "",
        &["chmod 600", "passfile-open"],
    ),
    (
        "no-role",
        "tls",
        "sslmode=require user=ghost",
        "",
        &["CREATE ROLE", "ghost"],
    ),
    (
        "role-may-not-login",
        "tls",
        "sslmode=require user=grouprole",
        "",
        &["ALTER ROLE", "grouprole"],
    ),
    (
        "no-database",
        "tls",
        "sslmode=require dbname=missing",
        "",
        &["CREATE DATABASE", "missing"],
    ),
    (
        "unreachable",
        "tls",
        // No connection leads to a multicast address.
        "hostaddr=224.0.0.1",
        "",
        &["network is unreachable", "224.0.0.1"],
    ),
    (
        "server-not-ready",
        "standby",
        "sslmode=require",
        "",
        &["57P03", "pg_isready -h db.test -p {port}"],
    ),
    (
        "server-not-ready",
        "standby[13]",
        "sslmode=require",
        "",
        &["57P03"],
    ),
    ("too-many-connections", "full", "sslmode=require", "", &["53300"]),
    (
        "login-refused",
        "tls",
        "sslmode=require options='-c nope=1'",
        "",
        &["nope"],
    ),
    (
        "channel-binding",
        "password",
        "sslmode=require password=right channel_binding=require",
        "",
        &["scram-sha-256"],
    ),
    (
        "channel-binding-no-digest",
        "scramed",
        "sslmode=require password=right",
        "",
        &["Ed25519", "channel_binding=disable"],
    ),
    (
        "require-auth",
        "password",
        "sslmode=require password=right require_auth=scram-sha-256",
        "",
        &["password in clear", "require_auth"],
    ),
    (
        "sslcertmode",
        "tls",
        "sslmode=require sslcertmode=require",
        "",
        &["ssl_ca_file"],
    ),
    ("auth-unspoken", "tls", "gssencmode=require", "", &["gssencmode"]),
    (
        "session-attributes",
        "tls",
        "sslmode=require target_session_attrs=standby",
        "",
        &["standby"],
    ),
    (
        "protocol",
        "scram[13]",
        "sslmode=require password=right min_protocol_version=3.2",
        "",
        &["3.2"],
    ),
];

#[test]
fn each_refusal_names_its_cause_with_evidence_and_a_remedy_in_the_persons_own_names() {
    let world = World::new().with_endless_chain();
    let cases: Vec<Case> = ROWS
        .iter()
        .map(|(_, server, conninfo, home, _)| Case {
            server,
            conninfo: (*conninfo).to_owned(),
            home,
            unspoken: false,
        })
        .collect();
    let directory = world.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let wrong = each_case(&world, &cases, |server, case, witness| {
        let conninfo = server.fill(&world, &case.conninfo);
        let (verdict, outcome) = ours(&world, &conninfo, case.home);
        let theirs = witness.verdict(&conninfo, &world.home(case.home));
        let mut rows = ROWS.iter().filter(|(_, server, text, home, _)| {
            (*server, *text, *home) == (case.server, &*case.conninfo, case.home)
        });
        let (slug, _, _, _, words) = rows.next_back().unwrap();
        let report: Value = serde_json::from_str(&outcome.stdout).unwrap_or_default();
        let missing: Vec<_> = words
            .iter()
            .map(|word| {
                word.replace("{d}", &directory)
                    .replace("{port}", &server.server.port.to_string())
            })
            .filter(|word| !outcome.stdout.contains(word))
            .collect();
        let remedies = report["probes"].as_array().into_iter().flatten();
        let has_remedy = *slug == "bad-conninfo"
            || remedies
                .filter(|probe| probe["cause"] == *slug)
                .any(|probe| probe["remedy"].as_str().is_some_and(|remedy| remedy.len() > 10));
        let agrees = verdict == Verdict::Undetermined
            || theirs.verdict == Verdict::Refuses && is_said(slug, &theirs.says);
        let good = report["cause"] == *slug
            && missing.is_empty()
            && has_remedy
            && agrees
            && verdict != Verdict::Connects;
        (!good).then(|| {
            format!(
                "{slug} on {} under {conninfo:?}: cause {}, remedy {has_remedy}, lacks {missing:?}, libpq {:?} \
                 {:?}\n{}{}",
                case.server, report["cause"], theirs.verdict, theirs.says, outcome.stdout, outcome.stderr
            )
        })
    });
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        ROWS.len(),
        wrong.join("\n")
    );
}

/// Whether libpq's words are what the table has for that cause: one of its texts, with anything for each X.
fn is_said(slug: &str, says: &str) -> bool {
    let cause = pgtls::verify::Cause::all()
        .find(|cause| cause.slug() == slug)
        .unwrap();
    cause.psql().split("; ").any(|text| {
        let marked = format!(" {text} ")
            .replace(" X", " \0")
            .replace("\"X\"", "\"\0\"");
        let mut rest = says;
        marked.trim().split('\0').all(|part| {
            let part = part.trim();
            rest.find(part)
                .map(|at| rest = &rest[at + part.len()..])
                .is_some()
        })
    })
}

/// In a sandbox of one's own the superuser's way in is at hand: the line that decides, and what the role lacks, are read.
#[test]
fn on_ones_own_server_the_line_of_pg_hba_conf_that_decides_is_looked_up() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::ordinary());
    let made = project
        .up("one-way", &postgres)
        .run()
        .expect_ok("pgtls up")
        .json();
    let conninfo = made["connect"]["conninfo"].as_str().unwrap().to_owned();
    let asked = |more: &str| {
        let conninfo = format!("{conninfo} {more}");
        let outcome = project
            .pgtls(&["verify", "--probes", "connect", "--json", &conninfo])
            .run();
        outcome.clone().expect_status(1);
        outcome.stdout
    };
    let wrong = asked("password=wrong");
    assert!(
        wrong.contains("Connection matched") && wrong.contains("hostssl"),
        "{wrong}"
    );
    let stranger = asked("user=stranger password=wrong");
    assert!(
        stranger.contains("is for this login") || stranger.contains("decides:"),
        "{stranger}"
    );
    let plain = asked("sslmode=disable password=wrong");
    assert!(plain.contains("pg_hba.conf decides: host "), "{plain}");
    assert!(plain.contains("reject"), "{plain}");
}

/// Only an account that may not enter can tell, so this is none of the rows: the tests may run as root.
#[test]
fn a_socket_that_is_closed_to_this_account() {
    let world = World::new();
    let Some(Running { server }) = servers::start(&world, "socket") else {
        return;
    };
    let socket = server.socket();
    let directory = socket
        .split(' ')
        .next()
        .unwrap()
        .trim_start_matches("host=")
        .to_owned();
    let file = std::path::Path::new(&directory).join(format!(".s.PGSQL.{}", server.port));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let conninfo = format!("host={directory} port={} user=alice dbname=postgres", server.port);
    let account = Account::ordinary();
    let report = pgtls(["verify", "--probes", "connect", "--json", &conninfo])
        .account(&account)
        .run()
        .expect_status(1)
        .json();
    assert_eq!(report["cause"], CLOSED, "{report:#}");
    let probe = &report["probes"][0];
    assert!(
        probe["remedy"]
            .as_str()
            .unwrap()
            .contains(&format!("ls -ld {directory}")),
        "{report:#}"
    );
    let theirs = psql_as(&account, &conninfo, "select 1");
    assert!(!theirs.ok && is_said(CLOSED, &theirs.stderr), "{theirs:?}");
}

/// The default of most distributions, and the first thing that an administrator meets who is root.
#[test]
fn a_socket_where_the_account_counts() {
    let world = World::new();
    let Some(Running { server }) = servers::start(&world, "socket") else {
        return;
    };
    let hba = "local all postgres trust\nlocal all alice peer\n";
    std::fs::write(server.data.join("pg_hba.conf"), hba).unwrap();
    server.sql("select pg_reload_conf()");
    let conninfo = server.socket().replace("user=postgres", "user=alice");
    let theirs = wait_for(
        "the rules are in force",
        std::time::Duration::from_secs(60),
        || {
            let theirs = psql(&conninfo, "select 1");
            (!theirs.ok).then_some(theirs)
        },
    );
    assert!(is_said(PEER, &theirs.stderr), "{theirs:?}");
    let report = pgtls(["verify", "--probes", "connect", "--json", &conninfo])
        .run()
        .expect_status(1)
        .json();
    assert_eq!(report["cause"], PEER, "{report:#}");
    let said = report["probes"].to_string();
    for word in [
        "sudo -u alice",
        "pg_ident.conf",
        "host=localhost",
        "Peer authentication failed",
    ] {
        assert!(said.contains(word), "{word}: {report:#}");
    }
}

#[test]
fn what_no_postgresql_says_is_named_too() {
    let world = World::new();
    let Some(mut witness) = Witness::start() else {
        return;
    };
    for (slug, script) in scripted::SCRIPTS {
        let port = scripted::serve(*script);
        let more = if *slug == "timeout" {
            "connect_timeout=2"
        } else {
            ""
        };
        let conninfo = format!("host=127.0.0.1 port={port} user=alice password=right sslmode=prefer {more}");
        let conninfo = match *slug {
            "channel-binding-stripped" | "server-unproven" | "protocol" => {
                conninfo.replace("prefer", "disable")
            }
            _ => conninfo.replace("prefer", "require"),
        };
        let (_, outcome) = ours(&world, &conninfo, "");
        let report = outcome.json();
        assert_eq!(report["cause"], *slug, "{report:#}");
        assert_ne!(outcome.status, Some(0));
        let theirs = witness.verdict(&conninfo, &world.home(""));
        assert_eq!(theirs.verdict, Verdict::Refuses, "{slug}: {}", theirs.says);
        assert!(
            is_said(slug, &theirs.says),
            "{slug}: libpq says {:?}",
            theirs.says
        );
    }
}

#[test]
fn every_cause_is_provoked_and_the_table_is_current() {
    let table = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md")).unwrap();
    let made = pgtls::verify::causes_page();
    if std::env::var_os("PGTLS_WRITE_DOCS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/causes.md"), &made).unwrap();
    } else {
        assert!(
            table == made,
            "docs/causes.md is not what the causes are now: run this test with PGTLS_WRITE_DOCS=1"
        );
    }
    let listed: BTreeSet<String> = pgtls::verify::Cause::all()
        .map(pgtls::verify::Cause::slug)
        .collect();
    let rows = ROWS.iter().map(|(slug, ..)| *slug);
    let scripts = scripted::SCRIPTS.iter().map(|(slug, _)| *slug);
    let tested: BTreeSet<String> = rows
        .chain(scripts)
        .chain([CLOSED, PEER])
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, tested);
}
