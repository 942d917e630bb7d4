//! The questions to the server, each on its own: what one privilege forbids takes nothing from the others.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::conf::hba::Rules;
use crate::conf::ident::Maps;
use crate::conf::settings::Settings;
use crate::conf::simulate::Memberships;
use crate::conf::{Dialect, Files, Noted, Unreadable};
use crate::dial::{Deadline, Rows, Session};
use crate::judge::RevocationList;
use crate::pki::{Bundle, Certificate};
use crate::verify::{OverSql, ServerFile, TLS_FILES, Unloadable, pair_fault, unread};

use super::facts::{Facts, KeyFile, Reading, RoleRow, SessionRow, SettingRow};

/// Settings that are looked at.
const SETTINGS: &str = "SELECT name, setting, source, sourcefile, sourceline, pending_restart FROM pg_settings \
    WHERE name LIKE 'ssl%' OR name LIKE 'log\\_%connections' OR name IN ('password_encryption', 'log_line_prefix', \
    'listen_addresses', 'hba_file', 'ident_file', 'config_file', 'data_directory', 'primary_conninfo') OR pending_restart";

const WHO: &str = "SELECT current_user, current_setting('server_version') AS version, \
    current_setting('server_version_num') AS number, pg_is_in_recovery() AS standby, \
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser";

const FILE_ERRORS: &str = "SELECT coalesce(sourcefile, '') AS file, coalesce(sourceline, 0) AS line, \
    coalesce(name, '') AS name, error FROM pg_file_settings WHERE error IS NOT NULL LIMIT 100";

const ROLES: &str = "SELECT rolname, rolsuper, rolcanlogin FROM pg_roles LIMIT 100000";

const MEMBERS: &str = "SELECT m.rolname AS member, g.rolname AS of FROM pg_auth_members a \
    JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid LIMIT 100000";

const MD5: &str = "SELECT rolname FROM pg_authid WHERE rolpassword LIKE 'md5%' ORDER BY 1 LIMIT 1000";

/// Client backends and senders of replication: everything that a client began.
const SESSIONS: &str = "SELECT a.pid, a.usename, coalesce(a.datname, '') AS datname, \
    coalesce(a.application_name, '') AS application, host(a.client_addr) AS client, a.client_port AS port, s.ssl, s.version, \
    a.pid = pg_backend_pid() AS own FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid) \
    WHERE a.backend_type IN ('client backend', 'walsender') ORDER BY a.backend_start LIMIT 10000";

/// What would show it.
const NEEDS: &str = "log in as a superuser, or give the files' directory with --config-dir";

/// Asks everything that this session may ask, and reads what `disk` reaches in the `directory` of the configuration.
pub async fn ask(
    facts: &mut Facts,
    session: &mut Session,
    disk: Option<(&dyn Reading, &Path)>,
    deadline: impl Fn() -> Deadline,
) {
    let mut questions = Questions(OverSql::new(session, &deadline));
    if let Some(rows) = questions.ask(facts, "which server this is", WHO).await {
        let cell = |name| rows.value(0, name).unwrap_or_default().to_owned();
        let number: u32 = cell("number").parse().unwrap_or_default();
        facts.server.version = crate::pki::printable(&cell("version"));
        facts.server.major = u16::try_from(number / 10_000).unwrap_or_default();
        facts.server.user = crate::pki::printable(&cell("current_user"));
        facts.server.superuser = cell("superuser") == "t";
        facts.server.standby = cell("standby") == "t";
    }
    settings(facts, &mut questions).await;
    people(facts, &mut questions).await;
    sessions(facts, &mut questions).await;
    texts(facts, &mut questions, disk).await;
    files(facts, &mut questions, disk).await;
}

struct Questions<'a>(OverSql<'a>);

impl Questions<'_> {
    /// The rows; what is refused is noted as unseen.
    async fn ask(&mut self, facts: &mut Facts, what: &str, sql: &str) -> Option<Rows> {
        match self.0.query(sql).await {
            Ok(rows) => Some(rows),
            Err(error) => {
                facts.miss(what, format!("{error}; log in as a superuser"));
                None
            }
        }
    }
}

