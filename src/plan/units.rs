//! What renews by itself: a systemd service and its timer, a line for cron, and a hook for certbot.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::clients::Style;

/// What the unit is to run, and what that needs.
#[derive(Debug, Clone)]
pub struct Renewal {
    /// The program, absolute.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Whose account runs it; `None`: root.
    pub account: Option<String>,
    /// Directories that it must write to, absolute.
    pub writes: Vec<PathBuf>,
    /// What else it must reach: the server's socket, the directory of another tool.
    pub reads: Vec<PathBuf>,
    /// Whether it signals a server or talks to a container engine, beside writing files.
    pub runs_a_server: bool,
    /// Whether root logs in as the account that the server's socket belongs to.
    pub logs_in_as_another: bool,
    /// Whether another tool makes the certificates.
    pub from_another_tool: bool,
}

/// Names of the files, for whoever writes them.
const NAMES: [&str; 4] = [
    "pgtls-renew.service",
    "pgtls-renew.timer",
    "pgtls-renew.cron",
    "pgtls-deploy-hook.sh",
];

impl Renewal {
    /// The files by name, each with its mode.
    #[must_use]
    pub fn files(&self) -> Vec<(&'static str, u32, String)> {
        let texts = [self.service(), timer(), self.cron(), self.hook()];
        let modes = [0o644, 0o644, 0o644, 0o755];
        NAMES
            .into_iter()
            .zip(modes)
            .zip(texts)
            .map(|((name, mode), text)| (name, mode, text))
            .collect()
    }

    fn words(&self) -> impl Iterator<Item = String> + '_ {
        std::iter::once(self.program.to_string_lossy().into_owned()).chain(self.arguments.iter().cloned())
    }

    fn reaches(&self, places: &[&str]) -> bool {
        let mut paths = self.writes.iter().chain(&self.reads).chain([&self.program]);
        paths.any(|path| places.iter().any(|place| path.starts_with(place)))
    }

    fn service(&self) -> String {
        let command: Vec<_> = self.words().map(|word| for_systemd(&word)).collect();
        let mut text = format!(
            "# Renews the TLS certificate of PostgreSQL, by pgtls; pgtls-renew.timer starts it.\n\
             #   cp pgtls-renew.service pgtls-renew.timer /etc/systemd/system/\n\
             #   systemctl daemon-reload && systemctl enable --now pgtls-renew.timer\n\
             [Unit]\n\
             Description=Renew the TLS certificate of PostgreSQL\n\
             Documentation=https://www.postgresql.org/docs/current/ssl-tcp.html\n\
             After=network-online.target postgresql.service\n\
             Wants=network-online.target\n\n\
             [Service]\n\
             Type=oneshot\n\
             ExecStart={}\n",
            command.join(" ")
        );
        if !self.from_another_tool {
            text.push_str(OTHER_TOOLS);
        }
        if let Some(account) = &self.account {
            let _ = writeln!(text, "User={}", for_systemd(account));
        }
        text.push_str(
            "UMask=0077\nTimeoutStartSec=5min\n\n# It writes here and nowhere else.\nProtectSystem=strict\n",
        );
        for path in &self.writes {
            let _ = writeln!(text, "ReadWritePaths={}", for_systemd(&path.to_string_lossy()));
        }
        let _ = writeln!(
            text,
            "ProtectHome={}",
            if self.reaches(&["/home", "/root", "/run/user"]) {
                "read-only"
            } else {
                "yes"
            }
        );
        let _ = writeln!(
            text,
            "PrivateTmp={}",
            if self.reaches(&["/tmp", "/var/tmp"]) {
                "no"
            } else {
                "yes"
            }
        );
        text.push_str(HARDENED);
        let capabilities = match (&self.account, self.runs_a_server, self.logs_in_as_another) {
            (Some(_), ..) => "",
            (None, true, _) => "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID",
            (None, false, true) => "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_SETGID CAP_SETUID",
            (None, false, false) => "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER",
        };
        let _ = writeln!(text, "CapabilityBoundingSet={capabilities}");
        text
    }

    /// A line for `/etc/cron.d`: the sixth field is the account, and a `%` would be a line feed.
    fn cron(&self) -> String {
        let command: Vec<_> = self
            .words()
            .map(|word| Style::Sh.quote(&word).replace('%', "\\%"))
            .collect();
        format!(
            "# Renews the TLS certificate of PostgreSQL, by pgtls, where there is no systemd: copy it to /etc/cron.d/pgtls-renew\n\
             # (cron passes over names with a dot). What goes wrong is mailed.\n\
             MAILTO=root\n\
             17 3 * * * {} {}\n",
            self.account.as_deref().unwrap_or("root"),
            command.join(" ")
        )
    }

    /// For `/etc/letsencrypt/renewal-hooks/deploy/`: certbot runs it once a certificate is renewed, as root.
    fn hook(&self) -> String {
        let mut words = Vec::new();
        let mut all = self.words().peekable();
        while let Some(word) = all.next() {
            if word == "--from" || word == "--exec" || word == "--expiring" {
                all.next();
            } else {
                words.push(Style::Sh.quote(&word));
            }
        }
        format!(
            "#!/bin/sh\n\
             # Puts what certbot renewed in force, by pgtls: copy it to /etc/letsencrypt/renewal-hooks/deploy/pgtls (0755).\n\
             # https://eff-certbot.readthedocs.io/en/stable/using.html#renewing-certificates\n\
             set -eu\n\
             exec {} --from \"${{RENEWED_LINEAGE:?certbot sets it}}\"\n",
            words.join(" ")
        )
    }
}

