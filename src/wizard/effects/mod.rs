//! Carries out what the pure part asks for. Journeys run on a thread of their own, with a runtime of their own: making
//! an RSA key or waiting for a server never holds up the screen. What comes of it goes back as messages.

mod ask;
mod harden;
mod journey;
mod lesson;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::mpsc as answers;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use crate::apply::Project;
use crate::conninfo::{Conninfo, Environment};
use crate::engine::{self, Error, Event, Gathered, Means, Renew, Request, Secrets, Teller, USUAL_PORT};
use crate::pki::printable;
use crate::setup::Setup;
use crate::verify::prove;

use super::lesson::Order;
use super::look::{Seen, look};
use super::message::{Effect, Failure, Job, Message, Reply};
use super::model::ModeCell;
use super::resume;
use super::review::Preview;
use ask::Asker;
use harden::Hand;
use journey::Journey;
use lesson::Player;

/// How long one probe may take.
const PROBE: Duration = Duration::from_secs(5);
/// How often time is told while something runs.
const TICK: Duration = Duration::from_millis(200);

/// Keys and certificates that were made for the preview of this number, and for which setup.
type Made = Arc<Mutex<Option<(u64, Setup, Arc<Gathered>)>>>;

/// Runs effects.
pub struct Runner {
    dir: PathBuf,
    messages: mpsc::UnboundedSender<Message>,
    /// What runs and may be broken off.
    current: Option<Current>,
    /// Keys and certificates that were made for a preview, and for which setup: what was reviewed is what is written.
    made: Made,
    replies: Arc<Mutex<Option<answers::Sender<Reply>>>>,
    /// The lesson that is played.
    lesson: Option<Player>,
    /// The server that is hardened.
    hand: Option<Hand>,
}

