//! The types of the threads' writer: connections, the shared state, and how threads wait.

use std::error::Error as StdError;
use std::ops::DerefMut;
use std::sync::Condvar;
use std::sync::mpsc::SyncSender;

use postgres::Client;

use crate::shared::{self, Signals};
use crate::{Error, Outcome};

/// A connection as a connector gives it: a client of its own, or one of the application's pool.
pub type Connection = Box<dyn DerefMut<Target = Client> + Send>;

pub(super) type Connector =
    Box<dyn FnMut() -> Result<Connection, Box<dyn StdError + Send + Sync>> + Send>;
pub(super) type Shared = shared::Shared<Threads>;
pub(super) type Waiter = SyncSender<Result<Outcome, Error>>;

/// Condition variables that the threads and the callers wait on.
#[derive(Default)]
pub(super) struct Threads {
    pub(super) work: Condvar,
    pub(super) progress: Condvar,
}

impl Signals for Threads {
    type Waiter = Waiter;

    fn wake_sender(&self) {
        self.work.notify_one();
    }

    fn wake_waiting(&self) {
        self.progress.notify_all();
    }

    fn reply(waiter: Waiter, result: Result<Outcome, Error>) {
        let _ = waiter.try_send(result);
    }
}
