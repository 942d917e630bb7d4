//! What holds for every plan. What PostgreSQL makes of the files is asked in `tests/plan_server.rs`.

use std::collections::BTreeSet;
use std::path::Path;

use proptest::prelude::*;
use time::macros::datetime;

use super::{
    ComposeProject, Containers, Content, Credentials, Found, Kit, KitCredentials, Placement, Plan, Stores,
    why,
};
use crate::pki::{Algorithm, Authority};
use crate::setup::{Answers, ClientAnswer, Setup};

const PASSWORD: &str = "correct:horse\\battery";

fn setup(text: &str) -> Setup {
    Setup::from_answers(&Answers::from_toml(text, Path::new("a.toml")).unwrap()).unwrap()
}

fn credentials(setup: &Setup) -> Credentials {
    let now = datetime!(2026-01-01 00:00 UTC);
    let authority = Authority::create("test CA", Algorithm::P256, setup.ca_days, now).unwrap();
    let issue = |cn: &String| {
        authority
            .issue_client(cn, setup.algorithm, setup.days, now)
            .unwrap()
    };
    Credentials {
        server: authority
            .issue_server(&setup.hosts, setup.algorithm, setup.days, now)
            .unwrap(),
        server_roots: vec![authority.root().clone()],
        client_roots: vec![authority.root().clone()],
        clients: Kit::all(setup)
            .into_iter()
            .map(|kit| KitCredentials {
                identity: kit.cn.as_ref().map(issue),
                password: kit.wants_password.then(|| PASSWORD.to_owned().into()),
                stores: Stores::default(),
                kit,
            })
            .collect(),
        authority: Some(authority),
        next: None,
        old: None,
    }
}

fn found(setup: &Setup) -> Found {
    let verifier = (
        "app".to_owned(),
        "SCRAM-SHA-256$4096:correct$b:c".to_owned().into(),
    );
    Found {
        project_dir: "/srv/shop db".into(),
        port: 5433,
        server_version: Some(17),
        socket_dir: "/srv/shop db/.pgtls/run".into(),
        containers: Some(Containers {
            project: ComposeProject {
                name: "shopdb".to_owned(),
                placement: Placement::Own,
            },
            remaps_accounts: true,
            is_temporary: false,
            data_mount: None,
            superuser: "correct1".to_owned().into(),
            verifiers: setup.wants_passwords().then_some(verifier).into_iter().collect(),
        }),
        ..Found::default()
    }
}

fn plan(text: &str) -> Plan {
    let setup = setup(text);
    Plan::new(&setup, &credentials(&setup), &found(&setup))
}

fn text(plan: &Plan, path: &str) -> String {
    String::from_utf8(
        plan.get(path)
            .unwrap_or_else(|| panic!("no {path}"))
            .content
            .bytes()
            .to_vec(),
    )
    .unwrap()
}

fn plans() -> Vec<Plan> {
    let mut plans = Vec::new();
    for run in ["sandbox", "compose", "none"] {
        for rest in [
            "mode = 'one-way'",
            "mode = 'one-way'\nallow = ['10.0.0.0/8']\nport = 5433",
            "mode = 'mtls'",
            "mode = 'mtls'\nauth = 'scram+cert'",
            "mode = 'mtls'\nuser = 'app'\n[[client]]\ncn = 'laptop'\nrole = 'app'",
        ] {
            plans.push(plan(&format!("run = '{run}'\n{rest}")));
        }
    }
    plans
}

#[test]
fn every_reason_is_known_and_every_known_reason_is_given() {
    let mut given = BTreeSet::new();
    for plan in plans() {
        for artifact in &plan.artifacts {
            if let Content::Text(lines) = &artifact.content {
                given.extend(lines.iter().filter_map(|line| line.why));
            }
        }
    }
    let known: toml::Table = include_str!("../../assets/why.toml").parse().unwrap();
    let known: BTreeSet<_> = known.keys().map(String::as_str).collect();
    assert_eq!(given, known);
    assert!(given.iter().all(|key| why(key).is_some()));
}

#[test]
fn every_setting_and_every_record_has_its_reason() {
    for plan in plans() {
        for path in ["server/postgresql.conf", "server/pg_hba.conf"] {
            let Content::Text(lines) = &plan.get(path).unwrap().content else {
                panic!("{path} is text")
            };
            for line in lines {
                let speaks = !line.text.is_empty() && !line.text.starts_with('#');
                assert_eq!(speaks, line.why.is_some(), "{path}: {}", line.text);
            }
        }
    }
}

#[test]
fn paths_stay_below_the_directory_and_secrets_are_closed() {
    for plan in plans() {
        let mut paths = BTreeSet::new();
        for artifact in &plan.artifacts {
            assert!(artifact.path.is_relative(), "{}", artifact.path.display());
            assert!(paths.insert(&artifact.path), "{} twice", artifact.path.display());
            let bytes = artifact.content.bytes();
            let content = String::from_utf8_lossy(&bytes);
            let holds_secret = content.contains("PRIVATE KEY") || content.contains("correct");
            assert_eq!(
                holds_secret,
                artifact.content.is_secret(),
                "{}",
                artifact.path.display()
            );
            if holds_secret {
                assert_eq!(artifact.mode, 0o600, "{}", artifact.path.display());
                let shown = format!("{:?}", artifact.content);
                assert!(!shown.contains("correct") && !shown.contains("BEGIN"), "{shown}");
            }
            assert!(!content.contains("{{"), "{}", artifact.path.display());
            assert!(content.ends_with('\n'), "{}", artifact.path.display());
        }
    }
}

