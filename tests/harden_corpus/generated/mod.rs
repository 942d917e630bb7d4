//! Servers put together at random, as messy as PostgreSQL takes them. `PGTLS_TEST_SEED` and `PGTLS_TEST_CASES` ask for
//! others, and for more; a failure names the seed that makes that one server alone.

mod claims;
mod rules;
mod settings;
mod trial;
mod walk;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Instant;

use super::case::{Case, Certificate, Content, Fact, File, Layout, Place, Way};
use super::stage::Transcript;
use super::support::{Account, Postgres, Random};
use super::{AT_ONCE, MAJORS, why};

/// A server, and what may be said when a stage of it is turned down.
pub struct Messy {
    case: Case,
    /// Who comes, and over which way.
    people: Vec<Fact>,
    /// Words of the refusals that are right on this server.
    turned_down: Vec<&'static str>,
    /// Whether what is served before is what clients verify from then on.
    keeps_certificate: bool,
    /// The stages, in the order in which they are gone through.
    stages: &'static [&'static str],
    /// What is confirmed, and what is taken back while it waits: a stage each.
    confirmed: Option<&'static str>,
    reconsidered: Option<&'static str>,
    /// Whether all of it is done once more after everything was taken back.
    twice: bool,
}

/// The ways through the stages.
const ORDERS: [&[&str]; 10] = [
    &["on", "watch", "require", "mtls", "floor"],
    &["on", "watch", "require", "mtls", "floor"],
    &["on", "watch", "require", "mtls", "floor"],
    &["on", "require", "floor", "mtls"],
    &["on", "on", "require", "require"],
    &["on", "mtls"],
    &["require", "watch", "mtls"],
    &["mtls", "require"],
    &["floor", "require"],
    &["on", "floor", "mtls", "floor"],
];

/// A number of somebody's choice.
fn chosen(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}"))
    })
}

impl Messy {
    /// The server of that seed, for that version.
    fn new(seed: u64, major: u16) -> Self {
        // Neighbouring seeds make servers that have nothing in common.
        let mut random = Random::new(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.below(2);
        }
        let random = &mut random;
        let mut messy = Self {
            case: Case {
                name: format!("seed {seed}"),
                about: String::new(),
                layout: random.pick(&[
                    Layout::Data,
                    Layout::Data,
                    Layout::Debian,
                    Layout::Split,
                    Layout::Odd,
                    Layout::Linked,
                ]),
                versions: major..=major,
                as_root: Account::is_root() && random.below(4) == 0,
                kit_is_trusted: true,
                admin: None,
                is_bare: random.below(4) == 0,
                arguments: ["-c", "log_connections=on"].map(str::to_owned).to_vec(),
                sql: Vec::new(),
                setup: Vec::new(),
                refused: None,
                stages: Vec::new(),
                facts: Vec::new(),
                files: Vec::new(),
            },
            people: people(random),
            turned_down: Vec::new(),
            keeps_certificate: false,
            stages: random.pick(&ORDERS),
            confirmed: random.pick(&[None, None, None, Some("on"), Some("require"), Some("mtls")]),
            reconsidered: random.pick(&[None, None, None, Some("on"), Some("require"), Some("floor")]),
            twice: random.below(6) == 0,
        };
        let hba = settings::write(&mut messy, random, major);
        rules::write(&mut messy, &hba, random, major);
        if random.below(3) == 0 {
            messy.link_some(random);
        }
        let proof: &[&str] = random.pick(&[&[][..], &["--auth", "cert"], &["--auth", "scram+cert"]]);
        if !proof.is_empty() {
            let words = proof.iter().map(|word| (*word).to_owned()).collect();
            messy.case.setup.push(("mtls".to_owned(), words));
        }
        messy
    }
}

impl Messy {
    /// Whether a certificate takes the place of the password.
    fn is_alone(&self) -> bool {
        let mut setup = self.case.setup.iter();
        setup.any(|(_, words)| words.last().is_some_and(|word| word == "cert"))
    }
}

