//! What a server checks a password by: SCRAM-SHA-256 (RFC 5803, and `pg_authid.rolpassword`).
//!
//! It begins with random salt. One that is there and still fits its password is kept, so that a file that holds it
//! does not change from run to run.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

/// A foreign file must not cost minutes of hashing.
const MOST_ITERATIONS: u32 = 1_000_000;

/// The verifier at hand if it fits the password, else a new one.
pub(super) fn verifier(password: &SecretString, at_hand: Option<&str>) -> SecretString {
    match at_hand.filter(|verifier| fits(verifier, password).is_some()) {
        Some(verifier) => SecretString::from(verifier),
        None => SecretString::from(postgres_protocol::password::scram_sha_256(
            password.expose_secret().as_bytes(),
        )),
    }
}

/// `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, if that is what `password` makes of its salt.
fn fits(verifier: &str, password: &SecretString) -> Option<()> {
    let rest = verifier.strip_prefix("SCRAM-SHA-256$")?;
    let (parameters, keys) = rest.split_once('$')?;
    let (iterations, salt) = parameters.split_once(':')?;
    let (stored, server) = keys.split_once(':')?;
    let iterations = iterations
        .parse::<NonZeroU32>()
        .ok()
        .filter(|count| count.get() <= MOST_ITERATIONS)?;
    let [salt, stored, server] = [salt, stored, server].map(|text| STANDARD.decode(text).ok());
    // What SASLprep cannot prepare is taken as it is (RFC 5802, and PostgreSQL).
    let password = password.expose_secret();
    let prepared = stringprep::saslprep(password).unwrap_or(password.into());
    let mut salted = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        iterations,
        &salt?,
        prepared.as_bytes(),
        &mut *salted,
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let client = hmac::sign(&key, b"Client Key");
    let holds = digest::digest(&digest::SHA256, client.as_ref()).as_ref() == stored?
        && hmac::sign(&key, b"Server Key").as_ref() == server?;
    holds.then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: user `user`, password `pencil`.
    const PENCIL: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
                          WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn one_that_fits_is_kept_and_another_is_made_anew() {
        let pencil = SecretString::from("pencil");
        assert_eq!(verifier(&pencil, Some(PENCIL)).expose_secret(), PENCIL);
        let other = SecretString::from("pen");
        let made = verifier(&other, Some(PENCIL));
        assert_ne!(made.expose_secret(), PENCIL);
        assert_eq!(
            verifier(&other, Some(made.expose_secret())).expose_secret(),
            made.expose_secret()
        );
    }

    #[test]
    fn a_password_beyond_ascii_is_prepared_as_postgresql_does() {
        for password in ["Grüße", "I\u{ad}X", "\u{aa}"] {
            let password = SecretString::from(password);
            let made = verifier(&password, None);
            assert!(fits(made.expose_secret(), &password).is_some());
        }
    }

    #[test]
    fn what_is_no_verifier_fits_nothing() {
        let pencil = SecretString::from("pencil");
        for text in [
            "",
            "md5abc",
            "SCRAM-SHA-256$",
            "SCRAM-SHA-256$0:AA==$AA==:AA==",
            "SCRAM-SHA-256$4294967295:AA==$AA==:AA==",
            "SCRAM-SHA-256$4096:!$AA==:AA==",
        ] {
            assert!(fits(text, &pencil).is_none(), "{text}");
        }
    }
}
