//! What a stage would change, and whom it would turn away. Nothing is written.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::apply;
use crate::apply::live::{LiveChange, MOUNT_ITS_DIRECTORY, Wanted, can_replace};
use crate::conf::hba::shown;
use crate::conf::simulate::{Channel, Connection, Outcome, Simulator, outcome};
use crate::conninfo::{Keyword, SslMode};
use crate::engine::Error;
use crate::harden::{Altered, Draft, Impact, Prevented, Stage, Wish, impact, plan, shut_out, unified};
use crate::pki::Certificate;
use crate::server;

use super::beside;
use super::certificates::{NewFile, Replaced, certificates};
use super::clients::{self, Shown};
use super::kit::{self, Project};
use super::others::nobody_else;
use super::remarks::{About, Least, remarks};
use super::rights;
use super::{FileDiff, Hardening, Survey, watch};

/// A stage, worked out.
pub struct Proposal {
    /// Which.
    pub stage: Stage,
    /// The files of the server that change, with their differences.
    pub files: Vec<FileDiff>,
    /// Whom it would turn away.
    pub impact: Impact,
    /// What should be known.
    pub notes: Vec<String>,
    /// A certificate that clients may well be verifying, and that another would take the place of.
    pub replaces: Option<Replaced>,
    /// Whether clients are not asked for certificates of the project's CA yet.
    pub(super) asks_first: bool,
    pub(super) project: Project,
    /// A client's certificate that somebody else issued, and that the proof shows.
    pub(super) client: Option<Shown>,
    pub(super) changes: Vec<LiveChange>,
    /// Text files and certificates by the server's own names, to see that it reads them.
    pub(super) read_back: Vec<(PathBuf, Zeroizing<Vec<u8>>)>,
    pub(super) wanted: Vec<(String, String)>,
    /// The settings that are altered over SQL, where the files are out of reach and no file has to change.
    pub settings: Option<Vec<Altered>>,
    /// Whether the server has to load TLS anew for it.
    pub(super) loads_tls: bool,
    /// Whether the certificate is to be proven by the project's root, or by what the admin's own connection trusts.
    pub(super) own_root: bool,
    /// The certificate that must be served afterwards; `None`: the one that is served now.
    pub(super) leaf: Option<Certificate>,
}

impl Proposal {
    /// Whether the server's files say all of it already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.settings.as_ref().is_none_or(Vec::is_empty)
    }

    /// Whether it can be put in force from here: over the server's files, or over SQL.
    #[must_use]
    pub fn is_within_reach(&self, survey: &Survey) -> bool {
        survey.reach.is_ok() || self.settings.is_some()
    }

    /// Why the certificate in force is not replaced unasked, and what to do.
    #[must_use]
    pub fn displaces(&self) -> Option<(String, &'static str)> {
        let replaced = self.replaces.as_ref()?;
        Some((
            replaced.why.clone(),
            "or replace it all the same with --replace-certificate; nothing was written",
        ))
    }

    /// Why it is not tried unasked, and what to do: who would be turned away.
    #[must_use]
    pub fn turns_away(&self) -> Option<(String, &'static str)> {
        let sessions = |count| match count {
            1 => "a session that was seen".to_owned(),
            many => format!("{many} sessions that were seen"),
        };
        let why = match (self.impact.would_refuse(), self.impact.may_refuse()) {
            (0, 0) => return None,
            (0, may) => format!("{} may be refused", sessions(may)),
            (would, 0) => format!("{} would be refused", sessions(would)),
            (would, may) => format!("{} would be refused, and {may} more may be", sessions(would)),
        };
        if self.stage == Stage::Mtls && self.asks_first {
            return Some((
                why,
                "hand out certificates first: --stage mtls --ask writes the kits and has the server ask for one without demanding \
                 it, and --stage watch then sees who still comes without. Or go on with --accept-lockout; nothing was written",
            ));
        }
        if self.impact.refused.is_empty() {
            return Some((
                why,
                "watch again while they come: whoever shows a certificate then no longer counts, and --stage watch --afresh forgets \
                 those who will never come again. Or go on with --accept-lockout; nothing was written",
            ));
        }
        if self
            .impact
            .refused
            .iter()
            .any(|affected| affected.with_tls == Some(false))
        {
            return Some((
                why,
                "whoever would not come in with TLS either needs a line of their own first (hostssl), and then to come with TLS: \
                 watch again, and whoever then does no longer counts. Or go on with --accept-lockout; nothing was written",
            ));
        }
        Some((
            why,
            "see to it that they come otherwise, and watch again: whoever then does no longer counts, and --stage watch --afresh \
             forgets those who will never come again. Or go on with --accept-lockout; nothing was written",
        ))
    }

    /// Each setting that is altered over SQL, as a difference: value and source now, and then.
    #[must_use]
    pub fn settings_diff(&self, survey: &Survey) -> Vec<(String, String)> {
        let altered = |one: &Altered| {
            let (value, source) = survey.in_force.get(&one.name).cloned().unwrap_or_default();
            let place = one
                .place
                .as_ref()
                .map_or(source, |place| crate::pki::printable(place));
            format!(
                "--- {name} ({place})\n+++ {name} (ALTER SYSTEM)\n-{name} = '{value}'\n+{name} = '{after}'\n",
                name = one.name,
                value = crate::pki::printable(&value),
                after = crate::pki::printable(&one.after)
            )
        };
        let settings = self.settings.iter().flatten();
        settings.map(|one| (one.name.clone(), altered(one))).collect()
    }

    /// What is handed out once it is in force, and to whom.
    #[must_use]
    pub fn to_hand_out(&self) -> Option<String> {
        let dir = self.project.dir.display();
        match self.stage {
            Stage::On | Stage::Require => {
                let kit = self.project.kits.first()?;
                Some(format!(
                    "hand out {} to every client (its sslrootcert, with sslmode=verify-full)",
                    self.project.file(kit, "root.crt")
                ))
            }
            Stage::Ask | Stage::Mtls if self.project.setup.client_ca.is_none() => Some(format!(
                "hand out {dir}/clients/ROLE/ to whoever logs in as ROLE, by a safe way: client.key is theirs alone"
            )),
            Stage::Ask | Stage::Mtls | Stage::Watch | Stage::Floor => None,
        }
    }

    /// The project directory.
    #[must_use]
    pub fn project_dir(&self) -> &Path {
        &self.project.dir
    }
}

