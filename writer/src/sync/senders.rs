//! The threads that send, as leader and followers. One thread at a time, the leader, waits for a batch;
//! when it has one, the next thread leads. Threads are started when needed, up to one for each place.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::threads::{Connection, Connector, Shared, Threads};
use crate::Error;
use crate::engine::Action;
use crate::engine::batch::{Answer, Batch};
use crate::shared::SenderGuard;
use crate::wire::{self, Parameters};

/// The sending threads; see the module.
pub(super) struct Senders {
    connect: Mutex<Connector>,
    /// The connection of each place.
    connections: Vec<Mutex<Option<Connection>>>,
    /// Held by the leader.
    leader: Mutex<()>,
    /// Threads that are not sending: the leader, and those that will lead.
    idle: AtomicUsize,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Senders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Senders").field("places", &self.connections.len()).finish_non_exhaustive()
    }
}

/// Locks, ignoring poison: a panic of the application's connector must not panic in `close` too.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Senders {
    pub(super) fn new(connect: Connector, places: usize) -> Arc<Self> {
        Arc::new(Senders {
            connect: Mutex::new(connect),
            connections: (0..places).map(|_| Mutex::new(None)).collect(),
            leader: Mutex::new(()),
            idle: AtomicUsize::new(0),
            threads: Mutex::new(Vec::new()),
        })
    }

    /// Starts one more thread, unless there is one for each place.
    pub(super) fn spawn(self: &Arc<Self>, shared: &Arc<Shared>) -> std::io::Result<()> {
        let mut threads = locked(&self.threads);
        if threads.len() >= self.connections.len() {
            return Ok(());
        }
        let (senders, guard) = (Arc::clone(self), SenderGuard(Arc::clone(shared)));
        self.idle.fetch_add(1, Ordering::SeqCst);
        let thread = thread::Builder::new()
            .name("eventlog-writer".to_owned())
            .spawn(move || senders.work(guard));
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                self.idle.fetch_sub(1, Ordering::SeqCst);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Makes sure that a thread waits for the next batch while the others send.
    pub(super) fn ensure_leader(self: &Arc<Self>, shared: &Arc<Shared>) {
        if self.idle.load(Ordering::SeqCst) == 0
            && let Err(error) = self.spawn(shared)
        {
            tracing::warn!("the writer has no thread for another batch: {error}");
        }
    }

    /// Waits until all threads have ended, and closes the connections.
    pub(super) fn join(&self) {
        for thread in locked(&self.threads).drain(..) {
            let _ = thread.join();
        }
        for connection in &self.connections {
            *locked(connection) = None;
        }
    }

    /// Sends batches until the writer is closed: the body of a thread.
    fn work(&self, guard: SenderGuard<Threads>) {
        let shared = &guard.0;
        loop {
            let lead = locked(&self.leader);
            let Some(batch) = next_batch(shared) else { return };
            self.idle.fetch_sub(1, Ordering::SeqCst);
            drop(lead);
            let place = batch.place;
            let mut connection = locked(&self.connections[place]);
            let sent = self.send(shared, &mut connection, &batch);
            // Dropped before it is settled, so that the engine can take it apart without a copy.
            drop(batch);
            if sent.as_ref().is_err_and(Error::loses_connection) {
                *connection = None;
            }
            drop(connection);
            self.idle.fetch_add(1, Ordering::SeqCst);
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
                return Err(Error::lost("the writer ended before the batch was sent"));
            }
        }
        let client = connection.as_mut().expect("connected above");
        let parameters = Parameters::new(batch, shared.producers[place], &shared.options);
        let rows = client.query_typed(parameters.sql(), &parameters.values())?;
        wire::answer(&rows, batch.accounts_for)
    }
}

/// Waits for the next batch. Returns `None` once the writer is closed.
fn next_batch(shared: &Shared) -> Option<Arc<Batch>> {
    let work = &shared.signals.work;
    let mut engine = shared.lock();
    loop {
        engine = match engine.poll(shared.now()) {
            Action::Send(batch) => return Some(batch),
            Action::End => return None,
            Action::Wait(None) => work.wait(engine).unwrap_or_else(PoisonError::into_inner),
            Action::Wait(Some(until)) => {
                let left = until.saturating_sub(shared.now());
                work.wait_timeout(engine, left).unwrap_or_else(PoisonError::into_inner).0
            }
        };
    }
}
