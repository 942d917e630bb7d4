//! The sandbox, against real PostgreSQL: as root (the server under another account, files mirrored) and as an
//! ordinary user (this same program run again as `nobody`).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::future::Future;
use std::net::{Ipv6Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use pgtls::server::{
    Binaries, Event, Places, Running, Sandbox, Server, ServerError, Status, Wanted, free_port, port_taken_by,
};
use tempfile::TempDir;

/// Counts the projects of this process, for their ports.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A project with files made by `openssl`, in a directory of its own; its server ends with it.
struct Project {
    temp: TempDir,
    dir: PathBuf,
    places: Places,
    port: u16,
}

impl Project {
    fn new() -> Self {
        Self::named("project")
    }

    fn named(name: &str) -> Self {
        // Straight below /tmp: short enough for a socket, and reachable by the server's account.
        let temp = tempfile::Builder::new()
            .prefix("pgtls-")
            .tempdir_in("/tmp")
            .unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let root = temp.path().canonicalize().unwrap();
        let dir = root.join(name);
        fs::create_dir_all(dir.join("server")).unwrap();
        // A project is private to its person: the server's account must not need to reach it.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).unwrap();
        let places = Places {
            system: root.join("lib"),
            state: Some(root.join("state")),
            runtime: None,
            cache: Some(root.join("cache")),
        };
        // Tests run side by side: each looks in a range of its own.
        let mine = 10 * NEXT.fetch_add(1, Ordering::Relaxed)
            + 200 * u16::try_from(std::process::id() % 100).unwrap();
        let port = free_port(10_000 + mine).unwrap().port;
        let this = Self {
            temp,
            dir,
            places,
            port,
        };
        this.issue("server.crt", "server.key");
        this.write(
            "pg_hba.conf",
            "local all all trust\nhostssl all all all scram-sha-256\n",
        );
        this.configure("");
        this
    }

    fn issue(&self, certificate: &str, key: &str) {
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ])
            .args([
                "-subj",
                "/CN=localhost",
                "-days",
                "2",
                "-keyout",
                key,
                "-out",
                certificate,
            ])
            .current_dir(self.dir.join("server"))
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        self.mode(key, 0o600);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.join("server").join(name), text).unwrap();
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(
            self.dir.join("server").join(name),
            fs::Permissions::from_mode(mode),
        )
        .unwrap();
    }

    fn configure(&self, more: &str) {
        let port = self.port;
        self.write(
            "postgresql.conf",
            &format!(
                "include '../.pgtls/data/postgresql.conf'\nport = {port}\nlisten_addresses = '127.0.0.1,::1'\n\
                 ssl = on\nssl_cert_file = '../../server/server.crt'\n\
                 ssl_key_file = '../../server/server.key'\n{more}"
            ),
        );
    }

    fn sandbox(&self) -> Sandbox {
        Sandbox::locate(&self.dir, &self.places).unwrap()
    }

    async fn start(&self) -> Result<Running, ServerError> {
        let (sandbox, binaries) = (self.sandbox(), binaries().await);
        let cluster = sandbox.init(&binaries, &quiet).await?;
        sandbox.start(cluster, &binaries, &quiet).await
    }

    /// Starts it expecting a refusal; gives its slug.
    async fn refusal(&self) -> &'static str {
        let error = self.start().await.expect_err("it starts");
        assert!(!error.lines().is_empty(), "the server's own lines: {error}");
        assert!(!error.remedy().is_empty());
        assert!(!error.to_string().contains("os error"), "{error}");
        assert_eq!(processes(&self.sandbox().data_dir()), 0);
        error
            .diagnosis()
            .unwrap_or_else(|| panic!("no diagnosis of {:#?}", error.lines()))
            .slug
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        let Ok(sandbox) = Sandbox::locate(&self.dir, &self.places) else {
            return;
        };
        let data = sandbox.data_dir();
        for pid in pids(&data) {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
        }
        until(|| processes(&data) == 0);
        let _ = self.temp.path();
    }
}

