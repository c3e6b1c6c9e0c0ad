//! A cache of keys. Each is trusted for some seconds, so that a revocation takes effect soon; while the
//! database is down, known keys stay valid.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, header};
use governor::{Quota, RateLimiter};

use super::key::Key;
use super::key_lookup::KeyLookup;
use super::problem::Problem;
use crate::api_key::{ApiKey, Kind};
use crate::connection::Pool;

/// How long a key is trusted while it cannot be looked up.
const OUTAGE: Duration = Duration::from_secs(3600);
/// How often the look-up is repeated meanwhile.
const RETRY: Duration = Duration::from_secs(1);

struct Entry {
    known: Mutex<Known>,
    /// Held during a look-up.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    key: Arc<Key>,
    confirmed: Instant,
    /// When it is looked up again.
    fresh_until: Instant,
    /// True if the last look-up failed.
    is_failing: bool,
}

impl Entry {
    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct KeyStore {
    look_ups: KeyLookup,
    trust: Duration,
    /// Existing keys only: invented ids take no memory.
    entries: Mutex<HashMap<String, Arc<Entry>>>,
}

impl KeyStore {
    pub(crate) fn new(pool: Pool, trust: Duration, default_limit: Option<NonZeroU32>) -> Self {
        let look_ups = KeyLookup::new(pool, default_limit);
        KeyStore { look_ups, trust, entries: Mutex::default() }
    }

    /// Returns the key of a request, which must be valid and of this kind.
    pub(crate) async fn authorize(
        &self,
        headers: &HeaderMap,
        kind: Kind,
    ) -> Result<Arc<Key>, Problem> {
        let given = given_key(headers).ok_or_else(Problem::unauthorized)?;
        let key = self.find(&given.id).await?.ok_or_else(Problem::unauthorized)?;
        if !key.opens_with(&given) {
            return Err(Problem::unauthorized());
        }
        match key.kind == kind {
            true => Ok(key),
            false => {
                let message = format!("this key can only {}", key.kind.name());
                Err(Problem::forbidden(message))
            }
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Arc<Key>>, Problem> {
        let entry = self.lock().get(id).cloned();
        let Some(entry) = entry else {
            return self.look_up(id, None).await.map_err(|()| away());
        };
        let known = entry.known();
        if Instant::now() < known.fresh_until {
            return Ok(Some(known.key));
        }
        let turn = match entry.turn.try_lock() {
            Ok(turn) => turn,
            // Another request looks it up. While the database is down, this one does not wait.
            Err(_) if known.is_failing => return Ok(Some(known.key)),
            Err(_) => entry.turn.lock().await,
        };
        let known = entry.known();
        if Instant::now() < known.fresh_until {
            return Ok(Some(known.key));
        }
        let found = self.look_up(id, Some(&known.key)).await;
        drop(turn);
        match found {
            Ok(key) => Ok(key),
            Err(()) if known.confirmed.elapsed() < OUTAGE => {
                let key = Arc::clone(&known.key);
                let fresh_until = Instant::now() + RETRY;
                *entry.known.lock().unwrap_or_else(PoisonError::into_inner) =
                    Known { fresh_until, is_failing: true, ..known };
                Ok(Some(key))
            }
            Err(()) => Err(away()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks the key up and stores the result.
    async fn look_up(&self, id: &str, known: Option<&Arc<Key>>) -> Result<Option<Arc<Key>>, ()> {
        let asked = Instant::now();
        let found = self.look_ups.find(id).await?;
        let Some(mut key) = found else {
            self.lock().remove(id);
            return Ok(None);
        };
        // A key that has not changed keeps its limiter and thereby its count.
        key.limiter = key.rate_limit.map(|limit| RateLimiter::direct(Quota::per_minute(limit)));
        let key = match known {
            Some(known) if known.is_like(&key) => Arc::clone(known),
            _ => Arc::new(key),
        };
        let known = Known {
            key: Arc::clone(&key),
            confirmed: asked,
            fresh_until: asked + self.trust,
            is_failing: false,
        };
        let mut entries = self.lock();
        match entries.get(id) {
            // Two requests that look up a new key at the same time share its limiter.
            Some(entry) => {
                let mut own = entry.known.lock().unwrap_or_else(PoisonError::into_inner);
                let key = if own.key.is_like(&key) { Arc::clone(&own.key) } else { key };
                *own = Known { key: Arc::clone(&key), ..known };
                Ok(Some(key))
            }
            None => {
                let entry = Entry { known: Mutex::new(known), turn: tokio::sync::Mutex::new(()) };
                entries.insert(id.to_owned(), Arc::new(entry));
                Ok(Some(key))
            }
        }
    }
}

fn away() -> Problem {
    Problem::unavailable("the key cannot be checked: the database is not available", 1)
}

/// Reads `Authorization: Bearer el_…` or `X-Api-Key: el_…`.
fn given_key(headers: &HeaderMap) -> Option<ApiKey> {
    let text = match headers.get(header::AUTHORIZATION) {
        Some(value) => {
            let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())?
        }
        None => headers.get("x-api-key")?.to_str().ok()?.trim(),
    };
    ApiKey::parse(text)
}
