//! A cache of keys or tokens. Each is trusted for some seconds, so that a revocation takes effect soon;
//! while the database is down, known ones stay valid.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::lookup::{Lookup, Record};
use super::problem::Problem;
use crate::connection::Pool;

/// How long one is trusted while it cannot be looked up.
const OUTAGE: Duration = Duration::from_secs(3600);
/// Most that are kept. A key may have a thousand tokens, each with a scope of some kilobytes.
const MOST: usize = 4000;
/// How often the look-up is repeated meanwhile.
const RETRY: Duration = Duration::from_secs(1);

struct Entry<R> {
    known: Mutex<Known<R>>,
    /// Held during a look-up.
    turn: tokio::sync::Mutex<()>,
}

struct Known<R> {
    record: Arc<R>,
    confirmed: Instant,
    /// When it is looked up again.
    fresh_until: Instant,
    /// True if the last look-up failed.
    is_failing: bool,
}

impl<R> Clone for Known<R> {
    fn clone(&self) -> Self {
        Known { record: Arc::clone(&self.record), ..*self }
    }
}

impl<R> Entry<R> {
    fn known(&self) -> Known<R> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct RecordCache<R> {
    look_ups: Lookup<R>,
    trust: Duration,
    /// Existing ones only: invented ids take no memory.
    entries: Mutex<HashMap<String, Arc<Entry<R>>>>,
}

impl<R: Record> RecordCache<R> {
    pub(crate) fn new(pool: Pool, trust: Duration, context: R::Context) -> Self {
        let look_ups = Lookup::new(pool, context);
        RecordCache { look_ups, trust, entries: Mutex::default() }
    }

    pub(crate) async fn find(&self, id: &str) -> Result<Option<Arc<R>>, Problem> {
        let entry = self.lock().get(id).cloned();
        let Some(entry) = entry else {
            return self.look_up(id, None).await.map_err(|()| away());
        };
        let known = entry.known();
        if Instant::now() < known.fresh_until {
            return Ok(Some(known.record));
        }
        let turn = match entry.turn.try_lock() {
            Ok(turn) => turn,
            // Another request looks it up. While the database is down, this one does not wait.
            Err(_) if known.is_failing => return Ok(Some(known.record)),
            Err(_) => entry.turn.lock().await,
        };
        let known = entry.known();
        if Instant::now() < known.fresh_until {
            return Ok(Some(known.record));
        }
        let found = self.look_up(id, Some(&known.record)).await;
        drop(turn);
        match found {
            Ok(record) => Ok(record),
            Err(()) if known.confirmed.elapsed() < OUTAGE => {
                let record = Arc::clone(&known.record);
                let fresh_until = Instant::now() + RETRY;
                *entry.known.lock().unwrap_or_else(PoisonError::into_inner) =
                    Known { fresh_until, is_failing: true, ..known };
                Ok(Some(record))
            }
            Err(()) => Err(away()),
        }
    }

    /// Forgets one that has ended: the next request looks it up.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Entry<R>>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks one up and stores the result.
    async fn look_up(&self, id: &str, known: Option<&Arc<R>>) -> Result<Option<Arc<R>>, ()> {
        let asked = Instant::now();
        let found = self.look_ups.find(id).await?;
        let Some(mut record) = found else {
            self.lock().remove(id);
            return Ok(None);
        };
        // One that has not changed stays the same: a key keeps its limiter and thereby its count.
        record.begin();
        let record = match known {
            Some(known) if known.is_like(&record) => Arc::clone(known),
            _ => Arc::new(record),
        };
        let known = Known {
            record: Arc::clone(&record),
            confirmed: asked,
            fresh_until: asked + self.trust,
            is_failing: false,
        };
        let mut entries = self.lock();
        match entries.get(id) {
            // Two requests that look up a new key at the same time share its limiter.
            Some(entry) => {
                let mut own = entry.known.lock().unwrap_or_else(PoisonError::into_inner);
                let record =
                    if own.record.is_like(&record) { Arc::clone(&own.record) } else { record };
                *own = Known { record: Arc::clone(&record), ..known };
                Ok(Some(record))
            }
            None => {
                make_room(&mut entries);
                let entry = Entry { known: Mutex::new(known), turn: tokio::sync::Mutex::new(()) };
                entries.insert(id.to_owned(), Arc::new(entry));
                Ok(Some(record))
            }
        }
    }
}

/// Drops the half that was looked up longest ago, if there are too many.
fn make_room<R>(entries: &mut HashMap<String, Arc<Entry<R>>>) {
    if entries.len() < MOST {
        return;
    }
    let mut confirmed: Vec<Instant> =
        entries.values().map(|entry| entry.known().confirmed).collect();
    confirmed.sort_unstable();
    let middle = confirmed[confirmed.len() / 2];
    entries.retain(|_, entry| entry.known().confirmed > middle);
}

fn away() -> Problem {
    Problem::unavailable("the key cannot be checked: the database is not available", 1)
}
