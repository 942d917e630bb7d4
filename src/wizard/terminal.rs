//! The terminal: taken, given back in every case, drawn to when something happened, and asked for events.

use std::io::{self, Stdout, Write};
use std::mem::ManuallyDrop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::thread::ThreadId;

use crossterm::cursor::Show;
use crossterm::event::{
    self, DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
    KeyEventKind, MouseButton, MouseEventKind,
};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{clipboard::CopyToClipboard, execute, queue};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getpid, kill_process};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::effects::Runner;
use super::farewell::farewell;
use super::lesson;
use super::message::{Effect, Failure, Message, Reply};
use super::model::Model;
use super::record::Recorder;
use super::resume::Kept;
use super::update::update;
use super::view::{Drawn, view};

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Which thread draws.
static DRAWS: Mutex<Option<ThreadId>> = Mutex::new(None);

/// How the wizard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The person left.
    Left,
    /// By a signal of this name.
    Signal(&'static str),
}

impl End {
    /// Nobody is there any more.
    pub const GONE: Self = Self::Signal("the end of the terminal");
}

/// Whether the terminal has gone away: closed, or its connection lost.
#[must_use]
pub fn is_gone() -> bool {
    waits_for_its_end(Some(&Timespec::default()))
}

/// Waits for the terminal's end, for so long; whether it came.
fn waits_for_its_end(timeout: Option<&Timespec>) -> bool {
    let stdout = io::stdout();
    // No event is asked for: a hang-up is told unasked (POSIX, poll).
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    loop {
        match poll(&mut watched, timeout) {
            Err(rustix::io::Errno::INTR) => {}
            polled => {
                return polled.is_ok() && watched[0].revents().intersects(PollFlags::HUP | PollFlags::ERR);
            }
        }
    }
}

/// What the terminal sends; an error is its end.
///
/// Two threads, because crossterm goes on reading for ever from a terminal that is gone: whoever reads may then be lost, and
/// whoever watches tells it. Both wait in the kernel, and end with the process.
fn listen() -> mpsc::UnboundedReceiver<io::Result<Event>> {
    let (sender, events) = mpsc::unbounded_channel();
    let watcher = sender.clone();
    std::thread::spawn(move || {
        if waits_for_its_end(None) {
            let _ = watcher.send(Err(io::ErrorKind::BrokenPipe.into()));
        }
    });
    std::thread::spawn(move || {
        loop {
            let event = event::read();
            let is_last = event.is_err();
            if sender.send(event).is_err() || is_last {
                return;
            }
        }
    });
    events
}

/// The terminal, while it is ours; given back when dropped.
struct Screen {
    /// Never dropped: that shows the cursor, which `leave` has done, and panics where nobody is there to see it.
    terminal: ManuallyDrop<Terminal<CrosstermBackend<Stdout>>>,
}

impl Screen {
    fn take() -> io::Result<Self> {
        static HOOK: Once = Once::new();
        HOOK.call_once(restore_on_panic);
        *DRAWS.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current().id());
        enter()?;
        let screen = Self {
            terminal: ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?),
        };
        Ok(screen)
    }

    /// Draws the model, and says what can be clicked.
    fn draw(&mut self, model: &Model, recorder: Option<&mut Recorder>) -> io::Result<Drawn> {
        let mut drawn = Drawn::default();
        let done = self.terminal.draw(|frame| {
            drawn = view(model, frame.buffer_mut());
            if let Some(cursor) = drawn.cursor {
                frame.set_cursor_position(cursor);
            }
        })?;
        if let Some(recorder) = recorder {
            recorder.frame(done.buffer);
        }
        Ok(drawn)
    }

    /// Gives the terminal to the shell until it continues us.
    fn suspend(&mut self) -> io::Result<()> {
        leave();
        // Stops here, until a SIGCONT.
        let _ = kill_process(getpid(), Signal::TSTP);
        self.retake()
    }

    fn retake(&mut self) -> io::Result<()> {
        enter()?;
        execute!(io::stdout(), Clear(ClearType::All))?;
        // Begun anew rather than cleared: that would ask the terminal where its cursor is, and not every one answers.
        self.terminal = ManuallyDrop::new(Terminal::new(CrosstermBackend::new(io::stdout()))?);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn enter() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    execute!(
        io::stdout(),
        EnterAlternateScreen,
        EnableMouseCapture,
        EnableBracketedPaste
    )
}