async fn binaries() -> Binaries {
    Binaries::find(Wanted::default(), &Places::of_this_machine())
        .await
        .unwrap()
}

fn quiet(_: Event) {}

/// Processes at work in a data directory: the server and its children.
fn pids(data: &Path) -> Vec<u32> {
    let Ok(there) = fs::metadata(data) else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            fs::metadata(format!("/proc/{pid}/cwd"))
                .is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (there.dev(), there.ino()))
        })
        .collect()
}

fn processes(data: &Path) -> usize {
    pids(data).len()
}

fn until(holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it did not come to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// psql as the witness, over the socket as the superuser.
fn psql(server: &Server, sql: &str) -> String {
    let out = Command::new("psql")
        .args([
            "-X",
            "-A",
            "-t",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-c",
            sql,
            "-p",
            &server.port.to_string(),
        ])
        .arg("-h")
        .arg(&server.socket_dir)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim().to_owned()
}

/// The certificate that is served now, by openssl, as a fingerprint.
fn served(port: u16) -> String {
    let script = format!(
        "openssl s_client -connect 127.0.0.1:{port} -starttls postgres </dev/null 2>/dev/null | openssl x509 -noout -fingerprint"
    );
    String::from_utf8_lossy(&Command::new("sh").args(["-c", &script]).output().unwrap().stdout).into_owned()
}

#[tokio::test]
async fn starts_reloads_stops_and_starts_again() {
    let project = Project::new();
    let sandbox = project.sandbox();
    assert_eq!(sandbox.status(), Status::Empty);
    assert!(matches!(
        sandbox.reload(&quiet).await,
        Err(ServerError::NotRunning { .. })
    ));
    assert_eq!(sandbox.stop(&quiet).await.unwrap(), None);

    let told = Mutex::new(Vec::new());
    let tell = |event| told.lock().unwrap().push(event);
    let binaries = binaries().await;
    let cluster = sandbox.init(&binaries, &tell).await.unwrap();
    assert!(cluster.created);
    let running = sandbox.start(cluster, &binaries, &tell).await.unwrap();
    assert!(
        matches!(sandbox.status(), Status::Leftover(_)),
        "nobody answers for it yet"
    );
    let server = running.keep().unwrap();
    assert_eq!(sandbox.status(), Status::Running(server.clone()));
    assert_eq!(server.port, project.port);
    assert!(told.lock().unwrap().contains(&Event::Ready));
    assert!(
        told.lock()
            .unwrap()
            .iter()
            .any(|event| matches!(event, Event::Log(line) if line.contains("ready to accept")))
    );

    safe_to_rely_on(&server);
    reloads(&project, &sandbox, &server).await;
    let server = stops_and_starts(&project, &sandbox, &binaries, &server).await;
    recovers(&project, &sandbox, &server).await;

    sandbox.stop(&quiet).await.unwrap();
    let gone = sandbox.delete().unwrap();
    assert!(
        !gone.is_empty() && gone.iter().all(|path| !path.exists()),
        "{gone:?}"
    );
    assert_eq!(sandbox.status(), Status::Empty);
    assert_eq!(sandbox.delete().unwrap(), Vec::<PathBuf>::new());
}

/// Durable, in UTF-8, closed to others, and in a session of its own: the end of ours is not its end.
fn safe_to_rely_on(server: &Server) {
    assert_eq!(psql(server, "show ssl"), "on");
    for setting in [
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "data_checksums",
    ] {
        assert_eq!(psql(server, &format!("show {setting}")), "on", "{setting}");
    }
    assert_eq!(psql(server, "show server_encoding"), "UTF8");
    assert_eq!(psql(server, "select lower('Ä')"), "ä");
    let sockets = fs::metadata(&server.socket_dir).unwrap();
    assert_eq!(sockets.mode() & 0o777, 0o700);
    assert_ne!(sockets.uid(), 0);
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid)).unwrap();
    let session = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .to_owned();
    assert_eq!(session, server.pid.to_string());
}

