//! Who may come in: access lines and client certificates, and how the two must fit together.

use std::collections::HashSet;

use ipnet::IpNet;

use super::answers::{AccessAnswer, Answers};
use super::model::{Access, Auth, ClientCert, Mode};
use super::problem::{ACCESS, ALLOW, CLIENT, DATABASE, Field, PG_VERSION, Problem, USER, quote};
use super::{address, name};

const DEFAULT_NAME: &str = "app";
const DEFAULT_ADDRESSES: [&str; 2] = ["127.0.0.1/32", "::1/128"];

/// A method by its name.
pub(super) fn method(text: &str) -> Option<Auth> {
    [Auth::Scram, Auth::Cert, Auth::ScramCert]
        .into_iter()
        .find(|auth| auth.name() == text)
}

/// Why a method does not go with a mode: reason and remedy.
pub(super) const fn contradiction(mode: Mode, auth: Auth) -> Option<(&'static str, &'static str)> {
    match (mode, auth) {
        (Mode::OneWay, Auth::Cert | Auth::ScramCert) => Some((
            "in one-way mode clients have no certificate to log in with",
            "give scram, or --mode mtls",
        )),
        (Mode::Mtls, Auth::Scram) => Some((
            "a password alone does not prove the client by a certificate, which mtls promises",
            "give cert or scram+cert, or --mode one-way",
        )),
        _ => None,
    }
}

/// The client certificates that follow from the access lines where none are asked for by name.
pub(super) fn default_clients(access: &[Access]) -> Vec<ClientCert> {
    let mut clients: Vec<ClientCert> = Vec::new();
    for access in access.iter().filter(|access| access.method.wants_certificate()) {
        if clients.iter().all(|client| client.role != access.role) {
            clients.push(ClientCert {
                cn: access.role.clone(),
                role: access.role.clone(),
            });
        }
    }
    clients
}

/// Reads access lines and client certificates together. `mode` and `auth` are `None` where they are wrong
/// themselves; what depends on them is not judged then.
pub(super) fn read(
    answers: &Answers,
    mode: Option<Mode>,
    auth: Option<Auth>,
    pg_version: Option<u16>,
    problems: &mut Vec<Problem>,
) -> (Vec<Access>, Vec<ClientCert>) {
    let mut reader = Reader { problems };
    let asked = reader.clients(answers, mode);
    let mut access = Vec::new();
    for (index, table) in tables(answers, &asked).iter().enumerate() {
        access.push(reader.access(index, table, answers, mode, auth));
    }
    reader.shadows(&access);
    reader.unknowable(&access, answers, pg_version);
    if mode == Some(Mode::OneWay) {
        return (access, Vec::new());
    }
    let clients = if answers.clients.is_empty() {
        default_clients(&access)
    } else {
        asked
    };
    reader.fit(&access, &clients, answers);
    (access, clients)
}

/// The access tables as given, with the single flags written into the first; where there is none, one for the
/// user that is named, or for each role that a client certificate is for, or for the default user.
fn tables(answers: &Answers, clients: &[ClientCert]) -> Vec<AccessAnswer> {
    let mut tables = answers.access.clone();
    if tables.is_empty() {
        let mut roles: Vec<String> = Vec::new();
        if answers.user.is_none() {
            for client in clients {
                // A role that cannot be has been told with its certificate.
                if !roles.contains(&client.role) && name::role(&client.role).is_ok() {
                    roles.push(client.role.clone());
                }
            }
        }
        if roles.is_empty() {
            roles.push(DEFAULT_NAME.to_owned());
        }
        tables.extend(roles.into_iter().map(|role| AccessAnswer {
            role: Some(role),
            databases: answers.database.iter().cloned().collect(),
            addresses: answers.allow.clone(),
            method: None,
        }));
    }
    let first = &mut tables[0];
    if let Some(user) = &answers.user {
        first.role = Some(user.clone());
    }
    if let Some(database) = &answers.database {
        first.databases = vec![database.clone()];
    }
    if !answers.allow.is_empty() {
        first.addresses.clone_from(&answers.allow);
    }
    for table in &mut tables {
        if table.databases.is_empty() {
            table.databases.push(DEFAULT_NAME.to_owned());
        }
        if table.addresses.is_empty() {
            table.addresses.extend(DEFAULT_ADDRESSES.map(str::to_owned));
        }
    }
    tables
}

