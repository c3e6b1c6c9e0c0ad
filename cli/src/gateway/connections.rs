//! The client connections, and which ones are closed when there are too many.
//!
//! A connection is busy while it has a request with a valid key, until the client has the answer; each
//! tenant may hold a share of these. All others can be closed, the longest idle first. Connections that
//! have shown no key get a quarter of all places, so that clients with a key always get in, and so do
//! `/healthz` and `/metrics`, which are answered at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::key::Key;
use super::problem::Problem;
use super::shared_limit::{Refusal, Share, SharedLimit};

/// It has shown no valid key.
const UNKNOWN: u8 = 0;
/// Its last request had a valid key.
const KNOWN: u8 = 1;
/// A request with a valid key is in progress.
const BUSY: u8 = 2;

#[derive(Debug)]
pub(crate) struct Connections {
    most: usize,
    began: Instant,
    /// Requests with a key in progress.
    requests: Arc<SharedLimit>,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    next: AtomicU64,
}

#[derive(Debug)]
pub(crate) struct Connection {
    id: u64,
    began: Instant,
    standing: AtomicU8,
    /// Milliseconds from `began` to the last answer that reached the client.
    moved_at: AtomicU64,
    /// True once all of the answer is produced.
    has_ended: AtomicBool,
    share: Mutex<Option<Share>>,
    closing: Notify,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        Connections {
            most,
            began: Instant::now(),
            requests: SharedLimit::new((most - most.div_ceil(8)).max(1), 1),
            open: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of places for connections that have shown no key.
    fn strangers(&self) -> usize {
        (self.most / 4).max(1)
    }

    /// Gives a place to a new connection; if none is free, an idle connection is closed for it.
    pub(crate) fn admit(&self) -> Arc<Connection> {
        let connection = Arc::new(Connection {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            began: self.began,
            standing: AtomicU8::new(UNKNOWN),
            moved_at: AtomicU64::new(0),
            has_ended: AtomicBool::new(false),
            share: Mutex::default(),
            closing: Notify::new(),
        });
        connection.touch();
        let mut open = self.open();
        let stalest = |standing: u8| {
            let all = open.values().filter(|own| own.standing.load(Ordering::Relaxed) == standing);
            all.min_by_key(|own| (own.moved_at.load(Ordering::Relaxed), own.id)).map(|own| own.id)
        };
        let is_unknown = |own: &&Arc<Connection>| own.standing.load(Ordering::Relaxed) == UNKNOWN;
        let victim = if open.values().filter(is_unknown).count() >= self.strangers() {
            stalest(UNKNOWN)
        } else if open.len() >= self.most {
            stalest(KNOWN).or_else(|| stalest(UNKNOWN))
        } else {
            None
        };
        if let Some(victim) = victim.and_then(|id| open.remove(&id)) {
            victim.closing.notify_one();
        }
        open.insert(connection.id, Arc::clone(&connection));
        connection
    }

    pub(crate) fn remove(&self, connection: &Connection) {
        self.open().remove(&connection.id);
    }

    /// Begins a request with this key, unless its tenant has too many in progress.
    pub(crate) fn begin(&self, connection: &Connection, key: &Key) -> Result<(), Problem> {
        let share = self.requests.take(key, 1).map_err(|refusal| match refusal {
            Refusal::OverShare => {
                Problem::too_many("the tenant has too many requests in progress", 1)
            }
            Refusal::Exhausted => Problem::unavailable("too many requests in progress", 1),
        })?;
        *connection.share() = Some(share);
        connection.standing.store(BUSY, Ordering::Relaxed);
        Ok(())
    }
}

impl Connection {
    fn share(&self) -> std::sync::MutexGuard<'_, Option<Share>> {
        self.share.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        let since = self.began.elapsed().as_millis();
        self.moved_at.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Resolves when the connection must close to make room for another.
    pub(crate) async fn closing(&self) {
        self.closing.notified().await;
    }

    /// Notes that a request has arrived.
    pub(crate) fn request(&self) {
        self.has_ended.store(false, Ordering::Relaxed);
    }

    /// Notes that all of the answer is produced; the client may not have it yet.
    pub(crate) fn ended(&self) {
        self.has_ended.store(true, Ordering::Relaxed);
    }

    /// Notes that everything so far is sent.
    pub(crate) fn flushed(&self) {
        if !self.has_ended.swap(false, Ordering::Relaxed) {
            return;
        }
        let had_key = self.share().take().is_some();
        self.touch();
        self.standing.store(if had_key { KNOWN } else { UNKNOWN }, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn answered(connection: &Connection) {
        connection.ended();
        connection.flushed();
    }

    #[test]
    fn strangers_make_room_for_each_other_and_take_none_from_those_with_a_key() {
        let connections = Connections::new(16);
        let key = Key::for_test(Uuid::from_u128(1), None);
        let busy: Vec<_> = (0..6)
            .map(|_| {
                let connection = connections.admit();
                connections.begin(&connection, &key).unwrap();
                connection
            })
            .collect();
        let one_more = connections.admit();
        for _ in 0..100 {
            if connections.begin(&one_more, &key).is_err() {
                break;
            }
        }
        let strangers: Vec<_> = (0..40).map(|_| connections.admit()).collect();
        let open = connections.open();
        assert!(busy.iter().all(|own| open.contains_key(&own.id)), "none of them was closed");
        let left = strangers.iter().filter(|own| open.contains_key(&own.id));
        let left: Vec<u64> = left.map(|own| own.id).collect();
        assert_eq!(left, strangers[36..].iter().map(|own| own.id).collect::<Vec<_>>());
    }

    #[test]
    fn an_idle_one_gives_way_when_all_places_are_taken() {
        let connections = Connections::new(8);
        let idle: Vec<_> = (0..8)
            .map(|n| {
                let connection = connections.admit();
                let key = Key::for_test(Uuid::from_u128(n), None);
                connection.request();
                connections.begin(&connection, &key).unwrap();
                answered(&connection);
                connection
            })
            .collect();
        let new = connections.admit();
        let open = connections.open();
        assert!(open.contains_key(&new.id) && !open.contains_key(&idle[0].id));
        assert_eq!(open.len(), 8);
    }
}
