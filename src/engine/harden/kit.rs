//! What the project holds for the server: answers, CA, the server's certificate, client kits.

use std::path::{Path, PathBuf};

use crate::conf::hba::{Database, Kind, Method, Record, Role, Rules};
use crate::conf::simulate::World;
use crate::conninfo::{Conninfo, Keyword};
use crate::engine::credentials::{Gathered, Renew, gather_for};
use crate::engine::{Error, files, prepare};
use crate::harden::{ClientProof, Watched};
use crate::pki::Certificate;
use crate::plan::{Found, Kit, Layout, Plan};
use crate::setup::{AccessAnswer, Answers, Auth, ClientAnswer, Mode, Setup, is_database, is_role};

use super::{Hardening, Survey, survey::tcp_address, watch};

/// The project's side of a stage.
pub struct Project {
    /// The project directory, absolute.
    pub dir: PathBuf,
    /// The answers.
    pub setup: Setup,
    /// Its files.
    pub plan: Plan,
    /// Keys and certificates.
    pub gathered: Gathered,
    /// Who logs in with what.
    pub kits: Vec<Kit>,
    /// How clients prove themselves.
    pub proof: ClientProof,
    found: Found,
}

impl Project {
    /// Has the kits verify the server by these roots: the certificate in force is of another CA than the project's, and stays.
    pub fn know_server_by(&mut self, roots: Vec<Certificate>) {
        self.gathered.credentials.server_roots = roots;
        self.plan = Plan::beside_a_server(&self.setup, &self.gathered.credentials, &self.found);
    }

    /// The kit of a role.
    pub fn kit_of(&self, role: &str) -> Option<&Kit> {
        self.kits.iter().find(|kit| kit.role == role)
    }

    /// A file of that kit, absolute.
    pub fn file(&self, kit: &Kit, name: &str) -> String {
        self.dir
            .join(Layout::kit_file(&kit.name, name))
            .to_string_lossy()
            .into_owned()
    }

    /// Names of certificates that are no names of roles.
    pub fn maps(&self) -> Vec<(String, String)> {
        let clients = &self.setup.clients;
        if clients.iter().all(|client| client.cn == client.role) {
            return Vec::new();
        }
        clients
            .iter()
            .map(|client| (client.cn.clone(), client.role.clone()))
            .collect()
    }
}

/// Works it out; nothing is written.
pub fn project(hardening: &Hardening, survey: &Survey) -> Result<Project, Error> {
    let request = &hardening.request;
    let dir = prepare::absolute(&request.dir);
    if let Some(saved) = prepare::saved(&dir)?
        && saved.run.as_deref().is_some_and(|run| run != "none")
    {
        return Err(Error::DoesNotFit {
            what: format!("{} is a project with a server of its own", dir.display()),
            remedy: "name another directory with --dir: what belongs to this server is kept there".to_owned(),
        });
    }
    let (_, port) = tcp_address(survey)?;
    let mut answers = prepare::answers(request)?;
    let mut seen = watch::kept(&dir)?;
    seen.merge(&survey.watched);
    complete(&mut answers, hardening, survey, &seen, port);
    let setup = Setup::from_answers(&answers).map_err(Error::Answers)?;
    let mut kits = Kit::all(&setup);
    for kit in &mut kits {
        // Roles of a server that is there have their own passwords.
        kit.wants_password = false;
    }
    let mut gathered = gather_for(
        &setup,
        &dir,
        &request.secrets,
        Renew::Nothing,
        request.now,
        kits.clone(),
    )?;
    if hardening.stage.is_about_clients() && kits.len() > 1 {
        let without = survey.logins.iter().filter(|role| !is_role(role));
        gathered
            .notes
            .extend(without.filter(|role| !role.starts_with("pg_")).map(|role| {
                format!(
                    "no certificate is made for the role {}, whose name is a word of pg_hba.conf",
                    crate::pki::printable(role)
                )
            }));
    }
    let found = Found {
        project_dir: dir.clone(),
        port,
        server_version: Some(survey.server.dialect.major()),
        gitignore: files::read("the .gitignore", &dir.join(Layout::IGNORE))?
            .and_then(|bytes| String::from_utf8(bytes.to_vec()).ok()),
        ..Found::default()
    };
    let plan = Plan::beside_a_server(&setup, &gathered.credentials, &found);
    let proof = match setup.auth {
        Auth::Cert => ClientProof::Alone,
        Auth::Scram | Auth::ScramCert => ClientProof::Beside,
    };
    Ok(Project {
        dir,
        setup,
        plan,
        gathered,
        kits,
        proof,
        found,
    })
}

