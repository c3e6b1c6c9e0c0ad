//! The keys, looked up by id and trusted for some seconds: so a revocation works soon, and a
//! database that is away does not stop clients whose keys are known.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderMap, header};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use subtle::ConstantTimeEq;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::problem::Problem;
use crate::api_key::{ApiKey, Kind};
use crate::connection::Pool;
use crate::output::with_sources;

const FIND: &str = "SELECT tenant_id, kind, event_names, secret_hash, rate_limit, expires_at,
                           revoked_at IS NOT NULL
                      FROM eventlog.api_keys WHERE id OPERATOR(pg_catalog.=) $1";

/// How long one look-up may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a key is trusted while it cannot be looked up.
const OUTAGE: Duration = Duration::from_secs(3600);
/// How often it is tried again meanwhile.
const RETRY: Duration = Duration::from_secs(1);
/// Look-ups in a second of ids that are not known yet: whoever makes ids up does not keep the
/// database busy.
const UNKNOWN_PER_SECOND: NonZeroU32 = NonZeroU32::new(200).unwrap();

/// What a key may do, as it was when it was looked up.
pub(crate) struct Key {
    pub(crate) kind: Kind,
    pub(crate) tenant: Uuid,
    event_names: Option<Vec<String>>,
    secret_hash: Vec<u8>,
    expires_at: Option<SystemTime>,
    is_revoked: bool,
    rate_limit: Option<NonZeroU32>,
    limiter: Option<DefaultDirectRateLimiter>,
}

impl Key {
    /// Whether it may log events of this name.
    pub(crate) fn may_log(&self, name: &str) -> bool {
        self.event_names.as_ref().is_none_or(|names| names.iter().any(|own| own == name))
    }

    /// Refuses more events at once than the limit ever lets through.
    pub(crate) fn fits(&self, number: usize) -> Result<(), Problem> {
        match self.rate_limit {
            Some(limit) if number > limit.get() as usize => Err(Problem::too_large(format!(
                "{number} events at once are more than the key's limit of {limit} a minute"
            ))),
            _ => Ok(()),
        }
    }

    /// Counts so many events or requests against the limit.
    pub(crate) fn count(&self, number: usize) -> Result<(), Problem> {
        let (Some(limiter), Some(limit)) = (&self.limiter, self.rate_limit) else { return Ok(()) };
        let Some(number) = u32::try_from(number).ok().and_then(NonZeroU32::new) else {
            return Ok(());
        };
        let wait = match limiter.check_n(number) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => until.wait_time_from(DefaultClock::default().now()).as_secs() + 1,
            // More than a minute's, which `fits` refuses.
            Err(_) => 60,
        };
        Err(Problem::too_many(format!("the key has a limit of {limit} a minute"), wait))
    }

    fn opens_with(&self, key: &ApiKey) -> bool {
        let is_same = bool::from(self.secret_hash.as_slice().ct_eq(&key.hash()));
        let is_over = self.expires_at.is_some_and(|at| SystemTime::now() >= at);
        is_same && self.kind == key.kind && !self.is_revoked && !is_over
    }
}

struct Entry {
    known: Mutex<Known>,
    /// Held by whoever looks it up.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    key: Arc<Key>,
    confirmed: Instant,
    /// Until then it is not looked up.
    fresh_until: Instant,
    /// Whether the last look-up failed.
    is_failing: bool,
}

impl Entry {
    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

pub(crate) struct KeyStore {
    pool: Pool,
    trust: Duration,
    default_limit: Option<NonZeroU32>,
    /// Keys that are there; ids that are not take no room.
    entries: Mutex<HashMap<String, Arc<Entry>>>,
    unknown: DefaultDirectRateLimiter,
}

impl KeyStore {
    pub(crate) fn new(pool: Pool, trust: Duration, default_limit: Option<NonZeroU32>) -> Self {
        KeyStore {
            pool,
            trust,
            default_limit,
            entries: Mutex::default(),
            unknown: RateLimiter::direct(Quota::per_second(UNKNOWN_PER_SECOND)),
        }
    }

    /// The key of a request, which must be valid and of this kind.
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
                let message = format!("the key is for a {} only", key.kind.name());
                Err(Problem::forbidden(message))
            }
        }
    }

    async fn find(&self, id: &str) -> Result<Option<Arc<Key>>, Problem> {
        let entry = self.lock().get(id).cloned();
        let Some(entry) = entry else {
            if self.unknown.check().is_err() {
                return Err(Problem::too_many("too many unknown keys at a time", 1));
            }
            return self.look_up(id, None).await.map_err(|()| away());
        };
        let known = entry.known();
        if Instant::now() < known.fresh_until {
            return Ok(Some(known.key));
        }
        let turn = match entry.turn.try_lock() {
            Ok(turn) => turn,
            // Somebody tries; while the database is away nobody else waits for that.
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

    /// Asks the database, and remembers what it says.
    async fn look_up(&self, id: &str, known: Option<&Arc<Key>>) -> Result<Option<Arc<Key>>, ()> {
        let asked = Instant::now();
        let found = match tokio::time::timeout(PATIENCE, self.ask(id)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!("a key could not be looked up: {}", with_sources(error.as_ref()));
                return Err(());
            }
            Err(_) => {
                tracing::warn!("a key could not be looked up within {PATIENCE:?}");
                return Err(());
            }
        };
        let Some(mut key) = found else {
            self.lock().remove(id);
            return Ok(None);
        };
        // The same limit goes on counting where it was.
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
            // Two that asked for a new key at once share a limit.
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

    async fn ask(&self, id: &str) -> Result<Option<Key>, Box<dyn std::error::Error + Send + Sync>> {
        let client = self.pool.get().await?;
        let rows = client.query_typed(FIND, &[(&id, Type::TEXT)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let kind: String = row.try_get(1)?;
        let limit: Option<i32> = row.try_get(4)?;
        let limit = limit.and_then(|limit| u32::try_from(limit).ok()).and_then(NonZeroU32::new);
        Ok(Some(Key {
            tenant: row.try_get(0)?,
            kind: Kind::named(&kind).ok_or("the key is of an unknown kind")?,
            event_names: row.try_get(2)?,
            secret_hash: row.try_get(3)?,
            expires_at: row.try_get(5)?,
            is_revoked: row.try_get(6)?,
            rate_limit: limit.or(self.default_limit),
            limiter: None,
        }))
    }
}

impl Key {
    fn is_like(&self, other: &Key) -> bool {
        self.kind == other.kind
            && self.tenant == other.tenant
            && self.event_names == other.event_names
            && self.secret_hash == other.secret_hash
            && self.expires_at == other.expires_at
            && self.is_revoked == other.is_revoked
            && self.rate_limit == other.rate_limit
    }
}

fn away() -> Problem {
    Problem::unavailable("the key cannot be looked up now", 1)
}

/// `Authorization: Bearer el_…` or `X-Api-Key: el_…`.
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
