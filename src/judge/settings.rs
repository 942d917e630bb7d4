//! Trust settings: what a `TRUSTED CERTIFICATE` block of a trust file says beside the certificate
//! (`openssl-x509(1)`, "Trust Settings").

use super::der::{self, Malformed, Reader, SEQUENCE};
use super::oid;
use super::path::Purpose;

/// For which uses a trusted certificate is trusted, and for which not; by default it is said for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TrustSettings {
    trusted: Option<Vec<Vec<u8>>>,
    rejected: Vec<Vec<u8>>,
}

/// What the settings say about one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing: a certificate counts as an anchor if it is self-signed.
    Nothing,
    /// It counts as an anchor, self-signed or not, and whatever uses it names itself.
    Trusted,
    /// It spoils every path that it is part of.
    Rejected,
}

impl TrustSettings {
    /// Reads what follows the certificate; nothing is no settings.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut settings = Self::default();
        if bytes.is_empty() {
            return Ok(settings);
        }
        let mut fields = Reader::new(bytes).expect(SEQUENCE)?.reader();
        if let Some(field) = fields.optional(SEQUENCE)? {
            settings.trusted = Some(uses(field.reader())?);
        }
        if let Some(field) = fields.optional(0xa0)? {
            settings.rejected = uses(field.reader())?;
        }
        // An alias, a key identifier, and what else there may be.
        fields.optional(0x0c)?;
        fields.optional(der::OCTET_STRING)?;
        fields.optional(0xa1)?;
        fields.end()?;
        Ok(settings)
    }

    /// `X509_check_trust(3)` but for the rule about self-signed certificates. anyExtendedKeyUsage stands for all uses, and
    /// uses that are listed without this one exclude it.
    pub(super) fn about(&self, purpose: Purpose) -> Said {
        const ANY: &[u8] = b"\x55\x1d\x25\x00";
        let wanted = match purpose {
            Purpose::Server => oid::SERVER_AUTH,
            Purpose::Client => oid::CLIENT_AUTH,
        };
        let covers = |uses: &[Vec<u8>]| uses.iter().any(|one| one == wanted || one == ANY);
        match &self.trusted {
            _ if covers(&self.rejected) => Said::Rejected,
            None => Said::Nothing,
            Some(trusted) if covers(trusted) => Said::Trusted,
            Some(_) => Said::Rejected,
        }
    }
}

fn uses(mut reader: Reader<'_>) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut uses = Vec::new();
    while !reader.is_empty() {
        uses.push(reader.object()?.to_vec());
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x01";
    const CLIENT: &[u8] = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02";
    const ANY: &[u8] = b"\x06\x04\x55\x1d\x25\x00";

    fn about(trusted: Option<&[&[u8]]>, rejected: &[&[u8]]) -> Said {
        let mut fields = Vec::new();
        if let Some(trusted) = trusted {
            fields.extend(der::encode(SEQUENCE, &trusted.concat()));
        }
        if !rejected.is_empty() {
            fields.extend(der::encode(0xa0, &rejected.concat()));
        }
        TrustSettings::parse(&der::encode(SEQUENCE, &fields))
            .unwrap()
            .about(Purpose::Server)
    }

    /// `openssl-x509(1)`, "Trust Settings", and `openssl-verification-options(1)`, "Trust Anchors".
    #[test]
    fn a_use_is_trusted_rejected_or_left_open() {
        assert_eq!(about(None, &[]), Said::Nothing);
        assert_eq!(about(None, &[CLIENT]), Said::Nothing);
        assert_eq!(about(Some(&[SERVER]), &[]), Said::Trusted);
        assert_eq!(about(Some(&[CLIENT, ANY]), &[]), Said::Trusted);
        for (trusted, rejected) in [
            (None, &[SERVER][..]),
            (None, &[CLIENT, ANY]),
            (Some(&[SERVER][..]), &[SERVER]),
            (Some(&[CLIENT]), &[]),
            (Some(&[]), &[]),
        ] {
            assert_eq!(
                about(trusted, rejected),
                Said::Rejected,
                "{trusted:?} {rejected:?}"
            );
        }
    }

    #[test]
    fn what_follows_a_certificate_is_settings_or_a_fault() {
        assert_eq!(TrustSettings::parse(b""), Ok(TrustSettings::default()));
        let named = der::encode(
            SEQUENCE,
            &[&der::encode(0x0c, b"alias")[..], b"\x04\x01k"].concat(),
        );
        assert_eq!(TrustSettings::parse(&named), Ok(TrustSettings::default()));
        for bytes in [&b"junk"[..], b"\x30\x02\x05\x00", b"\x30\x04\x30\x02\x05\x00"] {
            assert!(TrustSettings::parse(bytes).is_err(), "{bytes:?}");
        }
    }
}
