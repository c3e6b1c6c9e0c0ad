//! How keys are looked up.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use governor::{Quota, RateLimiter};
use tokio_postgres::Row;

use super::key::{Actors, Key};
use super::lookup::{Failed, Record};
use crate::api_key::Kind;

/// A key that may name no actor also needs the event types whose payload names one.
const FIND: &str = "SELECT k.id, k.tenant_id, k.kind, k.event_names, k.secret_hash, k.rate_limit, k.expires_at,
        k.revoked_at IS NOT NULL, k.actor, k.no_actor,
        CASE WHEN k.no_actor THEN
            (SELECT pg_catalog.array_agg(t.name ORDER BY t.name) FROM eventlog.event_types t WHERE t.actor_key IS NOT NULL) END,
        CASE WHEN k.no_actor THEN
            (SELECT pg_catalog.array_agg(t.actor_key ORDER BY t.name) FROM eventlog.event_types t WHERE t.actor_key IS NOT NULL) END,
        k.tenant_ids, k.can_replay, k.description
   FROM eventlog.api_keys k WHERE k.id OPERATOR(pg_catalog.=) ANY ($1)";

impl Record for Key {
    const FIND: &'static str = FIND;
    const WHAT: &'static str = "key";
    /// The limit of keys that have none of their own.
    type Context = Option<NonZeroU32>;

    fn read(row: &Row, default_limit: Option<NonZeroU32>) -> Result<Self, Failed> {
        key(row, default_limit)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.allows_as(other)
    }

    fn begin(&mut self) {
        self.limiter = self.rate_limit.map(|limit| RateLimiter::direct(Quota::per_minute(limit)));
    }
}

fn key(row: &Row, default_limit: Option<NonZeroU32>) -> Result<Key, Failed> {
    let kind: String = row.try_get(2)?;
    let limit: Option<i32> = row.try_get(5)?;
    let limit = limit.and_then(|limit| u32::try_from(limit).ok()).and_then(NonZeroU32::new);
    let (actor, has_none): (Option<String>, bool) = (row.try_get(8)?, row.try_get(9)?);
    let (names, keys): (Option<Vec<String>>, Option<Vec<String>>) =
        (row.try_get(10)?, row.try_get(11)?);
    Ok(Key {
        id: Arc::from(row.try_get::<_, &str>(0)?),
        tenant: row.try_get(1)?,
        kind: Kind::named(&kind).ok_or("the key is of an unknown kind")?,
        tenants: row.try_get::<_, Option<Vec<_>>>(12)?.unwrap_or_default(),
        can_replay: row.try_get(13)?,
        description: row.try_get(14)?,
        event_names: row.try_get(3)?,
        secret_hash: row.try_get(4)?,
        expires_at: row.try_get(6)?,
        is_revoked: row.try_get(7)?,
        rate_limit: limit.or(default_limit),
        limiter: None,
        actors: match (actor, has_none) {
            (Some(actor), _) => Actors::One(actor),
            (None, true) => {
                let pairs = names.unwrap_or_default().into_iter().zip(keys.unwrap_or_default());
                Actors::Nobody(pairs.collect::<HashMap<_, _>>())
            }
            (None, false) => Actors::Any,
        },
    })
}
