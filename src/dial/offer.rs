//! OpenSSL's own offer, made by hand: what would a server take of all that libpq offers and rustls does not have?
//!
//! Asked only after a handshake of ours has found nothing in common with the server: if the server takes this
//! offer, psql would shake hands where we cannot; if it does not, psql would be refused just the same.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::words::printable_bytes;
use super::{Alert, Deadline, Lost, Stream};

/// What a server answers to OpenSSL's offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offer {
    /// It took it, with this cipher suite, as OpenSSL writes it.
    Taken(String),
    /// It refused with an alert.
    Refused(Alert),
    /// It closed or reset the connection without a word.
    Closed,
    /// It answered something that is not TLS; the first bytes, made printable.
    Garbage(String),
}

/// The suites of OpenSSL's `DEFAULT` at security level 2, in its order, by the names of `openssl-ciphers(1)`.
const SUITES: [(u16, &str); 30] = [
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384"),
    (0x009f, "DHE-RSA-AES256-GCM-SHA384"),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"),
    (0xccaa, "DHE-RSA-CHACHA20-POLY1305"),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"),
    (0x009e, "DHE-RSA-AES128-GCM-SHA256"),
    (0xc024, "ECDHE-ECDSA-AES256-SHA384"),
    (0xc028, "ECDHE-RSA-AES256-SHA384"),
    (0x006b, "DHE-RSA-AES256-SHA256"),
    (0xc023, "ECDHE-ECDSA-AES128-SHA256"),
    (0xc027, "ECDHE-RSA-AES128-SHA256"),
    (0x0067, "DHE-RSA-AES128-SHA256"),
    (0xc00a, "ECDHE-ECDSA-AES256-SHA"),
    (0xc014, "ECDHE-RSA-AES256-SHA"),
    (0x0039, "DHE-RSA-AES256-SHA"),
    (0xc009, "ECDHE-ECDSA-AES128-SHA"),
    (0xc013, "ECDHE-RSA-AES128-SHA"),
    (0x0033, "DHE-RSA-AES128-SHA"),
    (0x009d, "AES256-GCM-SHA384"),
    (0x009c, "AES128-GCM-SHA256"),
    (0x003d, "AES256-SHA256"),
    (0x003c, "AES128-SHA256"),
    (0x0035, "AES256-SHA"),
    (0x002f, "AES128-SHA"),
];

/// X25519, P-256, X448, P-521, P-384 and the finite fields of RFC 7919.
const GROUPS: [u16; 10] = [
    0x001d, 0x0017, 0x001e, 0x0019, 0x0018, 0x0100, 0x0101, 0x0102, 0x0103, 0x0104,
];

/// The signature schemes that security level 2 leaves.
const SCHEMES: [u16; 17] = [
    0x0403, 0x0503, 0x0603, 0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501,
    0x0601, 0x0303, 0x0301, 0x0302,
];

/// Sends the hello (after an accepted `SSLRequest`, or first thing for direct TLS) and reads the first answer. The flags
/// say which versions are offered.
pub async fn openssl_offer(
    mut stream: Stream,
    tls12: bool,
    tls13: bool,
    deadline: Deadline,
) -> Result<Offer, Lost> {
    let mut random = [0_u8; 64];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| Lost::Other("the system gave no random bytes".to_owned()))?;
    let hello = client_hello(&random, tls12, tls13);
    let outcome = deadline
        .bound(async {
            stream.write_all(&hello).await?;
            read_answer(&mut stream).await
        })
        .await?;
    match outcome {
        Err(Lost::Closed | Lost::Reset) => Ok(Offer::Closed),
        other => other,
    }
}

async fn read_answer(stream: &mut Stream) -> Result<Offer, Lost> {
    const ALERT: u8 = 21;
    const HANDSHAKE: u8 = 22;
    const SERVER_HELLO: u8 = 2;
    /// The header of the message, version, random, and the length of the session's name.
    const START: usize = 4 + 2 + 32 + 1;

    let mut record = [0_u8; 5];
    stream.read_exact(&mut record).await?;
    let length = usize::from(u16::from_be_bytes([record[3], record[4]]));
    match record {
        [ALERT, 3, ..] if length == 2 => {
            let mut alert = [0_u8; 2];
            stream.read_exact(&mut alert).await?;
            Ok(Offer::Refused(Alert(alert[1])))
        }
        [HANDSHAKE, 3, ..] if length >= START + 2 => {
            let mut hello = vec![0_u8; length];
            stream.read_exact(&mut hello).await?;
            let suite = (hello[0] == SERVER_HELLO)
                .then(|| hello.get(START + usize::from(hello[START - 1])..)?.first_chunk())
                .flatten();
            Ok(match suite {
                Some(suite) => Offer::Taken(name(u16::from_be_bytes(*suite))),
                None => Offer::Garbage(printable_bytes(&hello[..4], 8)),
            })
        }
        _ => Ok(Offer::Garbage(printable_bytes(&record, 8))),
    }
}

