//! `verify --targets`: many servers at once, with psql and openssl as witnesses.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::scene::{Cast, HBA_ONE_WAY, NAMES};
use support::{Job, Outcome, pgtls, psql, scratch};

const PASSWORD: &str = "uNmistakable-4711";

/// A list in a file of its own.
fn list(lines: &[String]) -> PathBuf {
    let path = scratch("targets").join("targets");
    fs::write(&path, lines.join("\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn run(list: &Path, more: &[&str]) -> Outcome {
    pgtls(["verify", "--probes", "connect", "--timeout", "5", "--targets"])
        .arg(list)
        .args(more)
        .run()
}

/// The JSON lines by line number, and the summary.
fn objects(outcome: &Outcome) -> (BTreeMap<u64, Value>, Value) {
    let mut all: Vec<Value> = outcome
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let summary = all.pop().unwrap()["summary"].clone();
    let count = all.len();
    let by_line: BTreeMap<_, _> = all
        .into_iter()
        .map(|one| (one["line"].as_u64().unwrap(), one))
        .collect();
    assert_eq!(by_line.len(), count, "a line came twice: {}", outcome.stdout);
    (by_line, summary)
}

/// A server whose role `app` has [`PASSWORD`], and a conninfo that gives it.
fn server(cast: &Cast, leaf: &support::Leaf) -> (support::TestServer, String) {
    let server = cast
        .server_with(leaf)
        .hba(HBA_ONE_WAY)
        .sql(&format!("alter role app password '{PASSWORD}'"))
        .start();
    let conninfo = format!(
        "{} password={PASSWORD} connect_timeout=5",
        cast.conninfo(server.port)
    );
    (server, conninfo)
}

#[test]
fn each_line_is_told_as_psql_would_have_it() {
    let Some(cast) = Cast::new() else { return };
    let (server, good) = server(&cast, &cast.ca.server(&NAMES));
    let lines = [
        "# the servers of this house".to_owned(),
        String::new(),
        good.clone(),
        format!("{good} host=127.0.0.1"),
        format!("{good} dbname=nowhere"),
        format!("{good} hots=localhost"),
        format!("{good} host=wrong.example.test hostaddr=127.0.0.1"),
        format!("{good} user=nobody"),
        format!("  {good} port=1\r"),
        format!(
            "postgresql://app:{PASSWORD}@localhost:{}/postgres?sslmode=require&sslrootcert=/nonexistent",
            server.port
        ),
    ];
    let outcome = run(&list(&lines), &["--json"]).expect_status(1);
    let (told, summary) = objects(&outcome);
    assert_eq!(
        told.keys().copied().collect::<Vec<_>>(),
        [3, 4, 5, 6, 7, 8, 9, 10]
    );
    for (number, one) in &told {
        let conninfo = lines[usize::try_from(*number).unwrap() - 1].trim();
        let theirs = psql(conninfo, "select 1");
        assert_eq!(one["holds"] == true, theirs.ok, "{one:#}\n{}", theirs.stderr);
    }
    assert!(
        told[&6]["error"].as_str().unwrap().contains("hots"),
        "{:#}",
        told[&6]
    );
    assert_eq!(told[&6]["holds"], Value::Null);
    assert_eq!(
        (&told[&3]["verdict"], &told[&10]["verdict"]),
        (&"verified".into(), &"connected".into())
    );
    assert_eq!(told[&7]["cause"], "host-mismatch", "{:#}", told[&7]);
    let expected = serde_json::json!({
        "targets": 8, "hold": 3, "fail": 4, "expiring": 0, "undetermined": 0, "unusable": 1,
    });
    assert_eq!(summary, expected);
    assert!(!outcome.stdout.contains(PASSWORD) && !outcome.stderr.contains(PASSWORD));
}

#[test]
fn the_exit_status_says_what_is_worst() {
    let Some(cast) = Cast::new() else { return };
    let (server, good) = server(&cast, &cast.ca.server(&NAMES));
    let bad = "sslmode".to_owned();
    // It accepts, and then says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!(
        "{good} port={} connect_timeout=0",
        silent.local_addr().unwrap().port()
    );
    let status = |lines: &[&String], expected: i32| {
        let lines: Vec<_> = lines.iter().map(|line| (*line).clone()).collect();
        let outcome = pgtls(["verify", "--probes", "connect", "--timeout", "1", "--targets"])
            .arg(list(&lines))
            .run()
            .expect_status(expected);
        assert!(!outcome.stdout.contains(PASSWORD) && !outcome.stderr.contains(PASSWORD));
        outcome.stdout
    };
    let table = status(&[&good], 0);
    assert!(
        table.contains(&format!("localhost:{}/postgres as app", server.port)),
        "{table}"
    );
    assert!(table.contains("1 of 1 targets hold"), "{table}");
    let table = status(&[&good, &bad], 2);
    assert!(table.contains("line 2"), "{table}");
    status(&[&good, &format!("{good} user=nobody"), &bad], 1);
    status(&[&"# nothing".to_owned()], 2);
    let table = status(&[&good, &silent], 4);
    assert!(table.contains("1 could not be found out"), "{table}");
}

#[test]
fn every_promise_of_every_target() {
    let Some(cast) = Cast::new() else { return };
    let (_server, good) = server(&cast, &cast.ca.server(&NAMES));
    // More targets than a server has room for at once, if all their probes ran side by side.
    let lines = vec![good; 12];
    let outcome = pgtls([
        "verify",
        "--json",
        "--timeout",
        "20",
        "--expect",
        "one-way",
        "--targets",
    ])
    .arg(list(&lines))
    .run()
    .expect_status(0);
    let (told, summary) = objects(&outcome);
    assert_eq!(summary["hold"], 12);
    for one in told.values() {
        let probes = one["probes"].as_array().unwrap();
        assert!(
            probes
                .iter()
                .any(|probe| probe["id"] == "plaintext-refused" && probe["holds"] == true)
        );
    }
}

#[test]
fn the_list_comes_from_standard_input_too() {
    let Some(cast) = Cast::new() else { return };
    let (_server, good) = server(&cast, &cast.ca.server(&NAMES));
    let path = list(&[good]);
    let outcome = Job::new("sh")
        .args([
            "-c",
            "exec \"$0\" verify --probes connect --json --targets - <\"$1\"",
        ])
        .arg(support::pgtls_bin())
        .arg(&path)
        .run()
        .expect_status(0);
    assert_eq!(objects(&outcome).1["hold"], 1);
    // A list that others may read should hold no password.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let outcome = run(&path, &[]).expect_status(0);
    assert!(outcome.stderr.contains("chmod 600"), "{}", outcome.stderr);
}

/// The end of a certificate, seconds since 1970, by openssl and date.
fn ends(certificate: &Path) -> i64 {
    let told = Job::new("openssl")
        .args(["x509", "-noout", "-enddate", "-in"])
        .arg(certificate)
        .run();
    let told = told.expect_ok("openssl x509").stdout;
    let told = told.trim().strip_prefix("notAfter=").unwrap().to_owned();
    let seconds = Job::new("date")
        .args(["-u", "-d", &told, "+%s"])
        .run()
        .expect_ok("date")
        .stdout;
    seconds.trim().parse().unwrap()
}

#[test]
fn certificates_that_end_soon_fail() {
    let Some(cast) = Cast::new() else { return };
    let leaf = cast.ca.server_between(&NAMES, -1, 5);
    let (_server, good) = server(&cast, &leaf);
    let mine = list(&[good]);
    for (days, status) in [("3", 0), ("4", 0), ("6", 1), ("4000000000", 1)] {
        let outcome = run(&mine, &["--json", "--expiring", days]).expect_status(status);
        let (told, summary) = objects(&outcome);
        assert_eq!(summary["expiring"], status, "{days}");
        assert_eq!(told[&1]["expiring"], status == 1);
        assert_eq!(told[&1]["verdict"], "verified");
    }
    // The root counts as well: it ends in ten years.
    let outcome = run(&mine, &["--json", "--expiring", "3"]);
    let (told, _) = objects(&outcome);
    let parts: BTreeSet<_> = told[&1]["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["part"].as_str().unwrap())
        .collect();
    assert_eq!(parts, ["issuer", "server"].into());
    let table = run(&mine, &["--expiring", "30"]).expect_status(1).stdout;
    assert!(
        table.contains("ends in 4 days") || table.contains("ends in 5 days"),
        "{table}"
    );
}

#[test]
fn the_metrics_are_what_a_collector_reads() {
    let Some(cast) = Cast::new() else { return };
    let leaf = cast.ca.server_between(&NAMES, -1, 5);
    let (server, good) = server(&cast, &leaf);
    let (cert, key) = (cast.client.cert.display(), cast.client.key.display());
    let lines = [
        format!("{good} sslcert={cert} sslkey={key}"),
        format!("{good} sslcert={cert} sslkey={key} sslmode=verify-ca"),
        format!("{good} dbname='no \"such\" \\\\ database'"),
        "nonsense".to_owned(),
    ];
    let metrics = scratch("metrics").join("pgtls.prom");
    fs::write(&metrics, "old").unwrap();
    run(&list(&lines), &["--prometheus", metrics.to_str().unwrap()]).expect_status(1);
    let text = fs::read_to_string(&metrics).unwrap();
    assert!(!text.contains(PASSWORD));
    let samples = parse(&text);
    let labels = |more: &str| {
        format!(
            "host=\"localhost\",port=\"{}\",database=\"postgres\",user=\"app\"{more}",
            server.port
        )
    };
    let expiry = |part: &str| {
        samples[&format!(
            "pgtls_certificate_expiry_timestamp_seconds{{{}}}",
            labels(&format!(",certificate=\"{part}\""))
        )]
            .clone()
    };
    assert_eq!(expiry("server"), ends(&leaf.cert).to_string());
    assert_eq!(expiry("issuer"), ends(&cast.ca.cert).to_string());
    assert_eq!(expiry("client"), ends(&cast.client.cert).to_string());
    assert_eq!(samples[&format!("pgtls_target_holds{{{}}}", labels(""))], "1");
    // The two lines of that target differ: the weaker counts.
    assert_eq!(samples[&format!("pgtls_target_verified{{{}}}", labels(""))], "0");
    let failing = samples
        .keys()
        .find(|name| name.starts_with("pgtls_target_failure"))
        .unwrap();
    assert!(
        failing.contains(r#"database="no \"such\" \\ database""#),
        "{failing}"
    );
    assert!(failing.contains("cause=\"no-database\""), "{failing}");
    assert_eq!(samples["pgtls_lines_unusable"], "1");
    // Nothing but the file itself lies there, and others may read it.
    assert_eq!(fs::read_dir(metrics.parent().unwrap()).unwrap().count(), 1);

    let nowhere = metrics.parent().unwrap().join("no/such/pgtls.prom");
    let outcome = run(&list(&lines), &["--prometheus", nowhere.to_str().unwrap()]).expect_status(3);
    assert!(
        outcome.stderr.contains("no/such/pgtls.prom"),
        "{}",
        outcome.stderr
    );
}

/// The text format, strictly: HELP, TYPE and then the samples of each family, no series twice; by full name.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut samples = BTreeMap::new();
    let (mut helped, mut typed) = (String::new(), String::new());
    let mut families = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            rest.split(' ').next().unwrap().clone_into(&mut helped);
            assert!(families.insert(helped.clone()), "{helped} comes twice");
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!((name, kind), (&*helped, "gauge"));
            name.clone_into(&mut typed);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            value.parse::<f64>().unwrap();
            assert_eq!(series.split('{').next().unwrap(), typed, "{line}");
            assert!(
                samples.insert(series.to_owned(), value.to_owned()).is_none(),
                "{series} comes twice"
            );
        }
    }
    assert!(text.ends_with('\n'));
    samples
}

