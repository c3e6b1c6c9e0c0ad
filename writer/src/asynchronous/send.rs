//! The tasks that send: one waits for something to send, and each batch has one of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Connection, Connector, Shared, Tasks};
use crate::Error;
use crate::engine::Action;
use crate::engine::batch::{Answer, Batch};
use crate::shared::Sending;
use crate::wire::{self, Parameters};

/// What they share.
struct Crew {
    shared: Arc<Shared>,
    connect: Mutex<Connector>,
    /// Of each place.
    connections: Vec<Mutex<Option<Connection>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the writer's task does.
pub(super) async fn send_all(sending: Sending<Tasks>, connect: Connector) {
    let shared = &sending.0;
    let crew = Arc::new(Crew {
        shared: Arc::clone(shared),
        connect: Mutex::new(connect),
        connections: shared.producers.iter().map(|_| Mutex::new(None)).collect(),
    });
    // Those that are left when this ends are ended with it.
    let mut sends = JoinSet::new();
    while let Some(batch) = next_batch(shared).await {
        sends.spawn(send_and_settle(Arc::clone(&crew), batch));
        while sends.try_join_next().is_some() {}
    }
    let is_closed = shared.lock().is_closed();
    if !is_closed {
        // The time to close is over.
        let _ = shared.end();
    }
}

/// Waits for something to send; nothing once the writer is closed.
async fn next_batch(shared: &Shared) -> Option<Arc<Batch>> {
    let news = &shared.signals.news;
    loop {
        let action = shared.lock().poll(shared.now());
        match action {
            Action::Send(batch) => return Some(batch),
            Action::End => return None,
            Action::Wait(None) => news.notified().await,
            Action::Wait(Some(until)) => {
                let left = until.saturating_sub(shared.now());
                let _ = timeout(left, news.notified()).await;
            }
        }
    }
}

/// A batch on its way. Where its task ends before it is settled, since the application's connector
/// panicked, nobody waits for what will not come.
struct Unsettled(Option<Arc<Shared>>);

impl Drop for Unsettled {
    fn drop(&mut self) {
        // Its `Drop` does it.
        drop(self.0.take().map(Sending));
    }
}

async fn send_and_settle(crew: Arc<Crew>, batch: Arc<Batch>) {
    let mut unsettled = Unsettled(Some(Arc::clone(&crew.shared)));
    let place = batch.place;
    let mut connection = locked(&crew.connections[place]).take();
    let sent = send(&crew, &mut connection, &batch).await;
    // The engine may take it apart then.
    drop(batch);
    if !sent.as_ref().is_err_and(Error::loses_connection) {
        *locked(&crew.connections[place]) = connection;
    }
    unsettled.0 = None;
    crew.shared.settle(place, sent);
}

async fn send(
    crew: &Crew,
    connection: &mut Option<Connection>,
    batch: &Batch,
) -> Result<Answer, Error> {
    let (shared, place) = (&crew.shared, batch.place);
    if connection.is_none() {
        shared.lock().connecting(place);
        let connecting = locked(&crew.connect)();
        *connection = Some(connecting.await.map_err(Error::from_connector)?);
        if !shared.lock().connected(place) {
            return Err(Error::lost("the writer ended before it was sent"));
        }
    }
    let client = connection.as_ref().expect("it is there");
    let parameters = Parameters::new(batch, shared.producers[place], &shared.options);
    let rows = client.query_typed(parameters.sql(), &parameters.values()).await?;
    wire::answer(&rows, batch.accounts_for)
}
