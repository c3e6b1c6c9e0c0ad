//! `GET /api/analytics/live`: server-sent events, one whenever the tenant has new events, and at least one
//! per minute.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{Extension, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::tenant_choice;
use super::tenant_watch::Stream;
use crate::gateway::connections::Connection;
use crate::gateway::problem::Problem;
use crate::gateway::shared_limit::Refusal;
use crate::gateway::state::Gateway;

pub(crate) async fn live(
    State(gateway): State<Arc<Gateway>>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let caller = gateway.reader(&connection, &headers).await?;
    if caller.share().is_some() {
        return Err(Problem::forbidden("a share link has no stream: poll once a minute instead"));
    }
    let key = caller.key;
    let (asked, _) = tenant_choice::split(query.as_deref().unwrap_or_default())?;
    let tenant = key.choose(asked.as_deref())?;
    let place = gateway.live.places.take(&key, 1).map_err(|refusal| match refusal {
        Refusal::OverShare => {
            Problem::too_many("the tenant has too many streams: poll once a minute instead", 60)
        }
        Refusal::Exhausted => {
            Problem::unavailable("too many streams: poll once a minute instead", 60)
        }
    })?;
    let watched = gateway.live.watch(tenant).await?;
    let stream = Stream::new(&gateway.live, watched, place);
    let events = stream::unfold((stream, true), move |(mut stream, is_first)| {
        let (gateway, headers) = (Arc::clone(&gateway), headers.clone());
        async move {
            // The first event confirms that the stream is open. A key that was revoked gets no more.
            let is_on =
                is_first || (stream.next().await && gateway.keys.reader(&headers).await.is_ok());
            let event = Event::default().event(if is_first { "open" } else { "tick" }).data("{}");
            is_on.then_some((Ok::<_, Infallible>(event), (stream, false)))
        }
    });
    Ok(Sse::new(events).into_response())
}
