//! The rules as tables: what a set of answers becomes, and how each mistake is told.

use std::path::Path;

use proptest::prelude::*;

use super::{Access, Answers, Auth, CertificateSource, ClientAnswer, Mode, Run, Setup};

fn setup(text: &str) -> Setup {
    match Setup::from_answers(&answers(text)) {
        Ok(setup) => setup,
        Err(problems) => panic!("{text}\n{}", told(&problems)),
    }
}

fn answers(text: &str) -> Answers {
    Answers::from_toml(text, Path::new("answers.toml"))
        .unwrap_or_else(|problems| panic!("{}", told(&problems)))
}

fn told(problems: &[super::Problem]) -> String {
    problems
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
        + "\n"
}

fn refused(text: &str) -> String {
    match Setup::from_answers(&answers(text)) {
        Ok(setup) => panic!("{text}\nwas taken: {setup:?}"),
        Err(problems) => told(&problems),
    }
}

#[test]
fn a_newcomer_need_only_name_the_mode() {
    let one_way = setup("mode = 'one-way'");
    assert_eq!(
        (one_way.mode, one_way.auth, one_way.run),
        (Mode::OneWay, Auth::Scram, Run::Sandbox)
    );
    let hosts: Vec<_> = one_way.hosts.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["localhost", "127.0.0.1", "::1"]);
    assert_eq!((one_way.days, one_way.ca_days), (397, 3650));
    assert_eq!(one_way.algorithm.name(), "p256");
    assert_eq!(
        one_way.access,
        [Access {
            role: "app".into(),
            databases: vec!["app".into()],
            addresses: vec!["127.0.0.1/32".parse().unwrap(), "::1/128".parse().unwrap()],
            method: Auth::Scram,
        }]
    );
    assert!(one_way.clients.is_empty() && one_way.port.is_none() && !one_way.is_open_beyond_loopback());

    let mtls = setup("mode = 'mtls'");
    assert_eq!(mtls.auth, Auth::Cert);
    assert_eq!(
        (mtls.clients[0].cn.as_str(), mtls.clients[0].role.as_str()),
        ("app", "app")
    );
}

#[test]
fn the_single_answers_write_the_first_access() {
    let file = answers(
        "mode = 'mtls'\n[[access]]\nrole = 'a'\ndatabases = ['x', 'y']\n[[access]]\nrole = 'b'\ndatabases = ['z']",
    );
    let flags = Answers {
        user: Some("c".into()),
        allow: vec!["10.0.0.0/8".into()],
        ..Answers::default()
    };
    let setup = Setup::from_answers(&file.overlay(flags)).unwrap();
    assert_eq!(
        (setup.access[0].role.as_str(), setup.access[1].role.as_str()),
        ("c", "b")
    );
    assert_eq!(setup.access[0].databases, ["x", "y"]);
    assert!(setup.is_open_beyond_loopback());
    let clients: Vec<_> = setup.clients.iter().map(|client| client.cn.as_str()).collect();
    assert_eq!(clients, ["c", "b"]);
}

#[test]
fn clients_without_a_user_bring_their_roles() {
    let flags = |clients: &[&str]| Answers {
        mode: Some("mtls".into()),
        clients: clients.iter().map(|text| ClientAnswer::from_flag(text)).collect(),
        ..Answers::default()
    };
    let setup = Setup::from_answers(&flags(&["alice", "laptop 7=bob", "bob"])).unwrap();
    let roles: Vec<_> = setup.access.iter().map(|access| access.role.as_str()).collect();
    assert_eq!(roles, ["alice", "bob"]);
    assert_eq!(setup.clients.len(), 3);

    let with_user = Answers {
        user: Some("app".into()),
        ..flags(&["alice"])
    };
    let problems = told(&Setup::from_answers(&with_user).unwrap_err());
    assert!(problems.contains("--client alice=app"), "{problems}");
}

#[test]
fn sources_of_certificates() {
    let source = |text: &str| setup(&format!("mode = 'one-way'\n{text}")).certificates;
    assert_eq!(source(""), CertificateSource::Own);
    assert_eq!(
        source("ca-cert = 'a'\nca-key = 'b'"),
        CertificateSource::Ca {
            certificate: "a".into(),
            key: "b".into()
        }
    );
    assert_eq!(
        source("server-cert = 'a'\nserver-key = 'b'\nroot = 'c'"),
        CertificateSource::Given {
            certificate: "a".into(),
            key: "b".into(),
            root: "c".into()
        }
    );
    // The lifetime of a CA that is not ours is not ours to compare with.
    setup("mode = 'mtls'\ndays = 800\nca-days = 700\nca-cert = 'a'\nca-key = 'b'");
}

