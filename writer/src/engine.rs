//! The writer's engine: queue, batches and retries as a state machine, without a thread, a clock, a
//! random number or a connection of its own. What it is told (time, chance, what the server said)
//! comes in as arguments; what is to be done comes out of [`Engine::poll`]. So it can be simulated,
//! a million schedules of it.
//!
//! One batch is under way at a time, under one number, and it is sent again as it is until the
//! server answers: that, and the server's memory of the last number, make it exactly once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use crate::batch::{Answer, Batch, Verdict};
use crate::error::Kind;
use crate::loss::Loss;
use crate::options::{Options, WhenFull};
use crate::stats::{Report, Stats};
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

/// What became of an event that was submitted.
#[derive(Debug)]
pub(crate) enum Submitted<W> {
    /// The sample leaves it out.
    LeftOut(Option<W>),
    /// It is in the queue; whether whoever sends should look.
    Queued { is_news: bool },
    /// It was not taken, and is counted as what the error says.
    Refused(Error, Option<W>),
    /// There is no room yet; nothing is counted.
    Full(Event, Option<W>),
}

/// Whoever waits for an event, and what became of it.
pub(crate) type Told<W> = (W, Result<Option<i64>, Error>);

struct Item<W> {
    event: Event,
    size: usize,
    at: Instant,
    number: u64,
    waiter: Option<W>,
}

/// The batch under way.
struct UnderWay<W> {
    batch: Arc<Batch>,
    size: usize,
    waiters: Vec<(usize, W)>,
    /// Number of its first item.
    first: u64,
    first_sent: Instant,
    tries: u32,
    state: State,
}

enum State {
    Sent,
    RetryAt(Instant),
}

/// See the module. `W` is whoever waits for a single event.
pub(crate) struct Engine<W> {
    options: Options,
    queue: VecDeque<Item<W>>,
    queue_bytes: usize,
    under_way: Option<UnderWay<W>>,
    next_batch: i64,
    next_item: u64,
    /// Since when the queue was empty, as far as the sender looked.
    empty_since: Option<Instant>,
    /// Whether the sender sleeps until it is woken.
    is_asleep: bool,
    /// Items up to this number are sent without lingering.
    hurry: u64,
    is_closing: bool,
    is_closed: bool,
    loss: Option<Loss>,
    /// Whether a fault was reported since the last batch that went well.
    has_reported: bool,
    /// Whom to tell what, until it is taken.
    told: Vec<Told<W>>,
    stats: Stats,
}

