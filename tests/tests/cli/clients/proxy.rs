//! The network between a client and the gateway, which loses the gateway in the middle of an answer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Far beyond what the slowest machine takes.
const LONG: Duration = Duration::from_secs(120);

/// Listens on a port of its own.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    state: Arc<State>,
    lost: Receiver<()>,
}

#[derive(Debug)]
struct State {
    inside: Mutex<Inside>,
    changed: Condvar,
    lost: Sender<()>,
}

#[derive(Debug)]
struct Inside {
    /// The gateway, while there is one.
    to: Option<SocketAddr>,
    open: Vec<TcpStream>,
    answers: usize,
    /// No answer comes through from this one on.
    lose_from: usize,
    /// Connections that found no gateway.
    refused: usize,
    is_gzip: bool,
}

impl Proxy {
    /// Forwards to a gateway, until it has answered so often: the next answer is lost.
    pub(super) fn before(gateway: SocketAddr, lose_from: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (sender, lost) = channel();
        let inside = Inside {
            to: Some(gateway),
            open: Vec::new(),
            answers: 0,
            lose_from,
            refused: 0,
            is_gzip: false,
        };
        let state = State { inside: Mutex::new(inside), changed: Condvar::new(), lost: sender };
        let state = Arc::new(state);
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || state.serve(client));
            }
        });
        Proxy { address, state, lost }
    }

    /// Waits until an answer is lost.
    pub(super) fn wait_until_an_answer_is_lost(&self) {
        self.lost.recv_timeout(LONG).expect("the client asks as often");
    }

    /// Cuts all connections, and waits until the client has found that there is no gateway.
    pub(super) fn cut_until_it_is_noticed(&self) {
        let mut inside = self.state.inside.lock().expect("no panic");
        inside.to = None;
        for stream in inside.open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        let unseen = |inside: &mut Inside| inside.refused == 0;
        let waited = self.state.changed.wait_timeout_while(inside, LONG, unseen);
        assert!(!waited.expect("no panic").1.timed_out(), "the client never came again");
    }

    /// Forwards to this gateway from now on.
    pub(super) fn forward_to(&self, gateway: SocketAddr) {
        let mut inside = self.state.inside.lock().expect("no panic");
        inside.to = Some(gateway);
        inside.lose_from = usize::MAX;
    }

    /// Returns true if the client compressed a request.
    pub(super) fn is_gzip(&self) -> bool {
        self.state.inside.lock().expect("no panic").is_gzip
    }
}

impl State {
    fn serve(self: Arc<Self>, client: TcpStream) {
        let server = {
            let mut inside = self.inside.lock().expect("no panic");
            let Some(server) = inside.to.and_then(|to| TcpStream::connect(to).ok()) else {
                inside.refused += 1;
                self.changed.notify_all();
                return;
            };
            inside.open.push(client.try_clone().expect("a socket"));
            server
        };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let (mut from, mut to) =
            (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
        let state = Arc::clone(&self);
        thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while let Ok(len @ 1..) = from.read(&mut buffer) {
                state.look_at_request(&buffer[..len]);
                if to.write_all(&buffer[..len]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        let (mut from, mut to) = (server, client);
        let mut buffer = [0; 1 << 16];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if self.loses(&buffer[..len]) || to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }

    fn look_at_request(&self, bytes: &[u8]) {
        let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4096)]).to_ascii_lowercase();
        // A browser's client does not say it.
        let is_packed = || bytes.windows(6).any(|window| window == b"\r\n\r\n\x1f\x8b");
        if head.contains("content-encoding: gzip") || is_packed() {
            self.inside.lock().expect("no panic").is_gzip = true;
        }
    }

    fn loses(&self, answer: &[u8]) -> bool {
        let mut inside = self.inside.lock().expect("no panic");
        inside.answers += usize::from(answer.starts_with(b"HTTP/1.1 "));
        let is_lost = inside.answers > inside.lose_from;
        if is_lost {
            let _ = self.lost.send(());
        }
        is_lost
    }
}
