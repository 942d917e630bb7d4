//! `postgresql.conf` against `pg_file_settings`, `pg_settings` and `SHOW`.

use std::fmt::Write;

use pgtls::conf::settings::{Document, Origin, Quantity, Settings, boolean};
use serde_json::Value;

use super::support::Random;
use super::support::TestServer;
use super::{Disk, rows, servers, write};

/// Files as they are found, good and bad.
const FILES: [&str; 44] = [
    "ssl = on\n",
    "ssl on",
    "SSL=ON # x\r\n",
    "ssl = on = off\n",
    "ssl =\n",
    "ssl\n",
    "= on\n",
    "'ssl' = on\n",
    "work_mem = 4MB\n",
    "work_mem = '4 MB'\n",
    "work_mem = 4 MB\n",
    "work_mem = 1.5MB\n",
    "work_mem = '1.5MB'\n",
    "work_mem = 0x1000\n",
    "work_mem = -1\n",
    "work_mem = +1kB\n",
    "seq_page_cost = 1.5e0\n",
    "seq_page_cost = .5\n",
    "seq_page_cost = 1.\n",
    "seq_page_cost = 1e0\n",
    "seq_page_cost = .\n",
    "ssl_cert_file = server.crt\n",
    "ssl_cert_file = certs/server-1.crt\n",
    "ssl_cert_file = /etc/server.crt\n",
    "ssl_cert_file = '/etc/server.crt'\n",
    "search_path = '\"$user\", public'\n",
    "application_name = 'a''b\\'c\\\\d\\n\\101'\n",
    "application_name = 'a''\n",
    "application_name = 'a\n",
    "application_name = 'a' 'b'\n",
    "application_name = 'a'#'b'\n",
    "application_name = ''\n",
    "application_name = \"a\"\n",
    "application_name = ä\n",
    "my.setting = 1\n",
    "my.own.setting = 1\n",
    "my.setting = a.b\n",
    "my.setting = a.b.c\n",
    "my.setting = a-b:c_d\n",
    "port = 1\nport = 2\nPort = 3\n",
    "# only a comment",
    "\n\n \t\r\nssl=on\n",
    "include_if_exists = 'nowhere'\nssl = on\n",
    "datestyle = 'iso, mdy'\nlog_line_prefix = '%m [%p] '\nssl=off bad\nssl = on\n",
];

const PIECES: [&str; 30] = [
    "ssl",
    "port",
    "work_mem",
    "my.setting",
    " ",
    " ",
    " = ",
    "=",
    "'",
    "''",
    "\\",
    "\\'",
    "#",
    "\n",
    "\n",
    "\r\n",
    "on",
    "off",
    "4MB",
    "1.5",
    "0x1f",
    "-",
    "+",
    ".",
    "_",
    "e5",
    "/tmp",
    "é",
    "a b",
    "\t",
];

#[test]
fn every_server_reads_postgresql_conf_as_we_do() {
    for (major, server) in servers() {
        let mut random = Random::new(0x9e37_79b9);
        let mut files: Vec<String> = FILES.iter().map(|text| (*text).to_owned()).collect();
        files.extend((0..600).map(|_| random.line(&PIECES, 16)));
        let told = ask(&server, &files);
        assert_eq!(told.len(), files.len());
        for (text, rows) in files.iter().zip(told) {
            let document = Document::parse(text.as_bytes().to_vec());
            // The view stops at the first line that cannot be read.
            let fault = document.faults().first().map(|fault| fault.number);
            let ours: Vec<_> = document
                .entries()
                .iter()
                .filter(|entry| fault.is_none_or(|fault| entry.number < fault))
                .map(|entry| {
                    (
                        entry.number,
                        document.name(entry).to_lowercase(),
                        String::from_utf8_lossy(&entry.text).into_owned(),
                    )
                })
                .filter(|(_, name, _)| !name.starts_with("include"))
                .collect();
            let is_syntax = |row: &&Value| row["error"] == "syntax error";
            let theirs: Vec<_> = rows
                .iter()
                .filter(|row| !is_syntax(row))
                .map(|row| {
                    (
                        usize::try_from(row["line"].as_u64().unwrap()).unwrap(),
                        row["name"].as_str().unwrap_or_default().to_lowercase(),
                        row["setting"].as_str().unwrap_or_default().to_owned(),
                    )
                })
                .collect();
            assert_eq!(ours, theirs, "{major}: {text:?}");
            let wrong = rows
                .iter()
                .find(is_syntax)
                .map(|row| row["line"].as_u64().unwrap());
            // At the very end of a file that no end of line closes, PostgreSQL counts one line less.
            let cut_off = document
                .faults()
                .first()
                .is_some_and(|fault| fault.near.is_none())
                && !text.ends_with('\n')
                && fault == Some(text.lines().count());
            let expected = fault.map(|fault| fault as u64 - u64::from(cut_off));
            assert_eq!(expected, wrong, "{major}: {text:?}");
        }
    }
}

