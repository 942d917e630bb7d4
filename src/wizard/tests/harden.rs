//! Hardening a server that is there: the path's screens and keys, without a server.

use std::time::Duration;

use secrecy::ExposeSecret;

use super::stage::Stage as Scene;
use crate::conninfo::Keyword;
use crate::engine::harden::{FileDiff, Standing, promises};
use crate::engine::{Event, Step as Part};
use crate::harden::Stage;
use crate::verify::Outcome;
use crate::wizard::field::Field;
use crate::wizard::harden::{
    AttemptState, Ended, Facts, Found, Looked, Message as Happens, Met, Order, Requested, Tried,
};
use crate::wizard::look::Seen;
use crate::wizard::message::{Effect, Failure, Message};
use crate::wizard::model::Popup;
use crate::wizard::review::Preview;
use crate::wizard::steps::{harden_command, place};
use crate::wizard::theme::Theme;

const SIZES: [(u16, u16); 2] = [(80, 24), (120, 40)];
const ADMIN: &str = "host=/run/postgresql user=postgres";

impl Scene {
    /// At the stages, while the server is looked at.
    fn harden(size: (u16, u16)) -> Self {
        let mut stage = Self::new(size);
        stage
            .keys("Down Down Down Enter")
            .type_in(ADMIN)
            .keys("Enter Enter");
        stage
    }

    fn server_says(&mut self, message: Happens) -> &mut Self {
        self.send(Message::Harden(self.model.harden.number, message))
    }

    /// The order that was given last.
    #[track_caller]
    fn ordered(&self) -> &Order {
        let order = self.effects.iter().find_map(|effect| match effect {
            Effect::Harden(_, order) => Some(order),
            _ => None,
        });
        order.unwrap_or_else(|| panic!("{:?}", self.effects))
    }
}

/// Everything that can happen on the path.
pub fn happenings() -> Vec<Happens> {
    let broken = super::stage::probe(promises(Stage::Require)[0], Outcome::Broken);
    vec![
        Happens::Password("postgres".into()),
        Happens::Requested(Ok(requested())),
        Happens::Requested(Err(super::stage::fault())),
        Happens::Answered(Err(super::stage::fault())),
        Happens::Answered(Ok(())),
        Happens::Looked(Ok(found(&[Stage::On], Some(Stage::Watch)))),
        Happens::Looked(Ok(found(&[], Some(Stage::On)))),
        Happens::Looked(Err(super::stage::fault())),
        Happens::Found(Stage::Require, 212),
        Happens::Seen(found(&[], None).plaintext, 3),
        Happens::Watched(Ok((Vec::new(), String::new()))),
        Happens::Watched(Err(super::stage::fault())),
        Happens::Proposed(Ok(proposed())),
        Happens::Proposed(Ok((Preview::default(), Facts::default()))),
        Happens::Proposed(Err(super::stage::fault())),
        Happens::Told(Event::Begin(Part::Write)),
        Happens::Told(Event::Probe(broken)),
        Happens::Tried(Ok(Tried::Waits(60))),
        Happens::Tried(Ok(Tried::WasInForce)),
        Happens::Tried(Ok(Tried::Fell(
            super::stage::fault(),
            vec!["a note".into()],
            false,
        ))),
        Happens::Tried(Ok(Tried::Bundled("/root/kit/bundle/require".into()))),
        Happens::Tried(Err(super::stage::fault())),
        Happens::Left(0),
        Happens::Left(u64::MAX),
        Happens::Ended(Ended::Kept),
        Happens::Ended(Ended::Back("Taken back.".into())),
        Happens::Tick(Duration::from_secs(7)),
    ]
}

fn requested() -> Requested {
    Requested {
        file: "request/server.csr".into(),
        key: "request/server.key".into(),
        names: "localhost, 127.0.0.1, ::1".into(),
        algorithm: "P-256".into(),
    }
}

/// The screens of the path that people see elsewhere.
pub fn screens(size: (u16, u16)) -> Vec<(&'static str, String)> {
    let mut stage = Scene::harden(size);
    stage.server_says(Happens::Looked(Ok(found(&[Stage::On], Some(Stage::Watch)))));
    let stages = stage.text();
    stage
        .keys("Down Enter")
        .server_says(Happens::Proposed(Ok(proposed())));
    let plan = stage.text();
    stage.keys("a Enter");
    told(&mut stage);
    proven(&mut stage);
    stage.server_says(Happens::Tried(Ok(Tried::Waits(60))));
    stage.server_says(Happens::Left(57));
    vec![("stage", stages), ("plan", plan), ("try", stage.text())]
}

