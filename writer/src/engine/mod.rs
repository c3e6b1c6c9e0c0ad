//! The writer's engine: queue, batches and retries as a state machine without a thread, a clock, a
//! random number or a connection of its own. Time, chance and the server's replies come in as
//! arguments; [`Engine::poll`] returns what to do next. That lets the simulation run a million
//! random schedules of it.
//!
//! Batches are sent from a few *places*. Each place is a producer of its own to the server and has
//! at most one batch in flight, under one number. The batch is sent again unchanged until the
//! server replies; since the server remembers the last number of each producer, it is written
//! exactly once. A batch that the server certainly undid may be taken apart, and its events sent
//! under other numbers.

pub(crate) mod admission;
pub(crate) mod batch;
mod clock;
mod intake;
mod lanes;
mod loss;
pub(crate) mod notice;
mod outcome;
mod poll;
mod rejections;
#[cfg(test)]
mod simulation;
mod take_apart;
#[cfg(test)]
mod tests;

pub(crate) use clock::Instant;
pub(crate) use intake::Submitted;

use std::sync::Arc;

use crate::engine::batch::Batch;
use crate::engine::lanes::{Lanes, Tenant};
use crate::engine::loss::{Losses, Note};
use crate::engine::notice::{Notice, Notices};
use crate::error::Remedy;
use crate::options::Options;
use crate::stats::{Health, Stats};
use crate::{Error, Outcome};

/// Most tenants that [`Health`] names.
const MOST_NAMED: usize = 10;

/// What the sender (thread or task) has to do now.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send the batch from its place, then report how it went.
    Send(Arc<Batch>),
    /// Wait until that time, or until another call of the engine changes something.
    Wait(Option<Instant>),
    /// End: the writer is closed and nothing is left.
    End,
}

/// The caller that waits for an event, and the result for it.
pub(crate) type Reply<W> = (W, Result<Outcome, Error>);

/// A batch in flight: sent, or waiting to be sent again.
struct InFlight<W> {
    batch: Arc<Batch>,
    /// Sequence numbers of its events from the queue, each with the caller that waits for it. Notes
    /// of losses follow them in the batch.
    items: Vec<(u64, Option<W>)>,
    size: usize,
    tenants: Vec<Tenant>,
    notes: Vec<Note>,
    begun: Instant,
    tries: u32,
    state: State,
    /// True if it may have been written although no try was acknowledged.
    is_in_doubt: bool,
    /// True if it holds events that were held up, or that may hold others up.
    is_apart: bool,
    /// Set if it is to be taken apart as soon as it is known not to be written: the error, and how.
    fence: Option<(Error, Remedy)>,
}