pub(super) fn prevented(why: &Prevented) -> Error {
    let remedy = match why {
        Prevented::CommandLine { name, .. } => format!(
            "take `-c {name}=…` (or --{}) out of the way the server is started, restart it, and run this again",
            name.replace('_', "-")
        ),
        Prevented::Broken { .. } => {
            "mend that line first: until then the server takes no change at all, and would not start again"
                .to_owned()
        }
        Prevented::Unreadable { .. } => {
            "run this on the server's machine, as root or as the server's account".to_owned()
        }
        Prevented::Line { .. } | Prevented::NotEnough(_) => {
            "change that by hand, and run this again; nothing was written".to_owned()
        }
    };
    let what = why.to_string();
    match why {
        Prevented::CommandLine { .. } | Prevented::Unreadable { .. } => Error::OutOfReach { what, remedy },
        _ => Error::NotInForce { what, remedy },
    }
}

/// Whom a server that asks for certificates turns away.
const OF_ANOTHER_CA: &str = "a client that holds a certificate of another CA shows that when it is asked (psql: \
    ~/.postgresql/postgresql.crt), and is refused: such a file goes out of its way first";

/// Whether this PostgreSQL can speak TLS at all.
fn has_tls(survey: &Survey) -> Result<(), Error> {
    if !survey.setting("ssl_library").is_some_and(str::is_empty) {
        return Ok(());
    }
    Err(Error::OutOfReach {
        what: "this PostgreSQL was built without TLS".to_owned(),
        remedy:
            "install a build with OpenSSL, such as the packages of your distribution or of postgresql.org"
                .to_owned(),
    })
}

/// Works a stage out.
pub async fn propose(hardening: &Hardening, survey: &Survey) -> Result<Proposal, Error> {
    let (proposal, hindrance) = work_out(hardening, survey).await?;
    hindrance.map_or(Ok(proposal), Err)
}

