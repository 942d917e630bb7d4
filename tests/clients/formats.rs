//! The key formats, read by those they are for: `openssl` and Java's `keytool`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Account, Job, Outcome, Postgres, Project, scratch, skip};

const FORMATS: [(&str, &str); 4] = [
    ("pk8", "client.pk8"),
    ("p12", "client.p12"),
    ("p12-legacy", "client-legacy.p12"),
    ("truststore", "truststore.p12"),
];

fn project(mode: &str, algorithm: &str) -> (Project, PathBuf) {
    let project = Project::named(&Account::ordinary(), "key formats");
    let apply = [
        "apply",
        "--mode",
        mode,
        "--run",
        "none",
        "--yes",
        "--algorithm",
        algorithm,
    ];
    project.pgtls(&apply).run().expect_status(0);
    let kit = project.dir.join("clients/app");
    (project, kit)
}

fn make(project: &Project) -> Outcome {
    let all = FORMATS.map(|(name, _)| ["--format", name]).concat();
    project.pgtls(&["connect"]).args(all).run()
}

fn openssl(kit: &Path, args: &[&str]) -> Outcome {
    Job::new("openssl").args(args).dir(kit).run()
}

fn keytool(kit: &Path, store: &str) -> Outcome {
    Job::new("keytool")
        .args([
            "-J-XX:TieredStopAtLevel=1",
            "-list",
            "-v",
            "-storetype",
            "PKCS12",
            "-keystore",
            store,
        ])
        .args(["-storepass:file", "p12.password"])
        .dir(kit)
        .run()
}

