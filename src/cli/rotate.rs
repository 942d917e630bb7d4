//! `pgtls csr`, and `pgtls renew` for a server of the person's own.

use std::path::Path;

use serde::Serialize;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::apply::Action;
use crate::engine::{self, Error, Given, Issued, Rotation, Secrets, Stage, Subject};
use crate::pki::{Algorithm, Certificate, HostName, printable};
use crate::plan::{Layout, shell};
use crate::server;
use crate::setup::CertificateSource;

use super::args::{CsrArgs, Global, RenewArgs};
use super::output::{Output, object};
use super::prompt::Prompt;
use super::{Exit, drive};

#[derive(Debug, Serialize)]
struct Asked {
    request: String,
    key: String,
    names: Vec<String>,
    algorithm: String,
    kept_key: bool,
}

#[derive(Debug, Serialize)]
struct Filed {
    certificate: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    subject: String,
    issuer: String,
    not_after: String,
}

impl Filed {
    fn new(certificate: String, key: String, root: Option<String>, issued: &Certificate) -> Self {
        Self {
            certificate,
            key,
            root,
            subject: printable(issued.subject()),
            issuer: printable(issued.issuer()),
            not_after: issued.not_after().date().to_string(),
        }
    }
}

/// Files what a CA answered to the request of a client.
fn answer(
    global: &Global,
    cn: &str,
    cert: &Path,
    root: Option<&Path>,
    output: Output,
) -> Result<Exit, Error> {
    let filed = engine::file_answer(&global.dir, cn, cert, root, OffsetDateTime::now_utc())?;
    let [certificate, key] = filed.files.map(|path| path.display().to_string());
    if output.json() {
        object(&Filed::new(certificate, key, None, &filed.certificate));
        return Ok(Exit::Holds);
    }
    for note in &filed.notes {
        output.remark(note);
    }
    output.say(format_args!("  sslcert  {certificate}"));
    output.say(format_args!("  sslkey   {key} (0600)"));
    output.promise(
        Some(true),
        &format!(
            "Filed: the certificate of {}, issued by {}, until {}",
            printable(cn),
            printable(filed.certificate.issuer()),
            filed.certificate.not_after().date()
        ),
    );
    Ok(Exit::Holds)
}

/// Files what a CA answered to the request of the server.
fn server_answer(
    global: &Global,
    hosts: &[HostName],
    cert: &Path,
    root: Option<&Path>,
    output: Output,
) -> Result<Exit, Error> {
    let filed = engine::file_server_answer(&global.dir, hosts, cert, root, OffsetDateTime::now_utc())?;
    let [certificate, root] = filed.files.map(|path| path.display().to_string());
    let key = engine::absolute(&global.dir).join(Layout::REQUEST_KEY);
    let key = key.display().to_string();
    if output.json() {
        object(&Filed::new(certificate, key, Some(root), &filed.certificate));
        return Ok(Exit::Holds);
    }
    for note in &filed.notes {
        output.remark(note);
    }
    output.promise(
        Some(true),
        &format!(
            "Filed: the server's certificate, issued by {}, until {}",
            printable(filed.certificate.issuer()),
            filed.certificate.not_after().date()
        ),
    );
    output.say(format_args!(
        "  put it in force:  pgtls harden CONNINFO --stage on --server-cert {} --server-key {} --root {}",
        shell(&certificate),
        shell(&key),
        shell(&root)
    ));
    Ok(Exit::Holds)
}

/// Makes a key and a request.
pub fn csr(global: &Global, args: &CsrArgs, output: Output) -> Result<Exit, Error> {
    if let (Some(cn), Some(cert)) = (&args.client, &args.cert) {
        return answer(global, cn, cert, args.root.as_deref(), output);
    }
    if let Some(cert) = &args.cert {
        return server_answer(global, &hosts(&args.host)?, cert, args.root.as_deref(), output);
    }
    let subject = match &args.client {
        Some(cn) => Subject::Client(cn.clone()),
        None => Subject::Server(hosts(&args.host)?),
    };
    let algorithm = args.algorithm.as_deref().map(algorithm).transpose()?;
    let asked = engine::ask(&global.dir, &subject, algorithm, args.new_key)?;
    if output.json() {
        object(&Asked {
            request: asked.request.display().to_string(),
            key: asked.key.display().to_string(),
            names: asked.names,
            algorithm: asked.algorithm,
            kept_key: asked.kept_key,
        });
        return Ok(Exit::Holds);
    }
    output.say(format_args!("  request  {}", asked.request.display()));
    output.say(format_args!(
        "  asks for {} ({})",
        asked.names.join(", "),
        asked.algorithm
    ));
    output.say(format_args!(
        "  key      {} (0600; it never leaves this machine)",
        asked.key.display()
    ));
    if asked.kept_key {
        output.remark("the key of the earlier request is used again; --new-key makes another");
    }
    output.remark(match args.client {
        None => {
            "send the request to your CA; with its answer: pgtls renew CONNINFO --config-dir DIR --cert FILE, or for a server \
             without TLS: pgtls csr --cert FILE --root FILE"
        }
        Some(_) => {
            "send the request to your CA; with its answer: pgtls csr --client CN --cert FILE --root FILE (its root)"
        }
    });
    Ok(Exit::Holds)
}