impl Messy {
    /// Has some of the files kept elsewhere, with links to them where they should be.
    fn link_some(&mut self, random: &mut Random) {
        for file in std::mem::take(&mut self.case.files) {
            let is_text = matches!(file.content, Content::Bytes(_));
            let is_ours = file.path.starts_with("{etc}") && !file.path.ends_with("auto.conf");
            if !is_text || !is_ours || random.below(2) == 0 {
                self.case.files.push(file);
                continue;
            }
            let mut link = |path: &str, to: &str| {
                self.case.files.push(File {
                    path: path.to_owned(),
                    content: Content::Link(to.to_owned()),
                    mode: None,
                    of_root: false,
                });
            };
            let number = random.below(1_000_000);
            let kept = format!("{{srv}}/kept here/{number}");
            if random.below(3) == 0 {
                let between = format!("{{srv}}/{number}.link");
                link(&between, &format!("kept here/{number}"));
                link(&file.path, &between);
            } else {
                link(&file.path, &kept);
            }
            self.case.files.push(File { path: kept, ..file });
        }
    }
}

/// Who comes to every server.
fn people(random: &mut Random) -> Vec<Fact> {
    const ROLES: [&str; 19] = [
        "Mixed Case",
        "a/b",
        "x'y",
        "k\u{e4}se",
        "\"quoted\"",
        "app",
        "app",
        "app",
        "report",
        "alice",
        "bob",
        "legacy",
        "ancient",
        "odd, name",
        "all",
        "bare",
        "dba",
        "postgres",
        "batch",
    ];
    const DATABASES: [&str; 8] = [
        "shop", "shop", "shop", "app", "my db", "postgres", "all", "readers",
    ];
    let mut people = Vec::new();
    let mut add = |role: &str, database: &str, place, replication| {
        people.push(Fact {
            role: role.to_owned(),
            database: database.to_owned(),
            way: Way {
                place,
                tls: false,
                certificate: Certificate::None,
                replication,
            },
            comes_in: Vec::new(),
        });
    };
    for at in 0..7 {
        let place = match at {
            0 | 1 => Place::Socket,
            2 => Place::V6,
            _ => Place::V4,
        };
        add(random.pick(&ROLES), random.pick(&DATABASES), place, false);
    }
    add(random.pick(&["replicator", "dba"]), "postgres", Place::V4, true);
    people
}

/// As many as are wanted, each on the version that its seed says.
pub fn run() {
    let first = chosen("PGTLS_TEST_SEED", 1);
    let count = chosen("PGTLS_TEST_CASES", 8);
    let queue: VecDeque<u64> = (first..first + count).collect();
    let queue = Mutex::new(queue);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(seed) = queue.lock().unwrap().pop_front() else {
                        return;
                    };
                    let major = MAJORS[usize::try_from(seed % 4).unwrap()];
                    let Some(postgres) = Postgres::find(major) else {
                        continue;
                    };
                    let messy = Messy::new(seed, major);
                    let transcript = Transcript::default();
                    let begun = Instant::now();
                    let result = catch_unwind(AssertUnwindSafe(|| trial::run(&messy, &postgres, &transcript)));
                    println!("{:>5.1} s  seed {seed}@{major}", begun.elapsed().as_secs_f32());
                    if let Err(panic) = result {
                        let why = why(&*panic);
                        println!("FAILED seed {seed}@{major}: {why}");
                        failures.lock().unwrap().push(format!(
                            "#### PGTLS_TEST_SEED={seed} PGTLS_TEST_CASES=1 (PostgreSQL {major}, {:?}{})\n{:?}\n{}{}#### seed \
                             {seed}: {why}\n",
                            messy.case.layout,
                            if messy.case.as_root { ", as root" } else { "" },
                            messy.case.arguments,
                            messy.case.show(),
                            transcript.text(),
                        ));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(
        failures.is_empty(),
        "{}\n{} of {count} servers failed",
        failures.join("\n"),
        failures.len()
    );
}
