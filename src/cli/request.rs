//! From flags to a request of the engine.

use std::path::Path;

use time::OffsetDateTime;

use crate::engine::{self, Error, Renew, Request, Secrets, USUAL_PORT};
use crate::setup::{Answers, CertificateSource, ClientAnswer, Problem, whole_number};

use super::args::{Global, SetupArgs};
use super::prompt::Prompt;

/// The request that these flags make for a server that is there; what nobody answered is judged once it is known.
pub fn request_for_live(global: &Global, args: &SetupArgs, prompt: Prompt) -> Result<Request, Error> {
    let mut request = plain(global, args, answers(args)?);
    let keys: Vec<&Path> = [&args.ca_key, &args.server_key]
        .into_iter()
        .flatten()
        .map(std::path::PathBuf::as_path)
        .collect();
    request.secrets.key_passphrase = prompt.passphrase(args.passphrase_file.as_deref(), &keys)?;
    Ok(request)
}

fn plain(global: &Global, args: &SetupArgs, flags: Answers) -> Request {
    Request {
        dir: global.dir.clone(),
        flags,
        answers_file: args.answers.clone(),
        secrets: Secrets::default(),
        renew: Renew::Nothing,
        gathered: None,
        first_port: USUAL_PORT,
        now: OffsetDateTime::now_utc(),
    }
}

/// The request that these flags make.
pub fn request(global: &Global, args: &SetupArgs, prompt: Prompt) -> Result<Request, Error> {
    let (flags, mut problems) = read(args);
    let mut request = plain(global, args, flags);
    // What else is wrong is said in the same breath.
    let setup = match engine::setup(&request) {
        Ok(setup) if problems.is_empty() => setup,
        Err(Error::Answers(more)) => {
            problems.extend(more);
            return Err(Error::Answers(problems));
        }
        Ok(_) => return Err(Error::Answers(problems)),
        Err(other) => return Err(other),
    };
    if let Some(file) = &setup.password_file {
        request.secrets.password = Some(engine::secret("the password file (--password-file)", file)?);
    }
    let keys: Vec<&Path> = match &setup.certificates {
        CertificateSource::Own => Vec::new(),
        CertificateSource::Ca { key, .. } | CertificateSource::Given { key, .. } => vec![key],
    };
    request.secrets.key_passphrase = prompt.passphrase(args.passphrase_file.as_deref(), &keys)?;
    Ok(request)
}

/// The answers that these flags give.
pub(super) fn answers(args: &SetupArgs) -> Result<Answers, Error> {
    match read(args) {
        (answers, problems) if problems.is_empty() => Ok(answers),
        (_, problems) => Err(Error::Answers(problems)),
    }
}

/// The same, without those that cannot be read, and what is wrong with these.
fn read(args: &SetupArgs) -> (Answers, Vec<Problem>) {
    let args = args.clone();
    let mut problems = Vec::new();
    let mut number = |flag, key, text: Option<String>| {
        whole_number(flag, key, &text?)
            .map_err(|problem| problems.push(problem))
            .ok()
    };
    let answers = Answers {
        port: number("--port", "port", args.port),
        pg_version: number("--pg-version", "pg-version", args.pg_version),
        days: number("--days", "days", args.days),
        ca_days: number("--ca-days", "ca-days", args.ca_days),
        mode: args.mode,
        auth: args.auth,
        run: args.run,
        hosts: args.host,
        user: args.user,
        database: args.database,
        allow: args.allow,
        access: Vec::new(),
        clients: args
            .client
            .iter()
            .map(|client| ClientAnswer::from_flag(client))
            .collect(),
        pg_bin: args.pg_bin,
        image: args.image,
        algorithm: args.algorithm,
        ca_cert: args.ca_cert,
        ca_key: args.ca_key,
        server_cert: args.server_cert,
        server_key: args.server_key,
        root: args.root,
        client_ca: args.client_ca,
        password_file: args.password_file,
    };
    (answers, problems)
}
