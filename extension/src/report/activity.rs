//! The days on which actors were active, as bits, to count actors over days, weeks and months
//! without a sort: 2 ms for 15,000 rows of a rollup, which take 100 ms in SQL.
//!
//! An activity is a `bytea`: the number of words of a set, then for each actor two sets of days,
//! one of the first event of the report and one of the event that shows a return. Bit 0 is the
//! first day.
//!
//! In UTC the days come from the days of a month in the rollup (`_activity`); in other time zones
//! they come from its quarter-hours (`_activity_of_quarters`).

use std::collections::HashMap;

use pgrx::Internal;
use pgrx::datum::{Date, TimestampWithTimeZone};
use pgrx::prelude::*;

use crate::pg::aggregate::{self, array_argument, with_state};
use crate::pg::array::Array;
use crate::pg::datum::Text;
use crate::report::quarters;

/// Longest span that fits, in days, somewhat above the 3,700 that `eventlog._check_span` allows.
const LONGEST: usize = 3_800;
/// Most periods of a retention, which is a square matrix.
const MOST_PERIODS: usize = 600;

#[derive(Default)]
struct Activity {
    words: usize,
    actors: HashMap<Box<str>, Vec<u64>>,
    /// Starts of the days and the end of the last, where days come from quarters.
    starts: Vec<i64>,
}

impl Activity {
    /// Adds the days of a month that starts `offset` days after the first day of the span.
    fn add(&mut self, actor: &str, offset: i32, sets: [i32; 2], days: usize) {
        if self.words == 0 {
            self.words = days.min(LONGEST).div_ceil(64).max(1);
        }
        if let Some(known) = self.actors.get_mut(actor) {
            set_days(known, offset, sets, days);
        } else {
            let mut new = vec![0; 2 * self.words];
            set_days(&mut new, offset, sets, days);
            self.actors.insert(actor.into(), new);
        }
    }

    /// Adds the quarters of a month.
    fn add_quarters(&mut self, actor: &str, month: i32, sets: [Option<&[u8]>; 2]) {
        let Activity { words, actors, starts } = self;
        let days = starts.len().saturating_sub(1).min(LONGEST);
        *words = days.div_ceil(64).max(1);
        for (set, quarters) in sets.into_iter().enumerate() {
            let active = days_of_quarters(starts, month, quarters.unwrap_or_default());
            let mut active = active.take_while(|day| *day < days).peekable();
            // An actor without a day in the span is none of the report's.
            if active.peek().is_none() {
                continue;
            }
            if !actors.contains_key(actor) {
                actors.insert(actor.into(), vec![0; 2 * *words]);
            }
            let known = actors.get_mut(actor).expect("inserted above");
            for day in active {
                known[set * *words + day / 64] |= 1 << (day % 64);
            }
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.words as u64).to_le_bytes().to_vec();
        bytes.extend(self.actors.values().flatten().flat_map(|word| word.to_le_bytes()));
        bytes
    }
}

/// Sets the bits of a month that lie within the `days` of a span.
fn set_days(actor: &mut [u64], offset: i32, sets: [i32; 2], days: usize) {
    let words = actor.len() / 2;
    let (before, start) = match usize::try_from(offset) {
        Ok(start) => (0, start),
        Err(_) => (offset.unsigned_abs(), 0),
    };
    let room = days.min(words * 64).saturating_sub(start).min(63);
    for (set, bits) in actor.chunks_exact_mut(words).zip(sets) {
        let bits = u64::from(bits as u32).checked_shr(before).unwrap_or(0) & ((1 << room) - 1);
        if bits == 0 {
            continue;
        }
        set[start / 64] |= bits << (start % 64);
        if let (Some(next), Some(over)) =
            (set.get_mut(start / 64 + 1), bits.checked_shr(64 - (start % 64) as u32))
        {
            *next |= over;
        }
    }
}

/// Returns the days, by their positions in `starts`, that have one of the quarters of a month: in
/// order, each once.
fn days_of_quarters(
    starts: &[i64],
    month: i32,
    quarters: &[u8],
) -> impl Iterator<Item = usize> + use<> {
    let mut days: Vec<usize> = Vec::new();
    let mut day = None;
    for at in quarters::starts(month, quarters) {
        // Quarters come in order, so the day is the last one or a later one.
        let from = day.unwrap_or(0);
        let passed = starts[from.min(starts.len())..].partition_point(|start| *start <= at);
        if passed == 0 && day.is_none() {
            continue;
        }
        let found = from + passed.saturating_sub(1);
        if found + 1 >= starts.len() {
            break;
        }
        if day != Some(found) {
            days.push(found);
            day = Some(found);
        }
    }
    days.into_iter()
}

/// Returns the instants of an array, in order.
pub(crate) fn instants(array: Option<Array>, what: &str) -> Vec<i64> {
    let Some(array) = array else { return Vec::new() };
    let elements = match array.elements::<TimestampWithTimeZone>(what) {
        Ok(elements) => elements,
        Err(fault) => fault.raise(),
    };
    (0..elements.len()).filter_map(|n| elements.get(n)).map(|at| at.into_inner()).collect()
}