fn hosts(names: &[String]) -> Result<Vec<HostName>, Error> {
    names
        .iter()
        .map(|name| {
            name.parse().map_err(|error| Error::DoesNotFit {
                what: format!("--host {}: {error}", printable(name)),
                remedy: "give a DNS name or an IP address".to_owned(),
            })
        })
        .collect()
}

fn algorithm(name: &str) -> Result<Algorithm, Error> {
    name.parse().map_err(|_| Error::DoesNotFit {
        what: format!("--algorithm {}: there is none of that name", printable(name)),
        remedy: "one of p256, p384, rsa2048, rsa3072, rsa4096, ed25519".to_owned(),
    })
}

/// Whether it is about a server of the person's own rather than the project's.
pub fn is_elsewhere(args: &RenewArgs) -> bool {
    args.conninfo.is_some()
        || args.config_dir.is_some()
        || args.cert.is_some()
        || args.from.is_some()
        || args.exec.is_some()
        || args.crl.is_some()
}

#[derive(Debug, Serialize)]
struct NotDue {
    dir: String,
    files: [String; 0],
    serial: String,
    not_after: String,
    served: Option<bool>,
}

/// With --expiring: whether the certificate that the project's CA issued lasts longer, so that there is nothing to do.
pub fn is_not_due(global: &Global, args: &RenewArgs, output: Output) -> Result<Option<Exit>, Error> {
    let Some(days) = args.expiring else {
        return Ok(None);
    };
    let path = global.dir.join(Layout::SERVER_CERT);
    let Some(bytes) = engine::read("the present certificate", &path)? else {
        return Ok(None);
    };
    let leaf = Certificate::from_pem(&bytes)
        .ok()
        .and_then(|chain| chain.into_iter().next());
    let Some(leaf) = leaf.filter(|leaf| leaf.days_left(OffsetDateTime::now_utc()) > i64::from(days)) else {
        return Ok(None);
    };
    let not_after = leaf.not_after().date().to_string();
    if output.json() {
        object(&NotDue {
            dir: engine::absolute(&global.dir).display().to_string(),
            files: [],
            serial: leaf.serial_hex(),
            not_after,
            served: None,
        });
    } else {
        output.say(format_args!(
            "  not due: the present certificate is valid until {not_after}"
        ));
    }
    Ok(Some(Exit::Holds))
}

#[derive(Debug, Serialize)]
struct Units {
    files: Vec<String>,
}

