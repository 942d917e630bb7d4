//! The command line as clap sees it. Values stay text here: `setup` judges them all at once.

use std::path::PathBuf;

use crate::engine::demo::KEEPER;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::later::Later;

/// Put TLS on PostgreSQL, and prove that it holds.
#[derive(Debug, Parser)]
#[command(
    name = "pgtls",
    version,
    about,
    propagate_version = true,
    after_help = "Without a command, on a terminal: the wizard, step by step (Enter goes on, F1 shows the keys).\n\n\
        Examples:\n  \
        pgtls                                                the wizard, in this directory\n  \
        pgtls up --mode one-way --run sandbox --dir demo     a database with verified TLS, here and now\n  \
        pgtls up --mode mtls --run sandbox --dir demo        the same, and clients prove themselves too\n  \
        pgtls plan --dir demo --host db.example.org          what would change; writes nothing\n  \
        pgtls verify 'host=db.example.org dbname=app'        does it hold? what must be refused is tried too\n  \
        pgtls inspect db.example.org:5432                    what certificate does that server show?\n\n\
        Exit status: 0 what was promised holds · 1 it does not · 2 usage · 3 the environment lacks something · \
        4 could not be found out"
)]
pub struct Cli {
    /// What every command understands.
    #[command(flatten)]
    pub global: Global,
    /// The wizard line by line, without drawing: for screen readers; `TERM=dumb` means the same.
    #[arg(long)]
    pub accessible: bool,
    /// What to do; without it the wizard opens.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The project directory.
    #[arg(long, global = true, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Answer every question with its safe default; never overwrites an edit without keeping a copy.
    #[arg(long, short = 'y', global = true)]
    pub yes: bool,
    /// Print one JSON object on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// Say only what went wrong.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Say more (twice: the library's own trace).
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// One journey each.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan, write, start PostgreSQL, and prove every promise.
    Up(Later<UpArgs>),
    /// Show every file with its difference against the disk; write nothing.
    Plan(Later<SetupArgs>),
    /// Write the files, so that it can be undone.
    Apply(Later<ApplyArgs>),
    /// Take back the last write.
    Undo(UndoArgs),
    /// Stop what `up` started.
    Down {
        /// Delete the database's data too.
        #[arg(long)]
        volumes: bool,
    },
    /// Prove what a server promises: what must work, and what must be refused.
    Verify(Later<VerifyArgs>),
    /// Grade a running server, reading only: settings, rules, certificates, roles, sessions, clients.
    Audit(Later<AuditArgs>),
    /// Harden a running server in stages: show, try, prove, and go back by itself unless all of it holds.
    Harden(Later<Box<HardenArgs>>),
    /// Watch over a change of a server's files; started by `harden` alone.
    #[command(hide = true)]
    Watchdog,
    /// Show what a certificate file holds, or what a PostgreSQL server presents.
    Inspect(Later<InspectArgs>),
    /// Put new certificates in force without stopping the server, and prove that they are served.
    Renew(Later<RenewArgs>),
    /// Ask a CA of your own for a certificate: make the key and the request; the key stays here.
    Csr(Later<CsrArgs>),
    /// Print how to connect: a snippet for a driver or tool, ready to run.
    Connect(Later<ConnectArgs>),
    /// Show why sslmode=require is not enough: real servers, clients and impostors, live, gone afterwards.
    Demo(Later<DemoArgs>),
    /// Removes what a killed lesson left: waits for the end of standard input first. For the lesson's own use.
    #[command(name = KEEPER, hide = true)]
    KeepLesson {
        /// The lesson's directory.
        dir: PathBuf,
    },
    /// Print the completion script of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
}

