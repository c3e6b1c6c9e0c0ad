//! Watches tenants for new events. Clients that watch the same tenant share one query.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::query::Reports;
use crate::gateway::problem::Problem;
use crate::gateway::shared_limit::SharedLimit;

/// How often the database is asked about each watched tenant.
const LOOK: Duration = Duration::from_secs(3);
/// After how long without new events a client is notified anyway, since reports also change with time.
const AT_LEAST: Duration = Duration::from_secs(60);
/// How long a stream lasts. The client reconnects, which checks its key again.
const LASTS: Duration = Duration::from_secs(300);

/// Up to which id nothing can appear any more. It writes down what it found, for others who ask.
const CERTAIN_ID: &str = "SELECT eventlog.certain_id($1)";
/// Whether the tenant has events between two ids.
const HAS_NEW: &str = "SELECT EXISTS (SELECT FROM eventlog.events e
                         WHERE e.id OPERATOR(pg_catalog.>) $2 AND e.id OPERATOR(pg_catalog.<=) $3
                           AND eventlog._is_tenant($1, e.tenant_id))";

/// The watched tenants.
pub(crate) struct Live {
    reports: Arc<Reports>,
    tenants: Mutex<HashMap<Uuid, Weak<Watched>>>,
    pub(super) places: Arc<SharedLimit>,
    is_stopping: watch::Sender<bool>,
}

pub(super) struct Watched {
    /// Up to which id events have been announced, or `None` once the database does not answer.
    announced: watch::Receiver<Option<i64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// Limits open streams; each takes a connection that a logging client could use.
    pub(crate) fn new(reports: Arc<Reports>, places: usize) -> Self {
        Live {
            reports,
            tenants: Mutex::default(),
            places: SharedLimit::new(places, 1),
            is_stopping: watch::Sender::new(false),
        }
    }

    /// Ends all streams; a gateway that stops would wait for them.
    pub(crate) fn stop(&self) {
        self.is_stopping.send_replace(true);
    }

    /// Watches a tenant; joins an existing watch.
    pub(super) async fn watch(&self, tenant: Uuid) -> Result<Arc<Watched>, Problem> {
        let certain = certain_id(&self.reports, tenant).await?;
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = tenants.get(&tenant).and_then(Weak::upgrade)
            && !watched.task.is_finished()
        {
            return Ok(watched);
        }
        let (sender, receiver) = watch::channel(Some(certain));
        let task = tokio::spawn(look(Arc::clone(&self.reports), tenant, certain, sender));
        let watched = Arc::new(Watched { announced: receiver, task });
        tenants.retain(|_, watched| watched.strong_count() > 0);
        tenants.insert(tenant, Arc::downgrade(&watched));
        Ok(watched)
    }
}

/// Polls until the database does not answer. The task is aborted when the last client leaves.
async fn look(
    reports: Arc<Reports>,
    tenant: Uuid,
    mut last: i64,
    sender: watch::Sender<Option<i64>>,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        match look_once(&reports, tenant, last).await {
            Ok((certain, has_new)) => {
                last = certain;
                if has_new {
                    sender.send_replace(Some(certain));
                }
            }
            Err(_) => {
                sender.send_replace(None);
                return;
            }
        }
    }
}

/// Returns up to which id nothing can appear any more, and whether the tenant has events after `last` there.
async fn look_once(reports: &Reports, tenant: Uuid, last: i64) -> Result<(i64, bool), Problem> {
    let certain = certain_id(reports, tenant).await?;
    if certain <= last {
        return Ok((last, false));
    }
    let values =
        [(&tenant as _, Type::UUID), (&last as _, Type::INT8), (&certain as _, Type::INT8)];
    let row = reports.read(tenant, HAS_NEW, &values).await?;
    Ok((certain, row.get(0)))
}

async fn certain_id(reports: &Reports, tenant: Uuid) -> Result<i64, Problem> {
    let row = reports.write(tenant, CERTAIN_ID, &[(&tenant, Type::UUID)]).await?;
    Ok(row.get(0))
}

/// One client's stream of notifications.
pub(super) struct Stream<T> {
    news: watch::Receiver<Option<i64>>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    _held: (T, Arc<Watched>),
}

impl<T> Stream<T> {
    /// Makes a stream that keeps `held` until its end.
    pub(super) fn new(live: &Live, watched: Arc<Watched>, held: T) -> Self {
        Stream {
            news: watched.announced.clone(),
            stopping: live.is_stopping.subscribe(),
            until: Instant::now() + LASTS,
            _held: (held, watched),
        }
    }

    /// Waits for the next notification. Returns false at the end of the stream.
    pub(super) async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.stopping.wait_for(|is_stopping| *is_stopping) => false,
            () = tokio::time::sleep_until(self.until) => false,
            news = timeout(AT_LEAST, self.news.changed()) => match news {
                // A minute has passed.
                Err(_) => true,
                Ok(Ok(())) => self.news.borrow_and_update().is_some(),
                Ok(Err(_)) => false,
            },
        }
    }
}
