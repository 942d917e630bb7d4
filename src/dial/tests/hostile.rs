//! Scripted hostile servers: whatever they do, the answer is typed and comes before the deadline.

use std::net::SocketAddr;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::dial::wire::{Header, limit_before_login, read_message};

/// Long enough for a busy machine to show that a quick end is quick, short enough to wait for.
const PATIENCE: Duration = Duration::from_millis(400);

/// A server that runs `script` on its first connection, and a client on the other end of it.
async fn against<T>(script: impl AsyncFnOnce(TcpStream), client: impl AsyncFnOnce(Address) -> T) -> T {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        script(stream).await;
        std::future::pending::<()>().await;
    };
    let begun = std::time::Instant::now();
    let outcome = tokio::select! {
        () = server => unreachable!(),
        outcome = client(Address::known("localhost", address)) => outcome,
    };
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "took {:?}",
        begun.elapsed()
    );
    outcome
}

/// Says this to whatever is asked, and then holds the line.
fn says(bytes: &'static [u8]) -> impl AsyncFnOnce(TcpStream) {
    async move |mut stream: TcpStream| {
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

/// Says this and closes.
fn leaves(bytes: &'static [u8]) -> impl AsyncFnOnce(TcpStream) {
    async move |mut stream: TcpStream| {
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
    }
}

async fn ask(address: Address) -> Result<SslAnswer, Lost> {
    ssl_request(
        &mut open(&address, soon()).await.unwrap(),
        Deadline::after(PATIENCE),
    )
    .await
}

async fn start(address: Address) -> Result<FirstAnswer, StartupFailure> {
    plaintext_startup(
        open(&address, soon()).await.unwrap(),
        "u",
        "d",
        Deadline::after(PATIENCE),
    )
    .await
}

async fn shake(address: Address) -> HandshakeFault {
    let stream = open(&address, soon()).await.unwrap();
    handshake(stream, &super::any(), Deadline::after(PATIENCE))
        .await
        .unwrap_err()
        .fault
}

async fn log_in(address: Address) -> LoginFailure {
    let stream = open(&address, soon()).await.unwrap();
    let password = secrecy::SecretString::from("secret");
    let credentials = Credentials::new("u", "d").with_password(&password);
    login(stream, &credentials, Deadline::after(PATIENCE))
        .await
        .unwrap_err()
}

#[test]
fn answers_to_an_ssl_request() {
    run(async {
        let late = against(says(b""), ask).await;
        assert_eq!(late, Err(Lost::TimedOut(PATIENCE)));
        assert_eq!(against(leaves(b""), ask).await, Err(Lost::Closed));
        assert_eq!(
            against(says(b"\x1b[2J"), ask).await,
            Ok(SslAnswer::Garbage("\\u{1b}".to_owned()))
        );
        let stuffed = against(says(b"SR\0\0\0\x08\0\0\0\0"), ask).await;
        assert!(matches!(stuffed, Ok(SslAnswer::Stuffed(_))), "{stuffed:?}");
        // OpenSSL's alert right behind the answer (RFC 8446 section 6.2) is the server's own: it ends the handshake. A warning,
        // half an alert, or anything behind one might get by unseen.
        for (said, is_alert) in [
            (&b"S\x15\x03\x02\0\x02\x02\x28"[..], true),
            (b"S\x15\x03\x02\0\x02\x01\x00", false),
            (b"S\x15\x03\x02\0\x02\x02", false),
            (b"S\x15\x03\x02\0\x02\x02\x28R", false),
        ] {
            let answer = against(says(said), ask).await;
            assert_eq!(matches!(answer, Ok(SslAnswer::Accepts)), is_alert, "{said:?}");
            assert_eq!(matches!(answer, Ok(SslAnswer::Stuffed(_))), !is_alert, "{said:?}");
        }

        let full = b"E\0\0\0\x2fSFATAL\0VFATAL\0C53300\0Msorry,\x1b too many\0R x\0\0";
        let Ok(SslAnswer::Error(message)) = against(says(full), ask).await else {
            panic!()
        };
        assert_eq!(
            (&*message.sqlstate, &*message.message),
            ("53300", "sorry,\\u{1b} too many")
        );
        let Ok(SslAnswer::Error(message)) = against(says(b"Ecould not fork\n\0"), ask).await else {
            panic!()
        };
        assert_eq!(message.message, "could not fork");
        let Ok(SslAnswer::Error(_)) = against(leaves(b"E\0\0\0\x40SFATAL"), ask).await else {
            panic!()
        };
        assert_eq!(against(says(b"E\0\0"), ask).await, Err(Lost::TimedOut(PATIENCE)));
    });
}

#[test]
fn bytes_stuffed_later_never_become_plaintext() {
    run(async {
        let script = async |mut stream: TcpStream| {
            let mut asked = [0; 8];
            stream.read_exact(&mut asked).await.unwrap();
            stream.write_all(b"S").await.unwrap();
            // After our look for stuffed bytes, before the ServerHello.
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(b"R\0\0\0\x08\0\0\0\0").await.unwrap();
        };
        let fault = against(script, async |address| {
            let mut stream = open(&address, soon()).await.unwrap();
            assert_eq!(ssl_request(&mut stream, soon()).await, Ok(SslAnswer::Accepts));
            handshake(stream, &super::any(), soon()).await.unwrap_err().fault
        });
        assert_eq!(fault.await, HandshakeFault::NotTls);
    });
}

#[test]
fn answers_to_a_tls_hello() {
    run(async {
        assert_eq!(
            against(says(b""), shake).await,
            HandshakeFault::Lost(Lost::TimedOut(PATIENCE))
        );
        assert_eq!(
            against(leaves(b""), shake).await,
            HandshakeFault::Lost(Lost::Closed)
        );
        assert_eq!(
            against(leaves(b"\x16\x03\x03\0\x40\x02"), shake).await,
            HandshakeFault::Lost(Lost::Closed)
        );
        let alert = HandshakeFault::Lost(Lost::Alert(Alert::HANDSHAKE_FAILURE));
        assert_eq!(against(says(b"\x15\x03\x03\0\x02\x02\x28"), shake).await, alert);
        assert_eq!(
            against(says(b"HTTP/1.1 400 Bad Request\r\n"), shake).await,
            HandshakeFault::NotTls
        );
        let oversized = against(says(b"\x16\x03\x03\xff\xff\x02"), shake).await;
        assert!(
            matches!(oversized, HandshakeFault::Misbehaved(_)),
            "{oversized:?}"
        );
    });
}

#[test]
fn answers_to_an_old_hello() {
    async fn old(address: Address) -> Result<OldTls, Lost> {
        old_tls_hello(open(&address, soon()).await.unwrap(), Deadline::after(PATIENCE)).await
    }
    run(async {
        assert_eq!(against(says(b""), old).await, Err(Lost::TimedOut(PATIENCE)));
        assert_eq!(against(leaves(b""), old).await, Ok(OldTls::Closed));
        assert_eq!(
            against(leaves(b"\x15\x03\x01\0\x02\x02"), old).await,
            Ok(OldTls::Closed)
        );
        assert!(matches!(
            against(says(b"HTTP"), old).await,
            Ok(OldTls::Garbage(_))
        ));
        assert!(matches!(
            against(says(b"\x16\x03\x01\0\x06\x0b\0\0\x02\x03\x02"), old).await,
            Ok(OldTls::Garbage(_))
        ));
        let hello = against(says(b"\x16\x03\x01\0\x06\x02\0\0\x02\x03\x01"), old).await;
        assert_eq!(hello, Ok(OldTls::ServerHello(0x0301)));
    });
}

#[test]
fn answers_to_a_startup() {
    let wire = |outcome| match outcome {
        Err(StartupFailure::Wire(error)) => error,
        other => panic!("{other:?}"),
    };
    run(async {
        assert_eq!(
            against(says(b""), start).await,
            Err(StartupFailure::Lost(Lost::TimedOut(PATIENCE)))
        );
        assert_eq!(
            against(leaves(b""), start).await,
            Err(StartupFailure::Lost(Lost::Closed))
        );
        let truncated = wire(against(leaves(b"R\0\0\0\x08\0\0"), start).await);
        assert_eq!(truncated, WireError::Truncated { kind: 'R' });
        assert_eq!(
            wire(against(says(b"R\0\0\0\x04"), start).await),
            WireError::Truncated { kind: 'R' }
        );
        let oversized = wire(against(says(b"R\xff\xff\xff\xff"), start).await);
        assert_eq!(
            oversized,
            WireError::Length {
                kind: 'R',
                length: u32::MAX,
                limit: 2_000
            }
        );
        assert!(matches!(
            wire(against(says(b"E\0\0\0\0"), start).await),
            WireError::Length { .. }
        ));
        assert!(matches!(
            wire(against(says(b"Z\0\0\0\x05I"), start).await),
            WireError::Unexpected { .. }
        ));
        assert!(matches!(
            wire(against(says(b"HTTP/1.1 400"), start).await),
            WireError::Length { .. }
        ));
    });
}

async fn endless(mut stream: TcpStream) {
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked).await;
    while stream.write_all(b"S\0\0\0\x08a\0b\0").await.is_ok() {}
}

async fn drip(mut stream: TcpStream) {
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked).await;
    for byte in b"E\0\0\x20\0".iter().chain(std::iter::repeat(&b'x')) {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn endless_and_slow_servers_are_cut_off() {
    run(async {
        let outcome = against(endless, start).await;
        assert_eq!(outcome, Err(StartupFailure::Wire(WireError::Endless(64))));
        assert_eq!(
            against(endless, log_in).await,
            LoginFailure::Wire(WireError::Unexpected {
                asked: "StartupMessage",
                found: "a message 'S'".to_owned(),
            })
        );
        assert_eq!(
            against(drip, start).await,
            Err(StartupFailure::Lost(Lost::TimedOut(PATIENCE)))
        );
        assert_eq!(
            against(drip, log_in).await,
            LoginFailure::Lost(Lost::TimedOut(PATIENCE))
        );
    });
}

#[test]
fn answers_to_a_login() {
    run(async {
        assert_eq!(
            against(says(b""), log_in).await,
            LoginFailure::Lost(Lost::TimedOut(PATIENCE))
        );
        assert_eq!(
            against(leaves(b""), log_in).await,
            LoginFailure::Lost(Lost::Closed)
        );
        let oversized = against(says(b"R\x7f\xff\xff\xff"), log_in).await;
        assert!(
            matches!(oversized, LoginFailure::Wire(WireError::Length { .. })),
            "{oversized:?}"
        );
        assert!(matches!(
            against(says(b"R\0\0\0\x05\0"), log_in).await,
            LoginFailure::Wire(_)
        ));
        let gss = against(says(b"R\0\0\0\x08\0\0\0\x07"), log_in).await;
        assert_eq!(gss, LoginFailure::Unsupported(AuthMethod::Gss));
        let plus = against(says(b"R\0\0\0\x1c\0\0\0\x0aSCRAM-SHA-256-PLUS\0\0"), log_in).await;
        assert_eq!(plus, LoginFailure::PlusWithoutTls);
        let odd = against(says(b"R\0\0\0\x10\0\0\0\x0aX-ODD\0\0\0"), log_in).await;
        assert_eq!(
            odd,
            LoginFailure::Unsupported(AuthMethod::Sasl(vec!["X-ODD".to_owned()]))
        );
        // The server that lets us in and then never says that it is ready.
        let endless = async |mut stream: TcpStream| {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"R\0\0\0\x08\0\0\0\0").await;
            while stream.write_all(b"N\0\0\0\x0dSNOTICE\0\0").await.is_ok() {}
        };
        assert_eq!(
            against(endless, log_in).await,
            LoginFailure::Wire(WireError::Endless(64))
        );
    });
}

#[test]
fn a_server_that_does_not_know_the_password_is_found_out() {
    run(async {
        let impostor = async |mut stream: TcpStream| {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0").await;
            let length = stream.read(&mut asked).await.unwrap_or_default();
            let first = String::from_utf8_lossy(&asked[..length]).into_owned();
            let nonce = first.split("r=").nth(1).unwrap_or_default().to_owned();
            let answers = [
                (11_u32, format!("r={nonce}more,s=c2FsdHNhbHQ=,i=4096")),
                (12, format!("v={}=", "A".repeat(43))),
            ];
            for (code, text) in answers {
                let length = u32::try_from(text.len() + 8).unwrap();
                let message = [
                    b"R",
                    &length.to_be_bytes()[..],
                    &code.to_be_bytes(),
                    text.as_bytes(),
                ]
                .concat();
                let _ = stream.write_all(&message).await;
                let _ = stream.read(&mut asked).await;
            }
        };
        let failure = against(impostor, log_in).await;
        assert!(matches!(failure, LoginFailure::Authentication(_)), "{failure:?}");
    });
}

/// Asks for SCRAM, challenges with what follows the salt, and says the rest once the client has given its proof.
fn challenges(tail: &'static str, rest: &'static [u8]) -> impl AsyncFnOnce(TcpStream) {
    async move |mut stream: TcpStream| {
        let mut asked = [0; 4096];
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0").await;
        let length = stream.read(&mut asked).await.unwrap_or_default();
        let first = String::from_utf8_lossy(&asked[..length]).into_owned();
        let nonce = first.split("r=").nth(1).unwrap_or_default();
        let text = format!("r={nonce}more,s=c2FsdHNhbHQ=,{tail}");
        let length = u32::try_from(text.len() + 8).unwrap().to_be_bytes();
        let message = [b"R", &length[..], &11_u32.to_be_bytes(), text.as_bytes()].concat();
        let _ = stream.write_all(&message).await;
        let _ = stream.read(&mut asked).await;
        let _ = stream.write_all(rest).await;
        let _ = stream.read(&mut asked).await;
    }
}

/// fe-auth-scram.c and fe-auth.c (`check_expected_areq`): what libpq refuses is refused; where it goes on and we do not,
/// that is said.
#[test]
fn scram_is_judged_as_libpq_judges_it() {
    const OK: &[u8] = b"R\0\0\0\x08\0\0\0\0";
    const CLEARTEXT: &[u8] = b"R\0\0\0\x08\0\0\0\x03";
    run(async {
        for none in ["i=0", "i=-1", "i=4096x"] {
            let failure = against(challenges(none, b""), log_in).await;
            assert!(matches!(failure, LoginFailure::Wire(_)), "{none}: {failure:?}");
        }
        for more in ["i= 4096", "i=+1", "i=4096,x=1", "i=2000000"] {
            let failure = against(challenges(more, b""), log_in).await;
            assert!(matches!(failure, LoginFailure::Beyond(_)), "{more}: {failure:?}");
        }
        let failure = against(challenges("i=4096", CLEARTEXT), log_in).await;
        assert!(matches!(failure, LoginFailure::Beyond(_)), "{failure:?}");
        let insisting = async |address: Address, allowed: Option<&[AuthName]>| {
            let stream = open(&address, soon()).await.unwrap();
            let password = secrecy::SecretString::from("secret");
            let mut credentials = Credentials::new("u", "d").with_password(&password);
            credentials.allowed = allowed;
            login(stream, &credentials, Deadline::after(PATIENCE))
                .await
                .unwrap_err()
        };
        for (allowed, libpq_goes_on) in [
            (None, true),
            (Some(&[AuthName::ScramSha256, AuthName::None][..]), true),
            (Some(&[AuthName::ScramSha256]), false),
        ] {
            let failure = against(challenges("i=4096", OK), async |address| {
                insisting(address, allowed).await
            })
            .await;
            assert_eq!(failure, LoginFailure::Unproven { libpq_goes_on });
        }
    });
}

#[test]
fn a_reset_is_told_from_an_end() {
    run(async {
        let resets = async |mut stream: TcpStream| {
            // Part of the question stays unread: closing now resets the connection.
            stream.read_u8().await.unwrap();
        };
        assert_eq!(
            against(resets, start).await,
            Err(StartupFailure::Lost(Lost::Reset))
        );
    });
}

proptest! {
    #[test]
    fn no_header_lets_more_in_than_its_limit(bytes: [u8; 5]) {
        let limit = limit_before_login(bytes[0]);
        match Header::parse(bytes, limit) {
            Ok(header) => prop_assert!(header.body <= limit && header.kind == bytes[0]),
            Err(error) => prop_assert!(matches!(error, WireError::Length { .. }), "{}", error),
        }
    }

    #[test]
    fn the_reader_takes_any_bytes(bytes: Vec<u8>) {
        run(async {
            let mut input = &bytes[..];
            while let Ok(message) = read_message(&mut input).await {
                let _ = AuthMethod::from_body(&message.body);
                let _ = ServerMessage::from_body(&message.body).to_string();
            }
        });
    }

    #[test]
    fn a_message_is_read_back_whole(kind in prop::sample::select(&b"RENSKZ"[..]), body in prop::collection::vec(proptest::arbitrary::any::<u8>(), 0..1500), rest: Vec<u8>) {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        let bytes = [&[kind], &length[..], &body, &rest].concat();
        let mut input = &bytes[..];
        let message = run(read_message(&mut input)).unwrap();
        prop_assert_eq!((message.kind, message.body), (kind, body));
        prop_assert_eq!(input, &rest[..]);
    }

    #[test]
    fn server_texts_are_safe_and_short(body: Vec<u8>, long in 0_usize..5000) {
        let body = [b"SFATAL\0M", &body[..], &vec![b'x'; long]].concat();
        let shown = ServerMessage::from_body(&body).to_string();
        prop_assert!(!shown.chars().any(char::is_control));
        prop_assert!(shown.len() < 100_000);
    }
}
