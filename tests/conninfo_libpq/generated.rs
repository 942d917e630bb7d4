//! Service files, password files, and lists of hosts and ports, put together at random from what matters to their
//! readers.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::case::Case;
use super::generated;

/// Some of these, one after the other.
fn some(pieces: &'static [&'static str], most: usize) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..=most).prop_map(|pieces| pieces.concat())
}

/// Some of these, with something between them.
fn list(
    pieces: &'static [&'static str],
    between: &'static str,
    most: usize,
) -> impl Strategy<Value = String> {
    vec(select(pieces), 0..=most).prop_map(move |pieces| pieces.join(between))
}

#[test]
fn generated_service_files_are_read_as_libpq_reads_them() {
    let whole = select(
        &[
            "[a]",
            "[b]",
            "host=127.0.0.1",
            "port=1",
            "port=2",
            "port=",
            "user=bob",
            "user=",
            "dbname=db",
            "sslmode=require",
            "sslmode=bad",
            "password=p=q",
            "application_name=x y",
            "# port=9",
            "; port=9",
            "",
        ][..],
    )
    .prop_map(str::to_owned);
    let odd = some(
        &[
            "[a]", "[", "]", "a", "=", "=", " ", "\t", "\r", "port", "user", "service", "nonsense", "1", "'",
            "\\", "#", ";", "é", "ldap:", "sslmode", "require",
        ],
        5,
    );
    let file =
        vec(prop_oneof![5 => whole, 1 => odd], 1..9).prop_map(|lines| format!("{}\n", lines.join("\n")));
    let text = select(
        &[
            "service=a",
            "service=b host=127.0.0.1 port=1",
            "service=a user=eve",
            "postgresql:///?service=a",
            "",
        ][..],
    );
    let variable = select(
        &[
            ("PGSERVICE", "a"),
            ("PGUSER", "eve"),
            ("PGSSLMODE", "disable"),
            ("PGPORT", "3"),
        ][..],
    );
    // Half of them begin with the section that is asked for.
    let strategy = (any::<bool>(), file, text, variable);
    generated(1500, &strategy, |witness, (is_there, file, text, variable)| {
        let content = if is_there { format!("[a]\n{file}") } else { file };
        let case = Case {
            text,
            variables: &[variable],
            files: &[(".pg_service.conf", 0o644, &content)],
        };
        case.difference(witness)
    });
}

#[test]
fn generated_password_files_are_read_as_libpq_reads_them() {
    let field = prop_oneof![
        6 => Just("*".to_owned()),
        4 => select(&["127.0.0.1", "localhost", "1", "db", "bob", "foo", "::1", "\\:\\:1"][..])
            .prop_map(str::to_owned),
        2 => some(&["*", "\\", ":", "1", "b", "ob", " ", "\r", "é", "#", "127.0.0.", "/tmp"], 4),
    ];
    let line = vec(field, 3..7).prop_map(|fields| fields.join(":"));
    let file = (vec(line, 0..5), any::<bool>())
        .prop_map(|(lines, is_ended)| lines.join("\n") + if is_ended { "\n" } else { "" });
    let text = select(
        &[
            "host=127.0.0.1 port=1 user=bob dbname=db",
            "host=127.0.0.1,::1 port=1 user=bob",
            "host=foo hostaddr=127.0.0.1 port=1 user=bob dbname=db",
            "hostaddr=127.0.0.1 port=1 dbname=db",
            "host=/tmp port=1 user=bob",
            "port=1 user=bob dbname=db",
        ][..],
    );
    generated(1500, &(file, text), |witness, (file, text)| {
        let case = Case {
            text,
            variables: &[],
            files: &[(".pgpass", 0o600, &file)],
        };
        case.difference(witness)
    });
}

#[test]
fn generated_lists_of_hosts_and_ports_pair_as_in_libpq() {
    let hosts = list(
        &["127.0.0.1", "127.0.0.2", "localhost", "/tmp", "", "::1"],
        ",",
        4,
    );
    let addresses = list(
        &["127.0.0.1", "127.0.0.2", "::1", "", "127.1", "x", "127.0.0.256"],
        ",",
        3,
    );
    let ports = list(
        &["1", "2", "0", "65535", "65536", "abc", " 1 ", "+1", "01", "1x"],
        ",",
        4,
    );
    let more = select(
        &[
            "",
            "target_session_attrs=read-write",
            "target_session_attrs=any",
            "target_session_attrs=prefer-standby",
            "target_session_attrs=primary load_balance_hosts=disable",
            "target_session_attrs=master",
            "load_balance_hosts=yes",
            "sslmode=verify-full",
        ][..],
    );
    let has_addresses = prop_oneof![3 => Just(false), 1 => Just(true)];
    let strategy = (hosts, addresses, has_addresses, ports, more);
    generated(
        1500,
        &strategy,
        |witness, (hosts, addresses, has_addresses, ports, more)| {
            let mut text = format!("host='{hosts}' port='{ports}' {more}");
            if has_addresses {
                text = format!("{text} hostaddr='{addresses}'");
            }
            let case = Case {
                text: &text,
                // Port 1 and no other: nobody answers there.
                variables: &[("PGPORT", "1")],
                files: &[],
            };
            case.difference(witness)
        },
    );
}
