//! A pgtls process against servers that never stop: it ends, and its memory does not grow with what they say.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";
const NOTICE: &[u8] = b"N\0\0\0\x0dSNOTICE\0\0";
const PARAMETER: &[u8] = b"S\0\0\0\x08a\0b\0";
const ROW: &[u8] = b"D\0\0\0\x0c\0\x01\0\0\0\x02ab";
const NO_BODY: &[u8] = b"I\0\0\0\x04";

/// A server: what it does, what it says once after the startup packet, what it says then for ever, whether over TLS.
type Server = (&'static str, &'static [&'static [u8]], &'static [u8], bool);

const SERVERS: [Server; 8] = [
    ("notices before the login", &[], NOTICE, true),
    ("notices behind the login", &[LET_IN], NOTICE, true),
    ("parameters behind the login", &[LET_IN], PARAMETER, true),
    (
        "parameters behind the login, in plaintext",
        &[LET_IN],
        PARAMETER,
        false,
    ),
    ("rows", &[LET_IN, READY], ROW, true),
    ("rows in plaintext", &[LET_IN, READY], ROW, false),
    ("messages without a body", &[LET_IN, READY], NO_BODY, true),
    ("an error without an end", &[LET_IN], b"E\0\0\x75\x30SFATAL", true),
];

/// How long pgtls is given, and how long until it is certain that it hangs.
const PATIENCE: &str = "5";
const HANGS: Duration = Duration::from_secs(90);

/// What a process may take more than one whose server says nothing wrong. The servers say hundreds of megabytes meanwhile.
const MOST_GROWTH: u64 = 48 << 10;

fn tls() -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        );
    Arc::new(config.unwrap())
}

/// Serves every connection so; its port.
fn serve(once: &'static [&'static [u8]], for_ever: &'static [u8], over_tls: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = tls();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let config = Arc::clone(&config);
            std::thread::spawn(move || {
                let _ = stream.read_exact(&mut [0; 8]);
                let _ = stream.write_all(if over_tls { b"S" } else { b"N" });
                if over_tls {
                    let session = ServerConnection::new(config).unwrap();
                    talk(StreamOwned::new(session, stream), once, for_ever);
                } else {
                    talk(stream, once, for_ever);
                }
            });
        }
    });
    port
}

fn talk(mut stream: impl Read + Write, once: &[&[u8]], for_ever: &[u8]) {
    let _ = stream.read(&mut [0; 4096]);
    let _ = stream.write_all(&once.concat());
    let _ = stream.flush();
    if for_ever.is_empty() {
        let _ = stream.read_to_end(&mut Vec::new());
        return;
    }
    let many = for_ever.repeat((64 << 10) / for_ever.len());
    while stream.write_all(&many).is_ok() {}
}

/// Runs pgtls until it ends; its status, and the most memory that it had, in KiB.
fn run(port: u16, over_tls: bool) -> (Option<i32>, u64) {
    let sslmode = if over_tls { "require" } else { "prefer" };
    let conninfo = format!(
        "host=127.0.0.1 port={port} user=u dbname=d sslmode={sslmode} target_session_attrs=read-write"
    );
    let mut child = Command::new(support::pgtls_bin())
        .args(["verify", "--probes", "connect", "--timeout", PATIENCE, &conninfo])
        .env("HOME", "/nonexistent")
        .env(support::MARK, support::mark())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let begun = Instant::now();
    let mut most = 0;
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            return (ended.code(), most);
        }
        // The kernel keeps the peak itself (`proc_pid_status(5)`, VmHWM).
        let peak = std::fs::read_to_string(&status).ok().and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.split_whitespace().next()?.parse().ok()
        });
        most = most.max(peak.unwrap_or(0));
        if begun.elapsed() > HANGS {
            let _ = child.kill();
            let _ = child.wait();
            panic!("pgtls hangs, with {most} KiB");
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

#[test]
fn memory_does_not_grow_with_what_an_endless_server_says() {
    // One that lets everybody in and then waits: what a session takes.
    let (status, usual) = run(serve(&[LET_IN, READY], b"", true), true);
    assert_eq!(status, Some(4), "it asked, and was not answered in time");
    assert!(usual > 0);
    let measured: Vec<_> = SERVERS
        .iter()
        .map(|(name, once, for_ever, over_tls)| {
            let (status, most) = run(serve(once, for_ever, *over_tls), *over_tls);
            (name, status, most)
        })
        .collect();
    for (name, status, most) in &measured {
        assert!(matches!(status, Some(1 | 4)), "{name}: status {status:?}");
        assert!(
            *most < usual + MOST_GROWTH,
            "{name}: {most} KiB, {usual} KiB as usual; all: {measured:?}"
        );
    }
}