/// What nobody answered follows from the server.
fn complete(answers: &mut Answers, hardening: &Hardening, survey: &Survey, watched: &Watched, port: u16) {
    answers.run = Some("none".to_owned());
    answers.port.get_or_insert(port.into());
    if answers.hosts.is_empty() {
        answers.hosts = hosts(&hardening.conninfo);
    }
    let own = &survey.own;
    // One whose name is a word of pg_hba.conf cannot be named among the answers.
    let own_database = Some(&own.database)
        .filter(|name| is_database(name))
        .map_or_else(|| "postgres".to_owned(), String::clone);
    if answers.access.is_empty() {
        answers.user.get_or_insert_with(|| own.user.clone());
        answers.database.get_or_insert_with(|| own_database.clone());
    }
    if !hardening.stage.is_about_clients() {
        if answers.mode.as_deref() != Some("mtls") {
            answers.client_ca = None;
        }
        answers.mode.get_or_insert_with(|| "one-way".to_owned());
        return;
    }
    if answers.mode.as_deref() != Some("mtls") {
        answers.mode = Some("mtls".to_owned());
        answers.auth.clone_from(&hardening.request.flags.auth);
    }
    if answers.auth.is_none() {
        answers.auth = Some("scram+cert".to_owned());
    }
    // Theirs are handed out elsewhere.
    let are_issued = answers.client_ca.is_none();
    // Everybody who may log in needs a certificate from now on.
    if are_issued && answers.clients.is_empty() {
        answers.clients = roles(survey)
            .into_iter()
            .map(|role| ClientAnswer {
                cn: Some(role),
                role: None,
            })
            .filter(can_be)
            .collect();
    }
    if are_issued
        && own.address.is_some()
        && !answers
            .clients
            .iter()
            .any(|client| role_of(client) == Some(&own.user))
    {
        answers.clients.push(ClientAnswer {
            cn: Some(own.user.clone()),
            role: None,
        });
    }
    let server = &survey.server;
    let rules = Rules::load(&server.hba, &*server.files, server.dialect).ok();
    let database = |role: &str| {
        watched
            .iter()
            .find(|(seen, _)| seen.user == role && is_database(&seen.database))
            .map(|(seen, _)| seen.database.clone())
            .or_else(|| {
                // The admin is in that very database now.
                let rules = rules.as_ref().filter(|_| *role != own.user)?;
                by_rules(rules, role, &survey.world)
            })
            .unwrap_or_else(|| own_database.clone())
    };
    let known: Vec<String> = answers
        .access
        .iter()
        .filter_map(|access| access.role.clone())
        .collect();
    let missing: Vec<AccessAnswer> = answers
        .clients
        .iter()
        .filter_map(role_of)
        .filter(|role| !known.contains(role))
        .map(|role| AccessAnswer {
            role: Some(role.clone()),
            databases: vec![database(role)],
            addresses: Vec::new(),
            method: None,
        })
        .collect();
    if !missing.is_empty() {
        answers.access.extend(missing);
        (answers.user, answers.database) = (None, None);
        answers.allow.clear();
    }
}

/// The database of a role that nobody saw, where the first line for it and for a database names one. Whether one is named like a
/// group is not known here: such a line is passed over.
fn by_rules(rules: &Rules, role: &str, world: &World) -> Option<String> {
    let is_role = |one: &Role| match one {
        Role::All => true,
        Role::Named(name) => **name == *role.as_bytes(),
        Role::MemberOf(group) => world
            .memberships
            .as_ref()
            .is_some_and(|all| all.is_member(role, group)),
        Role::Pattern(pattern) => pattern.matches(role).unwrap_or_default(),
    };
    let is_for = |record: &Record| {
        record.kind != Kind::Local && record.method != Method::Reject && record.roles.iter().any(is_role)
    };
    let records = rules.rules().iter().map(|rule| &rule.record);
    let database = records
        .filter(|record| is_for(record))
        .flat_map(|record| record.databases.iter())
        .find(|database| matches!(database, Database::All | Database::SameUser | Database::Named(_)))?;
    match database {
        Database::Named(name) => String::from_utf8(name.to_vec()).ok(),
        Database::SameUser => Some(role.to_owned()),
        _ => None,
    }
    .filter(|name| is_database(name))
}

