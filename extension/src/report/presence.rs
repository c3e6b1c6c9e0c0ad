//! The days of a time zone on which actors were active, as bits, to count active actors and those
//! who came back without a sort.
//!
//! A presence is a `bytea`: the number of words of a set, then for each actor the day of the first
//! event (-1 if it is not in the span) and the set of days. Bit 0 is the first day.

use std::collections::HashMap;

use pgrx::datum::{Date, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::{Internal, pg_sys};

use crate::pg::aggregate::{self, array_argument, with_state};
use crate::pg::datum::Text;
use crate::report::budget::Budget;
use crate::report::quarters::{self, instants};

/// Longest span that fits, in days, somewhat above the 3,700 that `eventlog._check_span` allows.
const LONGEST: usize = 3_800;
/// Most periods of a retention, which is a square matrix.
const MOST_PERIODS: usize = 600;

#[derive(Default)]
struct Presence {
    /// The instants at which the days of the span begin, and its end.
    starts: Vec<i64>,
    words: usize,
    actors: HashMap<Box<str>, Actor>,
    budget: Budget,
}

/// Bytes that an actor takes besides the name and the days.
const OF_ACTOR: usize = 96;

struct Actor {
    first: i64,
    days: Box<[u64]>,
}

/// What a row adds for its actor.
#[derive(Clone, Copy)]
struct Purpose {
    is_first: bool,
    is_returning: bool,
}

impl Presence {
    fn begin(&mut self, starts: Vec<i64>) {
        self.starts = starts;
        self.starts.truncate(LONGEST + 1);
        self.words = self.starts.len().div_ceil(64).max(1);
    }

    /// Returns the day of an instant; nothing outside of the span.
    fn day_of(&self, at: i64) -> Option<usize> {
        let day = self.starts.partition_point(|start| *start <= at).checked_sub(1)?;
        (day + 1 < self.starts.len()).then_some(day)
    }

    /// Adds events of an actor, as instants with their days.
    fn add(
        &mut self,
        actor: &str,
        purpose: Purpose,
        events: impl Iterator<Item = (i64, Option<usize>)>,
    ) {
        let known = match self.actors.get_mut(actor) {
            Some(known) => known,
            None => {
                // Once more for the bytes of the result.
                self.budget.take(actor.len() + OF_ACTOR + 16 * self.words);
                self.actors.entry(actor.into()).or_insert_with(|| Actor {
                    first: i64::MAX,
                    days: vec![0; self.words].into_boxed_slice(),
                })
            }
        };
        for (at, day) in events {
            if purpose.is_first {
                known.first = known.first.min(at);
            }
            if let (true, Some(day)) = (purpose.is_returning, day) {
                known.days[day / 64] |= 1 << (day % 64);
            }
        }
    }

    /// Adds the days of a month whose first is `offset` days after the first of the span: the days
    /// of UTC, for those of the same date.
    fn add_days(&mut self, actor: &str, purpose: Purpose, offset: i64, days: i32) {
        let starts = std::mem::take(&mut self.starts);
        let days = bits_of(u64::from(days as u32))
            .filter_map(|bit| usize::try_from(offset + i64::from(bit)).ok())
            .take_while(|day| day + 1 < starts.len())
            .map(|day| (starts[day], Some(day)));
        self.add(actor, purpose, days);
        self.starts = starts;
    }

    /// Adds the quarter-hours of a month, in UTC, which are in order.
    fn add_quarters(&mut self, actor: &str, purpose: Purpose, month: i32, quarters: &[u8]) {
        let starts = std::mem::take(&mut self.starts);
        let mut passed = 0;
        let days = quarters::starts(month, quarters).filter_map(|at| {
            if passed == 0 {
                passed = starts.partition_point(|start| *start <= at);
            }
            while starts.get(passed).is_some_and(|start| *start <= at) {
                passed += 1;
            }
            let day = passed.checked_sub(1).filter(|_| passed < starts.len())?;
            Some((at, Some(day)))
        });
        self.add(actor, purpose, days);
        self.starts = starts;
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(8 + self.actors.len() * 8 * (1 + self.words));
        bytes.extend((self.words as u64).to_le_bytes());
        for actor in self.actors.values() {
            let first = self.day_of(actor.first).and_then(|day| i64::try_from(day).ok());
            bytes.extend(first.unwrap_or(-1).to_le_bytes());
            bytes.extend(actor.days.iter().flat_map(|word| word.to_le_bytes()));
        }
        bytes
    }
}

/// Step of `_presence(actor, month, days, quarters, at, is_first, is_returning, first_day,
/// day_starts)`. A row is a month of the rollup (with quarters, or with days of UTC alone), or one
/// instant.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the columns of a row")]
fn presence_step(
    state: Internal,
    actor: Option<Text<'_>>,
    month: Option<Date>,
    days: Option<i32>,
    quarters: Option<&[u8]>,
    at: Option<TimestampWithTimeZone>,
    is_first: Option<bool>,
    is_returning: Option<bool>,
    first_day: Option<Date>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |presence: &mut Presence| {
        if presence.starts.is_empty() {
            presence.begin(instants(array_argument(fcinfo, 9), "day_starts"));
        }
        let (Some(actor), Some(first_day)) = (actor.as_ref().map(Text::as_str), first_day) else {
            return;
        };
        let purpose = Purpose {
            is_first: is_first.unwrap_or(false),
            is_returning: is_returning.unwrap_or(false),
        };
        if let Some(at) = at {
            let at = at.into_inner();
            let day = presence.day_of(at);
            presence.add(actor, purpose, std::iter::once((at, day)));
        } else if let Some(month) = month {
            let month = month.to_pg_epoch_days();
            match (quarters, days) {
                (Some(quarters), _) => {
                    presence.add_quarters(actor, purpose, month, quarters);
                }
                (None, Some(days)) => {
                    let offset = i64::from(month) - i64::from(first_day.to_pg_epoch_days());
                    presence.add_days(actor, purpose, offset, days);
                }
                (None, None) => {}
            }
        }
    })
}