/// For cron: nothing is said as long as all is well.
#[test]
fn quiet_says_only_what_is_wrong() {
    let Some(cast) = Cast::new() else { return };
    let (_server, good) = server(&cast, &cast.ca.server(&NAMES));
    let bad = format!("{good} user=nobody");
    let verify = |arguments: &[&str]| {
        pgtls(["verify", "--quiet", "--timeout", "20"])
            .args(arguments)
            .run()
    };
    let one = |conninfo: &str| {
        let passed = pgtls(["verify", "--quiet", "--timeout", "20"])
            .arg(conninfo)
            .env("PGPASSWORD", PASSWORD);
        passed.run()
    };
    let bare = |conninfo: &str| conninfo.replace(&format!("password={PASSWORD} "), "");
    let fine = one(&bare(&good)).expect_status(0);
    assert_eq!((fine.stdout.as_str(), fine.stderr.as_str()), ("", ""));
    let wrong = one(&bare(&bad)).expect_status(1);
    assert!(
        wrong.stdout.contains("authenticated") && !wrong.stdout.contains("handshake"),
        "{}",
        wrong.stdout
    );

    let all_fine =
        verify(&["--targets", list(std::slice::from_ref(&good)).to_str().unwrap()]).expect_status(0);
    assert_eq!(all_fine.stdout, "");
    let two = verify(&["--targets", list(&[good, bad]).to_str().unwrap()]).expect_status(1);
    assert!(
        two.stdout.contains("as nobody") && !two.stdout.contains("as app"),
        "{}",
        two.stdout
    );
}