struct Reader<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn access(
        &mut self,
        index: usize,
        table: &AccessAnswer,
        answers: &Answers,
        mode: Option<Mode>,
        auth: Option<Auth>,
    ) -> Access {
        // Where the answer came from a table, the message names the table's key.
        let place = |field: Field, key: &str| match answers.access.get(index) {
            Some(_) => (field, Some(format!("access[{}].{key}", index + 1))),
            None => (field, None),
        };
        let role = table.role.clone().unwrap_or_default();
        if table.role.is_none() {
            self.at(
                place(USER, "role"),
                None,
                "it is not said which role may come in",
                "name the role",
            );
        } else if let Err((reason, remedy)) = name::role(&role) {
            self.at(place(USER, "role"), Some(&role), reason, remedy);
        }
        let mut databases = HashSet::new();
        for database in &table.databases {
            if let Err((reason, remedy)) = name::database(database) {
                self.at(place(DATABASE, "databases"), Some(database), reason, remedy);
            } else if !databases.insert(database) {
                self.at(
                    place(DATABASE, "databases"),
                    Some(database),
                    "it is given twice",
                    "give it once",
                );
            }
        }
        let mut addresses: Vec<IpNet> = Vec::new();
        for text in &table.addresses {
            match address::parse(text) {
                Err((reason, remedy)) => self.at(place(ALLOW, "addresses"), Some(text), reason, remedy),
                Ok(net) => {
                    if let Some(wider) = addresses.iter().find(|other| other.contains(&net)) {
                        let reason = format!("{net} is already covered by {wider}");
                        self.at(place(ALLOW, "addresses"), Some(text), reason, "leave it out");
                    }
                    addresses.push(net);
                }
            }
        }
        let method = match table.method.as_deref() {
            None => auth,
            Some(text) => {
                let (found, place) = (
                    method(text),
                    (ACCESS, Some(format!("access[{}].method", index + 1))),
                );
                match (found, mode) {
                    (None, _) => self.at(
                        place,
                        Some(text),
                        "there is no such method",
                        "give scram, cert or scram+cert",
                    ),
                    (Some(found), Some(mode)) => {
                        if let Some((reason, remedy)) = contradiction(mode, found) {
                            self.at(place, Some(text), reason, remedy);
                        }
                    }
                    (Some(_), None) => {}
                }
                found
            }
        };
        Access {
            role,
            databases: table.databases.clone(),
            addresses,
            // Only reached with the default where a problem has been told already.
            method: method.unwrap_or(Auth::Scram),
        }
    }

    /// The client certificates asked for by name, roles filled in.
    fn clients(&mut self, answers: &Answers, mode: Option<Mode>) -> Vec<ClientCert> {
        if answers.clients.is_empty() {
            return Vec::new();
        }
        if mode == Some(Mode::OneWay) {
            self.problems.push(CLIENT.problem(
                answers.clients[0].cn.as_deref(),
                "in one-way mode clients get no certificate",
                "leave it out, or give --mode mtls",
            ));
            return Vec::new();
        }
        let mut clients: Vec<ClientCert> = Vec::new();
        for answer in &answers.clients {
            let cn = answer.cn.clone().unwrap_or_default();
            let role = answer.role.clone().unwrap_or_else(|| cn.clone());
            if let Err((reason, remedy)) = name::common_name(&cn) {
                self.problems.push(CLIENT.problem(Some(&cn), reason, remedy));
            } else if role.is_empty() {
                self.problems.push(CLIENT.problem(
                    Some(&format!("{cn}={role}")),
                    "no role is named after the =",
                    "name the role, or leave the = out where the role is called like the certificate",
                ));
            } else if let Err((reason, remedy)) = name::role(&role) {
                self.problems.push(CLIENT.problem(Some(&role), reason, remedy));
            }
            let client = ClientCert { cn, role };
            if clients.contains(&client) {
                self.problems.push(CLIENT.problem(
                    Some(&client.cn),
                    "this certificate is asked for twice",
                    "give each certificate once",
                ));
            }
            clients.push(client);
        }
        clients
    }

    /// Each client certificate must open a door that exists.
    fn fit(&mut self, access: &[Access], clients: &[ClientCert], answers: &Answers) {
        if answers.clients.is_empty() {
            return;
        }
        for client in clients.iter().filter(|client| name::role(&client.role).is_ok()) {
            let doors: Vec<_> = access
                .iter()
                .filter(|access| access.role == client.role && access.method.wants_certificate())
                .collect();
            let Some(first) = access.first() else { return };
            if doors.is_empty() {
                self.problems.push(CLIENT.problem(
                    Some(&client.cn),
                    format!("the certificate is for the role {}, which has no access", quote(&client.role)),
                    format!(
                        "give --client {cn}={role} to log in as {role}; for a role of its own beside {role} add a table to pgtls.toml: [[access]], \
                         role = {cn:?}; or --user {cn} in the place of {role}",
                        cn = client.cn,
                        role = first.role
                    ),
                ));
            } else if client.cn != client.role && doors.iter().any(|door| door.method == Auth::ScramCert) {
                self.problems.push(CLIENT.problem(
                    Some(&format!("{}={}", client.cn, client.role)),
                    "with scram+cert the certificate's CN must be the role, since PostgreSQL has no ident map there",
                    format!("give --client {}, or --auth cert", client.role),
                ));
            } else if client.cn.starts_with('/') && client.role.contains("\\1") {
                self.problems.push(CLIENT.problem(
                    Some(&format!("{}={}", client.cn, client.role)),
                    "pg_ident.conf cannot say this pair: a CN that begins with / is written as a regular expression, \
                     and \\1 in the role is replaced then",
                    "choose another CN or another role name",
                ));
            }
        }
    }

    /// First match decides in `pg_hba.conf`: a later line that an earlier one covers is never reached.
    fn shadows(&mut self, access: &[Access]) {
        for (index, later) in access.iter().enumerate() {
            for (before, earlier) in access[..index].iter().enumerate() {
                let database = later
                    .databases
                    .iter()
                    .find(|database| earlier.databases.contains(database));
                let address = later
                    .addresses
                    .iter()
                    .find(|net| earlier.addresses.iter().any(|wider| wider.contains(*net)));
                if let (true, Some(database), Some(address)) = (earlier.role == later.role, database, address)
                {
                    self.problems.push(Problem {
                        key: format!("access[{}]", index + 1),
                        ..ACCESS.problem(
                            None,
                            format!(
                                "role {} into database {} from {address} is already decided by access[{}], and the first \
                                 match decides",
                                quote(&later.role),
                                quote(database),
                                before + 1
                            ),
                            "take it out of one of the two, or put the narrower range first",
                        )
                    });
                    break;
                }
            }
        }
    }

    /// A name that begins with `/` is text up to PostgreSQL 15 and a regular expression from 16.
    fn unknowable(&mut self, access: &[Access], answers: &Answers, pg_version: Option<u16>) {
        let slashed = access
            .iter()
            .flat_map(|access| access.databases.iter().chain([&access.role]))
            .find(|name| name.starts_with('/'));
        if let (Some(name), None, Some("none")) = (slashed, pg_version, answers.run.as_deref()) {
            self.problems.push(PG_VERSION.problem(
                None,
                format!(
                    "the name {} begins with /, which pg_hba.conf reads as text up to PostgreSQL 15 and as a regular \
                     expression from 16",
                    quote(name)
                ),
                "say which major version the files are for",
            ));
        }
    }

    fn at(
        &mut self,
        (field, key): (Field, Option<String>),
        value: Option<&str>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let mut problem = field.problem(value, reason, remedy);
        if let Some(key) = key {
            problem.flag = "";
            problem.key = key;
        }
        self.problems.push(problem);
    }
}
