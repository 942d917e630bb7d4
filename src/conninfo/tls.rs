//! What the parameters say about TLS (<https://www.postgresql.org/docs/18/libpq-ssl.html>).

use std::path::PathBuf;

use super::settings::Settings;
use super::{Environment, Error, Keyword, Located, RootCert, SslMode, SslNegotiation, TlsVersion};

/// How much of TLS is wanted, and how it begins.
pub(super) struct TlsModes {
    pub(super) sslmode: SslMode,
    pub(super) system_roots: bool,
    pub(super) negotiation: SslNegotiation,
}

/// `sslmode`, and the two settings that a weak one would make pointless.
pub(super) fn modes(settings: &Settings, default: SslMode) -> Result<TlsModes, Error> {
    let system_roots = settings.get(Keyword::Sslrootcert) == Some("system");
    // System roots without an sslmode mean verify-full, whoever asked.
    let default = if system_roots {
        SslMode::VerifyFull
    } else {
        default
    };
    let sslmode = SslMode::read(settings, Keyword::Sslmode, default)?;
    let weak = |reason, allowed| Error::WeakSslMode {
        sslmode: sslmode.word(),
        origin: Box::new(settings.origin(Keyword::Sslmode).clone()),
        reason,
        allowed,
    };
    if system_roots && sslmode != SslMode::VerifyFull {
        return Err(weak(
            "sslrootcert=system (anyone can get a certificate from a public CA)",
            "verify-full",
        ));
    }
    let negotiation = SslNegotiation::read(settings, Keyword::Sslnegotiation, SslNegotiation::Postgres)?;
    if negotiation == SslNegotiation::Direct && sslmode < SslMode::Require {
        return Err(weak("sslnegotiation=direct", "require, verify-ca or verify-full"));
    }
    Ok(TlsModes {
        sslmode,
        system_roots,
        negotiation,
    })
}

/// The files of the TLS layer
/// (<https://www.postgresql.org/docs/18/libpq-ssl.html#LIBPQ-SSL-FILEUSAGE>).
pub(super) struct Files {
    pub(super) root: RootCert,
    pub(super) cert: Located,
    pub(super) key: Located,
    pub(super) crl: Located,
    pub(super) crl_dir: Option<PathBuf>,
}

/// Each file as named, else at its default place.
pub(super) fn files(settings: &Settings, env: &Environment, system_roots: bool) -> Files {
    let path = |keyword| settings.filled(keyword).map(PathBuf::from);
    let located = |keyword, name: &str| match (path(keyword), env.at_home(".postgresql")) {
        (Some(named), _) => Located::Named(named),
        (None, Some(home)) => Located::Default(home.join(name)),
        (None, None) => Located::Nowhere,
    };
    let crl_dir = path(Keyword::Sslcrldir);
    let crl = match located(Keyword::Sslcrl, "root.crl") {
        Located::Default(_) if crl_dir.is_some() => Located::Nowhere,
        located => located,
    };
    let root = if system_roots {
        RootCert::System
    } else {
        RootCert::File(located(Keyword::Sslrootcert, "root.crt"))
    };
    Files {
        root,
        cert: located(Keyword::Sslcert, "postgresql.crt"),
        key: located(Keyword::Sslkey, "postgresql.key"),
        crl,
        crl_dir,
    }
}

/// The TLS versions that are allowed; an empty bound is none.
pub(super) fn versions(settings: &Settings) -> Result<(Option<TlsVersion>, Option<TlsVersion>), Error> {
    let (min, max) = (Keyword::SslMinProtocolVersion, Keyword::SslMaxProtocolVersion);
    let low = TlsVersion::bound(settings, min, Some(TlsVersion::Tls1_2))?;
    let high = TlsVersion::bound(settings, max, None)?;
    match (low, high) {
        (Some(low), Some(high)) if low > high => Err(Error::EmptyRange {
            min,
            low: low.word(),
            max,
            high: high.word(),
        }),
        range => Ok(range),
    }
}
