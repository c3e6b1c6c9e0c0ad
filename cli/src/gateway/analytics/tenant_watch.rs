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

const NEWEST: &str = "SELECT (SELECT e.id FROM eventlog.get_events(
                         since => pg_catalog.now() - pg_catalog.make_interval(days => 1), row_limit => 1,
                         tenant_id => $1) e)";

/// The watched tenants.
pub(crate) struct Live {
    reports: Arc<Reports>,
    tenants: Mutex<HashMap<Uuid, Weak<Watched>>>,
    pub(super) places: Arc<SharedLimit>,
    is_stopping: watch::Sender<bool>,
}

pub(super) struct Watched {
    /// Id of the newest event, or `None` once the database does not answer.
    newest: watch::Receiver<Option<i64>>,
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
        let newest = newest(&self.reports, tenant).await?;
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = tenants.get(&tenant).and_then(Weak::upgrade)
            && !watched.task.is_finished()
        {
            return Ok(watched);
        }
        let (sender, receiver) = watch::channel(Some(newest));
        let task = tokio::spawn(look(Arc::clone(&self.reports), tenant, sender));
        let watched = Arc::new(Watched { newest: receiver, task });
        tenants.retain(|_, watched| watched.strong_count() > 0);
        tenants.insert(tenant, Arc::downgrade(&watched));
        Ok(watched)
    }
}

/// Polls until the database does not answer. The task is aborted when the last client leaves.
async fn look(reports: Arc<Reports>, tenant: Uuid, sender: watch::Sender<Option<i64>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let newest = newest(&reports, tenant).await;
        let is_over = newest.is_err();
        sender.send_if_modified(|before| {
            let now = newest.ok();
            std::mem::replace(before, now) != now
        });
        if is_over {
            return;
        }
    }
}

async fn newest(reports: &Reports, tenant: Uuid) -> Result<i64, Problem> {
    let row = reports.read(tenant, NEWEST, &[(&tenant, Type::UUID)]).await?;
    Ok(row.get::<_, Option<i64>>(0).unwrap_or(0))
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
            news: watched.newest.clone(),
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
