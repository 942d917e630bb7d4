//! Values, combinations, hosts and variables: judged as libpq judges them.

use pgtls::conninfo::Keyword;

use super::case::{Case, NOWHERE, compare};

#[test]
fn each_value_is_judged_as_libpq_judges_it() {
    let words = [
        "",
        "x",
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
        "verify_full",
        "Require",
        " require",
        "postgres",
        "direct",
        "any",
        "read-write",
        "read-only",
        "primary",
        "standby",
        "prefer-standby",
        "random",
        "TLSv1",
        "TLSv1.0",
        "TLSv1.1",
        "tlsv1.2",
        "TLSV1.3",
        "SSLv3",
        "3.0",
        "3.1",
        "3.2",
        "latest",
        "0",
        "1",
        "-1",
        "+3",
        " 2 ",
        "2x",
        "0x1",
        "99999999999",
        "system",
        "md5",
        "md5,password",
        "md5, password",
        "md5,md5",
        "!md5",
        "!md5,!password",
        "!md5,!md5",
        "!password,md5",
        "md5,!password",
        "md5,",
        ",md5",
        "!",
        "!!md5",
        "MD5",
        "cert",
        "none",
        "gss,sspi,oauth,password,md5,scram-sha-256,none",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ];
    let keywords = Keyword::ALL.iter().copied().filter(|keyword| {
        // Those that name a place or a file have their own tests; GSSAPI depends on the machine.
        !matches!(
            keyword,
            Keyword::Service | Keyword::Host | Keyword::Hostaddr | Keyword::Port | Keyword::Gssencmode
                // libpq replaces `auto` and the like by what the locale says.
                | Keyword::ClientEncoding
        )
    });
    let texts: Vec<String> = keywords
        .flat_map(|keyword| words.map(|word| format!("{NOWHERE}{keyword}='{word}'")))
        .collect();
    compare(texts.iter().map(|text| Case {
        text,
        variables: &[],
        files: &[],
    }));
}

