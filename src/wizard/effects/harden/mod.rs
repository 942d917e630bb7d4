//! The thread that hardens a server: it holds the administrator's session, carries orders out one after the other, and
//! never leaves a try undecided. Whatever ends it, a try that waits to be kept goes back.

mod words;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread::JoinHandle;
use std::time::Duration;

use secrecy::SecretString;
use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::conninfo::{Conninfo, Environment, Keyword};
use crate::dial::Deadline;
use crate::engine::harden::{self as engine, Fate, Hardening, Proposal, Survey};
use crate::engine::{self as journeys, Error, Means, Renew, Request, Secrets, Teller, USUAL_PORT};
use crate::harden::{Stage, Watched};

use super::super::harden::{Ended, Message as Happens, Order, Tried, Wish};
use super::super::message::Message;
use super::super::review::Preview;
use super::{PROBE, TICK, defect, passphrase, spawn};
use words::{facts, failure, found, gone, plaintext, sentence, told};

type Orders = mpsc::UnboundedReceiver<(u64, Order)>;
/// An order that came while another one was carried out.
type Overtaken = Option<(u64, Order)>;

/// A server that is being hardened.
pub(super) struct Hand {
    orders: mpsc::UnboundedSender<(u64, Order)>,
    thread: JoinHandle<()>,
}

impl Hand {
    /// Waits for orders.
    pub fn new(messages: &mpsc::UnboundedSender<Message>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let tell = messages.clone();
        let lost = Message::Noted(defect().what);
        let thread = spawn(messages, lost, move || async move {
            let work = Work {
                tell: Tell(tell, 0),
                orders: received,
                password: None,
                wish: None,
                held: None,
                proposal: None,
            };
            Box::pin(work.run()).await;
        });
        Self { orders, thread }
    }

    /// Passes an order on; one that comes too late is none.
    pub fn order(&self, number: u64, order: Order) {
        let _ = self.orders.send((number, order));
    }

    /// Has it end; what is left of it is waited for by whoever holds the thread.
    pub fn end(self) -> JoinHandle<()> {
        self.order(0, Order::Close);
        self.thread
    }
}

/// Where messages go, and the number of the order that they answer.
#[derive(Clone)]
struct Tell(mpsc::UnboundedSender<Message>, u64);

impl Tell {
    fn say(&self, message: Happens) {
        let _ = self.0.send(Message::Harden(self.1, message));
    }
}

/// The server, and the session on it.
struct Held {
    hardening: Hardening,
    survey: Survey,
}

struct Work {
    tell: Tell,
    orders: Orders,
    /// What was typed for this server.
    password: Option<SecretString>,
    wish: Option<Wish>,
    held: Option<Held>,
    proposal: Option<Proposal>,
}

impl Work {
    async fn run(mut self) {
        let mut next: Overtaken = None;
        loop {
            let order = match next.take() {
                Some(order) => Some(order),
                None => self.orders.recv().await,
            };
            let Some((number, order)) = order else { break };
            self.tell.1 = number;
            next = match order {
                Order::Look(wish) => {
                    if self
                        .wish
                        .as_ref()
                        .is_none_or(|before| before.conninfo != wish.conninfo)
                    {
                        self.password = None;
                    }
                    self.wish = Some(*wish);
                    self.look().await
                }
                Order::Password(password) => {
                    self.password = Some(password);
                    self.look().await
                }
                Order::Request(kit, hosts, algorithm) => {
                    let made = words::requested(&kit, &hosts, algorithm);
                    self.tell.say(Happens::Requested(made));
                    None
                }
                Order::Answer(kit, hosts, [answer, root]) => {
                    let now = OffsetDateTime::now_utc();
                    let filed = journeys::file_server_answer(&kit, &hosts, &answer, Some(&root), now);
                    let filed = filed.map(|_| ()).map_err(|error| words::of_an_answer(&error));
                    self.tell.say(Happens::Answered(filed));
                    None
                }
                Order::Watch(length) => self.watch(length).await,
                Order::Propose(stage, wish) => self.propose(stage, *wish).await,
                Order::Try(seconds) => self.attempt(seconds).await,
                // What they are about is decided already.
                Order::Keep | Order::Back | Order::Stop => None,
                Order::Close => break,
            };
        }
        self.release().await;
    }

    /// Gives the session back to the server.
    async fn release(&mut self) {
        self.proposal = None;
        if let Some(held) = self.held.take() {
            let deadline = Deadline::after(Duration::from_secs(1));
            held.survey.session.close(deadline).await;
        }
    }

