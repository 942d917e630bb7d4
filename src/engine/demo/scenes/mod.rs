//! The scenes. Each makes its connections, and holds only where every sign that belongs to it was seen. What a person's own
//! server cannot show is said, and never counted.
//!
//! | Part | Owns |
//! |---|---|
//! | [`modes`] | what each `sslmode` does: the scenes of the client |
//! | [`server`] | client certificates and renewal: the scenes for which the server is changed |
//! | [`matrix`] | every mode in every situation |

mod matrix;
mod modes;
mod server;

use super::act::{Act, Acted};
use super::front::Front;
use super::guest::Guest;
use super::stage::{OTHER_HOST, QUERY, Stage};
use super::{Caller, Course, Middle, Scene, Told};
use crate::conninfo::{Conninfo, SslMode};
use crate::dial::Disguise;
use crate::engine::{Error, Teller};

/// Plays one, and leaves the stage as it was.
pub(super) async fn play(stage: &Stage, scene: Scene, tell: &Teller) -> Course {
    let mut play = Play {
        stage,
        tell,
        course: Course::default(),
    };
    let end = Box::pin(play.whole(scene)).await;
    let mut course = play.course;
    if let Err(error) = end {
        course.holds = None;
        course.observed = format!("it could not be found out: {error}");
    }
    course
}

struct Play<'a> {
    stage: &'a Stage,
    tell: &'a Teller,
    course: Course,
}

/// A scene that was played to its end has set what came of it.
type Verdict = Result<(), Error>;

impl Play<'_> {
    async fn whole(&mut self, scene: Scene) -> Verdict {
        self.stage.reset().await?;
        let verdict = match scene {
            Scene::Plaintext => self.plaintext().await,
            Scene::Prefer => self.prefer().await,
            Scene::Require => self.require().await,
            Scene::VerifyCa => self.verify_ca().await,
            Scene::VerifyFull => self.verify_full().await,
            Scene::MutualTls | Scene::Renewal => match self.stage.own() {
                Some(own) if scene == Scene::MutualTls => self.mutual_tls(own).await,
                Some(own) => self.renewal(own).await,
                None => {
                    self.not_shown(&scene.text().not_yours);
                    Ok(())
                }
            },
            Scene::Matrix => self.matrix().await,
        };
        self.stage.reset().await?;
        verdict
    }

    async fn act(
        &mut self,
        title: &str,
        conninfo: Conninfo,
        middle: Middle,
        disguise: Option<Disguise>,
    ) -> Result<Acted, Error> {
        let act = Act {
            title,
            conninfo,
            query: QUERY,
            caller: Caller::Ann,
            middle,
            disguise,
            forgery: Some(Stage::forgery()),
        };
        Box::pin(act.play(&self.stage.client, &mut self.course, self.tell)).await
    }

    /// An impostor logs in itself.
    async fn impostor(&mut self, title: &str, conninfo: Conninfo) -> Result<Acted, Error> {
        let act = Act {
            title,
            conninfo,
            query: QUERY,
            caller: Caller::Impostor,
            middle: Middle::Nobody,
            disguise: None,
            forgery: None,
        };
        Box::pin(act.play(&self.stage.client, &mut self.course, self.tell)).await
    }

    /// Begins an act that is no connection through the lesson's wire: something is done to the server, or many are made.
    fn begin(&self, title: impl Into<String>, command: impl Into<String>) {
        Told::Act {
            title: title.into(),
            command: command.into(),
            caller: Caller::Ann,
            middle: Middle::Alone,
        }
        .to(self.tell);
    }

    async fn direct(&mut self, title: &str, sslmode: SslMode) -> Result<Acted, Error> {
        let conninfo = self.stage.conninfo(sslmode);
        self.act(title, conninfo, Middle::Nobody, None).await
    }

    /// To the server over TLS; who speaks it for a server without is said.
    async fn true_server(&mut self, title: &str, sslmode: SslMode) -> Result<Acted, Error> {
        let title = self.with_whose_tls(title);
        self.direct(&title, sslmode).await
    }

    fn with_whose_tls(&self, title: &str) -> String {
        match self.stage.guest().map(Guest::front) {
            Some(Front::Ours(_)) => format!("{title} (TLS by pgtls, in front of it)"),
            _ => title.to_owned(),
        }
    }

    /// Why the server's certificate cannot be verified, where that is so.
    fn unverified(&self) -> Option<String> {
        match self.stage.guest().map(Guest::front) {
            Some(Front::Unverified(why)) => Some(why.clone()),
            _ => None,
        }
    }

    async fn self_signed(&mut self, title: &str, conninfo: Conninfo) -> Result<Acted, Error> {
        let disguise = self.stage.self_signed()?;
        let middle = Middle::Impostor("self-signed certificate".to_owned());
        self.act(title, conninfo, middle, Some(disguise)).await
    }

    async fn wrong_name(&mut self, conninfo: Conninfo) -> Result<Acted, Error> {
        let disguise = self.stage.wrong_name()?;
        // The key of a person's own CA is not ours: the client trusts the lesson's CA beside it.
        let (title, by) = match self.stage.guest().map(Guest::front) {
            Some(Front::Own { .. }) => (
                format!("Wrong name: signed by a CA that the client trusts, for {OTHER_HOST}"),
                "trusted",
            ),
            _ => (
                format!("Wrong name: signed by your own CA, for {OTHER_HOST}"),
                "your CA",
            ),
        };
        let middle = Middle::Impostor(format!("{OTHER_HOST}, {by}"));
        self.act(&title, conninfo, middle, Some(disguise)).await
    }

    /// Both impostors, one after the other.
    async fn both_impostors(&mut self, sslmode: SslMode) -> Result<[Acted; 2], Error> {
        let conninfo = self.stage.conninfo(sslmode);
        let own = self
            .self_signed("A self-signed certificate", conninfo.clone())
            .await?;
        let other = self.wrong_name(conninfo).await?;
        Ok([own, other])
    }

    fn server(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.course.evidence.push(format!("server: {text}"));
        Told::Server(text).to(self.tell);
    }

    fn impostor_says(&mut self, text: &str) {
        let text = format!("impostor: {text}");
        self.course.evidence.push(text.clone());
        Told::Impostor(text).to(self.tell);
    }

    /// What came of the scene, and the sentence that says it either way.
    fn end(&mut self, holds: bool, observed: String) {
        self.course.observed = observed;
        self.course.holds = Some(holds);
    }

    /// A person's own server cannot show it, for this reason.
    fn not_shown(&mut self, why: &str) {
        self.course.observed = format!("not shown on your server: {why}");
        self.course.not_shown = Some(why.to_owned());
        self.course.holds = None;
    }
}
