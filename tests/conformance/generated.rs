//! Connections put together at random: any server with any of what a person may say to libpq. `PGTLS_TEST_SEED` and
//! `PGTLS_TEST_CASES` ask for others, and for more.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::cases::Case;

/// Servers with which rustls shakes hands.
const SERVERS: &[&str] = &[
    "tls",
    "any",
    "plaintext",
    "notls",
    "nobody",
    "reject",
    "scram",
    "password",
    "md5",
    "scramed",
    "scrampss",
    "cert",
    "cert12",
    "certnoca",
    "optional",
    "optional12",
    "verifyca",
    "verifyfull",
    "only12",
    "only13",
    "p521group",
    "readonly",
    "direct[15]",
    "direct[17]",
    "direct[18]",
    "cert[13]",
    "scram[13]",
    "scram[18]",
];

/// What may be said, by subject; an empty word says nothing.
const SUBJECTS: &[&[&str]] = &[
    // Always one: where there is none pgtls means verify-full, and libpq prefer.
    &[
        "sslmode=disable",
        "sslmode=allow",
        "sslmode=prefer",
        "sslmode=require",
        "sslmode=verify-ca",
        "sslmode=verify-full",
        "sslmode=verify-full",
    ],
    &[
        "",
        "sslrootcert={d}/root.crt",
        "sslrootcert={d}/root.crt",
        "sslrootcert={d}/edroot.crt",
        "sslrootcert={d}/evilroot.crt",
        "sslrootcert={d}/missing.crt",
        "sslrootcert=system",
    ],
    &["", "", "host=other.test", "host=localhost", "host=DB.test"],
    &["", "password=right", "password=right", "password=wrong"],
    &["", "", "user=bob", "user=oldie"],
    &[
        "",
        "",
        "sslcert={d}/alice.crt sslkey={d}/alice.key",
        "sslcert={d}/alice.crt sslkey={d}/alice.key",
        "sslcert={d}/bob.crt sslkey={d}/bob.key",
        "sslcert={d}/eve.crt sslkey={d}/eve.key",
        "sslcert={d}/alicepss.crt sslkey={d}/alicepss.key",
        "sslcert={d}/aliceold.crt sslkey={d}/aliceold.key",
        "sslcert={d}/alice.crt sslkey={d}/bob.key",
    ],
    &[
        "",
        "",
        "",
        "sslcertmode=disable",
        "sslcertmode=allow",
        "sslcertmode=require",
    ],
    &[
        "",
        "",
        "channel_binding=disable",
        "channel_binding=prefer",
        "channel_binding=require",
    ],
    &[
        "",
        "",
        "",
        "require_auth=scram-sha-256",
        "require_auth=none",
        "require_auth=!none",
        "require_auth=!password",
        "require_auth=password,md5",
        "require_auth=none,scram-sha-256",
        "require_auth=!scram-sha-256,!none",
    ],
    &["", "", "", "sslnegotiation=postgres", "sslnegotiation=direct"],
    &[
        "",
        "",
        "",
        "ssl_min_protocol_version=TLSv1.3",
        "ssl_min_protocol_version=TLSv1.2",
        "ssl_max_protocol_version=TLSv1.2",
        "ssl_min_protocol_version=TLSv1.3 ssl_max_protocol_version=TLSv1.2",
    ],
    &["", "", "", "sslsni=0", "gssencmode=disable", "gssencmode=prefer"],
    &[
        "",
        "",
        "",
        "target_session_attrs=read-write",
        "target_session_attrs=read-only",
        "target_session_attrs=primary",
        "target_session_attrs=standby",
        "target_session_attrs=prefer-standby",
    ],
];

/// A number of somebody's choice.
fn chosen<T: std::str::FromStr>(variable: &str, otherwise: T) -> T {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{variable}={text}"))
    })
}

/// As many as are wanted, the same for the same seed.
pub fn all() -> Vec<Case> {
    let seed: u64 = chosen("PGTLS_TEST_SEED", 20);
    let count: usize = chosen("PGTLS_TEST_CASES", 400);
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let said: Vec<_> = SUBJECTS.iter().map(|words| select(*words)).collect();
    let strategy = (select(SERVERS), said).prop_map(|(server, said)| Case {
        server,
        conninfo: said
            .into_iter()
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join(" "),
        home: "",
        unspoken: false,
    });
    (0..count)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect()
}
