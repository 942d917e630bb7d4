//! `postgresql.conf`, what it includes, and `postgresql.auto.conf` above it.

use super::super::case::{Content, File, Layout, Place};
use super::rules::{Where, bytes, file, put};
use super::{Messy, Random};

/// What has nothing to do with TLS.
const NOISE: [(&str, &str); 30] = [
    ("work_mem", "4MB"),
    ("work_mem", "16384kB"),
    ("Maintenance_Work_Mem", "64MB"),
    ("log_line_prefix", "'%m [%p] %q%u@%d '"),
    ("log_line_prefix", "'it''s %m '"),
    ("log_min_duration_statement", "'5s'"),
    ("log_min_duration_statement", "-1"),
    ("search_path", "'\"$user\", public'"),
    ("datestyle", "'iso, dmy'"),
    ("checkpoint_timeout", "10min"),
    ("checkpoint_timeout", "'600 s'"),
    ("random_page_cost", "1.1e0"),
    ("deadlock_timeout", "1s"),
    ("shop.mode", "'a # is no comment here'"),
    ("shop.path", "srv/shop-1.0"),
    ("shop.name", "'B\u{fc}ro'"),
    ("temp_file_limit", "0x400000"),
    ("authentication_timeout", "1min"),
    ("password_encryption", "md5"),
    ("statement_timeout", "0"),
    ("standard_conforming_strings", "off"),
    ("backslash_quote", "on"),
    ("bytea_output", "escape"),
    ("client_encoding", "latin1"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_isolation", "'serializable'"),
    ("extra_float_digits", "-15"),
    ("intervalstyle", "iso_8601"),
    ("search_path", "''"),
    ("idle_in_transaction_session_timeout", "100ms"),
];

const REMARKS: [&str; 12] = [
    "",
    "",
    "\t",
    "# -----------------------------",
    "#ssl = off\t\t\t\t# (change requires restart)",
    "#ssl_cert_file = 'server.crt'",
    "  # gro\u{df}e Tabellen",
    "#ssl on",
    "# 'an open quote",
    "#include = 'none'",
    "#listen_addresses = 'localhost'\t\t# what IP address(es) to listen on;",
    "# - SSL -",
];

/// One setting, as somebody writes it.
fn line(random: &mut Random, name: &str, value: &str) -> String {
    let name = match random.below(6) {
        0 => name.to_uppercase(),
        _ => name.to_owned(),
    };
    let is_bare = |value: &str| {
        value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte))
    };
    let value = match value {
        value if is_bare(value) && random.below(2) == 0 => format!("'{value}'"),
        value => value.to_owned(),
    };
    let between = random.pick(&[" = ", " = ", " = ", "=", " ", "\t=\t", "   =", "  "]);
    let before = random.pick(&["", "", "", "", " ", "\t"]);
    let after = random.pick(&[
        "",
        "",
        "",
        " ",
        "\t\t# as agreed",
        "     # why",
        "# no 'quote",
        " #ssl = on",
    ]);
    format!("{before}{name}{between}{value}{after}")
}

fn noise(random: &mut Random, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..random.below(most) {
        for _ in 0..random.below(3) {
            lines.push(random.pick(&REMARKS).to_owned());
        }
        let (name, value) = random.pick(&NOISE);
        lines.push(line(random, name, value));
    }
    lines
}

fn pem(path: &str, which: &str, mode: u32) -> File {
    File {
        path: path.to_owned(),
        content: Content::Pem(which.to_owned()),
        mode: Some(mode),
        of_root: false,
    }
}

