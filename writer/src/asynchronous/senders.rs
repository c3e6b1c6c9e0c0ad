//! The tasks that send: one waits for something to send, and each batch has one of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::tasks::{Connection, Connector, Shared, Tasks};
use crate::Error;
use crate::engine::Action;
use crate::engine::batch::{Answer, Batch};
use crate::shared::SenderGuard;
use crate::wire::{self, Parameters};

/// Shared by the sending tasks.
struct Senders {
    shared: Arc<Shared>,
    connect: Mutex<Connector>,
    /// The connection of each place, while no task uses it.
    connections: Vec<Mutex<Option<Connection>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends batches until the writer is closed: the body of the writer's task.
pub(super) async fn send_all(guard: SenderGuard<Tasks>, connect: Connector) {
    let shared = &guard.0;
    let senders = Arc::new(Senders {
        shared: Arc::clone(shared),
        connect: Mutex::new(connect),
        connections: shared.producers.iter().map(|_| Mutex::new(None)).collect(),
    });
    // Dropping the set aborts the tasks that are left.
    let mut sends = JoinSet::new();
    while let Some(batch) = next_batch(shared).await {
        sends.spawn(send_and_settle(Arc::clone(&senders), batch));
        while sends.try_join_next().is_some() {}
    }
    let is_closed = shared.lock().is_closed();
    if !is_closed {
        // The time for closing is over.
        let _ = shared.end();
    }
}

/// Waits for the next batch. Returns `None` once the writer is closed.
async fn next_batch(shared: &Shared) -> Option<Arc<Batch>> {
    let work = &shared.signals.work;
    loop {
        let action = shared.lock().poll(shared.now());
        match action {
            Action::Send(batch) => return Some(batch),
            Action::End => return None,
            Action::Wait(None) => work.notified().await,
            Action::Wait(Some(until)) => {
                let left = until.saturating_sub(shared.now());
                let _ = timeout(left, work.notified()).await;
            }
        }
    }
}

/// A batch that its task has not settled. If the task ends before (the application's connector
/// panicked), the writer ends, so that no caller waits for ever.
struct Unsettled(Option<Arc<Shared>>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        // The guard's `Drop` ends the writer.
        drop(self.0.take().map(SenderGuard));
    }
}

async fn send_and_settle(senders: Arc<Senders>, batch: Arc<Batch>) {
    let mut unsettled = Unsettled(Some(Arc::clone(&senders.shared)));
    let place = batch.place;
    let mut connection = locked(&senders.connections[place]).take();
    let sent = send(&senders, &mut connection, &batch).await;
    // Dropped before it is settled, so that the engine can take it apart without a copy.
    drop(batch);
    if !sent.as_ref().is_err_and(Error::loses_connection) {
        *locked(&senders.connections[place]) = connection;
    }
    unsettled.0 = None;
    senders.shared.settle(place, sent);
}

async fn send(
    senders: &Senders,
    connection: &mut Option<Connection>,
    batch: &Batch,
) -> Result<Answer, Error> {
    let (shared, place) = (&senders.shared, batch.place);
    if connection.is_none() {
        shared.lock().connecting(place);
        let connecting = locked(&senders.connect)();
        *connection = Some(connecting.await.map_err(Error::from_connector)?);
        if !shared.lock().connected(place) {
            return Err(Error::lost("the writer ended before the batch was sent"));
        }
    }
    let client = connection.as_ref().expect("connected above");
    let parameters = Parameters::new(batch, shared.producers[place], &shared.options);
    let rows = client.query_typed(parameters.sql(), &parameters.values()).await?;
    wire::answer(&rows, batch.accounts_for)
}
