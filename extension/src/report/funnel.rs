//! Funnels: who went how far through the steps, in one pass over the events of each.
//!
//! For each step the latest attempt that reached it is kept: a start, and the events that followed.
//! An event of step k carries on the attempt at step k - 1 if it is still within the time, and
//! replaces an attempt at step k only if that began earlier, so that each attempt goes on with the
//! first event that fits. A step that some start leads to is reached from the latest of these
//! starts too.

use std::collections::HashMap;
use std::fmt::Write;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{Internal, pg_sys};

use crate::error::Fault;
use crate::pg::aggregate::{self, with_state};
use crate::pg::datum::Text;
use crate::report::budget::Budget;
use crate::report::json::quote;

/// Most events that are looked at, which are kept in memory until all are there.
const MOST_EVENTS: usize = 20_000_000;
/// Most steps: one bit of an event for each.
const MOST_STEPS: usize = 20;

#[derive(Default)]
struct Funnel {
    options: Options,
    events: usize,
    people: HashMap<Box<str>, Vec<Event>>,
    /// The values that the funnel is broken down by, and the place of each in a list.
    values: HashMap<Box<str>, u32>,
    budget: Budget,
}

/// Bytes that a person takes besides the name and the events, and a value besides its text: the counts
/// of up to 20 steps.
const OF_PERSON: usize = 96;
const OF_VALUE: usize = 900;

#[derive(Clone, Copy, Default)]
struct Options {
    steps: usize,
    any_attempt: bool,
    /// How many values or people to return.
    top: usize,
    /// Return those who left at this step; zero for the counts.
    step: usize,
}

#[derive(Clone, Copy)]
struct Event {
    at: i64,
    id: i64,
    /// When an attempt that begins with it ends; `NEVER` if none may.
    deadline: i64,
    /// A bit for each step that it is of.
    steps: u32,
    /// The place of its value, plus one; zero for none.
    value: u32,
    is_sampled: bool,
}

const NEVER: i64 = i64::MIN;

/// An attempt to go through the steps.
#[derive(Clone)]
struct Attempt {
    deadline: i64,
    value: u32,
    /// When each step was reached.
    times: Vec<i64>,
    /// A bit for each step up to which no event was left out by sampling.
    sampled: u32,
}

/// Returns the attempt that got furthest: the first to get there, and of those that did at the same
/// event the latest. `events` are put in order.
fn best_attempt(events: &mut [Event], options: Options) -> Option<Attempt> {
    events.sort_unstable_by_key(|event| (event.at, event.id));
    let mut latest: Vec<Option<Attempt>> = vec![None; options.steps];
    let mut best: Option<Attempt> = None;
    for (number, event) in events.iter().enumerate() {
        if number % 65_536 == 65_535 {
            pgrx::check_for_interrupts!();
        }
        // From the last step, so that an event is never two steps of one attempt.
        for step in (0..options.steps).rev() {
            if event.steps & (1 << step) == 0 {
                continue;
            }
            let next = if step == 0 {
                let may_begin = event.deadline != NEVER && (options.any_attempt || best.is_none());
                may_begin.then(|| Attempt {
                    deadline: event.deadline,
                    value: event.value,
                    times: vec![event.at],
                    sampled: u32::from(event.is_sampled),
                })
            } else {
                latest[step - 1]
                    .as_ref()
                    .filter(|before| {
                        event.at < before.deadline
                            && latest[step].as_ref().is_none_or(|a| a.deadline < before.deadline)
                    })
                    .map(|before| {
                        let mut next = before.clone();
                        next.times.push(event.at);
                        let is_sampled = event.is_sampled || before.sampled >> (step - 1) & 1 == 1;
                        next.sampled |= u32::from(is_sampled) << step;
                        next
                    })
            };
            let Some(next) = next else { continue };
            if latest[step].as_ref().is_some_and(|attempt| attempt.deadline >= next.deadline) {
                continue;
            }
            if best.as_ref().is_none_or(|best| best.times.len() < next.times.len()) {
                best = Some(next.clone());
            }
            latest[step] = Some(next);
        }
        if best.as_ref().is_some_and(|best| best.times.len() == options.steps) {
            break;
        }
    }
    best
}

