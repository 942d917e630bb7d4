use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::*;
use crate::conf::Dialect;
use crate::conf::simulate::World;

type Held = BTreeMap<PathBuf, Vec<u8>>;

fn server(major: u16, files: &[(&str, &str)]) -> ServerFiles {
    let held: Held = files
        .iter()
        .map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec()))
        .collect();
    ServerFiles::in_data(Path::new("/d"), Dialect::of(major), Box::new(held))
}

fn wish(stage: Stage) -> Wish {
    Wish {
        pair: Some(("server.crt".to_owned(), "server.key".to_owned())),
        client_ca: Some("root.crt".to_owned()),
        ..Wish::of(stage)
    }
}

/// The files as they would be.
fn after(server: &ServerFiles, wish: &Wish) -> Result<BTreeMap<PathBuf, String>, Prevented> {
    let draft = plan(server, wish)?;
    Ok(draft
        .changes()
        .map(|(path, _, new)| (path.to_path_buf(), String::from_utf8_lossy(new).into_owned()))
        .collect())
}

#[test]
fn only_the_lines_change_that_have_to() {
    let server = server(
        17,
        &[
            (
                "/d/postgresql.conf",
                "port = 5432\r\n#ssl = off\t\t# no\r\ninclude 'more.conf'\r\n",
            ),
            ("/d/more.conf", "SSL = 'off'   # for now\n"),
            (
                "/d/pg_hba.conf",
                "local   all  all                 peer\r\n\
                 # caf\u{e9}\r\n\
                 host    all  all  127.0.0.1/32   trust   # here\r\n\
                 hostnossl all old 10.0.0.0/8 md5\r\n\
                 hostnogssenc all all ::1/128 md5\r\n\
                 host all evil all reject\r\n\
                 include more_hba.conf\r\n",
            ),
            (
                "/d/more_hba.conf",
                "host replication standby 10.0.0.9/32 scram-sha-256\n",
            ),
        ],
    );
    let files = after(&server, &wish(Stage::Require)).unwrap();
    // The line that decides is in the other file.
    assert_eq!(files[Path::new("/d/more.conf")], "SSL = on      # for now\n");
    assert_eq!(
        files[Path::new("/d/postgresql.conf")],
        "port = 5432\r\n#ssl = off\t\t# no\r\ninclude 'more.conf'\r\nssl_cert_file = 'server.crt'\r\nssl_key_file = 'server.key'\r\n"
    );
    assert_eq!(
        files[Path::new("/d/pg_hba.conf")],
        "local   all  all                 peer\r\n\
         # caf\u{e9}\r\n\
         hostnossl all all all reject\r\n\
         hostnossl replication all all reject\r\n\
         hostssl all  all  127.0.0.1/32   trust   # here\r\n\
         # hostnossl all old 10.0.0.0/8 md5\r\n\
         hostssl all all ::1/128 md5\r\n\
         host all evil all reject\r\n\
         include more_hba.conf\r\n"
    );
    assert_eq!(
        files[Path::new("/d/more_hba.conf")],
        "hostssl replication standby 10.0.0.9/32 scram-sha-256\n"
    );
}

#[test]
fn certificates_are_asked_for_on_every_line_and_a_second_run_changes_nothing() {
    let mut held = server(
        16,
        &[
            (
                "/d/postgresql.conf",
                "ssl = yes\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\n",
            ),
            (
                "/d/pg_hba.conf",
                "local all all peer\nhost all all all scram-sha-256 # all\nhostssl all a all md5 clientcert=verify-ca\n\
                 hostssl all b all cert map=m\n",
            ),
        ],
    );
    let wish = wish(Stage::Mtls);
    let files = after(&held, &wish).unwrap();
    assert_eq!(
        files[Path::new("/d/pg_hba.conf")],
        "local all all peer\nhostnossl all all all reject\nhostnossl replication all all reject\n\
         hostssl all all all scram-sha-256 clientcert=verify-full # all\n\
         hostssl all a all md5 clientcert=verify-full\nhostssl all b all cert map=m\n"
    );
    assert!(files[Path::new("/d/postgresql.conf")].ends_with("ssl_ca_file = 'root.crt'\n"));
    let again: Held = files
        .into_iter()
        .map(|(path, text)| (path, text.into_bytes()))
        .collect();
    held.files = Box::new(again);
    assert!(after(&held, &wish).unwrap().is_empty());
}

