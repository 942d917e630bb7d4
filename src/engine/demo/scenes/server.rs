//! Client certificates, and renewal: the scenes for which the server itself is changed, which only the lesson's own is.

use secrecy::SecretString;
use time::OffsetDateTime;

use super::super::client::{Client, Held};
use super::super::own::{OTHER_ROLE, Own, ROLE, Rules};
use super::super::place::{passfile, secret};
use super::super::stage::{BALANCE, QUERY};
use super::super::{Middle, Told};
use super::{Play, Verdict};
use crate::conninfo::{Conninfo, Keyword, SslMode};
use crate::engine::Error;
use crate::pki::Identity;

/// How the server refuses who shows no certificate.
const NO_CERTIFICATE: &str = "valid client certificate";
/// What is done to the server for another certificate.
const RELOADED: &str = "new server.crt and server.key, then a reload (SIGHUP): no restart";

impl Play<'_> {
    pub(super) async fn mutual_tls(&mut self, own: &Own) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::Require);
        let theft = self.self_signed("The theft, as in scene 3", conninfo).await?;
        let Some(password) = theft.stolen().cloned() else {
            self.end(false, "no password could be stolen".to_owned());
            return Ok(());
        };
        self.begin(
            "The server's owner now demands a client certificate, too",
            own.demand(),
        );
        own.rules(&self.stage.place, Rules::Certificate).await?;
        self.server(
            "pg_hba.conf has this line now, and was read again. Its clientcert=verify-full is the server's check of clients, \
             and has nothing to do with sslmode.",
        );
        let bare = self.stolen(&password)?;
        let without = self.impostor("Stolen password alone", bare.clone()).await?;
        // Asked for a password, a client without any would say that it has none.
        let mute = bare
            .clone()
            .with(Keyword::Passfile, self.stage.place.path("impostor/none"));
        let mute = Box::pin(self.stage.client.ask(&mute, QUERY)).await?;
        let unasked = mute.complaints.iter().any(|line| line.contains(NO_CERTIFICATE));
        if unasked {
            self.server("says the same to a client without any password: it was not even asked for");
        }
        let conninfo = self.showing(bare.clone(), "other-ca", &self.stage.foreign_client()?)?;
        let foreign = self
            .impostor("With a certificate of another CA", conninfo)
            .await?;
        let foreigner =
            !foreign.said.ok && (foreign.refused_with("unknown ca") || foreign.refused_with("unknown_ca"));
        if foreigner {
            self.server("broke the handshake off with the alert unknown_ca: I do not know that CA");
        }
        let conninfo = self.showing(bare, OTHER_ROLE, &self.stage.other_client()?)?;
        let other = self.impostor("Bob's, of the right CA", conninfo).await?;
        let by_role = other.refused_with("authentication failed");
        if by_role {
            self.server(
                "refuses in the words for a wrong password, but the password was right: the certificate is bob's, not ann's",
            );
        }
        let owner = self.stage.conninfo(SslMode::VerifyFull);
        let owner = self.stage.with_certificate(owner);
        let owner = self
            .act(
                "Ann, with her password and her certificate",
                owner,
                Middle::Nobody,
                None,
            )
            .await?;
        let refused = without.refused_with(NO_CERTIFICATE) && unasked;
        let let_in = owner.answer() == Some(BALANCE);
        let deaf = [&theft, &without, &foreign, &other, &owner]
            .iter()
            .all(|acted| !acted.was_captured(QUERY));
        self.end(
            refused && foreigner && by_role && let_in && deaf,
            format!(
                "with the stolen password and no certificate: {}; with one of another CA: {}; with bob's, of the right CA: {}; \
                 Ann: {}",
                without.last_words(),
                foreign.last_words(),
                other.last_words(),
                owner.last_words()
            ),
        );
        Ok(())
    }

    /// How an impostor logs in: with the password that was stolen, and no certificate.
    fn stolen(&self, password: &SecretString) -> Result<Conninfo, Error> {
        const FILE: &str = "impostor/passfile";
        let place = &self.stage.place;
        place.put(&[passfile(FILE, ROLE, password)])?;
        let conninfo = self.stage.conninfo(SslMode::Require);
        Ok(conninfo.with(Keyword::Passfile, place.path(FILE)))
    }

    /// The same with a certificate, whose files have this name.
    fn showing(&self, conninfo: Conninfo, name: &str, identity: &Identity) -> Result<Conninfo, Error> {
        let (certificate, key) = (format!("impostor/{name}.crt"), format!("impostor/{name}.key"));
        let place = &self.stage.place;
        place.put(&[
            secret(
                &certificate,
                identity.chain_pem().into_bytes(),
                "an impostor's certificate",
            ),
            secret(
                &key,
                identity.key().to_pem().as_bytes().to_vec(),
                "an impostor's key",
            ),
        ])?;
        Ok(conninfo
            .with(Keyword::Sslcert, place.path(&certificate))
            .with(Keyword::Sslkey, place.path(&key)))
    }

    pub(super) async fn renewal(&mut self, own: &Own) -> Verdict {
        let now = OffsetDateTime::now_utc();
        let conninfo = self.stage.conninfo(SslMode::VerifyFull);
        self.begin(
            "A session is opened, and stays open",
            Client::command_in_short(&conninfo),
        );
        let first = own.served().await?;
        self.server(format!(
            "serves {} until {}",
            short(&first.serial_hex()),
            first.not_after().date()
        ));
        let mut held = match self.stage.client.hold(&conninfo).await? {
            Ok(held) => held,
            Err(why) => {
                self.end(false, format!("no session could be opened: {why}"));
                return Ok(());
            }
        };
        let begun = self.held(&mut held).await?;
        self.begin("The server is given a certificate that ended yesterday", RELOADED);
        let expired = self.stage.certificate(1, now - time::Duration::days(2))?;
        own.show(&self.stage.place, &expired).await?;
        self.server(format!(
            "serves {} now, which ended on {}",
            short(&expired.leaf().serial_hex()),
            expired.leaf().not_after().date()
        ));
        let late = self
            .direct("A new client, while it is expired", SslMode::VerifyFull)
            .await?;
        let during = self.held(&mut held).await?;
        self.begin("The server is given a new certificate", RELOADED);
        let renewed = self.stage.certificate(90, now)?;
        own.show(&self.stage.place, &renewed).await?;
        let served = own.served().await?;
        self.server(format!(
            "serves {} now, until {}",
            short(&served.serial_hex()),
            served.not_after().date()
        ));
        let new = self
            .direct("A new client, after the renewal", SslMode::VerifyFull)
            .await?;
        let after = self.held(&mut held).await?;
        held.end().await;
        let refused = late.refused_with("certificate") && !late.was_captured(QUERY);
        let stayed = begun.is_some() && begun == during && during == after;
        let is_new = served.serial_hex() == renewed.leaf().serial_hex() && new.answer() == Some(BALANCE);
        self.end(
            refused && stayed && is_new,
            format!(
                "expired: {}; renewed: the client printed {}; the open session {}",
                late.last_words(),
                new.last_words(),
                if stayed {
                    "answered throughout, by the same server process"
                } else {
                    "did not stay"
                }
            ),
        );
        Ok(())
    }

    /// Asks the open session which process answers it.
    async fn held(&mut self, held: &mut Held) -> Result<Option<String>, Error> {
        let process = held.ask("SELECT pg_backend_pid()").await?;
        let says = match &process {
            Some(process) => format!("the open session answers, from server process {process}"),
            None => "the open session is over".to_owned(),
        };
        self.course.evidence.push(says.clone());
        Told::Server(says).to(self.tell);
        Ok(process)
    }
}

/// The beginning of a serial number: enough to tell two apart.
fn short(serial: &str) -> String {
    format!("certificate {}…", serial.chars().take(11).collect::<String>())
}