/// Answers beside `mode = 'one-way'`, and what the one problem they make says.
const ONE_WAY_MISTAKES: &[(&str, &str)] = &[
    (
        "mode = 'both'",
        "--mode \"both\": there is no such mode; give one-way",
    ),
    ("", "--mode: it is not said who has to prove"),
    (
        "user = 'postgres'",
        "--user \"postgres\": this is the server's superuser",
    ),
    (
        "run = 'compose'\n[[access]]\nrole = 'app'\n[[access]]\nrole = 'postgres'",
        "this is the server's superuser",
    ),
    ("hosts = ['müller.example']", "say --host xn--mller-kva.example"),
    (
        "run = 'compose'\npg-bin = '/usr/bin'",
        "--pg-bin \"/usr/bin\": a container brings PostgreSQL's programs along",
    ),
    (
        "run = 'compose'\nimage = 'Postgres 17'",
        "--image \"Postgres 17\": this is no name of an image",
    ),
    (
        "run = 'compose'\nimage = 'postgres:17'\npg-version = 16",
        "--image \"postgres:17\": it holds PostgreSQL 17, and --pg-version says 16",
    ),
    ("run = 'cloud'", "--run \"cloud\": there is no such way"),
    (
        "image = 'postgres:17'",
        "--image \"postgres:17\": an image is for a container",
    ),
    ("auth = 'md5'", "--auth \"md5\": there is no such method"),
    (
        "auth = 'cert'",
        "--auth \"cert\": in one-way mode clients have no certificate",
    ),
    ("auth = 'scram+cert'", "--auth \"scram+cert\": in one-way mode"),
    ("hosts = ['']", "--host \"\": "),
    (
        "hosts = ['*.example.com']",
        "--host \"*.example.com\": the first host is the one that is dialled",
    ),
    (
        "hosts = ['0.0.0.0']",
        "--host \"0.0.0.0\": is where a server listens, and nobody dials it; write",
    ),
    (
        "hosts = ['postgres://db/x']",
        "--host \"postgres://db/x\": is a URL; write only its host",
    ),
    (
        "hosts = ['db:5432']",
        "--host \"db:5432\": holds a port; write only the host (\"db\")",
    ),
    ("hosts = ['a b']", "--host \"a b\": holds a blank"),
    (
        "hosts = ['10.0.0.256']",
        "--host \"10.0.0.256\": looks like an IP address but is none",
    ),
    ("hosts = ['-a']", "starts or ends with a hyphen"),
    (
        "hosts = ['a.example', 'A.example']",
        "--host \"A.example\": a.example is given twice",
    ),
    (
        "port = 0",
        "--port \"0\": this is no TCP port; give a port from 1 to 65535",
    ),
    ("port = 70000", "--port \"70000\": this is no TCP port"),
    ("port = -1", "--port \"-1\": this is no TCP port"),
    (
        "pg-version = 12",
        "--pg-version \"12\": pgtls knows the configuration of other",
    ),
    ("pg-bin = ''", "--pg-bin \"\": the path is empty"),
    (
        "algorithm = 'dsa'",
        "--algorithm \"dsa\": there is no such key algorithm; give one of p256",
    ),
    ("days = 0", "--days \"0\": this is no lifetime in days"),
    (
        "days = 99999999999",
        "--days \"99999999999\": this is no lifetime",
    ),
    (
        "days = 400\nca-days = 399",
        "--days \"400\": certificates would outlive their CA, which lasts 399 days",
    ),
    (
        "ca-cert = 'a'",
        "--ca-key: it is missing: --ca-cert, --ca-key go together",
    ),
    ("server-cert = 'a'\nroot = 'c'", "--server-key: it is missing"),
    (
        "ca-cert = 'a'\nca-key = 'b'\nroot = 'c'",
        "--ca-cert: a CA and a finished server certificate",
    ),
    ("user = ''", "--user \"\": the role name is empty"),
    ("user = 'pg_me'", "--user \"pg_me\": PostgreSQL keeps role names"),
    (
        "user = \"a\\nb\"",
        "--user \"a\\nb\": a role name with a control character",
    ),
    ("database = 'all'", "--database \"all\": all is a keyword"),
    (
        "allow = ['10.0.0.5/8']",
        "--allow \"10.0.0.5/8\": 10.0.0.5 has bits set",
    ),
    (
        "allow = ['10.0.0.0/64']",
        "--allow \"10.0.0.0/64\": /64 is a prefix length for IPv6",
    ),
    (
        "allow = ['10.0.0.0/8', '10.0.0.0/8']",
        "--allow \"10.0.0.0/8\": 10.0.0.0/8 is already covered",
    ),
    (
        "[[client]]\ncn = 'a'",
        "--client \"a\": in one-way mode clients get no certificate",
    ),
    (
        "[[access]]\ndatabases = ['x']",
        "access[1].role: it is not said which role",
    ),
    (
        "[[access]]\nrole = 'none'",
        "access[1].role \"none\": PostgreSQL reserves",
    ),
    (
        "[[access]]\nrole = 'a'\nmethod = 'cert'",
        "access[1].method \"cert\": in one-way mode",
    ),
    (
        "[[access]]\nrole = 'a'\nmethod = 'trust'",
        "access[1].method \"trust\": there is no such method",
    ),
    (
        "[[access]]\nrole = 'a'\ndatabases = ['x', 'x']",
        "access[1].databases \"x\": it is given twice",
    ),
    (
        "run = 'none'\nuser = '/x'",
        "--pg-version: the name \"/x\" begins with /",
    ),
    (
        "[[access]]\nrole = 'a'\naddresses = ['10.0.0.0/8']\n[[access]]\nrole = 'a'\naddresses = ['10.1.0.0/16']",
        "access[2]: role \"a\" into database \"app\" from 10.1.0.0/16 is already decided by access[1]",
    ),
];

