//! This room against real servers (`real_*`) and against scripted hostile ones (`hostile`).

mod cluster;
mod hostile;
mod inside_tls;
mod openssl;
mod real_login;
mod real_probes;
mod real_tls;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use cluster::Cluster;

/// Generous: the machine may be busy.
fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// A runtime as the program has it.
fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// Anything goes, with SNI for localhost.
fn any() -> TlsSettings {
    TlsSettings::new(Arc::new(NothingVerified)).with_sni_for("localhost")
}

async fn dial(cluster: &Cluster) -> Stream {
    open(&cluster.address(), soon()).await.unwrap()
}

/// A stream whose server has answered `S`.
async fn accepted(cluster: &Cluster) -> Stream {
    let mut stream = dial(cluster).await;
    assert_eq!(ssl_request(&mut stream, soon()).await, Ok(SslAnswer::Accepts));
    stream
}

async fn secured(cluster: &Cluster, settings: &TlsSettings) -> Result<TlsSession, HandshakeFailure> {
    handshake(accepted(cluster).await, settings, soon()).await
}