/// Every promise of the stage holds.
fn proven(stage: &mut Scene) {
    for id in promises(Stage::Require) {
        let probe = super::stage::probe(*id, Outcome::Holds);
        stage.server_says(Happens::Told(Event::Probe(probe)));
    }
    stage.server_says(Happens::Told(Event::Done {
        step: Part::Verify,
        note: "7 promises tested".into(),
        took: Duration::from_millis(58),
    }));
}

/// Plays a script at both sizes.
fn play(script: impl Fn(&mut Scene)) {
    for size in SIZES {
        script(&mut Scene::harden(size));
    }
}

fn found(done: &[Stage], next: Option<Stage>) -> Found {
    let standing = [Stage::On, Stage::Require, Stage::Mtls, Stage::Floor, Stage::Ask].map(|stage| Standing {
        stage,
        in_files: done.contains(&stage),
        is_read: true,
        may_refuse: 0,
        would_refuse: match stage {
            Stage::Require => 3,
            Stage::Mtls => 4,
            _ => 0,
        },
        hindrance: None,
    });
    Found {
        account: None,
        version: "17.10".into(),
        files: [
            "/etc/postgresql/17/main/postgresql.conf".into(),
            "/etc/postgresql/17/main/pg_hba.conf".into(),
        ],
        tls: !done.is_empty(),
        out_of_reach: None,
        unread: None,
        sessions: 4,
        plaintext: vec![
            "3 sessions of app on shop from 10.0.0.5 (shop-web)".into(),
            "1 session of backup on shop from 10.0.0.9 (pg_dump)".into(),
        ],
        standing: standing.to_vec(),
        next,
        kit: "/root/shop-db".into(),
        roles: vec!["app".into(), "backup".into(), "postgres".into()],
    }
}

const DIFF: &str = "--- /etc/postgresql/17/main/pg_hba.conf\n+++ /etc/postgresql/17/main/pg_hba.conf\n@@ -1,4 +1,6 @@\n local   all   postgres                 peer\n # the shop\n-host    all   all      10.0.0.0/24     scram-sha-256\n+hostnossl all all all reject\n+hostnossl replication all all reject\n+hostssl all   all      10.0.0.0/24     scram-sha-256\n";

fn proposed() -> (Preview, Facts) {
    let files = [FileDiff {
        path: "/etc/postgresql/17/main/pg_hba.conf".into(),
        is_new: false,
        mode: 0o640,
        diff: DIFF.into(),
    }];
    let met = |says: &str, with_tls: &str| Met {
        says: says.into(),
        more: vec![
            "decided by /etc/postgresql/17/main/pg_hba.conf:3 hostnossl all all all reject".into(),
            with_tls.into(),
        ],
    };
    let facts = Facts {
        refused: vec![
            met(
                "3 sessions of app from 10.0.0.5 (shop-web): it came without TLS, which would be rejected",
                "with TLS it would come in: sslmode=require or better on its side is enough",
            ),
            met(
                "1 session of backup from 10.0.0.9 (pg_dump): it came without TLS, which would be rejected",
                "with TLS it would come in: sslmode=require or better on its side is enough",
            ),
        ],
        looked_at: 4,
        turns_away: Some("4 sessions that were seen would be refused".into()),
        ..Facts::default()
    };
    (Preview::of_a_server(&files, &[]), facts)
}

fn told(stage: &mut Scene) {
    let done = |step, note: &str, ms| Event::Done {
        step,
        note: note.into(),
        took: Duration::from_millis(ms),
    };
    for event in [
        Event::Begin(Part::Write),
        done(Part::Write, "1 of the server's files written", 91),
        Event::Begin(Part::Reload),
        done(Part::Reload, "the server has read its files again", 24),
        Event::Begin(Part::Verify),
    ] {
        stage.server_says(Happens::Told(event));
    }
}