/// What the server says of TLS: settings, and the words of a refusal that is right.
fn tls(messy: &mut Messy, random: &mut Random) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let kind = random.below(10);
    match kind {
        0..=2 => all.push(("ssl", word(random, false))),
        3 => {}
        4 => {
            // Once it was thought of, and the files are gone.
            all.push(("ssl_cert_file", "'/etc/ssl/certs/gone.pem'".to_owned()));
            all.push(("ssl_key_file", "'/etc/ssl/private/gone.key'".to_owned()));
            all.push(("ssl", word(random, false)));
        }
        5 | 6 => {
            messy
                .case
                .files
                .push(pem("{srv}/snakeoil.pem", "snakeoil.cert", 0o644));
            messy
                .case
                .files
                .push(pem("{srv}/snakeoil.key", "snakeoil.key", 0o600));
            all.push(("ssl_cert_file", "'{srv}/snakeoil.pem'".to_owned()));
            all.push(("ssl_key_file", "'{srv}/snakeoil.key'".to_owned()));
            all.push(("ssl", word(random, true)));
        }
        7 => {
            messy.case.files.push(pem("{data}/server.crt", "own.cert", 0o644));
            messy.case.files.push(pem("{data}/server.key", "own.key", 0o600));
            all.push(("ssl", word(random, true)));
        }
        8 => {
            messy
                .case
                .files
                .push(pem("{srv}/tls/db one.crt", "own.cert", 0o400));
            messy
                .case
                .files
                .push(pem("{srv}/tls/db one.key", "own.key", 0o400));
            all.push(("ssl_key_file", "'{srv}/tls/db one.key'".to_owned()));
            all.push(("ssl_cert_file", "'{srv}/tls/db one.crt'".to_owned()));
            all.push(("ssl", word(random, true)));
        }
        _ => {
            // Everything is there but the switch.
            messy.case.files.push(pem("{data}/server.crt", "own.cert", 0o644));
            messy.case.files.push(pem("{data}/server.key", "own.key", 0o600));
            all.push(("ssl", word(random, false)));
        }
    }
    let is_own = matches!(kind, 7..=9);
    if is_own && random.below(3) > 0 {
        messy.keeps_certificate = kind != 9;
        messy.case.files.push(pem("{srv}/company.crt", "own.ca", 0o644));
        messy.case.admin = Some(
            "host={root} port={port} user=postgres dbname=postgres sslrootcert={srv}/company.crt".to_owned(),
        );
    } else if matches!(kind, 7 | 8) {
        messy.turned_down.push("sslrootcert=FILE");
    }
    if messy.case.admin.is_none() && random.below(5) == 0 {
        let mode = random.pick(&["prefer", "require", "disable", "allow"]);
        let serves_tls = matches!(kind, 5..=8);
        // Without TLS nobody could look at it that way.
        let mode = if mode == "require" && !serves_tls {
            "prefer"
        } else {
            mode
        };
        messy.case.admin = Some(format!(
            "host=localhost hostaddr=127.0.0.1 port={{port}} user=dba dbname=postgres sslmode={mode}"
        ));
        if mode == "disable" {
            messy.turned_down.push("your own way in would be closed");
        }
    }
    beside(messy, random, kind, &mut all);
    all
}

/// A word for yes or no.
fn word(random: &mut Random, is_on: bool) -> String {
    let words: &[&str] = if is_on {
        &["on", "true", "yes", "1", "'ON'"]
    } else {
        &["off", "false", "no", "0", "'of'"]
    };
    random.pick(words).to_owned()
}

/// What stands beside the switch and the pair.
fn beside(messy: &mut Messy, random: &mut Random, kind: usize, all: &mut Vec<(&'static str, String)>) {
    match random.below(6) {
        0 => {
            messy.case.files.push(pem("{data}/clients.crt", "own.ca", 0o644));
            all.push(("ssl_ca_file", "'clients.crt'".to_owned()));
        }
        1 if matches!(kind, 0..=4 | 9) && random.below(3) == 0 => {
            all.push(("ssl_ca_file", "'/etc/ssl/certs/never-was.crt'".to_owned()));
            messy.turned_down.push("never-was.crt");
        }
        _ => {}
    }
    if random.below(4) == 0 {
        all.push((
            "ssl_ciphers",
            random
                .pick(&["'HIGH:MEDIUM:+3DES:!aNULL'", "'HIGH:!aNULL'", "'ECDHE+AESGCM'"])
                .to_owned(),
        ));
    }
    if random.below(4) == 0 {
        let lowest = random.pick(&["TLSv1", "'TLSv1.2'", "TLSv1.2", "'tlsv1.1'", "'TLSv1.3'"]);
        all.push(("ssl_min_protocol_version", lowest.to_owned()));
    }
    if random.below(6) == 0 {
        all.push(("ssl_prefer_server_ciphers", word(random, false)));
    }
    if random.below(8) == 0 {
        let highest = random.pick(&["'TLSv1.2'", "'tlsv1.3'", "''", "TLSv1.3"]);
        let is_below = highest == "'TLSv1.2'" && all.iter().any(|(_, value)| value == "'TLSv1.3'");
        if !is_below {
            all.push(("ssl_max_protocol_version", highest.to_owned()));
        }
    }
    if random.below(25) == 0 {
        // It is the server's, whoever starts it.
        messy
            .case
            .arguments
            .extend(["-c".to_owned(), "ssl=off".to_owned()]);
        messy.turned_down.push("-c ssl=off");
        messy.keeps_certificate = false;
    }
}

/// Where the lines of a setting may go.
#[derive(Default)]
struct Spread {
    early: Vec<String>,
    included: Vec<String>,
    directory: Vec<String>,
    late: Vec<String>,
    auto: Vec<String>,
}

/// Writes the settings; gives where `pg_hba.conf` has to be.
pub fn write(messy: &mut Messy, random: &mut Random, major: u16) -> Where {
    let mut place = match messy.case.layout {
        Layout::Odd => Where {
            directory: "{data}".to_owned(),
            path: "{data}/pg_hba.conf".to_owned(),
            ident: "{data}/pg_ident.conf".to_owned(),
        },
        _ => Where {
            directory: "{etc}".to_owned(),
            path: "{etc}/pg_hba.conf".to_owned(),
            ident: "{etc}/pg_ident.conf".to_owned(),
        },
    };
    let is_elsewhere = random.below(5) == 0;
    if is_elsewhere {
        place = Where {
            directory: "{srv}/access".to_owned(),
            path: "{srv}/access/hba.conf".to_owned(),
            ident: "{srv}/access/ident maps".to_owned(),
        };
    }
    let mut spread = Spread::default();
    let quoted = |path: &str| format!("'{path}'");
    if is_elsewhere && random.below(3) == 0 {
        for (name, path) in [("hba_file", &place.path), ("ident_file", &place.ident)] {
            messy
                .case
                .arguments
                .extend(["-c".to_owned(), format!("{name}={path}")]);
        }
    } else if is_elsewhere || messy.case.layout == Layout::Debian {
        for (name, path) in [("hba_file", &place.path), ("ident_file", &place.ident)] {
            let text = line(random, name, &quoted(path));
            random_place(&mut spread, random, false).push(text);
        }
    }
    if messy.case.layout == Layout::Split {
        spread.early.push("data_directory = '{data}'".to_owned());
    }
    if messy.case.is_bare {
        let addresses = random.pick(&[
            "'localhost'",
            "localhost",
            "'*'",
            "'127.0.0.1, ::1'",
            "'localhost,127.0.0.1'",
            "'0.0.0.0'",
        ]);
        if !addresses.contains('*') && !addresses.contains("::1") {
            messy.people.retain(|person| person.way.place != Place::V6);
        }
        spread.early.push(line(random, "listen_addresses", addresses));
        if random.below(2) == 0 {
            spread.late.push(line(random, "port", "{port}"));
        }
    }
    if random.below(6) == 0 {
        messy
            .case
            .arguments
            .extend(["-c".to_owned(), "unix_socket_directories={root},{srv}".to_owned()]);
    }
    for (name, value) in tls(messy, random) {
        // What was said of it before, and counts no more.
        if name == "ssl" && random.below(3) == 0 {
            let decoy = random.pick(&["on", "off"]);
            spread.early.push(line(random, name, decoy));
        }
        let text = line(random, name, &value);
        random_place(&mut spread, random, true).push(text);
    }
    if major >= 14 && random.below(5) == 0 {
        // Shorter than a stage takes, and longer than psql takes to ask, also on a busy machine.
        spread.late.push(line(random, "idle_session_timeout", "1s"));
    }
    main(messy, random, spread);
    place
}

fn random_place<'a>(spread: &'a mut Spread, random: &mut Random, may_be_auto: bool) -> &'a mut Vec<String> {
    match random.below(8) {
        0 | 1 => &mut spread.late,
        2 => &mut spread.included,
        3 => &mut spread.directory,
        4 if may_be_auto => &mut spread.auto,
        _ => &mut spread.early,
    }
}

