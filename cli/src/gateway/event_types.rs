//! What the gateway knows of the log's event types: their names, the aliases under which clients send
//! them, and what is kept of a client's context.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout;

use crate::connection::Pool;
use crate::output::with_sources;

/// How long they are trusted before they are read again.
const FRESH: Duration = Duration::from_secs(5);
/// How soon they are read again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How long reading them may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Selects them. A log of an older version lacks the columns, which are null then.
const LIST: &str = "
    SELECT t.name, pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->>) 'aliases',
           pg_catalog.to_jsonb(t) OPERATOR(pg_catalog.->>) 'context_keys'
      FROM eventlog.event_types t";

/// An event type.
#[derive(Debug)]
pub(crate) struct EventType {
    pub(crate) name: String,
    /// What is kept of the context; `None` for nothing.
    pub(crate) context: Option<Kept>,
}

/// What is kept of an object: keys, and of the objects below them.
#[derive(Default, Debug)]
pub(crate) struct Kept {
    keys: HashMap<String, Kept>,
    is_whole: bool,
}

impl Kept {
    /// Reads a list of keys. With dots a key is a path as well.
    fn of(keys: &[String]) -> Option<Self> {
        let mut root = Kept::default();
        for key in keys {
            root.keys.entry(key.clone()).or_default().is_whole = true;
            let mut at = &mut root;
            for part in key.split('.') {
                at = at.keys.entry(part.to_owned()).or_default();
            }
            at.is_whole = true;
        }
        (!root.keys.is_empty()).then_some(root)
    }

    /// Returns what is kept below a key, if anything is.
    pub(crate) fn below(&self, key: &str) -> Option<&Kept> {
        self.keys.get(key)
    }

    /// Returns true if all of the value is kept.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }
}

/// The event types as they were when they were last read.
#[derive(Default, Debug)]
pub(crate) struct EventTypes {
    /// By name and by alias.
    names: HashMap<String, Arc<EventType>>,
}

impl EventTypes {
    fn new(rows: Vec<(String, Vec<String>, Vec<String>)>) -> Self {
        let mut names = HashMap::new();
        let mut own = Vec::new();
        for (name, aliases, context) in rows {
            let found = Arc::new(EventType { name, context: Kept::of(&context) });
            for alias in aliases {
                names.insert(alias, Arc::clone(&found));
            }
            own.push(found);
        }
        // A name counts before an alias.
        names.extend(own.into_iter().map(|found| (found.name.clone(), found)));
        EventTypes { names }
    }

    /// Finds the event type that has this name or alias.
    pub(crate) fn find(&self, name: &str) -> Option<&EventType> {
        self.names.get(name).map(Arc::as_ref)
    }
}

/// The event types, read at most once in a few seconds.
pub(crate) struct EventTypeCache {
    pool: Pool,
    known: Mutex<Known>,
    /// Held while they are read.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Default)]
struct Known {
    types: Option<Arc<EventTypes>>,
    /// When they are to be read again.
    stale_at: Option<Instant>,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.stale_at.is_some_and(|at| Instant::now() < at)
    }

    /// Returns true if they are good enough while they are read again.
    fn is_recent(&self) -> bool {
        self.types.is_some() && self.stale_at.is_some_and(|at| at.elapsed() < FRESH)
    }
}

impl EventTypeCache {
    pub(crate) fn new(pool: Pool) -> Arc<Self> {
        Arc::new(EventTypeCache { pool, known: Mutex::default(), turn: Arc::default() })
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the event types. While the database is away they are those that were read last, or none:
    /// the log itself looks every name up.
    pub(crate) async fn get(self: &Arc<Self>) -> Arc<EventTypes> {
        let known = self.known();
        if known.is_fresh() {
            return known.types.unwrap_or_default();
        }
        if known.is_recent() {
            // Nobody waits for the database.
            if let Ok(turn) = Arc::clone(&self.turn).try_lock_owned() {
                let cache = Arc::clone(self);
                tokio::spawn(async move {
                    cache.refresh().await;
                    drop(turn);
                });
            }
            return known.types.unwrap_or_default();
        }
        let turn = self.turn.lock().await;
        if !self.known().is_fresh() {
            self.refresh().await;
        }
        drop(turn);
        self.known().types.unwrap_or_default()
    }

    async fn refresh(&self) {
        let read = match timeout(PATIENCE, read(&self.pool)).await {
            Ok(Ok(types)) => Some(Arc::new(types)),
            Ok(Err(error)) => {
                let why = with_sources(error.as_ref());
                tracing::warn!("the event types cannot be read: {why}");
                None
            }
            Err(_) => {
                tracing::warn!("the event types could not be read within {PATIENCE:?}");
                None
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let trusted = if read.is_some() { FRESH } else { RETRY };
        known.stale_at = Some(Instant::now() + trusted);
        if read.is_some() {
            known.types = read;
        }
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn read(pool: &Pool) -> Result<EventTypes, Failed> {
    let client = pool.get().await?;
    let rows = client.query_typed(LIST, &[]).await?;
    let texts = |json: Option<&str>| match json {
        Some(json) => {
            serde_json::from_str::<Option<Vec<String>>>(json).map(Option::unwrap_or_default)
        }
        None => Ok(Vec::new()),
    };
    let mut types = Vec::with_capacity(rows.len());
    for row in &rows {
        types.push((row.try_get(0)?, texts(row.try_get(1)?)?, texts(row.try_get(2)?)?));
    }
    Ok(EventTypes::new(types))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn a_name_counts_before_an_alias() {
        let types = EventTypes::new(vec![
            ("order".to_owned(), owned(&["Order Completed", "page"]), Vec::new()),
            ("page".to_owned(), Vec::new(), owned(&["page.url"])),
        ]);
        let name = |given: &str| types.find(given).map(|found| found.name.as_str());
        assert_eq!(name("Order Completed"), Some("order"));
        assert_eq!((name("order"), name("page")), (Some("order"), Some("page")));
        assert_eq!((name("Order completed"), name("")), (None, None));
    }

    #[test]
    fn a_key_with_dots_is_a_key_or_a_path() {
        let kept = Kept::of(&owned(&["page.url", "locale"])).expect("keys are given");
        let page = kept.below("page").expect("a part of it is kept");
        assert!(!page.is_whole() && page.below("url").is_some_and(Kept::is_whole));
        assert!(kept.below("page.url").is_some_and(Kept::is_whole));
        assert!(kept.below("locale").is_some_and(Kept::is_whole) && kept.below("ip").is_none());
        assert!(Kept::of(&[]).is_none());
    }
}
