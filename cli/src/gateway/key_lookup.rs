//! Looks up keys in batches: however many ids are requested at a time, the database is asked once. A client
//! that invents ids can therefore neither keep the database busy nor delay the look-ups of others.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::key::{Actors, Key};
use crate::api_key::Kind;
use crate::connection::Pool;
use crate::output::with_sources;

/// A key that may name no actor also needs the event types whose payload names one.
const FIND: &str = "SELECT k.id, k.tenant_id, k.kind, k.event_names, k.secret_hash, k.rate_limit, k.expires_at,
        k.revoked_at IS NOT NULL, k.actor, k.no_actor,
        CASE WHEN k.no_actor THEN
            (SELECT pg_catalog.array_agg(t.name ORDER BY t.name) FROM eventlog.event_types t WHERE t.actor_key IS NOT NULL) END,
        CASE WHEN k.no_actor THEN
            (SELECT pg_catalog.array_agg(t.actor_key ORDER BY t.name) FROM eventlog.event_types t WHERE t.actor_key IS NOT NULL) END,
        k.tenant_ids, k.can_replay, k.description
   FROM eventlog.api_keys k WHERE k.id OPERATOR(pg_catalog.=) ANY ($1)";

/// Time limit of a look-up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most ids of one query.
const MOST_IDS: usize = 1_000;
/// Least time between two queries.
const EVERY: Duration = Duration::from_millis(5);

/// `None` if there is no such key; an error if the database did not answer.
pub(crate) type Found = Result<Option<Key>, ()>;

type Question = (String, oneshot::Sender<Found>);

pub(crate) struct KeyLookup(mpsc::UnboundedSender<Question>);

impl KeyLookup {
    /// Starts the task that asks the database. Must be called inside a runtime.
    pub(crate) fn new(pool: Pool, default_limit: Option<NonZeroU32>) -> Self {
        // Bounded by the number of client connections: each request looks up one key.
        let (sender, questions) = mpsc::unbounded_channel();
        tokio::spawn(answer_all(pool, default_limit, questions));
        KeyLookup(sender)
    }

    pub(crate) async fn find(&self, id: &str) -> Found {
        let (sender, answer) = oneshot::channel();
        self.0.send((id.to_owned(), sender)).map_err(|_| ())?;
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|_| ())?,
            Err(_) => {
                tracing::warn!("a key could not be looked up within {PATIENCE:?}");
                Err(())
            }
        }
    }
}

async fn answer_all(
    pool: Pool,
    default_limit: Option<NonZeroU32>,
    mut questions: mpsc::UnboundedReceiver<Question>,
) {
    let mut next = Instant::now();
    while let Some(first) = questions.recv().await {
        sleep_until(next).await;
        next = Instant::now() + EVERY;
        let mut asked = vec![first];
        while asked.len() < MOST_IDS
            && let Ok(question) = questions.try_recv()
        {
            asked.push(question);
        }
        // A request whose client has left needs no answer.
        asked.retain(|(_, sender)| !sender.is_closed());
        let ids: Vec<&str> = asked.iter().map(|(id, _)| id.as_str()).collect();
        let rows = match timeout(PATIENCE, ask(&pool, &ids)).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                tracing::warn!("a key could not be looked up: {}", with_sources(error.as_ref()));
                asked.into_iter().for_each(|(_, sender)| _ = sender.send(Err(())));
                continue;
            }
            Err(_) => {
                tracing::warn!("a key could not be looked up within {PATIENCE:?}");
                asked.into_iter().for_each(|(_, sender)| _ = sender.send(Err(())));
                continue;
            }
        };
        for (id, sender) in asked {
            let row = rows.iter().find(|row| row.try_get::<_, &str>(0).is_ok_and(|own| own == id));
            let found = row.map(|row| key(row, default_limit)).transpose().map_err(|error| {
                tracing::error!("a key cannot be read: {}", with_sources(error.as_ref()));
            });
            let _ = sender.send(found);
        }
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn ask(pool: &Pool, ids: &[&str]) -> Result<Vec<Row>, Failed> {
    let client = pool.get().await?;
    Ok(client.query_typed(FIND, &[(&ids, Type::TEXT_ARRAY)]).await?)
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
