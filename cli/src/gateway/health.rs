//! The readiness check: whether events reach the log.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;

use super::metrics::Metrics;
use super::tenant_policy::READS_ONE_TENANT;
use crate::connection::Target;
use crate::output::with_sources;

/// How long a verdict is reused, so that frequent checks ask the database once. A good one is reused for
/// longer, since each check opens a new connection.
const KEPT: Duration = Duration::from_secs(1);
const KEPT_READY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(2);

/// Selects whether the database can be written at all, and the role.
const STATE: &str = "SELECT pg_catalog.pg_is_in_recovery(),
        pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool,
        current_user::pg_catalog.text";

const TABLES: &str = "SELECT pg_catalog.to_regclass('eventlog.events') IS NOT NULL,
        pg_catalog.to_regclass('eventlog.api_tokens') IS NOT NULL";

const RIGHTS: &str = "SELECT pg_catalog.has_any_column_privilege('eventlog.events', 'INSERT'),
        pg_catalog.has_column_privilege('eventlog.api_keys', 'secret_hash', 'SELECT'),
        pg_catalog.has_column_privilege('eventlog.api_keys', 'description', 'SELECT')
        AND pg_catalog.has_column_privilege('eventlog.api_tokens', 'secret_hash', 'SELECT')";

/// The writer's own statement, without events.
const LOG_NOTHING: &str = "SELECT * FROM eventlog.log_events(ARRAY[]::pg_catalog.uuid[],
        ARRAY[]::pg_catalog.text[], ARRAY[]::pg_catalog.text[])";

/// The result of a check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Ready {
        /// Why reports are refused, if they are.
        reports: Option<&'static str>,
    },
    NotReady(String),
}

#[derive(Default)]
pub(crate) struct Health {
    is_stopping: AtomicBool,
    last: Mutex<Option<(Instant, Verdict)>>,
}

impl Health {
    /// Reports "not ready" from now on.
    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Checks that events reach the log and that reports can be read. A failure of the writer since the
    /// last check outdates that check.
    pub(crate) async fn verdict(
        &self,
        target: &Target,
        writer_fails: bool,
        metrics: &Metrics,
    ) -> Verdict {
        let mut last = self.last.lock().await;
        if let Some((at, verdict)) = &*last {
            let kept = if matches!(verdict, Verdict::Ready { .. }) { KEPT_READY } else { KEPT };
            let is_failing = matches!(verdict, Verdict::Ready { .. }) && writer_fails;
            if at.elapsed() < kept && !is_failing {
                return verdict.clone();
            }
        }
        let verdict = match timeout(PATIENCE, ask(target)).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Verdict::NotReady(reason(error.as_ref())),
            Err(_) => Verdict::NotReady("the database did not answer in time".to_owned()),
        };
        let is_news = last.as_ref().is_none_or(|(_, before)| *before != verdict);
        match &verdict {
            Verdict::NotReady(why) if is_news => tracing::error!("not ready: {why}"),
            Verdict::Ready { reports: Some(why) } if is_news => {
                tracing::warn!("reports are refused: {why}");
            }
            Verdict::Ready { reports: None } if is_news && last.is_some() => {
                tracing::info!("ready");
            }
            _ => {}
        }
        metrics.is_ready.set(i64::from(matches!(verdict, Verdict::Ready { .. })));
        *last = Some((Instant::now(), verdict.clone()));
        verdict
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Returns the server's message, or why there is no connection. Errors of connecting contain no password.
fn reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(server) = error.downcast_ref::<tokio_postgres::error::DbError>() {
            return format!("{} (SQLSTATE {})", server.message(), server.code().code());
        }
        source = error.source();
    }
    format!("the database is not available: {}", with_sources(error))
}

/// Checks on a new connection, made in the same way as the writer's. Pooled connections would survive a
/// changed password or a renamed database.
async fn ask(target: &Target) -> Result<Verdict, Failed> {
    let not_ready = |why: &str| Ok(Verdict::NotReady(why.to_owned()));
    let client = target.clone().connect().await?;
    let rows = client.query_typed(STATE, &[]).await?;
    let row = rows.first().ok_or("no row")?;
    let is = |column| row.try_get::<_, bool>(column);
    if is(0)? {
        return not_ready("the server is a standby; connect to the primary");
    }
    if is(1)? {
        return not_ready("the connection is read-only; default_transaction_read_only is on");
    }
    let role: String = row.try_get(2)?;
    let lacks = |what: &str| {
        let grant = format!("SELECT eventlog.grant_gateway('{}');", role.replace('\'', "''"));
        Ok(Verdict::NotReady(format!("the role {role} may not {what}; run {grant}")))
    };
    let rows = match client.query_typed(TABLES, &[]).await {
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            return lacks("use the log");
        }
        rows => rows?,
    };
    let row = rows.first().ok_or("no row")?;
    if !row.try_get::<_, bool>(0)? {
        return not_ready("the database has no log; run SELECT eventlog.create_log();");
    }
    if !row.try_get::<_, bool>(1)? {
        return not_ready("the log is of an older version; run SELECT eventlog.migrate_log();");
    }
    let rows = client.query_typed(RIGHTS, &[]).await?;
    let row = rows.first().ok_or("no row")?;
    if !row.try_get::<_, bool>(0)? {
        return lacks("log events");
    }
    if !row.try_get::<_, bool>(1)? || !row.try_get::<_, bool>(2)? {
        return lacks("look keys up");
    }
    client.query_typed(LOG_NOTHING, &[]).await?;
    let rows = client.query_typed(&format!("SELECT {READS_ONE_TENANT}"), &[]).await?;
    let is_bound: bool = rows.first().ok_or("no row")?.try_get(0)?;
    let reports = (!is_bound).then_some(
        "the gateway's role is not restricted to the tenant of a key: use a role of its own, neither a \
         superuser nor the log's owner, and run SELECT eventlog.grant_gateway('ROLE');",
    );
    Ok(Verdict::Ready { reports })
}
