//! The writer's engine: queue, batches and retries as a state machine, without a thread, a clock, a
//! random number or a connection of its own. What it is told (time, chance, what the server said)
//! comes in as arguments; what is to be done comes out of [`Engine::poll`]. So it can be simulated,
//! a million schedules of it.
//!
//! Batches go by a few *places*. Each place is a producer of its own to the server, with one batch
//! under way at a time, under one number, which is sent again as it is until the server answers:
//! that, and the server's memory of the producer's last number, make it exactly once. A batch that
//! the server undid for certain may be taken apart, and its events sent under other numbers.

pub(crate) mod admission;
pub(crate) mod batch;
mod clock;
mod intake;
mod lanes;
mod loss;
pub(crate) mod notice;
mod outcome;
mod poll;
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
use crate::error::Cure;
use crate::options::Options;
use crate::stats::{Health, Stats};
use crate::{Error, Logged};

/// Most tenants that [`Health`] names.
const MOST_NAMED: usize = 10;

/// What is to be done now.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send the batch from its place, and say how it went.
    Send(Arc<Batch>),
    /// Nothing until then, or until something is said to the engine.
    Wait(Option<Instant>),
    /// Closed, and nothing is left.
    End,
}

/// Whoever waits for an event, and what became of it.
pub(crate) type Told<W> = (W, Result<Logged, Error>);

/// A batch under way.
struct UnderWay<W> {
    batch: Arc<Batch>,
    /// Numbers of its events that came from the queue, and whoever waits for them. Notes of losses
    /// follow them.
    items: Vec<(u64, Option<W>)>,
    size: usize,
    tenants: Vec<Tenant>,
    notes: Vec<Note>,
    begun: Instant,
    tries: u32,
    state: State,
    /// Whether it may have been written, though no try was acknowledged.
    is_in_doubt: bool,
    /// Whether it holds what was held up, or may hold others up.
    is_apart: bool,
    /// Where it is to be taken apart once it is known that it was not written: why.
    fence: Option<(Error, Cure)>,
}

impl<W> UnderWay<W> {
    /// What is sent: the batch, or the question what became of it.
    fn to_send(&self) -> Arc<Batch> {
        match self.fence {
            None => Arc::clone(&self.batch),
            Some(_) => Arc::new(Batch { with_verdicts: false, ..Batch::like(&self.batch) }),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Whoever sends has it: it is on the wire, or will be at once.
    Sent,
    /// Whoever sends has to connect first.
    Connecting,
    RetryAt(Instant),
}

/// A connection's place.
struct Place<W> {
    next_batch: i64,
    under_way: Option<UnderWay<W>>,
    /// Whether its last batch was answered.
    is_open: bool,
    /// How often in a row it found no connection while another place had one, and until when it is
    /// not tried.
    refused: u32,
    shut_until: Instant,
}

/// What whoever asks does meanwhile, as far as waking it matters: that costs the caller of `log()`
/// some microseconds, ten times what the rest of it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Busy, and will ask by itself; or no place is free, so that there is nothing to wake it for.
    Awake,
    /// Waits until a time by which no event is due; a full batch is.
    Dozes,
    /// Waits until it is woken.
    Sleeps,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    /// Takes no more, and sends what is there.
    Closing,
    Closed,
}

/// See the module. `W` is whoever waits for a single event.
pub(crate) struct Engine<W> {
    options: Arc<Options>,
    lanes: Lanes<W>,
    places: Vec<Place<W>>,
    /// Events and bytes of the batches under way, without notes.
    flying: (usize, usize),
    /// Since when the oldest event that may go waits for others.
    waits_since: Instant,
    /// Since when the queue was empty, as far as whoever asks looked.
    empty_since: Option<Instant>,
    sender: Sender,
    /// Events up to this number are sent without lingering.
    hurry: u64,
    phase: Phase,
    /// When a writer that closes ends, done or not.
    close_by: Option<Instant>,
    losses: Losses,
    /// Whether the last batch was answered.
    is_path_open: bool,
    /// Whether the last batch that was begun went apart, so that the next one need not.
    was_apart: bool,
    /// Whether notes go by themselves, since a batch with some was refused.
    notes_go_alone: bool,
    notices: Notices,
    /// Of the last failure, for how long to wait.
    chance: f64,
    /// Whom to tell what, until it is taken.
    told: Vec<Told<W>>,
    stats: Stats,
    /// For the simulation's account of them.
    #[cfg(test)]
    pub(crate) note_ends: NoteEnds,
}

/// How many notes came back to what is to be told, and how many were refused or may not have arrived.
#[cfg(test)]
#[derive(Clone, Copy, Default)]
pub(crate) struct NoteEnds {
    pub(crate) dropped: u64,
    pub(crate) gone: u64,
}

impl<W> Engine<W> {
    pub(crate) fn new(options: Arc<Options>) -> Self {
        let place = || Place {
            next_batch: 1,
            under_way: None,
            is_open: false,
            refused: 0,
            shut_until: Instant::ZERO,
        };
        Engine {
            lanes: Lanes::new(),
            places: (0..options.in_flight.max(1)).map(|_| place()).collect(),
            options,
            flying: (0, 0),
            waits_since: Instant::ZERO,
            empty_since: None,
            sender: Sender::Awake,
            hurry: 0,
            phase: Phase::Open,
            close_by: None,
            losses: Losses::default(),
            is_path_open: false,
            was_apart: false,
            notes_go_alone: false,
            notices: Notices::default(),
            chance: 1.0,
            told: Vec::new(),
            stats: Stats::default(),
            #[cfg(test)]
            note_ends: NoteEnds::default(),
        }
    }