/// Answers beside `mode = 'mtls'`.
const MTLS_MISTAKES: &[(&str, &str)] = &[
    (
        "auth = 'scram'",
        "--auth \"scram\": a password alone does not prove",
    ),
    (
        "password-file = 'p'",
        "--password-file: no role logs in with a password",
    ),
    (
        "[[client]]\nrole = 'a'",
        "--client \"\": the common name is empty",
    ),
    (
        "[[client]]\ncn = 'a'\nrole = ''",
        "--client \"a=\": no role is named after the =",
    ),
    (
        "[[client]]\ncn = 'a'\n[[client]]\ncn = 'a'",
        "--client \"a\": this certificate is asked for twice",
    ),
    (
        "auth = 'scram+cert'\nuser = 'a'\n[[client]]\ncn = 'b'\nrole = 'a'",
        "--client \"b=a\": with scram+cert the certificate's CN must be the role",
    ),
    (
        "user = 'x\\1'\n[[client]]\ncn = '/a'\nrole = 'x\\1'",
        "pg_ident.conf cannot say this pair",
    ),
];

#[test]
fn each_mistake_is_told_with_its_flag_and_what_to_do() {
    for (mode, table) in [("one-way", ONE_WAY_MISTAKES), ("mtls", MTLS_MISTAKES)] {
        for (text, expected) in table {
            let names_mode = text.is_empty() || text.starts_with("mode");
            let text = if names_mode {
                (*text).to_owned()
            } else {
                format!("mode = '{mode}'\n{text}")
            };
            let problems = refused(&text);
            assert!(problems.contains(expected), "{text}\n=> {problems}");
            assert_eq!(problems.lines().count(), 1, "{text}\n=> {problems}");
        }
    }
}

#[test]
fn the_superuser_of_a_persons_own_server_may_be_named() {
    let own = setup("mode = 'one-way'\nrun = 'none'\nuser = 'postgres'");
    assert_eq!(own.access[0].role, "postgres");
}

#[test]
fn long_names_are_refused_and_shown_cut() {
    for (key, length) in [("user", 64), ("database", 64), ("user", 300)] {
        let problems = refused(&format!("mode = 'one-way'\n{key} = '{}'", "x".repeat(length)));
        assert!(
            problems.contains(&format!("{length} bytes")) && problems.len() < 300,
            "{problems}"
        );
    }
    let problems = refused(&format!(
        "mode = 'one-way'\nhosts = ['{}']",
        "a.".repeat(149) + "de"
    ));
    assert!(
        problems.contains("300 characters") && problems.len() < 300,
        "{problems}"
    );
    let problems = refused(&format!("mode = 'mtls'\n[[client]]\ncn = '{}'", "x".repeat(65)));
    assert!(problems.contains("65 characters"), "{problems}");
}

