//! Host names against their witness: psql, shown each certificate by a server that ends after the handshake.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgtls::judge::judge_name;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ServerConfig, ServerConnection};

use super::workshop::Workshop;

const CA: &str = "basicConstraints=critical,CA:TRUE; keyUsage=keyCertSign";
const PATIENCE: Duration = Duration::from_secs(20);

/// Subject and alternative names of a certificate, and the hosts it is tried with.
const NAMES: [(&str, &str, &str); 19] = [
    (
        "/CN=db.example.org",
        "",
        "db.example.org DB.Example.ORG other.example.org db.example.org. 127.0.0.1",
    ),
    ("/CN=first/CN=second", "", "first second"),
    ("/CN=127.0.0.1", "", "127.0.0.1 127.1"),
    (
        "/CN=*.example.org",
        "",
        "db.example.org a.db.example.org example.org",
    ),
    ("/O=nobody", "", "db.example.org"),
    ("/CN=cn", "DNS:a,DNS:b", "a b cn c"),
    ("/CN=cn", "DNS:a,IP:10.0.0.1", "cn 10.0.0.1 10.1 10.0.0.2"),
    ("/CN=cn", "IP:10.0.0.1", "cn 10.0.0.1 other"),
    ("/CN=10.0.0.2", "IP:10.0.0.1", "10.0.0.2"),
    ("/CN=10.0.0.2", "DNS:a", "10.0.0.2"),
    ("/CN=cn", "URI:postgres://a,email:a@b", "cn a"),
    (
        "/CN=x",
        "DNS:*.example.org",
        "db.example.org .example.org *.example.org x.y.example.org",
    ),
    ("/CN=x", "DNS:*.org", "example.org"),
    (
        "/CN=x",
        "DNS:d*.example.org,DNS:db.*.org,DNS:*",
        "db.example.org d.example.org * localhost",
    ),
    (
        "/CN=x",
        "IP:::1,IP:::ffff:127.0.0.1",
        "::1 0:0:0:0:0:0:0:1 127.0.0.1 ::ffff:127.0.0.1",
    ),
    (
        "/CN=x",
        "IP:127.0.0.1",
        "127.0.0.01 0x7f.1 017700000001 127.0.0.09 127.0.0.1.",
    ),
    ("/CN=x", "DNS:127.0.0.1,DNS:my_db,DNS:a.", "127.0.0.1 my_db a a."),
    ("/CN=x", "DER:300f820361006282087361666500686f73", "a safe"),
    ("/CN=x", "DER:301082016187080102030401020304820162", "a b"),
];

#[test]
fn psql_says_the_same_of_every_name() {
    if Command::new("psql").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "psql is missing");
        eprintln!("skipped: psql is missing");
        return;
    }
    let mut workshop = Workshop::new();
    workshop.issue(&("root", "p256", "self", "/CN=Root", CA, ""));
    let mut differences = Vec::new();
    for (number, (subject, names, hosts)) in NAMES.iter().enumerate() {
        let name = format!("names{number}");
        let extensions = match names.replace(' ', "") {
            names if names.is_empty() => "basicConstraints=CA:FALSE".into(),
            names => format!("basicConstraints=CA:FALSE; subjectAltName={names}"),
        };
        workshop.issue(&(&name, "p256-l", "root", subject, &extensions, ""));
        let leaf = workshop.der(&name, "crt");
        let server = Server::new(leaf.clone(), workshop.der("p256-l", "key"));
        for host in hosts.split(' ') {
            let ours = judge_name(&leaf, host).map_or_else(|refusal| refusal.libpq, |_| "ok".into());
            let theirs = server.ask_psql(host, &workshop.path("root.crt"));
            if ours != theirs {
                differences.push(format!("{subject} {names} {host}: ours {ours}, psql's {theirs}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

struct Server {
    listener: TcpListener,
    configuration: Arc<ServerConfig>,
}

/// Ends psql even where a test fails.
struct Psql(Child);

impl Drop for Psql {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn new(certificate: Vec<u8>, key: Vec<u8>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let signer = any_supported_type(&PrivateKeyDer::Pkcs8(key.into())).unwrap();
        // Put together by hand: rustls would look into the certificate, and not like all of them.
        let certified = CertifiedKey::new(vec![CertificateDer::from(certificate)], signer);
        let configuration = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self {
            listener,
            configuration: Arc::new(configuration),
        }
    }

    /// `ok`, or what psql says after its `connection to server … failed: `.
    fn ask_psql(&self, host: &str, root: &Path) -> String {
        let conninfo = format!(
            "host='{host}' hostaddr=127.0.0.1 port={} user=u dbname=d sslmode=verify-full sslrootcert='{}' \
             gssencmode=disable sslsni=0 sslcert=/none sslcrl=/none",
            self.listener.local_addr().unwrap().port(),
            root.display()
        );
        let mut psql = Command::new("psql");
        psql.args(["-X", "-w", "-c", "", &conninfo])
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        let mut psql = Psql(psql.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        let stream = loop {
            match self.listener.accept() {
                Ok((stream, _)) => break stream,
                Err(_) => assert!(Instant::now() < deadline, "psql does not call for {host}"),
            }
            std::thread::park_timeout(Duration::from_millis(1));
        };
        let greeted = self.serve(stream);
        let mut said = String::new();
        psql.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        match said.split_once("failed: ") {
            _ if greeted => "ok".into(),
            Some((_, reason)) => reason.trim().to_owned(),
            None => said,
        }
    }

    /// Shakes hands; whether the client then went on to send its startup message.
    fn serve(&self, mut stream: TcpStream) -> bool {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        stream.write_all(b"S").unwrap();
        let mut tls = ServerConnection::new(self.configuration.clone()).unwrap();
        rustls::Stream::new(&mut tls, &mut stream)
            .read(&mut [0; 64])
            .is_ok_and(|count| count > 0)
    }
}