async fn settings(facts: &mut Facts, questions: &mut Questions<'_>) {
    if let Some(rows) = questions.ask(facts, "the settings", SETTINGS).await {
        for at in 0..rows.rows.len() {
            let cell = |name| rows.value(at, name).map(str::to_owned);
            facts.settings.insert(
                cell("name").unwrap_or_default(),
                SettingRow {
                    value: cell("setting").unwrap_or_default(),
                    source: cell("source").unwrap_or_default(),
                    file: cell("sourcefile"),
                    line: cell("sourceline"),
                    pending_restart: cell("pending_restart").as_deref() == Some("t"),
                },
            );
        }
    }
    if let Some(rows) = questions
        .ask(
            facts,
            "errors in the configuration files (pg_file_settings)",
            FILE_ERRORS,
        )
        .await
    {
        for at in 0..rows.rows.len() {
            let cell = |name| rows.value(at, name).unwrap_or_default().to_owned();
            let place = format!("{}:{}", cell("file"), cell("line"));
            facts.file_errors.push((place, cell("name"), cell("error")));
        }
    }
}

async fn people(facts: &mut Facts, questions: &mut Questions<'_>) {
    if let Some(rows) = questions.ask(facts, "the roles", ROLES).await {
        for at in 0..rows.rows.len() {
            facts.roles.push(RoleRow {
                name: rows.value(at, "rolname").unwrap_or_default().to_owned(),
                superuser: rows.value(at, "rolsuper") == Some("t"),
                can_login: rows.value(at, "rolcanlogin") == Some("t"),
            });
        }
    }
    if let Some(rows) = questions
        .ask(facts, "who is a member of which role", MEMBERS)
        .await
    {
        let direct = (0..rows.rows.len()).filter_map(|at| {
            Some((
                rows.value(at, "member")?.to_owned(),
                rows.value(at, "of")?.to_owned(),
            ))
        });
        let roles = facts.roles.iter().map(|role| role.name.clone());
        facts.memberships = Some(Memberships::new(roles, direct));
    }
    if let Some(rows) = questions
        .ask(facts, "roles with MD5 passwords (pg_authid)", MD5)
        .await
    {
        facts.md5_roles = (0..rows.rows.len())
            .filter_map(|at| rows.value(at, "rolname").map(str::to_owned))
            .collect();
    }
}

async fn sessions(facts: &mut Facts, questions: &mut Questions<'_>) {
    let Some(rows) = questions.ask(facts, "who is connected", SESSIONS).await else {
        return;
    };
    let mut hidden = 0;
    for at in 0..rows.rows.len() {
        let cell = |name| rows.value(at, name);
        // Of other roles' sessions everything but the process is hidden without pg_read_all_stats.
        let (client, is_hidden) = match (cell("client"), cell("port")) {
            (Some(address), Some(port)) => {
                let shown = if address.contains(':') {
                    format!("[{address}]")
                } else {
                    address.to_owned()
                };
                (format!("{shown}:{port}"), false)
            }
            (_, Some(_)) => ("[local]".to_owned(), false),
            _ => ("?".to_owned(), true),
        };
        hidden += usize::from(is_hidden);
        if cell("own") == Some("t") {
            continue;
        }
        let text = |name| crate::pki::printable(cell(name).unwrap_or_default());
        facts.sessions.push(SessionRow {
            pid: cell("pid").and_then(|pid| pid.parse().ok()).unwrap_or_default(),
            user: text("usename"),
            database: text("datname"),
            application: text("application"),
            client: crate::pki::printable(&client),
            ssl: cell("ssl").filter(|_| !is_hidden).map(|ssl| ssl == "t"),
            version: cell("version").map(crate::pki::printable),
        });
    }
    if hidden > 0 {
        facts.miss(
            &format!("where {hidden} sessions come from, and whether they have TLS"),
            "the server shows that to pg_read_all_stats (or pg_monitor) alone",
        );
    }
}

