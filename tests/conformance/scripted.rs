//! Servers that say what no PostgreSQL says, for the causes that no PostgreSQL brings about.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// What such a server does with a connection.
pub type Script = fn(&mut TcpStream);

/// The cause that each is to be called.
pub const SCRIPTS: &[(&str, Script)] = &[
    ("stuffed-bytes", |stream| {
        read(stream);
        write(stream, b"Sstuffed");
        // libpq looks at it once the handshake is over: it is heard out, so that it meets an end and no reset.
        read(stream);
    }),
    ("not-postgres", |stream| {
        read(stream);
        write(stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
    }),
    ("server-error-before-tls", |stream| {
        read(stream);
        write(stream, &message(b'E', b"SFATAL\0C53000\0Mno memory\0\0"));
    }),
    ("connection-lost", |stream| {
        read(stream);
    }),
    ("timeout", |stream| {
        read(stream);
        // Until the other side gives up.
        read(stream);
    }),
    ("tls-broken", |stream| {
        read(stream);
        write(stream, b"S");
        read(stream);
        write(stream, b"this is no TLS record at all");
    }),
    ("server-cert-no-certificate", |stream| {
        read(stream);
        write(stream, b"S");
        let tls = rustls::ServerConnection::new(bare_faced()).unwrap();
        // The client ends it: that is its answer.
        let _ = rustls::StreamOwned::new(tls, stream).flush();
    }),
    ("protocol", |stream| {
        read(stream);
        write(stream, &message(b'T', b"\0\0"));
    }),
    ("channel-binding-stripped", |stream| {
        read(stream);
        write(
            stream,
            &message(b'R', b"\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"),
        );
    }),
    // An iteration count of 0.
    ("protocol", |stream| {
        read(stream);
        write(stream, &message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"));
        let first = read(stream);
        let first = String::from_utf8_lossy(&first).into_owned();
        let nonce = first.rsplit("r=").next().unwrap_or_default();
        let challenge = format!("\0\0\0\x0br={nonce}server,s=c2FsdHNhbHRzYWx0c2FsdA==,i=0");
        write(stream, &message(b'R', challenge.as_bytes()));
        read(stream);
    }),
    ("server-unproven", |stream| {
        read(stream);
        write(stream, &message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"));
        // The client's nonce ends its first message; the server's begins with it.
        let first = read(stream);
        let first = String::from_utf8_lossy(&first).into_owned();
        let nonce = first.rsplit("r=").next().unwrap_or_default();
        let challenge = format!("\0\0\0\x0br={nonce}server,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096");
        write(stream, &message(b'R', challenge.as_bytes()));
        read(stream);
        write(
            stream,
            &message(b'R', b"\0\0\0\x0cv=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        );
        read(stream);
    }),
];

/// TLS 1.3 with an empty list of certificates, which no server of OpenSSL's begins.
fn bare_faced() -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rcgen::KeyPair::generate().unwrap();
    let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let nobody = SingleCertAndKey::from(CertifiedKey::new(Vec::new(), key));
    Arc::new(
        rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(nobody)),
    )
}

/// Serves every connection by that script, for as long as the tests run; its port.
pub fn serve(script: Script) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                script(&mut stream);
            });
        }
    });
    port
}

/// What has arrived, however much that is.
fn read(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    let length = stream.read(&mut bytes).unwrap_or(0);
    bytes.truncate(length);
    bytes
}

fn write(stream: &mut TcpStream, bytes: &[u8]) {
    // The client may be gone already: that is its answer.
    let _ = stream.write_all(bytes);
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], &length[..], body].concat()
}