/// Gives the terminal back as it was: once, whoever asks first.
fn leave() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = queue!(
        out,
        DisableBracketedPaste,
        DisableMouseCapture,
        LeaveAlternateScreen,
        Show
    );
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// A panic of the thread that draws gives the terminal back before it is reported. One of a journey's thread is not
/// reported over the screen: its end is told there.
fn restore_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let draws = *DRAWS.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = TAKEN.load(Ordering::SeqCst);
        if taken && draws != Some(std::thread::current().id()) {
            return;
        }
        leave();
        report(panic);
    }));
}

/// A run that is over.
#[derive(Debug)]
pub struct Over {
    /// How it ended.
    pub end: End,
    /// Why the lesson that was on did not go on.
    pub failed: Option<Failure>,
    /// What a lesson could not remove behind it, in words.
    pub left: Vec<String>,
    /// What there is to say now that the screen is gone.
    pub farewell: Vec<String>,
}

/// Runs the wizard until it ends.
pub async fn run(
    mut model: Model,
    first: Vec<Effect>,
    mut recorder: Option<&mut Recorder>,
) -> io::Result<Over> {
    let (sender, mut messages) = mpsc::unbounded_channel();
    let mut runner = Runner::new(model.dir.clone(), sender);
    // Before the terminal is taken, so that no signal is missed in between.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut resume = signal(SignalKind::from_raw(Signal::CONT.as_raw()))?;
    let mut screen = Screen::take()?;
    let mut events = listen();
    for effect in first {
        runner.run(effect);
    }
    let mut shown = async || -> io::Result<End> {
        let mut drawn = screen.draw(&model, recorder.as_deref_mut())?;
        loop {
            let mut batch = Vec::new();
            tokio::select! {
                event = events.recv() => match event {
                    Some(Ok(event)) => batch.extend(translate(&event, &drawn)),
                    Some(Err(_)) | None => return Ok(End::GONE),
                },
                Some(message) = messages.recv() => batch.push(message),
                _ = interrupt.recv() => return Ok(End::Signal("Ctrl-C")),
                _ = terminate.recv() => return Ok(End::Signal("SIGTERM")),
                _ = hangup.recv() => return Ok(End::Signal("SIGHUP")),
                _ = resume.recv() => screen.retake()?,
            }
            take_more(&mut batch, &mut messages);
            let mut left = false;
            for message in batch {
                for effect in update(&mut model, message) {
                    match effect {
                        Effect::Quit => left = true,
                        Effect::Suspend => screen.suspend()?,
                        Effect::Copy(text) => {
                            execute!(io::stdout(), CopyToClipboard::to_clipboard_from(&text))?;
                            let note = "Copied, if this terminal lets programs copy (OSC 52). `pgtls connect` prints it too.";
                            model.note = Some(note.to_owned());
                        }
                        Effect::Lesson(lesson::Order::Close) => {
                            // It takes a moment; what is said of it meanwhile is in no recording.
                            screen.draw(&model, None)?;
                            runner.run(effect);
                            model.note = None;
                        }
                        effect => runner.run(effect),
                    }
                }
            }
            if left {
                screen.draw(&model, None)?;
                runner.end();
                return Ok(End::Left);
            }
            drawn = screen.draw(&model, recorder.as_deref_mut())?;
        }
    };
    let end = shown().await;
    drop(screen);
    let end = match end {
        Err(_) if is_gone() => End::GONE,
        end => end?,
    };
    // A lesson that is all there is answers no question.
    let alone = model.lesson.as_ref().is_some_and(|lesson| lesson.alone);
    if matches!(end, End::Signal(_)) && !alone {
        // What was typed on this step is kept too.
        runner.run(Effect::Keep(Kept::of(&model)));
    }
    drop(runner);
    // How what was under way has ended.
    let left = left_behind(&mut model, &mut messages);
    let farewell = farewell(&model);
    let failed = model.lesson.and_then(|lesson| match lesson.stage {
        lesson::Stage::Failed(failure) => Some(failure),
        _ => None,
    });
    Ok(Over {
        end,
        failed,
        left,
        farewell,
    })
}