/// SETUP: the answers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Setup")]
pub struct SetupArgs {
    /// Read answers from a TOML file; flags win over it. Default: pgtls.toml in the project directory.
    #[arg(long, value_name = "FILE")]
    pub answers: Option<PathBuf>,
    /// one-way: the server proves itself. mtls: both sides do.
    #[arg(long, value_name = "one-way|mtls")]
    pub mode: Option<String>,
    /// How people log in.
    #[arg(long, value_name = "scram|cert|scram+cert")]
    pub auth: Option<String>,
    /// Where PostgreSQL runs: sandbox (this machine's programs), compose (a container) or none (only the files).
    #[arg(long, value_name = "sandbox|compose|none")]
    pub run: Option<String>,
    /// A DNS name or IP that clients dial; repeatable, the first is the one we dial.
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// The TCP port [default: the first free one from 5432].
    #[arg(long, value_name = "PORT")]
    pub port: Option<String>,
    /// The database [default: app].
    #[arg(long, value_name = "NAME")]
    pub database: Option<String>,
    /// The role that logs in [default: app].
    #[arg(long, value_name = "ROLE")]
    pub user: Option<String>,
    /// A client certificate, and the role it logs in as; repeatable.
    #[arg(long, value_name = "CN[=ROLE]")]
    pub client: Vec<String>,
    /// Where clients may come from; repeatable [default: this machine].
    #[arg(long, value_name = "CIDR")]
    pub allow: Vec<String>,
    /// Which major version of PostgreSQL.
    #[arg(long, value_name = "MAJOR")]
    pub pg_version: Option<String>,
    /// Directory with PostgreSQL's server programs.
    #[arg(long, value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// The container's image [default: postgres:18, or of --pg-version].
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Key algorithm: p256, p384, rsa2048, rsa3072, rsa4096, ed25519 [default: p256].
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<String>,
    /// Lifetime of server and client certificates, days [default: 397].
    #[arg(long, value_name = "DAYS")]
    pub days: Option<String>,
    /// Lifetime of a new CA, days [default: 3650].
    #[arg(long, value_name = "DAYS")]
    pub ca_days: Option<String>,
    /// The certificate of a CA that you hold (with --ca-key).
    #[arg(long, value_name = "FILE")]
    pub ca_cert: Option<PathBuf>,
    /// The key of a CA that you hold; may be encrypted.
    #[arg(long, value_name = "FILE")]
    pub ca_key: Option<PathBuf>,
    /// A file with the passphrase of --ca-key or --server-key (or `PGTLS_KEY_PASSPHRASE`, or a prompt).
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// A server certificate that you were given (with --server-key and --root).
    #[arg(long, value_name = "FILE")]
    pub server_cert: Option<PathBuf>,
    /// The key of that certificate.
    #[arg(long, value_name = "FILE")]
    pub server_key: Option<PathBuf>,
    /// The root that it leads to.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// The CA of your clients' certificates, whose key is elsewhere: none is issued here (with --run none, or harden).
    #[arg(long, value_name = "FILE")]
    pub client_ca: Option<PathBuf>,
    /// A file with the login's password (mode 0600); without it one is made.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `apply`.
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The answers.
    #[command(flatten)]
    pub setup: SetupArgs,
    /// The files for a container, as --run compose; nothing is started.
    #[arg(long, conflicts_with = "run")]
    pub compose: bool,
}

/// `up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The answers.
    #[command(flatten)]
    pub setup: SetupArgs,
    /// Do not prove it afterwards.
    #[arg(long)]
    pub no_verify: bool,
    /// Use the data in a volume that an earlier project left: its databases stay, this setup's roles get new passwords.
    #[arg(long)]
    pub adopt: bool,
    /// How long a probe may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub timeout: f64,
}

/// `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// A libpq connection string or URI; default: the project's own.
    #[arg(value_name = "CONNINFO")]
    pub conninfo: Option<String>,
    /// connect: only what libpq would do. all: every promise. Without an sslmode verify-full is judged, not libpq's prefer.
    #[arg(long, value_name = "WHICH", default_value = "all")]
    pub probes: Probes,
    /// Connect under each sslmode, to the server and to impostors in front of it (loopback servers only).
    #[arg(long, conflicts_with_all = ["probes", "expect"])]
    pub modes: bool,
    /// Check many servers: a file with a connection string a line, or - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["conninfo", "modes"])]
    pub targets: Option<PathBuf>,
    /// A certificate or revocation list that ends within so many days is a failure; in a project those of all kits count.
    #[arg(long, value_name = "DAYS", conflicts_with = "modes")]
    pub expiring: Option<u32>,
    /// With --targets: write the results for Prometheus' textfile collector.
    #[arg(long, value_name = "FILE", requires = "targets")]
    pub prometheus: Option<PathBuf>,
    /// How long a probe may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub timeout: f64,
    /// Which promises to test [default: from pgtls.toml, else mtls if a client certificate is in use].
    #[arg(long, value_name = "one-way|mtls")]
    pub expect: Option<Expect>,
    /// A certificate of the same CA for another name, to prove that it is refused (with --other-key).
    #[arg(long, value_name = "FILE", requires = "other_key")]
    pub other_cert: Option<PathBuf>,
    /// The key of --other-cert.
    #[arg(long, value_name = "FILE", requires = "other_cert")]
    pub other_key: Option<PathBuf>,
    /// A superuser's own way into the same server: where a login is refused, its log and HBA rules are looked up.
    #[arg(long, value_name = "CONNINFO", conflicts_with = "targets")]
    pub admin: Option<String>,
}

