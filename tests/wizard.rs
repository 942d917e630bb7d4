//! The wizard in a real terminal, on a real PostgreSQL.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use support::{Account, Job, Postgres, Project, Pty, pgtls_bin, psql, wait_for};

/// Enter, and nothing but Enter, from an empty directory: a database that is proven, as psql sees too.
#[test]
fn enter_alone_leads_to_a_verified_database() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    let path = format!("{}:/usr/bin:/bin", postgres.bin.display());
    let mut pty = Pty::pgtls(&[], &project.dir, (80, 24), &[("PATH", &path)]);
    for shown in [
        "no project yet",
        "Who has to prove who they are?",
        "Clients dial",
        "Who issues the certificates?",
        "Files: ",
        "PostgreSQL runs on port",
        "Verified: verify-full",
    ] {
        pty.expect(shown);
        pty.send("\r");
    }
    pty.expect("The same in one command");
    // OSC 52 puts the snippet on the clipboard of the terminal, in base64.
    pty.send("c");
    pty.expect("Copied");
    let bytes = pty.bytes();
    let sent = b"\x1b]52;c;";
    assert!(bytes.windows(sent.len()).any(|window| window == sent));
    let conninfo = fs::read_to_string(project.dir.join("clients/app/conninfo")).unwrap();
    let conninfo: Vec<_> = conninfo.lines().filter(|line| !line.starts_with('#')).collect();
    let says = psql(
        &conninfo.join(" "),
        "select ssl from pg_stat_ssl where pid = pg_backend_pid()",
    );
    assert_eq!(says.expect_ok("psql").stdout.trim(), "t");
    pty.send("\r");
    assert_eq!(pty.wait(), 0);
    // What it wrote last may still be on its way to the screen.
    wait_for("the terminal is given back", Duration::from_secs(20), || {
        (!pty.screen(vt100::Screen::alternate_screen)).then_some(())
    });
    // The shell's screen says what stays, and how to stop it.
    let left = pty.text();
    for says in [
        "Verified: verify-full",
        "and goes on running",
        "psql 'host=localhost",
        "pgtls down ",
    ] {
        assert!(left.contains(says), "{says:?} is not in\n{left}");
    }
    project.pgtls(&["down"]).run().expect_status(0);
}

/// Without a terminal there is no wizard, and it is said what there is instead.
#[test]
fn without_a_terminal_it_is_a_usage_error() {
    let outcome = support::pgtls([] as [&str; 0]).run().expect_status(2);
    assert!(outcome.stderr.contains("pgtls up"), "{}", outcome.stderr);
    assert_eq!(outcome.stdout, "");
}