#[test]
fn a_stage_is_looked_at_planned_tried_and_kept() {
    play(|stage| {
        assert!(matches!(stage.ordered(), Order::Look(_)));
        stage.shot("harden_looking");
        stage.server_says(Happens::Looked(Ok(found(&[Stage::On], Some(Stage::Watch)))));
        stage.shot("harden_stage");
        stage.keys("Right Enter");
        assert!(matches!(stage.ordered(), Order::Watch(length) if *length == Duration::from_secs(3600)));
        stage.server_says(Happens::Seen(found(&[], None).plaintext, 42));
        stage
            .server_says(Happens::Tick(Duration::from_secs(21)))
            .shot("harden_watching");
        // It can be ended before its time, and moves nowhere meanwhile.
        stage.keys("Down Enter");
        assert_eq!(stage.model.harden.stage, Stage::Watch);
        stage.keys("Esc");
        assert!(matches!(stage.ordered(), Order::Stop));
        stage.server_says(Happens::Watched(Ok((
            found(&[], None).plaintext,
            "Nobody came and went without being looked at.".to_owned(),
        ))));
        assert!(matches!(stage.ordered(), Order::Look(_)));
        stage.server_says(Happens::Looked(Ok(found(&[Stage::On], Some(Stage::Watch)))));
        stage.keys("Down Enter").shot("harden_plan_pending");
        assert!(matches!(stage.ordered(), Order::Propose(Stage::Require, _)));
        stage
            .server_says(Happens::Proposed(Ok(proposed())))
            .shot("harden_plan");
        // Nobody is turned away unasked.
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("plan"));
        stage.keys("w").shot("harden_for_whom");
        stage.keys("Esc a - Enter");
        assert!(matches!(stage.ordered(), Order::Try(30)));
        told(stage);
        for id in &promises(Stage::Require)[..4] {
            let probe = super::stage::probe(*id, Outcome::Holds);
            stage.server_says(Happens::Told(Event::Probe(probe)));
        }
        stage
            .server_says(Happens::Tick(Duration::from_millis(420)))
            .shot("harden_trying");
        proven(stage);
        stage.server_says(Happens::Tried(Ok(Tried::Waits(30))));
        stage.server_says(Happens::Left(17)).shot("harden_countdown");
        // Enter keeps nothing, nobody walks away from it, and leaving is asked about.
        stage.keys("Enter 1");
        assert_eq!(stage.model.harden.attempt.state, AttemptState::Waiting(17));
        assert_eq!(stage.model.at, place("try"));
        stage.keys("q").shot("harden_leave");
        stage.keys("Esc k");
        assert!(matches!(stage.ordered(), Order::Keep));
        stage.server_says(Happens::Ended(Ended::Kept)).shot("harden_kept");
        assert_eq!(
            harden_command(&stage.model),
            "pgtls harden 'host=/run/postgresql user=postgres' --stage require --accept-lockout --confirm-within 30"
        );
        // On from there is a look at how the server stands now.
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("stage"));
        assert!(matches!(stage.ordered(), Order::Look(_)));
    });
}

#[test]
fn a_stage_that_is_not_kept_goes_back() {
    let mut stage = Scene::harden((80, 24));
    stage.server_says(Happens::Looked(Ok(found(&[], Some(Stage::On)))));
    stage.keys("Enter");
    let (preview, _) = proposed();
    stage.server_says(Happens::Proposed(Ok((preview, Facts::default()))));
    stage.keys("Enter");
    assert!(matches!(stage.ordered(), Order::Try(60)));
    // Stopped now, it would neither go on nor back.
    stage.keys("Ctrl-z");
    assert!(stage.effects.is_empty() && stage.model.note.is_some());
    stage.keys("Esc");
    assert!(
        matches!(stage.ordered(), Order::Stop),
        "broken off while it is proven"
    );
    stage.server_says(Happens::Ended(Ended::Back(
        "Broken off, and everything is as it was.".into(),
    )));
    stage.shot("harden_back");
    // What it found before is about another server now.
    assert!(matches!(stage.model.harden.looked, Looked::None));
    // So is what was planned: back is where the server is looked at again.
    stage.keys("Esc");
    assert_eq!(stage.model.at, place("stage"));
    assert!(matches!(stage.ordered(), Order::Look(_)));
}