/// A new certificate is served after a reload; a bad one is complained about, and the old one stays.
async fn reloads(project: &Project, sandbox: &Sandbox, server: &Server) {
    let before = served(server.port);
    project.issue("server.crt", "server.key");
    let reload = sandbox.reload(&quiet).await.unwrap();
    assert!(reload.complaints.is_empty(), "{:?}", reload.lines);
    let after = served(server.port);
    assert!(
        after.contains("Fingerprint") && after != before,
        "{before} {after}"
    );
    project.issue("other.crt", "server.key");
    let reload = sandbox.reload(&quiet).await.unwrap();
    assert!(
        reload
            .complaints
            .iter()
            .any(|found| found.slug == "pair-mismatch"),
        "{:?}",
        reload.lines
    );
    assert_eq!(served(server.port), after);
    fs::rename(
        project.dir.join("server/other.crt"),
        project.dir.join("server/server.crt"),
    )
    .unwrap();
    project.write("pg_hba.conf", "local all all trust\nhost all all all cert\n");
    let reload = sandbox.reload(&quiet).await.unwrap();
    assert!(
        reload
            .complaints
            .iter()
            .any(|found| found.slug == "hba-cert-on-host"),
        "{:?}",
        reload.lines
    );
    project.write("pg_hba.conf", "local all all trust\n");
    assert!(sandbox.reload(&quiet).await.unwrap().complaints.is_empty());

    project.configure("hba_file = '../../server/pg_hba.conf'\n");
    assert!(
        sandbox.reload(&quiet).await.unwrap().complaints.is_empty(),
        "ours is given when it starts"
    );
    project.configure("no_such_setting = 1\n");
    let reload = sandbox.reload(&quiet).await.unwrap();
    assert!(
        reload
            .complaints
            .iter()
            .any(|found| found.slug == "setting-unknown"),
        "{:?}",
        reload.lines
    );
    project.configure("");
}

/// Twice is refused, data in use is not deleted, and what was written is there after a restart.
async fn stops_and_starts(
    project: &Project,
    sandbox: &Sandbox,
    binaries: &Binaries,
    server: &Server,
) -> Server {
    assert!(matches!(
        project.start().await,
        Err(ServerError::AlreadyRunning { .. })
    ));
    assert!(matches!(
        sandbox.delete(),
        Err(ServerError::AlreadyRunning { .. })
    ));
    psql(server, "create table kept (x int)");
    assert_eq!(sandbox.stop(&quiet).await.unwrap(), Some(server.clone()));
    assert_eq!(processes(&sandbox.data_dir()), 0);
    assert_eq!(sandbox.status(), Status::Stopped);
    let cluster = sandbox.init(binaries, &quiet).await.unwrap();
    assert!(!cluster.created);
    let server = sandbox
        .start(cluster, binaries, &quiet)
        .await
        .unwrap()
        .keep()
        .unwrap();
    assert_eq!(psql(&server, "select count(*) from kept"), "0");
    server
}

