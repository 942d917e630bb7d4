//! Client certificates, and renewal: the scenes for which the server itself is changed, which only the lesson's own is.

use std::path::PathBuf;

use secrecy::SecretString;
use time::OffsetDateTime;

use super::super::client::{Client, Held};
use super::super::own::{Own, ROLE, Rules};
use super::super::place::{passfile, secret};
use super::super::stage::{BALANCE, QUERY};
use super::super::{Middle, Told};
use super::{Play, Verdict};
use crate::conninfo::{Conninfo, Keyword, SslMode};
use crate::engine::Error;

impl Play<'_> {
    pub(super) async fn mutual_tls(&mut self, own: &Own) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::Require);
        let theft = self
            .self_signed("The theft, by the impostor of scene 3", conninfo.clone())
            .await?;
        let Some(password) = theft.stolen().cloned() else {
            self.end(false, "no password could be stolen".to_owned());
            return Ok(());
        };
        own.rules(&self.stage.place, Rules::Certificate).await?;
        self.server("pg_hba.conf now asks for a certificate too: scram-sha-256 clientcert=verify-full");
        let (thief, identity) = self.thief(&password)?;
        let bare = thief.clone().with(Keyword::Sslmode, SslMode::Require.word());
        let without = self
            .act("The stolen password", bare, Middle::Nobody, None)
            .await?;
        let foreign = self
            .act(
                "The thief, with a certificate of his own",
                thief
                    .with(Keyword::Sslcert, identity.0.to_string_lossy())
                    .with(Keyword::Sslkey, identity.1.to_string_lossy()),
                Middle::Nobody,
                None,
            )
            .await?;
        let owner = self.stage.conninfo(SslMode::VerifyFull);
        let owner = self.stage.with_certificate(owner);
        let owner = self
            .act("Ann, with password and certificate", owner, Middle::Nobody, None)
            .await?;
        let refused = without.refused_with("valid client certificate");
        let foreigner =
            !foreign.said.ok && (foreign.refused_with("unknown ca") || foreign.refused_with("unknown_ca"));
        let let_in = owner.answer() == Some(BALANCE);
        let deaf = [&theft, &without, &foreign, &owner]
            .iter()
            .all(|acted| !acted.was_captured(QUERY));
        self.end(
            refused && foreigner && let_in && deaf,
            format!(
                "with the stolen password: {}; with a certificate of his own too: {}; Ann: {}",
                without.last_words(),
                foreign.last_words(),
                owner.last_words()
            ),
        );
        Ok(())
    }

    /// How the thief connects: with the password that was stolen, and the files of a certificate that he made.
    fn thief(&self, password: &SecretString) -> Result<(Conninfo, (PathBuf, PathBuf)), Error> {
        const FILES: [&str; 3] = ["thief/passfile", "thief/client.crt", "thief/client.key"];
        let identity = self.stage.foreign_client()?;
        self.stage.place.put(&[
            passfile(FILES[0], ROLE, password),
            secret(
                FILES[1],
                identity.chain_pem().into_bytes(),
                "a thief's certificate",
            ),
            secret(
                FILES[2],
                identity.key().to_pem().as_bytes().to_vec(),
                "a thief's key",
            ),
        ])?;
        let [passfile, certificate, key] = FILES.map(|file| self.stage.place.path(file));
        let conninfo = self
            .stage
            .conninfo(SslMode::Require)
            .with(Keyword::Passfile, passfile);
        Ok((conninfo, (certificate.into(), key.into())))
    }

    pub(super) async fn renewal(&mut self, own: &Own) -> Verdict {
        let now = OffsetDateTime::now_utc();
        let conninfo = self.stage.conninfo(SslMode::VerifyFull);
        Told::Act {
            title: "A session is opened, and stays open".to_owned(),
            command: Client::command_in_short(&conninfo),
            middle: Middle::Nobody,
        }
        .to(self.tell);
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
        let expired = self.stage.certificate(1, now - time::Duration::days(2))?;
        own.show(&self.stage.place, &expired).await?;
        self.server(format!(
            "serves {}, which ended on {}",
            short(&expired.leaf().serial_hex()),
            expired.leaf().not_after().date()
        ));
        let late = self
            .direct("A new client, while it is expired", SslMode::VerifyFull)
            .await?;
        let during = self.held(&mut held).await?;
        let renewed = self.stage.certificate(90, now)?;
        own.show(&self.stage.place, &renewed).await?;
        let served = own.served().await?;
        self.server(format!(
            "serves {} until {}, after a reload",
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
