//! Hostile servers that have a TLS handshake behind them, and hostile clients of the impostor: whatever they do, the
//! answer is typed and comes before the deadline.

use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::cluster::free_port;
use super::*;
use crate::dial::tls::{accept_any_client, provider};
use crate::dial::wire::{GSSENC_REQUEST, SSL_REQUEST};

/// Long enough for a handshake on a busy machine, short enough to wait for.
const PATIENCE: Duration = Duration::from_millis(1500);

const LET_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const READY: &[u8] = b"Z\0\0\0\x05I";

fn config(verifier: Arc<dyn rustls::server::danger::ClientCertVerifier>) -> Arc<rustls::ServerConfig> {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let key = provider().key_provider.load_private_key(key).unwrap();
    let certified = CertifiedKey::new(vec![certificate.der().clone()], key);
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)));
    Arc::new(config)
}

fn acceptor() -> TlsAcceptor {
    TlsAcceptor::from(config(WebPkiClientVerifier::no_client_auth()))
}

/// A server that shakes hands, reads the startup packet, and runs `script`; a client that logs in, and asks.
async fn within(
    acceptor: &TlsAcceptor,
    script: impl AsyncFnOnce(&mut TlsStream<TcpStream>),
) -> Result<Result<Rows, QueryFailure>, LoginFailure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        script(&mut stream).await;
        // Not closed in order, and not at once.
        let _ = stream.get_mut().0.read_to_end(&mut Vec::new()).await;
        std::future::pending::<()>().await;
    };
    let client = async {
        let stream = open(&Address::known("localhost", address), soon()).await.unwrap();
        let session = handshake(stream, &super::any(), soon()).await.unwrap();
        let password = secrecy::SecretString::from("secret");
        let credentials = Credentials::new("u", "d").with_password(&password);
        let mut session = login(session, &credentials, Deadline::after(PATIENCE)).await?;
        Ok(session.query("select 1", Deadline::after(PATIENCE)).await)
    };
    let begun = std::time::Instant::now();
    let outcome = tokio::select! {
        () = server => unreachable!(),
        outcome = client => outcome,
    };
    assert!(
        begun.elapsed() < Duration::from_secs(30),
        "took {:?}",
        begun.elapsed()
    );
    outcome
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> bool {
    stream.write_all(bytes).await.is_ok() && stream.flush().await.is_ok()
}

async fn for_ever(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    let many = bytes.repeat(8192 / bytes.len());
    while say(stream, &many).await {}
}

/// Says this once, and the next thing for ever.
async fn once_and_for_ever(
    acceptor: &TlsAcceptor,
    once: &[u8],
    for_ever_after: &[u8],
) -> Result<Result<Rows, QueryFailure>, LoginFailure> {
    within(acceptor, async |stream| {
        say(stream, once).await;
        for_ever(stream, for_ever_after).await;
    })
    .await
}

/// In the answer to the query, or already behind the login, if that came in the same read.
const fn is_cut_off(outcome: &Result<Result<Rows, QueryFailure>, LoginFailure>) -> bool {
    matches!(outcome, Ok(Err(_)) | Err(LoginFailure::Wire(_)))
}

