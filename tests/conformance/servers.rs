//! The servers that the cases are tried on, a line each.

use super::support::{Leaf, Postgres, TestServer};
use super::world::World;

/// A server: name, certificate (empty: no TLS), file of client CAs (empty: none), lines of `postgresql.conf`, lines of
/// `pg_hba.conf`. A name that ends in a version in brackets wants just that PostgreSQL.
type Stage = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
);

/// Everybody, over TLS only; over both; and so on.
const TLS_TRUST: &str = "hostssl all all all trust";
const ANY_TRUST: &str = "host all all all trust";

const STAGES: &[Stage] = &[
    ("tls", "plain", "", "", TLS_TRUST),
    ("any", "plain", "", "", ANY_TRUST),
    ("plaintext", "", "", "", ANY_TRUST),
    ("notls", "plain", "", "", "hostnossl all all all trust"),
    ("nobody", "plain", "", "", "hostssl none none all trust"),
    ("reject", "plain", "", "", "host all all all reject"),
    ("scram", "plain", "", "", "host all all all scram-sha-256"),
    ("password", "plain", "", "", "host all all all password"),
    ("md5", "plain", "", "", "host all all all md5"),
    ("scramed", "edsigned", "", "", "hostssl all all all scram-sha-256"),
    ("scrampss", "pss", "", "", "hostssl all all all scram-sha-256"),
    ("cert", "plain", "clientroot.crt", "", "hostssl all all all cert"),
    (
        "cert12",
        "plain",
        "clientroot.crt",
        "ssl_max_protocol_version = 'TLSv1.2'",
        "hostssl all all all cert",
    ),
    (
        "revoking",
        "plain",
        "clientroot.crt",
        "",
        "hostssl all all all cert",
    ),
    ("standby", "plain", "", "", TLS_TRUST),
    ("standby[13]", "plain", "", "", TLS_TRUST),
    ("certnoca", "plain", "", "", "hostssl all all all cert"),
    ("optional", "plain", "clientroot.crt", "", ANY_TRUST),
    (
        "optional12",
        "plain",
        "clientroot.crt",
        "ssl_max_protocol_version = 'TLSv1.2'",
        ANY_TRUST,
    ),
    (
        "verifyca",
        "plain",
        "clientroot.crt",
        "",
        "hostssl all all all trust clientcert=verify-ca",
    ),
    (
        "verifyfull",
        "plain",
        "clientroot.crt",
        "",
        "hostssl all all all scram-sha-256 clientcert=verify-full",
    ),
    (
        "only12",
        "rsa",
        "",
        "ssl_max_protocol_version = 'TLSv1.2'",
        TLS_TRUST,
    ),
    (
        "only13",
        "plain",
        "",
        "ssl_min_protocol_version = 'TLSv1.3'",
        TLS_TRUST,
    ),
    (
        "only11",
        "plain",
        "",
        "ssl_min_protocol_version = 'TLSv1'\nssl_max_protocol_version = 'TLSv1.1'",
        ANY_TRUST,
    ),
    // Versions and ciphers that do not go together: OpenSSL's alert comes right behind the answer to the SSLRequest.
    (
        "nociphers",
        "plain",
        "",
        "ssl_ciphers = 'ECDHE-ECDSA-AES256-GCM-SHA384'\nssl_min_protocol_version = 'TLSv1.1'\n\
         ssl_max_protocol_version = 'TLSv1.1'",
        ANY_TRUST,
    ),
    (
        "p521group",
        "plain",
        "",
        "ssl_ecdh_curve = 'secp521r1'",
        TLS_TRUST,
    ),
    (
        "p521group12",
        "plain",
        "",
        "ssl_ecdh_curve = 'secp521r1'\nssl_max_protocol_version = 'TLSv1.2'",
        TLS_TRUST,
    ),
    ("x448group[18]", "plain", "", "ssl_groups = 'X448'", TLS_TRUST),
    (
        "cbc",
        "rsa",
        "",
        "ssl_ciphers = 'AES128-SHA'\nssl_max_protocol_version = 'TLSv1.2'",
        TLS_TRUST,
    ),
    (
        "cbcec",
        "plain",
        "",
        "ssl_ciphers = 'AES128-SHA'\nssl_max_protocol_version = 'TLSv1.2'",
        TLS_TRUST,
    ),
    ("readonly", "plain", "", "", TLS_TRUST),
    ("full", "plain", "", "", TLS_TRUST),
    ("socket", "", "", "", "local all all trust"),
    ("direct[17]", "plain", "", "", TLS_TRUST),
    ("direct[18]", "plain", "", "", TLS_TRUST),
    ("direct[15]", "plain", "", "", TLS_TRUST),
    (
        "cert[13]",
        "plain",
        "clientroot.crt",
        "",
        "hostssl all all all cert",
    ),
    ("scram[13]", "plain", "", "", "host all all all scram-sha-256"),
    ("scram[18]", "plain", "", "", "host all all all scram-sha-256"),
];