/// Returns the words of a set, and all sets, two for each actor.
fn read(activity: &[u8]) -> (usize, Vec<u64>) {
    let mut words = activity
        .chunks_exact(8)
        .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight bytes")));
    let size = words.next().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    let words: Vec<u64> = words.collect();
    if size == 0 || size > words.len() { (1, Vec::new()) } else { (size, words) }
}

/// Returns the days of a set, in order.
fn days_of(set: &[u64]) -> impl Iterator<Item = usize> {
    set.iter().enumerate().flat_map(|(index, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros() as usize;
            left &= left.wrapping_sub(1);
            (bit < 64).then_some(index * 64 + bit)
        })
    })
}

/// Step of `_activity(actor, day_offset, first_days, returning_days, days)`.
#[pg_extern(sql = false)]
fn activity_step(
    state: Internal,
    actor: Option<Text<'_>>,
    day_offset: Option<i32>,
    first_days: Option<i32>,
    returning_days: Option<i32>,
    days: Option<i32>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |activity: &mut Activity| {
        if let (Some(actor), Some(offset), Some(days)) = (actor, day_offset, days) {
            let sets = [first_days.unwrap_or(0), returning_days.unwrap_or(0)];
            activity.add(actor.as_str(), offset, sets, usize::try_from(days).unwrap_or(0));
        }
    })
}

/// Step of `_activity_of_quarters(actor, month, first_quarters, returning_quarters, day_starts)`.
#[pg_extern(sql = false)]
fn activity_of_quarters_step(
    state: Internal,
    actor: Option<Text<'_>>,
    month: Option<Date>,
    first_quarters: Option<&[u8]>,
    returning_quarters: Option<&[u8]>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |activity: &mut Activity| {
        if activity.starts.is_empty() {
            activity.starts = instants(array_argument(fcinfo, 5), "day_starts");
        }
        if let (Some(actor), Some(month)) = (actor, month) {
            let sets = [first_quarters, returning_quarters];
            activity.add_quarters(actor.as_str(), month.to_pg_epoch_days(), sets);
        }
    })
}

/// Returns the days, counted from 0 for the first of `day_starts`, that have a quarter of the month.
/// The last start is the end of the last day.
#[pg_extern(sql = false)]
fn quarter_days(month: Date, quarters: &[u8], day_starts: Array) -> Vec<i32> {
    let starts = instants(Some(day_starts), "day_starts");
    days_of_quarters(&starts, month.to_pg_epoch_days(), quarters).map(|day| day as i32).collect()
}

#[pg_extern(sql = false)]
fn activity_final(state: Internal) -> Option<Vec<u8>> {
    let activity = aggregate::state::<Activity>(&state)?;
    Some(activity.bytes())
}

/// Returns for each day how many actors were active on it or on one of the `days_back - 1` days
/// before.
#[pg_extern(sql = false)]
fn active_within(activity: &[u8], days_back: i32, days: i32) -> Vec<i32> {
    let days = usize::try_from(days).unwrap_or(0).min(LONGEST);
    let window = usize::try_from(days_back).unwrap_or(0);
    // Where actors become active, and where they cease to be. An active day counts to the end of its
    // window, which the next active day extends.
    let mut changes = vec![0; days + 1];
    let (size, sets) = read(activity);
    for actor in sets.chunks_exact(2 * size) {
        let mut until = 0;
        for day in days_of(&actor[..size]).take_while(|day| *day < days) {
            if day >= until {
                changes[until] -= i32::from(until > 0);
                changes[day] += 1;
            }
            until = (day + window).min(days);
        }
        changes[until] -= i32::from(until > 0);
    }
    let mut active = 0;
    changes.truncate(days);
    for change in &mut changes {
        active += *change;
        *change = active;
    }
    changes
}

/// Returns a matrix, row by row: of the actors whose first day lies in a period, how many returned
/// in that period, in the one after it, and so on. `starts` are the first days of the periods, and
/// the end of the last. Each row begins with the size of the cohort.
#[pg_extern(sql = false)]
fn retained(activity: &[u8], starts: Vec<Option<i32>>) -> Vec<i32> {
    let starts: Vec<usize> = starts
        .into_iter()
        .take(MOST_PERIODS + 1)
        .map(|start| usize::try_from(start.unwrap_or(0)).unwrap_or(0).min(LONGEST))
        .collect();
    let periods = starts.len().saturating_sub(1);
    let width = periods + 1;
    let mut matrix = vec![0; periods * width];
    // The period of a day. The days of one actor come in order.
    let period_of = |day: usize| starts.partition_point(|start| *start <= day).checked_sub(1);
    let (size, sets) = read(activity);
    for actor in sets.chunks_exact(2 * size) {
        let (first, returning) = actor.split_at(size);
        let Some(cohort) = days_of(first).find_map(|day| period_of(day).filter(|p| *p < periods))
        else {
            continue;
        };
        matrix[cohort * width] += 1;
        let mut last = None;
        for period in days_of(returning).filter_map(period_of) {
            if (cohort..periods).contains(&period) && last != Some(period) {
                matrix[cohort * width + 1 + period - cohort] += 1;
                last = Some(period);
            }
        }
    }
    matrix
}
