//! A network that misbehaves when it is told to: between a writer and the socket of a server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

use eventlog_tests::Cluster;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// What comes goes on.
    Forward,
    /// The server hears the client, and the client nothing.
    LoseAnswers,
    /// New connections end at once.
    Refuse,
}

/// Listens on a port of its own.
pub(crate) struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    server: PathBuf,
    mode: Mutex<Mode>,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn before(cluster: &Cluster) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server: cluster.folder().join(".s.PGSQL.5432"),
            mode: Mutex::new(Mode::Forward),
            open: Mutex::new(Vec::new()),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                thread::spawn(move || state.serve(client));
            }
        });
        Proxy { port, state }
    }

    pub(crate) fn conninfo(&self, database: &str, role: &str) -> String {
        format!("host=127.0.0.1 port={} user={role} dbname={database}", self.port)
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.state.mode.lock().unwrap() = mode;
    }

    /// Cuts all connections; new ones are treated so.
    pub(crate) fn cut(&self, mode: Mode) {
        self.set(mode);
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn is(&self, mode: Mode) -> bool {
        *self.mode.lock().unwrap() == mode
    }

    fn serve(self: Arc<Self>, client: TcpStream) {
        if self.is(Mode::Refuse) {
            return;
        }
        let Ok(server) = UnixStream::connect(&self.server) else { return };
        self.open.lock().unwrap().push(client.try_clone().unwrap());
        let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
        let state = Arc::clone(&self);
        thread::spawn(move || {
            state.copy(from, &to, false);
            let _ = to.shutdown(Shutdown::Both);
        });
        self.copy(server, &client, true);
        let _ = client.shutdown(Shutdown::Both);
    }

    fn copy(&self, mut from: impl Read, mut to: impl Write, is_answer: bool) {
        let mut buffer = [0; 1 << 16];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            let is_lost = is_answer && self.is(Mode::LoseAnswers);
            if !is_lost && to.write_all(&buffer[..len]).is_err() {
                return;
            }
        }
    }
}
