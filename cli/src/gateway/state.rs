//! What every request sees.

use std::sync::Arc;

use axum::http::HeaderMap;
use eventlog_writer::asynchronous::Writer;

use super::analytics::query::Reports;
use super::analytics::watching::Live;
use super::arguments::Arguments;
use super::connections::{Connection, Connections};
use super::health::{Health, Verdict};
use super::key::Key;
use super::key_store::KeyStore;
use super::metrics::Metrics;
use super::problem::Problem;
use super::shares::Shares;
use crate::api_key::Kind;
use crate::connection::Target;

/// The gateway: its writer, its keys, and what it shares out among tenants.
pub(crate) struct Gateway {
    pub(super) arguments: Arguments,
    /// Where the log is.
    pub(super) target: Target,
    pub(super) writer: Writer,
    pub(super) keys: KeyStore,
    pub(super) reports: Arc<Reports>,
    pub(super) live: Live,
    pub(super) metrics: Metrics,
    pub(super) connections: Connections,
    /// Bytes of bodies.
    pub(super) bodies: Arc<Shares>,
    pub(super) health: Health,
}

impl Gateway {
    /// Whether the writer cannot send.
    pub(super) fn is_failing(&self) -> bool {
        self.writer.health().failing_for.is_some()
    }

    /// Whether events reach the log, and reports their readers.
    pub(super) async fn verdict(&self) -> Verdict {
        self.health.verdict(&self.target, self.is_failing(), &self.metrics).await
    }

    /// The key of a request, which must be valid and of this kind. From now until the answer is with
    /// the client the request is one of those that its tenant may have at a time.
    pub(super) async fn authorize(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
        kind: Kind,
    ) -> Result<Arc<Key>, Problem> {
        let key = self.keys.authorize(headers, kind).await?;
        self.connections.begin(connection, &key)?;
        // Whatever comes counts as one, so that bad requests have a limit too.
        key.count(1)?;
        Ok(key)
    }
}