fn main(messy: &mut Messy, random: &mut Random, spread: Spread) {
    let mut lines = noise(random, 5);
    let early = spread.early;
    lines.extend(early);
    lines.extend(noise(random, 5));
    if !spread.included.is_empty() || random.below(4) == 0 {
        lines.push(
            random
                .pick(&[
                    "include 'more/tls settings.conf'",
                    "include_if_exists = './more/tls settings.conf'",
                    "Include '{etc}/more/../more/tls settings.conf'",
                ])
                .to_owned(),
        );
        let mut text = noise(random, 3);
        text.extend(spread.included);
        let text = bytes(random, &text);
        put(messy, random, "{etc}/more/tls settings.conf", text);
    }
    if !spread.directory.is_empty() || random.below(4) == 0 {
        lines.push(
            random
                .pick(&[
                    "include_dir 'conf.d'",
                    "include_dir = './conf.d'",
                    "include_dir='{etc}/conf.d/'",
                ])
                .to_owned(),
        );
        let mut text = noise(random, 3);
        text.extend(spread.directory);
        let text = bytes(random, &text);
        put(messy, random, "{etc}/conf.d/50-local.conf", text);
        let text = noise(random, 3);
        let text = bytes(random, &text);
        put(messy, random, "{etc}/conf.d/90-last.conf", text);
        messy
            .case
            .files
            .push(file("{etc}/conf.d/README", b"this = is no setting\n".to_vec()));
    }
    if random.below(5) == 0 {
        lines.push("include_if_exists 'never-was.conf'".to_owned());
    }
    lines.extend(spread.late);
    lines.extend(noise(random, 3));
    let text = bytes(random, &lines);
    put(messy, random, "{etc}/postgresql.conf", text);
    if !spread.auto.is_empty() || random.below(4) == 0 {
        let mut text =
            "# Do not edit this file manually!\n# It will be overwritten by the ALTER SYSTEM command.\n"
                .to_owned();
        for line in spread.auto {
            text = text + &line + "\n";
        }
        let mut auto = file("{data}/postgresql.auto.conf", text.into_bytes());
        auto.mode = Some(0o600);
        messy.case.files.push(auto);
    }
}
