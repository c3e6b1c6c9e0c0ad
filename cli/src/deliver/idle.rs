//! Connections that wait for the next request to the same receiver.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::exchange::Connection;

/// Most connections that wait, for all receivers together: each holds a file descriptor.
const MOST: usize = 256;
/// Longest time that a connection waits: most receivers close theirs after 5 to 75 seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Longest life of a connection, so that changes in DNS are noticed.
const LONGEST_LIFE: Duration = Duration::from_secs(300);

struct Waiting {
    connection: Connection,
    since: Instant,
}

/// The connections that wait, by origin; the newest is last.
#[derive(Default)]
struct Connections {
    by_origin: HashMap<Arc<str>, Vec<Waiting>>,
    count: usize,
}

/// Keeps connections between requests.
#[derive(Clone)]
pub(super) struct Idle(Arc<Mutex<Connections>>);

impl Idle {
    /// Makes an empty set, and a task that closes old connections while nothing is sent.
    pub(super) fn new() -> Self {
        let connections = Arc::new(Mutex::new(Connections::default()));
        let watched = Arc::downgrade(&connections);
        tokio::spawn(close_old_ones(watched));
        Self(connections)
    }

    /// Takes a connection that still works.
    pub(super) fn take(&self, origin: &str) -> Option<Connection> {
        loop {
            let mut waiting = self.lock().take(origin)?;
            let is_fresh = waiting.since.elapsed() < LONGEST_WAIT;
            if is_fresh && waiting.connection.is_ready() {
                return Some(waiting.connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn put(&self, origin: &Arc<str>, connection: Connection) {
        if connection.since.elapsed() < LONGEST_LIFE {
            self.lock().put(origin, connection);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections {
    fn take(&mut self, origin: &str) -> Option<Waiting> {
        let of_origin = self.by_origin.get_mut(origin)?;
        let waiting = of_origin.pop();
        if of_origin.is_empty() {
            self.by_origin.remove(origin);
        }
        self.count -= usize::from(waiting.is_some());
        waiting
    }

    fn put(&mut self, origin: &Arc<str>, connection: Connection) {
        if self.count >= MOST {
            self.drop_oldest();
        }
        let waiting = Waiting { connection, since: Instant::now() };
        match self.by_origin.get_mut(origin) {
            Some(of_origin) => of_origin.push(waiting),
            None => drop(self.by_origin.insert(Arc::clone(origin), vec![waiting])),
        }
        self.count += 1;
    }

    fn drop_oldest(&mut self) {
        let oldest = self.by_origin.iter().min_by_key(|(_, waiting)| waiting[0].since);
        let Some(origin) = oldest.map(|(origin, _)| Arc::clone(origin)) else { return };
        if let Some(of_origin) = self.by_origin.get_mut(&origin) {
            of_origin.remove(0);
            self.count -= 1;
            if of_origin.is_empty() {
                self.by_origin.remove(&origin);
            }
        }
    }

    fn drop_old(&mut self) {
        for of_origin in self.by_origin.values_mut() {
            of_origin.retain(|waiting| waiting.since.elapsed() < LONGEST_WAIT);
        }
        self.by_origin.retain(|_, of_origin| !of_origin.is_empty());
        self.count = self.by_origin.values().map(Vec::len).sum();
    }
}

async fn close_old_ones(watched: Weak<Mutex<Connections>>) {
    loop {
        tokio::time::sleep(LONGEST_WAIT / 3).await;
        let Some(connections) = watched.upgrade() else { return };
        connections.lock().unwrap_or_else(PoisonError::into_inner).drop_old();
    }
}
