//! Every question: its label, its flag, its choices, and when it is asked.

use crate::setup::{Auth, Mode, Run};

use super::form::{CA, CHECK, Form, GIVEN, HARDEN, OURS, OWN, REQUEST, THEIRS};

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// Where PostgreSQL runs.
    Run,
    /// Which server is checked.
    Conninfo,
    /// How the administrator of a server that is there logs in.
    Admin,
    /// Where that server's configuration is on this machine.
    ConfigDir,
    /// Where what belongs to that server is kept.
    Kit,
    /// Which major version.
    PgVersion,
    /// Where PostgreSQL's programs are.
    PgBin,
    /// What a container is made from.
    Image,
    /// Who proves who they are.
    Mode,
    /// How people log in.
    Auth,
    /// Names that clients dial.
    Host,
    /// The port.
    Port,
    /// The database.
    Database,
    /// The role.
    User,
    /// Where clients may come from.
    Allow,
    /// The role's password, in a file.
    PasswordFile,
    /// Where certificates come from.
    Source,
    /// The person's CA.
    CaCert,
    /// Its key.
    CaKey,
    /// The certificate that the person was given.
    ServerCert,
    /// Its key.
    ServerKey,
    /// What a CA answered to a request.
    Signed,
    /// Its root.
    Root,
    /// The passphrase of that key, in a file.
    PassphraseFile,
    /// The key algorithm.
    Algorithm,
    /// Lifetime of leaves.
    Days,
    /// Lifetime of a new CA.
    CaDays,
    /// Whose CA issues the certificates of the clients of a server that is there.
    ClientSource,
    /// That CA, whose key is elsewhere.
    ClientCa,
    /// A client's certificate of it, which the proof shows.
    ClientCert,
    /// Its key.
    ClientKey,
    /// Client certificates.
    Client,
}

/// How a question is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One of these.
    Choice(&'static [Choice]),
    /// One line of text; empty means that the default holds.
    Text,
    /// Lines of text.
    List,
}

impl Kind {
    /// Whether one of several answers is chosen.
    #[must_use]
    pub const fn is_choice(self) -> bool {
        matches!(self, Self::Choice(_))
    }
}

/// One answer to choose.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// As setup takes it.
    pub value: &'static str,
    /// In a word or two.
    pub label: &'static str,
    /// What it means, in one short sentence.
    pub says: &'static str,
    /// Whether it can be carried out: one that cannot is not shown.
    pub possible: fn(&Form) -> bool,
}

impl PartialEq for Choice {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Choice {}

/// What there is to know about a question.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// In a word or two.
    pub label: &'static str,
    /// The flag that gives the same answer.
    pub flag: &'static str,
    /// The key in an answers file.
    pub key: &'static str,
    /// How it is answered.
    pub kind: Kind,
    /// What holds where nothing is answered and nothing is saved, in words.
    pub without: &'static str,
    /// When it is asked.
    pub asked: fn(&Form) -> bool,
}

const fn always(_: &Form) -> bool {
    true
}

const fn choice(value: &'static str, label: &'static str, says: &'static str) -> Choice {
    Choice {
        value,
        label,
        says,
        possible: always,
    }
}

const RUNS: &[Choice] = &[
    Choice {
        possible: Form::can_run_here,
        ..choice(
            Run::Sandbox.name(),
            "A database, now",
            "a server for development, here",
        )
    },
    Choice {
        possible: Form::can_run_in_docker,
        ..choice(
            Run::Compose.name(),
            "A database in Docker",
            "a container, by Docker Compose",
        )
    },
    choice(Run::None.name(), "Only the files", "for a server of yours"),
    choice(CHECK, "Check a server", "prove what it promises, no change"),
    choice(HARDEN, "Harden a server", "one that runs, in stages"),
];

const MODES: &[Choice] = &[
    choice(
        Mode::OneWay.name(),
        "One-way TLS",
        "the server proves itself to clients",
    ),
    choice(Mode::Mtls.name(), "Mutual TLS", "both sides prove themselves"),
];

const AUTHS: &[Choice] = &[
    Choice {
        possible: |form| !form.proves_clients(),
        ..choice(Auth::Scram.name(), "Password", "SCRAM: proven without being sent")
    },
    Choice {
        possible: Form::proves_clients,
        ..choice(Auth::Cert.name(), "Certificate", "the certificate is the login")
    },
    Choice {
        possible: Form::proves_clients,
        ..choice(Auth::ScramCert.name(), "Both", "one thing stolen opens nothing")
    },
];

