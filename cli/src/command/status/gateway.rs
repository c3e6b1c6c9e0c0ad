//! What a gateway says of itself.

use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most bytes of an answer that are read.
const MOST_BYTES: u64 = 1 << 20;

#[derive(Serialize)]
pub(super) struct Gateway {
    pub(super) is_ready: bool,
    /// Why it is not ready.
    pub(super) reason: String,
    /// Events in its queue.
    pub(super) pending: u64,
}

impl Gateway {
    /// Asks the gateway at this address; `None` if none answers.
    pub(super) async fn ask(address: &str) -> Option<Self> {
        let (_, metrics) = get(address, "/metrics").await?;
        let (status, ready) = get(address, "/readyz").await?;
        Some(Gateway {
            is_ready: status == 200,
            reason: ready.trim().to_owned(),
            pending: metric(&metrics, "eventlog_events_pending").unwrap_or(0.0) as u64,
        })
    }
}

/// Returns the value of a metric without labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
    text.lines().find_map(value)
}

/// Returns status and body of an answer.
async fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let answer = timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.ok()?;
        let mut text = Vec::new();
        stream.take(MOST_BYTES).read_to_end(&mut text).await.ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    });
    let answer = answer.await.ok()??;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}