#[test]
fn the_method_cert_takes_the_place_of_the_password_with_a_map_where_names_differ() {
    let server = server(
        13,
        &[
            ("/d/postgresql.conf", ""),
            (
                "/d/pg_hba.conf",
                "host all all 10.0.0.0 255.0.0.0 ldap ldapserver=x ldapprefix=\"a b\" # dir\n",
            ),
            ("/d/pg_ident.conf", "# none\n"),
        ],
    );
    let wish = Wish {
        proof: ClientProof::Alone,
        maps: vec![("lap\"top".to_owned(), "app".to_owned())],
        ..wish(Stage::Mtls)
    };
    let files = after(&server, &wish).unwrap();
    assert!(
        files[Path::new("/d/pg_hba.conf")]
            .ends_with("hostssl all all 10.0.0.0 255.0.0.0 cert map=pgtls # dir\n"),
        "{files:?}"
    );
    assert_eq!(
        files[Path::new("/d/pg_ident.conf")],
        "# none\npgtls \"lap\"\"top\" \"app\"\n"
    );
}

#[test]
fn what_cannot_be_done_is_said() {
    let hba = ("/d/pg_hba.conf", "host all all all md5\n");
    let mut held = server(15, &[("/d/postgresql.conf", ""), hba]);
    held.command_line = vec![("ssl".to_owned(), "off".to_owned())];
    assert!(matches!(
        after(&held, &wish(Stage::On)),
        Err(Prevented::CommandLine { name, .. }) if name == "ssl"
    ));
    let broken = server(
        15,
        &[
            ("/d/postgresql.conf", ""),
            ("/d/pg_hba.conf", "host all all all md5\nhost all all md5\n"),
        ],
    );
    assert!(matches!(
        after(&broken, &wish(Stage::On)),
        Err(Prevented::Broken { place, .. }) if place == "/d/pg_hba.conf:2"
    ));
    let empty = server(
        15,
        &[("/d/postgresql.conf", ""), ("/d/pg_hba.conf", "# nobody\n")],
    );
    assert!(matches!(
        after(&empty, &wish(Stage::On)),
        Err(Prevented::Broken { .. })
    ));
    let auto = server(
        15,
        &[
            ("/d/postgresql.conf", "ssl = on\n"),
            ("/d/postgresql.auto.conf", "ssl = 'off'\n"),
            hba,
        ],
    );
    let files = after(&auto, &wish(Stage::On)).unwrap();
    assert_eq!(files[Path::new("/d/postgresql.auto.conf")], "ssl = on\n");
}

#[test]
fn the_short_tag_of_tls_1_3_is_below_the_floor() {
    let conf = |ciphers: &str| format!("ssl_tls13_ciphers = '{ciphers}'\n");
    for (before, after) in [
        ("TLS_AES_128_CCM_8_SHA256:TLS_AES_256_GCM_SHA384", ""),
        ("TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384"),
    ] {
        let text = conf(before);
        let server = server(
            18,
            &[
                ("/d/postgresql.conf", &text),
                ("/d/pg_hba.conf", "host all all all md5\n"),
            ],
        );
        let files = self::after(&server, &wish(Stage::Floor)).unwrap();
        let changed = &files[Path::new("/d/postgresql.conf")];
        assert!(changed.contains(&conf(after)), "{changed}");
    }
}

