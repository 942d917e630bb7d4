//! A real pseudo-terminal with the program under test in it, and what a terminal would show.

use std::io::{Read, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{Account, MARK, mark, pgtls_bin, wait_for};

/// How long a screen may take to show what is waited for: the machine may be busy.
const BOUND: Duration = Duration::from_secs(120);

/// A terminal; its process is ended when dropped.
pub struct Pty {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
    reader: JoinHandle<()>,
}

/// What came out of it.
struct Seen {
    screen: vt100::Parser,
    bytes: Vec<u8>,
}

impl Pty {
    /// `pgtls ARGS` in a terminal of that size, in that directory, with these variables beside a clean environment.
    pub fn pgtls(args: &[&str], dir: &Path, size: (u16, u16), env: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(pgtls_bin());
        command.args(args);
        Self::clean(command, dir, size, env)
    }

    fn clean(mut command: CommandBuilder, dir: &Path, size: (u16, u16), env: &[(&str, &str)]) -> Self {
        command.cwd(dir);
        command.env_clear();
        command.env("HOME", Account::current().home());
        command.env("LC_ALL", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        command.env("PATH", std::env::var("PATH").unwrap_or_default());
        command.env(MARK, mark());
        // Whether this machine has Docker must not move the choices under the keys that a test sends.
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
        for (name, value) in env {
            command.env(name, value);
        }
        Self::start(command, size)
    }

    /// A program with these arguments in a terminal, in the same clean environment.
    pub fn program(program: &str, args: &[&str], dir: &Path, size: (u16, u16), env: &[(&str, &str)]) -> Self {
        let mut command = CommandBuilder::new(program);
        command.args(args);
        Self::clean(command, dir, size, env)
    }

    /// A command in a terminal.
    fn start(command: CommandBuilder, (columns, rows): (u16, u16)) -> Self {
        let size = PtySize {
            rows,
            cols: columns,
            pixel_width: 0,
            pixel_height: 0,
        };
        let pair = native_pty_system().openpty(size).unwrap();
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
            bytes: Vec::new(),
        }));
        let sink = Arc::clone(&seen);
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = sink.lock().unwrap_or_else(PoisonError::into_inner);
                seen.screen.process(&buffer[..count]);
                seen.bytes.extend(&buffer[..count]);
            }
        });
        Self {
            master: pair.master,
            keys,
            child,
            seen,
            reader,
        }
    }

    /// The text on the screen.
    pub fn text(&self) -> String {
        self.look(|seen| seen.screen.screen().contents())
    }

    /// Everything that was ever written to it.
    pub fn bytes(&self) -> Vec<u8> {
        self.look(|seen| seen.bytes.clone())
    }

    /// Something about the screen.
    pub fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        self.look(|seen| look(seen.screen.screen()))
    }

    fn look<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Types.
    pub fn send(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits until the screen shows this text.
    #[track_caller]
    pub fn expect(&self, text: &str) {
        self.until(&format!("the screen shows {text:?}"), |screen| {
            screen.contains(text)
        });
    }

    /// Waits until the screen's text is such.
    #[track_caller]
    pub fn until(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let begun = std::time::Instant::now();
        while !holds(&self.text()) {
            assert!(
                begun.elapsed() < BOUND,
                "{what}: not within {BOUND:?}\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Nothing that was written is coloured (ECMA-48, 8.3.117: 30 to 48 and 90 to 107), and what is read first is still bold.
    #[track_caller]
    pub fn is_without_colour(&self) {
        let bytes = String::from_utf8_lossy(&self.bytes()).into_owned();
        let mut bold = false;
        for sequence in bytes.split("\x1b[").skip(1) {
            let Some((codes, _)) = sequence.split_once('m') else {
                continue;
            };
            if codes.is_empty() || !codes.bytes().all(|byte| byte.is_ascii_digit() || byte == b';') {
                continue;
            }
            for code in codes.split(';').filter_map(|code| code.parse::<u16>().ok()) {
                assert!(!matches!(code, 30..=38 | 40..=48 | 90..=107), "a colour: {codes}");
                bold |= code == 1;
            }
        }
        assert!(bold, "what is read first is still bold");
    }

    /// Makes the terminal larger or smaller.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .screen
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        self.master
            .resize(PtySize {
                rows,
                cols: columns,
                pixel_width: 0,
                pixel_height: 0,
            })
            .unwrap();
    }

    /// A click of the left button at the first place that shows this text.
    #[track_caller]
    pub fn click(&mut self, text: &str) {
        let screen = self.text();
        let (row, line) = screen
            .lines()
            .enumerate()
            .find(|(_, line)| line.contains(text))
            .unwrap_or_else(|| panic!("{text:?} is not in\n{screen}"));
        let column = line[..line.find(text).unwrap()].chars().count();
        // The extended coordinates of xterm (DECSET 1006), counted from 1.
        self.send(&format!("\x1b[<0;{};{}M", column + 1, row + 1));
        self.send(&format!("\x1b[<0;{};{}m", column + 1, row + 1));
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Waits for its end, and until all that it wrote was read; its exit status.
    ///
    /// The program may be gone before its last line has come out of the terminal. Reading ends where nobody holds the
    /// terminal's other side any more: a process that was left behind with it is found here.
    #[track_caller]
    pub fn wait(&mut self) -> u32 {
        let status = wait_for("the program ends", BOUND, || self.child.try_wait().unwrap());
        wait_for("nobody holds the terminal any more", BOUND, || {
            self.reader.is_finished().then_some(())
        });
        status.exit_code()
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