/// Writes the files by which it is renewed without anybody at hand.
pub fn units(global: &Global, args: &RenewArgs, to: &Path, output: Output) -> Result<Exit, Error> {
    let conninfo = args
        .conninfo
        .as_deref()
        .map(|text| super::verify::given(text, output))
        .transpose()?;
    let server = match (conninfo, &args.config_dir) {
        (Some(conninfo), Some(config_dir)) => Some((conninfo, config_dir.clone())),
        (None, None) if engine::belongs_to_a_server(&global.dir)? => {
            let timeout = super::verify::timeout(args.timeout)?;
            let tell = output.teller();
            Some(drive(engine::look_first(
                &global.dir,
                None,
                None,
                false,
                timeout,
                &tell,
            ))?)
        }
        (None, None) => None,
        _ => {
            return Err(Error::DoesNotFit {
                what: "a server elsewhere takes both, how it is reached and where its files are".to_owned(),
                remedy: "pgtls renew CONNINFO --config-dir DIR --units DIR".to_owned(),
            });
        }
    };
    if server.is_none() {
        engine::project(&global.dir)?;
    }
    let path = |path: &Path| engine::absolute(path).display().to_string();
    let mut arguments = vec!["renew".to_owned()];
    // Without a password, which everybody on the machine could read there.
    arguments.extend(server.as_ref().map(|(conninfo, _)| conninfo.to_keyword_value()));
    let mut option = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            arguments.extend([format!("--{name}"), value]);
        }
    };
    option(
        "config-dir",
        server.as_ref().map(|(_, directory)| path(directory)),
    );
    option("dir", Some(path(&global.dir)));
    option("from", args.from.as_deref().map(path));
    option("exec", args.exec.clone());
    option("root", args.root.as_deref().map(path));
    option("crl", args.crl.as_deref().map(path));
    for host in &args.host {
        option("host", Some(host.clone()));
    }
    let is_given = args.from.is_some() || args.exec.is_some() || args.crl.is_some();
    let expiring = args.expiring.or((!is_given).then_some(30));
    option("expiring", expiring.map(|days| days.to_string()));
    arguments.extend(["--yes", "--quiet"].map(str::to_owned));
    let wanted = engine::Units {
        to: to.to_path_buf(),
        dir: global.dir.clone(),
        server,
        arguments,
        reads: [&args.from, &args.root, &args.crl]
            .into_iter()
            .flatten()
            .map(|path| engine::absolute(path))
            .collect(),
        from_another_tool: args.from.is_some() || args.exec.is_some(),
        timeout: super::verify::timeout(args.timeout)?,
    };
    let files = drive(engine::units(&wanted))?;
    let files: Vec<_> = files.iter().map(|file| file.display().to_string()).collect();
    if output.json() {
        object(&Units { files });
        return Ok(Exit::Holds);
    }
    for file in &files {
        output.say(format_args!("  wrote  {file}"));
    }
    output.remark("nothing is installed: each file says at its head where it goes");
    Ok(Exit::Holds)
}

#[derive(Debug, Serialize)]
struct Rotated {
    dir: String,
    server: String,
    files: Vec<String>,
    serial: String,
    not_after: String,
    served: bool,
    notes: Vec<String>,
}

/// Puts what is given in force on a running server.
pub fn renew(global: &Global, args: &RenewArgs, output: Output) -> Result<Exit, Error> {
    let prompt = Prompt::new(global);
    let timeout = super::verify::timeout(args.timeout)?;
    let conninfo = args
        .conninfo
        .as_deref()
        .map(|text| super::verify::given(text, output))
        .transpose()?;
    let keys: Vec<&Path> = args.key.iter().map(std::path::PathBuf::as_path).collect();
    let passphrase = prompt.passphrase(args.passphrase_file.as_deref(), &keys)?;
    let tell = output.teller();
    let given = Given {
        certificate: args.cert.clone(),
        key: args.key.clone(),
        from: args.from.clone(),
        said: said(args)?,
        root: args.root.clone(),
        passphrase: passphrase.clone(),
    };
    let is_given = given.certificate.is_some() || given.from.is_some() || given.said.is_some();
    let now = OffsetDateTime::now_utc();
    let (mut conninfo, mut config_dir) = (conninfo, args.config_dir.clone());
    let issued = if is_given || args.crl.is_some() {
        None
    } else {
        can_issue(global)?;
        let look = engine::look_first(&global.dir, conninfo, config_dir.as_deref(), true, timeout, &tell);
        let (found, directory) = drive(look)?;
        (conninfo, config_dir) = (Some(found), Some(directory));
        let secrets = Secrets {
            key_passphrase: passphrase,
            password: None,
        };
        Some(issue(global, args, prompt, &secrets, output)?)
    };
    let rotation = Rotation {
        dir: global.dir.clone(),
        conninfo,
        config_dir,
        given,
        issued,
        list: args.crl.clone(),
        hosts: hosts(&args.host)?,
        timeout,
        now,
    };
    let rotated = drive(engine::rotate_issued(rotation, &tell))?;
    let serial = rotated.certificate.serial_hex();
    let not_after = rotated.certificate.not_after().date().to_string();
    if output.json() {
        object(&Rotated {
            dir: rotated.dir.display().to_string(),
            server: rotated.host,
            files: rotated
                .files
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
            serial,
            not_after,
            served: true,
            notes: rotated.notes,
        });
        return Ok(Exit::Holds);
    }
    for path in &rotated.files {
        output.say(format_args!("  changed  {}", path.display()));
    }
    output.say(format_args!(
        "  {} serves serial {serial}, valid until {not_after}; open sessions were not touched",
        rotated.host
    ));
    for note in &rotated.notes {
        output.remark(note);
    }
    if !rotated.files.is_empty() {
        output.remark(format_args!(
            "`pgtls undo --dir {}` takes it back",
            rotated.dir.display()
        ));
    }
    super::manage::say_next(global, args, output);
    Ok(Exit::Holds)
}

