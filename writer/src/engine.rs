//! The writer's engine: queue, batches and retries as a state machine, without a thread, a clock, a
//! random number or a connection of its own. What it is told (time, chance, what the server said)
//! comes in as arguments; what is to be done comes out of [`Engine::poll`]. So it can be simulated,
//! a million schedules of it.
//!
//! One batch is under way at a time, under one number, and it is sent again as it is until the
//! server answers: that, and the server's memory of the last number, make it exactly once.

mod intake;
mod outcome;
#[cfg(test)]
mod tests;

pub(crate) use intake::Submitted;

use std::sync::Arc;
use std::time::Duration;

use crate::batch::Batch;
use crate::loss::{Losses, Note};
use crate::options::Options;
use crate::queue::Queue;
use crate::stats::Stats;
use crate::{Error, Event};

/// Time since the writer began.
pub(crate) type Instant = Duration;

/// What is to be done now.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send the batch, and say how it went.
    Send(Arc<Batch>),
    /// Nothing until then, or until something is said to the engine.
    Wait(Option<Instant>),
    /// Closed, and nothing is left.
    End,
}

/// Whoever waits for an event, and what became of it.
pub(crate) type Told<W> = (W, Result<Option<i64>, Error>);

/// The batch under way.
struct UnderWay<W> {
    batch: Arc<Batch>,
    /// Its events that came from the queue, and their bytes. Notes of losses follow them.
    events: usize,
    size: usize,
    notes: Vec<Note>,
    waiters: Vec<(usize, W)>,
    /// Number of its first event.
    first: u64,
    begun: Instant,
    tries: u32,
    state: State,
    /// Whether it may have been written, though no try was acknowledged.
    is_in_doubt: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Whoever sends has it: it is on the wire, or will be at once.
    Sent,
    /// Whoever sends has to connect first.
    Connecting,
    RetryAt(Instant),
}

/// What whoever sends does meanwhile, as far as waking it matters: that costs the caller of `log()`
/// some microseconds, ten times what the rest of it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// Busy, and will ask by itself.
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
    queue: Queue<W>,
    under_way: Option<UnderWay<W>>,
    next_batch: i64,
    /// Since when the oldest event in the queue waits for others.
    waits_since: Instant,
    /// Since when the queue was empty, as far as whoever sends looked.
    empty_since: Option<Instant>,
    sender: Sender,
    /// Events up to this number are sent without lingering.
    hurry: u64,
    phase: Phase,
    losses: Losses,
    /// Whether the last batch was answered.
    is_path_open: bool,
    /// Whether a fault was reported since the last batch that went well.
    has_reported: bool,
    /// Whom to tell what, until it is taken.
    told: Vec<Told<W>>,
    stats: Stats,
}