#[pg_extern(sql = false)]
fn presence_final(state: Internal) -> Option<Vec<u8>> {
    let presence = aggregate::state::<Presence>(&state)?;
    Some(presence.bytes())
}

/// Goes through the actors: the words of each, the first day among them.
fn for_each(presence: &[u8], mut actor: impl FnMut(&[u64])) {
    let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
    let Some((size, actors)) = presence.split_at_checked(8) else { return };
    let size = usize::try_from(word(size)).unwrap_or(0).saturating_add(1);
    let mut words = Vec::new();
    for bytes in actors.chunks_exact(size.saturating_mul(8)) {
        words.clear();
        words.extend(bytes.chunks_exact(8).map(word));
        actor(&words);
    }
}

/// Returns the bits that are set, in order.
fn bits_of(mut left: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = left.trailing_zeros();
        left &= left.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

/// Returns the days of a set, in order.
fn days_of(set: &[u64]) -> impl Iterator<Item = usize> {
    set.iter()
        .enumerate()
        .flat_map(|(index, word)| bits_of(*word).map(move |bit| index * 64 + bit as usize))
}

/// Returns for each day how many actors were active on it or on one of the `days_back - 1` days
/// before.
#[pg_extern(sql = false)]
fn present_within(presence: &[u8], days_back: i32, days: i32) -> Vec<i32> {
    let days = usize::try_from(days).unwrap_or(0).min(LONGEST);
    let window = usize::try_from(days_back).unwrap_or(0);
    // Where actors become active, and where they cease to be. An active day counts to the end of its
    // window, which the next active day extends.
    let mut changes = vec![0; days + 1];
    for_each(presence, |actor| {
        let mut until = 0;
        for day in days_of(&actor[1..]).take_while(|day| *day < days) {
            if day >= until {
                changes[until] -= i32::from(until > 0);
                changes[day] += 1;
            }
            until = (day + window).min(days);
        }
        changes[until] -= i32::from(until > 0);
    });
    let mut active = 0;
    changes.truncate(days);
    for change in &mut changes {
        active += *change;
        *change = active;
    }
    changes
}

/// Returns a matrix, row by row: of the actors whose first day lies in a period, how many were
/// active in that period, in the one after it, and so on. `starts` are the first days of the
/// periods, and the end of the last. Each row begins with the size of the cohort.
#[pg_extern(sql = false)]
fn retention_of(presence: &[u8], starts: Vec<Option<i32>>) -> Vec<i32> {
    let starts: Vec<usize> = starts
        .into_iter()
        .take(MOST_PERIODS + 1)
        .map(|start| usize::try_from(start.unwrap_or(0)).unwrap_or(0).min(LONGEST))
        .collect();
    let periods = starts.len().saturating_sub(1);
    let width = periods + 1;
    let mut matrix = vec![0; periods * width];
    let period_of = |day: usize| starts.partition_point(|start| *start <= day).checked_sub(1);
    for_each(presence, |actor| {
        // -1 is no day.
        let first = usize::try_from(actor[0] as i64).ok();
        let Some(cohort) = first.and_then(period_of).filter(|period| *period < periods) else {
            return;
        };
        matrix[cohort * width] += 1;
        let mut last = None;
        for period in days_of(&actor[1..]).filter_map(period_of) {
            if (cohort..periods).contains(&period) && last != Some(period) {
                matrix[cohort * width + 1 + period - cohort] += 1;
                last = Some(period);
            }
        }
    });
    matrix
}