#[test]
fn the_floor_never_lies_above_the_ceiling() {
    let held = server(
        18,
        &[
            (
                "/d/postgresql.conf",
                "ssl_max_protocol_version = 'TLSv1.2'\nssl_ciphers = 'ALL'\n",
            ),
            ("/d/pg_hba.conf", "host all all all md5\n"),
        ],
    );
    let wish = Wish {
        only_tls13: true,
        ..wish(Stage::Floor)
    };
    let files = after(&held, &wish).unwrap();
    let conf = &files[Path::new("/d/postgresql.conf")];
    assert!(conf.contains("ssl_max_protocol_version = ''\n"), "{conf}");
    assert!(
        conf.contains("ssl_min_protocol_version = TLSv1.3\n")
            || conf.contains("ssl_min_protocol_version = 'TLSv1.3'\n"),
        "{conf}"
    );
    assert!(
        conf.contains("ssl_ciphers = 'ECDHE+AESGCM:ECDHE+CHACHA20'\n"),
        "{conf}"
    );
}

fn seen(ip: [u8; 4], tls: Option<&str>) -> Seen {
    Seen {
        user: "app".to_owned(),
        database: "shop".to_owned(),
        address: Some(IpAddr::from(ip)),
        replication: false,
        application: "web".to_owned(),
        tls: tls.map(|version| TlsSeen {
            version: version.to_owned(),
            cipher: "ECDHE-RSA-AES256-GCM-SHA384".to_owned(),
            cn: None,
            by_log: false,
        }),
        gss: false,
    }
}

#[test]
fn whoever_would_be_turned_away_is_told_and_whoever_has_learned_it_is_not() {
    let held = server(
        17,
        &[
            ("/d/postgresql.conf", ""),
            ("/d/pg_hba.conf", "host all all 10.0.0.0/8 md5\n"),
        ],
    );
    let wish = wish(Stage::Require);
    let draft = plan(&held, &wish).unwrap();
    let at = |last, sessions| Sightings { sessions, last };
    let mut watched = Watched::default();
    watched.add(seen([10, 0, 0, 5], None), at(100, 3));
    watched.add(seen([10, 0, 0, 6], None), at(100, 1));
    watched.add(seen([10, 0, 0, 6], Some("TLSv1.3")), at(200, 1));
    let found = impact(&draft, &wish, &World::default(), &watched, true).unwrap();
    let told: Vec<_> = found.refused.iter().map(Affected::sentence).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("3 sessions of app from 10.0.0.5 (web): it came without TLS"),
        "{told:?}"
    );
    assert_eq!(found.refused[0].with_tls, Some(true));

    let floor = Wish {
        only_tls13: true,
        ..self::wish(Stage::Floor)
    };
    let mut watched = Watched::default();
    watched.add(seen([10, 0, 0, 7], Some("TLSv1.2")), at(1, 1));
    let draft = plan(&held, &floor).unwrap();
    assert_eq!(
        impact(&draft, &floor, &World::default(), &watched, true)
            .unwrap()
            .refused
            .len(),
        1
    );
}

/// Of whom the log alone tells that they came over TLS, nobody knows whether they show a certificate.
#[test]
fn whoever_may_have_shown_a_certificate_may_be_refused() {
    let held = server(
        17,
        &[
            ("/d/postgresql.conf", ""),
            ("/d/pg_hba.conf", "hostssl all all 10.0.0.0/8 md5\n"),
        ],
    );
    let wish = wish(Stage::Mtls);
    let draft = plan(&held, &wish).unwrap();
    let over = |cn: Option<&str>, by_log| {
        let mut seen = seen([10, 0, 0, 5], Some("TLSv1.3"));
        seen.tls = seen.tls.map(|tls| TlsSeen {
            cn: cn.map(str::to_owned),
            by_log,
            ..tls
        });
        seen
    };
    let found = |all: &[Seen]| {
        let mut watched = Watched::default();
        for (seen, last) in all.iter().zip(1..) {
            watched.add(seen.clone(), Sightings { sessions: 2, last });
        }
        let found = impact(&draft, &wish, &World::default(), &watched, true).unwrap();
        (found.would_refuse(), found.may_refuse())
    };
    assert_eq!(found(&[over(None, true)]), (0, 2));
    // Who was looked at while it was there is known.
    assert_eq!(found(&[over(Some("app"), false), over(None, true)]), (0, 0));
    assert_eq!(found(&[over(None, false), over(None, true)]), (2, 0));
    // The method cert has the name in the log.
    assert_eq!(found(&[over(Some("other"), false)]), (2, 0));
    // Rules that ask for no certificate let it in.
    let require = self::wish(Stage::Require);
    let draft = plan(&held, &require).unwrap();
    let mut watched = Watched::default();
    watched.add(over(None, true), Sightings { sessions: 1, last: 1 });
    assert_eq!(
        impact(&draft, &require, &World::default(), &watched, true)
            .unwrap()
            .may_refuse(),
        0
    );
}

