//! A revocation list of a CA that has revoked nothing (RFC 5280 section 5): PostgreSQL wants one of every CA on the way to
//! the root as soon as it has one of any.

use time::{Duration, OffsetDateTime};

use super::template::{authority_key_id, extension, key_id};
use super::{Authority, AuthorityError, der};

/// For clocks that are behind.
const CLOCK_SKEW: Duration = Duration::hours(1);

impl Authority {
    /// Its list, DER: nothing is revoked, and it holds as long as the CA does. `None` where the CA may not sign one.
    pub fn empty_list(&self, now: OffsetDateTime) -> Result<Option<Vec<u8>>, AuthorityError> {
        let ca = self.certificate();
        if ca.key_usage().is_some_and(|usages| !usages.contains(&"cRLSign")) {
            return Ok(None);
        }
        let own_id = key_id(ca.public_key());
        let key_id = ca.subject_key_id().unwrap_or(&own_id);
        // Counted by the clock, so that a later one has a higher number.
        let number = now.unix_timestamp().max(0).to_be_bytes();
        let extensions = [
            authority_key_id(key_id),
            extension("2.5.29.20", false, &der::tlv(der::INTEGER, &number)),
        ];
        let algorithm = self.key().signature_identifier();
        let since = (now - CLOCK_SKEW).max(ca.not_before());
        let tbs = der::sequence(&[
            &der::tlv(der::INTEGER, &[1]),
            &algorithm,
            ca.subject_der(),
            &der::time(since),
            &der::time(ca.not_after()),
            &der::tlv(der::context(0), &der::sequence(&[&extensions.concat()])),
        ]);
        let signature = self.key().signer()?.sign(&tbs)?;
        Ok(Some(der::sequence(&[
            &tbs,
            &algorithm,
            &der::bit_string(&signature),
        ])))
    }
}
