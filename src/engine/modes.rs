//! What each `sslmode` is worth against a server on this machine: the clients, the impostors, and the matrix.

use crate::conninfo::{Conninfo, Environment, Keyword, SslMode};
use crate::dial::Address;
use crate::judge::{Purpose, judge_chain, judge_name};
use crate::pki::{Algorithm, Authority, HostName, Identity, printable};
use crate::plan::Layout;
use crate::verify::Target;
use crate::verify::modes::{Matrix, Props, Subject, Told, matrix};

use super::{Error, Event, Means, Teller, files, target};

/// The modes, from the weakest to the strongest.
const MODES: [SslMode; 6] = [
    SslMode::Disable,
    SslMode::Allow,
    SslMode::Prefer,
    SslMode::Require,
    SslMode::VerifyCa,
    SslMode::VerifyFull,
];

/// A name that nobody has (RFC 2606).
const SOMEBODY_ELSE: &str = "somebody-else.invalid";

/// Connects under each `sslmode`, to the server and to impostors in front of it.
pub async fn modes(
    conninfo: Conninfo,
    env: &Environment,
    means: &Means,
    teller: &Teller,
) -> Result<Matrix, Error> {
    let strict = target::target(
        conninfo
            .clone()
            .with(Keyword::Sslmode, SslMode::VerifyFull.word()),
        env,
        means,
    )
    .await?;
    must_be_here(&strict.address)?;
    let mut subjects = Vec::with_capacity(MODES.len());
    for sslmode in MODES {
        let dialled = match target::target(
            conninfo.clone().with(Keyword::Sslmode, sslmode.word()),
            env,
            means,
        )
        .await
        {
            Ok(target) => Ok(target),
            Err(Error::Conninfo(error)) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        subjects.push(Subject {
            sslmode,
            target: dialled,
        });
    }
    let props = Props::new(&strict.host, wrong_name(&strict, means), means.now);
    let tell = |told: &Told<'_>| {
        teller.tell(Event::Cell {
            sslmode: told.sslmode,
            root_file: told.root_file,
            cell: told.cell.clone(),
        });
    };
    Ok(Box::pin(matrix(&subjects, &props, &tell)).await)
}

/// An impostor stands only in front of a server of this machine, reached over loopback.
fn must_be_here(address: &Address) -> Result<(), Error> {
    let not_here = |what: String| {
        Error::DoesNotFit {
        what: format!("--modes puts impostors in front of the server, which it does on this machine's loopback only: {what}"),
        remedy: "run it on the server's own machine with host=localhost; for any other server use `pgtls verify`, which \
                 tries what can be tried from here"
            .to_owned(),
    }
    };
    match address {
        Address::Unix(_) => Err(not_here(format!(
            "{address} carries no TLS, and no sslmode matters there"
        ))),
        Address::Tcp { addresses, .. } => {
            match addresses.iter().find(|address| !address.ip().is_loopback()) {
                Some(elsewhere) => Err(not_here(format!("{address} is {}", elsewhere.ip()))),
                None => Ok(()),
            }
        }
    }
}

/// A server certificate of the CA that the client trusts, for a name that was not dialled: given, or issued where the
/// project's CA has its key. Else why there is none.
fn wrong_name(target: &Target, means: &Means) -> Result<Identity, String> {
    let identity = match &means.other {
        Some((certificate, key)) => given(certificate, key, means)?,
        None => issued(means)?,
    };
    let chain: Vec<_> = identity
        .chain()
        .iter()
        .map(|one| one.der().to_vec().into())
        .collect();
    if !target.trust.is_empty() {
        judge_chain(&chain, &target.trust, Purpose::Server, means.now).map_err(|refusal| {
            format!(
                "{}: as a server's it would be refused whatever its name: {refusal}",
                origin(means)
            )
        })?;
    }
    match judge_name(identity.leaf().der(), &target.host) {
        Ok(_) => Err(format!(
            "{}: it is for {}, the very name that is dialled",
            origin(means),
            printable(&target.host)
        )),
        Err(_) => Ok(identity),
    }
}

fn origin(means: &Means) -> String {
    match &means.other {
        Some((certificate, _)) => format!("{} (--other-cert)", certificate.display()),
        None => format!(
            "a certificate by the CA in {}",
            means.dir.join(Layout::CA_CERT).display()
        ),
    }
}

fn given(certificate: &std::path::Path, key: &std::path::Path, means: &Means) -> Result<Identity, String> {
    let words = |error: Error| error.to_string();
    let chain =
        files::must_read("the certificate for another name (--other-cert)", certificate).map_err(words)?;
    let key = files::must_read("its key (--other-key)", key).map_err(words)?;
    Identity::load(&chain, &key, means.key_passphrase.as_ref())
        .map_err(|error| format!("{}: {error}", origin(means)))
}

fn issued(means: &Means) -> Result<Identity, String> {
    let read = |path: &str| files::read("the CA", &means.dir.join(path)).ok().flatten();
    let (Some(certificate), Some(key)) = (read(Layout::CA_CERT), read(Layout::CA_KEY)) else {
        return Err(
            "needs a server certificate of the right CA for another name: give one with --other-cert and --other-key, or \
             the project's directory with --dir where the CA's key is"
                .to_owned(),
        );
    };
    let authority = Authority::load(&certificate, &key, means.key_passphrase.as_ref(), means.now)
        .map_err(|error| format!("the CA in {} cannot issue one: {error}", means.dir.display()))?;
    authority
        .issue_server(
            &[HostName::Dns(SOMEBODY_ELSE.to_owned())],
            Algorithm::P256,
            1,
            means.now,
        )
        .map_err(|error| format!("the CA in {} cannot issue one: {error}", means.dir.display()))
}
