//! A writer for the application's tests, which hands events to a function instead of sending them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::engine::admission::Admission;
use crate::stats::Health;
use crate::{Error, Event, Options, Outcome, Report, Stats};

/// Most kinds of refusals that are kept, as in [`Health::rejections`].
const MOST_KINDS: usize = 10;

/// What stands in for the log; see the module.
pub(crate) struct Double {
    options: Options,
    handler: Box<dyn Fn(Event) + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stats: Stats,
    rejections: Vec<Error>,
    is_closed: bool,
}

impl fmt::Debug for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Double").finish_non_exhaustive()
    }
}

impl Double {
    /// Returns a double, or none if the options disable the writer.
    pub(crate) fn new(
        options: Options,
        handler: impl Fn(Event) + Send + Sync + 'static,
    ) -> Option<Arc<Self>> {
        let handler = Box::new(handler);
        options.enabled.then(|| Arc::new(Double { options, handler, state: Mutex::default() }))
    }

    /// Checks an event as a writer does, and hands it over. The function may panic, as assertions do:
    /// no lock is held then.
    pub(crate) fn submit(&self, mut event: Event) -> Result<Outcome, Error> {
        let admission = event.admit(&self.options, SystemTime::now());
        let mut state = self.state();
        state.stats.submitted += 1;
        if state.is_closed {
            state.stats.dropped += 1;
            drop(state);
            return Err(self.report(Error::lost("the writer is closed").about(&event)));
        }
        match admission {
            Admission::LeftOut => {
                state.stats.sampled += 1;
                Ok(Outcome::LeftOut)
            }
            Admission::Refused(error) => {
                let error = error.about(&event);
                state.stats.rejected += 1;
                let kind = state.rejections.iter().position(|other| other.is_of_kind(&error));
                let events = 1 + kind.map_or(0, |kind| state.rejections.remove(kind).events());
                state.rejections.insert(0, error.clone().of_events(events));
                state.rejections.truncate(MOST_KINDS);
                drop(state);
                Err(self.report(error))
            }
            Admission::Accepted(_) => {
                state.stats.written += 1;
                let id = i64::try_from(state.stats.written).ok();
                drop(state);
                (self.handler)(event);
                Ok(Outcome::Written(id))
            }
        }
    }

    /// Submits an event that no caller waits for; returns true if it was taken.
    pub(crate) fn log(&self, event: Event) -> bool {
        self.submit(event).is_ok()
    }

    /// Returns true once no more events are taken.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn is_closed(&self) -> bool {
        self.state().is_closed
    }

    pub(crate) fn stats(&self) -> Stats {
        self.state().stats
    }

    pub(crate) fn health(&self) -> Health {
        let rejections = self.state().rejections.clone();
        Health { is_reaching: true, rejections, ..Health::default() }
    }

    pub(crate) fn close(&self) -> Report {
        let mut state = self.state();
        state.is_closed = true;
        Report { stats: state.stats, rejections: state.rejections.clone() }
    }

    fn report(&self, error: Error) -> Error {
        if let Some(on_error) = &self.options.on_error {
            on_error(&error);
        }
        error
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
