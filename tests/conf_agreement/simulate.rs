//! The simulator against its witness: which line a real server takes, for connections over the socket and over TCP, with
//! TLS and without, with a client certificate and without, from many addresses.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use pgtls::conf::hba::{Method, Rules};
use pgtls::conf::ident::Maps;
use pgtls::conf::simulate::{Channel, Connection, Memberships, Outcome, Refusal, Simulator, World, outcome};
use pgtls::conf::{Dialect, Net};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};
use tokio::net::TcpSocket;

use super::support::Random;
use super::support::{Ca, Leaf, Postgres, TestServer, wait_for};

/// Rule sets for each version, and connections for each rule set.
const SETS: usize = 14;
const CONNECTIONS: usize = 100;

const MAPS: &str = "m alice a\nm /^b all\nm carol +g\n";

/// What a server did with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// It named the line.
    Line(usize),
    /// It let somebody in, and did not name the line (13 to 15 say nothing about `trust`).
    LetIn,
    Rejected,
    NoRecord,
    NoCertificate,
}

#[test]
fn every_server_takes_the_line_that_we_say() {
    let ca = Ca::new("ca");
    let leaf = ca.server(&["localhost"]);
    let certificates = ["a", "b", "alice", "carol"].map(|cn| (cn, ca.client(cn)));
    let mut compared = 0;
    for major in [13, 14, 15, 16, 17, 18] {
        let Some(postgres) = Postgres::find(major) else {
            continue;
        };
        let server = TestServer::builder(&postgres)
            .tls(&leaf)
            .client_ca(&ca.cert)
            .ident(MAPS)
            .sql("create role g; create role h; grant h to g; create role a login; create role b login; create role \"+g\" login")
            .sql("grant g to a; grant h to b; create role s superuser login")
            .sql("create database x")
            .sql("create database a")
            .start();
        let witness = Witness {
            server,
            major,
            certificates: &certificates,
        };
        compared += witness.compare();
    }
    assert!(
        compared >= 4 * SETS * CONNECTIONS,
        "only {compared} connections were compared"
    );
}

struct Witness<'a> {
    server: TestServer,
    major: u16,
    certificates: &'a [(&'static str, Leaf)],
}

