//! The engine under random schedules: submits, faults, lost acknowledgements, batches that arrive
//! late, tenants that hold locks, events that are refused or take too long, clock jumps, closes. The
//! counts must balance after each step and agree with the server, memory must stay bounded, and every
//! event must get one result, be stored once at most, and in the order of its tenant.

mod server;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fastrand::Rng;
use uuid::Uuid;

use crate::engine::admission::Admission;
use crate::engine::batch::{Answer, Batch};
use crate::engine::loss::{MOST_NOTES, MOST_TENANTS};
use crate::engine::{Action, Engine, Submitted};
use crate::{Error, Event, Options, WhenFull};
use server::{Server, is_note, undone};

fn options(rng: &mut Rng) -> Options {
    let batch_events = rng.usize(1..8);
    let mut options = Options::new()
        .enabled(true)
        .batch_events(batch_events)
        .batch_bytes(rng.usize(300..3_000))
        .queue(rng.usize(1..30), rng.usize(300..10_000))
        .linger(Duration::from_millis(rng.u64(0..20)))
        .when_full(
            *rng.choice(&[
                WhenFull::DropNewest,
                WhenFull::DropOldest,
                WhenFull::Block(Duration::ZERO),
            ])
            .unwrap(),
        )
        .retry(Duration::from_millis(rng.u64(1..50)), Duration::from_millis(rng.u64(50..500)))
        .give_up_after(rng.bool().then(|| Duration::from_millis(rng.u64(1..2_000))))
        .in_flight(rng.usize(1..5))
        .tenant_share(*rng.choice(&[0.0, 0.5, 0.5, 1.0]).unwrap());
    options.most_events += rng.usize(..8);
    options
}