/// A server that runs, and what the cases call its places.
pub struct Running {
    pub server: TestServer,
}

impl Running {
    /// The conninfo of a case with `{d}`, `{port}` and `{sock}` filled in, after what every case has.
    pub fn fill(&self, world: &World, conninfo: &str) -> String {
        let port = self.server.port.to_string();
        let socket = self.server.socket();
        let directory = socket
            .strip_prefix("host=")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .to_owned();
        let fill = |text: &str| {
            text.replace("{d}", world.path("").to_string_lossy().trim_end_matches('/'))
                .replace("{port}", &port)
                .replace("{sock}", &directory)
        };
        if conninfo.starts_with("postgres") {
            return fill(conninfo);
        }
        fill(&format!(
            "host=db.test hostaddr=127.0.0.1 port={{port}} user=alice dbname=postgres connect_timeout=20 {conninfo}"
        ))
    }
}

/// Starts the server of that name; `cert:NAME` is one with that certificate and nothing else, before the version if
/// there is one. `None`, with a skip noted,
/// where its version is not here.
pub fn start(world: &World, name: &str) -> Option<Running> {
    let plain = name
        .strip_prefix("cert:")
        .and_then(|cert| cert.split('[').next())
        .map(|cert| (name, cert, "", "", ANY_TRUST));
    let (name, cert, ca, conf, hba) = plain.unwrap_or_else(|| {
        *STAGES
            .iter()
            .find(|(stage, ..)| *stage == name)
            .unwrap_or_else(|| panic!("no server {name}"))
    });
    let postgres = match name.split_once('[') {
        Some((_, version)) => Postgres::find(version.trim_end_matches(']').parse().unwrap())?,
        None => Postgres::any()?,
    };
    let mut builder = TestServer::builder(&postgres)
        .conf(conf)
        .hba(hba)
        .sql("set password_encryption = 'scram-sha-256'; create role alice login password 'right'")
        .sql("create role bob login password 'right'")
        .sql("create role grouprole nologin")
        .sql("set password_encryption = 'md5'; create role oldie login password 'right'");
    builder = match name {
        "readonly" => builder.sql("alter role alice set default_transaction_read_only = on"),
        "full" => builder.sql("alter role alice connection limit 0"),
        "revoking" => builder.client_crl(&world.path("clients.crl")),
        standby if standby.starts_with("standby") => builder.standby(),
        _ => builder,
    };
    if !cert.is_empty() {
        builder = builder.tls(&Leaf {
            cert: world.path(&format!("{cert}.crt")),
            key: world.path(&format!("{cert}.key")),
        });
    }
    if cert == "shortsigned" || cert == "sha1" {
        // OpenSSL would not load such a certificate otherwise.
        let weak = world.path("weak.cnf");
        std::fs::write(
            &weak,
            "openssl_conf=a\n[a]\nssl_conf=b\n[b]\nsystem_default=c\n[c]\nCipherString=DEFAULT@SECLEVEL=0\n",
        )
        .unwrap();
        builder = builder.env("OPENSSL_CONF", &weak.display().to_string());
    }
    if !ca.is_empty() {
        builder = builder.client_ca(&world.path(ca));
    }
    Some(Running {
        server: builder.start(),
    })
}
