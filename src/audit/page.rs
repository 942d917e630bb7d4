//! The report as Markdown and as one HTML page that needs nothing else, fit to be printed. Every text is escaped:
//! names of roles and applications are whatever somebody made them.

use std::fmt::Write;

use super::{Audit, Group, Severity, Verdict, groups};

/// As Markdown.
#[must_use]
pub fn markdown(audit: &Audit) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_markdown(&mut text, audit);
    text
}

fn write_markdown(out: &mut String, audit: &Audit) -> std::fmt::Result {
    let server = &audit.server;
    writeln!(out, "# TLS audit of {}\n", md(&server.host))?;
    writeln!(out, "**{}.**\n", audit.sentence())?;
    writeln!(out, "{}\n", md(&about(audit)))?;
    writeln!(out, "{}\n", counts(audit))?;
    for group in groups(&audit.findings) {
        let first = group.first();
        writeln!(out, "## {}: {}\n", first.severity.word(), md(first.title))?;
        for finding in &group.findings {
            writeln!(out, "- Where: {} (`{}`)", md(&finding.place), finding.id)?;
            for line in &finding.evidence {
                writeln!(out, "- Evidence: {}", md(line))?;
            }
        }
        writeln!(out, "- Why: {}", md(first.why))?;
        for remedy in &group.remedies {
            writeln!(out, "- Remedy: {}", md(remedy))?;
        }
        if let Some(cis) = first.cis {
            writeln!(out, "- CIS PostgreSQL 17 Benchmark v1.0.0: {cis}")?;
        }
        writeln!(out)?;
    }
    if !audit.sessions.is_empty() {
        writeln!(
            out,
            "## Sessions\n\n| pid | role | database | from | application | TLS |\n|---|---|---|---|---|---|"
        )?;
        for session in &audit.sessions {
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} |",
                session.pid,
                md(&session.user),
                md(&session.database),
                md(&session.client),
                md(&session.application),
                tls(session.ssl, session.version.as_deref())
            )?;
        }
        writeln!(out)?;
    }
    if !audit.unseen.is_empty() {
        writeln!(out, "## What could not be seen\n")?;
        for unseen in &audit.unseen {
            writeln!(out, "- {}: {}", md(&unseen.what), md(&unseen.why))?;
        }
    }
    Ok(())
}

/// Text that Markdown takes for text.
fn md(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]<>#|!&~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(if c == '\n' { ' ' } else { c });
    }
    escaped
}

fn about(audit: &Audit) -> String {
    let server = &audit.server;
    if let Some(files) = server.files {
        return format!("Read from {files} files; no server was asked");
    }
    if server.version.is_empty() {
        return "Nobody was let in: only what the server shows to strangers was seen".to_owned();
    }
    format!(
        "PostgreSQL {}, asked as {}{} over {}",
        server.version,
        server.user,
        if server.superuser {
            " (a superuser)"
        } else {
            " (no superuser)"
        },
        server.tls.as_deref().unwrap_or("a connection without TLS")
    )
}

fn counts(audit: &Audit) -> String {
    let counts: Vec<_> = Severity::ALL
        .into_iter()
        .filter_map(|severity| {
            let count = audit
                .findings
                .iter()
                .filter(|finding| finding.severity == severity)
                .count();
            (count > 0).then(|| format!("{count} {}", severity.word()))
        })
        .collect();
    if counts.is_empty() {
        "No finding".to_owned()
    } else {
        counts.join(" · ")
    }
}