impl<W> Engine<W> {
    pub(crate) fn new(options: Options) -> Self {
        Engine {
            options,
            queue: VecDeque::new(),
            queue_bytes: 0,
            under_way: None,
            next_batch: 1,
            next_item: 1,
            empty_since: None,
            is_asleep: true,
            hurry: 0,
            is_closing: false,
            is_closed: false,
            loss: None,
            has_reported: false,
            told: Vec::new(),
            stats: Stats::default(),
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn stats(&self) -> Stats {
        let under_way = self.under_way.as_ref().map_or(0, |under_way| under_way.batch.len());
        Stats { pending: (self.queue.len() + under_way) as u64, ..self.stats }
    }

    /// Events and bytes that are held, the batch under way included.
    pub(crate) fn held(&self) -> (usize, usize) {
        let (events, bytes) = match &self.under_way {
            Some(under_way) => (under_way.batch.len(), under_way.size),
            None => (0, 0),
        };
        (self.queue.len() + events, self.queue_bytes + bytes)
    }

    fn is_full(&self, size: usize) -> bool {
        !self.has_room(1, size)
    }

    /// Whether there is room for that many more events, of that many bytes together.
    pub(crate) fn has_room(&self, events: usize, bytes: usize) -> bool {
        let (held, held_bytes) = self.held();
        // One event always finds room in an empty queue, however large it is.
        let is_alone = held == 0 && events == 1;
        held + events <= self.options.queue_events
            && (is_alone || held_bytes + bytes <= self.options.queue_bytes)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Takes an event, if there is room.
    pub(crate) fn submit(
        &mut self,
        mut event: Event,
        waiter: Option<W>,
        now: Instant,
        wall: SystemTime,
    ) -> Submitted<W> {
        if self.is_closing {
            self.stats.submitted += 1;
            self.stats.dropped += 1;
            return Submitted::Refused(Error::lost("the writer is closed"), waiter);
        }
        let most = self.options.max_payload;
        if event.data.len() > most {
            let found = event.data.len();
            event.fault = Some(format!("the payload is too large: {found} bytes, limit {most}"));
        }
        if let Some(fault) = event.fault.take() {
            self.stats.submitted += 1;
            self.stats.rejected += 1;
            return Submitted::Refused(Error::rejected(None, fault), waiter);
        }
        if !self.keeps(&event) {
            self.stats.submitted += 1;
            self.stats.sampled += 1;
            return Submitted::LeftOut(waiter);
        }
        if !event.has_clock {
            event.occurred_at.get_or_insert(wall);
        }
        event.tenant_id = event.tenant_id.or(self.options.tenant);
        let size = event.size();
        if self.is_full(size) {
            match self.options.when_full {
                WhenFull::DropOldest if !self.queue.is_empty() => {
                    while self.is_full(size)
                        && let Some(oldest) = self.queue.pop_front()
                    {
                        self.queue_bytes -= oldest.size;
                        self.stats.dropped += 1;
                        self.lose(oldest.event.tenant_id, oldest.event.occurred_at.unwrap_or(wall));
                        let lost = Error::lost("newer events took its place in the queue");
                        self.told.extend(oldest.waiter.map(|waiter| (waiter, Err(lost))));
                    }
                    if self.is_full(size) {
                        return self.drop_newest(event, waiter, wall);
                    }
                }
                WhenFull::Block(_) => return Submitted::Full(event, waiter),
                _ => return self.drop_newest(event, waiter, wall),
            }
        }
        self.stats.submitted += 1;
        let is_news = self.push(event, size, waiter, now);
        Submitted::Queued { is_news }
    }

    /// Whether the samples that are taken here keep it.
    fn keeps(&self, event: &Event) -> bool {
        let sample = self.options.samples.iter().find(|sample| sample.name == event.name);
        let Some(sample) = sample else { return true };
        let key = match &sample.key {
            Some(key) => event.text_of(key),
            None => event.actor.clone(),
        };
        key.is_none_or(|key| eventlog_rules::is_sampled(&key, sample.rate))
    }

    /// Gives an event up for which there was no room.
    pub(crate) fn drop_newest(
        &mut self,
        event: Event,
        waiter: Option<W>,
        wall: SystemTime,
    ) -> Submitted<W> {
        self.stats.submitted += 1;
        self.stats.dropped += 1;
        self.lose(event.tenant_id, event.occurred_at.unwrap_or(wall));
        Submitted::Refused(Error::lost("the queue is full"), waiter)
    }

    /// Whether the sender should look: for the event that fills a batch, and for the first one if it
    /// sleeps. Waking it costs the caller 2 to 3 µs, ten times what the rest of `log()` does.
    fn push(&mut self, event: Event, size: usize, waiter: Option<W>, now: Instant) -> bool {
        let was_due = self.is_batch_due();
        self.queue_bytes += size;
        let number = self.next_item;
        self.next_item += 1;
        self.queue.push_back(Item { event, size, at: now, number, waiter });
        let wakes = std::mem::take(&mut self.is_asleep);
        self.under_way.is_none() && (wakes || (!was_due && self.is_batch_due()))
    }

    fn is_batch_due(&self) -> bool {
        self.queue.len() >= self.options.batch_events
            || self.queue_bytes >= self.options.batch_bytes
    }

    fn lose(&mut self, tenant: Option<Uuid>, at: SystemTime) {
        self.loss.get_or_insert_with(|| Loss::new(at)).add(tenant, at);
    }

    /// What is to be done.
    pub(crate) fn poll(&mut self, now: Instant) -> Action {
        if self.is_closed {
            return Action::End;
        }
        if let Some(under_way) = &mut self.under_way {
            return match under_way.state {
                State::RetryAt(at) if now >= at => {
                    under_way.state = State::Sent;
                    Action::Send(Arc::clone(&under_way.batch))
                }
                State::RetryAt(at) => Action::Wait(Some(at)),
                State::Sent => Action::Wait(None),
            };
        }
        let Some(first) = self.queue.front() else {
            if self.is_closing {
                self.is_closed = true;
                return Action::End;
            }
            // A linger long it dozes: whoever logs meanwhile need not wake it, since no event is due
            // before that.
            let until = *self.empty_since.get_or_insert(now) + self.options.linger;
            self.is_asleep = now >= until;
            return Action::Wait((!self.is_asleep).then_some(until));
        };
        self.empty_since = None;
        let due = first.at + self.options.linger;
        let is_hurried = self.is_closing || first.number <= self.hurry;
        if is_hurried || now >= due || self.is_batch_due() {
            return Action::Send(self.begin_batch(now));
        }
        Action::Wait(Some(due))
    }

    fn begin_batch(&mut self, now: Instant) -> Arc<Batch> {
        let mut batch = Batch { number: self.next_batch, ..Batch::default() };
        self.next_batch += 1;
        let first = self.queue.front().map_or(0, |item| item.number);
        let (mut size, mut waiters) = (0, Vec::new());
        while let Some(item) = self.queue.front() {
            let fits = batch.len() < self.options.batch_events
                && (batch.len() == 0 || size + item.size <= self.options.batch_bytes);
            if !fits {
                break;
            }
            let item = self.queue.pop_front().expect("it is there");
            self.queue_bytes -= item.size;
            size += item.size;
            if let Some(waiter) = item.waiter {
                waiters.push((batch.len(), waiter));
            }
            batch.push(item.event);
        }
        batch.with_verdicts = !waiters.is_empty() || self.options.on_error.is_some();
        let batch = Arc::new(batch);
        self.under_way = Some(UnderWay {
            batch: Arc::clone(&batch),
            size,
            waiters,
            first,
            first_sent: now,
            tries: 0,
            state: State::Sent,
        });
        batch
    }

    /// The server answered. The fault of the first event that it refused, if that is to be reported.
    pub(crate) fn answered(&mut self, answer: Answer, now: Instant) -> Option<Error> {
        let under_way = self.under_way.take()?;
        let all = under_way.batch.len() as u64;
        self.stats.written += answer.written;
        self.stats.duplicate += answer.duplicate;
        self.stats.sampled += answer.sampled;
        self.stats.rejected += answer.rejected;
        // A log that is disabled answers with zeros: its owner wants the events left out.
        let counted = answer.written + answer.duplicate + answer.sampled + answer.rejected;
        self.stats.sampled += all.saturating_sub(counted);

        let refused = answer.verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Rejected(error) => Some(error.clone()),
            _ => None,
        });
        let report = refused.filter(|_| !self.has_reported);
        self.has_reported = answer.rejected > 0;
        self.told.extend(under_way.waiters.into_iter().map(|(place, waiter)| {
            let told = match answer.verdicts.get(place) {
                Some(Verdict::Stored(id)) => Ok(*id),
                Some(Verdict::Rejected(error)) => Err(error.clone()),
                // Left out; or the answer to a batch that the server had seen, which says how
                // many were written and not which ids they got.
                Some(Verdict::LeftOut) | None => Ok(None),
            };
            (waiter, told)
        }));
        self.report_loss(now);
        report
    }

    /// Puts the event that tells of lost ones into the queue: the path is open again.
    fn report_loss(&mut self, now: Instant) {
        if self.is_closing {
            return;
        }
        let Some(loss) = self.loss.take() else { return };
        let event = loss.event();
        let size = event.size();
        if self.is_full(size) {
            // It waits for room, and grows meanwhile.
            self.loss = Some(loss);
            return;
        }
        self.stats.submitted += 1;
        self.push(event, size, None, now);
    }

    /// The batch could not be sent, or was refused whole. What is to be reported, if anything.
    pub(crate) fn failed(
        &mut self,
        error: &Error,
        now: Instant,
        wall: SystemTime,
        chance: f64,
    ) -> Option<Error> {
        let under_way = self.under_way.as_mut()?;
        under_way.tries += 1;
        let is_hopeless = error.kind() == Kind::Permanent;
        let is_over = self
            .options
            .give_up_after
            .is_some_and(|time| now.saturating_sub(under_way.first_sent) >= time);
        if !is_hopeless && !is_over {
            // Full jitter: between nothing and twice the wait of the last time.
            let doublings = (under_way.tries - 1).min(20);
            let most = (self.options.retry_base * (1 << doublings)).min(self.options.retry_max);
            under_way.state = State::RetryAt(now + most.mul_f64(chance.clamp(0.0, 1.0)));
            return None;
        }
        let under_way = self.under_way.take().expect("checked above");
        let events = under_way.batch.len() as u64;
        if is_hopeless {
            self.stats.rejected += events;
        } else {
            self.stats.dropped += events;
            let batch = &under_way.batch;
            for (tenant, at) in batch.tenant_ids.iter().zip(&batch.occurred_at) {
                self.lose(*tenant, at.unwrap_or(wall));
            }
        }
        self.told
            .extend(under_way.waiters.into_iter().map(|(_, waiter)| (waiter, Err(error.clone()))));
        let report = (!self.has_reported).then(|| error.clone());
        self.has_reported = true;
        report
    }

    /// Sends what is queued now without lingering; the mark that `is_done` takes.
    pub(crate) fn hurry(&mut self) -> u64 {
        self.hurry = self.next_item - 1;
        self.hurry
    }

    /// Whether everything up to the mark has an end.
    pub(crate) fn is_done(&self, mark: u64) -> bool {
        let first = self.under_way.as_ref().map(|under_way| under_way.first);
        let first = first.or(self.queue.front().map(|item| item.number));
        first.is_none_or(|first| first > mark)
    }

    /// Takes no more, and sends what is there.
    pub(crate) fn close(&mut self) {
        self.is_closing = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Whom to tell what became of their events.
    pub(crate) fn take_told(&mut self) -> Vec<Told<W>> {
        std::mem::take(&mut self.told)
    }

    /// Ends at once: what has no answer yet is dropped.
    pub(crate) fn abandon(&mut self) -> Report {
        (self.is_closing, self.is_closed) = (true, true);
        let lost = || Err(Error::lost("the writer ended before there was an answer"));
        let mut unconfirmed = 0;
        if let Some(under_way) = self.under_way.take() {
            unconfirmed = under_way.batch.len() as u64;
            self.told.extend(under_way.waiters.into_iter().map(|(_, waiter)| (waiter, lost())));
        }
        self.stats.dropped += unconfirmed + self.queue.len() as u64;
        self.queue_bytes = 0;
        let waiters = self.queue.drain(..).filter_map(|item| item.waiter);
        self.told.extend(waiters.map(|waiter| (waiter, lost())));
        Report { stats: self.stats(), unconfirmed }
    }
}
