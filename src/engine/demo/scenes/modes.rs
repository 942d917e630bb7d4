//! What each `sslmode` does.

use super::super::Middle;
use super::super::stage::{BALANCE, FORGED, OTHER_HOST, QUERY};
use super::{Play, Verdict};
use crate::conninfo::{Keyword, SslMode};
use crate::dial::Disguise;

impl Play<'_> {
    pub(super) async fn plaintext(&mut self) -> Verdict {
        let acted = self.direct("Without TLS", SslMode::Disable).await?;
        // Over TLS it was let in when the lesson began.
        if self.stage.guest().is_some() && acted.refused_with("pg_hba.conf") {
            self.not_shown(&format!(
                "it lets nobody in without TLS, so there is nothing to read: {}",
                acted.last_words()
            ));
            return Ok(());
        }
        let (query, answer) = (acted.was_captured(QUERY), acted.was_captured(BALANCE));
        self.end(
            query && answer && acted.answer() == Some(BALANCE),
            match (query, answer) {
                (true, true) => format!("the eavesdropper read the query, and the answer {BALANCE}"),
                (true, false) => "the eavesdropper read the query, but not the answer".to_owned(),
                _ => format!("the eavesdropper did not read the query: {}", acted.last_words()),
            },
        );
        Ok(())
    }

    pub(super) async fn prefer(&mut self) -> Verdict {
        let before = self
            .true_server("Nobody but the eavesdropper", SslMode::Prefer)
            .await?;
        let conninfo = self.stage.conninfo(SslMode::Prefer);
        let after = self
            .act(
                "The impostor answers no",
                conninfo,
                Middle::Downgrader,
                Some(Disguise::Plaintext),
            )
            .await?;
        let encrypted = before.answer() == Some(BALANCE) && !before.was_captured(QUERY);
        let downgraded = after.said.ok && after.was_captured(QUERY);
        let stolen = after.stolen().is_some();
        let silent = after.said.complaints.is_empty();
        self.end(
            encrypted && downgraded && stolen && silent,
            format!(
                "left alone {}; told no, the client {}{}",
                if encrypted {
                    "it was encrypted"
                } else {
                    "it was not encrypted"
                },
                if downgraded {
                    "went on in plaintext"
                } else {
                    "did not go on"
                },
                match (stolen, silent) {
                    (true, true) => ", without a word, and gave its password in clear",
                    (true, false) => ", and gave its password in clear",
                    (false, _) => "",
                }
            ),
        );
        Ok(())
    }

    pub(super) async fn require(&mut self) -> Verdict {
        let conninfo = self.stage.conninfo(SslMode::Require);
        let bound = conninfo.clone().with(Keyword::ChannelBinding, "require");
        let acted = self.self_signed("A self-signed certificate", conninfo).await?;
        let wall = self
            .self_signed(
                "Again, with channel_binding=require: only a login tied to the certificate",
                bound,
            )
            .await?;
        let walled = !wall.said.ok && wall.stolen().is_none() && !wall.was_captured(QUERY);
        if walled {
            self.impostor_says(
                "asked for the password in clear, which is no such login: the client broke off",
            );
        }
        let deaf = !acted.was_captured(QUERY) && !acted.was_captured(BALANCE);
        let stolen = acted.stolen().is_some();
        let changed = acted.answer() == Some(FORGED);
        self.end(
            deaf && stolen && changed && walled,
            format!(
                "the eavesdropper read {}; the impostor {}, and the client printed {} (the truth is {BALANCE}); with \
                 channel_binding=require it was {}",
                if deaf { "nothing" } else { "along" },
                if stolen {
                    "read password, query and answer"
                } else {
                    "got no password"
                },
                acted.last_words(),
                if walled {
                    format!("refused: {}", wall.last_words())
                } else {
                    "not refused".to_owned()
                },
            ),
        );
        Ok(())
    }

    pub(super) async fn verify_ca(&mut self) -> Verdict {
        let [own, other] = self.both_impostors(SslMode::VerifyCa).await?;
        let refused = own.refused_certificate();
        let changed = other.answer() == Some(FORGED) && other.stolen().is_some();
        let deaf = [&own, &other].iter().all(|acted| !acted.was_captured(QUERY));
        self.end(
            refused && changed && deaf,
            format!(
                "the self-signed certificate {}; the one for {OTHER_HOST} {}",
                if refused { "was refused" } else { "was not refused" },
                if changed {
                    format!("got through, and the client printed {FORGED}")
                } else {
                    format!("did not: {}", other.last_words())
                }
            ),
        );
        Ok(())
    }

    pub(super) async fn verify_full(&mut self) -> Verdict {
        let [own, other] = self.both_impostors(SslMode::VerifyFull).await?;
        let in_handshake = own.refused_certificate();
        let by_name =
            other.refused_with(OTHER_HOST) && other.refused_with(self.stage.host()) && !other.read_anything();
        let refused = in_handshake && by_name && !own.was_captured(QUERY) && !other.was_captured(QUERY);
        let words = format!(
            "the self-signed certificate {}; the one for {OTHER_HOST} {}",
            match own.alert() {
                _ if !in_handshake => "was not refused as it should be".to_owned(),
                Some(alert) => format!("was refused in the handshake, with {alert}"),
                None => "was refused in the handshake".to_owned(),
            },
            match (by_name, other.shook_hands()) {
                (true, true) => "right after it; neither got user name, password or query",
                (true, false) => "in the handshake, too",
                (false, _) => "was not refused as it should be",
            },
        );
        if let Some(why) = self.unverified().filter(|_| refused) {
            self.not_shown(&format!("{words}; but {why}"));
            return Ok(());
        }
        let truth = self
            .true_server(
                "The true server, under the name that was dialled",
                SslMode::VerifyFull,
            )
            .await?;
        let connected = truth.answer() == Some(BALANCE) && !truth.was_captured(QUERY);
        self.end(
            refused && connected,
            format!(
                "{words}; the true server {}",
                if connected {
                    format!("answered {BALANCE}")
                } else {
                    format!("did not answer: {}", truth.last_words())
                }
            ),
        );
        Ok(())
    }
}