    async fn look(&mut self) -> Overtaken {
        self.release().await;
        let (Some(wish), Some(admin)) = (self.wish.clone(), self.admin()) else {
            return None;
        };
        // One that waits already, from a command line or a terminal that was lost, is decided over first.
        if let Ok(Fate::Waits(name, left @ 1.., _)) = engine::fate(&wish.kit)
            && let Some(stage) = Stage::of_change(&name)
        {
            self.tell.say(Happens::Found(stage, left));
            return self.wait(&wish.kit, Whose::Another).await;
        }
        let work = async {
            let mut hardening = hardening(&wish, admin)?;
            engine::settle(&wish.kit, &Teller::silent())?;
            let survey = Box::pin(engine::survey(&hardening)).await?;
            let standing = engine::standing(&mut hardening, &survey).await?;
            let asks = Box::pin(engine::is_asked(&mut hardening, &survey)).await;
            let found = found(&wish, &survey, standing, asks);
            Ok::<_, Error>((Held { hardening, survey }, found))
        };
        match or_order(&mut self.orders, &self.tell, work).await {
            Err(order) => return order,
            Ok(Ok((held, found))) => {
                self.held = Some(held);
                self.tell.say(Happens::Looked(Ok(found)));
            }
            Ok(Err(Error::NeedsPassword { user })) if self.password.is_none() => {
                self.tell.say(Happens::Password(user));
            }
            Ok(Err(error)) => {
                // It is asked for again, in case that it was this one that was wrong.
                self.password = None;
                self.tell.say(Happens::Looked(Err(failure(&error))));
            }
        }
        None
    }

    /// Any order ends it, gently: what was seen is kept first.
    async fn watch(&mut self, length: Duration) -> Overtaken {
        let Some(held) = &mut self.held else {
            self.tell.say(Happens::Watched(Err(gone())));
            return None;
        };
        let over = Cell::new(false);
        let tell = self.tell.clone();
        let each = |seen: &Watched, looks: u64| {
            tell.say(Happens::Seen(plaintext(seen), looks));
            if over.get() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let kit = held.hardening.request.dir.clone();
        let mut next = None;
        let result = {
            let work = engine::watch(&mut held.survey, &kit, length, &each);
            let mut work = std::pin::pin!(work);
            loop {
                match or_order(&mut self.orders, &self.tell, work.as_mut()).await {
                    Ok(result) => break result,
                    Err(order) => {
                        over.set(true);
                        next = order.filter(|(_, order)| !matches!(order, Order::Stop));
                        if next.is_some() {
                            break work.await;
                        }
                    }
                }
            }
        };
        let watched = result
            .map(|look| (plaintext(&look.all), look.reach()))
            .map_err(|error| {
                let mut fault = failure(&error);
                fault
                    .remedies
                    .push("what was seen until then is kept; watch again".to_owned());
                fault
            });
        self.tell.say(Happens::Watched(watched));
        next
    }

    async fn propose(&mut self, stage: Stage, wish: Wish) -> Overtaken {
        self.proposal = None;
        let Some(held) = &mut self.held else {
            self.tell.say(Happens::Proposed(Err(gone())));
            return None;
        };
        held.hardening.stage = stage;
        held.hardening.request.flags = wish.flags.clone();
        held.hardening.client.clone_from(&wish.client);
        let work = engine::propose(&held.hardening, &held.survey);
        match or_order(&mut self.orders, &self.tell, work).await {
            Err(order) => return order,
            Ok(Ok(proposal)) => {
                let facts = facts(&proposal, &held.survey);
                let preview = Preview::of_a_server(&proposal.files, &proposal.settings_diff(&held.survey));
                self.tell.say(Happens::Proposed(Ok((preview, facts))));
                self.proposal = Some(proposal);
            }
            Ok(Err(error)) => self
                .tell
                .say(Happens::Proposed(Err(words::of_a_stage(&wish, &error)))),
        }
        None
    }

    async fn attempt(&mut self, seconds: u64) -> Overtaken {
        let (Some(held), Some(proposal)) = (&mut self.held, &self.proposal) else {
            self.tell.say(Happens::Tried(Err(gone())));
            return None;
        };
        if !proposal.is_within_reach(&held.survey) && !proposal.is_empty() {
            let written = engine::bundle(&held.survey, proposal);
            self.tell.say(Happens::Tried(
                written
                    .map(|dir| Tried::Bundled(dir.display().to_string()))
                    .map_err(|error| failure(&error)),
            ));
            self.release().await;
            return None;
        }
        let kit = held.hardening.request.dir.clone();
        held.hardening.confirm_within = Some(seconds);
        let tell = self.tell.clone();
        let teller = Teller::new(move |event| tell.say(Happens::Told(event)));
        let work = Box::pin(engine::attempt(
            &held.hardening,
            &mut held.survey,
            proposal,
            &teller,
        ));
        let tried = match or_order(&mut self.orders, &self.tell, work).await {
            Ok(tried) => tried,
            Err(order) => {
                // In the middle of a question the session is of no use any more.
                (self.held, self.proposal) = (None, None);
                self.go_back(&kit, "Broken off, and everything is as it was.");
                return order.filter(|(_, order)| !matches!(order, Order::Stop));
            }
        };
        let next = match tried {
            Ok(tried) => {
                let waits = tried.confirm_within.is_some();
                self.tell.say(Happens::Tried(Ok(told(tried))));
                if waits {
                    self.wait(&kit, Whose::Ours).await
                } else {
                    None
                }
            }
            Err(error) => {
                self.tell.say(Happens::Tried(Err(failure(&error))));
                None
            }
        };
        self.release().await;
        next
    }

    /// Waits until somebody decides: the person here, or elsewhere, or the watchdog.
    async fn wait(&mut self, kit: &Path, whose: Whose) -> Overtaken {
        const BACK: &str = "Taken back, as you said: everything is as it was.";
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    Some((_, Order::Keep)) => {
                        match Box::pin(engine::confirm(kit)).await {
                            Ok(_) => self.tell.say(Happens::Ended(Ended::Kept)),
                            Err(error) => self.go_back(kit, &sentence(&error)),
                        }
                        return None;
                    }
                    Some((_, Order::Back | Order::Stop)) => {
                        self.go_back(kit, BACK);
                        return None;
                    }
                    // Another run's try has that run's watchdog.
                    other if whose == Whose::Another => return other,
                    other => {
                        self.go_back(kit, BACK);
                        return other;
                    }
                },
                () = sleep(TICK) => match engine::fate(kit) {
                    Ok(Fate::Waits(_, 0, false)) => {
                        self.go_back(kit, "Nobody kept it in time, and its watchdog is gone: it was taken back from here.");
                        return None;
                    }
                    Ok(Fate::Waits(_, left, _)) => self.tell.say(Happens::Left(left)),
                    Ok(Fate::Kept) => {
                        self.tell.say(Happens::Ended(Ended::Kept));
                        return None;
                    }
                    Ok(Fate::TakenBack) => {
                        let says = "Nobody kept it in time: the watchdog has put everything back as it was.";
                        self.tell.say(Happens::Ended(Ended::Back(says.to_owned())));
                        return None;
                    }
                    // The books are out of reach for a moment: the watchdog has its own.
                    Err(_) => {}
                },
            }
        }
    }

    /// How the administrator logs in, with what was typed.
    fn admin(&self) -> Option<Conninfo> {
        let mut conninfo = self.wish.as_ref()?.conninfo.clone();
        if let Some(password) = &self.password {
            conninfo.set_secret(Keyword::Password, password.clone());
        }
        Some(conninfo)
    }

    /// Takes back what is not decided, and tells how it is then.
    fn go_back(&self, kit: &Path, says: &str) {
        let ended = match engine::go_back(kit, self.admin().as_ref()) {
            Ok(false) if matches!(engine::fate(kit), Ok(Fate::Kept)) => Ended::Kept,
            Ok(_) => Ended::Back(says.to_owned()),
            Err(error) => Ended::Back(format!(
                "The watchdog takes it back; here it could not be done: {}",
                sentence(&error)
            )),
        };
        self.tell.say(Happens::Ended(ended));
    }
}

