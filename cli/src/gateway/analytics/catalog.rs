//! The routes that the log's catalog gives: every report function, and a few views.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use tokio::time::timeout;

use super::openapi;
use super::route::{Route, Source};
use super::views::VIEWS;
use crate::connection::Pool;
use crate::gateway::problem::Problem;
use crate::output::with_sources;
use crate::reports::{self, Column, Report};

/// How long the catalog is trusted before it is read again.
const FRESH: Duration = Duration::from_secs(5);
/// How soon it is read again after a failure.
const RETRY: Duration = Duration::from_secs(1);
/// How long reading it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Selects comment and columns of the relations that are served.
const RELATIONS: &str = "
    SELECT c.relname::pg_catalog.text, pg_catalog.obj_description(c.oid, 'pg_class'),
           a.attname::pg_catalog.text, pg_catalog.format_type(a.atttypid, NULL)
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
     WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace('eventlog')
       AND c.relname::pg_catalog.text OPERATOR(pg_catalog.=) ANY ($1) AND a.attnum OPERATOR(pg_catalog.>) 0
       AND NOT a.attisdropped";

/// Selects the keys of payloads whose values stand for people: actors, and what is stored as a hash.
const PERSONAL_KEYS: &str = "
    SELECT coalesce(pg_catalog.array_agg(DISTINCT k.key), '{}')
      FROM eventlog.event_types t
     CROSS JOIN LATERAL pg_catalog.unnest(t.hash_keys OPERATOR(pg_catalog.||) t.actor_key) AS k (key)
     WHERE k.key IS NOT NULL";

/// The routes, as they were when the catalog was last read.
#[derive(Debug)]
pub(crate) struct Routes {
    routes: Vec<Route>,
    /// Keys of payloads whose values stand for people.
    pub(crate) personal_keys: Vec<String>,
    /// The description of the whole API with these routes.
    pub(crate) openapi: Bytes,
}

impl Routes {
    fn new((routes, personal_keys): (Vec<Route>, Vec<String>)) -> Self {
        let openapi = openapi::describe(&routes).into();
        Routes { routes, personal_keys, openapi }
    }

    /// Finds a route by the last part of its path.
    pub(crate) fn find(&self, path: &str) -> Option<&Route> {
        // Short paths first: a new report must not take one from its clients.
        let short = self.routes.iter().find(|route| route.short_path == Some(path));
        short.or_else(|| self.routes.iter().find(|route| route.path == path))
    }
}

/// The catalog, read at most once in a few seconds.
pub(crate) struct Catalog {
    pool: Pool,
    known: Mutex<Known>,
    /// Held while the catalog is read.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Known {
    routes: Option<Arc<Routes>>,
    /// True if the database has no `eventlog.reports()`.
    is_outdated: bool,
    /// When it is to be read again.
    stale_at: Option<Instant>,
}

impl Known {
    fn is_fresh(&self) -> bool {
        self.stale_at.is_some_and(|at| Instant::now() < at)
    }
}

impl Catalog {
    pub(crate) fn new(pool: Pool) -> Self {
        Catalog { pool, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the routes. While the database is away they are those that were read last.
    pub(crate) async fn routes(&self) -> Result<Arc<Routes>, Problem> {
        let known = self.known();
        if !known.is_fresh() {
            let turn = match known.routes.is_some() {
                // Another request reads it; this one goes on with what is known.
                true => self.turn.try_lock().ok(),
                false => Some(self.turn.lock().await),
            };
            if turn.is_some() && !self.known().is_fresh() {
                self.refresh().await;
            }
        }
        let known = self.known();
        known.routes.ok_or_else(|| match known.is_outdated {
            true => Problem::unavailable("the database has no log of this version", 60),
            false => Problem::unavailable("the database is not available", 5),
        })
    }

    async fn refresh(&self) {
        let mut is_outdated = false;
        let read = match timeout(PATIENCE, read(&self.pool)).await {
            Ok(Ok(routes)) => Some(Arc::new(Routes::new(routes))),
            Ok(Err(error)) => {
                is_outdated = reports::is_outdated(error.as_ref());
                tracing::warn!("the reports cannot be listed: {}", with_sources(error.as_ref()));
                None
            }
            Err(_) => {
                tracing::warn!("the reports could not be listed within {PATIENCE:?}");
                None
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let trusted = if read.is_some() { FRESH } else { RETRY };
        known.is_outdated = is_outdated;
        known.stale_at = Some(Instant::now() + trusted);
        if read.is_some() {
            known.routes = read;
        }
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn read(pool: &Pool) -> Result<(Vec<Route>, Vec<String>), Failed> {
    let mut client = pool.get().await?;
    let transaction = client.build_transaction().read_only(true).start().await?;
    // Types are compared by name.
    transaction.batch_execute("SET LOCAL quote_all_identifiers = off").await?;
    let reports = transaction.query_typed(reports::LIST, &[]).await?;
    let relations: Vec<&str> = VIEWS.iter().map(|view| view.relation).collect();
    let types = [(&relations as _, tokio_postgres::types::Type::TEXT_ARRAY)];
    let rows = transaction.query_typed(RELATIONS, &types).await?;
    let personal_keys = transaction.query_typed(PERSONAL_KEYS, &[]).await?;
    let personal_keys = personal_keys.first().ok_or("no row")?.try_get(0)?;
    transaction.commit().await?;
    // Views before reports: a new report must not take the path of a view.
    let mut routes = Vec::new();
    for view in &VIEWS {
        let mut description = String::new();
        let mut columns = Vec::new();
        for row in &rows {
            let (relation, column): (&str, String) = (row.try_get(0)?, row.try_get(2)?);
            if relation == view.relation {
                description = row.try_get::<_, Option<String>>(1)?.unwrap_or_default();
                columns.push(Column { name: column, type_name: row.try_get(3)? });
            }
        }
        let column = |name: &&str| columns.iter().find(|column| column.name == *name).cloned();
        routes.push(Route {
            path: view.path.to_owned(),
            short_path: None,
            description,
            source: Source::View(view),
            parameters: Vec::new(),
            columns: view.columns.iter().filter_map(column).collect(),
        });
    }
    for row in &reports {
        routes.extend(Report::from_row(row)?.and_then(Route::of_report));
    }
    Ok((routes, personal_keys))
}