#[test]
fn whom_the_rules_in_force_refuse_already_no_stage_turns_away() {
    let held = server(
        17,
        &[
            ("/d/postgresql.conf", "ssl = on\n"),
            (
                "/d/pg_hba.conf",
                "hostnossl all all all reject\nhostssl all all all md5\n",
            ),
        ],
    );
    let wish = wish(Stage::Floor);
    let draft = plan(&held, &wish).unwrap();
    let mut watched = Watched::default();
    watched.add(seen([10, 0, 0, 5], None), Sightings { sessions: 1, last: 0 });
    let refused = |are_read| {
        let found = impact(&draft, &wish, &World::default(), &watched, are_read).unwrap();
        found.refused.iter().map(Affected::sentence).collect::<Vec<_>>()
    };
    assert_eq!(refused(true), Vec::<String>::new());
    // The files say so, and the server has not read them: then it comes with the stage.
    let told = refused(false);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("; last seen 1970-01-01 00:00 UTC ["), "{told:?}");
}

#[test]
fn what_was_watched_comes_back_from_its_file_and_is_counted_once() {
    let mut watched = Watched::default();
    watched.add(seen([10, 0, 0, 5], None), Sightings { sessions: 2, last: 7 });
    let text = serde_json::to_string(&watched).unwrap();
    let mut back: Watched = serde_json::from_str(&text).unwrap();
    assert_eq!(back, watched);
    back.merge(&watched);
    assert_eq!(back, watched);
}

#[test]
fn services_and_patroni_are_known_by_what_they_show() {
    assert_eq!(managed(["postgres", "app"], ["plpgsql.x"]), None);
    assert!(managed(["rds_superuser"], []).unwrap().name.contains("RDS"));
    assert!(
        managed(["cloudsqlsuperuser"], [])
            .unwrap()
            .name
            .contains("Cloud SQL")
    );
    assert!(managed(["azure_pg_admin"], []).unwrap().name.contains("Azure"));
    assert!(managed([], ["aiven.x"]).unwrap().name.contains("Aiven"));
    assert!(patroni(["PG_VERSION"], b"ssl = on\n").is_none());
    assert!(patroni(["patroni.dynamic.json"], b"").is_some());
    assert!(
        patroni(
            [],
            b"# Do not edit this file manually!\n# It will be overwritten by Patroni!\n"
        )
        .is_some()
    );
}

#[test]
fn a_difference_shows_what_changes_and_no_more() {
    let old = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nl\n";
    let new = "a\nB\nc\nd\ne\nf\ng\nh\ni\nj\nk\nnew\nl\n";
    assert_eq!(
        unified(old.as_bytes(), new.as_bytes()),
        "@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n@@ -9,4 +9,5 @@\n i\n j\n k\n+new\n l\n"
    );
    assert_eq!(unified(b"a\n", b"a\n"), "");
    assert_eq!(
        unified(b"", b"x"),
        "@@ -0,0 +1 @@\n+x\n\\ No newline at end of file\n"
    );
    let many = |word: &str| (0..50).fold(String::new(), |text, n| text + &format!("{word} {n}\n"));
    let diff = unified(many("host").as_bytes(), many("hostssl").as_bytes());
    assert_eq!(diff.matches("\n-host ").count(), 50);
    assert!(diff.starts_with("@@ -1,50 +1,50 @@\n-host 0\n"), "{diff}");
}

