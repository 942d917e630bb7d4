//! Where the files of a case lie on this machine, and the server over them.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use super::case::{Case, Content, File, Layout};
use super::support::{Account, Job, Postgres, TestServer, free_port, scratch, template, tmp};
use super::witness::own;

/// Who lives on every server. The password of all is `secret`.
const CAST: &str = "
set password_encryption = 'scram-sha-256';
alter role postgres password 'secret';
create role dba superuser login password 'secret';
create role app login password 'secret';
create role report login password 'secret';
create role legacy login password 'secret';
create role batch login password 'secret';
create role monitor login password 'secret';
create role replicator login replication password 'secret';
create role \"odd, name\" login password 'secret';
create role \"all\" login password 'secret';
create role readers;
create role alice login password 'secret' in role readers;
create role bob login password 'secret';
create role bare login;
create role \"Mixed Case\" login password 'secret';
create role \"a/b\" login password 'secret';
create role \"x'y\" login password 'secret' in role readers;
create role \"k\u{e4}se\" login password 'secret';
create role \"\"\"quoted\"\"\" login password 'secret';
set password_encryption = 'md5';
create role ancient login password 'secret';
create database shop;
create database readers;
create database app;
create database \"my db\";
create database \"all\";
";

/// A cluster with the cast in it, made once for each version.
fn cast(postgres: &Postgres) -> PathBuf {
    type Casts = Mutex<HashMap<u16, Arc<OnceLock<PathBuf>>>>;
    static CASTS: OnceLock<Casts> = OnceLock::new();
    let casts = CASTS.get_or_init(Casts::default);
    let own = Arc::clone(casts.lock().unwrap().entry(postgres.major).or_default());
    own.get_or_init(|| {
        let dir = tmp().join(format!("cast-{}", postgres.major));
        copy(&template(postgres), &dir);
        let script = CAST.replace(";\n", ";\n\n");
        // One transaction a statement: `create database` wants none around it.
        let outcome = Job::new("sh")
            .arg("-c")
            .arg("printf '%s' \"$1\" | \"$2\" --single -j -c fsync=off -D \"$3\" postgres")
            .args(["sh", &script])
            .arg(postgres.bin.join("postgres"))
            .arg(&dir)
            .account(&Account::server())
            .run()
            .expect_ok("postgres --single");
        assert!(!outcome.stderr.contains("ERROR"), "{}", outcome.stderr);
        dir
    })
    .clone()
}

fn copy(from: &Path, to: &Path) {
    Job::new("cp").arg("-a").arg(from).arg(to).run().expect_ok("cp");
}

/// The directories of a server, and its port.
pub struct Site {
    pub etc: PathBuf,
    root: PathBuf,
    data: PathBuf,
    port: u16,
    places: Vec<(&'static str, String)>,
}

impl Site {
    /// Puts the files of the case in place.
    pub fn new(case: &Case, postgres: &Postgres) -> Self {
        let root = scratch("corpus");
        Account::server().own(&root);
        let version = postgres.major;
        let (data, etc) = match case.layout {
            Layout::Data => (root.join("data"), root.join("data")),
            Layout::Debian | Layout::Split => (
                root.join(format!("var/lib/postgresql/{version}/main")),
                root.join(format!("etc/postgresql/{version}/main")),
            ),
            Layout::Odd => (root.join("it's data"), root.join("conf, here")),
            Layout::Linked => {
                make(&root.join("disk/two"), &root);
                symlink("disk/../link", root.join("data")).unwrap();
                symlink(root.join("disk/two/pg"), root.join("link")).unwrap();
                (root.join("data"), root.join("data"))
            }
        };
        for dir in [data.parent().unwrap(), &etc, &root.join("srv")] {
            if !dir.starts_with(&data) {
                make(dir, &root);
            }
        }
        copy(
            &cast(postgres),
            &if case.layout == Layout::Linked {
                root.join("disk/two/pg")
            } else {
                data.clone()
            },
        );
        let moved: &[&str] = match case.layout {
            Layout::Data | Layout::Linked => &[],
            Layout::Debian | Layout::Split => &["postgresql.conf", "pg_hba.conf", "pg_ident.conf"],
            Layout::Odd => &["postgresql.conf"],
        };
        for name in moved {
            fs::rename(data.join(name), etc.join(name)).unwrap();
        }
        let port = free_port();
        let site = Self {
            places: vec![
                ("{root}", root.display().to_string()),
                ("{data}", data.display().to_string()),
                ("{etc}", etc.display().to_string()),
                ("{srv}", root.join("srv").display().to_string()),
                ("{port}", port.to_string()),
                ("{version}", version.to_string()),
            ],
            etc,
            root,
            data,
            port,
        };
        case.files.iter().for_each(|file| site.put(file));
        site
    }

