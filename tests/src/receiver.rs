//! A receiver of webhooks: a plain HTTP server that answers as a test wants, and keeps what it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::Value;

/// A request that arrived.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The path, which tells webhooks apart.
    pub path: String,
    /// Its headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: String,
}

impl Request {
    /// Returns a header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// Returns the body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body of JSON")
    }

    /// Returns the id of the event.
    pub fn event_id(&self) -> i64 {
        let id = self.header("webhook-id").rsplit('_').next().unwrap_or_default();
        id.parse().expect("an id")
    }
}

/// How a receiver answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// With a status.
    Status(u16),
    /// With a status, and a header with its line's end.
    With(u16, String),
    /// Not at all, until the receiver ends.
    Hang,
    /// By closing the connection.
    Close,
    /// With a byte a second.
    Drip,
}

/// What to answer to a request.
type Answers = dyn Fn(&Request) -> Answer + Send + Sync;

struct Shared {
    answer: Mutex<Arc<Answers>>,
    requests: Mutex<Vec<Request>>,
    arrived: Condvar,
    count: AtomicUsize,
    is_over: AtomicBool,
    /// False: requests are counted only.
    keeps: bool,
}

/// A receiver that listens until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receiver at {}", self.address)
    }
}

impl Receiver {
    /// Starts one that accepts everything.
    pub fn accepting() -> Self {
        Self::start(|_| Answer::Status(204))
    }

    /// Starts one that answers like this, and counts requests without keeping them.
    pub fn unkept(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(false, answer)
    }

    /// Starts one that answers like this.
    pub fn start(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        Self::with(true, answer)
    }

    fn with(keeps: bool, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared {
            answer: Mutex::new(Arc::new(answer)),
            requests: Mutex::default(),
            arrived: Condvar::new(),
            count: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            keeps,
        });
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.is_over.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let shared = Arc::clone(&of_thread);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Receiver { address, shared }
    }

    /// Returns its URL with this path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Answers differently from now on.
    pub fn answer(&self, answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(answer);
    }

    /// Returns how many requests came.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::Relaxed)
    }

    /// Returns all requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for so many requests, and returns them.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        self.wait_until(|requests| requests.len() >= count)
    }

    /// Waits until the requests are as they should be, and returns them.
    #[track_caller]
    pub fn wait_until(&self, is_enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let requests = self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = Duration::from_secs(120);
        let (requests, timeout) = self
            .shared
            .arrived
            .wait_timeout_while(requests, patience, |requests| !is_enough(requests))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{} requests came: {:?}", requests.len(), requests.last());
        requests.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}

/// Serves the requests of a connection.
fn serve(stream: TcpStream, shared: &Shared) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let request = read(&mut reader)?;
        shared.count.fetch_add(1, Ordering::Relaxed);
        let answer = Arc::clone(&shared.answer.lock().unwrap_or_else(PoisonError::into_inner));
        let answer = answer(&request);
        if shared.keeps {
            shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
            shared.arrived.notify_all();
        }
        match answer {
            Answer::Status(status) => respond(&mut writer, status, "")?,
            Answer::With(status, header) => respond(&mut writer, status, &header)?,
            Answer::Close => return None,
            Answer::Hang => return wait(shared),
            Answer::Drip => {
                for byte in "HTTP/1.1 200 OK\r\nx-drip: ".bytes().chain(std::iter::repeat(b'.')) {
                    writer.write_all(&[byte]).ok()?;
                    thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }
}

fn wait(shared: &Shared) -> Option<()> {
    while !shared.is_over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
    None
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    let mut request = Request { path, ..Request::default() };
    let mut length = 0;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
        if name == "content-length" {
            length = value.parse().ok()?;
        }
        request.headers.push((name, value));
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

fn respond(writer: &mut TcpStream, status: u16, header: &str) -> Option<()> {
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n{header}\r\n");
    writer.write_all(answer.as_bytes()).ok()
}