/// After a crash it recovers, whoever has the process number in the stale file now.
async fn recovers(project: &Project, sandbox: &Sandbox, server: &Server) {
    for pid in pids(&sandbox.data_dir()) {
        let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    until(|| processes(&sandbox.data_dir()) == 0);
    assert_eq!(sandbox.status(), Status::Stopped);
    let stale = sandbox.data_dir().join("postmaster.pid");
    let text = fs::read_to_string(&stale).unwrap();
    fs::write(
        &stale,
        text.replacen(&server.pid.to_string(), &std::process::id().to_string(), 1),
    )
    .unwrap();
    assert_eq!(sandbox.status(), Status::Stopped);
    let server = project.start().await.unwrap().keep().unwrap();
    assert_eq!(psql(&server, "select count(*) from kept"), "0");
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_named() {
    let project = Project::new();
    fs::copy(
        project.dir.join("server/server.key"),
        project.dir.join("server/open.pem"),
    )
    .unwrap();
    project.mode("open.pem", 0o644);
    project.configure("ssl_key_file = '../../server/open.pem'\n");
    assert_eq!(project.refusal().await, "key-mode");
    for (more, slug) in [
        ("ssl_cert_file = '../../server/absent.crt'", "certificate-missing"),
        ("ssl_key_file = '../../server/absent.key'", "key-missing"),
        ("ssl_key_file = '../../server'", "key-not-regular"),
        ("ssl_ca_file = '../../server/absent.crt'", "ca-missing"),
        ("ssl_cert_file = '../../server/pg_hba.conf'", "certificate-bad"),
        (
            "ssl_min_protocol_version = 'TLSv1.3'\nssl_max_protocol_version = 'TLSv1.2'",
            "tls-range",
        ),
        ("ssl_ecdh_curve = 'nonsense'", "tls-curve"),
        ("ssl_ciphers = 'NOPE'", "tls-ciphers"),
        ("no_such_setting = 1", "setting-unknown"),
        ("port = 70000", "setting-bad"),
        ("port = = 1", "setting-bad"),
    ] {
        project.configure(&format!("{more}\n"));
        assert_eq!(project.refusal().await, slug, "{more}");
    }
    project.configure("");
    project.write("pg_hba.conf", "hostssl all all all cert clientcert=1\n");
    assert_eq!(project.refusal().await, "hba-clientcert");
    project.write("pg_hba.conf", "hostsll all all all cert\n");
    assert_eq!(project.refusal().await, "hba-bad");
    project.write("pg_hba.conf", "local all all trust\n");
    fs::remove_file(project.dir.join("server/pg_hba.conf")).unwrap();
    assert_eq!(project.refusal().await, "hba-unreadable");
    project.write("pg_hba.conf", "local all all trust\n");
    project.issue("server.crt", "other.key");
    assert_eq!(project.refusal().await, "pair-mismatch");
    fs::remove_file(project.dir.join("server/postgresql.conf")).unwrap();
    assert_eq!(project.refusal().await, "config-missing");
    // And the same data starts once all is well: nothing of it was harmed.
    project.configure("");
    project.issue("server.crt", "server.key");
    drop(project.start().await.unwrap());
}

#[tokio::test]
async fn a_port_taken_on_one_address_is_a_port_taken() {
    let project = Project::new();
    let one = TcpListener::bind((Ipv6Addr::LOCALHOST, project.port)).unwrap();
    assert!(port_taken_by(project.port).unwrap().contains("::1"));
    assert_eq!(
        project.refusal().await,
        "port-taken",
        "127.0.0.1 alone would do for PostgreSQL"
    );
    let other = TcpListener::bind(("127.0.0.1", project.port)).unwrap();
    assert_eq!(project.refusal().await, "port-taken");
    drop((one, other));
    let running = project.start().await.unwrap();
    assert!(port_taken_by(project.port).is_some());
    drop(running);
    assert_eq!(port_taken_by(project.port), None);
}

#[tokio::test]
async fn dropped_at_any_moment_it_leaves_nothing_running() {
    let project = Project::new();
    let sandbox = project.sandbox();
    let data = sandbox.data_dir();
    // initdb and its children, at several moments.
    for pause in [0, 5, 30, 150] {
        assert!(!ended_within(project.start(), Duration::from_millis(pause)).await);
        until(|| !busy(&data));
        assert_eq!(sandbox.status(), Status::Empty, "after {pause} ms");
    }
    let binaries = binaries().await;
    let cluster = sandbox.init(&binaries, &quiet).await.unwrap();
    sandbox.settle(cluster).await.unwrap();
    assert_eq!(sandbox.status(), Status::Stopped);
    for pause in [0, 1, 3, 6, 10, 15, 25] {
        ended_within(project.start(), Duration::from_millis(pause)).await;
        assert_eq!(processes(&data), 0, "after {pause} ms");
        assert_eq!(sandbox.status(), Status::Stopped);
    }
    // Ready, but nobody answered for it.
    drop(project.start().await.unwrap());
    assert_eq!(processes(&data), 0);
    drop(project.start().await.unwrap());
}

/// Whether the future was done in time; it is dropped in either case, and what it gave too.
async fn ended_within<T>(future: impl Future<Output = T>, limit: Duration) -> bool {
    tokio::time::timeout(limit, future).await.is_ok()
}

/// Whether any process names the data directory in its arguments.
fn busy(data: &Path) -> bool {
    let data = data.to_str().unwrap();
    fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(data))
    })
}