#[test]
fn endless_answers_within_tls_are_cut_off() {
    let acceptor = acceptor();
    run(async {
        let let_in_and_ready = [LET_IN, READY].concat();
        // Before the login, and behind it, but before the session is up.
        for aside in [
            &b"N\0\0\0\x0dSNOTICE\0\0"[..],
            b"S\0\0\0\x08a\0b\0",
            b"E\0\0\0\x05\0",
        ] {
            for once in [&b""[..], LET_IN] {
                let outcome = once_and_for_ever(&acceptor, once, aside).await;
                assert!(outcome.is_err(), "{once:?} {aside:?}");
            }
        }
        let notices = once_and_for_ever(&acceptor, LET_IN, b"N\0\0\0\x0dSNOTICE\0\0").await;
        assert_eq!(notices.unwrap_err(), LoginFailure::Wire(WireError::Endless(64)));
        // In answer to a query: rows, notices, parameters, and messages of no length at all.
        for aside in [
            &b"D\0\0\0\x0c\0\x01\0\0\0\x02ab"[..],
            b"N\0\0\0\x0dSNOTICE\0\0",
            b"S\0\0\0\x08a\0b\0",
            b"I\0\0\0\x04",
            b"A\0\0\0\x0c\0\0\0\x01a\0b\0",
        ] {
            let outcome = once_and_for_ever(&acceptor, &let_in_and_ready, aside).await;
            assert!(is_cut_off(&outcome), "{aside:?}: {outcome:?}");
        }
        let long = once_and_for_ever(&acceptor, &let_in_and_ready, b"D\x7f\xff\xff\xff").await;
        assert!(is_cut_off(&long), "{long:?}");
    });
}