/// The same, and what keeps it from coming into force for now.
pub(super) async fn work_out(
    hardening: &Hardening,
    survey: &Survey,
) -> Result<(Proposal, Option<Error>), Error> {
    has_tls(survey)?;
    let mut project = kit::project(hardening, survey)?;
    may_begin(survey, &project.dir)?;
    let kept = watch::kept(&project.dir)?;
    let mut watched = kept.clone();
    watched.merge(&survey.watched);
    let hosts: Vec<_> = project.setup.hosts.iter().map(ToString::to_string).collect();
    let certificates = Box::pin(certificates(hardening.stage, survey, &project)).await?;
    if let Some(roots) = certificates.roots {
        project.know_server_by(roots);
    }
    let asks_first = certificates.client_ca.is_some();
    let least = Least::of(hardening.only_tls13, &watched, survey.own.tls.as_ref());
    let wish = Wish {
        stage: hardening.stage,
        pair: certificates.pair,
        client_ca: certificates.client_ca,
        client_lists: certificates.client_lists,
        proof: project.proof,
        maps: project.maps(),
        only_tls13: least.is_13(),
        over_sql: survey.reach.is_err() && certificates.files.is_empty() && may_alter(survey),
    };
    let draft = plan(&survey.server, &wish).map_err(|why| prevented(&why))?;
    let loads_tls = beside::loads_tls(survey, &draft, !certificates.files.is_empty());
    let mut about_key = Vec::new();
    let hindrance = beside::loads(survey, &draft)
        .and_then(|()| beside::opens(survey, &draft, loads_tls, &mut about_key))
        .err();
    let settings = altered(survey, &wish, &draft)?;
    let impact = impact(&draft, &wish, &survey.world, &watched, survey.unread.is_empty())
        .map_err(|why| prevented(&why))?;
    own_way_in(hardening, survey, &draft, &project)?;
    let mut notes = [
        &project.gathered.notes[..],
        &certificates.notes,
        &beside::notes(survey),
        &remarks(
            survey,
            &About {
                stage: hardening.stage,
                hosts: (!certificates.keep).then_some(&hosts[..]),
                has_watched: watch::has_watched(&project.dir),
                least,
            },
        ),
        &about_key,
    ]
    .concat();
    if matches!(hardening.stage, Stage::Require | Stage::Mtls) {
        notes.extend(shut_out(&draft, &survey.world).map_err(|why| prevented(&why))?);
    }
    if hardening.stage == Stage::Ask {
        notes.push(OF_ANOTHER_CA.to_owned());
    }
    let client = match hardening.stage {
        Stage::Ask | Stage::Mtls => clients::shown(hardening, survey, &project, &mut notes)?,
        _ => None,
    };
    let mut proposal = Proposal {
        stage: hardening.stage,
        files: Vec::new(),
        impact,
        notes,
        client,
        replaces: certificates.replaces,
        wanted: draft.wanted().to_vec(),
        settings,
        leaf: (!certificates.keep).then(|| project.gathered.credentials.server.leaf().clone()),
        own_root: certificates.own_root,
        asks_first,
        read_back: Vec::new(),
        changes: Vec::new(),
        loads_tls,
        project,
    };
    proposal.change_files(survey, certificates.files);
    if let Some(altered) = &proposal.settings {
        proposal.notes.extend(over_sql_notes(survey, altered));
        proposal.keep_notes(certificates.keep);
        return Ok((proposal, hindrance));
    }
    if survey.reach.is_err() {
        proposal
            .notes
            .push(not_over_sql(survey, hardening.stage).to_owned());
    }
    proposal.change_texts(survey, &draft)?;
    proposal.keep_notes(certificates.keep);
    let hindrance = hindrance.or_else(|| proposal.can_be_written(survey).err());
    Ok((proposal, hindrance))
}

/// Whether no other kit is at it.
fn may_begin(survey: &Survey, dir: &Path) -> Result<(), Error> {
    if survey.reach.is_err() {
        return Ok(());
    }
    let places = survey.places();
    nobody_else(dir, &places.iter().map(PathBuf::as_path).collect::<Vec<_>>())
}

/// What goes over SQL, where the wish is that it does and no file has to change.
fn altered(survey: &Survey, wish: &Wish, draft: &Draft<'_>) -> Result<Option<Vec<Altered>>, Error> {
    if !wish.over_sql {
        return Ok(None);
    }
    let altered = draft.altered().map_err(|why| prevented(&why))?;
    let needed = |all: Vec<Altered>| {
        all.into_iter()
            .filter(|one| !is_so_by_default(survey, one))
            .collect()
    };
    let altered: Option<Vec<Altered>> = altered.map(needed);
    let names = altered.iter().flatten().map(|one| one.name.as_str());
    rights::may_alter(&survey.unalterable, &survey.target.user, names)?;
    Ok(altered)
}

/// Whether no file names it, and the server's own default is just that.
fn is_so_by_default(survey: &Survey, one: &Altered) -> bool {
    one.was.is_none() && survey.setting(&one.name) == Some(one.after.as_str())
}

