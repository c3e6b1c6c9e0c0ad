//! The types of the tasks' writer: connections, the shared state, and how tasks wait.

use std::error::Error as StdError;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use tokio::sync::{Notify, oneshot};
use tokio_postgres::Client;

use crate::shared::{self, Signals};
use crate::{Error, Outcome};

/// A connection as a connector gives it: a client of its own, or one of the application's pool.
pub type Connection = Box<dyn Deref<Target = Client> + Send + Sync>;

/// The future that a connector returns.
pub type Connecting =
    Pin<Box<dyn Future<Output = Result<Connection, Box<dyn StdError + Send + Sync>>> + Send>>;

pub(super) type Connector = Box<dyn FnMut() -> Connecting + Send>;
pub(super) type Shared = shared::Shared<Tasks>;
pub(super) type Waiter = oneshot::Sender<Result<Outcome, Error>>;

/// Notifications that the tasks and the callers wait on.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) work: Notify,
    pub(super) progress: Notify,
}

impl Signals for Tasks {
    type Waiter = Waiter;

    fn wake_sender(&self) {
        self.work.notify_one();
    }

    fn wake_waiting(&self) {
        self.progress.notify_waiters();
    }

    fn reply(waiter: Waiter, result: Result<Outcome, Error>) {
        let _ = waiter.send(result);
    }
}