struct Current {
    stop: Option<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Runner {
    /// Effects in this directory; messages go to `messages`.
    #[must_use]
    pub fn new(dir: PathBuf, messages: mpsc::UnboundedSender<Message>) -> Self {
        Self {
            dir,
            messages,
            current: None,
            made: Arc::default(),
            replies: Arc::default(),
            lesson: None,
            hand: None,
        }
    }

    /// Begins one effect; those of the terminal itself are not for here.
    pub fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Look => {
                let dir = self.dir.clone();
                let messages = self.messages.clone();
                spawn(
                    &self.messages,
                    Message::Seen(Seen::default()),
                    move || async move {
                        look(&dir, |seen| {
                            let _ = messages.send(Message::Seen(seen));
                        })
                        .await;
                    },
                );
            }
            Effect::Preview(number, job) => self.preview(number, job),
            Effect::Up(job) => self.up(job),
            Effect::Cancel => self.cancel(),
            Effect::Answer(reply) => {
                let waiting = self.replies.lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(waiting) = waiting {
                    let _ = waiting.send(reply);
                }
            }
            Effect::Prove(conninfo) => self.prove(conninfo),
            Effect::Modes(number, conninfo) => self.modes(number, conninfo),
            Effect::Save(job) => self.save(job),
            Effect::Keep(kept) => resume::keep(&self.dir, kept.as_ref()),
            Effect::Lesson(order) => self.lesson(order),
            Effect::Harden(number, order) => {
                let hand = self.hand.get_or_insert_with(|| Hand::new(&self.messages));
                hand.order(number, order);
            }
            Effect::Copy(_) | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Breaks off what runs, and waits until nothing of it is left.
    pub fn end(&mut self) {
        self.cancel();
        if let Some(current) = self.current.take() {
            wait_for(&current.thread);
        }
        if let Some(hand) = self.hand.take() {
            wait_for(&hand.end());
        }
        self.end_lesson();
    }

    fn lesson(&mut self, order: Order) {
        match (order, &self.lesson) {
            (Order::Open(playground), _) => {
                self.end_lesson();
                let ask = Asker {
                    messages: self.messages.clone(),
                    replies: Arc::clone(&self.replies),
                };
                self.lesson = Some(Player::open(playground, ask, &self.messages));
            }
            (Order::Close, _) => self.end_lesson(),
            (order, Some(player)) => player.order(order),
            (_, None) => {}
        }
    }

    /// Breaks the lesson off, and waits until nothing of it is left.
    fn end_lesson(&mut self) {
        if let Some(player) = self.lesson.take() {
            self.replies.lock().unwrap_or_else(PoisonError::into_inner).take();
            wait_for(&player.end());
        }
    }

    fn cancel(&mut self) {
        // Whoever waits for an answer gets none, and stops.
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(stop) = self.current.as_mut().and_then(|current| current.stop.take()) {
            let _ = stop.send(());
        }
    }

    fn preview(&self, number: u64, job: Job) {
        let (dir, messages, made) = (self.dir.clone(), self.messages.clone(), Arc::clone(&self.made));
        spawn(
            &self.messages,
            Message::Preview(number, Err(defect())),
            move || async move {
                let result = preview(dir, number, job, &made).await;
                let _ = messages.send(Message::Preview(
                    number,
                    result.map_err(|error| Failure::from(&error)),
                ));
            },
        );
    }

    fn up(&mut self, job: Job) {
        self.end();
        let (stop, stopped) = oneshot::channel();
        let journey = Journey {
            dir: self.dir.clone(),
            messages: self.messages.clone(),
            made: Arc::clone(&self.made),
            ask: Asker {
                messages: self.messages.clone(),
                replies: Arc::clone(&self.replies),
            },
        };
        let thread = spawn(&self.messages, Message::Done(Err(defect())), || async move {
            let done = ticking(&journey.messages.clone(), journey.go(job, stopped)).await;
            let _ = journey.messages.send(done);
        });
        self.current = Some(Current {
            stop: Some(stop),
            thread,
        });
    }

    fn save(&self, job: Job) {
        let (dir, messages) = (self.dir.clone(), self.messages.clone());
        spawn(
            &self.messages,
            Message::Noted(defect().what),
            move || async move {
                let says = match engine::save_answers(&request(&dir, &job, Secrets::default())) {
                    Ok(path) => format!(
                        "Saved {}; nothing else was written. `pgtls up` goes on from it.",
                        path.display()
                    ),
                    Err(error) => error.to_string(),
                };
                let _ = messages.send(Message::Noted(printable(&says)));
            },
        );
    }

    fn modes(&self, number: u64, conninfo: Option<SecretString>) {
        let (dir, messages) = (self.dir.clone(), self.messages.clone());
        let lost = Message::Matrix(number, Err(defect()));
        spawn(&self.messages, lost, move || async move {
            let cells = messages.clone();
            let teller = Teller::new(move |event| {
                if let Event::Cell {
                    sslmode,
                    root_file,
                    cell,
                } = event
                {
                    let cell = ModeCell {
                        sslmode,
                        root_file,
                        cell,
                    };
                    let _ = cells.send(Message::Cell(number, cell));
                }
            });
            let matrix = async {
                let (conninfo, means) = dialled(&dir, conninfo).await?;
                engine::modes(conninfo, &Environment::current(), &means, &teller).await
            };
            let result = ticking(&messages, matrix).await;
            let _ = messages.send(Message::Matrix(
                number,
                result.map_err(|error| Failure::from(&error)),
            ));
        });
    }

    fn prove(&self, conninfo: Option<SecretString>) {
        let (dir, messages) = (self.dir.clone(), self.messages.clone());
        spawn(&self.messages, Message::Proven(Err(defect())), || async move {
            let proof = async {
                let (conninfo, means) = dialled(&dir, conninfo).await?;
                let target = engine::target(conninfo, &Environment::current(), &means).await?;
                let tell = |probe: &crate::verify::Probe| {
                    let _ = messages.send(Message::Probe(probe.clone()));
                };
                Ok::<_, Error>(Box::pin(prove(&target, &tell)).await)
            };
            let result = ticking(&messages, proof).await;
            let _ = messages.send(Message::Proven(result.map_err(|error| Failure::from(&error))));
        });
    }
}

/// What is dialled, and with which means.
async fn dialled(dir: &std::path::Path, conninfo: Option<SecretString>) -> Result<(Conninfo, Means), Error> {
    let conninfo = match conninfo {
        Some(text) => Conninfo::parse(text.expose_secret())?,
        None => engine::project_conninfo(dir, PROBE, &Teller::silent()).await?,
    };
    let means = Means {
        expect: None,
        other: None,
        dir: dir.to_owned(),
        admin: None,
        key_passphrase: passphrase(),
        timeout: PROBE,
        now: OffsetDateTime::now_utc(),
    };
    Ok((conninfo, means))
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.end();
    }
}