/// Which probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Probes {
    /// What libpq would do, no more.
    Connect,
    /// Every promise.
    All,
}

/// Which promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Expect {
    /// The server proves itself.
    OneWay,
    /// Both sides do.
    Mtls,
}

/// `audit`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 nothing found that breaks what TLS promises · 1 something critical or high found · \
    4 nothing found, but what decides could not all be seen"
)]
pub struct AuditArgs {
    /// A libpq connection string or URI of a server (a superuser sees most; without sslmode it is psql's own, prefer), or a
    /// directory, whose files are graded before any server runs; default: the directory --dir.
    #[arg(value_name = "CONNINFO|DIR")]
    pub target: Option<String>,
    /// The directory with the server's configuration files, on this machine: shows mode and owner of the key too.
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// Scan a tree of client code for weak sslmodes, verification that is turned off, passwords in URLs.
    #[arg(long, value_name = "PATH")]
    pub clients: Option<PathBuf>,
    /// Print the report as Markdown.
    #[arg(long, conflicts_with_all = ["json", "html"])]
    pub markdown: bool,
    /// Print the report as one HTML page that needs nothing else.
    #[arg(long, conflicts_with = "json")]
    pub html: bool,
    /// How long one question may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub timeout: f64,
}

/// `undo`.
#[derive(Debug, Args)]
pub struct UndoArgs {
    /// A superuser's way in, where a stage of `harden` was put in force over SQL and the one that did it no longer does.
    #[arg(long, value_name = "CONNINFO")]
    pub admin: Option<String>,
}

/// `harden`.
#[derive(Debug, Args)]
#[command(
    after_help = "Stages, over days: on (TLS is offered) · watch (who still comes in without TLS) · require (nobody comes in \
        without TLS) · mtls --ask (client certificates are asked for) · mtls (and demanded) · floor (no old TLS, no weak cipher).\n\n\
        Each shows the difference of the server's own files and every session that would be turned away, then tries it under \
        a watchdog: reload, probes, a new login of the admin; whatever fails is taken back at once. `pgtls undo --dir DIR` \
        takes the last stage back.\n\n\
        Where the server's files are not on this machine, on and floor go over SQL (ALTER SYSTEM); the watchdog holds a session \
        of its own from before the change. What only files can do becomes a bundle for the server's administrator.\n\n\
        Exit status: 0 the stage is in force and proven · 1 it is not, and everything is as it was · 3 this machine or this \
        server does not allow it"
)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct HardenArgs {
    /// A libpq connection string or URI of a superuser. Over a socket whose line says peer, root logs in as the account that the
    /// socket belongs to.
    #[arg(value_name = "CONNINFO", required_unless_present = "confirm")]
    pub conninfo: Option<String>,
    /// The directory with the server's postgresql.conf, on this machine [default: where the server says it is].
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// Which stage; without it: where the server stands, and which comes next.
    #[arg(long, value_name = "on|watch|require|mtls|floor")]
    pub stage: Option<HardenStage>,
    /// With --stage mtls, before it is demanded: write the client kits, and have the server ask for certificates; whoever has
    /// none comes in as before.
    #[arg(long, requires = "stage")]
    pub ask: bool,
    /// With --stage floor: the least version of TLS [default: 1.3 where everybody who was seen speaks it, else 1.2].
    #[arg(long, value_name = "1.2|1.3", requires = "stage", hide_possible_values = true)]
    pub least_tls: Option<LeastTls>,
    /// Return once it is proven, and go back unless `pgtls harden --confirm` comes within so many seconds.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub confirm_within: Option<u32>,
    /// Keep what a try has put in force.
    #[arg(long, conflicts_with_all = ["conninfo", "stage", "config_dir", "confirm_within"])]
    pub confirm: bool,
    /// Go on though sessions that were seen would be turned away.
    #[arg(long)]
    pub accept_lockout: bool,
    /// Put a certificate of the kit's CA in the place of one of another CA that is in force: clients that verify that one refuse
    /// the server then.
    #[arg(long)]
    pub replace_certificate: bool,
    /// A client's certificate of --client-ca, which the proof shows.
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub client_cert: Option<PathBuf>,
    /// Its key.
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub client_key: Option<PathBuf>,
    /// How long to watch, seconds.
    #[arg(long = "for", value_name = "SECONDS", default_value = "10", value_parser = clap::value_parser!(u32).range(0..=604_800))]
    pub watch_for: u32,
    /// With --stage watch: forget what earlier watches saw.
    #[arg(long)]
    pub afresh: bool,
    /// How long one question or probe may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub timeout: f64,
    /// The answers.
    #[command(flatten)]
    pub setup: SetupArgs,
}

