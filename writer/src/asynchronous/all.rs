//! Several events at once: all of them are taken, or none.

use std::future::Future;
use std::time::SystemTime;

use tokio::sync::oneshot;

use super::{Tasks, Waiter, Writer};
use crate::engine::Submitted;
use crate::shared::{Shared, tell};
use crate::{Error, Event};

impl Writer {
    /// Puts events into the queue, all of them or none, and returns at once. None, and nothing is
    /// counted, where there is no room for all, where one of them is too large or does not
    /// serialize, and once the writer is closed: they are given back then.
    ///
    /// # Errors
    /// The events, where they were not taken.
    pub fn log_all(&self, events: Vec<Event>) -> Result<(), Vec<Event>> {
        let Some(handle) = &self.handle else { return Ok(()) };
        handle.shared.submit_all(events, |_| None)
    }

    /// As [`Writer::log_all`], and the future that it gives waits for what becomes of each event: as
    /// [`Writer::log_and_wait`] says. The events are on their way whether it is awaited or not.
    ///
    /// # Errors
    /// The events, where they were not taken.
    pub fn log_all_and_wait(
        &self,
        events: Vec<Event>,
    ) -> Result<impl Future<Output = Vec<Result<Option<i64>, Error>>> + Send + use<>, Vec<Event>>
    {
        let mut all_told = Vec::with_capacity(events.len());
        let mut are_left_out = 0;
        match &self.handle {
            None => are_left_out = events.len(),
            Some(handle) => {
                let shared = &handle.shared;
                shared.submit_all(events, |_| {
                    let (waiter, told) = oneshot::channel();
                    all_told.push(told);
                    Some(waiter)
                })?;
            }
        }
        Ok(async move {
            let mut ends = Vec::with_capacity(all_told.len() + are_left_out);
            ends.extend((0..are_left_out).map(|_| Ok(None)));
            for told in all_told {
                let end = told.await;
                ends.push(end.unwrap_or_else(|_| Err(Error::lost("the writer's task ended"))));
            }
            ends
        })
    }
}

impl Shared<Tasks> {
    /// Puts all of the events into the queue, or none.
    fn submit_all(
        &self,
        mut events: Vec<Event>,
        mut waiter: impl FnMut(&Event) -> Option<Waiter>,
    ) -> Result<(), Vec<Event>> {
        let most = self.options.max_payload;
        let is_sound = |event: &Event| event.fault.is_none() && event.data.len() <= most;
        if !self.is_own_process() || !events.iter().all(is_sound) {
            return Err(events);
        }
        let bytes = events.iter().map(Event::size).sum();
        let wall = SystemTime::now();
        let mut admissions = Vec::with_capacity(events.len());
        admissions.extend(events.iter_mut().map(|event| event.admit(&self.options, wall)));
        let mut engine = self.lock();
        if !engine.may_take_all(events.len(), bytes) {
            return Err(events);
        }
        let mut wakes_sender = false;
        let mut told = Vec::new();
        for (event, admission) in events.into_iter().zip(admissions) {
            let waiter = waiter(&event);
            match engine.submit(event, admission, waiter, || self.now(), wall) {
                Submitted::Queued { wakes } => wakes_sender |= wakes,
                Submitted::LeftOut(waiter) => told.extend(waiter.map(|waiter| (waiter, Ok(None)))),
                // What would be refused was looked for above, under the same lock.
                Submitted::Refused(error, waiter) => {
                    told.extend(waiter.map(|waiter| (waiter, Err(error))));
                }
                Submitted::Full(_, waiter) => drop(waiter),
            }
        }
        drop(engine);
        if wakes_sender {
            self.signals.news.notify_one();
        }
        tell::<Tasks>(told);
        Ok(())
    }
}