fn name(suite: u16) -> String {
    SUITES.iter().find(|(number, _)| *number == suite).map_or_else(
        || format!("cipher suite {suite:#06x}"),
        |(_, name)| (*name).to_owned(),
    )
}

/// Whether we speak a suite of this name ourselves.
#[must_use]
pub fn speaks(suite: &str) -> bool {
    let ours = super::tls::provider();
    let is_ours = |number: u16| {
        ours.cipher_suites
            .iter()
            .any(|ours| u16::from(ours.suite()) == number)
    };
    SUITES
        .iter()
        .any(|(number, name)| *name == suite && is_ours(*number))
}

/// A `ClientHello` (RFC 8446 section 4.1.2) with everything that OpenSSL 3 offers.
fn client_hello(random: &[u8; 64], tls12: bool, tls13: bool) -> Vec<u8> {
    let numbers = |numbers: &[u16]| -> Vec<u8> { numbers.iter().flat_map(|n| n.to_be_bytes()).collect() };
    let suites: Vec<u16> = SUITES
        .iter()
        .map(|(number, _)| *number)
        .filter(|number| if number >> 8 == 0x13 { tls13 } else { tls12 })
        .chain([0x00ff]) // TLS_EMPTY_RENEGOTIATION_INFO_SCSV (RFC 5746)
        .collect();
    let versions: Vec<u16> = [(tls13, 0x0304), (tls12, 0x0303)]
        .into_iter()
        .filter_map(|(offered, version)| offered.then_some(version))
        .collect();

    let mut extensions = Vec::new();
    let mut extension = |number: u16, content: &[u8]| {
        extensions.extend(number.to_be_bytes());
        extensions.extend(with_length(content));
    };
    extension(10, &with_length(&numbers(&GROUPS))); // supported_groups
    extension(11, &[1, 0]); // ec_point_formats: uncompressed
    extension(13, &with_length(&numbers(&SCHEMES))); // signature_algorithms
    extension(16, b"\0\x0b\x0apostgresql"); // ALPN
    extension(23, &[]); // extended_master_secret
    let versions = numbers(&versions);
    extension(
        43,
        &[&[u8::try_from(versions.len()).unwrap_or(0)], &versions[..]].concat(),
    ); // supported_versions
    extension(45, &[1, 1]); // psk_key_exchange_modes
    // key_share: any 32 bytes are a public key of X25519. Nothing is ever agreed on with it.
    extension(51, &with_length(&[&[0, 0x1d, 0, 32], &random[32..]].concat()));

    let mut body = vec![3, 3];
    body.extend(&random[..32]);
    body.push(0); // no session to resume
    body.extend(with_length(&numbers(&suites)));
    body.extend([1, 0]); // no compression
    body.extend(with_length(&extensions));

    let mut handshake = vec![1, 0]; // client_hello, and the first of the length's three bytes
    handshake.extend(with_length(&body));
    let mut record = vec![22, 3, 1];
    record.extend(with_length(&handshake));
    record
}

