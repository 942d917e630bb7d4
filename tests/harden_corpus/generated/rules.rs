//! `pg_hba.conf`, what it includes, and `pg_ident.conf`.

use super::super::case::{Content, File};
use super::{Messy, Random};

/// Where `pg_hba.conf` is: its directory, and its path.
pub struct Where {
    pub directory: String,
    pub path: String,
    pub ident: String,
}

const DATABASES: [&str; 19] = [
    "all",
    "all",
    "all",
    "all",
    "shop",
    "shop",
    "\"my db\"",
    "sameuser",
    "samerole",
    "samegroup",
    "shop,app",
    "shop, app",
    "\"shop\",postgres",
    "replication",
    "all,replication",
    "@dbs",
    "\"all\"",
    "/^sho",
    ",shop,,app",
];
const DATABASES_16: [&str; 4] = ["/^(shop|app)$", "\"/^my db$\"", "shop,/^po", "\"/^[a-z, ]+$\""];
const ROLES: [&str; 28] = [
    "all",
    "all",
    "all",
    "all",
    "all",
    "all",
    "app",
    "app",
    "report",
    "app,report",
    "+readers",
    "+\"readers\"",
    "\"+readers\"",
    "alice",
    "bob, alice",
    "ancient",
    "\"odd, name\"",
    "postgres",
    "dba",
    "replicator",
    "@users",
    "@\"more users\",report",
    "\"all\"",
    "bare",
    "\"Mixed Case\",\"a/b\"",
    "k\u{e4}se,\"x'y\"",
    "Mixed",
    "\"\"\"quoted\"\"\"",
];
const ROLES_16: [&str; 4] = ["/^ap", "\"/^odd, .*$\"", "/^(alice|bob)$,app", "/^[^p]"];
const ADDRESSES: [&str; 24] = [
    "127.0.0.1/32",
    "127.0.0.1/32",
    "127.0.0.1/32",
    "127.0.0.0/8",
    "127.0.0.1 255.255.255.255",
    "127.0.0.9\t255.0.0.0",
    "\"127.0.0.1\" 255.255.255.255",
    "0.0.0.0/0",
    "0.0.0.0/0",
    "0.0.0.0 0.0.0.0",
    "all",
    "all",
    "samehost",
    "samenet",
    "localhost",
    ".internal.example",
    "db1.internal.example",
    "::1/128",
    "::/0",
    "::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "0:0:0:0:0:0:0:1/128",
    "10.0.0.0/8",
    "10.0.0.5/8",
    "fe80::%lo/10",
];

fn separator(random: &mut Random, major: u16) -> &'static str {
    if major >= 14 && random.below(40) == 0 {
        return random.pick(&[" \\\n", "\\\n  "]);
    }
    random.pick(&[" ", " ", "\t", "   ", "\t\t", "        ", " \t "])
}

/// A method, with its options, for a line of that type.
fn method(random: &mut Random, kind: &str, is_near: bool, major: u16) -> String {
    const LOCAL: [&str; 10] = [
        "peer",
        "peer",
        "peer map=admins",
        "trust",
        "scram-sha-256",
        "md5",
        "password",
        "reject",
        "ident map=admins",
        "\"md5\"",
    ];
    const TCP: [&str; 20] = [
        "scram-sha-256",
        "scram-sha-256",
        "scram-sha-256",
        "scram-sha-256",
        "md5",
        "md5",
        "md5",
        "md5",
        "trust",
        "trust",
        "password",
        "password",
        "reject",
        "reject",
        "ident",
        "ident map=admins",
        "\"md5\"",
        "\"scram-sha-256\"",
        "m\"d5\"",
        "md5,",
    ];
    const CERTIFICATES: [&str; 10] = [
        "cert",
        "cert map=people",
        "cert clientcert=verify-full",
        "scram-sha-256 clientcert=verify-full",
        "md5 clientcert=verify-ca",
        "trust clientcert=verify-full",
        "trust \"clientcert=verify-ca\"",
        "ident map=people clientcert=verify-ca",
        "md5 clientcert=verify-full clientcert=verify-ca",
        "sc\"ram-sha-256\" client\"cert\"=verify-ca",
    ];
    const CERTIFICATES_13: [&str; 3] = [
        "md5 clientcert=1",
        "scram-sha-256 clientcert=0",
        "trust clientcert=no-verify",
    ];
    const CERTIFICATES_14: [&str; 3] = [
        "cert clientname=CN",
        "cert clientname=DN map=people",
        "scram-sha-256 clientcert=verify-full clientname=DN",
    ];
    const FAR: [&str; 2] = [
        "radius radiusservers=\"10.0.0.1,10.0.0.2\" radiussecrets=\"\"\"a b\"\",\"\"c\"\"\"",
        "radius radiusservers=10.0.0.1 radiussecrets=secret radiusports=1812",
    ];
    const DIRECTORY: [&str; 3] = [
        "ldap ldapserver=127.0.0.1 ldapport=1 ldapprefix=\"cn=\" ldapsuffix=\", dc=shop\"",
        "ldap ldapurl=\"ldap://127.0.0.1:1/dc=shop?uid?sub\"",
        "ldap ldapserver=\"127.0.0.1\" ldapport=1 ldapbasedn=\"dc=shop\" ldaptls=0",
    ];
    let pieces: &[&str] = match kind {
        "local" => &LOCAL,
        "hostssl" if random.below(3) == 0 => match (random.below(2), major) {
            (0, 13) => &CERTIFICATES_13,
            (0, 14..) => &CERTIFICATES_14,
            _ => &CERTIFICATES,
        },
        // Only Debian's build speaks LDAP.
        _ if major == 15 && random.below(12) == 0 => &DIRECTORY,
        _ if !is_near && random.below(4) == 0 => &FAR,
        _ => &TCP,
    };
    random.pick(pieces).to_owned()
}

