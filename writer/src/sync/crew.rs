//! The threads that send. One of them at a time, the leader, waits for something to send; when it has
//! a batch, the next one leads. There are as many as are needed, up to one for each place.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Connection, Connector, Shared, Threads};
use crate::Error;
use crate::engine::Action;
use crate::engine::batch::{Answer, Batch};
use crate::shared::Sending;
use crate::wire::{self, Parameters};

/// See the module.
pub(super) struct Crew {
    connect: Mutex<Connector>,
    /// Of each place.
    connections: Vec<Mutex<Option<Connection>>>,
    /// Whoever has it leads.
    lead: Mutex<()>,
    /// Threads that do not send: they lead, or will.
    watching: AtomicUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crew").field("places", &self.connections.len()).finish_non_exhaustive()
    }
}

/// A panic of the application's connector must not become that of whoever closes the writer.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    pub(super) fn new(connect: Connector, places: usize) -> Arc<Self> {
        Arc::new(Crew {
            connect: Mutex::new(connect),
            connections: (0..places).map(|_| Mutex::new(None)).collect(),
            lead: Mutex::new(()),
            watching: AtomicUsize::new(0),
            threads: Mutex::new(Vec::new()),
        })
    }

    /// One more thread, if there is a place for it.
    pub(super) fn hire(self: &Arc<Self>, shared: &Arc<Shared>) -> std::io::Result<()> {
        let mut threads = locked(&self.threads);
        if threads.len() >= self.connections.len() {
            return Ok(());
        }
        let (crew, sending) = (Arc::clone(self), Sending(Arc::clone(shared)));
        self.watching.fetch_add(1, Ordering::SeqCst);
        let thread = thread::Builder::new()
            .name("eventlog-writer".to_owned())
            .spawn(move || crew.work(sending));
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                self.watching.fetch_sub(1, Ordering::SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sees to it that somebody looks for what there is to send, while others send.
    pub(super) fn be_watched(self: &Arc<Self>, shared: &Arc<Shared>) {
        if self.watching.load(Ordering::SeqCst) == 0
            && let Err(error) = self.hire(shared)
        {
            tracing::warn!("the writer has no thread for another batch: {error}");
        }
    }

    /// Waits until all threads have ended, and ends the connections.
    pub(super) fn dismiss(&self) {
        for thread in locked(&self.threads).drain(..) {
            let _ = thread.join();
        }
        for connection in &self.connections {
            *locked(connection) = None;
        }
    }

    /// What a thread does.
    fn work(&self, sending: Sending<Threads>) {
        let shared = &sending.0;
        loop {
            let lead = locked(&self.lead);
            let Some(batch) = next_batch(shared) else { return };
            self.watching.fetch_sub(1, Ordering::SeqCst);
            drop(lead);
            let place = batch.place;
            let mut connection = locked(&self.connections[place]);
            let sent = self.send(shared, &mut connection, &batch);
            // The engine may take it apart then.
            drop(batch);
            if sent.as_ref().is_err_and(Error::loses_connection) {
                *connection = None;
            }
            drop(connection);
            self.watching.fetch_add(1, Ordering::SeqCst);
            shared.settle(place, sent);
        }
    }

    fn send(
        &self,
        shared: &Shared,
        connection: &mut Option<Connection>,
        batch: &Batch,
    ) -> Result<Answer, Error> {
        let place = batch.place;
        if connection.is_none() {
            shared.lock().connecting(place);
            let connected = locked(&self.connect)();
            *connection = Some(connected.map_err(Error::from_connector)?);
            if !shared.lock().connected(place) {
                return Err(Error::lost("the writer ended before it was sent"));
            }
        }
        let client = connection.as_mut().expect("it is there");
        let parameters = Parameters::new(batch, shared.producers[place], &shared.options);
        let rows = client.query_typed(parameters.sql(), &parameters.values())?;
        wire::answer(&rows, batch.accounts_for)
    }
}

/// Waits for something to send; nothing once the writer is closed.
fn next_batch(shared: &Shared) -> Option<Arc<Batch>> {
    let news = &shared.signals.news;
    let mut engine = shared.lock();
    loop {
        engine = match engine.poll(shared.now()) {
            Action::Send(batch) => return Some(batch),
            Action::End => return None,
            Action::Wait(None) => news.wait(engine).unwrap_or_else(PoisonError::into_inner),
            Action::Wait(Some(until)) => {
                let left = until.saturating_sub(shared.now());
                news.wait_timeout(engine, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}
