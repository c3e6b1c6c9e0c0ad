//! The state that every request sees.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::http::HeaderMap;
use eventlog_writer::asynchronous::{self, Connecting, Writer};
use eventlog_writer::{Options, WhenFull};

use super::analytics::catalog::Catalog;
use super::analytics::query::Reports;
use super::analytics::tenant_watch::Live;
use super::arguments::Arguments;
use super::connections::{Connection, Connections};
use super::event_types::EventTypeCache;
use super::health::{Health, Verdict};
use super::key::Key;
use super::key_store::{Caller, KeyStore};
use super::metrics::Metrics;
use super::problem::Problem;
use super::shared_limit::SharedLimit;
use crate::api_key::Kind;
use crate::connection::{Server, Target, pool};
use crate::output::Failure;

/// The gateway: its writer, its keys, and the resources that tenants share.
pub(crate) struct Gateway {
    pub(super) arguments: Arguments,
    /// The database of the log.
    pub(super) target: Target,
    pub(super) writer: Writer,
    pub(super) keys: KeyStore,
    pub(super) catalog: Catalog,
    pub(super) event_types: Arc<EventTypeCache>,
    pub(super) reports: Arc<Reports>,
    pub(super) live: Live,
    pub(super) metrics: Metrics,
    pub(super) connections: Connections,
    /// Bytes of bodies.
    pub(super) bodies: Arc<SharedLimit>,
    pub(super) health: Health,
}

/// Connections besides the writer's, for look-ups of keys and of the catalog.
const POOL: usize = 4;

/// Batches that are sent at the same time, each of other tenants.
const IN_FLIGHT: usize = 4;

impl Gateway {
    /// Makes the state. Nothing connects yet.
    pub(super) fn new(server: &Server, arguments: Arguments) -> Result<Self, Failure> {
        let target = server.target()?.with_statement_timeout(arguments.statement_timeout);
        let reports = Arc::new(Reports::new(
            pool(target.clone(), arguments.query_connections)?,
            arguments.query_connections,
            arguments.query_timeout,
        ));
        let pool = pool(target.clone(), POOL)?;
        let default_limit = NonZeroU32::new(arguments.rate_limit);
        Ok(Gateway {
            writer: writer(target.clone(), &arguments),
            target,
            keys: KeyStore::new(pool.clone(), arguments.key_cache, default_limit),
            catalog: Catalog::new(pool.clone()),
            event_types: EventTypeCache::new(pool),
            reports: Arc::clone(&reports),
            // Clients that log get most of the places.
            live: Live::new(reports, arguments.max_connections as usize / 4),
            metrics: Metrics::new(),
            connections: Connections::new(arguments.max_connections as usize),
            // A body is held twice: as it is sent, and unpacked.
            bodies: SharedLimit::new(arguments.max_bodies as usize, 2 * arguments.max_body),
            health: Health::default(),
            arguments,
        })
    }

    /// Returns true while the writer cannot send.
    pub(super) fn is_failing(&self) -> bool {
        self.writer.health().failing_for.is_some()
    }

    /// Checks that events reach the log and that reports can be read.
    pub(super) async fn verdict(&self) -> Verdict {
        self.health.verdict(&self.target, self.is_failing(), &self.metrics).await
    }

    /// Returns the key of a request, which must be valid and of this kind. Until the client has its
    /// answer, the request counts against the number that its tenant may have at a time.
    pub(super) async fn authorize(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        kind: Kind,
    ) -> Result<Arc<Key>, Problem> {
        let key = self.keys.authorize(headers, kind).await?;
        self.begin(connection, &key)?;
        Ok(key)
    }

    /// Returns who a request to read is from: a key, a session or a share link. It counts against the
    /// limits of the key.
    pub(super) async fn reader(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
    ) -> Result<Caller, Problem> {
        let caller = self.keys.reader(headers).await?;
        self.begin(connection, &caller.key)?;
        Ok(caller)
    }

    pub(super) fn begin(&self, connection: &Connection, key: &Key) -> Result<(), Problem> {
        self.connections.begin(connection, key)?;
        // Every request counts as one, so that bad ones are limited too.
        key.count(1)
    }
}

fn writer(target: Target, arguments: &Arguments) -> Writer {
    // `log_all` asks for room first and takes all events of a request or none.
    let options = Options::new()
        .enabled(true)
        .batch_events(1000)
        .linger(arguments.linger)
        .max_payload(arguments.max_body)
        .queue(arguments.queue_events, arguments.queue_bytes)
        .when_full(WhenFull::DropNewest)
        .in_flight(IN_FLIGHT);
    Writer::with_connector(options, move || connecting(target.clone()))
}

/// Makes a connection for the writer, in the same way as all others.
fn connecting(target: Target) -> Connecting {
    Box::pin(
        async move { Ok(Box::new(Box::new(target.connect().await?)) as asynchronous::Connection) },
    )
}
