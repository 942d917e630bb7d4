//! What each `sslmode` is worth against a server on this machine: the clients, the impostors, and the matrix.

use crate::conninfo::{Conninfo, Environment, Keyword, SslMode};
use crate::dial::Address;
use crate::judge::{Purpose, judge_chain, judge_name};
use crate::pki::{Algorithm, Authority, HostName, Identity, printable};
use crate::plan::Layout;
use crate::verify::Target;
use crate::verify::modes::{Matrix, Props, SOMEBODY_ELSE, Subject, Told, WrongName, matrix};

use super::{Error, Event, Means, Teller, files, target};

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
    // One way to the log is enough.
    let bare = Means {
        admin: None,
        ..means.clone()
    };
    let mut subjects = Vec::with_capacity(SslMode::ALL.len());
    for &sslmode in SslMode::ALL {
        let dialled = match target::caller(
            conninfo.clone().with(Keyword::Sslmode, sslmode.word()),
            env,
            &bare,
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
    Ok(Box::pin(matrix(&subjects, &props, &strict, &tell)).await)
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
                None if addresses.is_empty() => {
                    Err(not_here(format!("this machine does not know the name {address}")))
                }
                None => Ok(()),
            }
        }
    }
}

/// A server certificate of the CA that the client trusts, for a name that was not dialled: given, or issued where the
/// project's CA has its key. Without one the server's own is shown under another name; what is given and does not fit is
/// said.
fn wrong_name(target: &Target, means: &Means) -> Result<Option<WrongName>, String> {
    let Some((identity, from)) = (match &means.other {
        Some((certificate, key)) => Some(given(certificate, key, means)?),
        None => issued(means),
    }) else {
        return Ok(None);
    };
    let chain: Vec<_> = identity
        .chain()
        .iter()
        .map(|one| one.der().to_vec().into())
        .collect();
    if !target.trust.is_empty()
        && let Err(refusal) = judge_chain(&chain, &target.trust, Purpose::Server, means.now)
    {
        // The project's CA need not be that of this server.
        if means.other.is_none() {
            return Ok(None);
        }
        return Err(format!(
            "{from}: as a server's it would be refused whatever its name: {refusal}"
        ));
    }
    match judge_name(identity.leaf().der(), &target.host) {
        Ok(_) => Err(format!(
            "{from}: it is for {}, the very name that is dialled",
            printable(&target.host)
        )),
        Err(_) => Ok(Some(WrongName { identity, from })),
    }
}

fn given(
    certificate: &std::path::Path,
    key: &std::path::Path,
    means: &Means,
) -> Result<(Identity, String), String> {
    let words = |error: Error| error.to_string();
    let from = format!("{} (--other-cert)", certificate.display());
    let chain =
        files::must_read("the certificate for another name (--other-cert)", certificate).map_err(words)?;
    let key = files::must_read("its key (--other-key)", key).map_err(words)?;
    match Identity::load(&chain, &key, means.key_passphrase.as_ref()) {
        Ok(identity) => Ok((identity, from)),
        Err(error) => Err(format!("{from}: {error}")),
    }
}

/// Of the project's CA, if its key is there and can be used.
fn issued(means: &Means) -> Option<(Identity, String)> {
    let read = |path: &str| files::read("the CA", &means.dir.join(path)).ok().flatten();
    let (certificate, key) = (read(Layout::CA_CERT)?, read(Layout::CA_KEY)?);
    let authority = Authority::load(&certificate, &key, means.key_passphrase.as_ref(), means.now).ok()?;
    let identity = authority
        .issue_server(
            &[HostName::Dns(SOMEBODY_ELSE.to_owned())],
            Algorithm::P256,
            1,
            means.now,
        )
        .ok()?;
    let from = format!(
        "a certificate for {SOMEBODY_ELSE} by the CA in {}",
        means.dir.join(Layout::CA_CERT).display()
    );
    Some((identity, from))
}