#[test]
fn every_problem_is_told_at_once() {
    let problems =
        refused("mode = 'x'\nrun = 'y'\nport = 0\nalgorithm = 'z'\nuser = ''\nallow = ['q']\ndays = 0");
    for flag in [
        "--mode",
        "--run",
        "--port",
        "--algorithm",
        "--user",
        "--allow",
        "--days",
    ] {
        assert!(problems.contains(flag), "{problems}");
    }
}

#[test]
fn the_saved_file_is_canonical() {
    let text = setup(
        "mode = 'mtls'\nport = 5433\nhosts = ['db.example.com', '10.0.0.7']\npassword-file = 'p'\nauth = 'scram+cert'\n\
         [[access]]\nrole = \"o'brien\"\n[[access]]\nrole = 'report'\nmethod = 'cert'\n\
         [[client]]\ncn = 'laptop'\nrole = 'report'",
    )
    .to_toml();
    assert_eq!(
        text,
        r#"# What pgtls was asked for. `pgtls up` starts from here; flags change it.
# There is no secret in this file: it may be kept under version control.

mode = "mtls"
auth = "scram+cert"
run = "sandbox"
hosts = ["db.example.com", "10.0.0.7"]
port = 5433
algorithm = "p256"
days = 397
ca-days = 3650

[[access]]
role = "o'brien"
databases = ["app"]
addresses = ["127.0.0.1/32", "::1/128"]

[[access]]
role = "report"
databases = ["app"]
addresses = ["127.0.0.1/32", "::1/128"]
method = "cert"

[[client]]
cn = "laptop"
role = "report"
"#
    );
    assert_eq!(setup(&text).to_toml(), text);
}

proptest! {
    /// Whatever is let through is saved so that it comes back the same, and saves to the same bytes.
    #[test]
    fn what_is_saved_comes_back(
        mtls in any::<bool>(),
        roles in prop::collection::hash_set("\\PC{1,20}", 1..4),
        databases in prop::collection::hash_set("[a-z\"'\\\\ #ä/]{1,12}", 1..4),
        cns in prop::collection::hash_set("\\PC{1,20}", 0..3),
        path in "[a-z /'\"\\\\é]{1,20}",
        days in 1_i64..5000,
        port in prop::option::of(1_i64..65536),
    ) {
        let roles: Vec<_> = roles.into_iter().collect();
        let answers = Answers {
            mode: Some(if mtls { "mtls" } else { "one-way" }.into()),
            access: roles.iter().map(|role| super::AccessAnswer {
                role: Some(role.clone()),
                databases: databases.iter().cloned().collect(),
                ..Default::default()
            }).collect(),
            clients: if mtls {
                cns.iter().map(|cn| ClientAnswer { cn: Some(cn.clone()), role: roles.first().cloned() }).collect()
            } else {
                Vec::new()
            },
            ca_cert: Some(path.clone().into()),
            ca_key: Some(path.into()),
            days: Some(days),
            port,
            ..Answers::default()
        };
        if let Ok(setup) = Setup::from_answers(&answers) {
            let text = setup.to_toml();
            let again = Setup::from_answers(&super::tests::answers(&text)).map_err(|p| TestCaseError::fail(told(&p)))?;
            prop_assert_eq!(&again, &setup);
            prop_assert_eq!(again.to_toml(), text);
        }
    }

    /// No answers file makes the reader panic, and what it cannot take it explains.
    #[test]
    fn any_text_is_read_or_explained(text in "\\PC{0,200}") {
        if let Err(problems) = Answers::from_toml(&text, Path::new("a.toml")) {
            prop_assert!(!problems.is_empty());
        }
    }
}

#[test]
fn a_ca_of_the_clients_held_elsewhere_goes_with_the_persons_own_server() {
    let text = "mode = 'mtls'\nrun = 'none'\nclient-ca = '/etc/company.crt'";
    let own = setup(text);
    assert_eq!(own.client_ca.as_deref(), Some(Path::new("/etc/company.crt")));
    assert_eq!(setup(&own.to_toml()), own);
    assert!(refused("mode = 'mtls'\nclient-ca = 'company.crt'").contains("--run none"));
    assert!(refused("mode = 'one-way'\nrun = 'none'\nclient-ca = 'company.crt'").contains("--mode mtls"));
}