/// What was reviewed is what is written, keys included; and the one command that is shown at the end gives the same
/// files elsewhere.
#[test]
fn what_was_reviewed_is_written_and_the_command_gives_the_same() {
    let project = Project::new(&Account::current());
    let other = Project::new(&Account::current());
    let mut pty = Pty::pgtls(&[], &project.dir, (240, 50), &[]);
    pty.expect("This directory    no project yet");
    // Only the files, mutual TLS with passwords, names and a role of their own, another key, a second client.
    pty.send("\x1b[B\r");
    pty.expect("Who has to prove who they are?");
    pty.send("\x1b[B\t\x1b[B\r");
    pty.expect("They come from");
    pty.send("\x1b[B\x1b[B\x1b[Bdb.example.org\t6543\tshop\tann\t\t\x1b[B\x1b[B10.0.0.0/8\r");
    pty.expect("Who issues the certificates?");
    pty.send("\t\x1b[B\t90\r");
    pty.expect("Files: ");
    pty.send("\x1b[B");
    pty.expect("ca/root.crt");
    pty.expect("SHA-256 ");
    let shown = fingerprint(&pty.text());
    pty.send("\r");
    pty.expect("The files are written");
    let said = Job::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(project.dir.join("ca/root.crt"))
        .run()
        .expect_ok("openssl");
    let written = said.stdout.trim().rsplit('=').next().unwrap().to_lowercase();
    assert!(
        shown.len() >= 8 && written.starts_with(&shown),
        "{shown} was reviewed, {written} written"
    );
    pty.send("\r");
    pty.expect("Your server is still to be set up");
    pty.send("\r");
    pty.expect("The same in one command");
    let command = after(&pty.text(), "The same in one command");
    for words in [
        "--mode mtls",
        "--auth scram+cert",
        "--host db.example.org",
        "--port 6543",
        "--days 90",
    ] {
        assert!(command.contains(words), "{words} is not in {command}");
    }
    // The same command, but for writing only: a shell reads it as a person's would.
    let script = format!(
        "pgtls() {{ shift; '{}' apply --yes \"$@\"; }}; {command}",
        pgtls_bin().display()
    );
    Job::new("sh")
        .args(["-c", &script])
        .dir(&other.dir)
        .run()
        .expect_ok(&command);
    let texts = |project: &Project| -> Vec<(String, String)> {
        let name = project.dir.display().to_string();
        let readable = |path: &Path| {
            let name = path.to_string_lossy();
            !name.ends_with(".crt") && !name.ends_with(".key") && !name.ends_with("passfile")
        };
        let files = project.files();
        files
            .iter()
            .filter(|(path, _)| readable(path))
            .map(|(path, (_, content))| {
                let text = String::from_utf8_lossy(content).replace(&name, "DIR");
                (path.display().to_string(), text)
            })
            .collect()
    };
    assert_eq!(texts(&project), texts(&other));
    let names = |project: &Project| project.files().into_keys().collect::<Vec<_>>();
    assert_eq!(names(&project), names(&other));
    pty.send("\r");
    assert_eq!(pty.wait(), 0);
}

/// The part of a certificate's fingerprint that stands on the screen, without colons' neighbours on other lines.
fn fingerprint(screen: &str) -> String {
    let (_, rest) = screen.split_once("SHA-256 ").unwrap();
    rest.chars()
        .take_while(|c| c.is_ascii_hexdigit() || *c == ':')
        .collect::<String>()
        .to_lowercase()
}

/// The lines below a heading, as one.
fn after(screen: &str, heading: &str) -> String {
    let mut lines = screen.lines().skip_while(|line| !line.contains(heading));
    let line = lines.next().unwrap();
    // The rail stands at the left of it, with signs of several bytes: columns are counted by characters.
    let column = line[..line.find(heading).unwrap()].chars().count();
    let below = lines.map(|line| line.chars().skip(column).collect::<String>().trim().to_owned());
    let block: Vec<_> = below.take_while(|line| !line.is_empty()).collect();
    block.join(" ")
}

/// To the end with only the files: the one command that does the same.
fn command_at_the_end(pty: &mut Pty) -> String {
    pty.expect("Files: ");
    pty.send("\r");
    pty.expect("The files are written");
    pty.send("\r");
    pty.expect("Your server is still to be set up");
    pty.send("\r");
    pty.expect("The same in one command");
    let command = after(&pty.text(), "The same in one command");
    pty.send("\r");
    assert_eq!(pty.wait(), 0);
    command
}

