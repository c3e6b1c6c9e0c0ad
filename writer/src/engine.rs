//! The writer's engine: queue, batches and retries as a state machine, without a thread, a clock, a
//! random number or a connection of its own. What it is told (time, chance, what the server said)
//! comes in as arguments; what is to be done comes out of [`Engine::poll`]. So it can be simulated,
//! a million schedules of it.
//!
//! Batches go by a few *places*. Each place is a producer of its own to the server, with one batch
//! under way at a time, under one number, which is sent again as it is until the server answers:
//! that, and the server's memory of the producer's last number, make it exactly once. A batch that
//! the server undid for certain may be taken apart, and its events sent under other numbers.

mod intake;
mod outcome;
mod take_apart;
#[cfg(test)]
mod tests;

pub(crate) use intake::Submitted;

use std::sync::Arc;
use std::time::Duration;

use crate::batch::Batch;
use crate::error::Cure;
use crate::lanes::{Lanes, Taken, Tenant};
use crate::loss::{Losses, Note};
use crate::notice::{Notice, Notices};
use crate::options::Options;
use crate::stats::{Health, Stats};
use crate::{Error, Event, Logged};

/// Time since the writer began.
pub(crate) type Instant = Duration;

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

    /// Whether so much may share a batch now that it is sent at once: a batch, or half of what the
    /// queue holds.
    fn is_batch_due(&self) -> bool {
        self.is_there(self.options.batch_events)
    }

    /// Whether whoever asks must be woken for it. A little later than it is due, where a batch may
    /// be larger: by then it has mostly looked by itself.
    fn is_batch_overdue(&self) -> bool {
        let events = self.options.batch_events;
        self.is_there(self.options.most_events.min(events + events / 4))
    }

    fn is_there(&self, most: usize) -> bool {
        let (events, bytes) = self.lanes.ready();
        events >= most.min(self.options.queue_events.div_ceil(2))
            || bytes >= self.options.batch_bytes.min(self.options.queue_bytes / 2)
    }

    fn is_hurried(&self) -> bool {
        self.hurry > 0 && self.lanes.has_ready_up_to(self.hurry)
    }

    /// The place that takes the next batch, and when the next one may, if none does now: one that is
    /// connected, else one that may.
    fn free_place(&self, now: Instant) -> (Option<usize>, Option<Instant>) {
        let free = || self.places.iter().enumerate().filter(|(_, at)| at.under_way.is_none());
        let open = free().find(|(_, place)| place.is_open);
        let place = open.or_else(|| free().find(|(_, place)| place.shut_until <= now));
        match place {
            Some((place, _)) => (Some(place), None),
            None => (None, free().map(|(_, place)| place.shut_until).min()),
        }
    }

    /// Whether what stalls may take one more place: one is always left to others.
    fn may_go_apart(&self) -> bool {
        let apart = self.under_way().filter(|batch| batch.is_apart).count();
        self.places.len() == 1 || apart + 1 < self.places.len()
    }

    /// What is to be done. After [`Action::Send`] somebody else may ask, or nobody.
    pub(crate) fn poll(&mut self, now: Instant) -> Action {
        if self.phase == Phase::Closed || self.close_by.is_some_and(|until| until <= now) {
            return Action::End;
        }
        match self.next(now) {
            Action::Send(batch) => {
                self.sender = Sender::Sleeps;
                Action::Send(batch)
            }
            Action::Wait(until) => Action::Wait(earlier(until, self.close_by)),
            Action::End => Action::End,
        }
    }

    fn next(&mut self, now: Instant) -> Action {
        self.sender = Sender::Awake;
        self.lanes.tidy(now);
        let mut retry_at: Option<Instant> = None;
        for place in &mut self.places {
            let Some(under_way) = &mut place.under_way else { continue };
            let State::RetryAt(at) = under_way.state else { continue };
            if now >= at {
                under_way.state = State::Sent;
                return Action::Send(under_way.to_send());
            }
            retry_at = Some(retry_at.map_or(at, |earlier| earlier.min(at)));
        }
        let (place, opens_at) = self.free_place(now);
        let Some(place) = place else {
            // More events bring nothing forward: nobody need wake whoever waits.
            return Action::Wait(earlier(retry_at, opens_at));
        };
        let apart_at = self.lanes.apart_at().filter(|_| self.may_go_apart());
        let is_apart_due = apart_at.is_some_and(|at| at <= now);
        let (ready, _) = self.lanes.ready();
        let due = self.waits_since + self.options.linger;
        let is_ready_due = ready > 0
            && (self.phase == Phase::Closing
                || self.is_hurried()
                || self.is_batch_due()
                || now >= due);
        // With one place only, both take turns.
        let is_others_turn = is_ready_due && self.places.len() == 1 && self.was_apart;
        if is_apart_due && !is_others_turn {
            let (events, bytes) = (self.options.most_events, self.options.batch_bytes);
            if let Some(taken) = self.lanes.take_apart(now, events, bytes) {
                return Action::Send(self.begin_batch(place, Some(taken), now, true));
            }
        }
        if is_ready_due {
            self.empty_since = None;
            let (events, bytes) = (self.options.most_events, self.options.batch_bytes);
            let taken = self.lanes.take_shared(events, bytes);
            return Action::Send(self.begin_batch(place, Some(taken), now, false));
        }
        let apart_at = apart_at.filter(|at| *at > now);
        let wait_until = earlier(retry_at, apart_at);
        if ready > 0 {
            self.empty_since = None;
            self.sender = Sender::Dozes;
            return Action::Wait(earlier(wait_until, Some(due.min(self.look_at(now)))));
        }
        self.poll_empty(place, now, wait_until)
    }

    /// When a batch will be there, if events go on to come as they did since the first of it. Whoever
    /// asks looks by itself then, so that no caller of `log()` has to wake it.
    fn look_at(&self, now: Instant) -> Instant {
        let since = now.saturating_sub(self.waits_since);
        let (here, all) = (self.lanes.ready().0.max(1), self.options.batch_events);
        let left = since.mul_f64(all.saturating_sub(here) as f64 / here as f64);
        now + left.max(self.options.linger / 64)
    }

    /// Nothing may go now.
    fn poll_empty(&mut self, place: usize, now: Instant, wait_until: Option<Instant>) -> Action {
        let is_closing = self.phase == Phase::Closing;
        // Where the path is not known to be open, a loss is no reason to try it.
        let note_at = self.losses.due_at(is_closing).filter(|_| self.is_path_open);
        if note_at.is_some_and(|at| at <= now) {
            return Action::Send(self.begin_batch(place, None, now, false));
        }
        if is_closing && self.lanes.is_empty() && self.under_way().next().is_none() {
            self.phase = Phase::Closed;
            return Action::End;
        }
        let wait_until = earlier(wait_until, note_at);
        // A linger long it dozes: whoever logs meanwhile need not wake it, since no event is due
        // before that.
        let until = *self.empty_since.get_or_insert(now) + self.options.linger;
        if now < until {
            self.sender = Sender::Dozes;
            return Action::Wait(earlier(wait_until, Some(until)));
        }
        self.sender = Sender::Sleeps;
        Action::Wait(wait_until)
    }

    /// A batch of what was taken, or of notes only.
    fn begin_batch(
        &mut self,
        at: usize,
        taken: Option<Taken<W>>,
        now: Instant,
        is_apart: bool,
    ) -> Arc<Batch> {
        self.was_apart = is_apart;
        let is_of_notes = taken.is_none();
        let none = Taken { items: Vec::new(), tenants: Vec::new(), stalled_since: None };
        let Taken { items: mut taken, tenants, stalled_since } = taken.unwrap_or(none);
        if !is_apart {
            self.waits_since = now;
        }
        let size = taken.iter().map(|item| item.size).sum();
        self.flying = (self.flying.0 + taken.len(), self.flying.1 + size);
        let mut events: Vec<Event> = Vec::with_capacity(taken.len());
        let mut items = Vec::with_capacity(taken.len());
        for item in taken.drain(..) {
            items.push((item.seq, item.waiter));
            events.push(item.event);
        }
        let mut notes = Vec::new();
        if self.is_path_open && !is_apart && (is_of_notes || !self.notes_go_alone) {
            notes = self.losses.take(now, self.phase != Phase::Open);
            self.stats.submitted += notes.len() as u64;
            events.extend(notes.iter().map(|(tenant, loss)| loss.event(*tenant)));
        }
        let place = &mut self.places[at];
        let batch = Arc::new(Batch {
            place: at,
            number: place.next_batch,
            accounts_for: events.len(),
            events,
            with_verdicts: items.iter().any(|(_, waiter)| waiter.is_some()),
            lock_timeout: self.options.lock_timeout.filter(|_| self.lanes.has_many()),
        });
        place.next_batch += 1;
        place.under_way = Some(UnderWay {
            batch: Arc::clone(&batch),
            items,
            size,
            tenants,
            notes,
            begun: stalled_since.unwrap_or(now),
            tries: 0,
            state: State::Sent,
            is_in_doubt: false,
            is_apart,
            fence: None,
        });
        batch
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

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