/// Those of one value.
#[derive(Clone)]
struct Group {
    reached: Vec<u64>,
    gaps: Vec<Vec<i64>>,
    sampled: u32,
}

impl Group {
    fn new(steps: usize) -> Self {
        Group { reached: vec![0; steps], gaps: vec![Vec::new(); steps], sampled: 0 }
    }

    fn add(&mut self, attempt: &Attempt) {
        for (step, at) in attempt.times.iter().enumerate() {
            self.reached[step] += 1;
            if step > 0 {
                self.gaps[step].push(at.saturating_sub(attempt.times[step - 1]));
            }
        }
        self.sampled |= attempt.sampled;
    }

    fn merge(&mut self, other: Group) {
        for (step, gaps) in other.gaps.into_iter().enumerate() {
            self.reached[step] += other.reached[step];
            self.gaps[step].extend(gaps);
        }
        self.sampled |= other.sampled;
    }

    fn write(&mut self, value: Option<&str>, is_others: bool, json: &mut String) {
        json.push_str("{\"value\":");
        match value {
            Some(value) => quote(value, json),
            None => json.push_str("null"),
        }
        let _ =
            write!(json, ",\"is_others\":{is_others},\"reached\":{:?},\"seconds\":[", self.reached);
        for (step, gaps) in self.gaps.iter_mut().enumerate() {
            let comma = if step > 0 { "," } else { "" };
            let _ = match median(gaps) {
                Some(seconds) => write!(json, "{comma}{seconds}"),
                None => write!(json, "{comma}null"),
            };
        }
        let _ = write!(json, "],\"sampled\":{}}}", self.sampled);
    }
}

/// Returns the median of microseconds in seconds.
fn median(gaps: &mut [i64]) -> Option<f64> {
    let middle = gaps.len().checked_sub(1)? / 2;
    let is_even = gaps.len().is_multiple_of(2);
    let (_, lower, above) = gaps.select_nth_unstable(middle);
    let upper = if is_even { above.iter().min().copied().unwrap_or(*lower) } else { *lower };
    Some((*lower as f64 / 1e6 + upper as f64 / 1e6) / 2.0)
}

impl Funnel {
    fn counts(&self, mut best: impl FnMut(&[Event]) -> Option<Attempt>) -> String {
        let mut groups: HashMap<u32, Group> = HashMap::new();
        for events in self.people.values() {
            pgrx::check_for_interrupts!();
            if let Some(attempt) = best(events) {
                groups
                    .entry(attempt.value)
                    .or_insert_with(|| Group::new(self.options.steps))
                    .add(&attempt);
            }
        }
        let texts: HashMap<u32, &str> =
            self.values.iter().map(|(text, place)| (*place, &**text)).collect();
        let mut ordered: Vec<(Option<&str>, Group)> =
            groups.into_iter().map(|(value, group)| (texts.get(&value).copied(), group)).collect();
        // Those without a value come after those with one of the same size.
        ordered.sort_by(|(a, left), (b, right)| {
            (right.reached[0], a.is_none(), a).cmp(&(left.reached[0], b.is_none(), b))
        });
        let rest = ordered.split_off(ordered.len().min(self.options.top));
        let mut json = String::from("[");
        for (value, mut group) in ordered {
            if json.len() > 1 {
                json.push(',');
            }
            group.write(value, false, &mut json);
        }
        if !rest.is_empty() {
            let mut others = Group::new(self.options.steps);
            for (_, group) in rest {
                others.merge(group);
            }
            json.push(',');
            others.write(None, true, &mut json);
        }
        json.push(']');
        json
    }