impl<W> InFlight<W> {
    /// Returns what to send: the batch, or an empty one of its number that asks whether it was
    /// written.
    fn to_send(&self) -> Arc<Batch> {
        match self.fence {
            None => Arc::clone(&self.batch),
            Some(_) => Arc::new(Batch { with_verdicts: false, ..Batch::like(&self.batch) }),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The sender has it: it is on the wire, or will be at once.
    Sent,
    /// The sender connects first.
    Connecting,
    RetryAt(Instant),
}

/// One of the places that batches are sent from, each with a connection of its own.
struct Place<W> {
    next_batch: i64,
    in_flight: Option<InFlight<W>>,
    /// True if its last batch was answered.
    is_open: bool,
    /// How often in a row it found no connection while another place had one.
    refused: u32,
    /// It is not used before this time.
    shut_until: Instant,
}

/// State of the sender (thread or task). Waking it costs the caller of `log()` some microseconds,
/// ten times the rest of the call, so it is woken only when needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Busy, and asks again by itself; or no place is free, so that waking it is of no use.
    Active,
    /// Waits until a time before which no event is due; a full batch wakes it.
    Dozing,
    /// Waits until it is woken.
    Asleep,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes no more events, and sends those it has.
    Closing,
    Closed,
}

/// The state machine; see the module. `W` is a caller that waits for one event.
pub(crate) struct Engine<W> {
    options: Arc<Options>,
    lanes: Lanes<W>,
    places: Vec<Place<W>>,
    /// Events and bytes of the batches in flight, without notes.
    in_flight_size: (usize, usize),
    /// Since when the oldest ready event has been waiting for others.
    waits_since: Instant,
    /// When the sender first found the queue empty.
    empty_since: Option<Instant>,
    sender: Sender,
    /// Events up to this sequence number are sent without lingering.
    flush_through: u64,
    phase: Phase,
    /// When a writer that closes ends, done or not.
    close_by: Option<Instant>,
    losses: Losses,
    /// True if the last batch was answered.
    is_path_open: bool,
    /// True if the last batch that was begun went apart: with one place, the next one need not.
    was_apart: bool,
    /// True after a batch with notes was refused: notes are then sent in batches of their own.
    notes_go_alone: bool,
    notices: Notices,
    /// The random number of the last failure, which decides how long to wait.
    chance: f64,
    /// Results for waiting callers, until they are taken.
    replies: Vec<Reply<W>>,
    stats: Stats,
    /// Lets the simulation account for notes.
    #[cfg(test)]
    pub(crate) note_ends: NoteEnds,
}

/// Counts notes that came back to the pending losses, and notes that were refused or may be lost.
#[cfg(test)]
#[derive(Clone, Copy, Default)]
pub(crate) struct NoteEnds {
    pub(crate) dropped: u64,
    pub(crate) gone: u64,
}

impl<W> Engine<W> {
    /// Returns an engine with an empty queue.
    pub(crate) fn new(options: Arc<Options>) -> Self {
        let place = || Place {
            next_batch: 1,
            in_flight: None,
            is_open: false,
            refused: 0,
            shut_until: Instant::ZERO,
        };
        Engine {
            lanes: Lanes::new(),
            places: (0..options.in_flight.max(1)).map(|_| place()).collect(),
            options,
            in_flight_size: (0, 0),
            waits_since: Instant::ZERO,
            empty_since: None,
            sender: Sender::Active,
            flush_through: 0,
            phase: Phase::Open,
            close_by: None,
            losses: Losses::default(),
            is_path_open: false,
            was_apart: false,
            notes_go_alone: false,
            notices: Notices::default(),
            chance: 1.0,
            replies: Vec::new(),
            stats: Stats::default(),
            #[cfg(test)]
            note_ends: NoteEnds::default(),
        }
    }

    fn in_flight(&self) -> impl Iterator<Item = &InFlight<W>> {
        self.places.iter().filter_map(|place| place.in_flight.as_ref())
    }

    /// Returns the counts so far.
    pub(crate) fn stats(&self) -> Stats {
        let in_flight: usize = self.in_flight().map(|batch| batch.batch.events.len()).sum();
        Stats { pending: (self.lanes.len() + in_flight) as u64, ..self.stats }
    }

    /// Returns how the writer is doing.
    pub(crate) fn health(&self, now: Instant) -> Health {
        let since = self.notices.failing_since();
        Health {
            is_reaching: self.is_path_open,
            in_flight: self.in_flight().count(),
            stalled_tenants: self.lanes.stalled().count(),
            stalled: self.lanes.stalled().take(MOST_NAMED).collect(),
            failing_for: since.map(|since| now.saturating_sub(since)),
            last_failure: self.notices.last_failure(),
            rejections: self.notices.rejections(),
        }
    }

    /// Returns events and bytes that count against the bounds of the queue.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.lanes.len() + self.in_flight_size.0, self.lanes.bytes() + self.in_flight_size.1)
    }

    /// Sends what is queued now without lingering; returns the mark for [`Engine::is_done`].
    pub(crate) fn flush(&mut self) -> u64 {
        self.flush_through = self.lanes.last();
        self.flush_through
    }

    /// Returns true if no event up to the mark is queued or in flight.
    pub(crate) fn is_done(&self, mark: u64) -> bool {
        let holds_mark = |batch: &InFlight<W>| batch.items.iter().any(|(seq, _)| *seq <= mark);
        !self.in_flight().any(holds_mark) && !self.lanes.has_up_to(mark)
    }

    /// Takes no more events, and sends those it has.
    pub(crate) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
    }

    /// Closes, and ends at that time even if events are left.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn close_by(&mut self, until: Instant) {
        self.close();
        self.close_by = Some(until);
    }

    /// Returns true once nothing is left to do.
    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Takes the results that waiting callers are to get.
    pub(crate) fn take_replies(&mut self) -> Vec<Reply<W>> {
        std::mem::take(&mut self.replies)
    }

    /// Takes the notices that are to be published.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Counts tenants whose losses are not reported yet, for tests of the bounds.
    #[cfg(test)]
    pub(crate) fn unreported(&self) -> usize {
        self.losses.held()
    }
}
