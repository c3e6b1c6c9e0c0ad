//! One request against receivers of every kind, over real sockets.

mod addresses;
mod hostile;
mod kept;
mod libraries;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::address::Network;
use super::send::{Message, Outcome, Sender, SenderOptions};
use super::signature::Secret;

const BODY: &[u8] = br#"{"type":"signup","timestamp":"2026-01-01T00:00:00Z","data":{}}"#;
const MESSAGE: Message<'static> = Message { id: "evt_1_2", timestamp: 1_700_000_000, body: BODY };
/// Long enough for any machine, where the receiver is not meant to be cut off.
const LONG: Duration = Duration::from_secs(120);

fn secret() -> Secret {
    Secret::of_key(&[1; 32]).expect("32 bytes")
}

fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().map(|text| text.parse().expect("a network")).collect()
}

fn sender(time_limit: Duration) -> Sender {
    let allow_private = networks(&["127.0.0.0/8"]);
    Sender::new(SenderOptions { allow_private, time_limit }).expect("a sender")
}

/// Sends one message.
async fn send(sender: &Sender, url: &str) -> Outcome {
    match sender.endpoint(url) {
        Ok(endpoint) => sender.send(&endpoint, &[secret()], &MESSAGE).await,
        Err(reason) => Outcome::Failed { reason },
    }
}

#[track_caller]
fn reason(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Failed { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// A receiver that does with each connection what a test wants.
struct Receiver {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The requests that `take_request` read.
    requests: Arc<Mutex<Vec<String>>>,
}

/// What a receiver knows about one connection.
struct Visit {
    stream: TcpStream,
    /// 0 for the receiver's first connection.
    number: usize,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start<F: Future<Output = io::Result<()>> + Send + 'static>(
        address: &str,
        serve: impl Fn(Visit) -> F + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::new(AtomicUsize::new(0));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (count, all) = (Arc::clone(&connections), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let number = count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(Visit { stream, number, requests: Arc::clone(&all) }));
            }
        });
        Self { address, connections, requests }
    }

    /// Answers each request on each connection with the same bytes.
    async fn answering(answer: &'static str) -> Self {
        Self::start("127.0.0.1:0", move |mut visit| async move {
            while visit.take_request().await? {
                visit.stream.write_all(answer.as_bytes()).await?;
            }
            Ok(())
        })
        .await
    }

    fn url(&self) -> String {
        format!("http://{}/hook?token=private", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

impl Visit {
    /// Reads a request. Returns false at the connection's end.
    async fn take_request(&mut self) -> io::Result<bool> {
        let mut request = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&request);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                if Some(body.len()) == length.map(|length| length.parse().expect("a number")) {
                    self.requests.lock().expect("not poisoned").push(text.into_owned());
                    return Ok(true);
                }
            }
            if self.stream.read_buf(&mut request).await? == 0 {
                return Ok(false);
            }
        }
    }

    /// Keeps the connection open and silent until the sender closes it.
    async fn wait_for_the_end(&mut self) -> io::Result<()> {
        let mut rest = [0; 1024];
        while self.stream.read(&mut rest).await? > 0 {}
        Ok(())
    }
}
