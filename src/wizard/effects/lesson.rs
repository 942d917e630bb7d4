//! The thread on which a lesson is played. What happens is told at a pace at which it can be read; how long it really took
//! is told by `pgtls demo --json`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use crate::engine::demo::{self, Playground, Scene, Told, Wanted};
use crate::engine::{Event, Teller};
use crate::pki::printable;

use super::super::lesson::{self, Order, Outcome, notes};
use super::super::message::{Failure, Message};
use super::ask::Asker;
use super::{defect, spawn};

/// How often the time is told.
const SECOND: Duration = Duration::from_secs(1);

/// A lesson that is played.
pub(super) struct Player {
    orders: mpsc::UnboundedSender<Order>,
    thread: JoinHandle<()>,
}

impl Player {
    /// Begins to set the stage.
    pub fn open(playground: Playground, ask: Asker, messages: &mpsc::UnboundedSender<Message>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let tell = messages.clone();
        let lost = Message::Lesson(lesson::Message::Failed(defect()));
        let thread = spawn(messages, lost, move || async move {
            let clock = clock();
            Theatre {
                tell,
                orders: received,
                began: Instant::now(),
                clock,
            }
            .run(playground, ask)
            .await;
            notes::withdraw();
        });
        Self { orders, thread }
    }

    /// Passes an order on; one that comes too late is none.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Breaks it off; what is left of it is waited for by whoever holds the thread.
    pub fn end(self) -> JoinHandle<()> {
        let _ = self.orders.send(Order::Close);
        self.thread
    }
}

fn clock() -> Interval {
    let mut clock = interval(SECOND);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    clock
}

struct Theatre {
    tell: mpsc::UnboundedSender<Message>,
    orders: mpsc::UnboundedReceiver<Order>,
    began: Instant,
    clock: Interval,
}

impl Theatre {
    fn say(&self, message: lesson::Message) {
        let _ = self.tell.send(Message::Lesson(message));
    }

    fn tick(&self) {
        self.say(lesson::Message::Tick(self.began.elapsed()));
    }

    /// Says something that somebody is to look at: how long is counted from now.
    fn show(&mut self, message: lesson::Message) {
        self.say(message);
        self.tick();
        self.clock.reset();
    }

    async fn run(mut self, playground: Playground, ask: Asker) {
        let wanted = Wanted {
            playground,
            keeper: demo::keeper(),
            now: OffsetDateTime::now_utc(),
        };
        let progress = self.tell.clone();
        let teller = Teller::new(move |event| {
            let told = match event {
                Event::Done { note, .. } => lesson::Message::Progress(printable(&note)),
                // An image may take minutes to come.
                Event::Notice(note) => lesson::Message::Notice(printable(&note)),
                _ => return,
            };
            let _ = progress.send(Message::Lesson(told));
        });
        let opened = {
            let mut opening = std::pin::pin!(demo::Lesson::open(&wanted, &ask, &teller));
            loop {
                tokio::select! {
                    biased;
                    order = self.orders.recv() => if matches!(order, None | Some(Order::Close)) {
                        return;
                    },
                    opened = &mut opening => break opened,
                    _ = self.clock.tick() => self.tick(),
                }
            }
        };
        let stage = match opened {
            Ok(stage) => stage,
            Err(error) => return self.say(lesson::Message::Failed(Failure::from(&error))),
        };
        self.show(lesson::Message::Opened(stage.client(), stage.server()));
        self.scenes(&stage).await;
        if let Some(left) = stage.close().await {
            self.say(lesson::Message::Left(left));
        }
    }

    /// Plays what is ordered, until it is over.
    async fn scenes(&mut self, stage: &demo::Lesson) {
        let mut next = None;
        loop {
            let scene = match next.take() {
                Some(scene) => scene,
                None => match self.wait().await {
                    Some(scene) => scene,
                    None => return,
                },
            };
            notes::publish(scene);
            match self.play(stage, scene).await {
                Turn::Ended => {}
                Turn::Another(scene) => next = Some(scene),
                Turn::Over => return,
            }
        }
    }

