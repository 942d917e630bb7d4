//! Why a file or a line is there, and which step decided it.

use crate::plan::why;

use super::super::super::model::{Model, Popup};
use super::super::super::widgets::Page;
use super::super::{STEPS, place};

/// Where PostgreSQL's documentation is.
const DOCS: &str = "postgresql.org/docs/current/";

/// The explanation of the line that is looked at, or of the file.
pub(super) fn why_page(model: &Model, columns: usize) -> Page {
    let theme = model.theme;
    let mut page = Page::default();
    if let Some((title, text)) = explanation(model) {
        page.text(title, theme.bold());
        for part in text.split('\n') {
            page.words(part, columns, 0, theme.dim());
        }
    }
    page
}

fn explanation(model: &Model) -> Option<(String, String)> {
    let review = &model.review;
    let file = review.looked_at()?;
    let by = decided_by(model).map_or_else(String::new, |at| format!("\nDecided in: {}", STEPS[at].title()));
    let line = file.lines.get(review.line).filter(|_| !review.diff);
    match line.and_then(|line| line.why).and_then(why) {
        Some(why) => Some((
            format!("Why line {}", review.line + 1),
            format!("{}\n{DOCS}{}{by}", why.text, why.doc),
        )),
        None => Some((
            "What it is for".to_owned(),
            format!("{}{by}", purpose(&file.path)?),
        )),
    }
}

/// What a file is for.
fn purpose(path: &str) -> Option<&'static str> {
    Some(match path.rsplit('/').next()? {
        "pgtls.toml" => "Your answers, for the next time. No secret is in it: keep it under version control.",
        "root.crt" if path.starts_with("ca/") => "The CA's certificate: what clients trust.",
        "root.crt" if path.starts_with("server/") => "The CA whose client certificates the server accepts.",
        "root.crt" => "The CA's certificate, for this client: by it the server is known.",
        "ca.key" => "The CA's key. Whoever has it can issue certificates: it stays here, and is never shown.",
        "server.crt" => "The server's certificate: it names every host that clients dial.",
        "server.key" => "The server's key, mode 0600. It is never shown.",
        "client.crt" => "The client's certificate: it says who logs in.",
        "client.key" => "The client's key, mode 0600. It is never shown.",
        "passfile" => "The password, mode 0600, where libpq looks for it. It is never shown.",
        "conninfo" => "How this client connects, with all checks on.",
        "postgresql.conf" => {
            "The server's settings. Walk through it with Tab: each line says why it is there."
        }
        "pg_hba.conf" => "Who may come in, and how. The first line that matches decides.",
        "pg_ident.conf" => "Which certificate may log in as which role.",
        ".gitignore" => "Keeps every secret out of version control.",
        "CONNECT.md" => "How to connect, in several languages.",
        "RUNBOOK.md" => "How to run it: start, stop, renew, undo.",
        _ => return None,
    })
}

/// The step whose answers decided what is looked at.
pub(super) fn decided_by(model: &Model) -> Option<usize> {
    let file = model.review.looked_at()?;
    let line = file.lines.get(model.review.line).filter(|_| !model.review.diff);
    let step = match line.and_then(|line| line.why) {
        Some("port" | "listen-loopback" | "listen-everywhere" | "hba-reject") => "names",
        Some("ssl-ca-file" | "password-encryption") => "protection",
        Some(why) if why.starts_with("hba-") || why == "ident-map" => "protection",
        Some("ssl-cert-file" | "ssl-key-file") => "certificates",
        Some("socket-directory" | "include") => "start",
        _ => match file.path.rsplit('/').next()? {
            "root.crt" | "ca.key" | "server.crt" | "server.key" | "client.crt" | "client.key" => {
                "certificates"
            }
            "passfile" | "conninfo" => "names",
            "pg_hba.conf" | "pg_ident.conf" => "protection",
            "postgresql.conf" => "start",
            _ => return None,
        },
    };
    Some(place(step))
}

/// Opens a window with the explanation.
pub(super) fn explain(model: &mut Model) {
    if let Some((title, text)) = explanation(model) {
        model.open(Popup::Why(title, text));
    }
}