#[test]
fn a_file_that_is_not_there_is_said_to_be() {
    let held = server(15, &[("/d/pg_hba.conf", "host all all all md5\n")]);
    assert!(matches!(
        after(&held, &wish(Stage::On)),
        Err(Prevented::Unreadable { file, .. }) if file == Path::new("/d/postgresql.conf")
    ));
}

#[test]
fn a_floor_that_is_higher_already_stays() {
    let conf = "ssl_min_protocol_version = 'tlsv1.3'\nssl_ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE+CHACHA20:!PSK'\n";
    let held = server(
        18,
        &[
            ("/d/postgresql.conf", conf),
            ("/d/pg_hba.conf", "host all all all md5\n"),
        ],
    );
    let draft = plan(&held, &wish(Stage::Floor)).unwrap();
    let new = String::from_utf8(draft.changes().next().unwrap().2.to_vec()).unwrap();
    assert!(new.starts_with(conf), "{new}");
    for weak in [
        "ECDHE+AESGCM:HIGH",
        "ALL",
        "",
        "!aNULL",
        "DEFAULT@SECLEVEL=2",
        "ECDHE+AES",
    ] {
        let text = format!("ssl_ciphers = '{weak}'\n");
        let held = server(
            18,
            &[
                ("/d/postgresql.conf", &text),
                ("/d/pg_hba.conf", "host all all all md5\n"),
            ],
        );
        let files = after(&held, &wish(Stage::Floor)).unwrap();
        let new = &files[Path::new("/d/postgresql.conf")];
        assert!(!new.contains(&text), "{weak}: {new}");
    }
}

#[test]
fn a_line_for_gssapi_encryption_is_not_put_behind_a_reject_that_is_about_it_too() {
    let held = server(
        17,
        &[
            ("/d/postgresql.conf", "ssl = on\n"),
            (
                "/d/pg_hba.conf",
                "hostgssenc all all all gss\r\nhost all all all md5\r\n",
            ),
        ],
    );
    let files = after(&held, &wish(Stage::Require)).unwrap();
    assert_eq!(
        files[Path::new("/d/pg_hba.conf")],
        "hostgssenc all all all gss\r\nhostssl all all all md5\r\nhostnossl all all all reject\r\n\
         hostnossl replication all all reject\r\n"
    );
}

#[test]
fn of_several_clientcert_options_the_last_one_counts_and_fields_are_read_through_their_quotes() {
    let held = server(
        17,
        &[
            ("/d/postgresql.conf", ""),
            (
                "/d/pg_hba.conf",
                "hostssl all a all md5 clientcert=verify-full clientcert=verify-ca\n\
                 hostssl all b all md5 \"clientcert=verify-ca\" # b\n\
                 hostssl all c all \"md5\n\
                 hostssl all d all m\"d5\"\n",
            ),
        ],
    );
    let hba = |proof| {
        let wish = Wish {
            proof,
            ..wish(Stage::Mtls)
        };
        let files = after(&held, &wish).unwrap();
        let text = files[Path::new("/d/pg_hba.conf")].clone();
        let (_, lines) = text.split_once("replication all all reject\n").unwrap();
        lines.to_owned()
    };
    assert_eq!(
        hba(ClientProof::Beside),
        "hostssl all a all md5 clientcert=verify-full clientcert=verify-full\n\
         hostssl all b all md5 clientcert=verify-full # b\n\
         hostssl all c all \"md5\" clientcert=verify-full\n\
         hostssl all d all m\"d5\" clientcert=verify-full\n"
    );
    assert_eq!(
        hba(ClientProof::Alone),
        "hostssl all a all cert\nhostssl all b all cert # b\nhostssl all c all cert\nhostssl all d all cert\n"
    );
}