struct World {
    rng: Rng,
    options: Arc<Options>,
    engine: Engine<u64>,
    server: Server,
    now: Duration,
    on_the_way: Vec<Arc<Batch>>,
    /// How many of eight faults are permanent.
    permanent: u8,
    tenants: u64,
    /// Events that were given to the engine, and how many of them after it was closed.
    submitted: u64,
    too_late: u64,
    waiting: HashSet<u64>,
    /// The replies to callers: true if the event may be stored.
    replies: HashMap<u64, bool>,
    is_closing: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let options = Arc::new(options(&mut rng));
        let poison = rng.u8(..3) == 0;
        let slow = rng.u8(..3) == 0;
        World {
            engine: Engine::new(Arc::clone(&options)),
            options,
            server: Server {
                poison: poison.then(|| rng.u64(3..20)),
                slow: slow.then(|| rng.u64(5..20)),
                ..Server::default()
            },
            now: Duration::ZERO,
            on_the_way: Vec::new(),
            permanent: *rng.choice(&[0, 0, 1, 3]).unwrap(),
            tenants: *rng.choice(&[1, 2, 3, 300]).unwrap(),
            submitted: 0,
            too_late: 0,
            waiting: HashSet::new(),
            replies: HashMap::new(),
            is_closing: false,
            rng,
        }
    }

    fn tenant(&mut self) -> Option<Uuid> {
        (self.tenants > 1).then(|| Uuid::from_u128(u128::from(self.rng.u64(..self.tenants))))
    }

    fn submit(&mut self) {
        self.submitted += 1;
        self.too_late += u64::from(self.is_closing);
        let waiter = self.rng.bool().then_some(self.submitted);
        self.waiting.extend(waiter);
        let mut event = Event::new("ping").data(&serde_json::json!({ "n": self.submitted }));
        event.tenant_id = self.tenant();
        event = if self.rng.u8(..4) == 0 { event.idempotency_key("k") } else { event };
        let wall = self.wall();
        let admission = event.admit(&self.options, wall);
        assert!(matches!(admission, Admission::Accepted(_)), "there is no sample and no fault");
        let now = self.now;
        let (held, stats) = (self.engine.held(), self.engine.stats());
        let mut submitted = self.engine.submit(event, admission, waiter, || now, wall);
        if let Submitted::Full(event, waiter) = submitted {
            assert_eq!((held, stats), (self.engine.held(), self.engine.stats()));
            assert!(!self.engine.may_take(event.tenant_id, event.size()));
            submitted = self.engine.drop_newest(event, waiter, || now, wall);
        }
        match submitted {
            Submitted::Queued { .. } => {}
            Submitted::Refused(error, waiter) => {
                assert!(!error.is_unconfirmed());
                if let Some(waiter) = waiter {
                    self.reply(waiter, false);
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn wall(&mut self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.rng.u64(..2_000_000_000))
    }

    fn reply(&mut self, waiter: u64, may_be_stored: bool) {
        assert!(self.replies.insert(waiter, may_be_stored).is_none(), "{waiter} gets two replies");
    }

    /// Asks the engine what to do, as the sender does.
    fn poll(&mut self) -> bool {
        match self.engine.poll(self.now) {
            Action::Send(batch) => {
                let is_busy = |other: &Arc<Batch>| other.place == batch.place;
                assert!(!self.on_the_way.iter().any(is_busy), "two batches at once in one place");
                assert!(batch.place < self.options.in_flight);
                let notes = batch.events.iter().filter(|event| is_note(event)).count();
                let events = batch.events.len() - notes;
                assert!(notes <= MOST_NOTES && events <= self.options.most_events);
                let is_last = batch.events[..events].iter().all(|event| !is_note(event));
                assert!(is_last, "events come before notes");
                let own = |batch: &Batch| -> HashSet<Option<Uuid>> {
                    let events = batch.events.iter().filter(|event| !is_note(event));
                    events.map(|event| event.tenant_id).collect()
                };
                let tenants = own(&batch);
                for other in &self.on_the_way {
                    assert!(tenants.is_disjoint(&own(other)), "a tenant is in two batches");
                }
                self.on_the_way.push(batch);
            }
            Action::Wait(until) => {
                assert!(until.is_none_or(|until| until > self.now), "{until:?} {:?}", self.now);
                return false;
            }
            Action::End => {
                assert_eq!(self.engine.stats().pending, 0);
                return true;
            }
        }
        false
    }

    /// Sends a batch, which may not arrive, or whose answer may get lost.
    fn send(&mut self, is_reliable: bool) {
        if self.on_the_way.is_empty() {
            return;
        }
        let batch = self.on_the_way.swap_remove(self.rng.usize(..self.on_the_way.len()));
        let place = batch.place;
        // Faults of the connector come before anything is on the wire.
        let is_sent = is_reliable || self.rng.u8(..5) > 0;
        if !is_sent || self.rng.bool() {
            self.engine.connecting(place);
        }
        if is_sent {
            assert!(self.engine.connected(place));
        }
        let arrives = is_sent && (is_reliable || self.rng.u8(..4) > 0);
        let is_heard = is_reliable || self.rng.u8(..4) > 0;
        let answer = match arrives {
            true => self.server.receive(&batch, &mut self.rng),
            false => Err(Error::connection("connection reset")),
        };
        let error = match answer {
            Ok(answer) if is_heard => {
                assert!(answer.events() <= batch.accounts_for as u64);
                return self.engine.answered(place, answer, self.now);
            }
            Err(error) if arrives && is_heard => error,
            _ if !arrives && is_sent && self.rng.u8(..8) < self.permanent => undone("42501"),
            _ => {
                if is_sent && !arrives && self.rng.bool() {
                    self.server.may_arrive(&batch);
                }
                Error::connection("connection reset")
            }
        };
        drop(batch);
        let (now, wall, chance) = (self.now, self.wall(), self.rng.f64());
        self.engine.failed(place, error, now, wall, chance);
    }

    fn check(&mut self) {
        let stats = self.engine.stats();
        assert!(stats.is_balanced(), "{stats}");
        let (events, bytes) = self.engine.held();
        assert!(events <= self.options.queue_events, "{events} events held");
        assert!(events <= 1 || bytes <= self.options.queue_bytes, "{bytes} bytes held");
        let notes = stats.pending - events as u64;
        assert!(notes <= (MOST_NOTES * self.options.in_flight) as u64);
        assert!(self.engine.unreported() <= 2 * MOST_TENANTS + MOST_NOTES * self.options.in_flight);
        for (waiter, end) in self.engine.take_replies() {
            let may_be_stored = match end {
                Ok(_) => true,
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    error.is_unconfirmed()
                }
            };
            self.reply(waiter, may_be_stored);
        }
        let notices = self.engine.take_notices();
        assert!(notices.iter().all(|notice| notice.error.events() > 0));
        // Acknowledged events are stored; stored events are acknowledged, in flight, or unconfirmed.
        let there = self.server.there();
        assert!(stats.written <= there, "{stats}, {there} stored");
        let most = stats.written + stats.unconfirmed + stats.pending;
        assert!(there <= most, "{stats}, {there} stored");
    }

    fn step(&mut self, is_late: bool) {
        match self.rng.u8(..12) {
            0..=4 => self.submit(),
            // Time passes, between nothing and hours.
            5 => self.now += Duration::from_millis(self.rng.u64(..100)),
            6 if self.rng.u8(..20) == 0 => {
                self.now += Duration::from_secs(self.rng.u64(..10_000));
            }
            7 if self.rng.u8(..4) == 0 => {
                let mark = self.engine.flush();
                assert!(self.engine.is_done(mark) || self.engine.stats().pending > 0);
            }
            8 if is_late && self.rng.u8(..10) == 0 => {
                self.engine.close();
                self.is_closing = true;
            }
            9 if self.rng.bool() => {
                let tenant = self.tenant();
                self.server.stalled.insert(tenant);
            }
            10 if self.rng.bool() => drop(self.server.stalled.pop_first()),
            11 => self.server.arrive_late(&mut self.rng),
            _ => {}
        }
        self.poll();
        if self.rng.bool() {
            self.send(false);
        }
        self.check();
    }

    fn run(mut self) {
        let steps = self.rng.usize(5..200);
        for step in 0..steps {
            self.step(step > steps * 3 / 4);
        }
        // The end: a close with enough time, or without.
        self.engine.close();
        let has_time = self.rng.u8(..4) > 0;
        self.server.stalled.clear();
        let mut is_over = false;
        for _ in 0..3_000 {
            if !has_time && self.rng.u8(..50) == 0 {
                break;
            }
            is_over = self.poll();
            if is_over {
                break;
            }
            if self.on_the_way.is_empty()
                && let Action::Wait(Some(until)) = self.engine.poll(self.now)
            {
                self.now = until;
            }
            self.send(true);
            self.check();
        }
        assert!(is_over || !has_time, "it ends: {}", self.engine.stats());
        // Batches on the wire when the time is over may arrive.
        let mut is_sent = Vec::new();
        for batch in std::mem::take(&mut self.on_the_way) {
            match self.rng.bool() {
                true => is_sent.push(batch),
                false => self.engine.connecting(batch.place),
            }
        }
        let report = self.engine.abandon();
        for batch in is_sent {
            assert!(!self.engine.connected(batch.place), "it was given up");
            if self.rng.bool() {
                drop(self.server.receive(&batch, &mut self.rng));
            }
        }
        self.server.arrive_late(&mut self.rng);
        self.check();
        let stats = report.stats;
        assert_eq!(stats.pending, 0);
        let replied: HashSet<u64> = self.replies.keys().copied().collect();
        assert_eq!(replied, self.waiting, "every waiting caller gets one reply");
        for (tenant, stored) in &self.server.stored {
            // An event that was given up while on its way may arrive after later ones.
            let in_order = stored.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(in_order || stats.unconfirmed > 0, "{tenant:?}: {stored:?}");
            let once: HashSet<&u64> = stored.iter().collect();
            assert_eq!(once.len(), stored.len(), "{tenant:?}: {stored:?}");
            let is_sound =
                |n: &&u64| self.replies.get(n) == Some(&false) || self.server.is_poison(**n);
            assert_eq!(
                stored.iter().find(is_sound),
                None,
                "its caller was told that it is not stored"
            );
        }
        self.check_losses(stats.dropped, is_over);
    }

    /// Checks what notes reported: never more than was lost, and all of it if the last batch was
    /// answered and no note was lost.
    fn check_losses(&self, dropped: u64, is_over: bool) {
        let notes = self.engine.note_ends;
        let reported: u64 = self.server.reported_lost.values().sum();
        let lost = dropped - self.too_late - notes.dropped;
        assert!(reported <= lost, "{reported} reported, {lost} lost");
        if is_over && self.engine.health(self.now).is_reaching {
            assert_eq!(self.engine.unreported(), 0);
            assert!(notes.gone > 0 || reported == lost, "{reported} reported, {lost} lost");
        }
    }
}

/// `EVENTLOG_PROOF=1` runs a million; `EVENTLOG_SEED` one.
#[test]
fn in_every_schedule_the_account_is_true_and_nothing_is_stored_twice() {
    if let Ok(seed) = std::env::var("EVENTLOG_SEED") {
        return World::new(seed.parse().expect("a number")).run();
    }
    let is_proof = std::env::var_os("EVENTLOG_PROOF").is_some_and(|value| value == "1");
    for seed in 0..if is_proof { 1_000_000 } else { 20_000 } {
        let run = std::panic::catch_unwind(|| World::new(seed).run());
        assert!(run.is_ok(), "EVENTLOG_SEED={seed} repeats it");
    }
}

/// Without faults that lose events, every one is stored, in order.
#[test]
fn after_an_outage_everything_is_sent_in_order() {
    let options = Arc::new(Options::new().enabled(true).queue(100_000, 1 << 30));
    let mut engine: Engine<u64> = Engine::new(Arc::clone(&options));
    let (mut now, mut sent) = (Duration::ZERO, Vec::new());
    let ended = Duration::from_secs(60);
    let wall = SystemTime::UNIX_EPOCH;
    let mut n = 0;
    while now < ended + Duration::from_secs(30) {
        if now < ended {
            n += 1;
            let mut event = Event::new("ping").data(&serde_json::json!({ "n": n }));
            let admission = event.admit(&options, wall);
            let taken = engine.submit(event, admission, None, || now, wall);
            assert!(matches!(taken, Submitted::Queued { .. }));
        }
        if let Action::Send(batch) = engine.poll(now) {
            if now < ended {
                engine.failed(0, Error::connection("connection refused"), now, wall, 0.5);
            } else {
                let written = batch.events.len() as u64;
                sent.extend(batch.events.iter().map(|event| event.payload().to_owned()));
                engine.answered(0, Answer { written, ..Answer::default() }, now);
            }
        }
        now += Duration::from_millis(1);
    }
    let stats = engine.stats();
    assert_eq!((stats.written, stats.submitted, stats.dropped), (60_000, 60_000, 0), "{stats}");
    let expected: Vec<String> = (1..=60_000).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(sent, expected);
}