#[test]
fn git_takes_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let git = |args: &[&str]| {
        std::process::Command::new("git")
            .args(args)
            .current_dir(dir.path())
            .output()
            .map(|output| output.stdout)
    };
    // Without git there is no witness; everything else is tested above.
    if git(&["init", "-q"]).is_err() {
        return;
    }
    let plan = plan("mode = 'mtls'\nauth = 'scram+cert'");
    for artifact in &plan.artifacts {
        let path = dir.path().join(&artifact.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, artifact.content.bytes()).unwrap();
    }
    std::fs::create_dir(dir.path().join(".pgtls")).unwrap();
    std::fs::write(dir.path().join(".pgtls/journal"), "x").unwrap();
    let taken = git(&["ls-files", "--others", "--exclude-standard", "-z"]).unwrap();
    let taken: BTreeSet<_> = String::from_utf8(taken)
        .unwrap()
        .split_terminator('\0')
        .map(str::to_owned)
        .collect();
    let open: BTreeSet<_> = plan
        .artifacts
        .iter()
        .filter(|artifact| !artifact.content.is_secret())
        .map(|artifact| artifact.path.to_string_lossy().into_owned())
        .collect();
    assert_eq!(taken, open);
}

#[test]
fn the_same_again_gives_the_same_bytes() {
    for run in ["sandbox", "none"] {
        let setup = setup(&format!("run = '{run}'\nmode = 'mtls'\nauth = 'scram+cert'"));
        let credentials = credentials(&setup);
        let first = Plan::new(&setup, &credentials, &found(&setup));
        let ignore = Found {
            gitignore: Some(text(&first, ".gitignore")),
            ..found(&setup)
        };
        // The second run starts from what the first has saved.
        let saved = self::setup(&text(&first, "pgtls.toml"));
        let second = Plan::new(&saved, &credentials, &ignore);
        assert_eq!(first.artifacts.len(), second.artifacts.len());
        for (one, two) in first.artifacts.iter().zip(&second.artifacts) {
            assert_eq!((&one.path, one.mode), (&two.path, two.mode));
            assert_eq!(one.content.bytes(), two.content.bytes(), "{}", one.path.display());
        }
    }
}

/// The shell's own parser is the judge of what people will paste into it, with a directory that needs quoting.
#[test]
fn commands_for_people_are_shell() {
    let found = Found {
        project_dir: "/srv/it's $HOME; `x` db".into(),
        server_dir: Some("/var/lib/a b/server".into()),
        ..Found::default()
    };
    let plan = |text: &str| {
        let setup = setup(text);
        Plan::new(&setup, &credentials(&setup), &found)
    };
    for answers in [
        "mode = 'one-way'\nuser = '''o'b`$x'''",
        "mode = 'mtls'\nrun = 'none'",
    ] {
        for path in ["CONNECT.md", "RUNBOOK.md"] {
            let text = text(&plan(answers), path);
            let blocks = text.split("```sh\n").skip(1);
            for block in blocks.map(|rest| rest.split("```").next().unwrap()) {
                let status = std::process::Command::new("sh")
                    .args(["-n", "-c", block])
                    .status();
                assert!(status.unwrap().success(), "{block}");
            }
        }
    }
    let runbook = text(&plan("mode = 'one-way'"), "RUNBOOK.md");
    let cd = runbook.lines().find(|line| line.starts_with("cd ")).unwrap();
    let read = std::process::Command::new("sh")
        .args(["-c", &cd.replace("cd ", "printf %s ")])
        .output();
    assert_eq!(read.unwrap().stdout, b"/srv/it's $HOME; `x` db");
}