#[test]
fn a_server_that_falls_silent_or_half_closes_within_tls_is_waited_for_no_longer_than_said() {
    let acceptor = acceptor();
    run(async {
        let silent = within(&acceptor, async |_| {}).await;
        assert_eq!(silent.unwrap_err(), LoginFailure::Lost(Lost::TimedOut(PATIENCE)));
        // TLS's own goodbye, and the connection stays open.
        let half = within(&acceptor, async |stream| {
            stream.get_mut().1.send_close_notify();
            let _ = stream.flush().await;
        })
        .await;
        assert_eq!(half.unwrap_err(), LoginFailure::Lost(Lost::Closed));
        // No goodbye, but no more bytes: what came before it is cut off.
        let cut = within(&acceptor, async |stream| {
            say(stream, &LET_IN[..6]).await;
            let _ = stream.get_mut().0.shutdown().await;
        })
        .await;
        assert!(cut.is_err(), "{cut:?}");
        let drip = within(&acceptor, async |stream| {
            for byte in b"E\0\0\x20\0".iter().chain(std::iter::repeat(&b'x')) {
                if !say(stream, &[*byte]).await {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(drip.unwrap_err(), LoginFailure::Lost(Lost::TimedOut(PATIENCE)));
        // New keys, again and again, and never a word.
        let keys = within(&acceptor, async |stream| {
            while stream.get_mut().1.refresh_traffic_keys().is_ok() && stream.flush().await.is_ok() {}
        })
        .await;
        assert!(keys.is_err(), "{keys:?}");
        // Bytes that are no record, behind the handshake.
        let garbage = within(&acceptor, async |stream| {
            let _ = stream.get_mut().0.write_all(&[0x55; 4096]).await;
        })
        .await;
        assert!(garbage.is_err(), "{garbage:?}");
    });
}

/// Messages that look right, in any order, and bytes that do not.
fn conversation() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let message = (
        prop::sample::select(&b"RENSKZTDCIAXGHWdcf123nst"[..]),
        vec(proptest::arbitrary::any::<u8>(), 0..40),
        prop::sample::select(&[0_u32, 0, 0, 0, 0, 1, 1000, u32::MAX / 2][..]),
    )
        .prop_map(|(kind, body, lie)| {
            let length = u32::try_from(body.len() + 4).unwrap().wrapping_add(lie);
            [&[kind], &length.to_be_bytes()[..], &body].concat()
        });
    let known = prop::sample::select(
        &[
            LET_IN,
            READY,
            b"R\0\0\0\x08\0\0\0\x03",
            b"R\0\0\0\x0c\0\0\0\x05salt",
            b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0",
            b"R\0\0\0\x0c\0\0\0\x0br=x,",
            b"T\0\0\0\x1b\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
            b"C\0\0\0\x0dSELECT 1\0",
        ][..],
    )
    .prop_map(<[u8]>::to_vec);
    vec(
        prop_oneof![known, message, vec(proptest::arbitrary::any::<u8>(), 1..30)],
        0..8,
    )
}

#[test]
fn whatever_a_server_says_within_tls_the_outcome_is_typed() {
    let acceptor = acceptor();
    let cases = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    };
    let property = |parts: Vec<Vec<u8>>| {
        run(async {
            let _ = within(&acceptor, async |stream| {
                for part in &parts {
                    say(stream, part).await;
                }
                // Said and done: nobody need wait.
                let _ = stream.shutdown().await;
            })
            .await;
        });
        Ok(())
    };
    TestRunner::new(cases).run(&conversation(), property).unwrap();
}

fn plot(disguise: Disguise) -> Plot {
    Plot {
        asks_for_password: true,
        ..Plot::new(disguise, Duration::from_secs(2))
    }
}

async fn sends(address: SocketAddr, parts: &[Vec<u8>], in_tls: bool) {
    let answers = async |mut stream: Box<dyn Both>| {
        for part in parts {
            if !say(&mut stream, part).await {
                break;
            }
        }
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    };
    if in_tls {
        let mut stream = open(&Address::known("localhost", address), soon()).await.unwrap();
        assert_eq!(ssl_request(&mut stream, soon()).await, Ok(SslAnswer::Accepts));
        if let Ok(session) = handshake(stream, &super::any(), soon()).await {
            answers(Box::new(session)).await;
        }
    } else {
        answers(Box::new(TcpStream::connect(address).await.unwrap())).await;
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Both for T {}

/// Packets that a client might begin with, and bytes that it might not.
fn beginnings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    const KNOWN: [&[u8]; 14] = [
        &SSL_REQUEST,
        &GSSENC_REQUEST,
        b"\0\0\0\x13\0\x03\0\0user\0alice\0\0",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\0\0\0\0\0",
        b"p\0\0\0\x0bsecret\0",
        b"p\0\0\0\x04",
        b"Q\0\0\0\x0dselect 1\0",
        b"Q\x7f\xff\xff\xffx",
        b"P\0\0\0\x08\0\0\0\0",
        b"S\0\0\0\x04",
        b"X\0\0\0\x04",
        b"\x16\x03\x01\x02\0\x01",
        b"\0\0\x27\x10",
        b"\xff\xff\xff\xff",
    ];
    let known = prop::sample::select(&KNOWN[..]).prop_map(<[u8]>::to_vec);
    vec(
        prop_oneof![3 => known, 1 => vec(proptest::arbitrary::any::<u8>(), 1..40)],
        0..6,
    )
}

#[test]
fn whatever_a_client_says_the_impostor_goes_on() {
    let certificate = Disguise::Certificate(config(accept_any_client()));
    for disguise in [
        certificate,
        Disguise::Plaintext,
        Disguise::Wiretap,
        Disguise::Borrowed,
    ] {
        run(async {
            // Nobody is behind it.
            let server = Address::known("localhost", (Ipv4Addr::LOCALHOST, free_port()).into());
            let mut impostor = Impostor::listen(plot(disguise.clone()), &server).await.unwrap();
            let address = impostor.address();
            let mut runner = TestRunner::deterministic();
            for case in 0..60 {
                let parts = beginnings().new_tree(&mut runner).unwrap().current();
                let in_tls = case % 3 == 0 && matches!(disguise, Disguise::Certificate(_));
                sends(address, &parts, in_tls).await;
                while let Ok(Some(_)) = Deadline::after(Duration::ZERO).bound(impostor.next()).await {}
            }
            // It still takes a client that behaves; a wiretap, for lack of a server, says that it has come.
            let begin = b"\0\0\0\x13\0\x03\0\0user\0alice\0\0".to_vec();
            sends(address, &[begin], false).await;
            let heard = impostor.finish(soon()).await;
            let is_seen = heard.iter().any(|heard| match &heard.what {
                Overheard::Startup { user, .. } => user == "alice",
                Overheard::Connected => matches!(disguise, Disguise::Wiretap),
                _ => false,
            });
            assert!(is_seen, "{disguise:?}: {heard:?}");
        });
    }
}