impl<W> Engine<W> {
    pub(crate) fn new(options: Arc<Options>) -> Self {
        Engine {
            options,
            queue: Queue::new(),
            under_way: None,
            next_batch: 1,
            waits_since: Instant::ZERO,
            empty_since: None,
            sender: Sender::Awake,
            hurry: 0,
            phase: Phase::Open,
            losses: Losses::default(),
            is_path_open: false,
            has_reported: false,
            told: Vec::new(),
            stats: Stats::default(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let under_way = self.under_way.as_ref().map_or(0, |under_way| under_way.batch.events.len());
        Stats { pending: (self.queue.len() + under_way) as u64, ..self.stats }
    }

    /// Events and bytes that are held against the bounds.
    pub(crate) fn held(&self) -> (usize, usize) {
        let under_way = self.under_way.as_ref();
        let (events, bytes) = under_way.map_or((0, 0), |batch| (batch.events, batch.size));
        (self.queue.len() + events, self.queue.bytes() + bytes)
    }

    fn has_room(&self, size: usize) -> bool {
        self.has_room_for(1, size)
    }

    /// Whether there is room for that many more events, of that many bytes together.
    fn has_room_for(&self, events: usize, bytes: usize) -> bool {
        let (held, held_bytes) = self.held();
        // One event always finds room in an empty queue, however large it is.
        let is_alone = held == 0 && events == 1;
        held + events <= self.options.queue_events
            && (is_alone || held_bytes + bytes <= self.options.queue_bytes)
    }

    /// Whether so much waits that it is sent at once: a batch, or half of what the queue holds.
    fn is_batch_due(&self) -> bool {
        self.is_there(self.options.batch_events)
    }

    /// Whether whoever sends must be woken for it. A little later than it is due, where a batch may
    /// be larger: by then it has mostly looked by itself.
    fn is_batch_overdue(&self) -> bool {
        let events = self.options.batch_events;
        self.is_there(self.options.most_events.min(events + events / 4))
    }

    fn is_there(&self, events: usize) -> bool {
        self.queue.len() >= events.min(self.options.queue_events.div_ceil(2))
            || self.queue.bytes() >= self.options.batch_bytes.min(self.options.queue_bytes / 2)
    }

    fn is_hurried(&self) -> bool {
        !self.queue.is_empty() && self.queue.next() <= self.hurry
    }

    /// What is to be done.
    pub(crate) fn poll(&mut self, now: Instant) -> Action {
        self.sender = Sender::Awake;
        if self.phase == Phase::Closed {
            return Action::End;
        }
        if let Some(under_way) = &mut self.under_way {
            return match under_way.state {
                State::RetryAt(at) if now >= at => {
                    under_way.state = State::Sent;
                    Action::Send(Arc::clone(&under_way.batch))
                }
                // More events bring it no forward: nobody need wake whoever waits for it.
                State::RetryAt(at) => Action::Wait(Some(at)),
                State::Sent | State::Connecting => Action::Wait(None),
            };
        }
        if self.queue.is_empty() {
            return self.poll_empty(now);
        }
        self.empty_since = None;
        let due = self.waits_since + self.options.linger;
        let is_closing = self.phase == Phase::Closing;
        if is_closing || self.is_hurried() || self.is_batch_due() || now >= due {
            return Action::Send(self.begin_batch(now));
        }
        self.sender = Sender::Dozes;
        Action::Wait(Some(due.min(self.look_at(now))))
    }

    /// When a batch will be there, if events go on to come as they did since the first of it. Whoever
    /// sends looks by itself then, so that no caller of `log()` has to wake it.
    fn look_at(&self, now: Instant) -> Instant {
        let since = now.saturating_sub(self.waits_since);
        let (here, all) = (self.queue.len().max(1), self.options.batch_events);
        let left = since.mul_f64(all.saturating_sub(here) as f64 / here as f64);
        now + left.max(self.options.linger / 64)
    }

    fn poll_empty(&mut self, now: Instant) -> Action {
        let is_closing = self.phase == Phase::Closing;
        // Where the path is not known to be open, a loss is no reason to try it.
        let note_at = self.losses.due_at(is_closing).filter(|_| self.is_path_open);
        if note_at.is_some_and(|at| at <= now) {
            return Action::Send(self.begin_batch(now));
        }
        if is_closing {
            self.phase = Phase::Closed;
            return Action::End;
        }
        // A linger long it dozes: whoever logs meanwhile need not wake it, since no event is due
        // before that.
        let until = *self.empty_since.get_or_insert(now) + self.options.linger;
        if now < until {
            self.sender = Sender::Dozes;
            return Action::Wait(Some(note_at.map_or(until, |at| at.min(until))));
        }
        self.sender = Sender::Sleeps;
        Action::Wait(note_at)
    }

    fn begin_batch(&mut self, now: Instant) -> Arc<Batch> {
        let (first, most) = (self.queue.next(), self.options.most_events);
        let mut events: Vec<Event> = Vec::with_capacity(self.queue.len().min(most));
        let (mut size, mut waiters) = (0, Vec::new());
        while events.len() < most {
            let fits = |more| events.is_empty() || size + more <= self.options.batch_bytes;
            let Some(item) = self.queue.pop_if(fits) else { break };
            size += item.size;
            waiters.extend(item.waiter.map(|waiter| (events.len(), waiter)));
            events.push(item.event);
        }
        self.waits_since = now;
        let taken = events.len();
        let mut notes = Vec::new();
        if self.is_path_open {
            notes = self.losses.take(now, self.phase != Phase::Open);
            self.stats.submitted += notes.len() as u64;
            events.extend(notes.iter().map(|(tenant, loss)| loss.event(*tenant)));
        }
        let with_verdicts = !waiters.is_empty() || self.options.on_error.is_some();
        let batch = Arc::new(Batch { number: self.next_batch, events, with_verdicts });
        self.next_batch += 1;
        self.under_way = Some(UnderWay {
            batch: Arc::clone(&batch),
            events: taken,
            size,
            notes,
            waiters,
            first,
            begun: now,
            tries: 0,
            state: State::Sent,
            is_in_doubt: false,
        });
        batch
    }

    /// Sends what is queued now without lingering; the mark that `is_done` takes.
    pub(crate) fn hurry(&mut self) -> u64 {
        self.hurry = self.queue.last();
        self.hurry
    }

    /// Whether everything up to the mark has an end.
    pub(crate) fn is_done(&self, mark: u64) -> bool {
        let under_way = self.under_way.as_ref().map(|under_way| under_way.first);
        under_way.unwrap_or(self.queue.next()) > mark
    }

    /// Takes no more, and sends what is there.
    pub(crate) fn close(&mut self) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Whom to tell what became of their events.
    pub(crate) fn take_told(&mut self) -> Vec<Told<W>> {
        std::mem::take(&mut self.told)
    }

    /// Tenants whose losses are to be told, for tests of the bounds.
    #[cfg(test)]
    pub(crate) fn untold(&self) -> usize {
        self.losses.held()
    }
}
