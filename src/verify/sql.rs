//! What only SQL can tell: over the superuser's way in where there is one, else over the login itself.

use std::time::{Duration, Instant};

use super::finding::Finding;
use super::report::ProbeId;
use super::run::superuser;
use super::serving::{self, Conversation};
use super::settings;
use super::target::{Inside, Target};
use crate::dial::{Deadline, Session};
use crate::setup::Mode;

type Rows = Vec<Vec<Option<String>>>;

/// Whom the questions go to.
enum Way<'a> {
    Session(&'a mut Session),
    Inside(&'a dyn Inside),
}

impl Way<'_> {
    async fn query(&mut self, sql: &str, deadline: Deadline) -> Result<Rows, Finding> {
        match self {
            Self::Session(session) => match session.query(sql, deadline).await {
                Ok(rows) => Ok(rows.rows),
                Err(failure) => Err(serving::unanswered(&failure)),
            },
            Self::Inside(inside) => inside.ask(sql).await.map_err(Finding::open),
        }
    }
}

/// Asks all of it.
pub async fn ask(target: &Target, talk: &mut Conversation) -> Vec<(ProbeId, Finding, Duration)> {
    let ids = [ProbeId::HbaHasNoPlaintextWayIn, ProbeId::SettingsInForce];
    let mut admin = match &target.admin {
        Some(admin) => match superuser(target, admin).await {
            Ok(session) => Some(session),
            Err(why) => {
                return ids
                    .map(|id| (id, Finding::open(why.clone()), Duration::ZERO))
                    .into();
            }
        },
        None => None,
    };
    // An engine that this account may not use leaves the login.
    let inside = match target.inside.as_deref().filter(|_| admin.is_none()) {
        Some(inside) if inside.ask("SELECT 1").await.is_ok() => Some(inside),
        _ => None,
    };
    let mut way = match (inside, admin.as_mut().or(talk.session.as_mut())) {
        (Some(inside), _) => Way::Inside(inside),
        (None, Some(session)) => Way::Session(session),
        (None, None) => {
            return ids
                .map(|id| (id, Finding::not_tried("there was no login"), Duration::ZERO))
                .into();
        }
    };

    let since = Instant::now();
    let hba = match way.query(settings::HBA_RULES, target.deadline()).await {
        Ok(rows) => settings::hba_has_no_plaintext_way_in(&rows),
        Err(finding) => finding,
    };
    let hba = (ids[0], hba, since.elapsed());

    let since = Instant::now();
    let mut in_force = match way.query(settings::SETTINGS, target.deadline()).await {
        Ok(rows) => {
            let errors = way
                .query(settings::FILE_ERRORS, target.deadline())
                .await
                .unwrap_or_default();
            settings::settings_in_force(&rows, &errors, target.expect == Mode::Mtls)
        }
        Err(finding) => finding,
    };
    if let (Ok(file), Some(served)) = (
        way.query(settings::CERTIFICATE_FILE, target.deadline()).await,
        talk.presented.first(),
    ) {
        let pem = file
            .first()
            .and_then(|row| row.first())
            .and_then(Option::as_deref)
            .unwrap_or_default();
        if let Some(finding) = settings::served_certificate(pem, served) {
            in_force = finding;
        }
    }
    let in_force = (ids[1], in_force, since.elapsed());
    if let Some(session) = admin {
        session.close(target.deadline()).await;
    }
    vec![hba, in_force]
}