#[tokio::test]
async fn what_an_interrupted_run_left_is_cleared() {
    let project = Project::new();
    let sandbox = project.sandbox();
    // Killed between start and answer: the server lives on, and its mark.
    let server = project.start().await.unwrap().keep().unwrap();
    let inner = sandbox.data_dir().parent().unwrap().to_owned();
    fs::write(inner.join("starting"), "1\n").unwrap();
    assert_eq!(sandbox.status(), Status::Leftover(server.clone()));
    let told = Mutex::new(Vec::new());
    let running = {
        let binaries = binaries().await;
        let tell = |event| told.lock().unwrap().push(event);
        let cluster = sandbox.init(&binaries, &tell).await.unwrap();
        assert!(!cluster.created);
        sandbox.start(cluster, &binaries, &tell).await.unwrap()
    };
    assert!(
        told.lock()
            .unwrap()
            .contains(&Event::StoppedLeftover { pid: server.pid })
    );
    assert_ne!(running.server().pid, server.pid);
    drop(running);
    // Killed before the data was on the disk: the mark is missing, and it is made anew.
    fs::remove_file(inner.join("initialized")).unwrap();
    assert_eq!(sandbox.status(), Status::Empty);
    let cluster = sandbox.init(&binaries().await, &quiet).await.unwrap();
    assert!(cluster.created);
    sandbox.settle(cluster).await.unwrap();
}

#[tokio::test]
async fn two_at_once_and_a_path_too_long_for_a_socket() {
    let (one, two) = (
        Project::new(),
        Project::named(&"deep directory, with \"quotes\"/".repeat(4)),
    );
    let (first, second) = tokio::join!(one.start(), two.start());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first.server().port, second.server().port);
    for running in [&first, &second] {
        assert_eq!(psql(running.server(), "select 1"), "1");
    }
    if !is_root() {
        assert!(
            two.sandbox()
                .notice()
                .unwrap()
                .contains("too long for a Unix socket")
        );
        assert!(one.sandbox().notice().is_none());
        assert!(
            second
                .server()
                .socket_dir
                .starts_with(two.temp.path().canonicalize().unwrap().join("state"))
        );
    }
}

#[tokio::test]
async fn copies_for_another_account_are_exact_and_closed() {
    if !is_root() {
        return;
    }
    let project = Project::new();
    let running = project.start().await.unwrap();
    let sandbox = project.sandbox();
    let account = sandbox.account().unwrap().clone();
    assert_eq!(psql(running.server(), "select 1"), "1");
    assert_eq!(
        fs::metadata(format!("/proc/{}", running.server().pid))
            .unwrap()
            .uid(),
        account.uid
    );
    let copies = sandbox.server_dir();
    assert!(!copies.starts_with(&project.dir));
    let dir = fs::metadata(&copies).unwrap();
    assert_eq!(
        (dir.uid(), dir.gid(), dir.mode() & 0o777),
        (0, account.gid, 0o750)
    );
    let key = fs::metadata(copies.join("server.key")).unwrap();
    assert_eq!((key.uid(), key.mode() & 0o777), (account.uid, 0o600));
    // What is gone from the project goes from the copies; nothing else may lie there.
    project.write("extra.conf", "");
    sandbox.copy_files().unwrap();
    assert!(copies.join("extra.conf").exists());
    fs::remove_file(project.dir.join("server/extra.conf")).unwrap();
    sandbox.copy_files().unwrap();
    assert!(!copies.join("extra.conf").exists());
    // A link in a person's directory would have root read any file for the server's account.
    std::os::unix::fs::symlink("/etc/shadow", project.dir.join("server/root.crt")).unwrap();
    let error = sandbox.copy_files().unwrap_err().to_string();
    assert!(error.contains("server/root.crt"), "{error}");
    assert!(!copies.join("root.crt").exists());
}

