//! `pg_hba.conf` against `pg_hba_file_rules`, `pg_ident.conf` against `pg_ident_file_mappings`.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use pgtls::conf::Dialect;
use pgtls::conf::hba::{Addresses, Broken, Kind, Rule, Rules};
use pgtls::conf::ident::{Maps, SystemName};
use serde_json::Value;

use super::support::Random;
use super::support::TestServer;
use super::{Disk, rows, servers, write};

/// Lines as they are found, good and bad.
const LINES: &str = r#"
# TYPE  DATABASE        USER            ADDRESS                 METHOD
local   all             all                                     peer
local   all             all                                     ident map=x
host    all             all             127.0.0.1/32            scram-sha-256
host    all             all             ::1/128                 md5
hostssl all             all             0.0.0.0/0               cert
hostnossl all           all             all                     reject
hostgssenc all          all             all                     trust
hostnogssenc all        all             all                     trust
host	replication	repl	samenet	trust
host all all samehost trust
host all all 10.0.0.5/8 trust
host all all 10.0.0.1 255.0.0.255 trust
host all all 127.1/8 trust
host all all 127.000.000.001/32 trust
host all all 010.0.0.1/32 trust
host all all 0x7f.1/32 trust
host all all 10.0.0.0/33 trust
host all all 10.0.0.0/ trust
host all all 10.0.0.0/+8 trust
host all all 10.0.0.0/-0 trust
host all all 10.0.0.0/08 trust
host all all "10.0.0.0/ 8" trust
host all all 10.0.0.0/8/8 trust
host all all 127.0.0.1 trust
host all all 127.0.0.1 ::1 trust
host all all ::1 ffff:: trust
host all all 1.2.3.4 0 trust
host all all ::1/129 trust
host all all fe80::1%1/64 trust
host all all ::ffff:1.2.3.4/96 trust
host all all 1::2::3/64 trust
host all all db.example.org trust
host all all .example.org trust
host all all db.example.org/8 trust
host all all ALL trust
host all all "all" trust
host all all "" trust
host all all "samenet" trust
host all all 10.0.0.0/8,11.0.0.0/8 trust
host all all 10.0.0.1 255.0.0.0,0 trust
"host" "db" "user" "127.0.0.1/32" "trust"
"all" all all trust
HOSTSSL all all all trust
host,hostssl all all all trust
host all all all SCRAM-SHA-256
host all all all scram-sha-256,md5
host all all all nonsense
host all all all
host all all
host all
host
host all all 10.0.0.1
local all all
local a,b c,d trust
local a, b c, d trust
local a ,b c trust
local "a b","c,d" "e""f" trust
local a""b c trust
local "all","sameuser" "+g" trust
local sameuser,samerole,samegroup,replication,all all,+g trust
local ALL,"replication" +"g h" trust
local + + trust
local x y trust # comment
local x y trust# comment
local x y#trust
local "open quote all trust
local /^a b$ c trust
local "/^a b$" "/c" trust
local / / trust
local /( all trust
local all /[ trust
local all /a{2,1} trust
local all /a** trust
local all "/\" trust
local all /[b-a] trust
local all /[[:nothing:]] trust
local all /a{300} trust
local all /(a)\1 trust
local all /a{1 trust
hostssl all all all md5 clientcert=verify-full
hostssl all all all md5 clientcert=verify-ca
hostssl all all all md5 clientcert=1
hostssl all all all md5 clientcert=0
hostssl all all all md5 clientcert=no-verify
hostssl all all all md5 clientcert=
hostssl all all all md5 clientcert
hostssl all all all cert clientcert=verify-ca
hostssl all all all cert clientcert=verify-full
hostssl all all all cert clientcert=1
hostssl all all all cert clientcert=0
hostssl all all all cert clientcert=no-verify
host all all all md5 clientcert=verify-full
hostssl all all all cert clientname=CN map=m
hostssl all all all cert clientname=DN
hostssl all all all cert clientname=XX
hostssl all all all scram-sha-256 clientcert=verify-full clientname=DN
host all all all trust clientname=CN
hostssl all all all scram-sha-256 map=m
hostssl all all all cert "map=a b"
hostssl all all all cert map="a b"
hostssl all all all cert map=a,map=b
hostssl all all all cert map=a=b
hostssl all all all cert nothing=x
host all all all cert
local all all cert
host all all all peer
host all all all ident map=m
local all all scram-sha-256 pamservice=x
host all all all trust ldapserver=x
host all all all trust radiusservers=x
host all all all trust include_realm=1
host all all all trust krb_realm=x
host all all all trust upn_username=1
host all all all trust compat_realm=1
host all all all sspi
host all all all bsd
host all all all radius
host all all all radius radiusservers=127.0.0.1
host all all all radius radiusservers=127.0.0.1 radiussecrets=x
host all all all radius "radiusservers=127.0.0.1,127.0.0.2" "radiussecrets=a,b,c"
host all all all radius "radiusservers=127.0.0.1,127.0.0.2" "radiussecrets=a,b" radiusports=1645
host all all all oauth
host all all all oauth issuer=https://i.example scope=openid
host all all all oauth issuer=https://i.example scope=openid map=m delegate_ident_mapping=1
host all all all trust issuer=x
host all all all trust =x
, , ,
,host, all, all all trust
host all all all trust \
  clientcert=verify-full
host all \
  all \
  all trust
host all all all trust \ x
host all all all trust \\
include
include a b
@nothing all all trust
local @nothing all trust
local @ all trust
local "@nothing" all trust
"#;

/// Pieces of which lines are made at random.
const PIECES: [&str; 40] = [
    "host ",
    "hostssl ",
    "local ",
    "hostnossl\t",
    "all ",
    "all ",
    "all ",
    "all,",
    ", ",
    " ,",
    "\"",
    "\"\"",
    "a",
    "+g ",
    "#",
    "/",
    "/^a.*$ ",
    "10.0.0.0/8 ",
    "::1/128 ",
    "127.0.0.1 ",
    "255.0.0.0 ",
    "samenet ",
    ".org ",
    "md5 ",
    "trust ",
    "cert ",
    "reject ",
    "scram-sha-256 ",
    "clientcert=verify-full ",
    "clientcert=1 ",
    "clientname=DN ",
    "map=m ",
    "=",
    "replication ",
    "sameuser ",
    "\\",
    " ",
    "\t",
    "\r",
    "é",
];

#[test]
fn every_server_reads_pg_hba_conf_as_we_do() {
    for (major, server) in servers() {
        let dialect = Dialect::of(major);
        let path = server.data.join("pg_hba.conf");
        let mut text = LINES.to_owned();
        let mut random = Random::new(0x1234_5678);
        for _ in 0..1500 {
            text.push_str(&random.line(&PIECES, 14));
            text.push_str(random.pick(&["\n", "\n", "\r\n"]));
        }
        // As long as lines and tokens may be, and longer.
        for length in [200, 300, 8150, 8190, 8191, 8192, 10_239, 10_240, 20_000] {
            writeln!(text, "local {} all trust", "x".repeat(length)).unwrap();
            writeln!(text, "local {},y all trust", "x".repeat(length)).unwrap();
        }
        write(&path, text.as_bytes());
        compare(major, &server, &Rules::load(&path, &Disk, dialect).unwrap());
    }
}

#[test]
fn every_server_follows_includes_as_we_do() {
    for (major, server) in servers() {
        let dialect = Dialect::of(major);
        let path = server.data.join("pg_hba.conf");
        let put = |name: &str, text: &str| write(&server.data.join(name), text.as_bytes());
        put(
            "pg_hba.conf",
            "local @lists/dbs,x @lists/users trust\ninclude sub/one.conf\nlocal a b trust\ninclude_if_exists nowhere\n\
             include nowhere\ninclude_dir sub\ninclude_dir nowhere\ninclude_dir \"  \"\n\"include\" sub/one.conf\n\
             include sub/one.conf,nowhere\nlocal @lists/empty all trust\nlocal @lists/loop all trust\n\
             local @lists/absent all trust\ninclude sub/deep.conf\n",
        );
        put("lists/dbs", "a, b\n\"c d\" # x\n@more\n");
        put("lists/more", "e");
        put("lists/users", "\n\nu,+g\n");
        put("lists/empty", "# nothing\n");
        put("lists/loop", "@absent2\n");
        put("sub/one.conf", "host all all @../lists/address trust\nnonsense\n");
        put("lists/address", "10.0.0.0/8");
        put("sub/two.conf", "local two two trust\ninclude ../lists/three\n");
        put("lists/three", "local three three \\\ntrust\n");
        put("sub/.hidden.conf", "nonsense\n");
        put("sub/other.txt", "nonsense\n");
        put("sub/deep.conf", "local deep deep trust\ninclude deep.conf\n");
        compare(major, &server, &Rules::load(&path, &Disk, dialect).unwrap());
    }
}

/// Both sides in the order of the file: what is taken, and what is refused.
fn compare(major: u16, server: &TestServer, ours: &Rules) {
    let rows = rows(server, "select * from pg_hba_file_rules");
    assert!(rows.len() > 5);
    // What a server was built without, or lacks a module for, is no question of grammar.
    let absent = |row: &&Value| {
        row["error"].as_str().is_some_and(|error| {
            let is_unbuilt = error.contains("not supported by this build");
            (is_unbuilt && !error.contains("\"sspi\"") && !error.contains("\"bsd\""))
                || error.contains("oauth_validator_libraries")
        })
    };
    let lacking: Vec<_> = rows.iter().filter(absent).map(place).collect();
    let taken: Vec<_> = rows
        .iter()
        .filter(|row| !row["type"].is_null() && !absent(row))
        .collect();
    let refused: Vec<_> = rows
        .iter()
        .filter(|row| row["type"].is_null() && !absent(row))
        .collect();
    let is_known = |place: &(String, u64)| !lacking.contains(place);
    let rules: Vec<_> = ours
        .rules()
        .iter()
        .filter(|rule| is_known(&ours_at(major, &rule.place)))
        .collect();
    for (row, rule) in taken.iter().zip(&rules) {
        assert_eq!(
            place(row),
            ours_at(major, &rule.place),
            "{major}: {row:#}\n{rule:?}"
        );
        same_rule(major, row, rule);
    }
    let broken: Vec<_> = ours
        .broken()
        .iter()
        .filter(|broken| is_known(&ours_at(major, &broken.place)))
        .collect();
    for (row, broken) in refused.iter().zip(&broken) {
        assert_eq!(
            place(row),
            ours_at(major, &broken.place),
            "{major}: {row:#}\n{broken:?}"
        );
        same_problem(major, row, broken);
    }
    assert_eq!(taken.len(), rules.len(), "{major}");
    assert_eq!(refused.len(), broken.len(), "{major}");
}

fn place(row: &Value) -> (String, u64) {
    let file = row["file_name"].as_str().unwrap_or_default();
    (file.to_owned(), row["line_number"].as_u64().unwrap())
}

fn ours_at(major: u16, place: &pgtls::conf::Place) -> (String, u64) {
    // Before 16 the view knows one file alone.
    let file = if major >= 16 {
        place.file.to_str().unwrap()
    } else {
        ""
    };
    (file.to_owned(), place.line as u64)
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item.as_str().unwrap())
        .collect()
}

fn same_rule(major: u16, row: &Value, rule: &Rule) {
    let record = &rule.record;
    let context = format!("{major}: {row:#}\n{rule:?}");
    assert_eq!(row["type"], record.kind.as_str(), "{context}");
    // The view shows no quotes.
    let bare = |shown: String| match shown.strip_prefix('+') {
        Some(group) => format!("+{}", unquoted(group)),
        None => unquoted(&shown),
    };
    let databases: Vec<_> = record
        .databases
        .iter()
        .map(|item| bare(item.to_string()))
        .collect();
    let theirs: Vec<_> = strings(&row["database"])
        .into_iter()
        .map(|name| name.replace("samegroup", "samerole"))
        .collect();
    assert_eq!(theirs, databases, "{context}");
    let roles: Vec<_> = record.roles.iter().map(|item| bare(item.to_string())).collect();
    assert_eq!(strings(&row["user_name"]), roles, "{context}");
    let text = |name: &str| row[name].as_str().map(str::to_owned);
    match &record.addresses {
        Addresses::All if record.kind == Kind::Local => assert_eq!(text("address"), None, "{context}"),
        Addresses::Net(net) => {
            let ip = |name: &str| text(name).unwrap().parse::<IpAddr>().unwrap();
            assert_eq!(
                (ip("address"), ip("netmask")),
                (net.address(), net.mask()),
                "{context}"
            );
        }
        other => assert_eq!(
            text("address").unwrap(),
            unquoted(&other.to_string()),
            "{context}"
        ),
    }
    assert_eq!(row["auth_method"], record.method.as_str(), "{context}");
    let options: Vec<_> = row["options"]
        .as_array()
        .map(|_| strings(&row["options"]))
        .unwrap_or_default();
    let theirs = |name: &str| {
        options
            .iter()
            .find_map(|option| option.strip_prefix(&format!("{name}=")))
    };
    assert_eq!(
        theirs("clientcert"),
        record
            .options
            .clientcert
            .map(pgtls::conf::hba::ClientCert::as_str),
        "{context}"
    );
    let map = record.options.map.as_deref().map(String::from_utf8_lossy);
    assert_eq!(theirs("map"), map.as_deref(), "{context}");
    assert!(row["error"].is_null(), "{context}");
}

fn unquoted(shown: &str) -> String {
    match shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner
            .replace("\"\"", "\"")
            .replace("\\r", "\r")
            .replace("\\t", "\t"),
        None => shown.to_owned(),
    }
}

fn same_problem(major: u16, row: &Value, broken: &Broken) {
    let context = format!("{major}: {row:#}\n{broken:?}");
    let ours = broken.problem.to_string();
    assert_eq!(row["error"].is_null(), broken.problem.is_hidden(), "{context}");
    if let Some(theirs) = row["error"].as_str() {
        assert_eq!(theirs, ours, "{context}");
    }
}

const MAPPINGS: &str = r#"
# MAPNAME SYSTEM-USERNAME PG-USERNAME
m	alice	app
m "a b" "c d" # x
m /^(.*)@example\.org$ \1
m "/^x" all
m x +g
m x "+g"
m x /^app
m x "/^app"
m x /(
m /( x
m a,b c
m a b,c
m a
m
m a b c d
m a, b c
"m" a \
 b
m @nothing b
m a @lists/one
@lists/one a b
include sub/one.conf
"#;

#[test]
fn every_server_reads_pg_ident_conf_as_we_do() {
    for (major, server) in servers() {
        // The view came with 15.
        if major < 15 {
            continue;
        }
        let path = server.data.join("pg_ident.conf");
        write(&path, MAPPINGS.as_bytes());
        write(&server.data.join("lists/one"), b"one\n");
        write(&server.data.join("sub/one.conf"), b"m in cluded\n");
        let ours = Maps::load(Path::new(&path), &Disk, Dialect::of(major)).unwrap();
        let rows = rows(&server, "select * from pg_ident_file_mappings");
        let (taken, refused): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["error"].is_null());
        assert_eq!(
            taken.len(),
            ours.mappings().len(),
            "{major}: {taken:#?}\n{ours:#?}"
        );
        for (row, mapping) in taken.iter().zip(ours.mappings()) {
            let system = match &mapping.system {
                SystemName::Named(name) => String::from_utf8_lossy(name).into_owned(),
                SystemName::Pattern(pattern) => format!("/{}", pattern.source()),
            };
            let role = mapping.role.to_string();
            let role = role
                .strip_prefix('+')
                .map_or_else(|| unquoted(&role), |group| format!("+{}", unquoted(group)));
            assert_eq!(
                (
                    &row["line_number"],
                    row["map_name"].as_str(),
                    row["sys_name"].as_str(),
                    row["pg_username"].as_str()
                ),
                (
                    &Value::from(mapping.place.line),
                    Some(&*String::from_utf8_lossy(&mapping.map)),
                    Some(&*system),
                    Some(&*role)
                ),
                "{major}"
            );
        }
        assert_eq!(
            refused.len(),
            ours.broken().len(),
            "{major}: {refused:#?}\n{ours:#?}"
        );
        for (row, broken) in refused.iter().zip(ours.broken()) {
            assert_eq!(row["line_number"], broken.place.line, "{major}");
            same_problem(major, row, broken);
        }
    }
}
