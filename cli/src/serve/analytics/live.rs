//! `GET /api/analytics/live`: server-sent events, one whenever the tenant has new events, and one a
//! minute anyway. Whoever watches the same tenant shares one look at the database.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::query;
use crate::api_key::Kind;
use crate::serve::Gateway;
use crate::serve::connections::Connection;
use crate::serve::problem::Problem;
use crate::serve::shares::{Refusal, Shares};

/// How often the database is asked, for each tenant that is watched.
const LOOK: Duration = Duration::from_secs(3);
/// After how long without news a client hears of it all the same: reports move with the clock.
const AT_LEAST: Duration = Duration::from_secs(60);
/// How long one stream lasts. Its client comes again, with a key that is then checked again.
const LASTS: Duration = Duration::from_secs(300);

const NEWEST: &str = "SELECT (SELECT e.id FROM eventlog.get_events(
                         since => pg_catalog.now() - pg_catalog.make_interval(days => 1), row_limit => 1,
                         tenant_id => $1) e)";

/// Who watches what.
pub(crate) struct Live {
    tenants: Mutex<HashMap<Uuid, Weak<Watched>>>,
    places: Arc<Shares>,
    is_stopping: watch::Sender<bool>,
}

struct Watched {
    /// The newest event, or `None` once the database is away.
    newest: watch::Receiver<Option<i64>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Live {
    /// At most so many streams, of all tenants: what they hold is missing to those who log.
    pub(crate) fn new(places: usize) -> Self {
        Live {
            tenants: Mutex::default(),
            places: Shares::new(places, 1),
            is_stopping: watch::Sender::new(false),
        }
    }

    /// Ends all streams: a gateway that stops waits for answers that have begun.
    pub(crate) fn stop(&self) {
        self.is_stopping.send_replace(true);
    }

    fn watch(&self, gateway: &Arc<Gateway>, tenant: Uuid, newest: i64) -> Arc<Watched> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watched) = tenants.get(&tenant).and_then(Weak::upgrade)
            && !watched.task.is_finished()
        {
            return watched;
        }
        let (sender, receiver) = watch::channel(Some(newest));
        let task = tokio::spawn(look(Arc::clone(gateway), tenant, sender));
        let watched = Arc::new(Watched { newest: receiver, task });
        tenants.retain(|_, watched| watched.strong_count() > 0);
        tenants.insert(tenant, Arc::downgrade(&watched));
        watched
    }
}

/// Looks until the database is away, or nobody watches any more.
async fn look(gateway: Arc<Gateway>, tenant: Uuid, sender: watch::Sender<Option<i64>>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let newest = newest(&gateway, tenant).await;
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

async fn newest(gateway: &Gateway, tenant: Uuid) -> Result<i64, Problem> {
    let row = query::read(gateway, tenant, NEWEST, &[(&tenant, Type::UUID)]).await?;
    Ok(row.get::<_, Option<i64>>(0).unwrap_or(0))
}

pub(crate) async fn live(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let key = gateway.authorize(&connection, &headers, Kind::Read).await?;
    let place = gateway.live.places.take(&key, 1).map_err(|refusal| match refusal {
        Refusal::OverShare => {
            Problem::too_many("the tenant has too many streams: ask every minute instead", 60)
        }
        Refusal::Exhausted => {
            Problem::unavailable("too many streams at a time: ask every minute instead", 60)
        }
    })?;
    let newest = newest(&gateway, key.tenant).await?;
    let watched = gateway.live.watch(&gateway, key.tenant, newest);
    let stopping = gateway.live.is_stopping.subscribe();
    let news = watched.newest.clone();
    let stream = Stream { news, stopping, until: Instant::now() + LASTS, _held: (place, watched) };
    let events = stream::unfold((stream, true), |(mut stream, is_first)| async move {
        // The first says that the stream is there.
        let is_on = is_first || stream.next().await;
        let event = Event::default().event(if is_first { "open" } else { "tick" }).data("{}");
        is_on.then_some((Ok::<_, Infallible>(event), (stream, false)))
    });
    Ok(Sse::new(events).into_response())
}

struct Stream<T> {
    news: watch::Receiver<Option<i64>>,
    stopping: watch::Receiver<bool>,
    until: Instant,
    _held: T,
}

impl<T> Stream<T> {
    /// Waits for news; false where the stream is over.
    async fn next(&mut self) -> bool {
        tokio::select! {
            _ = self.stopping.wait_for(|is_stopping| *is_stopping) => false,
            () = tokio::time::sleep_until(self.until) => false,
            news = timeout(AT_LEAST, self.news.changed()) => match news {
                // A minute went by.
                Err(_) => true,
                Ok(Ok(())) => self.news.borrow_and_update().is_some(),
                Ok(Err(_)) => false,
            },
        }
    }
}