    /// The scene that is to be played next; none if it is over.
    async fn wait(&mut self) -> Option<Scene> {
        loop {
            tokio::select! {
                biased;
                order = self.orders.recv() => match order? {
                    Order::Play(scene) => return Some(scene),
                    Order::Close => return None,
                    Order::Open(_) | Order::Hurry | Order::GoOn => {}
                },
                _ = self.clock.tick() => self.tick(),
            }
        }
    }

    async fn play(&mut self, stage: &demo::Lesson, scene: Scene) -> Turn {
        let mut script = Script::default();
        let queue = Arc::clone(&script.queue);
        let (wake, mut woken) = mpsc::unbounded_channel();
        let teller = Teller::new(move |event| {
            queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_back(event);
            let _ = wake.send(());
        });
        let mut playing = std::pin::pin!(stage.play(scene, &teller));
        let mut played: Option<demo::Played> = None;
        let (mut rests, mut hurry) = (false, false);
        let mut due = Instant::now();
        loop {
            while hurry && let Some(event) = script.next() {
                self.say(lesson::Message::Told(event));
            }
            if script.act_follows() && !rests {
                (rests, hurry) = (true, false);
                self.show(lesson::Message::Rests(scene));
            }
            let is_over = played.is_some() && script.is_empty();
            if let Some(done) = played
                .as_ref()
                .filter(|_| is_over && (hurry || due <= Instant::now()))
            {
                self.show(lesson::Message::Played(scene, Outcome::of(done)));
                return Turn::Ended;
            }
            tokio::select! {
                biased;
                order = self.orders.recv() => match order {
                    None | Some(Order::Close) => return Turn::Over,
                    Some(Order::Play(scene)) => return Turn::Another(scene),
                    Some(Order::Hurry) => hurry = !rests,
                    Some(Order::GoOn) if rests => {
                        rests = false;
                        script.go_on();
                        due = Instant::now();
                    }
                    Some(Order::Open(_) | Order::GoOn) => {}
                },
                done = &mut playing, if played.is_none() => played = Some(done),
                Some(()) = woken.recv() => {}
                () = sleep_until(due), if !rests && (is_over || !script.is_empty()) => {
                    if let Some(event) = script.next() {
                        due = Instant::now() + pause(&event);
                        self.say(lesson::Message::Told(event));
                    }
                }
                _ = self.clock.tick() => self.tick(),
            }
        }
    }
}

/// What is still to be shown of a scene. It ends at the end of an act, until it is told to go on.
#[derive(Default)]
struct Script {
    queue: Arc<Mutex<VecDeque<Event>>>,
    /// Whether an act is on.
    is_on: bool,
}

impl Script {
    fn queue(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    /// Whether the act that is on has been shown to its end, and there is another.
    fn act_follows(&self) -> bool {
        self.is_on && matches!(self.queue().front(), Some(Event::Lesson(Told::Act { .. })))
    }

    /// What comes next in this act.
    fn next(&mut self) -> Option<Event> {
        if self.act_follows() {
            return None;
        }
        let next = self.queue().pop_front()?;
        self.is_on |= matches!(next, Event::Lesson(Told::Act { .. }));
        Some(next)
    }

    /// The next act may begin.
    const fn go_on(&mut self) {
        self.is_on = false;
    }
}

/// What comes after a scene.
enum Turn {
    Ended,
    Another(Scene),
    Over,
}

/// How long a thing is looked at before the next one comes.
fn pause(event: &Event) -> Duration {
    Duration::from_millis(match event {
        Event::Lesson(Told::Act { .. }) => 1200,
        Event::Lesson(Told::Wire(frame)) if frame.readable => 250,
        Event::Lesson(Told::Wire(_)) => 90,
        Event::Lesson(Told::Impostor(_)) => 500,
        Event::Lesson(Told::Server(_)) => 900,
        Event::Lesson(Told::Client { .. }) => 1500,
        Event::Cell { .. } => 80,
        _ => 0,
    })
}
