//! From answers to a [`Setup`]: every rule, and every problem at once.

use std::path::PathBuf;

use super::answers::Answers;
use super::image::Image;
use super::model::{Access, Algorithm, Auth, CertificateSource, Mode, Run, SERVICE, Setup};
use super::problem::{
    ALGORITHM, AUTH, CA_CERT, CA_DAYS, CA_KEY, CLIENT_CA, DAYS, Field, HOST, IMAGE, MODE, PASSWORD_FILE,
    PG_BIN, PG_VERSION, PORT, Problem, ROOT, RUN, SERVER_CERT, SERVER_KEY, USER, quote,
};
use super::{access, write};
use crate::pki::{HostName, HostNameError};

const DEFAULT_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// A container is published on IPv4's loopback address alone; its neighbours dial it by its service's name.
const COMPOSE_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", SERVICE];
/// The CA/Browser Forum's limit for server certificates, which some TLS stacks enforce.
const DEFAULT_DAYS: u32 = 397;
const DEFAULT_CA_DAYS: u32 = 3650;
/// A century: any longer is a slip of the finger, and years beyond 9999 cannot be encoded (RFC 5280, 4.1.2.5).
const LONGEST_DAYS: u32 = 36_500;
/// The versions whose configuration we know.
const PG_VERSIONS: std::ops::RangeInclusive<u16> = 13..=18;

impl Setup {
    /// Validates the answers.
    ///
    /// # Errors
    /// Every problem there is, in the order of the flags in the documentation; never an empty list.
    pub fn from_answers(answers: &Answers) -> Result<Self, Vec<Problem>> {
        let mut check = Check { problems: Vec::new() };
        let mode = check.mode(answers);
        let auth = check.auth(answers, mode);
        let run = check.run(answers);
        let hosts = check.hosts(answers, run);
        let port = check.port(answers);
        let pg_version = check.pg_version(answers);
        let pg_bin = check.path(PG_BIN, answers.pg_bin.as_ref());
        let image = check.image(answers, run, pg_version);
        let algorithm = check.algorithm(answers);
        let certificates = check.certificates(answers);
        let client_ca = check.client_ca(answers, mode, run);
        let (days, ca_days) = check.lifetimes(answers, mode, certificates.as_ref());
        let (access, clients) = access::read(answers, mode, auth, pg_version, &mut check.problems);
        check.superuser(&access, answers, run);
        let password_file = check.path(PASSWORD_FILE, answers.password_file.as_ref());
        if password_file.is_some()
            && !access.is_empty()
            && !access.iter().any(|access| access.method.wants_password())
        {
            check.add(PASSWORD_FILE.problem(
                None,
                "no role logs in with a password here, so this file would not be used",
                "leave it out, or ask for passwords too with --auth scram+cert",
            ));
        }
        if let (true, Some(mode), Some(auth), Some(run), Some(algorithm), Some(certificates)) = (
            check.problems.is_empty(),
            mode,
            auth,
            run,
            algorithm,
            certificates,
        ) {
            return Ok(Self {
                mode,
                auth,
                run,
                hosts,
                port,
                access,
                clients,
                algorithm,
                days,
                ca_days,
                certificates,
                client_ca,
                pg_version,
                pg_bin,
                image,
                password_file,
            });
        }
        Err(check.problems)
    }

    /// The setup as `pgtls.toml`: stable order, no secret, and the same bytes again once read and written.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::to_toml(self)
    }
}

/// A host name error as reason and remedy; it begins with the text itself, which the problem shows already.
fn host_refusal(text: &str, error: &HostNameError) -> (String, String) {
    let told = error.to_string();
    let told = told
        .strip_prefix(&quote(text))
        .unwrap_or(&told)
        .trim_start_matches([':', ' ']);
    let (reason, remedy) = told.split_once(": ").unwrap_or((
        told,
        "give the bare name or address that clients dial, such as db.example.com or 10.0.0.7",
    ));
    (reason.to_owned(), remedy.to_owned())
}

struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn mode(&mut self, answers: &Answers) -> Option<Mode> {
        const REMEDY: &str = "give one-way (the server proves itself, people log in with a password) or mtls \
                              (both sides prove themselves with certificates)";
        let text = answers.mode.as_deref();
        match text {
            Some("one-way") => Some(Mode::OneWay),
            Some("mtls") => Some(Mode::Mtls),
            Some(_) => {
                self.add(MODE.problem(text, "there is no such mode", REMEDY));
                None
            }
            None => {
                self.add(MODE.problem(None, "it is not said who has to prove who they are", REMEDY));
                None
            }
        }
    }

    fn auth(&mut self, answers: &Answers, mode: Option<Mode>) -> Option<Auth> {
        let Some(text) = answers.auth.as_deref() else {
            return mode.map(|mode| match mode {
                Mode::OneWay => Auth::Scram,
                Mode::Mtls => Auth::Cert,
            });
        };
        let auth = access::method(text);
        match auth {
            None => self.add(AUTH.problem(
                Some(text),
                "there is no such method",
                "give scram, cert or scram+cert",
            )),
            Some(auth) => {
                if let Some((reason, remedy)) = mode.and_then(|mode| access::contradiction(mode, auth)) {
                    self.add(AUTH.problem(Some(text), reason, remedy));
                }
            }
        }
        auth
    }

    fn run(&mut self, answers: &Answers) -> Option<Run> {
        let text = answers.run.as_deref();
        match text {
            None | Some("sandbox") => Some(Run::Sandbox),
            Some("compose") => Some(Run::Compose),
            Some("none") => Some(Run::None),
            Some(_) => {
                self.add(RUN.problem(
                    text,
                    "there is no such way to run PostgreSQL",
                    "give compose (a container), sandbox (a server from this machine's PostgreSQL) or none (files only)",
                ));
                None
            }
        }
    }

    fn image(&mut self, answers: &Answers, run: Option<Run>, pg_version: Option<u16>) -> Option<Image> {
        if let (Some(bin), Some(Run::Compose)) = (&answers.pg_bin, run) {
            self.add(PG_BIN.problem(
                Some(&bin.to_string_lossy()),
                "a container brings PostgreSQL's programs along",
                "leave it out, or name another image with --image",
            ));
        }
        let text = answers.image.as_deref()?;
        if run.is_some_and(|run| run != Run::Compose) {
            self.add(IMAGE.problem(
                Some(text),
                "an image is for a container",
                "give --run compose, or leave it out",
            ));
            return None;
        }
        match Image::parse(text) {
            Err((reason, remedy)) => {
                self.add(IMAGE.problem(Some(text), reason, remedy));
                None
            }
            Ok(image) => {
                if let (Some(wanted), Some(major)) = (pg_version, image.major())
                    && wanted != major
                {
                    self.add(IMAGE.problem(
                        Some(text),
                        format!("it holds PostgreSQL {major}, and --pg-version says {wanted}"),
                        "leave one of the two out",
                    ));
                }
                Some(image)
            }
        }
    }

    fn hosts(&mut self, answers: &Answers, run: Option<Run>) -> Vec<HostName> {
        if answers.hosts.is_empty() {
            let hosts = if run == Some(Run::Compose) {
                COMPOSE_HOSTS
            } else {
                DEFAULT_HOSTS
            };
            return hosts.iter().filter_map(|host| host.parse().ok()).collect();
        }
        let mut hosts: Vec<HostName> = Vec::new();
        for (index, text) in answers.hosts.iter().enumerate() {
            let host = match text.parse::<HostName>() {
                Ok(host) => host,
                Err(error) => {
                    let (reason, remedy) = host_refusal(text, &error);
                    self.add(HOST.problem(Some(text), reason, remedy));
                    continue;
                }
            };
            // In a certificate such a name has another spelling, and libpq compares letter by letter.
            if !text.is_ascii()
                && let HostName::Dns(written) = &host
            {
                self.add(HOST.problem(
                    Some(text),
                    format!("PostgreSQL's clients take a name as it is typed, and certificates spell this one {written}"),
                    format!("say --host {written}, and have clients dial that"),
                ));
            }
            if index == 0 && matches!(&host, HostName::Dns(name) if name.starts_with("*.")) {
                self.add(HOST.problem(
                    Some(text),
                    "the first host is the one that is dialled, and a wildcard cannot be dialled",
                    "give a full name first, and the wildcard after it",
                ));
            } else if hosts.contains(&host) {
                self.add(HOST.problem(
                    Some(text),
                    format!("{host} is given twice"),
                    "give each name once",
                ));
            }
            hosts.push(host);
        }
        hosts
    }

    /// In a server of ours the role `postgres` is the superuser that it is made and asked with.
    fn superuser(&mut self, access: &[Access], answers: &Answers, run: Option<Run>) {
        const SUPERUSER: &str = "postgres";
        if !matches!(run, Some(Run::Sandbox | Run::Compose)) {
            return;
        }
        let Some(at) = access.iter().position(|access| access.role == SUPERUSER) else {
            return;
        };
        let mut problem = USER.problem(
            Some(SUPERUSER),
            "this is the server's superuser: who logs in as it may do everything, also read files and run programs",
            "name a role of the application's own, such as app",
        );
        if answers.user.as_deref() != Some(SUPERUSER) && at < answers.access.len() {
            problem.key = format!("access[{}].role", at + 1);
        }
        self.add(problem);
    }

    fn port(&mut self, answers: &Answers) -> Option<u16> {
        let number = answers.port?;
        let port = u16::try_from(number).ok().filter(|port| *port != 0);
        if port.is_none() {
            self.add(PORT.problem(
                Some(&number.to_string()),
                "this is no TCP port",
                "give a port from 1 to 65535",
            ));
        }
        port
    }

    fn pg_version(&mut self, answers: &Answers) -> Option<u16> {
        let number = answers.pg_version?;
        let version = u16::try_from(number)
            .ok()
            .filter(|major| PG_VERSIONS.contains(major));
        if version.is_none() {
            self.add(PG_VERSION.problem(
                Some(&number.to_string()),
                "pgtls knows the configuration of other major versions only",
                format!(
                    "give a major version from {} to {}",
                    PG_VERSIONS.start(),
                    PG_VERSIONS.end()
                ),
            ));
        }
        version
    }

    fn algorithm(&mut self, answers: &Answers) -> Option<Algorithm> {
        let Some(text) = answers.algorithm.as_deref() else {
            return Some(Algorithm::P256);
        };
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == text);
        if algorithm.is_none() {
            self.add(ALGORITHM.problem(
                Some(text),
                "there is no such key algorithm",
                format!("give one of {}", Algorithm::ALL.map(Algorithm::name).join(", ")),
            ));
        }
        algorithm
    }

    fn certificates(&mut self, answers: &Answers) -> Option<CertificateSource> {
        let before = self.problems.len();
        let given = [
            (SERVER_CERT, &answers.server_cert),
            (SERVER_KEY, &answers.server_key),
            (ROOT, &answers.root),
        ]
        .map(|(field, path)| (field, self.path(field, path.as_ref())));
        let ca = [(CA_CERT, &answers.ca_cert), (CA_KEY, &answers.ca_key)]
            .map(|(field, path)| (field, self.path(field, path.as_ref())));
        if answers.names_a_server_certificate() && (answers.ca_cert.is_some() || answers.ca_key.is_some()) {
            self.add(CA_CERT.problem(
                None,
                "a CA and a finished server certificate are both given",
                "give --ca-cert with --ca-key, or --server-cert with --server-key and --root, not both",
            ));
        } else {
            self.complete(&given);
            self.complete(&ca);
        }
        if self.problems.len() > before {
            return None;
        }
        Some(match (given, ca) {
            ([(_, Some(certificate)), (_, Some(key)), (_, Some(root))], _) => CertificateSource::Given {
                certificate,
                key,
                root,
            },
            (_, [(_, Some(certificate)), (_, Some(key))]) => CertificateSource::Ca { certificate, key },
            _ => CertificateSource::Own,
        })
    }

    /// A CA whose key is elsewhere issues to the clients of a server of the person's own: none is made here to prove anything by.
    fn client_ca(&mut self, answers: &Answers, mode: Option<Mode>, run: Option<Run>) -> Option<PathBuf> {
        let path = self.path(CLIENT_CA, answers.client_ca.as_ref())?;
        if mode == Some(Mode::OneWay) {
            self.add(CLIENT_CA.problem(
                None,
                "nobody shows a client certificate in one-way mode",
                "leave it out, or ask for client certificates with --mode mtls",
            ));
        } else if run.is_some_and(|run| run != Run::None) {
            self.add(CLIENT_CA.problem(
                None,
                "no certificate of that CA can be made here, and without one a server of ours could not be proven",
                "put it on a server of your own: `pgtls harden CONNINFO --stage mtls --client-ca FILE`, or the files alone with \
                 --run none",
            ));
        }
        Some(path)
    }

    /// Files that go together: all or none.
    fn complete(&mut self, files: &[(Field, Option<PathBuf>)]) {
        if files.iter().all(|(_, path)| path.is_none()) {
            return;
        }
        let flags: Vec<_> = files.iter().map(|(field, _)| field.flag).collect();
        for (field, _) in files.iter().filter(|(_, path)| path.is_none()) {
            self.add(field.problem(
                None,
                format!("it is missing: {} go together", flags.join(", ")),
                "name that file too",
            ));
        }
    }

    fn path(&mut self, field: Field, path: Option<&PathBuf>) -> Option<PathBuf> {
        let path = path?;
        if path.as_os_str().is_empty() {
            self.add(field.problem(Some(""), "the path is empty", "name a file, or leave it out"));
        } else if path.to_str().is_none() {
            self.add(field.problem(
                Some(&path.to_string_lossy()),
                "the path is not UTF-8 and cannot be saved in pgtls.toml",
                "use a path in UTF-8",
            ));
        }
        Some(path.clone())
    }

    fn lifetimes(
        &mut self,
        answers: &Answers,
        mode: Option<Mode>,
        source: Option<&CertificateSource>,
    ) -> (u32, u32) {
        let before = self.problems.len();
        let days = self.days(DAYS, answers.days, DEFAULT_DAYS);
        let ca_days = self.days(CA_DAYS, answers.ca_days, DEFAULT_CA_DAYS);
        let makes_ca = match source {
            Some(CertificateSource::Own) => true,
            // Client certificates need a CA of our own even where the server's certificate is given.
            Some(CertificateSource::Given { .. }) => mode == Some(Mode::Mtls),
            Some(CertificateSource::Ca { .. }) | None => false,
        };
        if makes_ca && days > ca_days && self.problems.len() == before {
            self.add(DAYS.problem(
                Some(&days.to_string()),
                format!("certificates would outlive their CA, which lasts {ca_days} days"),
                format!("give at most {ca_days}, or a longer --ca-days"),
            ));
        }
        (days, ca_days)
    }

    fn days(&mut self, field: Field, number: Option<i64>, default: u32) -> u32 {
        let Some(number) = number else { return default };
        if let Ok(days @ 1..=LONGEST_DAYS) = u32::try_from(number) {
            return days;
        }
        self.add(field.problem(
            Some(&number.to_string()),
            "this is no lifetime in days",
            format!("give a number from 1 to {LONGEST_DAYS}"),
        ));
        default
    }
}