impl Witness<'_> {
    fn compare(&self) -> usize {
        let mut random = Random::new(0xfeed_0000 + u64::from(self.major));
        let dialect = Dialect::of(self.major);
        let role = |name: &str| name.to_owned();
        let world = World {
            memberships: Some(Memberships::new(
                ["a", "b", "g", "h", "s", "+g", "postgres"].map(role),
                [("g", "h"), ("a", "g"), ("b", "h")].map(|(member, group)| (role(member), role(group))),
            )),
            // Clients of this test come from the loopback interface alone.
            interfaces: Some(vec![
                Net::with_prefix("127.0.0.1".parse().unwrap(), 8).unwrap(),
                Net::with_prefix("::1".parse().unwrap(), 128).unwrap(),
            ]),
            maps: Some(Maps::parse(MAPS.as_bytes(), dialect)),
            ..World::default()
        };
        let mut compared = 0;
        for set in 0..SETS {
            let mut text = format!("local postgres postgres trust\nhost marker{set} all all reject\n");
            for _ in 0..=random.below(12) {
                text.push_str(&rule(&mut random, self.major));
            }
            let rules = Rules::parse(text.as_bytes(), dialect);
            assert!(rules.is_loadable(), "{:?}", rules.broken());
            self.put_in_force(&text, set);
            let simulator = Simulator::new(rules.rules(), &world);
            let asked: Vec<_> = (0..CONNECTIONS).map(|_| Self::connection(&mut random)).collect();
            let begun = self.server.log().len();
            for connection in &asked {
                self.connect(connection);
            }
            let log = self.server.log()[begun..].to_owned();
            let seen = read_log(&log);
            assert_eq!(seen.len(), asked.len(), "{log}");
            for (connection, (seen, block)) in asked.iter().zip(&seen) {
                let decision = simulator.decide(connection);
                assert!(decision.is_certain(), "{connection:?} under\n{text}");
                let outcome = outcome(rules.rules(), &decision, connection, &world);
                let line = decision.record.map(|at| rules.rules()[at].place.line);
                let method = decision.record.map(|at| rules.rules()[at].record.method);
                let agrees = match seen {
                    Seen::Line(theirs) => line == Some(*theirs),
                    Seen::LetIn => method == Some(Method::Trust),
                    Seen::Rejected => outcome == Outcome::Refused(Refusal::Rejected),
                    Seen::NoRecord => outcome == Outcome::Refused(Refusal::NoRecord),
                    Seen::NoCertificate => outcome == Outcome::Refused(Refusal::NoCertificate),
                };
                // And what becomes of it, where the method alone tells.
                let fares = match (method, outcome) {
                    (Some(Method::Trust | Method::Cert), Outcome::LetIn) => {
                        !block.contains("authentication failed")
                    }
                    (Some(Method::Cert), Outcome::Refused(Refusal::OtherName)) => {
                        block.contains("authentication failed")
                    }
                    _ => true,
                };
                assert!(
                    agrees && fares,
                    "PostgreSQL {}: {connection:?}\nours {line:?} {outcome:?}, the server {seen:?}\n{text}\n{block}",
                    self.major
                );
                compared += 1;
            }
        }
        compared
    }

    /// Writes the rules, and waits until they decide: the marker's database is then rejected, not unheard of.
    fn put_in_force(&self, text: &str, set: usize) {
        std::fs::write(self.server.data.join("pg_hba.conf"), text).unwrap();
        self.server.sql("select pg_reload_conf()");
        let marker = Connection {
            channel: Channel::Plain("127.0.0.1".parse().unwrap()),
            user: "a".to_owned(),
            database: format!("marker{set}"),
            replication: false,
        };
        wait_for("the new rules", Duration::from_secs(30), || {
            let begun = self.server.log().len();
            self.connect(&marker);
            self.server.log()[begun..]
                .contains("rejects connection")
                .then_some(())
        });
    }

    fn connection(random: &mut Random) -> Connection {
        let ip: IpAddr = random
            .pick(&[
                "127.0.0.1",
                "127.0.0.2",
                "127.1.2.3",
                "127.2.0.1",
                "127.255.255.1",
                "::1",
            ])
            .parse()
            .unwrap();
        let certificate = |random: &mut Random| {
            (random.below(2) == 0).then(|| random.pick(&["a", "b", "alice", "carol"]).to_owned())
        };
        Connection {
            channel: match random.below(7) {
                0 => Channel::Socket,
                1..=3 => Channel::Plain(ip),
                _ => Channel::Tls(ip, certificate(random)),
            },
            user: random.pick(&["a", "b", "g", "s", "+g", "nobody", "x"]).to_owned(),
            database: random
                .pick(&["x", "a", "b", "g", "h", "xy", "all", "replication"])
                .to_owned(),
            replication: random.below(6) == 0,
        }
    }

    /// Knocks, gives a password that is wrong if asked for one, and goes when the server has answered.
    fn connect(&self, connection: &Connection) {
        let address = |ip: IpAddr| {
            let to = if ip.is_ipv4() {
                "127.0.0.1".parse().unwrap()
            } else {
                ip
            };
            tcp(ip, SocketAddr::new(to, self.server.port))
        };
        match &connection.channel {
            Channel::Socket => {
                let directory = self.server.data.parent().unwrap();
                let path = directory.join(format!(".s.PGSQL.{}", self.server.port));
                talk(UnixStream::connect(path).unwrap(), connection);
            }
            Channel::Plain(ip) | Channel::Gss(ip) => talk(address(*ip), connection),
            Channel::Tls(ip, name) => {
                let mut stream = address(*ip);
                stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).unwrap();
                let mut answer = [0];
                stream.read_exact(&mut answer).unwrap();
                assert_eq!(answer, *b"S");
                let leaf = name.as_ref().map(|name| {
                    &self
                        .certificates
                        .iter()
                        .find(|(known, _)| known == name)
                        .unwrap()
                        .1
                });
                let server = ServerName::try_from("localhost").unwrap();
                let client = ClientConnection::new(Arc::new(tls(leaf)), server).unwrap();
                talk(StreamOwned::new(client, stream), connection);
            }
        }
    }
}