#[test]
fn what_does_not_hold_is_said_and_out_of_reach_it_is_written() {
    play(|stage| {
        stage.server_says(Happens::Looked(Ok(found(&[], Some(Stage::On)))));
        stage.keys("Enter");
        let (preview, _) = proposed();
        stage.server_says(Happens::Proposed(Ok((preview, Facts::default()))));
        stage.keys("Enter");
        told(stage);
        let broken = super::stage::probe(promises(Stage::On)[4], Outcome::Broken);
        stage.server_says(Happens::Told(Event::Probe(broken)));
        let fault = Failure {
            what: "host-name is not proven: the certificate is for \"db\" only".to_owned(),
            remedies: vec!["add localhost to the names, and try it again".to_owned()],
            log: Vec::new(),
            step: None,
        };
        stage.server_says(Happens::Tried(Ok(Tried::Fell(fault, Vec::new(), true))));
        stage.shot("harden_fell");
        assert!(matches!(stage.model.harden.looked, Looked::None));
        // Out of reach there is nothing to keep, and no time to keep it in.
        stage.keys("Enter");
        let away = Some("the server's files cannot be read here: permission denied".to_owned());
        stage.server_says(Happens::Looked(Ok(Found {
            out_of_reach: away.clone(),
            ..found(&[], Some(Stage::On))
        })));
        stage.keys("Enter");
        let (preview, _) = proposed();
        stage.server_says(Happens::Proposed(Ok((
            preview,
            Facts {
                out_of_reach: away,
                ..Facts::default()
            },
        ))));
        stage.shot("harden_out_of_reach");
        stage.keys("Enter");
        stage.server_says(Happens::Tried(Ok(Tried::Bundled(
            "/root/shop-db/bundle/on".into(),
        ))));
        stage.shot("harden_bundled");
    });
}

/// At the stage that asks clients for certificates: whose they are, and who gets one.
#[test]
fn whose_certificates_clients_show_is_asked_before_it_is_planned() {
    play(|stage| {
        stage.server_says(Happens::Looked(Ok(found(
            &[Stage::On, Stage::Require],
            Some(Stage::Mtls),
        ))));
        stage.shot("harden_stage_mtls");
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("clients"));
        stage.shot("harden_clients_ours");
        // Enter alone: a kit for everybody.
        let Order::Propose(Stage::Mtls, wish) = stage.clone().keys("Enter").ordered().clone() else {
            panic!("not planned")
        };
        assert_eq!((&wish.flags.client_ca, &wish.client), (&None, &None));
        assert!(wish.flags.clients.is_empty());

        // Of a CA of one's own nothing goes on without what proves it.
        stage.keys("Down").shot("harden_clients_theirs_missing");
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("clients"));
        stage
            .type_in("company.crt")
            .keys("Tab")
            .type_in("me.crt")
            .keys("Tab");
        assert!(stage.model.has_fault(place("clients")), "its key is missing");
        stage.type_in("me.key").keys("Tab Tab").type_in("laptop=app");
        // A name that differs from its role goes only where the certificate is the login.
        stage.shot("harden_clients_theirs_wrong");
        stage.keys("Enter");
        assert_eq!(stage.model.at, place("clients"));
        stage.keys("Up Up").shot("harden_clients_theirs");
        stage.keys("Enter");
        let Order::Propose(Stage::Mtls, wish) = stage.ordered() else {
            panic!("{:?}", stage.effects)
        };
        assert_eq!(wish.flags.client_ca, Some("company.crt".into()));
        assert_eq!(wish.client, Some(("me.crt".into(), "me.key".into())));
        assert_eq!(wish.flags.auth.as_deref(), Some("cert"));
        assert_eq!(wish.flags.clients[0].role.as_deref(), Some("app"));
        assert_eq!(
            harden_command(&stage.model),
            "pgtls harden 'host=/run/postgresql user=postgres' --auth cert --client-ca company.crt --client-cert me.crt \
             --client-key me.key --client 'laptop=app' --stage mtls --confirm-within 60"
        );
        // What is wrong with those files leads back to them.
        let fault = Failure {
            step: Some("clients"),
            ..super::stage::fault()
        };
        stage.server_says(Happens::Proposed(Err(fault)));
        stage.keys("g");
        assert_eq!(stage.model.at, place("clients"));
        // To ask for certificates is a stage of its own, with the same questions.
        let mut asks = stage.clone();
        asks.keys("Esc Up Enter");
        assert_eq!(asks.model.at, place("clients"));
        asks.keys("Enter");
        assert!(matches!(asks.ordered(), Order::Propose(Stage::Ask, _)));
        assert!(harden_command(&asks.model).contains("--stage mtls --ask"));
        // Another stage asks nothing of it, and says nothing of it.
        stage.keys("Esc Up Up Enter");
        let Order::Propose(Stage::Require, wish) = stage.ordered() else {
            panic!("{:?}", stage.effects)
        };
        assert_eq!((&wish.flags.client_ca, &wish.client), (&None, &None));
        assert!(!harden_command(&stage.model).contains("client"));
    });
}