/// Whose a try is that waits to be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// It was begun here, and does not outlive this.
    Ours,
    /// It was begun elsewhere.
    Another,
}

/// Carries out work to its end, or to the next order; meanwhile the time is told.
async fn or_order<T>(
    orders: &mut Orders,
    tell: &Tell,
    work: impl Future<Output = T>,
) -> Result<T, Overtaken> {
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            order = orders.recv() => return Err(Some(order.unwrap_or((0, Order::Close)))),
            () = sleep(TICK) => tell.say(Happens::Tick(began.elapsed())),
        }
    }
}

fn hardening(wish: &Wish, conninfo: Conninfo) -> Result<Hardening, Error> {
    let now = OffsetDateTime::now_utc();
    let secrets = Secrets {
        key_passphrase: match &wish.passphrase_file {
            Some(file) => Some(journeys::secret("the passphrase file", file)?),
            None => passphrase(),
        },
        ..Secrets::default()
    };
    Ok(Hardening {
        only_tls13: None,
        conninfo,
        env: Environment::current(),
        means: Means {
            admin: None,
            expect: None,
            other: None,
            dir: wish.kit.clone(),
            key_passphrase: passphrase(),
            timeout: PROBE,
            now,
        },
        request: Request {
            dir: wish.kit.clone(),
            flags: wish.flags.clone(),
            answers_file: None,
            secrets,
            renew: Renew::Nothing,
            gathered: None,
            first_port: USUAL_PORT,
            now,
        },
        config_dir: wish.config_dir.clone(),
        stage: Stage::On,
        client: None,
        confirm_within: None,
    })
}