    fn under_way(&self) -> impl Iterator<Item = &UnderWay<W>> {
        self.places.iter().filter_map(|place| place.under_way.as_ref())
    }

    pub(crate) fn stats(&self) -> Stats {
        let under_way: usize = self.under_way().map(|batch| batch.batch.events.len()).sum();
        Stats { pending: (self.lanes.len() + under_way) as u64, ..self.stats }
    }

    pub(crate) fn health(&self, now: Instant) -> Health {
        let since = self.notices.failing_since();
        Health {
            is_reaching: self.is_path_open,
            in_flight: self.under_way().count(),
            stalled_tenants: self.lanes.stalled().count(),
            stalled: self.lanes.stalled().take(MOST_NAMED).collect(),
            failing_for: since.map(|since| now.saturating_sub(since)),
            last_failure: self.notices.last_failure(),
            last_rejection: self.notices.last_rejection(),
        }
    }

    /// Events and bytes that are held against the bounds.
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.lanes.len() + self.flying.0, self.lanes.bytes() + self.flying.1)
    }

    /// Sends what is queued now without lingering; the mark that `is_done` takes.
    pub(crate) fn hurry(&mut self) -> u64 {
        self.hurry = self.lanes.last();
        self.hurry
    }

    /// Whether everything up to the mark has an end.
    pub(crate) fn is_done(&self, mark: u64) -> bool {
        let is_flying = |batch: &UnderWay<W>| batch.items.iter().any(|(seq, _)| *seq <= mark);
        !self.under_way().any(is_flying) && !self.lanes.has_up_to(mark)
    }

    /// Takes no more, and sends what is there.
    pub(crate) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
    }

    /// The same, and is done by then, or ends.
    #[cfg(feature = "asynchronous")]
    pub(crate) fn close_by(&mut self, until: Instant) {
        self.close();
        self.close_by = Some(until);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whom to tell what became of their events.
    pub(crate) fn take_told(&mut self) -> Vec<Told<W>> {
        std::mem::take(&mut self.told)
    }

    /// What is to be said of faults.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        self.notices.take()
    }

    /// Tenants whose losses are to be told, for tests of the bounds.
    #[cfg(test)]
    pub(crate) fn untold(&self) -> usize {
        self.losses.held()
    }
}