    /// Returns those who got to a step and no further, with their last event.
    fn dropouts(&self, mut best: impl FnMut(&[Event]) -> Option<Attempt>) -> String {
        let mut found: Vec<(&str, Event)> = Vec::new();
        for (who, events) in &self.people {
            pgrx::check_for_interrupts!();
            pgrx::check_for_interrupts!();
            let last = events.iter().max_by_key(|event| (event.at, event.id));
            let reached = best(events).map_or(0, |attempt| attempt.times.len());
            if let (true, Some(last)) = (reached == self.options.step, last) {
                found.push((who, *last));
            }
        }
        found.sort_unstable_by_key(|(who, last)| (std::cmp::Reverse(last.at), *who));
        let mut json = String::from("[");
        for (who, last) in found.into_iter().take(self.options.top) {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str("{\"who\":");
            quote(who, &mut json);
            let _ =
                write!(json, ",\"step\":{},\"at\":{}}}", last.steps.trailing_zeros() + 1, last.at);
        }
        json.push(']');
        json
    }
}

fn positive(number: Option<i32>) -> usize {
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

/// Step of `_funnel(who, steps_of_event, at, id, deadline, value, is_sampled, steps, any_attempt,
/// top, step)`.
#[pg_extern(sql = false)]
#[allow(
    clippy::too_many_arguments,
    reason = "the columns of an event, and the options of the funnel"
)]
fn funnel_step(
    state: Internal,
    who: Option<Text<'_>>,
    steps_of_event: Option<i32>,
    at: Option<TimestampWithTimeZone>,
    id: Option<i64>,
    deadline: Option<TimestampWithTimeZone>,
    value: Option<Text<'_>>,
    is_sampled: Option<bool>,
    steps: Option<i32>,
    any_attempt: Option<bool>,
    top: Option<i32>,
    step: Option<i32>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |funnel: &mut Funnel| {
        funnel.options = Options {
            steps: positive(steps).min(MOST_STEPS),
            any_attempt: any_attempt.unwrap_or(true),
            top: positive(top),
            step: positive(step),
        };
        let (Some(who), Some(of), Some(at), Some(id)) = (who, steps_of_event, at, id) else {
            return;
        };
        funnel.events += 1;
        if funnel.events > MOST_EVENTS {
            too_many();
        }
        let value = value.map_or(0, |value| {
            let next = funnel.values.len() as u32 + 1;
            match funnel.values.get(value.as_str()) {
                Some(place) => *place,
                None => {
                    funnel.budget.take(value.as_str().len() + OF_VALUE);
                    *funnel.values.entry(value.as_str().into()).or_insert(next)
                }
            }
        });
        // A list of events doubles when it is full.
        funnel.budget.take(2 * size_of::<Event>());
        let event = Event {
            at: at.into_inner(),
            id,
            deadline: deadline.map_or(NEVER, |deadline| deadline.into_inner()),
            steps: of as u32,
            value,
            is_sampled: is_sampled.unwrap_or(false),
        };
        match funnel.people.get_mut(who.as_str()) {
            Some(events) => events.push(event),
            None => {
                funnel.budget.take(who.as_str().len() + OF_PERSON);
                funnel.people.insert(who.as_str().into(), vec![event]);
            }
        }
    })
}

fn too_many() -> ! {
    Fault::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("the funnel has more than {MOST_EVENTS} events of its steps"),
    )
    .hint("choose a later since, an earlier until or a filter")
    .raise()
}

/// Returns the counts by value and step, or those who left, as JSON.
#[pg_extern(sql = false)]
fn funnel_final(state: Internal) -> Option<String> {
    let funnel = aggregate::state::<Funnel>(&state)?;
    let mut room = Vec::new();
    let best = |events: &[Event]| {
        room.clear();
        room.extend_from_slice(events);
        best_attempt(&mut room, funnel.options)
    };
    Some(if funnel.options.step > 0 { funnel.dropouts(best) } else { funnel.counts(best) })
}