#[test]
fn the_sandbox_s_settings() {
    let plan = plan("mode = 'mtls'");
    assert_eq!(
        text(&plan, "server/postgresql.conf"),
        "\
# Settings of this server, written by pgtls from pgtls.toml: change that, then run `pgtls up`.

include '../.pgtls/data/postgresql.conf'          # the server's own settings first; what follows wins
hba_file = '/srv/shop db/server/pg_hba.conf'      # who may come in, and how
ident_file = '/srv/shop db/server/pg_ident.conf'  # which certificate may log in as which role
listen_addresses = '127.0.0.1,::1'                # this machine only, IPv4 and IPv6
port = 5433                                       # the port in every client's conninfo
unix_socket_directories = '../run'                # a directory that only the server's account can enter

ssl = on                                          # offer TLS
ssl_cert_file = '../../server/server.crt'         # who the server is: its certificate, then its chain
ssl_key_file = '../../server/server.key'          # the proof of it; mode 0600, or the server will not start
ssl_ca_file = '../../server/root.crt'             # the CA whose client certificates count
ssl_min_protocol_version = 'TLSv1.2'              # TLS 1.0 and 1.1 are broken

password_encryption = 'scram-sha-256'             # store passwords so that a stolen catalog is of little use
log_connections = on                              # say in the log who came in, by which rule, with which TLS
log_line_prefix = '%m [%p] %q%u@%d %r '           # time, process, role, database and address
"
    );
    assert_eq!(
        text(&plan, "server/pg_hba.conf"),
        "\
# Who may come in, and how. The first line that matches a connection decides; there is no second chance.
# Written by pgtls from pgtls.toml: change that, then run `pgtls up`.

# The administrator, over the Unix socket: its directory has mode 0700, which keeps everybody else out.
local    all          postgres                trust

# With a client certificate whose CN is the role's name; no password.
hostssl  app          app       127.0.0.1/32  cert
hostssl  app          app       ::1/128       cert

# Everybody else: no, and nobody at all without TLS.
host     all          all       all           reject
host     replication  all       all           reject
"
    );
}

#[test]
fn the_files_for_a_server_of_ones_own_name_nothing_of_the_sandbox() {
    let plan = plan("mode = 'one-way'\nrun = 'none'");
    let conf = text(&plan, "server/postgresql.conf");
    for foreign in [
        "include",
        "hba_file",
        ".pgtls",
        "unix_socket",
        "listen_addresses",
        "port",
        "ssl_ca_file",
        "..",
    ] {
        assert!(
            !conf
                .lines()
                .any(|line| !line.starts_with('#') && line.contains(foreign)),
            "{foreign}\n{conf}"
        );
    }
    assert!(conf.contains("ssl_cert_file = 'server.crt'"), "{conf}");
    let hba = text(&plan, "server/pg_hba.conf");
    assert!(
        hba.contains("local    all          all                peer"),
        "{hba}"
    );
    let runbook = text(&plan, "RUNBOOK.md");
    assert!(
        runbook.contains("CREATE ROLE \"app\" LOGIN;") && runbook.contains("\\password"),
        "{runbook}"
    );
    assert!(plan.get("server/pg_ident.conf").is_none() && plan.get("server/root.crt").is_none());
}

#[test]
fn a_client_kit_is_complete() {
    let plan = plan("mode = 'mtls'\nauth = 'scram+cert'\nhosts = ['db.example.com', '*.example.com', '::1']");
    assert_eq!(
        text(&plan, "clients/app/conninfo"),
        "host=db.example.com port=5433 dbname=app user=app sslmode=verify-full \
         sslrootcert='/srv/shop db/clients/app/root.crt' sslcert='/srv/shop db/clients/app/client.crt' \
         sslkey='/srv/shop db/clients/app/client.key' passfile='/srv/shop db/clients/app/passfile'\n"
    );
    // The wildcard cannot be dialled, and a lone * would send the password to any host.
    assert_eq!(
        text(&plan, "clients/app/passfile"),
        "db.example.com:5433:app:app:correct\\:horse\\\\battery\n\\:\\:1:5433:app:app:correct\\:horse\\\\battery\n"
    );
    for file in ["client.crt", "client.key", "root.crt"] {
        assert!(text(&plan, &format!("clients/app/{file}")).starts_with("-----BEGIN "));
    }
}

#[test]
fn directories_of_kits_are_safe_and_apart() {
    let client = |cn: &str, role: &str| ClientAnswer {
        cn: Some(cn.into()),
        role: Some(role.into()),
    };
    let answers = Answers {
        mode: Some("mtls".into()),
        user: Some("app".into()),
        clients: ["app", "../x", "APP", "a b", "a/b", "-rf", "..", "naïve"]
            .map(|cn| client(cn, "app"))
            .to_vec(),
        ..Answers::default()
    };
    let kits = Kit::all(&Setup::from_answers(&answers).unwrap());
    let names: Vec<_> = kits.iter().map(|kit| kit.name.as_str()).collect();
    assert_eq!(
        names,
        ["app", "_._x", "APP@app", "a_b", "a_b@app", "_rf", "_.", "na_ve"]
    );
}

proptest! {
    #[test]
    fn no_common_name_leaves_the_clients_directory(cns in prop::collection::hash_set("\\PC{1,30}", 1..6)) {
        let answers = Answers {
            mode: Some("mtls".into()),
            user: Some("app".into()),
            clients: cns.iter().map(|cn| ClientAnswer { cn: Some(cn.clone()), role: Some("app".into()) }).collect(),
            ..Answers::default()
        };
        let Ok(setup) = Setup::from_answers(&answers) else { return Ok(()) };
        let kits = Kit::all(&setup);
        let names: BTreeSet<_> = kits.iter().map(|kit| kit.name.to_ascii_lowercase()).collect();
        prop_assert_eq!(names.len(), kits.len());
        for name in names {
            prop_assert!(!name.is_empty() && !name.starts_with(['.', '-']) && !name.contains('/'));
        }
    }
}
