//! Reads the log for the webhooks: once for all that keep up, and once more for each that is behind.

use std::sync::Arc;

use tokio_postgres::{Client, Error};
use uuid::Uuid;

use super::database::{self, Config};
use super::engine::Engine;
use super::event::Event;

/// Events that are read at a time for all.
const LIMIT: usize = 1000;
/// Ids that one statement looks at, so that none takes long.
const WINDOW: i64 = 100_000;
/// Reads for all in one turn, after which those that are behind have theirs.
const MOST_READS: usize = 8;

impl Engine {
    /// Reads what can be delivered and gives it to the webhooks.
    pub(super) async fn feed(&mut self, client: &Client) -> Result<(), Error> {
        for _ in 0..MOST_READS {
            if !self.serving.values().any(|serving| serving.is_live) {
                self.head = self.certain;
            }
            if self.head >= self.certain || !self.most_have_room() {
                break;
            }
            self.feed_all(client).await?;
        }
        let ids: Vec<Uuid> = self.serving.keys().copied().collect();
        for id in ids {
            self.feed_one(client, id).await?;
        }
        Ok(())
    }

    /// Returns true if at least half of the webhooks that keep up could take more. While most have enough to
    /// send, reading on would only make each of them read for itself; a few slow ones hold up nobody.
    fn most_have_room(&self) -> bool {
        let live = || self.serving.values().filter(|serving| serving.is_live);
        live().filter(|serving| serving.has_room()).count() * 2 >= live().count()
    }

    /// Reads the next events for all webhooks that keep up.
    async fn feed_all(&mut self, client: &Client) -> Result<(), Error> {
        let live = self.serving.values().filter(|serving| serving.is_live);
        let (tenants, names) = union(live.map(|serving| &serving.config));
        let span = (self.head, self.certain.min(self.head + WINDOW));
        let events = database::read(client, span, tenants, names, LIMIT as i32).await?;
        self.head = end(span, &events, LIMIT);
        for event in events {
            let event = Arc::new(event);
            for serving in self.serving.values_mut() {
                if serving.is_live && serving.config.wants(&event) {
                    serving.feed(&event);
                }
            }
        }
        for serving in self.serving.values_mut().filter(|serving| serving.is_live) {
            serving.fed_until = self.head;
        }
        Ok(())
    }

    /// Reads the next events for one that is behind.
    async fn feed_one(&mut self, client: &Client, id: Uuid) -> Result<(), Error> {
        let head = self.head;
        let Some(serving) = self.serving.get_mut(&id) else { return Ok(()) };
        let Some(limit) = serving.wanted() else { return Ok(()) };
        if serving.fed_until < head {
            let span = (serving.fed_until, head.min(serving.fed_until + WINDOW));
            let (tenants, names) = union([&serving.config].into_iter());
            let events = database::read(client, span, tenants, names, limit as i32).await?;
            let until = end(span, &events, limit);
            let mut events = events.into_iter().map(Arc::new);
            if events.all(|event| serving.feed(&event)) {
                serving.fed_until = until;
            }
            serving.grow();
        }
        serving.is_live = serving.fed_until == head;
        Ok(())
    }
}

impl Engine {
    /// Reads alerts that were raised or resolved, and gives them to the webhooks that get them.
    pub(super) async fn feed_alerts(&mut self, client: &Client) -> Result<(), Error> {
        let takers = || self.serving.values().filter(|serving| serving.takes_alerts());
        let Some(after) = takers().map(|serving| serving.alerts_fed_until).min() else {
            return Ok(());
        };
        let (tenants, _) = union(takers().map(|serving| &serving.config));
        let alerts = database::read_alerts(client, after, tenants, LIMIT as i32).await?;
        let alerts: Vec<Arc<Event>> = alerts.into_iter().map(Arc::new).collect();
        for serving in self.serving.values_mut().filter(|serving| serving.takes_alerts()) {
            // One after one that did not fit would hide it.
            let _ = alerts.iter().all(|alert| serving.feed_alert(alert));
        }
        Ok(())
    }
}

/// Returns up to which id a span was read.
fn end(span: (i64, i64), events: &[Event], limit: usize) -> i64 {
    match events.last() {
        Some(last) if events.len() >= limit => last.id,
        _ => span.1,
    }
}

/// Returns the tenants and names of the events that any of these wants; nothing for all.
fn union<'a>(
    configs: impl Iterator<Item = &'a Config>,
) -> (Option<Vec<Uuid>>, Option<Vec<String>>) {
    let (mut tenants, mut names) = (Some(Vec::new()), Some(Vec::new()));
    for config in configs {
        match (config.tenant, &mut tenants) {
            (Some(tenant), Some(tenants)) if !tenants.contains(&tenant) => tenants.push(tenant),
            (None, _) => tenants = None,
            _ => {}
        }
        match (&config.names, &mut names) {
            (Some(wanted), Some(names)) => names.extend_from_slice(wanted),
            (None, _) => names = None,
            _ => {}
        }
    }
    if let Some(names) = &mut names {
        names.sort_unstable();
        names.dedup();
    }
    (tenants, names)
}