fn line(random: &mut Random, major: u16) -> String {
    const KINDS: [&str; 16] = [
        "host",
        "host",
        "host",
        "host",
        "host",
        "host",
        "host",
        "host",
        "\"host\"",
        "hostssl",
        "hostssl",
        "hostnossl",
        "hostnossl",
        "local",
        "hostgssenc",
        "hostnogssenc",
    ];
    let kind = random.pick(&KINDS);
    let pick = |random: &mut Random, old: &[&'static str], new: &[&'static str]| {
        if major >= 16 && random.below(6) == 0 {
            random.pick(new)
        } else {
            random.pick(old)
        }
    };
    let mut fields = vec![
        kind.to_owned(),
        pick(random, &DATABASES, &DATABASES_16).to_owned(),
        pick(random, &ROLES, &ROLES_16).to_owned(),
    ];
    let mut is_near = true;
    if kind != "local" {
        let address = random.pick(&ADDRESSES);
        is_near = !address.starts_with("10.");
        fields.push(address.to_owned());
    }
    fields.push(method(random, kind, is_near, major));
    let mut text = random.pick(&["", "", "", "", " ", "\t", "    "]).to_owned();
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            text += separator(random, major);
        }
        text += field;
    }
    text += random.pick(&[
        "",
        "",
        "",
        " ",
        "\t",
        "   # ticket 4711",
        "# \"unbalanced",
        " #host all all all trust",
    ]);
    text
}

const REMARKS: [&str; 12] = [
    "",
    "",
    "   ",
    "# TYPE  DATABASE        USER            ADDRESS                 METHOD",
    "#host all all 0.0.0.0/0 trust # NIE WIEDER",
    "\t# B\u{fc}ro K\u{f6}ln, ge\u{e4}ndert 12.03.2014",
    "####################",
    "# \"an open quote",
    "# @include no",
    "#",
    "# see C:\\pg\\",
    "\t",
];

/// Lines of one file, comments among them.
fn lines(random: &mut Random, major: u16, most: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for _ in 0..=random.below(most) {
        for _ in 0..random.below(3) {
            lines.push(random.pick(&REMARKS).to_owned());
        }
        let line = line(random, major);
        if random.below(8) == 0 {
            lines.push(line.clone());
        }
        lines.push(line);
    }
    lines
}

/// The bytes of a text file: Latin-1, ends of line and the last of them as it comes.
pub fn bytes(random: &mut Random, lines: &[String]) -> Vec<u8> {
    let end = random.pick(&["\n", "\n", "\n", "\r\n"]);
    let mut text = lines.join("\n");
    if random.below(5) > 0 {
        text.push('\n');
    }
    let text = text.replace('\n', end);
    if random.below(3) == 0 {
        return text.into_bytes();
    }
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
        .collect()
}

pub fn file(path: &str, bytes: Vec<u8>) -> File {
    File {
        path: path.to_owned(),
        content: Content::Bytes(bytes),
        mode: None,
        of_root: false,
    }
}

/// Puts a text file there: itself, or a link to it, with one of the modes that people give it.
pub fn put(messy: &mut Messy, random: &mut Random, path: &str, bytes: Vec<u8>) {
    let mut file = file(path, bytes);
    file.mode = random.pick(&[
        None,
        None,
        Some(0o600),
        Some(0o400),
        Some(0o440),
        Some(0o644),
        Some(0o660),
    ]);
    file.of_root = messy.case.as_root && random.below(4) == 0;
    if file.of_root && file.mode.is_some_and(|mode| mode & 0o040 == 0) {
        file.mode = Some(0o640);
    }
    if random.below(6) == 0 {
        let name = path.rsplit('/').next().unwrap_or_default();
        let real = format!("{{srv}}/real/{name}");
        let link = File {
            path: path.to_owned(),
            content: Content::Link(real.clone()),
            mode: None,
            of_root: false,
        };
        file.path = real;
        messy.case.files.push(file);
        messy.case.files.push(link);
    } else {
        messy.case.files.push(file);
    }
}