const SOURCES: &[Choice] = &[
    Choice {
        possible: |form| form.default_rows(Field::Source) == [OWN],
        ..choice(OWN, "A new CA", "made here, its key stays in ca/")
    },
    choice(CA, "Your CA", "its certificate and its key"),
    choice(GIVEN, "Your certificate", "one you were given, with its key"),
    Choice {
        possible: Form::hardens,
        ..choice(
            REQUEST,
            "Your CA, elsewhere",
            "it gets a request; the key stays here",
        )
    },
];

const CLIENT_SOURCES: &[Choice] = &[
    Choice {
        possible: |form| form.default_rows(Field::ClientSource) == [OURS],
        ..choice(OURS, "Made here", "a kit for every role, to hand out")
    },
    choice(THEIRS, "Your CA's", "handed out by whoever keeps its key"),
];

const ALGORITHMS: &[Choice] = &[
    choice("p256", "P-256", "made at once; every client reads it"),
    choice("p384", "P-384", "made at once; a larger curve"),
    choice("rsa2048", "RSA-2048", "made in a moment; for very old clients"),
    choice("rsa3072", "RSA-3072", "takes a few seconds to make"),
    choice("rsa4096", "RSA-4096", "takes 2-10 s to make, slows each login"),
    choice("ed25519", "Ed25519", "needs clients with OpenSSL 1.1.1"),
];

const fn spec(label: &'static str, flag: &'static str, key: &'static str, kind: Kind) -> Spec {
    Spec {
        label,
        flag,
        key,
        kind,
        without: "nothing",
        asked: makes,
    }
}

fn makes(form: &Form) -> bool {
    form.makes()
}

/// Certificates are made for a server that is there too.
fn issues(form: &Form) -> bool {
    form.makes() || form.hardens()
}

fn runs_here(form: &Form) -> bool {
    form.text(Field::Run) == Run::Sandbox.name()
}

fn runs_in_docker(form: &Form) -> bool {
    form.text(Field::Run) == Run::Compose.name()
}

fn own_ca(form: &Form) -> bool {
    issues(form) && form.text(Field::Source) == CA
}

fn given(form: &Form) -> bool {
    issues(form) && form.text(Field::Source) == GIVEN
}

/// Certificates of a CA whose key is elsewhere are shown to a server that is there.
fn client_ca(form: &Form) -> bool {
    form.hardens() && form.text(Field::ClientSource) == THEIRS
}

fn makes_ca(form: &Form) -> bool {
    issues(form) && (form.text(Field::Source) == OWN || (given(form) && form.is_mtls()))
}

fn makes_keys(form: &Form) -> bool {
    issues(form) && (!given(form) || form.is_mtls())
}

impl Field {
    /// Every question, in the order in which they are asked.
    pub const ALL: [Self; 32] = [
        Self::Run,
        Self::Conninfo,
        Self::Admin,
        Self::ConfigDir,
        Self::Kit,
        Self::PgVersion,
        Self::PgBin,
        Self::Image,
        Self::Mode,
        Self::Auth,
        Self::Host,
        Self::Port,
        Self::Database,
        Self::User,
        Self::Allow,
        Self::PasswordFile,
        Self::Source,
        Self::CaCert,
        Self::CaKey,
        Self::ServerCert,
        Self::ServerKey,
        Self::Signed,
        Self::Root,
        Self::PassphraseFile,
        Self::Algorithm,
        Self::Days,
        Self::CaDays,
        Self::ClientSource,
        Self::ClientCa,
        Self::ClientCert,
        Self::ClientKey,
        Self::Client,
    ];

    /// What is asked of the clients of a server that is there, where they are to prove themselves.
    pub const OF_CLIENTS: &[Self] = &[
        Self::ClientSource,
        Self::ClientCa,
        Self::ClientCert,
        Self::ClientKey,
        Self::Auth,
        Self::Client,
    ];

    /// Whether it is answered with a connection string.
    #[must_use]
    pub const fn is_conninfo(self) -> bool {
        matches!(self, Self::Conninfo | Self::Admin)
    }

    /// The same of a question about a server that is there.
    fn of_a_server(self) -> Spec {
        let spec = |label, flag, key, without| Spec {
            asked: Form::hardens,
            without,
            ..spec(label, flag, key, Kind::Text)
        };
        match self {
            Self::Admin => spec("Log in by", "", "admin", "as psql would, by PG* variables"),
            Self::ConfigDir => spec(
                "Its files are in",
                "--config-dir",
                "config-dir",
                "where the server says",
            ),
            _ => spec("Books kept in", "--dir", "kit", "this directory"),
        }
    }