    /// The text with the places of this site in it.
    pub fn fill(&self, text: &str) -> String {
        let filled = |text: String, (name, value): &(&str, String)| text.replace(name, value);
        self.places.iter().fold(text.to_owned(), filled)
    }

    fn put(&self, file: &File) {
        let path = PathBuf::from(self.fill(&file.path));
        make(path.parent().unwrap(), &self.root);
        drop(fs::remove_file(&path));
        match &file.content {
            Content::Bytes(bytes) => fs::write(&path, replace(bytes, &self.places)).unwrap(),
            Content::Pem(which) => drop(fs::copy(pem(which), &path).unwrap()),
            Content::Link(to) => return symlink(self.fill(to), &path).unwrap(),
        }
        let is_key = matches!(&file.content, Content::Pem(which) if which.split('.').nth(1) == Some("key"));
        let mode = file.mode.unwrap_or(if is_key { 0o600 } else { 0o640 });
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        if file.of_root && Account::is_root() {
            chown(&path, Some(0), Some(Account::server().gid)).unwrap();
        } else {
            Account::server().own(&path);
        }
    }

    /// Starts the server, as that kind of machine does.
    pub fn start(&self, case: &Case, postgres: &Postgres) -> TestServer {
        let mut builder = TestServer::builder(postgres).port(self.port);
        if case.is_bare {
            builder = builder.bare();
        }
        if matches!(case.layout, Layout::Debian | Layout::Odd) {
            let file = self.etc.join("postgresql.conf");
            builder = builder
                .argument("-c")
                .argument(&format!("config_file={}", file.display()));
        }
        if case.layout == Layout::Split {
            builder = builder.argument("-D").argument(self.etc.to_str().unwrap());
        }
        for setting in [
            "fsync=off",
            "shared_buffers=8MB",
            "max_connections=20",
            "dynamic_shared_memory_type=mmap",
        ] {
            builder = builder.argument("-c").argument(setting);
        }
        for argument in &case.arguments {
            builder = builder.argument(&self.fill(argument));
        }
        builder.start_in(self.root.clone(), self.data.clone())
    }
}

fn pem(which: &str) -> &'static Path {
    match which {
        "own.cert" => &own().server.cert,
        "own.key" => &own().server.key,
        "own.ca" => &own().ca.cert,
        "own.crl" => &own().list,
        "snakeoil.cert" => &own().snakeoil.cert,
        "snakeoil.key" => &own().snakeoil.key,
        _ => panic!("no certificate {which}"),
    }
}

/// Makes a directory and those above it, up to `root`, for the server's account.
fn make(dir: &Path, root: &Path) {
    if dir.exists() || !dir.starts_with(root) {
        return;
    }
    make(dir.parent().unwrap(), root);
    fs::create_dir(dir).unwrap();
    Account::server().own(dir);
}

fn replace(bytes: &[u8], places: &[(&str, String)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    'next: while let Some((first, after)) = rest.split_first() {
        for (name, value) in places {
            if let Some(behind) = rest.strip_prefix(name.as_bytes()) {
                out.extend_from_slice(value.as_bytes());
                rest = behind;
                continue 'next;
            }
        }
        out.push(*first);
        rest = after;
    }
    out
}