/// Where the login shows a certificate of that CA, it is the one that proves it.
#[test]
fn a_certificate_of_the_login_itself_is_enough() {
    let mut stage = Scene::new((80, 24));
    stage
        .keys("Down Down Down Enter")
        .type_in("host=db user=postgres sslcert=me.crt sslkey=me.key")
        .keys("Enter Enter");
    stage.server_says(Happens::Looked(Ok(found(&[Stage::On], Some(Stage::Mtls)))));
    stage.keys("Enter Down Tab").type_in("company.crt").keys("Enter");
    assert!(matches!(stage.ordered(), Order::Propose(Stage::Mtls, wish) if wish.client.is_none()));
}

/// A server that was not looked at with these answers is looked at before anything is planned for it.
#[test]
fn nothing_is_planned_for_another_server_than_was_looked_at() {
    let mut stage = Scene::harden((80, 24));
    stage.server_says(Happens::Looked(Ok(found(&[], Some(Stage::On)))));
    stage.keys("Enter");
    stage.server_says(Happens::Proposed(Ok(proposed())));
    stage.keys("Esc Esc Esc").type_in(" port=5433");
    stage.send(Message::Click(crate::wizard::message::Target::Step(place(
        "plan",
    ))));
    assert_eq!(stage.model.at, place("stage"));
    assert!(matches!(stage.ordered(), Order::Look(_)));
}

/// A try of a command line, or of a terminal that was lost, is decided over here.
#[test]
fn a_try_that_waits_already_is_found() {
    let mut stage = Scene::harden((80, 24));
    stage
        .server_says(Happens::Found(Stage::Require, 212))
        .shot("harden_found");
    assert_eq!(stage.model.at, place("try"));
    // It is not this run's: leaving leaves it to its own watchdog.
    assert!(matches!(
        stage.clone().keys("q").effects[..],
        [Effect::Keep(_), Effect::Quit]
    ));
    stage.keys("Esc");
    assert!(matches!(stage.ordered(), Order::Back));
}

#[test]
fn what_stands_in_the_way_is_said_with_what_to_do() {
    play(|stage| {
        stage.server_says(Happens::Looked(Err(Failure {
            what: "Patroni writes this server's configuration (patroni.dynamic.json is in the data directory), and would overwrite ours"
                .into(),
            remedies: vec!["change it there: `patronictl edit-config`".into()],
            log: Vec::new(),
            step: Some("server"),
        })));
        stage.shot("harden_refused");
        stage.keys("g");
        assert_eq!(stage.model.at, place("server"));
    });
}

#[test]
fn a_server_of_this_machine_is_suggested() {
    play(|stage| {
        stage.send(Message::Seen(Seen {
            admins: vec![
                ADMIN.into(),
                "host=/run/postgresql port=5433 user=postgres".into(),
            ],
            ..super::stage::seen()
        }));
        // What was answered is not talked over.
        stage.keys("Esc Esc");
        assert!(!stage.text().contains("takes it"));
        stage.keys("Ctrl-u").shot("harden_suggested");
        stage.keys("Right");
        assert_eq!(stage.model.form.given(Field::Admin), [ADMIN]);
    });
}