/// A version of TLS that may be the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LeastTls {
    /// RFC 5246.
    #[value(name = "1.2")]
    Tls12,
    /// RFC 8446.
    #[value(name = "1.3")]
    Tls13,
}

/// A stage of hardening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HardenStage {
    /// TLS is offered, not required.
    On,
    /// Who still comes in without TLS is looked at for a while, and kept.
    Watch,
    /// Nobody comes in without TLS.
    Require,
    /// Nobody comes in without a client certificate.
    Mtls,
    /// No old version of TLS, no weak cipher.
    Floor,
}

/// `demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 every scene went as expected · 1 one did not · 4 one could not be found out, or not be shown"
)]
pub struct DemoArgs {
    /// A server of your own on this machine, in place of one that is started: a libpq connection string, over loopback or a
    /// socket, of a login that may make roles and databases. The lesson has a role and a database of its own there, which are
    /// gone afterwards; nothing else is changed, and what cannot be shown without it is said. Goes before --auto.
    #[arg(value_name = "CONNINFO", conflicts_with = "notes")]
    pub conninfo: Option<String>,
    /// Only this scene, or begin with it on the screen: plaintext, prefer, require, verify-ca, verify-full, mutual-tls,
    /// renewal or matrix; repeatable.
    #[arg(long, value_name = "NAME")]
    pub scene: Vec<String>,
    /// Go on by itself, so many seconds after each act, and begin anew after the last: for a screen that nobody attends.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "12", conflicts_with = "json")]
    pub auto: Option<f64>,
    /// Record what is shown as an asciicast v2, and beside it as an animated SVG; a name that ends in .svg means only that.
    /// Without a terminal the scenes are played once, on a screen of 100 columns and 30 rows.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub record: Option<PathBuf>,
    /// On a second terminal: the presenter's notes of the scene that is played on the first.
    #[arg(long, conflicts_with_all = ["json", "auto", "record", "scene"])]
    pub notes: bool,
    /// Where the lesson's own server runs: sandbox (this machine's programs, the default) or compose (a container of your
    /// engine). Either is gone afterwards.
    #[arg(long, value_name = "sandbox|compose")]
    pub run: Option<String>,
    /// Which major version of PostgreSQL.
    #[arg(long, value_name = "MAJOR")]
    pub pg_version: Option<u16>,
    /// Directory with PostgreSQL's server programs.
    #[arg(long, value_name = "DIR")]
    pub pg_bin: Option<PathBuf>,
    /// The container's image, for --run compose.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
}

/// `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A file with certificates, or `HOST[:PORT]` of a PostgreSQL server.
    #[arg(value_name = "FILE|HOST[:PORT]")]
    pub target: String,
    /// Judge it by these roots.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// How long the server may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub timeout: f64,
}

/// `connect`.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// A driver or tool, such as psql, psycopg, node-pg or jdbc; --list names them all.
    #[arg(value_name = "LANGUAGE", default_value = "psql")]
    pub language: String,
    /// Name every driver and tool.
    #[arg(long)]
    pub list: bool,
    /// Which client kit, where there are several.
    #[arg(long, value_name = "NAME")]
    pub client: Option<String>,
    /// Install the kit for this account, where libpq looks by itself; with `service`: as a service entry.
    #[arg(long, conflicts_with_all = ["project", "format"])]
    pub install: bool,
    /// Write a whole example project into this directory instead: the snippet and its manifest.
    #[arg(long, value_name = "DIR", conflicts_with = "format")]
    pub project: Option<PathBuf>,
    /// Write a .env for your application into this directory: PG* variables and `DATABASE_URL`, beside what is in it.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["install", "project", "format"])]
    pub dotenv: Option<PathBuf>,
    /// With --dotenv: write the password into it too; the file then has mode 0600, and .gitignore names it.
    #[arg(long, requires = "dotenv")]
    pub with_password: bool,
    /// Make the kit's key in this format too, and print the file's name: pk8, p12, p12-legacy or truststore; repeatable.
    #[arg(long, value_name = "FORMAT")]
    pub format: Vec<String>,
}