fn rule(random: &mut Random, major: u16) -> String {
    let kind = random.pick(&[
        "local",
        "host",
        "host",
        "hostssl",
        "hostssl",
        "hostnossl",
        "hostnogssenc",
    ]);
    let databases = [
        "all",
        "all",
        "sameuser",
        "samerole",
        "replication",
        "x",
        "a",
        "\"all\"",
        "\"replication\"",
        "/^x",
        "\"/y$\"",
    ];
    let roles = [
        "all", "all", "a", "b", "+g", "+h", "\"+g\"", "nobody", "s", "/^[ab]$", "/",
    ];
    let addresses = [
        "all",
        "all",
        "127.0.0.0/8",
        "127.0.0.1/32",
        "127.1.9.9/16",
        "::1/128",
        "0.0.0.0/0",
        "::/0",
        "127.0.0.1 255.0.0.255",
        "samehost",
        "samenet",
        "127.2.1/24",
        "10.0.0.0/8",
    ];
    let known = |words: &'static [&str]| -> Vec<&'static str> {
        // Before 16 these are names like any other.
        words
            .iter()
            .copied()
            .filter(|word| major >= 16 || !word.contains('/') || *word == "/")
            .collect()
    };
    let mut list = |from: &[&str]| {
        let count = 1 + random.below(2);
        (0..count)
            .map(|_| random.pick(from))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let databases = list(&known(&Box::leak(Box::new(databases))[..]));
    let roles = list(&known(&Box::leak(Box::new(roles))[..]));
    let address = if kind == "local" {
        ""
    } else {
        random.pick(&addresses)
    };
    let methods: &[&str] = if kind == "hostssl" {
        &[
            "password",
            "reject",
            "cert",
            "cert map=m",
            "password clientcert=verify-ca",
            "password clientcert=verify-full",
        ]
    } else {
        &["password", "password", "password", "reject", "trust"]
    };
    let method = random.pick(methods);
    let mut line = String::new();
    writeln!(line, "{kind} {databases} {roles} {address} {method}").unwrap();
    line
}

/// What the log says of each connection, in their order, and the words it says it in.
fn read_log(log: &str) -> Vec<(Seen, String)> {
    log.split("LOG:  connection received: ")
        .skip(1)
        .map(|block| {
            let number = |text: &str| -> Option<usize> {
                text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
            };
            let matched = block
                .split("Connection matched ")
                .nth(1)
                .and_then(|rest| rest.split(" line ").nth(1))
                .and_then(number);
            let authenticated = block
                .split("connection authenticated: ")
                .nth(1)
                .and_then(|rest| rest.lines().next()?.rsplit(':').next())
                .and_then(number);
            let seen = match matched.or(authenticated) {
                Some(line) => Seen::Line(line),
                None if block.contains("pg_hba.conf rejects") => Seen::Rejected,
                None if block.contains("no pg_hba.conf entry") => Seen::NoRecord,
                None if block.contains("connection requires a valid client certificate") => {
                    Seen::NoCertificate
                }
                None => Seen::LetIn,
            };
            (seen, block.to_owned())
        })
        .collect()
}

/// From that address of this machine.
fn tcp(from: IpAddr, to: SocketAddr) -> TcpStream {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let stream = runtime.block_on(async {
        let socket = if from.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }
        .unwrap();
        socket.bind(SocketAddr::new(from, 0)).unwrap();
        socket.connect(to).await.unwrap()
    });
    let stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// The startup message, a wrong password if one is asked for, and the end
/// (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
fn talk(mut stream: impl Read + Write, connection: &Connection) {
    let mut body = vec![0, 3, 0, 0];
    let mut parameters = vec![
        ("user", connection.user.as_str()),
        ("database", connection.database.as_str()),
    ];
    if connection.replication {
        parameters.push(("replication", "true"));
    }
    for (name, value) in parameters {
        for text in [name, value] {
            body.extend_from_slice(text.as_bytes());
            body.push(0);
        }
    }
    body.push(0);
    stream
        .write_all(&u32::try_from(body.len() + 4).unwrap().to_be_bytes())
        .unwrap();
    stream.write_all(&body).unwrap();
    stream.flush().unwrap();
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize - 4;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        match head[0] {
            b'R' if body[..4] != [0, 0, 0, 0] => {
                stream.write_all(b"p\0\0\0\x0awrong\0").unwrap();
                stream.flush().unwrap();
            }
            b'E' => break,
            b'Z' => {
                stream.write_all(b"X\0\0\0\x04").unwrap();
                stream.flush().unwrap();
                break;
            }
            _ => {}
        }
    }
    // The server's end comes after its last line in the log.
    drop(stream.read_to_end(&mut Vec::new()));
}

fn tls(leaf: Option<&Leaf>) -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    match leaf {
        None => builder.with_no_client_auth(),
        Some(leaf) => {
            let chain = CertificateDer::pem_file_iter(&leaf.cert)
                .unwrap()
                .map(Result::unwrap)
                .collect();
            let key = PrivateKeyDer::from_pem_file(&leaf.key).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}

/// Takes any server: who it is does not matter here.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