/// Whatever else is there already costs no frame of its own; but a tick does, so that a lesson that goes on by itself has
/// shown what it leaves, however slow the screen is.
fn take_more(batch: &mut Vec<Message>, messages: &mut mpsc::UnboundedReceiver<Message>) {
    let is_tick = |message: &Message| matches!(message, Message::Lesson(lesson::Message::Tick(_)));
    while !batch.last().is_some_and(is_tick)
        && let Ok(message) = messages.try_recv()
    {
        batch.push(message);
    }
}

/// Takes in what the end of it all has told; what a lesson that has ended says of what is still there.
fn left_behind(model: &mut Model, messages: &mut mpsc::UnboundedReceiver<Message>) -> Vec<String> {
    let mut left = Vec::new();
    while let Ok(message) = messages.try_recv() {
        match message {
            Message::Lesson(lesson::Message::Left(says)) => left.push(says),
            Message::Done(_) | Message::Cancelled(_) => drop(update(model, message)),
            _ => {}
        }
    }
    left
}

/// Runs a lesson that goes on by itself, on a screen that nobody sees but the recorder.
pub async fn record(mut model: Model, first: Vec<Effect>, recorder: &mut Recorder) -> io::Result<Over> {
    let (sender, mut messages) = mpsc::unbounded_channel();
    let mut runner = Runner::new(model.dir.clone(), sender);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    for effect in first {
        runner.run(effect);
    }
    let (columns, rows) = model.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, columns, rows));
    let end = 'shown: loop {
        buffer.reset();
        view(&model, &mut buffer);
        recorder.frame(&buffer);
        let mut batch = Vec::new();
        tokio::select! {
            Some(message) = messages.recv() => batch.push(message),
            _ = interrupt.recv() => break End::Signal("Ctrl-C"),
            _ = terminate.recv() => break End::Signal("SIGTERM"),
            _ = hangup.recv() => break End::Signal("SIGHUP"),
        }
        take_more(&mut batch, &mut messages);
        for message in batch {
            // Nobody is there to be asked, or to read what went wrong.
            match &message {
                Message::Asked(_) => runner.run(Effect::Answer(Reply::No)),
                Message::Lesson(lesson::Message::Failed(fault)) => {
                    return Err(io::Error::other(fault.what.clone()));
                }
                _ => {}
            }
            for effect in update(&mut model, message) {
                match effect {
                    Effect::Quit => break 'shown End::Left,
                    effect => runner.run(effect),
                }
            }
        }
    };
    drop(runner);
    Ok(Over {
        end,
        failed: None,
        left: left_behind(&mut model, &mut messages),
        farewell: Vec::new(),
    })
}

/// What an event of the terminal means; a click is at something that was drawn.
fn translate(event: &Event, drawn: &Drawn) -> Option<Message> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Some(Message::Key(*key)),
        Event::Paste(text) => Some(Message::Paste(text.clone())),
        Event::Resize(columns, rows) => Some(Message::Resize(*columns, *rows)),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                let at = (mouse.column, mouse.row).into();
                let hit = drawn.hits.iter().rev().find(|hit| hit.area.contains(at));
                hit.map(|hit| Message::Click(hit.target))
            }
            MouseEventKind::ScrollUp => Some(Message::Scroll(-1)),
            MouseEventKind::ScrollDown => Some(Message::Scroll(1)),
            _ => None,
        },
        _ => None,
    }
}