/// Whether settings can be altered over SQL
/// (<https://www.postgresql.org/docs/current/runtime-config-compatible.html#GUC-ALLOW-ALTER-SYSTEM>).
fn may_alter(survey: &Survey) -> bool {
    survey.setting("allow_alter_system") != Some("off")
}

/// Why the server's administrator has to do it.
fn not_over_sql(survey: &Survey, stage: Stage) -> &'static str {
    match stage {
        Stage::On | Stage::Floor if !may_alter(survey) => {
            "allow_alter_system is off: whoever set it has the settings of this server made elsewhere, and ALTER \
             SYSTEM is refused"
        }
        Stage::On | Stage::Floor => {
            "over SQL alone a certificate cannot be brought there: with one that is there already (ssl_cert_file, \
             ssl_key_file), and sslrootcert=FILE with its root in the connection string, this stage needs no file"
        }
        _ => "rules (pg_hba.conf) and certificates cannot be changed over SQL",
    }
}

fn over_sql_notes(survey: &Survey, altered: &[Altered]) -> Vec<String> {
    if altered.is_empty() {
        return Vec::new();
    }
    let names: Vec<_> = altered.iter().map(|one| one.name.as_str()).collect();
    vec![format!(
        "going back takes a session: the watchdog holds one from before the change, which a reload does not end; should \
         the server be restarted meanwhile and not start, take {} out of {}",
        names.join(", "),
        survey.server.data.join("postgresql.auto.conf").display()
    )]
}

impl Proposal {
    fn keep_notes(&mut self, keep: bool) {
        if keep && !self.own_root {
            self.notes
                .push("the certificate in force holds under your own root, and stays".to_owned());
        }
    }

    /// Whether every file can take the place of the one that is there, and the server reads it then.
    fn can_be_written(&self, survey: &Survey) -> Result<(), Error> {
        if survey.reach.is_err() {
            return Ok(());
        }
        let data = survey.map.here(&survey.server.data);
        for (change, (theirs, _)) in self.changes.iter().zip(&self.read_back) {
            can_replace(&change.path)?;
            if theirs.to_str().is_none() || change.path.to_str().is_none() {
                return Err(apply::Error::CannotReplace {
                    path: change.path.clone(),
                    why: "its name is no UTF-8, so that the server could not be asked what it reads there, and no way back be written \
                          down"
                        .to_owned(),
                    remedy: "rename it, and what includes it, first".to_owned(),
                }
                .into());
            }
            if server::has_as_mount(&data, theirs) {
                return Err(apply::Error::CannotReplace {
                    path: change.path.clone(),
                    why: "the server has it as a mount of its own (as `docker run -v FILE:FILE` makes one), and would go on reading \
                          the file that is there now"
                        .to_owned(),
                    remedy: MOUNT_ITS_DIRECTORY.to_owned(),
                }
                .into());
            }
        }
        Ok(())
    }

    /// New files first: whoever restarts the server in between finds what the settings name.
    fn change_files(&mut self, survey: &Survey, files: Vec<NewFile>) {
        for file in files {
            let here = real(survey, &file.path);
            let before = survey.reach.is_ok().then(|| std::fs::read(&here).ok()).flatten();
            if before.as_deref() != Some(&file.content[..]) {
                let diff = described(&here, &file, before.is_some());
                self.change(survey, file, here, before, diff);
            }
        }
    }

    /// The server's own files that read otherwise afterwards.
    fn change_texts(&mut self, survey: &Survey, draft: &Draft<'_>) -> Result<(), Error> {
        for (path, old, new) in draft.changes() {
            let here = real(survey, path);
            // One file under two names: what is written under the first is what stands under the second.
            if let Some(written) = self.changes.iter().find(|change| change.path == here) {
                if written.after.as_ref().is_some_and(|after| *after.content == new) {
                    continue;
                }
                return Err(prevented(&Prevented::Line {
                    place: path.display().to_string(),
                    why: "the file has two names here, and other lines would change under each of them",
                }));
            }
            let diff = format!(
                "--- {0}\n+++ {0}\n{1}",
                shown(here.as_os_str().as_encoded_bytes()),
                unified(old.as_deref().unwrap_or_default(), new)
            );
            let file = NewFile {
                path: path.to_path_buf(),
                content: Zeroizing::new(new.to_vec()),
                mode: 0o600,
                adds: None,
            };
            self.change(survey, file, here, old, diff);
        }
        Ok(())
    }