/// Waits for a thread's end, but not for ever.
fn wait_for(thread: &JoinHandle<()>) {
    let until = Instant::now() + Duration::from_secs(20);
    while !thread.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs a future on a thread of its own. A defect of ours there ends that thread only: `lost` then says so.
fn spawn<F: Future<Output = ()>>(
    messages: &mpsc::UnboundedSender<Message>,
    lost: Message,
    work: impl FnOnce() -> F + Send + 'static,
) -> JoinHandle<()> {
    let messages = messages.clone();
    std::thread::spawn(move || {
        let run = AssertUnwindSafe(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.is_ok_and(|runtime| {
                runtime.block_on(work());
                // A name that is being looked up must not hold up the end.
                runtime.shutdown_background();
                true
            })
        });
        if !catch_unwind(run).unwrap_or(false) {
            let _ = messages.send(lost);
        }
    })
}

/// What is told of a defect of ours.
fn defect() -> Failure {
    Failure {
        what: "pgtls itself failed here: this is a defect of it".to_owned(),
        remedies: vec!["try again; if it stays, please report it with what you answered".to_owned()],
        log: Vec::new(),
        step: None,
    }
}

/// Tells the time while something runs.
async fn ticking<T>(messages: &mpsc::UnboundedSender<Message>, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = tokio::time::sleep(TICK) => {
                let _ = messages.send(Message::Tick(began.elapsed()));
            }
        }
    }
}

fn request(dir: &std::path::Path, job: &Job, secrets: Secrets) -> Request {
    Request {
        dir: dir.to_owned(),
        flags: job.flags.clone(),
        answers_file: None,
        secrets,
        renew: Renew::Nothing,
        gathered: None,
        first_port: USUAL_PORT,
        now: OffsetDateTime::now_utc(),
    }
}

/// The passphrase of a key, where the environment gives one.
fn passphrase() -> Option<SecretString> {
    std::env::var("PGTLS_KEY_PASSPHRASE").ok().map(SecretString::from)
}

/// The request of a job, with the secrets that its files hold.
fn with_secrets(dir: &std::path::Path, job: &Job) -> Result<(Request, Setup), Error> {
    let mut request = request(dir, job, Secrets::default());
    let setup = engine::setup(&request)?;
    if let Some(file) = &setup.password_file {
        request.secrets.password = Some(engine::secret("the password file", file)?);
    }
    if let Some(file) = &job.passphrase_file {
        request.secrets.key_passphrase = Some(engine::secret("the passphrase file", file)?);
    } else {
        request.secrets.key_passphrase = passphrase();
    }
    Ok((request, setup))
}

async fn preview(dir: PathBuf, number: u64, job: Job, made: &Made) -> Result<Preview, Error> {
    let (request, setup) = with_secrets(&dir, &job)?;
    let project = Project::look(&request.dir)?;
    let prepared = engine::prepare(&request, &project, None, &Teller::silent()).await?;
    let preview = Preview::of(&prepared);
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    // One that was overtaken while it made its keys is not what was reviewed.
    if made.as_ref().is_none_or(|(newest, ..)| *newest < number) {
        *made = Some((number, setup, Arc::clone(&prepared.gathered)));
    }
    Ok(preview)
}