    /// The same of a question about that server's clients.
    fn of_its_clients(self) -> Spec {
        let file = |label, flag, key| Spec {
            asked: client_ca,
            without: "that of your login, if it has one",
            ..spec(label, flag, key, Kind::Text)
        };
        match self {
            Self::ClientCa => Spec {
                without: "nothing",
                ..file("That CA", "--client-ca", "client-ca")
            },
            Self::ClientCert => file("A client's", "--client-cert", "client-cert"),
            Self::ClientKey => file("Its key", "--client-key", "client-key"),
            _ => Spec {
                asked: Form::hardens,
                ..spec(
                    "Whose client certificates?",
                    "",
                    "client-source",
                    Kind::Choice(CLIENT_SOURCES),
                )
            },
        }
    }

    /// What there is to know about it.
    #[must_use]
    pub fn spec(self) -> Spec {
        use Kind::{Choice, List, Text};
        match self {
            Self::Run => Spec {
                asked: always,
                ..spec("What do you want?", "--run", "run", Choice(RUNS))
            },
            Self::Conninfo => Spec {
                asked: Form::only_checks,
                without: "this project's own server",
                ..spec("Server", "", "conninfo", Text)
            },
            Self::Admin | Self::ConfigDir | Self::Kit => self.of_a_server(),
            Self::PgVersion => Spec {
                asked: |form| runs_here(form) || runs_in_docker(form),
                without: "the newest there is",
                ..spec("Version", "--pg-version", "pg-version", Text)
            },
            Self::PgBin => Spec {
                asked: runs_here,
                without: "wherever they are found",
                ..spec("Programs in", "--pg-bin", "pg-bin", Text)
            },
            Self::Image => Spec {
                asked: runs_in_docker,
                without: "the official one of that version",
                ..spec("Image", "--image", "image", Text)
            },
            Self::Mode => spec("Who has to prove who they are?", "--mode", "mode", Choice(MODES)),
            Self::Auth => Spec {
                asked: Form::proves_clients,
                ..spec("How do people log in?", "--auth", "auth", Choice(AUTHS))
            },
            Self::Host => Spec {
                asked: issues,
                ..spec("Clients dial", "--host", "hosts", List)
            },
            Self::Port => Spec {
                without: "the first free one from 5432",
                ..spec("Port", "--port", "port", Text)
            },
            Self::Database => spec("Database", "--database", "database", Text),
            Self::User => spec("Role", "--user", "user", Text),
            Self::Allow => spec("They come from", "--allow", "allow", List),
            Self::PasswordFile => Spec {
                asked: |form| makes(form) && form.wants_password(),
                without: "a new one is made",
                ..spec("Password in", "--password-file", "password-file", Text)
            },
            Self::Source => Spec {
                asked: issues,
                ..spec("Who issues the certificates?", "", "source", Choice(SOURCES))
            },
            Self::CaCert => Spec {
                asked: own_ca,
                ..spec("CA certificate", "--ca-cert", "ca-cert", Text)
            },
            Self::CaKey => Spec {
                asked: own_ca,
                ..spec("CA key", "--ca-key", "ca-key", Text)
            },
            Self::ServerCert => Spec {
                asked: given,
                ..spec("Certificate", "--server-cert", "server-cert", Text)
            },
            Self::ServerKey => Spec {
                asked: given,
                ..spec("Its key", "--server-key", "server-key", Text)
            },
            Self::Signed => Spec {
                asked: Form::is_requested,
                without: "not there yet",
                ..spec("Its answer", "", "signed", Text)
            },
            Self::Root => Spec {
                asked: |form| given(form) || form.is_requested(),
                ..spec("Its root", "--root", "root", Text)
            },
            Self::PassphraseFile => Spec {
                asked: |form| own_ca(form) || given(form),
                without: "the key is not encrypted",
                ..spec("Passphrase in", "--passphrase-file", "passphrase-file", Text)
            },
            Self::Algorithm => Spec {
                asked: makes_keys,
                ..spec("Keys", "--algorithm", "algorithm", Choice(ALGORITHMS))
            },
            Self::Days => Spec {
                // How long it lasts is for that CA to say.
                asked: |form| makes_keys(form) && !form.is_requested(),
                ..spec("Valid for days", "--days", "days", Text)
            },
            Self::CaDays => Spec {
                asked: makes_ca,
                ..spec("The CA for days", "--ca-days", "ca-days", Text)
            },
            Self::ClientSource | Self::ClientCa | Self::ClientCert | Self::ClientKey => self.of_its_clients(),
            Self::Client => Spec {
                asked: Form::proves_clients,
                ..spec("Clients", "--client", "client", List)
            },
        }
    }
}

impl Form {
    /// Whether a server can be run on this machine; until it was looked up, hope.
    fn can_run_here(&self) -> bool {
        self.seen.as_ref().is_none_or(super::look::Seen::can_run_here)
    }
    /// Whether a container can be run on this machine.
    fn can_run_in_docker(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.docker.is_some())
    }
}