fn tls(ssl: Option<bool>, version: Option<&str>) -> String {
    match ssl {
        Some(true) => version.unwrap_or("yes").to_owned(),
        Some(false) => "no".to_owned(),
        None => "not shown".to_owned(),
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}body{max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:0}.verdict{font-size:1.2rem;font-weight:600;padding:.6rem 1rem;border-left:.4rem solid}\
.holds{border-color:#1a7f37}.broken{border-color:#b42318}.undetermined{border-color:#9a6700}\
article{border:1px solid #8884;border-left:.4rem solid #888;border-radius:.3rem;padding:.7rem 1rem;margin:1rem 0;break-inside:avoid}\
.critical{border-left-color:#7a0916}.high{border-left-color:#b42318}.medium{border-left-color:#b54708}.low{border-left-color:#9a6700}\
.tag{font-size:.8rem;text-transform:uppercase;letter-spacing:.05em}dl{margin:.4rem 0 0;display:grid;grid-template-columns:6rem 1fr;gap:.2rem .8rem}\
dt{opacity:.7}dd{margin:0;overflow-wrap:anywhere}code{font:.9em ui-monospace,monospace}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884}@media print{body{margin:0;max-width:none}:root{font-size:11pt}}";

/// As one HTML page.
#[must_use]
pub fn html(audit: &Audit) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_html(&mut page, audit);
    page
}

fn write_html(out: &mut String, audit: &Audit) -> std::fmt::Result {
    let title = format!("TLS audit of {}", escape(&audit.server.host));
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>"
    )?;
    let class = match audit.verdict {
        Verdict::Holds => "holds",
        Verdict::Broken => "broken",
        Verdict::Undetermined => "undetermined",
    };
    writeln!(out, "<p class=\"verdict {class}\">{}.</p>", audit.sentence())?;
    writeln!(out, "<p>{}</p>\n<p>{}</p>", escape(&about(audit)), counts(audit))?;
    for group in groups(&audit.findings) {
        article(out, &group)?;
    }
    if !audit.sessions.is_empty() {
        writeln!(
            out,
            "<h2>Sessions</h2>\n<table>\n<tr><th>pid</th><th>role</th><th>database</th><th>from</th><th>application</th>\
             <th>TLS</th></tr>"
        )?;
        for session in &audit.sessions {
            let tls = tls(session.ssl, session.version.as_deref());
            let cells = [
                &session.user,
                &session.database,
                &session.client,
                &session.application,
                &tls,
            ];
            write!(out, "<tr><td>{}</td>", session.pid)?;
            for cell in cells {
                write!(out, "<td>{}</td>", escape(cell))?;
            }
            writeln!(out, "</tr>")?;
        }
        writeln!(out, "</table>")?;
    }
    if !audit.unseen.is_empty() {
        writeln!(out, "<h2>What could not be seen</h2>\n<ul>")?;
        for unseen in &audit.unseen {
            writeln!(out, "<li>{}: {}</li>", escape(&unseen.what), escape(&unseen.why))?;
        }
        writeln!(out, "</ul>")?;
    }
    writeln!(out, "</body>\n</html>")
}

fn article(out: &mut String, group: &Group<'_>) -> std::fmt::Result {
    let first = group.first();
    let severity = first.severity.word();
    writeln!(
        out,
        "<article class=\"{severity}\">\n<span class=\"tag\">{severity}</span>\n<h2>{}</h2>\n<dl>",
        escape(first.title)
    )?;
    for finding in &group.findings {
        writeln!(
            out,
            "<dt>where</dt><dd><code>{}</code></dd>",
            escape(&finding.place)
        )?;
        for line in &finding.evidence {
            writeln!(out, "<dt>evidence</dt><dd><code>{}</code></dd>", escape(line))?;
        }
    }
    writeln!(out, "<dt>why</dt><dd>{}</dd>", escape(first.why))?;
    for remedy in &group.remedies {
        writeln!(out, "<dt>remedy</dt><dd>{}</dd>", escape(remedy))?;
    }
    if let Some(cis) = first.cis {
        writeln!(
            out,
            "<dt>CIS</dt><dd>PostgreSQL 17 Benchmark v1.0.0, {}</dd>",
            escape(cis)
        )?;
    }
    writeln!(out, "</dl>\n</article>")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