/// The files that are text, and which of them the server has not read: from the disk where it is within reach, else over SQL.
async fn texts(facts: &mut Facts, questions: &mut Questions<'_>, disk: Option<(&dyn Reading, &Path)>) {
    let dialect = Dialect::of(facts.server.major);
    let disk_files = disk.map(|(files, _)| files);

    let mut asked = BTreeSet::new();
    let path = located(facts, disk, "hba_file", "pg_hba.conf");
    let rules = read(questions, disk_files, path, &mut asked, |path, files| {
        Rules::load(path, files, dialect)
    })
    .await;
    facts.hba = seen(facts, "the rules (pg_hba.conf)", rules);

    let path = located(facts, disk, "ident_file", "pg_ident.conf");
    let maps = read(questions, disk_files, path, &mut asked, |path, files| {
        Maps::load(path, files, dialect)
    })
    .await;
    facts.ident = seen(facts, "the name maps (pg_ident.conf)", maps);
    facts.unread_rules = unread(&mut questions.0, &theirs(facts, disk, &asked)).await;
    for file in facts.unread_rules.clone() {
        let [changed, read] = file.times();
        facts.miss(
            "the rules in force",
            format!(
                "{} was changed at {changed}, and the server last read its files at {read}: what is said of it here is of the \
                 file, and so is what pg_hba_file_rules shows",
                file.path.display()
            ),
        );
    }
    asked.clear();

    let data = facts.setting("data_directory").map(PathBuf::from);
    let path = located(facts, disk, "config_file", "postgresql.conf");
    let settings = read(questions, disk_files, path, &mut asked, |path, files| {
        Settings::load(path, data.as_deref(), files)
    })
    .await;
    facts.unread_settings = unread(&mut questions.0, &theirs(facts, disk, &asked)).await;
    facts.files = seen(facts, "the configuration files (postgresql.conf)", settings).map(|mut settings| {
        for (name, row) in facts
            .settings
            .iter()
            .filter(|(_, row)| row.source == "command line")
        {
            settings.push_command_line(name, &row.value);
        }
        settings
    });
}

/// The files that TLS needs.
async fn files(facts: &mut Facts, questions: &mut Questions<'_>, disk: Option<(&dyn Reading, &Path)>) {
    let disk_files = disk.map(|(files, _)| files);
    let below = |facts: &Facts, setting: &str| -> Option<PathBuf> {
        let path = PathBuf::from(facts.setting(setting).filter(|path| !path.is_empty())?);
        if path.is_absolute() {
            return Some(path);
        }
        let base = facts.setting("data_directory").map(PathBuf::from);
        Some(
            base.or_else(|| disk.map(|(_, directory)| directory.to_owned()))?
                .join(path),
        )
    };
    if facts.setting("ssl") == Some("on") {
        let named: Vec<_> = TLS_FILES
            .into_iter()
            .filter_map(|name| Some((name, below(facts, name)?)))
            .collect();
        facts.unloadable = questions.0.unloadable(&named).await;
        if let Some(key) = below(facts, "ssl_key_file") {
            facts.key_encrypted = questions.0.is_encrypted(&key).await;
        }
    }
    // What the server itself cannot read is found already.
    let whole = |facts: &Facts, setting: &str| {
        below(facts, setting).filter(|_| !facts.unloadable.iter().any(|one| one.setting == setting))
    };
    let is_broken = facts.unloadable.iter().any(|one| one.setting == "ssl_cert_file");
    if facts.setting("ssl") != Some("off") && !is_broken {
        let path = below(facts, "ssl_cert_file");
        let bytes = bytes(questions, disk_files, path.clone()).await;
        if let (Some(bytes), Some(path)) = (
            seen(facts, "the certificate on disk (ssl_cert_file)", bytes),
            path,
        ) && let Some(leaf) = Certificate::from_pem(&bytes)
            .ok()
            .and_then(|all| all.into_iter().next())
        {
            facts.on_disk = Some((path.display().to_string(), leaf));
        }
    }
    if let Some(path) = whole(facts, "ssl_ca_file") {
        let bytes = bytes(questions, disk_files, Some(path.clone())).await;
        if let Some(bytes) = seen(facts, "the CAs of the clients (ssl_ca_file)", bytes) {
            let all = Certificate::from_pem(&bytes).unwrap_or_default();
            facts.client_cas = Some((path.display().to_string(), all));
        }
    }
    if let Some(path) = whole(facts, "ssl_crl_file") {
        let bytes = bytes(questions, disk_files, Some(path.clone())).await;
        if let Some(bytes) = seen(facts, "the revocation list (ssl_crl_file)", bytes) {
            let lists = Bundle::from_pem(&bytes)
                .map(|bundle| bundle.lists)
                .unwrap_or_default();
            let lists = lists
                .iter()
                .filter_map(|der| RevocationList::read(der).ok())
                .collect();
            facts.lists = Some((path.display().to_string(), lists));
        }
    }
    key(facts, disk, below(facts, "ssl_key_file"));
    let certificate = whole(facts, "ssl_cert_file").filter(|_| facts.setting("ssl") == Some("on"));
    if let (Some(disk), Some(certificate), Some(path)) =
        (disk_files, certificate, whole(facts, "ssl_key_file"))
        && let (Ok(chain), Ok(key)) = (disk.read(&certificate), disk.read(&path).map(Zeroizing::new))
        && let Some(why) = pair_fault(&certificate.display().to_string(), &chain, &key)
    {
        facts.unloadable.push(Unloadable {
            setting: "ssl_key_file",
            path,
            why,
        });
    }
}