/// New certificates by the project's own CA, for a server elsewhere.
fn issue(
    global: &Global,
    args: &RenewArgs,
    prompt: Prompt,
    secrets: &Secrets,
    output: Output,
) -> Result<Issued, Error> {
    let what = super::manage::what(args, prompt)?;
    let ours = cas(global)?;
    let renewal = drive(engine::renew(
        &global.dir,
        secrets,
        what,
        &prompt,
        super::verify::timeout(args.timeout)?,
        OffsetDateTime::now_utc(),
        &output.teller(),
    ))?;
    let credentials = &renewal.gathered.credentials;
    let stay = |one: &Certificate| credentials.client_roots.contains(one);
    Ok(Issued {
        withdrawn: ours.into_iter().filter(|one| !stay(one)).collect(),
        identity: credentials.server.clone(),
        client_roots: credentials.client_roots.clone(),
        newcomer: match credentials.client_roots.as_slice() {
            [] => None,
            _ => engine::newcomer(&renewal.gathered),
        },
        stage: args.stage.map(Stage::from),
        written: renewal
            .written
            .files
            .iter()
            .any(|file| file.action != Action::Kept),
    })
}

/// The CAs of clients that the project has now.
fn cas(global: &Global) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for name in [
        Layout::CA_CERT,
        Layout::NEXT_CERT,
        Layout::OLD_CERT,
        Layout::SERVER_ROOT,
    ] {
        let bytes = engine::read("the CA", &global.dir.join(name))?.unwrap_or_default();
        all.extend(Certificate::from_pem(&bytes).unwrap_or_default());
    }
    Ok(all)
}

/// Whether there is a CA here that can issue.
fn can_issue(global: &Global) -> Result<(), Error> {
    let nothing = |what: &str| Error::DoesNotFit {
        what: what.to_owned(),
        remedy: "give the new certificate with --cert FILE, or where another tool writes it with --from DIR"
            .to_owned(),
    };
    let setup = match engine::project(&global.dir) {
        Err(Error::NoProject(_)) => {
            return Err(nothing(
                "there is no CA here (no pgtls.toml in --dir) to issue a certificate",
            ));
        }
        other => other?,
    };
    if matches!(setup.certificates, CertificateSource::Given { .. }) {
        return Err(nothing(
            "the project's certificate was given to it: there is no CA here to issue another",
        ));
    }
    Ok(())
}

/// What the program of `--exec` printed, unless what it wrote to `--from` is meant.
fn said(args: &RenewArgs) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    let Some(line) = &args.exec else { return Ok(None) };
    let words = words(line).ok_or_else(|| Error::DoesNotFit {
        what: "--exec: a quote is not closed".to_owned(),
        remedy: "close it; the words are parted at blanks, nothing else of a shell is known".to_owned(),
    })?;
    let limit = super::verify::timeout(args.exec_timeout)?;
    let said = drive(async { Ok(server::run_program(&words, limit).await?) })?;
    Ok(args.from.is_none().then(|| Zeroizing::new(said.into_bytes())))
}

/// The words of a line: parted at blanks, quotes keep blanks together, a backslash takes the next character as it is.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\\', None | Some('"')) => word.get_or_insert_default().push(characters.next()?),
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_parted_as_a_person_expects_and_nothing_is_expanded() {
        let parted = |line: &str| words(line);
        assert_eq!(
            parted("step ca renew  --force '/a b/c.crt' \"x\\\"y\" $HOME *"),
            Some(
                [
                    "step",
                    "ca",
                    "renew",
                    "--force",
                    "/a b/c.crt",
                    "x\"y",
                    "$HOME",
                    "*"
                ]
                .map(str::to_owned)
                .to_vec()
            )
        );
        assert_eq!(parted("a ''"), Some(vec!["a".to_owned(), String::new()]));
        assert_eq!(parted("a 'b"), None);
        assert_eq!(parted("a\\"), None);
    }
}