    fn change(
        &mut self,
        survey: &Survey,
        file: NewFile,
        here: PathBuf,
        before: Option<Vec<u8>>,
        diff: String,
    ) {
        let own = survey
            .reach
            .is_ok()
            .then(|| std::fs::metadata(&here).ok())
            .flatten();
        self.files.push(FileDiff {
            path: here.clone(),
            is_new: before.is_none(),
            mode: own.map_or(file.mode, |meta| meta.permissions().mode() & 0o7777),
            diff,
        });
        self.read_back.push((file.path, file.content.clone()));
        self.changes.push(LiveChange {
            path: here,
            before: before.map(Zeroizing::new),
            after: Some(Wanted {
                content: file.content,
                mode: file.mode,
                owner: rustix::process::geteuid().is_root().then_some(survey.account),
            }),
        });
    }
}

/// The file itself, where the name is a link; out of reach it is the name that counts.
fn real(survey: &Survey, path: &Path) -> PathBuf {
    if survey.reach.is_err() {
        return path.to_path_buf();
    }
    let here = survey.map.here(path);
    here.canonicalize()
        .unwrap_or_else(|_| crate::engine::absolute(&here))
}

/// A certificate, key or list in a line.
fn described(path: &Path, file: &NewFile, is_there: bool) -> String {
    let name = shown(path.as_os_str().as_encoded_bytes());
    let before = if is_there { &*name } else { "/dev/null" };
    let mut out = format!("--- {before}\n+++ {name} ({:04o})\n", file.mode);
    if let Some(adds) = &file.adds {
        let _ = writeln!(out, "+{adds}");
        return out;
    }
    match Certificate::from_pem(&file.content) {
        Ok(chain) => {
            for one in chain {
                let _ = writeln!(
                    out,
                    "+certificate {}, until {}, SHA-256 {}",
                    crate::pki::printable(one.subject()),
                    one.not_after().date(),
                    one.fingerprint_sha256()
                );
            }
        }
        Err(_) => out.push_str("+private key\n"),
    }
    out
}

/// The admin must come in again under the new rules, as they came in now or with TLS.
fn own_way_in(
    hardening: &Hardening,
    survey: &Survey,
    draft: &Draft<'_>,
    project: &Project,
) -> Result<(), Error> {
    let Some(ip) = survey.own.address else {
        return Ok(());
    };
    let rules = draft.rules().map_err(|why| prevented(&why))?;
    let world = crate::conf::simulate::World {
        maps: Some(draft.maps().map_err(|why| prevented(&why))?),
        ..survey.world.clone()
    };
    let simulator = Simulator::new(rules.rules(), &world);
    let cn = match hardening.stage {
        Stage::Mtls if hardening.conninfo.get(Keyword::Sslcert).is_none() => {
            project.kit_of(&survey.own.user).and_then(|kit| kit.cn.clone())
        }
        Stage::Mtls => survey
            .own
            .tls
            .as_ref()
            .and_then(|tls| tls.cn.clone())
            .or_else(|| Some(survey.own.user.clone())),
        _ => survey.own.tls.as_ref().and_then(|tls| tls.cn.clone()),
    };
    let comes = |channel: Channel| {
        let connection = Connection {
            channel,
            ..survey.own.connection()
        };
        let decision = simulator.decide(&connection);
        let record = decision.record.map(|at| {
            let rule = &simulator.rules()[at];
            format!("{}: {}", rule.place, rule.record)
        });
        match outcome(simulator.rules(), &decision, &connection, &world) {
            Outcome::Refused(_) => Err(record),
            _ => Ok(()),
        }
    };
    let sslmode = survey.target.client.sslmode;
    let with = || comes(Channel::Tls(ip, cn.clone()));
    let without = || comes(Channel::Plain(ip));
    let fate = match sslmode {
        SslMode::Disable => without(),
        SslMode::Allow | SslMode::Prefer => with().or_else(|refused| without().map_err(|_| refused)),
        _ => with(),
    };
    let Err(line) = fate else { return Ok(()) };
    let line = line.map(|line| format!(" by {line}")).unwrap_or_default();
    Err(Error::NotInForce {
        what: format!(
            "your own way in would be closed: {} from {ip} would be refused{line}",
            crate::pki::printable(&survey.own.user)
        ),
        remedy: if sslmode == SslMode::Disable {
            "log in without sslmode=disable, and see that it works; nothing was written".to_owned()
        } else {
            "give the admin a line of its own above that one, or log in over the server's socket; nothing was written"
                .to_owned()
        },
    })
}