#[test]
fn combinations_are_judged_as_libpq_judges_them() {
    let mut texts: Vec<String> = Vec::new();
    for sslmode in [
        "disable",
        "allow",
        "prefer",
        "require",
        "verify-ca",
        "verify-full",
    ] {
        for other in [
            "sslrootcert=system",
            "sslrootcert=System",
            "sslnegotiation=direct",
            "sslcertmode=require",
            "channel_binding=require",
            "sslrootcert=system sslnegotiation=direct",
            "requiressl=1",
        ] {
            texts.push(format!("{NOWHERE}sslmode={sslmode} {other}"));
            texts.push(format!("{NOWHERE}{other}"));
        }
    }
    let versions = ["''", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    for min in versions {
        for max in versions {
            texts.push(format!(
                "{NOWHERE}ssl_min_protocol_version={min} ssl_max_protocol_version={max}"
            ));
        }
        texts.push(format!("{NOWHERE}ssl_max_protocol_version={min}"));
    }
    for (min, max) in [
        ("3.0", "3.2"),
        ("3.2", "3.0"),
        ("latest", "3.0"),
        ("latest", "3.2"),
        ("3.0", "latest"),
    ] {
        texts.push(format!(
            "{NOWHERE}min_protocol_version={min} max_protocol_version={max}"
        ));
    }
    for text in [
        "keepalives=0 keepalives_idle=x",
        "keepalives=1 keepalives_idle=x",
        "keepalives=2 tcp_user_timeout=x",
        "fallback_application_name=z",
        "application_name='' fallback_application_name=z",
        "user='' dbname=''",
        "user=bob",
        "user=bob dbname=''",
        "dbname='host=x'",
        "dbname='postgresql://foo/bar'",
        "gssencmode=x",
        "gssencmode=''",
        "gssencmode=prefer",
        "gssencmode=disable",
        "gssencmode=Disable",
    ] {
        texts.push(format!("{NOWHERE}{text}"));
    }
    compare(texts.iter().map(|text| Case {
        text,
        variables: &[],
        files: &[],
    }));
}

#[test]
fn hosts_and_ports_pair_as_in_libpq() {
    let texts = [
        "",
        "port=1",
        "host=localhost port=1",
        "host=127.0.0.1 port=0",
        "host=127.0.0.1 port=65536",
        "host=127.0.0.1 port=65535",
        "host=127.0.0.1 port=abc",
        "host=127.0.0.1 port=' 1 '",
        "host=127.0.0.1 port=+1",
        "host=127.0.0.1 port=-1",
        "host=127.0.0.1 port=0x1",
        "host=127.0.0.1 port=1,",
        "host=127.0.0.1 port=01",
        "host=127.0.0.1,127.0.0.2 port=1",
        "host=127.0.0.1,127.0.0.2 port=1,2",
        "host=127.0.0.1,127.0.0.2 port=1,2,3",
        "host=127.0.0.1 port=1,2",
        "port=1,2",
        "host=a,b hostaddr=127.0.0.1 port=1",
        "host=a,b hostaddr=127.0.0.1,127.0.0.2 port=1",
        "hostaddr=127.0.0.1,127.0.0.2 port=1",
        "hostaddr=127.0.0.1 host='' port=1",
        "hostaddr='' host='' port=1",
        "hostaddr=foo port=1",
        "hostaddr=127.1 port=1",
        "hostaddr=0x7f.1 port=1",
        "hostaddr=0177.0.0.1 port=1",
        "hostaddr=127.0.0.1. port=1",
        "hostaddr=2130706433 port=1",
        "hostaddr=[::1] port=1",
        "hostaddr=::1 port=1",
        "hostaddr=127.0.0.256 port=1",
        "hostaddr='127.0.0.1 ' port=1",
        "hostaddr=' 127.0.0.1' port=1",
        "hostaddr=127.0.0.08 port=1",
        "hostaddr=256.1 port=1",
        "hostaddr=1.2.3.4.5 port=1",
        "hostaddr=/tmp port=1",
        "host=,127.0.0.1 port=1",
        "host=127.0.0.1, port=1",
        "host=@pgtls-nobody port=1",
        "host=/tmp port=1",
        "host=/tmp hostaddr=127.0.0.1 port=1",
        "host=127.0.0.1,127.0.0.2 port=70000,1",
        "host=127.0.0.1,127.0.0.2 port=1,70000",
        "host=127.0.0.1,127.0.0.2 port=abc,1",
        "hostaddr=foo,127.0.0.1 port=1",
        "hostaddr=127.0.0.1,foo port=1",
        "postgresql://127.0.0.1:1,127.0.0.2",
        "postgresql://127.0.0.1:1,127.0.0.2?port=1",
        "postgresql://127.0.0.1,127.0.0.2:1/x",
        "postgresql://[::1]:1",
        "postgresql://%2Ftmp:1/x",
        "postgresql://:1",
        "postgresql://u:p/x@127.0.0.1",
        "host=/tmp port=1 keepalives=x",
        "host=/tmp port=1 gssencmode=require",
    ];
    compare(texts.iter().map(|text| Case {
        text,
        variables: &[],
        files: &[],
    }));
}

#[test]
fn variables_fill_what_is_not_said() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("", &[("PGSSLMODE", "")]),
        ("", &[("PGSSLMODE", "bad")]),
        ("sslmode=disable", &[("PGSSLMODE", "bad")]),
        ("sslmode=''", &[("PGSSLMODE", "require")]),
        ("", &[("PGUSER", "bob")]),
        ("", &[("PGUSER", "")]),
        ("user=''", &[("PGUSER", "bob")]),
        ("", &[("PGDATABASE", "db"), ("PGUSER", "bob")]),
        ("user=bob dbname=''", &[("PGDATABASE", "db")]),
        ("", &[("PGREQUIRESSL", "1")]),
        ("", &[("PGREQUIRESSL", "0")]),
        ("", &[("PGREQUIRESSL", "")]),
        ("", &[("PGREQUIRESSL", "1"), ("PGSSLMODE", "disable")]),
        ("sslmode=disable", &[("PGREQUIRESSL", "1")]),
        ("", &[("PGREQUIRESSL", "1"), ("PGSSLROOTCERT", "system")]),
        ("", &[("PGSSLROOTCERT", "system")]),
        ("", &[("PGSSLROOTCERT", "system"), ("PGSSLMODE", "require")]),
        ("sslrootcert=x", &[("PGSSLROOTCERT", "system")]),
        ("", &[("PGPASSWORD", "x")]),
        ("", &[("PGPASSWORD", "")]),
        ("password=y", &[("PGPASSWORD", "x")]),
        ("", &[("PGCONNECT_TIMEOUT", "x")]),
        ("", &[("PGCONNECT_TIMEOUT", "5")]),
        ("", &[("PGTARGETSESSIONATTRS", "bad")]),
        ("", &[("PGSSLNEGOTIATION", "direct")]),
        ("", &[("PGSSLNEGOTIATION", "direct"), ("PGSSLMODE", "verify-ca")]),
        (
            "",
            &[
                ("PGSSLPASSWORD", "x"),
                ("PGKEEPALIVES", "x"),
                ("PGREPLICATION", "x"),
                ("PGSSLKEYLOGFILE", "x"),
            ],
        ),
        (
            "",
            &[
                ("PGOPTIONS", "-c x=y"),
                ("PGAPPNAME", "q"),
                ("PGREQUIREAUTH", "md5"),
                ("PGSSLCERT", "c"),
            ],
        ),
        ("", &[("PGHOSTADDR", "127.0.0.2")]),
        ("", &[("PGHOSTADDR", "127.0.0.2,127.0.0.3")]),
        ("", &[("PGSERVICE", "")]),
        ("", &[("PGSERVICE", "none")]),
    ];
    let texts: Vec<_> = cases
        .iter()
        .map(|(text, variables)| (format!("{NOWHERE}{text}"), *variables))
        .collect();
    compare(texts.iter().map(|(text, variables)| Case {
        text,
        variables,
        files: &[],
    }));
    compare(
        [
            ("host=127.0.0.1", &[("PGPORT", "1")][..]),
            ("host=127.0.0.1 port=''", &[("PGPORT", "1")]),
            ("port=1", &[("PGHOST", "127.0.0.1")]),
            ("port=1 host=''", &[("PGHOST", "127.0.0.1")]),
            ("port=1", &[("PGHOST", ""), ("PGHOSTADDR", "")]),
            ("", &[("PGHOST", "127.0.0.1,127.0.0.2"), ("PGPORT", "1,2")]),
            ("postgresql://127.0.0.1,127.0.0.2:1", &[("PGPORT", "7")]),
        ]
        .map(|(text, variables)| Case {
            text,
            variables,
            files: &[],
        }),
    );
}