#[tokio::test]
async fn binaries_that_will_not_do_are_named() {
    let places = Places::of_this_machine();
    let temp = tempfile::tempdir_in("/tmp").unwrap();
    fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let find = async |dir: &Path, version| {
        Binaries::find(
            Wanted {
                dir: Some(dir),
                version,
            },
            &places,
        )
        .await
    };
    let real = binaries().await;
    assert_eq!(find(&real.dir, None).await.unwrap().version, real.version);
    assert!(matches!(
        find(&real.dir, Some(9)).await,
        Err(ServerError::NoSuchVersion { wanted: 9, .. })
    ));
    assert!(matches!(
        find(temp.path(), None).await,
        Err(ServerError::Unfit { .. })
    ));
    assert!(matches!(
        find(Path::new("/nowhere"), None).await,
        Err(ServerError::Unfit { .. })
    ));
    let script = |name: &str, text: &str| {
        fs::write(temp.path().join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(temp.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("initdb", "");
    for (text, expected) in [
        ("exit 3", "does not run"),
        ("echo nonsense", "nothing we understand"),
        (
            "echo 'cannot open libx\u{202e}.so' >&2; exit 127",
            "cannot open libx\\u{202e}.so",
        ),
        (
            "test \"$1\" = -C || echo 'postgres (PostgreSQL) 17.1'",
            "built without TLS",
        ),
    ] {
        script("postgres", text);
        let error = find(temp.path(), None).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// Its data goes with a project that is moved, wherever it lies; a copy has none.
#[tokio::test]
async fn a_project_that_is_moved_keeps_its_data() {
    let mut project = Project::named("here");
    let running = project.start().await.unwrap();
    psql(running.server(), "create table kept()");
    running.keep().unwrap();
    project.sandbox().stop(&quiet).await.unwrap();
    let before = project.dir.clone();
    project.dir = before.with_file_name("there");
    fs::rename(&before, &project.dir).unwrap();
    if is_root() {
        let notice = project.sandbox().notice().unwrap().to_owned();
        assert!(notice.contains(before.to_str().unwrap()), "{notice}");
    }
    let running = project.start().await.unwrap();
    psql(running.server(), "select from kept");
    running.keep().unwrap();
    // Also while it runs.
    let running = project.dir.clone();
    project.dir = before.with_file_name("elsewhere");
    fs::rename(&running, &project.dir).unwrap();
    if is_root() {
        assert!(matches!(project.sandbox().status(), Status::Running(_)));
        project.sandbox().reload(&quiet).await.unwrap();
    }
    let copy = before.with_file_name("copy");
    let copied = Command::new("cp").arg("-a").args([&project.dir, &copy]).status();
    assert!(copied.unwrap().success());
    let of_copy = Sandbox::locate(&copy, &project.places).unwrap();
    assert_ne!(of_copy.data_dir(), project.sandbox().data_dir());
    if is_root() {
        assert_eq!(of_copy.volumes(), Vec::<PathBuf>::new());
    }
    fs::remove_dir_all(&copy).unwrap();
    project.sandbox().stop(&quiet).await.unwrap();
    let deleted = project.sandbox().delete().unwrap();
    assert!(!deleted.is_empty() && project.sandbox().volumes().is_empty());
    assert!(!project.dir.join(".pgtls/home").exists());
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Everything above once more as an ordinary user.
#[test]
fn all_of_it_as_an_ordinary_user() {
    if !is_root() {
        return;
    }
    let home = tempfile::Builder::new()
        .prefix("pgtls-")
        .tempdir_in("/tmp")
        .unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    // The program may lie where only root can go. It is copied by another process: a descriptor of this one that writes to
    // it, inherited for a moment by a child that another thread starts, would make it "text file busy".
    let program = home.path().join("tests");
    let copied = Command::new("cp")
        .arg(std::env::current_exe().unwrap())
        .arg(&program)
        .status()
        .unwrap();
    assert!(copied.success());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let out = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&program)
        .env("HOME", home.path())
        .current_dir("/")
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
}