/// What `pg_file_settings` says with each of these files in the place of `postgresql.conf`.
fn ask(server: &TestServer, files: &[String]) -> Vec<Vec<Value>> {
    server.sql(
        "create or replace function probe(content text) returns json language plpgsql as $$
         declare file oid; rows json; path text := current_setting('config_file');
         begin
           file := lo_from_bytea(0, decode(content, 'hex'));
           perform lo_export(file, path);
           perform lo_unlink(file);
           select coalesce(json_agg(json_build_object('line', sourceline, 'name', name, 'setting', setting, 'error', error)
                                    order by seqno), '[]') into rows
             from pg_file_settings where sourcefile = path;
           return rows;
         end $$",
    );
    let mut told = Vec::new();
    for some in files.chunks(200) {
        let hex: Vec<_> = some
            .iter()
            .map(|text| {
                let mut literal = String::from("('");
                for byte in text.bytes() {
                    write!(literal, "{byte:02x}").unwrap();
                }
                literal + "')"
            })
            .collect();
        let query = format!("select probe(c) from (values {}) v(c)", hex.join(","));
        for line in server.sql(&query).stdout.lines() {
            told.push(serde_json::from_str(line).unwrap());
        }
    }
    told
}

#[test]
fn the_same_line_wins_on_every_server() {
    for (major, server) in servers() {
        let main = server.data.join("postgresql.conf");
        let base = std::fs::read_to_string(&main).unwrap();
        let put = |name: &str, text: &str| write(&server.data.join(name), text.as_bytes());
        put(
            "postgresql.conf",
            &format!(
                "{base}\nwork_mem = 1MB\ninclude_dir 'conf.d'\nlog_min_messages = error\nLOG_MIN_MESSAGES = fatal\n\
                 include_if_exists 'nowhere'\ninclude 'more.conf'\nstatement_timeout = '1min'\nenable_sort = of\n"
            ),
        );
        put("conf.d/20.conf", "work_mem = 3MB\n");
        put("conf.d/10.conf", "work_mem = 2MB\ninclude '../more.conf'\n");
        put("conf.d/x.txt", "work_mem = 9MB\n");
        put("more.conf", "lock_timeout = 7s\n");
        server.sql("alter system set deadlock_timeout = '2s'");
        server.sql("alter system set work_mem = '5MB'");
        server.sql("select pg_reload_conf()");
        let ours = Settings::load(&main, Some(&server.data), &Disk).unwrap();
        assert_eq!(ours.faults(), []);
        super::support::wait_for("the reload", std::time::Duration::from_secs(20), || {
            (server.sql("show lock_timeout").stdout.trim() == "7s").then_some(())
        });
        let theirs = rows(
            &server,
            "select name, setting, unit, vartype, source, sourcefile, sourceline from pg_settings where name in ('work_mem', \
             'log_min_messages', 'lock_timeout', 'statement_timeout', 'deadlock_timeout', 'enable_sort', 'ssl')",
        );
        assert_eq!(theirs.len(), 7);
        for row in theirs {
            let setting = ours.effective(row["name"].as_str().unwrap()).unwrap();
            let place = setting.place.as_ref().unwrap();
            assert_eq!(
                row["sourcefile"].as_str().unwrap(),
                place.file.to_str().unwrap(),
                "{major}: {row}"
            );
            assert_eq!(row["sourceline"], place.line, "{major}: {row}");
            let is_auto = place.file.ends_with("postgresql.auto.conf");
            assert_eq!(setting.origin == Origin::Auto, is_auto);
            let text = String::from_utf8(setting.value.clone()).unwrap();
            let value = row["setting"].as_str().unwrap();
            match row["vartype"].as_str().unwrap() {
                "bool" => assert_eq!(boolean(&text), Some(value == "on"), "{row}"),
                "integer" => {
                    let unit = row["unit"].as_str().unwrap();
                    let theirs = Quantity::parse(&format!("{value}{unit}"));
                    assert_eq!(Quantity::parse(&text), theirs, "{row}");
                }
                _ => assert_eq!(text, value, "{row}"),
            }
        }
    }
}