/// What `@` names, beside the file in which it stands.
fn lists(messy: &mut Messy, random: &mut Random, directory: &str) {
    let mut list = |name: &str, texts: &[&str]| {
        let text = random.pick(texts).as_bytes().to_vec();
        put(messy, random, &format!("{directory}/{name}"), text);
    };
    list(
        "dbs",
        &["shop\napp", "shop app\n# none\n\"my db\"", "shop, app,postgres\n"],
    );
    list(
        "users",
        &[
            "app\n@\"more users\"\n",
            "app report\n",
            "alice # she\nbob\n+readers\n",
            "app,\nreport",
        ],
    );
    list("more users", &["legacy\nancient\n"]);
}

pub fn write(messy: &mut Messy, place: &Where, random: &mut Random, major: u16) {
    let own = |name: &str| format!("{}/{name}", place.directory);
    // The administrator's own way in, above everything that could hide it.
    let mut all = vec![
        random
            .pick(&[
                "local all postgres trust",
                "local   all\tpostgres   trust # never take this away",
                "local all all trust",
                "\"local\" \"postgres\",all postgres trust",
            ])
            .to_owned(),
    ];
    let is_remote = messy
        .case
        .admin
        .as_deref()
        .is_some_and(|admin| admin.contains("hostaddr"));
    if is_remote {
        all.push("host all dba 127.0.0.1/32 scram-sha-256".to_owned());
    }
    all.extend(lines(random, major, 8));
    if major >= 16 && random.below(2) == 0 {
        let at = 1 + random.below(all.len());
        let include = match random.below(4) {
            0 => "include extra.hba".to_owned(),
            1 => format!("include_if_exists \"{}\"", own("extra.hba")),
            2 => "include_dir 'no'".replace("'no'", "hba.d"),
            _ => "include_if_exists none.hba".to_owned(),
        };
        // Behind a line that is left open it would be no line.
        all.insert(at.max(usize::from(is_remote) + 1), include);
        let text = lines(random, major, 4);
        let text = bytes(random, &text);
        put(messy, random, &own("extra.hba"), text);
        for name in ["20-b.conf", "10-a.conf"] {
            let text = lines(random, major, 2);
            let text = bytes(random, &text);
            put(messy, random, &own(&format!("hba.d/{name}")), text);
        }
        lists(messy, random, &own("hba.d"));
        if random.below(3) == 0 {
            // The same lines under a second name.
            let second = File {
                path: own("hba.d/30-again.conf"),
                content: Content::Link("10-a.conf".to_owned()),
                mode: None,
                of_root: false,
            };
            messy.case.files.push(second);
        }
        messy
            .case
            .files
            .push(file(&own("hba.d/.hidden.conf"), b"nonsense\n".to_vec()));
        messy
            .case
            .files
            .push(file(&own("hba.d/README"), b"nonsense\n".to_vec()));
    }
    if random.below(4) > 0 {
        all.push(
            random
                .pick(&[
                    "host all all 127.0.0.1/32 md5",
                    "host\tall\tall\tall\tscram-sha-256",
                    "host all all 0.0.0.0/0 password",
                    "host all all 127.0.0.0 255.0.0.0 md5\nhost replication all 127.0.0.1/32 md5",
                    "hostssl all all all scram-sha-256\nhostnossl all all 127.0.0.1/32 md5",
                ])
                .to_owned(),
        );
    }
    if random.below(5) == 0 {
        all.push(
            random
                .pick(&[
                    "host all all all reject",
                    "local all all reject",
                    "hostnossl all all all reject",
                ])
                .to_owned(),
        );
    }
    let text = bytes(random, &all);
    put(messy, random, &place.path, text);
    lists(messy, random, &place.directory);
    maps(messy, place, random);
}

fn maps(messy: &mut Messy, place: &Where, random: &mut Random) {
    let maps: Vec<String> = [
        "# MAPNAME       SYSTEM-USERNAME         PG-USERNAME",
        "admins\t\tpostgres\tdba",
        "admins postgres    app",
        "admins  /^(.*)adm$  \\1",
        "people   \"/^.*CN=(.*)$\"  \\1",
        "people app app",
        "people /^(.*)$ \\1",
    ]
    .map(str::to_owned)
    .to_vec();
    let kept = maps
        .into_iter()
        .filter(|_| random.below(5) > 0)
        .collect::<Vec<_>>();
    let text = bytes(random, &kept);
    // The server does without.
    if !place.ident.contains("access") || random.below(3) > 0 {
        put(messy, random, &place.ident, text);
    }
}
