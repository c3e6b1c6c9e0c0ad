//! Logs several events at once: all of them are taken, or none.

use std::collections::HashMap;
use std::future::Future;
use std::time::SystemTime;

use tokio::sync::oneshot;
use uuid::Uuid;

use super::Writer;
use super::tasks::{Tasks, Waiter};
use crate::engine::Submitted;
use crate::engine::admission::Admission;
use crate::shared::{Shared, send_replies};
use crate::{Error, Event, Outcome};

impl Writer {
    /// Puts all of the events into the queue, or none, and returns at once. An event that is too large
    /// or fails [`Event::check`] is rejected by itself, and the others are taken.
    ///
    /// # Errors
    /// The events, uncounted, if there is no room for all of them or the writer is closed.
    pub fn log_all(&self, events: Vec<Event>) -> Result<(), Vec<Event>> {
        let Some(handle) = &self.handle else { return self.all_without_log(events).map(drop) };
        handle.shared.submit_all(events, |_| None)
    }

    /// Returns true if the queue has room for the events, ignoring the shares of their tenants
    /// ([`Options::tenant_share`](crate::Options::tenant_share)).
    pub fn has_room(&self, events: &[Event]) -> bool {
        let bytes = events.iter().map(Event::size).sum();
        let handle = self.handle.as_ref();
        handle
            .is_none_or(|handle| handle.shared.lock().has_room_whatever_share(events.len(), bytes))
    }

    /// Logs events as [`Writer::log_all`] does, and returns a future with the result of each one, in
    /// order, as of [`Writer::log_and_wait`]. The events are sent whether it is awaited or not.
    ///
    /// # Errors
    /// The events, uncounted, if there is no room for all of them or the writer is closed.
    pub fn log_all_and_wait(
        &self,
        events: Vec<Event>,
    ) -> Result<impl Future<Output = Vec<Result<Outcome, Error>>> + Send + use<>, Vec<Event>> {
        let mut receivers = Vec::with_capacity(events.len());
        let mut ends = Vec::new();
        match &self.handle {
            None => ends = self.all_without_log(events)?,
            Some(handle) => {
                let shared = &handle.shared;
                shared.submit_all(events, |_| {
                    let (waiter, receiver) = oneshot::channel();
                    receivers.push(receiver);
                    Some(waiter)
                })?;
            }
        }
        Ok(async move {
            ends.reserve(receivers.len());
            for receiver in receivers {
                let end = receiver.await;
                ends.push(end.unwrap_or_else(|_| Err(Error::lost("the writer's task ended"))));
            }
            ends
        })
    }

    /// Returns the results of events that no log takes.
    fn all_without_log(
        &self,
        events: Vec<Event>,
    ) -> Result<Vec<Result<Outcome, Error>>, Vec<Event>> {
        match &self.double {
            Some(double) if double.is_closed() => Err(events),
            _ => Ok(events.into_iter().map(|event| self.without_log(event)).collect()),
        }
    }
}

impl Shared<Tasks> {
    /// Puts all of the events into the queue, or none.
    fn submit_all(
        &self,
        mut events: Vec<Event>,
        mut waiter: impl FnMut(&Event) -> Option<Waiter>,
    ) -> Result<(), Vec<Event>> {
        if !self.is_own_process() {
            return Err(events);
        }
        let wall = SystemTime::now();
        let mut admissions = Vec::with_capacity(events.len());
        admissions.extend(events.iter_mut().map(|event| event.admit(&self.options, wall)));
        let mut by_tenant: HashMap<Option<Uuid>, (usize, usize)> = HashMap::new();
        for (event, admission) in events.iter().zip(&admissions) {
            if let Admission::Accepted(size) = admission {
                let (count, bytes) = by_tenant.entry(event.tenant_id).or_default();
                (*count, *bytes) = (*count + 1, bytes.saturating_add(*size));
            }
        }
        let mut engine = self.lock();
        if !engine.may_take_all(&by_tenant) {
            return Err(events);
        }
        let mut wakes_sender = false;
        let mut replies = Vec::new();
        for (event, admission) in events.into_iter().zip(admissions) {
            let waiter = waiter(&event);
            let submitted = match admission {
                // There is room for all of them: the share of a tenant is not checked again.
                Admission::Accepted(size) => engine.enqueue(event, size, waiter, || self.now()),
                other => engine.submit(event, other, waiter, || self.now(), wall),
            };
            match submitted {
                Submitted::Queued { wakes } => wakes_sender |= wakes,
                Submitted::LeftOut(waiter) => {
                    replies.extend(waiter.map(|waiter| (waiter, Ok(Outcome::LeftOut))))
                }
                Submitted::Refused(error, waiter) => {
                    replies.extend(waiter.map(|waiter| (waiter, Err(error))));
                }
                Submitted::Full(_, waiter) => drop(waiter),
            }
        }
        let notices = engine.take_notices();
        drop(engine);
        if wakes_sender {
            self.signals.work.notify_one();
        }
        send_replies::<Tasks>(replies);
        self.publish(notices);
        Ok(())
    }
}