/// The roles that may log in; where they are very many, those that were seen.
#[must_use]
pub fn roles(survey: &Survey) -> Vec<String> {
    const MOST: usize = 200;
    let own: Vec<_> = survey
        .logins
        .iter()
        .filter(|role| is_role(role))
        .cloned()
        .collect();
    if own.len() <= MOST {
        return own;
    }
    let seen: std::collections::BTreeSet<String> =
        survey.watched.iter().map(|(seen, _)| seen.user.clone()).collect();
    seen.into_iter().take(MOST).collect()
}

/// Whether a certificate can be made for it: names that none can carry are left to the person.
fn can_be(client: &ClientAnswer) -> bool {
    let alone = Answers {
        mode: Some("mtls".to_owned()),
        auth: Some("scram+cert".to_owned()),
        run: Some("none".to_owned()),
        user: client.cn.clone(),
        clients: vec![client.clone()],
        ..Answers::default()
    };
    Setup::from_answers(&alone).is_ok()
}

fn role_of(client: &ClientAnswer) -> Option<&String> {
    client.role.as_ref().or(client.cn.as_ref())
}

/// The names that clients dial, as far as they are known: the one the admin dials, and those of this machine.
#[must_use]
pub fn hosts(conninfo: &Conninfo) -> Vec<String> {
    let mut hosts: Vec<String> = conninfo
        .get(Keyword::Host)
        .into_iter()
        .flat_map(|hosts| hosts.split(','))
        .filter(|host| !host.is_empty() && !host.starts_with(['/', '@']))
        .map(str::to_owned)
        .collect();
    for own in ["localhost", "127.0.0.1", "::1"] {
        if !hosts.iter().any(|host| host == own) {
            hosts.push(own.to_owned());
        }
    }
    hosts
}

/// How the proof dials the server: under the first name of the certificate, at the address that the admin uses, with the
/// project's root and, where that is wanted, its client certificate.
pub fn proof_conninfo(
    project: &Project,
    admin: &Conninfo,
    survey: &Survey,
    own_root: bool,
    with_certificate: bool,
) -> Result<Conninfo, Error> {
    let (ip, port) = tcp_address(survey)?;
    let mut conninfo = admin.clone();
    let host = project
        .setup
        .hosts
        .iter()
        .find(|host| !host.is_wildcard())
        .unwrap_or_else(|| project.setup.dialled_host())
        .to_string();
    conninfo
        .set(Keyword::Host, host)
        .set(Keyword::Hostaddr, ip.to_string())
        .set(Keyword::Port, port.to_string())
        .set(Keyword::User, survey.target.user.clone())
        .set(Keyword::Dbname, survey.target.dbname.clone())
        .set(Keyword::Sslmode, "verify-full");
    if own_root && let Some(kit) = project.kits.first() {
        conninfo.set(Keyword::Sslrootcert, project.file(kit, "root.crt"));
    }
    if with_certificate {
        show_certificate(&mut conninfo, project, &survey.target.user);
    }
    Ok(conninfo)
}

/// Has a conninfo show the project's certificate for its role, where it names none of its own.
pub fn show_certificate(conninfo: &mut Conninfo, project: &Project, role: &str) {
    if conninfo.get(Keyword::Sslcert).is_none()
        && project.setup.mode == Mode::Mtls
        && let Some(kit) = project.kit_of(role).filter(|kit| kit.cn.is_some())
    {
        conninfo
            .set(Keyword::Sslcert, project.file(kit, "client.crt"))
            .set(Keyword::Sslkey, project.file(kit, "client.key"));
    }
}

/// A path as the server shall name it.
pub fn as_named(survey: &Survey, name: &str) -> (PathBuf, String) {
    let theirs = survey.map.directory().join(name);
    let named = if survey.map.directory() == survey.server.data {
        name.to_owned()
    } else {
        theirs.to_string_lossy().into_owned()
    };
    (theirs, named)
}

/// The name for a new file of ours in the server's directory: the plain one where it is free or holds just that, else
/// one that says whose it is.
pub fn free_name(survey: &Survey, plain: &str, content: &[u8]) -> String {
    if survey.reach.is_err() {
        return format!("pgtls-{plain}");
    }
    let here = |name: &str| survey.map.here(&survey.map.directory().join(name));
    let holds = |path: &Path| std::fs::read(path).is_ok_and(|bytes| bytes == content);
    let path = here(plain);
    if path.symlink_metadata().is_err() || holds(&path) {
        return plain.to_owned();
    }
    format!("pgtls-{plain}")
}