/// Where the server says that a file is; what it has beside its `postgresql.conf` is in the given directory here. Where it
/// does not say so, the file of that name there.
fn located(
    facts: &Facts,
    disk: Option<(&dyn Reading, &Path)>,
    named_by: &str,
    file: &str,
) -> Option<PathBuf> {
    let setting = |name: &str| facts.setting(name).map(Path::new);
    let Some(named) = setting(named_by) else {
        return disk.map(|(_, directory)| directory.join(file));
    };
    let here = disk.and_then(|(files, directory)| {
        let theirs = setting("config_file")?.parent()?;
        let here = directory.join(named.strip_prefix(theirs).ok()?);
        files.owner(&here).map(|_| here)
    });
    Some(here.unwrap_or_else(|| named.to_path_buf()))
}

fn seen<T>(facts: &mut Facts, what: &str, read: Result<T, Unreadable>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(why) => {
            facts.miss(what, format!("{why}; {NEEDS}"));
            None
        }
    }
}

fn key(facts: &mut Facts, disk: Option<(&dyn Reading, &Path)>, path: Option<PathBuf>) {
    let what = "mode and owner of the key (ssl_key_file)";
    let (Some((files, directory)), Some(path)) = (disk, path) else {
        facts.miss(
            what,
            "SQL does not show them: give the files' directory with --config-dir, on the server's machine",
        );
        return;
    };
    match files.owner(&path) {
        Some((mode, owner)) => {
            let data = facts.setting("data_directory").map(PathBuf::from);
            let server = data
                .and_then(|data| files.owner(&data))
                .or_else(|| files.owner(directory))
                .map(|(_, owner)| owner);
            facts.key = Some(KeyFile {
                path,
                mode,
                owner,
                server,
            });
        }
        None => facts.miss(what, format!("{} is not within reach here", path.display())),
    }
}

async fn bytes(
    questions: &mut Questions<'_>,
    disk: Option<&dyn Reading>,
    path: Option<PathBuf>,
) -> Result<Vec<u8>, Unreadable> {
    let path = path.ok_or_else(nowhere)?;
    if let Some(bytes) = disk.and_then(|disk| disk.read(&path).ok()) {
        return Ok(bytes);
    }
    questions.0.file(&path).await
}

fn nowhere() -> Unreadable {
    Unreadable::Refused("the server tells only superusers and pg_read_all_settings where it is".to_owned())
}

/// Reads a file and what it includes: from the disk if it is there, else over SQL. Which files those are is added to `asked`.
async fn read<T>(
    questions: &mut Questions<'_>,
    disk: Option<&dyn Reading>,
    path: Option<PathBuf>,
    asked: &mut BTreeSet<PathBuf>,
    load: impl Fn(&Path, &dyn Files) -> Result<T, Unreadable>,
) -> Result<T, Unreadable> {
    let path = path.ok_or_else(nowhere)?;
    let all = RefCell::new(asked);
    let load = |path: &Path, files: &dyn Files| {
        let noted = Noted::new(files);
        let loaded = load(path, &noted);
        all.borrow_mut().extend(noted.asked());
        loaded
    };
    if let Some(disk) = disk
        && disk.read(&path).is_ok()
    {
        return load(&path, &Known(disk));
    }
    questions.0.load(&path, load).await.map(|(loaded, _)| loaded)
}

/// The disk, as files alone.
struct Known<'a>(&'a dyn Reading);

impl Files for Known<'_> {
    fn read(&self, path: &Path) -> Result<Vec<u8>, Unreadable> {
        self.0.read(path)
    }

    fn list(&self, directory: &Path) -> Result<Vec<Vec<u8>>, Unreadable> {
        self.0.list(directory)
    }
}

/// Files by the names that the server has for them, and where each is on this machine.
fn theirs(facts: &Facts, disk: Option<(&dyn Reading, &Path)>, asked: &BTreeSet<PathBuf>) -> Vec<ServerFile> {
    let their_directory = facts
        .setting("config_file")
        .and_then(|file| Path::new(file).parent());
    let each = asked.iter().map(|path| {
        let within = disk.and_then(|(_, directory)| path.strip_prefix(directory).ok());
        let theirs = their_directory
            .zip(within)
            .map(|(theirs, rest)| theirs.join(rest));
        ServerFile {
            theirs: theirs.unwrap_or_else(|| path.clone()),
            here: disk.is_some().then(|| path.clone()),
        }
    });
    each.collect()
}