/// `csr`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
        pgtls csr --host db.example.org --host 10.0.0.5     request/server.csr for your CA, request/server.key stays\n  \
        pgtls csr --client app                              the same for a client certificate of the role app\n  \
        pgtls csr --client app --cert FILE --root FILE      when the CA has answered: check it and file it into clients/app\n  \
        pgtls renew CONNINFO --config-dir DIR --cert FILE   when the CA has answered: check it and put it in force")]
pub struct CsrArgs {
    /// A DNS name or IP that clients dial; repeatable [default: those of pgtls.toml].
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Ask for a client certificate with this CN (the role) instead.
    #[arg(long, value_name = "CN", conflicts_with = "host")]
    pub client: Option<String>,
    /// The certificate that the CA answered with (PEM, DER or PKCS#7): check it and file it, a client's into clients/CN, the
    /// server's beside its request.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["algorithm", "new_key"])]
    pub cert: Option<PathBuf>,
    /// What the answer must lead to: your CA's root; for a client the CAs in the server's `ssl_ca_file`.
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub root: Option<PathBuf>,
    /// Key algorithm: p256, p384, rsa2048, rsa3072, rsa4096, ed25519 [default: of pgtls.toml, else p256].
    #[arg(long, value_name = "NAME")]
    pub algorithm: Option<String>,
    /// Make a new key where one of an earlier request is there.
    #[arg(long)]
    pub new_key: bool,
}

/// A stage of a new CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CaStage {
    /// Server and clients trust both CAs.
    Trust,
    /// Certificates come from the new one.
    Issue,
    /// The old one is trusted no more.
    Withdraw,
}

/// `renew`.
#[derive(Debug, Args)]
#[command(
    after_help = "Without CONNINFO: the project in --dir. With it: a server of your own, whose files are on this machine.\n\n\
        Examples:\n  \
        pgtls renew --dir demo                                                    new certificates by the project's CA\n  \
        pgtls renew 'host=/run/postgresql user=postgres' --config-dir /etc/postgresql/17/main --cert signed.p7b\n  \
        pgtls renew CONNINFO --config-dir DIR --from /etc/letsencrypt/live/db.example.org --root ca.crt\n  \
        pgtls renew CONNINFO --config-dir DIR --crl ca.crl                        a revocation list, checked first\n  \
        pgtls renew --ca --stage trust                                            a new CA in three stages, nobody locked out"
)]
pub struct RenewArgs {
    /// A libpq connection string or URI of a server of your own [default: the project's, or as the last time].
    #[arg(value_name = "CONNINFO")]
    pub conninfo: Option<String>,
    /// The directory with that server's configuration files, on this machine.
    #[arg(long, value_name = "DIR")]
    pub config_dir: Option<PathBuf>,
    /// The certificate that a CA answered with, its intermediates beside it in any order: PEM, DER or PKCS#7 (.p7b).
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// Its key [default: that of `pgtls csr`, else the present one, whichever it is for].
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The roots that your clients trust [default: those of the kits, or of CONNINFO, or of the present certificate].
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Names that the certificate must carry; repeatable [default: those of pgtls.toml, else of the present one].
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Take what another tool wrote there: certbot's live/NAME, lego's, cert-manager's, step's.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["cert", "key"])]
    pub from: Option<PathBuf>,
    /// Run this program first, without a shell; without --from what it prints (PEM) is taken.
    #[arg(long, value_name = "CMD", conflicts_with_all = ["cert", "key"])]
    pub exec: Option<String>,
    /// How long that program may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "120", requires = "exec")]
    pub exec_timeout: f64,
    /// Put a revocation list for client certificates in force (`ssl_crl_file`): PEM or DER.
    #[arg(long, value_name = "FILE")]
    pub crl: Option<PathBuf>,
    /// Make a new CA too: every client then needs the new root.crt.
    #[arg(long)]
    pub ca: bool,
    /// With --ca, in three stages that lock nobody out: trust (both), issue (from the new), withdraw (the old).
    #[arg(long, value_name = "STAGE", requires = "ca")]
    pub stage: Option<CaStage>,
    /// Issue only if the present certificate ends within so many days; else all is well.
    #[arg(long, value_name = "DAYS")]
    pub expiring: Option<u32>,
    /// Write a systemd service with its timer, a line for cron and a hook for certbot into this directory, and renew nothing.
    #[arg(long, value_name = "DIR")]
    pub units: Option<PathBuf>,
    /// A file with the passphrase of the CA's key (or `PGTLS_KEY_PASSPHRASE`, or a prompt).
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// How long a probe may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5")]
    pub timeout: f64,
}
