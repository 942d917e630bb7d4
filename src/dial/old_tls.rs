//! A TLS 1.1 hello, made by hand since rustls speaks nothing that old: does a server still take it?

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::words::printable_bytes;
use super::{Alert, Deadline, Lost, Stream};

/// What a server answers to a TLS 1.1 `ClientHello`. What it means is for the caller to judge: measured with
/// OpenSSL, alert 70 is a server whose settings forbid the version, 80 one whose settings allow it and
/// whose security level does not, and 40 proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTls {
    /// It took the offer, with this protocol version on the wire (0x0302 is TLS 1.1, 0x0301 TLS 1.0).
    ServerHello(u16),
    /// It refused with an alert.
    Alert(Alert),
    /// It closed the connection without a word.
    Closed,
    /// It reset the connection.
    Reset,
    /// It answered something that is not TLS; the first bytes, made printable.
    Garbage(String),
}

/// Sends the hello (after an accepted `SSLRequest`, or first thing for direct TLS) and reads the answer's
/// first record header and a few bytes.
pub async fn old_tls_hello(mut stream: Stream, deadline: Deadline) -> Result<OldTls, Lost> {
    let mut random = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Lost::Other("the system gave no random bytes".to_owned()))?;
    let hello = client_hello(&random);
    let outcome = deadline
        .bound(async {
            stream.write_all(&hello).await?;
            read_answer(&mut stream).await
        })
        .await?;
    match outcome {
        Ok(answer) => Ok(answer),
        Err(Lost::Closed) => Ok(OldTls::Closed),
        Err(Lost::Reset) => Ok(OldTls::Reset),
        Err(lost) => Err(lost),
    }
}

async fn read_answer(stream: &mut Stream) -> Result<OldTls, Lost> {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const SERVER_HELLO: u8 = 2;

    let mut record = [0_u8; 5];
    stream.read_exact(&mut record[..1]).await?;
    if !matches!(record[0], ALERT | HANDSHAKE) {
        return Ok(OldTls::Garbage(printable_bytes(&record[..1], 8)));
    }
    stream.read_exact(&mut record[1..]).await?;
    let length = u16::from_be_bytes([record[3], record[4]]);
    match record {
        [ALERT, 3, ..] if length == 2 => {
            let mut alert = [0_u8; 2];
            stream.read_exact(&mut alert).await?;
            Ok(OldTls::Alert(Alert(alert[1])))
        }
        [HANDSHAKE, 3, ..] if length >= 6 => {
            let mut start = [0_u8; 6];
            stream.read_exact(&mut start).await?;
            match start {
                [SERVER_HELLO, _, _, _, major, minor] => {
                    Ok(OldTls::ServerHello(u16::from_be_bytes([major, minor])))
                }
                _ => Ok(OldTls::Garbage(printable_bytes(&start, 8))),
            }
        }
        _ => Ok(OldTls::Garbage(printable_bytes(&record, 8))),
    }
}

/// A `ClientHello` of TLS 1.1 (RFC 4346 section 7.4.1.2) that a willing server can accept whatever its key:
/// CBC-SHA suites for ECDSA and RSA keys, with the curves (RFC 8422) that ECDHE needs.
fn client_hello(random: &[u8; 32]) -> Vec<u8> {
    const TLS_1_1: [u8; 2] = [3, 2];
    const SUITES: [u16; 14] = [
        0xc00a, // ECDHE-ECDSA-AES256-SHA
        0xc009, // ECDHE-ECDSA-AES128-SHA
        0xc014, // ECDHE-RSA-AES256-SHA
        0xc013, // ECDHE-RSA-AES128-SHA
        0x0039, // DHE-RSA-AES256-SHA
        0x0033, // DHE-RSA-AES128-SHA
        0x0035, // AES256-SHA
        0x002f, // AES128-SHA
        0x0088, // DHE-RSA-CAMELLIA256-SHA
        0x0084, // CAMELLIA256-SHA
        0xc008, // ECDHE-ECDSA-DES-CBC3-SHA
        0xc012, // ECDHE-RSA-DES-CBC3-SHA
        0x000a, // DES-CBC3-SHA
        0x00ff, // TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746): OpenSSL 3 wants it
    ];
    const EXTENSIONS: [u8; 22] = [
        0, 10, 0, 10, 0, 8, 0, 29, 0, 23, 0, 24, 0, 25, // supported_groups: X25519, P-256, P-384, P-521
        0, 11, 0, 4, 3, 0, 1, 2, // ec_point_formats
    ];

    let suites: Vec<u8> = SUITES.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    let mut body = Vec::with_capacity(128);
    body.extend(TLS_1_1);
    body.extend(random);
    body.push(0); // no session to resume
    body.extend(length16(&suites));
    body.extend(suites);
    body.extend([1, 0]); // no compression
    body.extend(length16(&EXTENSIONS));
    body.extend(EXTENSIONS);

    let mut handshake = vec![1, 0]; // client_hello, and the first of the length's three bytes
    handshake.extend(length16(&body));
    handshake.extend(body);

    // The record layer says TLS 1.0, as every client does for old servers' sake.
    let mut record = vec![22, 3, 1];
    record.extend(length16(&handshake));
    record.extend(handshake);
    record
}

/// The length of what is always short here.
fn length16(bytes: &[u8]) -> [u8; 2] {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes()
}