/// Every format holds the kit's own key and certificate, opens with the password in its file alone, and is private.
fn every_format_is_read(algorithm: &str) {
    let (project, kit) = project("mtls", algorithm);
    let printed = make(&project).expect_status(0);
    let paths: Vec<_> = FORMATS
        .iter()
        .map(|(_, file)| kit.join(file).display().to_string())
        .collect();
    assert_eq!(printed.stdout.lines().collect::<Vec<_>>(), paths);
    for (_, file) in FORMATS.iter().chain(&[("", "p12.password")]) {
        let mode = fs::metadata(kit.join(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{file}");
    }
    let password = fs::read_to_string(kit.join("p12.password")).unwrap();
    assert!(password.trim_end().len() >= 20 && !printed.stdout.contains(password.trim_end()));
    assert!(!printed.stderr.contains(password.trim_end()));

    let public = openssl(&kit, &["pkey", "-in", "client.key", "-pubout"])
        .expect_ok("client.key")
        .stdout;
    let own = openssl(&kit, &["pkey", "-inform", "DER", "-in", "client.pk8", "-pubout"]);
    assert_eq!(own.expect_ok("client.pk8").stdout, public);
    let certificate = openssl(&kit, &["x509", "-in", "client.crt"])
        .expect_ok("client.crt")
        .stdout;
    for (file, words) in [
        ("client.p12", ["sha256", "PBES2, PBKDF2, AES-256-CBC"]),
        ("client-legacy.p12", ["sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"]),
    ] {
        let all = ["pkcs12", "-in", file, "-passin", "file:p12.password", "-noenc"];
        let info = openssl(&kit, &[&all[..], &["-info"]].concat()).expect_ok(file);
        assert!(
            words.iter().all(|word| info.stderr.contains(word)),
            "{file}: {}",
            info.stderr
        );
        assert!(
            info.stdout.contains("friendlyName: user"),
            "{file}: {}",
            info.stdout
        );
        let key = openssl(&kit, &[&all[..], &["-nocerts", "-out", "copy.key"]].concat());
        key.expect_ok(file);
        let own = openssl(&kit, &["pkey", "-in", "copy.key", "-pubout"])
            .expect_ok(file)
            .stdout;
        assert_eq!(own, public, "{file}");
        let own = openssl(&kit, &[&all[..], &["-nokeys"]].concat())
            .expect_ok(file)
            .stdout;
        assert!(own.contains(certificate.trim()), "{file}: {own}");
        let wrong = openssl(&kit, &["pkcs12", "-in", file, "-passin", "pass:wrong", "-noenc"]);
        assert!(
            !wrong.ok && wrong.stderr.contains("Mac verify error"),
            "{file}: {}",
            wrong.stderr
        );
        let java = keytool(&kit, file).expect_ok(file).stdout;
        assert!(
            java.contains("Alias name: user") && java.contains("PrivateKeyEntry"),
            "{java}"
        );
    }
    let java = keytool(&kit, "truststore.p12").expect_ok("truststore").stdout;
    assert!(
        java.contains("Alias name: root") && java.contains("trustedCertEntry"),
        "{java}"
    );
}

#[test]
fn every_format_of_an_ec_key_is_read_by_openssl_and_keytool() {
    every_format_is_read("p256");
}

#[test]
fn every_format_of_an_rsa_key_is_read_by_openssl_and_keytool() {
    every_format_is_read("rsa2048");
}

/// The files stay the same until the key changes; then they follow it, and the password stays.
#[test]
fn formats_are_kept_until_the_key_changes() {
    let (project, kit) = project("mtls", "p256");
    make(&project).expect_status(0);
    let before = project.files();
    make(&project).expect_status(0);
    project.pgtls(&["apply", "--yes"]).run().expect_status(0);
    assert!(project.files() == before, "nothing had changed");
    let ignored = fs::read_to_string(project.dir.join(".gitignore")).unwrap();
    for pattern in ["/clients/*/*.p12", "/clients/*/*.pk8", "/clients/*/p12.password"] {
        assert!(
            ignored.lines().any(|line| line == pattern),
            "{pattern} is not in .gitignore"
        );
    }
    project.pgtls(&["renew", "--yes"]).run().expect_status(0);
    let after = project.files();
    for file in ["client.key", "client.pk8", "client.p12", "client-legacy.p12"] {
        let path = Path::new("clients/app").join(file);
        assert_ne!(before[&path], after[&path], "{file} is that of the old key");
    }
    let password = Path::new("clients/app/p12.password");
    assert_eq!(before[password], after[password]);
    let key = openssl(&kit, &["pkey", "-in", "client.key", "-pubout"]).stdout;
    let own = openssl(&kit, &["pkey", "-inform", "DER", "-in", "client.pk8", "-pubout"]).stdout;
    assert_eq!(own, key);
}

/// What somebody put there is not replaced without being asked, and then a copy is kept; undo brings it back.
#[test]
fn a_file_that_is_somebodys_is_not_lost() {
    let (project, kit) = project("mtls", "p256");
    let theirs = kit.join("client.pk8");
    fs::write(&theirs, "theirs").unwrap();
    project.account.own(&theirs);
    let refused = project.pgtls(&["connect", "jdbc"]).run();
    assert!(!refused.ok && refused.stdout.is_empty(), "{}", refused.stdout);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    let replaced = project
        .pgtls(&["connect", "jdbc", "--yes"])
        .run()
        .expect_status(0);
    let copy = replaced
        .stderr
        .lines()
        .find_map(|line| line.split_once("kept a copy of what was there before: "));
    let copy = project.dir.join(copy.unwrap().1.trim_end());
    assert_eq!(fs::read_to_string(copy).unwrap(), "theirs");
    project.pgtls(&["undo"]).run().expect_status(0);
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
}

#[test]
fn what_does_not_fit_is_refused_with_what_does() {
    let (project, kit) = project("one-way", "p256");
    let refused = project
        .pgtls(&["connect", "--format", "p12"])
        .run()
        .expect_status(2);
    assert!(refused.stderr.contains("one-way"), "{}", refused.stderr);
    let refused = project
        .pgtls(&["connect", "--format", "jks"])
        .run()
        .expect_status(2);
    assert!(refused.stderr.contains("p12-legacy"), "{}", refused.stderr);
    let refused = project.pgtls(&["connect", "pyscopg"]).run().expect_status(2);
    assert!(
        refused.stderr.contains("did you mean psycopg?"),
        "{}",
        refused.stderr
    );
    project
        .pgtls(&["connect", "--format", "truststore"])
        .run()
        .expect_status(0);
    assert!(kit.join("truststore.p12").exists());
}

/// pgjdbc logs in with either PKCS#12 file: the alias is the one that it looks for.
#[test]
fn pgjdbc_logs_in_with_pkcs12() {
    let Some(postgres) = Postgres::any() else { return };
    if !Path::new("/usr/share/java/postgresql.jar").exists() {
        return skip("no pgjdbc here: tests/run installs it", true);
    }
    let project = Project::named(&Account::ordinary(), "pkcs12");
    project.up("mtls", &postgres).run().expect_status(0);
    let snippet = project.pgtls(&["connect", "jdbc"]).run().expect_status(0).stdout;
    make(&project).expect_status(0);
    let password = fs::read_to_string(project.dir.join("clients/app/p12.password")).unwrap();
    for file in ["client.p12", "client-legacy.p12"] {
        let key = "properties.setProperty(\"sslkey\", ";
        let (before, after) = snippet.split_once(key).unwrap();
        let program = format!(
            "{before}properties.setProperty(\"sslpassword\", \"{}\");\n{key}{}",
            password.trim_end(),
            after.replacen("client.pk8", file, 1)
        );
        let path = scratch("pkcs12").join("Connect.java");
        fs::write(&path, program).unwrap();
        let outcome = Job::new("java")
            .args(["-XX:TieredStopAtLevel=1", "-cp", "/usr/share/java/postgresql.jar"])
            .arg(&path)
            .account(&project.account)
            .run();
        assert_eq!(outcome.expect_ok(file).stdout, "true\n", "{file}");
    }
}
