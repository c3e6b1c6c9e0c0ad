//! Pools of connections, each with the notices that the server sent on it.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult, Timeouts};
use tokio_postgres::Client;
use tokio_postgres::error::DbError;

use super::target::{NotConnected, Target};
use crate::output::Failure;

/// Longest wait for a free connection, and for a new one.
const PATIENCE: Duration = Duration::from_secs(2);
/// Most notices that are kept of a connection.
const MOST_NOTICES: usize = 20;

/// A connection of a [`Pool`].
#[derive(Debug)]
pub(crate) struct Pooled {
    client: Client,
    notices: Arc<Mutex<Vec<String>>>,
}

impl Pooled {
    /// Takes the notices that came since they were last taken. Those of a statement are there once its
    /// result is: the server sends them first.
    pub(crate) fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Deref for Pooled {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
    }
}

/// Makes the connections of a [`Pool`].
#[derive(Debug)]
pub(crate) struct Manager {
    target: Target,
}

pub(crate) type Pool = managed::Pool<Manager>;

impl managed::Manager for Manager {
    type Type = Pooled;
    type Error = NotConnected;

    async fn create(&self) -> Result<Pooled, NotConnected> {
        let notices = Arc::<Mutex<Vec<String>>>::default();
        let kept = Arc::clone(&notices);
        let target = self.target.clone().with_notices(move |notice| keep(notice, &kept));
        Ok(Pooled { client: target.connect().await?, notices })
    }

    async fn recycle(&self, client: &mut Pooled, _: &Metrics) -> RecycleResult<NotConnected> {
        match client.is_closed() {
            true => Err(RecycleError::message("the server closed it")),
            false => Ok(()),
        }
    }
}

fn keep(notice: &DbError, kept: &Mutex<Vec<String>>) {
    let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
    if matches!(notice.severity(), "NOTICE" | "WARNING") && kept.len() < MOST_NOTICES {
        kept.push(match notice.hint() {
            Some(hint) => format!("{} ({hint})", notice.message()),
            None => notice.message().to_owned(),
        });
    }
}

/// Makes a pool of at most this many connections, opened on demand.
pub(crate) fn pool(target: Target, connections: usize) -> Result<Pool, Failure> {
    let patience =
        Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    Pool::builder(Manager { target })
        .max_size(connections)
        .timeouts(patience)
        .runtime(deadpool::Runtime::Tokio1)
        .build()
        .map_err(|error| Failure::new(error.to_string()))
}