/// What is always short here, with its length in two bytes in front.
fn with_length(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes();
    [&length[..], bytes].concat()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;
    use std::time::Duration;

    use rustls::CipherSuite;
    use tokio::net::TcpListener;

    use super::*;
    use crate::dial::tls::{cipher_name, provider};
    use crate::dial::{Address, open};

    /// `openssl ciphers -V`: numbers and names of every suite that it knows.
    fn by_openssl(list: &str) -> Vec<(u16, String)> {
        let listed = Command::new("openssl")
            .args(["ciphers", "-V", "-s", list])
            .output()
            .unwrap();
        assert!(listed.status.success(), "{listed:?}");
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            let (high, low) = words.next()?.split_once(',')?;
            let byte = |hex: &str| u8::from_str_radix(hex.strip_prefix("0x")?, 16).ok();
            let number = u16::from_be_bytes([byte(high)?, byte(low)?]);
            Some((number, words.nth(1)?.to_owned()))
        };
        String::from_utf8(listed.stdout)
            .unwrap()
            .lines()
            .filter_map(line)
            .collect()
    }

    #[test]
    fn we_offer_what_openssl_offers_by_default_in_its_order() {
        let ours: Vec<_> = SUITES
            .iter()
            .map(|(number, name)| (*number, (*name).to_owned()))
            .collect();
        assert_eq!(ours, by_openssl("DEFAULT@SECLEVEL=2"));
    }

    #[test]
    fn what_is_agreed_on_is_named_as_openssl_names_it() {
        let all: BTreeMap<_, _> = by_openssl("ALL:COMPLEMENTOFALL@SECLEVEL=0").into_iter().collect();
        for suite in &provider().cipher_suites {
            let known = all.get(&u16::from(suite.suite())).map(String::as_str);
            assert_eq!(known, Some(cipher_name(suite.suite())));
        }
        assert_eq!(
            name(u16::from(CipherSuite::TLS13_AES_128_GCM_SHA256)),
            "TLS_AES_128_GCM_SHA256"
        );
        assert_eq!(name(0x1399), "cipher suite 0x1399");
    }

    /// RFC 8446 section 4.1.2: every length is that of what follows, and only what is allowed is offered.
    #[test]
    fn the_hello_is_well_formed_and_offers_only_these_versions() {
        let two = |bytes: &[u8]| usize::from(u16::from_be_bytes(*bytes.first_chunk().unwrap()));
        for (tls12, tls13) in [(true, true), (true, false), (false, true)] {
            let hello = client_hello(&[7; 64], tls12, tls13);
            assert_eq!(
                (&hello[..3], two(&hello[3..])),
                (&[22, 3, 1][..], hello.len() - 5)
            );
            assert_eq!((&hello[5..7], two(&hello[7..])), (&[1, 0][..], hello.len() - 9));
            let suites = two(&hello[44..]);
            let offered: Vec<_> = hello[46..46 + suites].chunks(2).map(two).collect();
            assert_eq!(offered.iter().any(|suite| suite >> 8 == 0x13), tls13);
            assert_eq!(offered.iter().any(|suite| suite >> 8 == 0xc0), tls12);
            let mut rest = &hello[46 + suites + 2..];
            assert_eq!(two(rest), rest.len() - 2);
            rest = &rest[2..];
            let mut extensions = BTreeMap::new();
            while !rest.is_empty() {
                let (kind, length) = (two(rest), two(&rest[2..]));
                extensions.insert(kind, &rest[4..4 + length]);
                rest = &rest[4 + length..];
            }
            let versions: &[u8] = match (tls12, tls13) {
                (true, true) => &[4, 3, 4, 3, 3],
                (true, false) => &[2, 3, 3],
                _ => &[2, 3, 4],
            };
            assert_eq!(extensions[&43], versions);
            assert_eq!(extensions[&16], b"\0\x0b\x0apostgresql");
        }
    }

    /// What a server that says this, and closes, is taken for.
    async fn answer(said: Vec<u8>) -> Result<Offer, Lost> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::known("localhost", listener.local_addr().unwrap());
        let deadline = Deadline::after(Duration::from_secs(20));
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            stream.write_all(&said).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = stream.read_to_end(&mut Vec::new()).await;
        };
        let client = async {
            let stream = open(&address, deadline).await.unwrap();
            openssl_offer(stream, true, true, deadline).await
        };
        tokio::join!(server, client).1
    }

    fn server_hello(session: &[u8], suite: u16) -> Vec<u8> {
        let mut message = vec![2, 0, 0, 0, 3, 3];
        message.extend([9; 32]);
        message.push(u8::try_from(session.len()).unwrap());
        message.extend(session);
        message.extend(suite.to_be_bytes());
        [&[22, 3, 3][..], &with_length(&message)].concat()
    }

    #[tokio::test]
    async fn the_first_answer_decides_and_nothing_else_is_taken_for_one() {
        let taken = |name: &str| Ok(Offer::Taken(name.to_owned()));
        assert_eq!(
            answer(server_hello(&[], 0xc013)).await,
            taken("ECDHE-RSA-AES128-SHA")
        );
        assert_eq!(
            answer(server_hello(&[1; 32], 0x1301)).await,
            taken("TLS_AES_128_GCM_SHA256")
        );
        assert_eq!(
            answer(vec![21, 3, 3, 0, 2, 2, 40]).await,
            Ok(Offer::Refused(Alert(40)))
        );
        assert_eq!(answer(Vec::new()).await, Ok(Offer::Closed));
        // Half a record, a record too short to be an answer, a session name longer than the record, another message.
        assert_eq!(answer(vec![22, 3, 3, 0, 80, 2, 0]).await, Ok(Offer::Closed));
        let mut overlong = server_hello(&[], 0xc013);
        overlong[5 + 38] = 200;
        let mut other = server_hello(&[], 0xc013);
        other[5] = 4;
        for garbage in [
            vec![22, 3, 3, 0, 1, 2],
            b"HTTP/1.1 400 Bad Request".to_vec(),
            overlong,
            other,
        ] {
            assert!(matches!(answer(garbage).await, Ok(Offer::Garbage(_))));
        }
    }
}