fn timer() -> String {
    "# Once a day; a day that was missed is made up for. See pgtls-renew.service.\n\
     [Unit]\n\
     Description=Renew the TLS certificate of PostgreSQL, daily\n\n\
     [Timer]\n\
     OnCalendar=daily\n\
     RandomizedDelaySec=1h\n\
     Persistent=yes\n\n\
     [Install]\n\
     WantedBy=timers.target\n"
        .to_owned()
}

const OTHER_TOOLS: &str = "\
# Where another tool makes the certificates, add `--from DIR` to the line above, and have the tool run first:\n\
#   step-ca  ExecStartPre=/usr/bin/step ca renew --force --expires-in 720h /etc/pgtls/step/server.crt /etc/pgtls/step/server.key\n\
#            and --from /etc/pgtls/step\n\
#   certbot  its own timer renews: use pgtls-deploy-hook.sh instead of this unit\n\
#   lego     ExecStartPre=/usr/bin/lego --path /etc/lego --email ... --domains ... --dns ... renew --days 30\n\
#            and --from /etc/lego/certificates\n";

const HARDENED: &str = "\
NoNewPrivileges=yes\n\
PrivateDevices=yes\n\
ProtectClock=yes\n\
ProtectControlGroups=yes\n\
ProtectHostname=yes\n\
ProtectKernelLogs=yes\n\
ProtectKernelModules=yes\n\
ProtectKernelTunables=yes\n\
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
RestrictNamespaces=yes\n\
RestrictRealtime=yes\n\
RestrictSUIDSGID=yes\n\
LockPersonality=yes\n\
MemoryDenyWriteExecute=yes\n\
RemoveIPC=yes\n\
SystemCallArchitectures=native\n\
SystemCallFilter=@system-service\n\
SystemCallErrorNumber=EPERM\n\
# What a program may do beyond its account.\n";

/// A word of a unit file (systemd.syntax(7)): `%` and `$` mean something there, quotes keep blanks.
fn for_systemd(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for c in word.chars() {
        match c {
            '"' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            '%' => text.push_str("%%"),
            '$' => text.push_str("$$"),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@+,=%$".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("\"{text}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_themselves_in_a_unit_and_in_cron() {
        assert_eq!(for_systemd("host=a b='50% $x'"), "\"host=a b='50%% $$x'\"");
        assert_eq!(for_systemd("/usr/bin/pgtls"), "/usr/bin/pgtls");
        assert_eq!(for_systemd(""), "\"\"");
        let renewal = Renewal {
            program: "/usr/bin/pgtls".into(),
            arguments: ["renew", "host=a user=b", "--from", "/x%y", "--yes"]
                .map(str::to_owned)
                .to_vec(),
            account: Some("postgres".to_owned()),
            writes: vec!["/data".into()],
            reads: Vec::new(),
            runs_a_server: false,
            logs_in_as_another: false,
            from_another_tool: true,
        };
        assert!(
            renewal
                .cron()
                .ends_with("postgres /usr/bin/pgtls renew 'host=a user=b' --from /x\\%y --yes\n")
        );
        assert!(renewal.hook().ends_with(
            "exec /usr/bin/pgtls renew 'host=a user=b' --yes --from \"${RENEWED_LINEAGE:?certbot sets it}\"\n"
        ));
    }
}
