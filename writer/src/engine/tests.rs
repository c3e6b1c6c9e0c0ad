//! The engine step by step, where a random schedule would only show that nothing breaks.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Action, Engine, Instant, Submitted};
use crate::batch::{Answer, Batch};
use crate::loss::EVENTS_LOST;
use crate::{Event, Options};

struct Steps {
    options: Arc<Options>,
    engine: Engine<()>,
    now: Instant,
}

impl Steps {
    fn new(options: Options) -> Self {
        let options = Arc::new(options.enabled(true));
        let engine = Engine::new(Arc::clone(&options));
        Steps { options, engine, now: Duration::ZERO }
    }

    /// Logs an event; whether it wakes whoever sends, nothing where it was not taken.
    fn log(&mut self) -> Option<bool> {
        let (wall, now) = (SystemTime::UNIX_EPOCH, self.now);
        let mut event = Event::new("ping");
        let admission = event.admit(&self.options, wall);
        match self.engine.submit(event, admission, None, || now, wall) {
            Submitted::Queued { wakes } => Some(wakes),
            Submitted::Refused(..) => None,
            other => panic!("{other:?}"),
        }
    }

    fn log_all(&mut self, events: usize) -> usize {
        (0..events).filter(|_| self.log() == Some(true)).count()
    }

    fn sent(&mut self) -> Option<Arc<Batch>> {
        match self.engine.poll(self.now) {
            Action::Send(batch) => Some(batch),
            _ => None,
        }
    }

    fn answer(&mut self, batch: &Batch) {
        let written = batch.events.len() as u64;
        self.engine.answered(batch.place, Answer { written, ..Answer::default() }, self.now);
    }

    /// Events and notes of the batch that is sent and answered.
    fn round(&mut self) -> Option<(usize, usize)> {
        let batch = self.sent()?;
        self.answer(&batch);
        let notes = batch.events.iter().filter(|event| event.name.as_str() == EVENTS_LOST).count();
        Some((batch.events.len() - notes, notes))
    }
}

#[test]
fn two_hundred_events_are_sent_at_once_and_up_to_a_thousand_from_a_backlog() {
    let mut steps = Steps::new(Options::new());
    steps.log_all(199);
    assert!(steps.sent().is_none());
    steps.log();
    let batch = steps.sent().expect("a batch");
    assert_eq!(batch.events.len(), 200);
    // While it is under way.
    steps.log_all(2_300);
    steps.answer(&batch);
    assert_eq!(steps.round(), Some((1_000, 0)));
    assert_eq!(steps.round(), Some((1_000, 0)));
    assert_eq!(steps.round(), Some((300, 0)));
    // Who says how many events a batch has gets no more.
    let mut steps = Steps::new(Options::new().batch_events(50));
    steps.log_all(120);
    assert_eq!(steps.round(), Some((50, 0)));
    assert_eq!(steps.round(), Some((50, 0)));
    assert_eq!(steps.round(), None);
}

#[test]
fn half_a_queue_is_sent_at_once_where_a_batch_would_not_fit() {
    let mut steps = Steps::new(Options::new().queue(100, 1 << 20));
    steps.log_all(49);
    assert!(steps.sent().is_none());
    steps.log();
    assert_eq!(steps.round(), Some((50, 0)));
}

#[test]
fn whoever_sends_is_woken_when_it_sleeps_and_once_for_a_batch_when_it_dozes() {
    let mut steps = Steps::new(Options::new());
    let linger = steps.options.linger;
    // It looks around for a while, and sleeps.
    assert!(matches!(steps.engine.poll(steps.now), Action::Wait(Some(at)) if at == linger));
    steps.now = linger;
    assert!(matches!(steps.engine.poll(steps.now), Action::Wait(None)));
    assert_eq!(steps.log(), Some(true));
    assert_eq!(steps.log(), Some(false), "it is awake");
    // It dozes until the first event is due, or a batch can be expected.
    let Action::Wait(Some(first)) = steps.engine.poll(steps.now) else { panic!() };
    assert!(first < linger * 2);
    steps.now = first;
    let Action::Wait(Some(at)) = steps.engine.poll(steps.now) else { panic!() };
    assert_eq!(at, linger * 2, "at two events in so long there will be no batch before");
    assert_eq!(steps.log_all(400), 1);
    assert_eq!(steps.round(), Some((402, 0)));
}

#[test]
fn at_a_steady_rate_whoever_sends_looks_by_itself_and_no_caller_wakes_it() {
    let mut steps = Steps::new(Options::new());
    let (mut look, mut looks, mut wakes, mut sent) = (Duration::ZERO, 0, 0, 0);
    let mut under_way: Option<(Arc<Batch>, Instant)> = None;
    // 20,000 events a second, for ten seconds; a batch takes 5 ms.
    for n in 0..200_000_u32 {
        steps.now = Duration::from_micros(50) * n;
        let is_woken = steps.log() == Some(true);
        wakes += u32::from(is_woken);
        if let Some((batch, _)) = under_way.take_if(|(_, at)| steps.now >= *at) {
            steps.answer(&batch);
            look = steps.now;
        }
        if under_way.is_some() || (steps.now < look && !is_woken) {
            continue;
        }
        looks += 1;
        match steps.engine.poll(steps.now) {
            Action::Send(batch) => {
                sent += batch.events.len();
                under_way = Some((batch, steps.now + Duration::from_millis(5)));
            }
            Action::Wait(until) => look = until.unwrap_or(Duration::MAX),
            Action::End => panic!(),
        }
    }
    assert!(sent > 199_000 && wakes <= 10 && looks < 4_000, "{sent} {wakes} {looks}");
}

#[test]
fn notes_of_losses_that_go_on_come_every_ten_seconds_and_take_no_events_place() {
    let mut steps = Steps::new(Options::new().batch_events(10).queue(20, 1 << 20));
    let (mut events, mut notes, mut taken) = (0, 0, 0);
    // A minute at twice the events that there is room for.
    for _ in 0..6_000 {
        steps.now += Duration::from_millis(10);
        for _ in 0..20 {
            taken += usize::from(steps.log().is_some());
        }
        let (more, note) = steps.round().expect("a batch");
        assert_eq!(more, 10, "each batch is full of events");
        (events, notes) = (events + more, notes + note);
    }
    assert_eq!(notes, 6);
    assert!(taken - events <= 20);
    // At its end a writer tells what is left to tell.
    steps.engine.close();
    let rounds: Vec<_> = std::iter::from_fn(|| steps.round()).collect();
    assert_eq!(rounds.iter().map(|(_, notes)| notes).sum::<usize>(), 1);
    assert!(steps.engine.is_closed());
    let stats = steps.engine.stats();
    assert_eq!(stats.written, (taken + notes + 1) as u64, "{stats}");
}