/// Client certificates with a map, by a CA of the person's own whose key is encrypted.
#[test]
fn ones_own_ca_and_clients_can_be_answered() {
    let project = Project::new(&Account::current());
    let ca = support::Ca::new("shop ca");
    let dir = support::scratch("held");
    let (passphrase, key) = (dir.join("passphrase"), dir.join("ca.key"));
    fs::write(&passphrase, "correct horse\n").unwrap();
    fs::set_permissions(&passphrase, fs::Permissions::from_mode(0o600)).unwrap();
    Job::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-passout"])
        .arg(format!("file:{}", passphrase.display()))
        .arg("-in")
        .arg(&ca.key)
        .arg("-out")
        .arg(&key)
        .run()
        .expect_ok("openssl pkcs8");
    let mut pty = Pty::pgtls(&[], &project.dir, (240, 50), &[]);
    pty.expect("This directory    no project yet");
    pty.send("\x1b[B\r");
    pty.expect("Who has to prove who they are?");
    pty.send("\x1b[B\r");
    pty.expect("They come from");
    pty.send("\t6543\tshop\tann\t\x1b[B\x1b[B10.0.0.0/8\r");
    pty.expect("Who issues the certificates?");
    pty.send("\x1b[B");
    pty.expect("CA certificate");
    pty.send(&format!(
        "\t{}\t{}\t{}\t\x1b[B\t90\t\x1b[Blaptop=ann\r",
        ca.cert.display(),
        key.display(),
        passphrase.display()
    ));
    let command = command_at_the_end(&mut pty);
    for words in [
        "--mode mtls".to_owned(),
        "--port 6543".to_owned(),
        "--database shop".to_owned(),
        "--user ann".to_owned(),
        "--allow 10.0.0.0/8".to_owned(),
        "--algorithm p384".to_owned(),
        "--days 90".to_owned(),
        "--client 'laptop=ann'".to_owned(),
        format!("--ca-cert {}", ca.cert.display()),
        format!("--ca-key {}", key.display()),
        format!("--passphrase-file {}", passphrase.display()),
    ] {
        assert!(command.contains(&words), "{words} is not in {command}");
    }
    for certificate in ["server/server.crt", "clients/laptop/client.crt"] {
        Job::new("openssl")
            .args(["verify", "-CAfile"])
            .arg(&ca.cert)
            .arg(project.dir.join(certificate))
            .run()
            .expect_ok(certificate);
    }
}

/// A certificate that the person was given, and a password of their own.
#[test]
fn a_given_certificate_and_password_can_be_answered() {
    let project = Project::new(&Account::current());
    let ca = support::Ca::new("their ca");
    let leaf = ca.server(&["localhost", "127.0.0.1", "::1"]);
    let password = support::scratch("held").join("password");
    fs::write(&password, "correct horse battery\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let mut pty = Pty::pgtls(&[], &project.dir, (240, 50), &[]);
    pty.expect("This directory    no project yet");
    pty.send("\x1b[B\r");
    pty.expect("Who has to prove who they are?");
    pty.send("\r");
    pty.expect("They come from");
    pty.send(&format!("\t\t\t\t{}\r", password.display()));
    pty.expect("Who issues the certificates?");
    pty.send("\x1b[B\x1b[B");
    pty.expect("Its root");
    pty.send(&format!(
        "\t{}\t{}\t{}\r",
        leaf.cert.display(),
        leaf.key.display(),
        ca.cert.display()
    ));
    let command = command_at_the_end(&mut pty);
    for (flag, file) in [
        ("--password-file", &password),
        ("--server-cert", &leaf.cert),
        ("--server-key", &leaf.key),
        ("--root", &ca.cert),
    ] {
        let words = format!("{flag} {}", file.display());
        assert!(command.contains(&words), "{words} is not in {command}");
    }
    assert_eq!(
        fs::read(project.dir.join("server/server.crt")).unwrap(),
        fs::read(&leaf.cert).unwrap()
    );
    let passfile = fs::read_to_string(project.dir.join("clients/app/passfile")).unwrap();
    assert!(
        passfile.contains("correct horse battery"),
        "the password is not the one given"
    );
}

/// Which PostgreSQL, where it runs here: seen in the answers that would be saved.
#[test]
fn version_and_programs_can_be_answered() {
    let Some(postgres) = Postgres::any() else { return };
    let project = Project::new(&Account::current());
    let mut pty = Pty::pgtls(&[], &project.dir, (240, 50), &[]);
    pty.expect("This directory    no project yet");
    pty.send(&format!("\t{}\t{}\r", postgres.major, postgres.bin.display()));
    pty.expect("Who has to prove who they are?");
    pty.send("\r");
    pty.expect("They come from");
    pty.send("\r");
    pty.expect("Who issues the certificates?");
    pty.send("\t\t\t800\r");
    pty.expect("Files: ");
    pty.expect(&format!("pg-version = {}", postgres.major));
    pty.expect(&format!("pg-bin = \"{}\"", postgres.bin.display()));
    pty.expect("ca-days = 800");
    pty.send("\x03");
    assert_eq!(pty.wait(), 0);
}