#[test]
fn a_password_is_typed_unseen() {
    play(|stage| {
        stage
            .server_says(Happens::Password("postgres".into()))
            .shot("harden_password");
        stage
            .type_in("hunter2x")
            .keys("Back")
            .shot("harden_password_typed");
        assert!(!format!("{:?}", stage.model).contains("hunter"));
        stage.keys("Enter");
        assert!(matches!(stage.ordered(), Order::Password(_)));
        assert!(!format!("{:?} {:?}", stage.model, stage.effects).contains("hunter"));
        // Without one nobody logs in.
        stage
            .server_says(Happens::Password("postgres".into()))
            .keys("Esc");
        assert!(matches!(stage.model.harden.looked, Looked::Failed(_)));
        // In the connection string it is not shown either, and not kept.
        stage
            .keys("Esc Esc")
            .type_in(" password=hunter2")
            .shot("harden_masked");
        let kept = crate::wizard::resume::Kept::of(&stage.model).unwrap();
        assert!(!format!("{kept:?} {:?}", stage.model).contains("hunter"));
        // It is edited like any text, comes from the clipboard too, and is used.
        stage.keys("Back Left Left Del").type_in("T").keys("End");
        stage.send(Message::Paste("3 port=5433".into()));
        assert!(!format!("{:?}", stage.model).contains("hunt"));
        stage.shot("harden_masked_edited");
        stage.keys("Enter Enter");
        assert!(!format!("{:?} {:?}", stage.model, stage.effects).contains("hunt"));
        let Order::Look(wish) = stage.ordered() else {
            panic!("{:?}", stage.effects)
        };
        let secret = wish.conninfo.secret(Keyword::Password).unwrap();
        assert_eq!(secret.expose_secret(), "huntTr3");
        assert_eq!(wish.conninfo.get(Keyword::Port), Some("5433"));
        assert!(!harden_command(&stage.model).contains("hunt"));
    });
}

#[test]
fn what_an_overtaken_order_tells_is_nothing_any_more() {
    let mut stage = Scene::harden((80, 24));
    let number = stage.model.harden.number;
    stage.keys("Esc Esc").type_in(" port=5433").keys("Enter Enter");
    stage.send(Message::Harden(number, Happens::Looked(Ok(found(&[], None)))));
    assert!(matches!(stage.model.harden.looked, Looked::Running));
    stage.send(Message::Harden(number, Happens::Password("postgres".into())));
    assert!(!matches!(stage.model.popup, Some(Popup::Password(..))));
}

#[test]
fn without_colour_and_unicode_it_says_the_same() {
    let mut stage = Scene::harden((80, 24));
    stage.model.theme = Theme {
        colour: false,
        unicode: false,
    };
    stage.server_says(Happens::Looked(Ok(found(&[Stage::On], Some(Stage::Watch)))));
    stage
        .keys("Down Enter")
        .server_says(Happens::Proposed(Ok(proposed())));
    stage.keys("a Enter");
    told(&mut stage);
    stage
        .server_says(Happens::Tried(Ok(Tried::Waits(60))))
        .shot("harden_plain");
    assert!(stage.text().is_ascii(), "{}", stage.text());
}

#[test]
fn a_ca_elsewhere_is_asked_and_its_answer_is_waited_for() {
    for size in SIZES {
        let mut stage = Scene::new(size);
        stage
            .keys("Down Down Down Enter")
            .type_in(ADMIN)
            .keys("Enter Down Down Down Enter");
        assert!(matches!(stage.ordered(), Order::Request(..)));
        stage.server_says(Happens::Requested(Ok(requested())));
        stage.shot("harden_request");
        // Without the answer nothing goes on, and nothing is lost.
        stage.keys("Enter");
        assert!(stage.text().contains("Name both files once your CA has answered"));
        assert_eq!(stage.model.at, place("request"));
        let kept = crate::wizard::resume::Kept::of(&stage.model).unwrap();
        let mut later = Scene::new(size).model;
        kept.restore(&mut later);
        assert_eq!(later.at, place("request"));
        let step = later.step();
        assert!(matches!(
            step.enter(&mut later)[..],
            [Effect::Harden(_, Order::Request(..))]
        ));
        stage
            .type_in("signed.p7b")
            .keys("Tab")
            .type_in("company.crt")
            .keys("Enter");
        assert!(
            matches!(stage.ordered(), Order::Answer(_, _, [answer, _]) if answer.ends_with("signed.p7b"))
        );
        let fault = Failure {
            what: "the certificate signed.p7b: request/server.key does not fit it: it is for another key"
                .into(),
            remedies: vec!["have one issued for the request that `pgtls csr` makes".into()],
            log: Vec::new(),
            step: None,
        };
        stage.server_says(Happens::Answered(Err(fault)));
        stage.shot("harden_request_refused");
        stage.keys("Enter");
        stage.server_says(Happens::Answered(Ok(())));
        assert_eq!(stage.model.at, place("stage"));
        let Order::Look(wish) = stage.ordered() else {
            panic!("{:?}", stage.effects)
        };
        let named = wish.flags.server_cert.clone().unwrap();
        assert!(named.ends_with("request/server.crt"), "{named:?}");
    }
}
