//! Distinct actors by period, whatever its length: hours, days, weeks, months, or a whole span. Rows
//! are months of a rollup, with quarter-hours or with days alone, and single instants. An actor may
//! come in many rows.

use std::collections::HashMap;

use pgrx::datum::{Date, TimestampWithTimeZone};
use pgrx::prelude::*;
use pgrx::{Internal, pg_sys};

use crate::pg::aggregate::{self, array_argument, with_state};
use crate::pg::datum::Text;
use crate::report::budget::Budget;
use crate::report::quarters::{self, DAY, QUARTER, instants};

/// Most periods: the hours of a year, and some more.
const MOST_PERIODS: usize = 10_000;

#[derive(Default)]
struct PeriodActors {
    /// The starts of the periods, in order, and the end of the last.
    bounds: Vec<i64>,
    /// For each actor a bit for each period.
    seen: HashMap<Box<str>, Box<[u64]>>,
    counts: Vec<i64>,
    /// The periods of a row.
    found: Vec<usize>,
    budget: Budget,
}

/// Bytes that an actor takes besides the name and the bits.
const OF_ACTOR: usize = 80;

impl PeriodActors {
    fn begin(&mut self, bounds: Vec<i64>) {
        self.counts = vec![0; bounds.len().saturating_sub(1)];
        self.bounds = bounds;
    }

    fn first(&self) -> i64 {
        self.bounds.first().copied().unwrap_or(i64::MAX)
    }

    fn end(&self) -> i64 {
        self.bounds.last().copied().unwrap_or(i64::MIN)
    }

    /// Adds instants of an actor, in order.
    fn add(&mut self, actor: &str, instants: impl Iterator<Item = i64>) {
        let Self { bounds, seen, counts, found, budget } = self;
        let (mut period, mut ends_at) = (0, i64::MIN);
        found.clear();
        for at in instants.filter(|at| *at != i64::MIN) {
            if at < ends_at {
                continue;
            }
            let after = period + bounds[period..].partition_point(|start| *start <= at);
            if after > 0 && after < bounds.len() {
                (period, ends_at) = (after - 1, bounds[after]);
                found.push(period);
            }
        }
        // An actor who is in no period needs no bits.
        if found.is_empty() {
            return;
        }
        let bits = match seen.get_mut(actor) {
            Some(bits) => bits,
            None => {
                let words = counts.len().div_ceil(64);
                budget.take(actor.len() + OF_ACTOR + 8 * words);
                seen.entry(actor.into()).or_insert_with(|| vec![0; words].into_boxed_slice())
            }
        };
        for period in found.iter() {
            let bit = 1 << (period % 64);
            counts[*period] += i64::from(bits[period / 64] & bit == 0);
            bits[period / 64] |= bit;
        }
    }

    /// Adds the quarter-hours of a month, those that lie wholly in the span: the caller adds the
    /// instants at its ends.
    fn add_quarters(&mut self, actor: &str, month: i32, quarters: &[u8]) {
        let (first, end) = (self.first(), self.end());
        let within = quarters::starts(month, quarters)
            .skip_while(|at| *at < first)
            .take_while(|at| *at <= end - QUARTER);
        self.add(actor, within);
    }

    /// Adds the days of a month in UTC, as if something had happened at noon.
    fn add_days(&mut self, actor: &str, month: i32, days: i32) {
        let (end, month) = (self.end(), i64::from(month) * DAY);
        let within = (0..31).filter(|day| days & (1 << day) != 0).map(|day| {
            let midnight = month + day * DAY;
            if midnight + DAY / 2 < end { midnight + DAY / 2 } else { midnight }
        });
        self.add(actor, within);
    }
}

/// Step of `_period_actors(actor, month, days, quarters, at, bounds)`.
#[pg_extern(sql = false)]
fn period_actors_step(
    state: Internal,
    actor: Option<Text<'_>>,
    month: Option<Date>,
    days: Option<i32>,
    quarters: Option<&[u8]>,
    at: Option<TimestampWithTimeZone>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |periods: &mut PeriodActors| {
        if periods.bounds.is_empty() {
            let mut bounds = instants(array_argument(fcinfo, 6), "bounds");
            bounds.truncate(MOST_PERIODS + 1);
            periods.begin(bounds);
        }
        let Some(actor) = actor.as_ref().map(Text::as_str).filter(|actor| !actor.is_empty()) else {
            return;
        };
        match (at, month, quarters, days) {
            (Some(at), ..) => periods.add(actor, std::iter::once(at.into_inner())),
            (None, Some(month), Some(quarters), _) => {
                periods.add_quarters(actor, month.to_pg_epoch_days(), quarters);
            }
            (None, Some(month), None, Some(days)) => {
                periods.add_days(actor, month.to_pg_epoch_days(), days);
            }
            _ => {}
        }
    })
}

/// Returns the number of actors of each period; null if there was no row.
#[pg_extern(sql = false)]
fn period_actors_final(state: Internal) -> Option<Vec<i64>> {
    Some(aggregate::state::<PeriodActors>(&state)?.counts.clone())
}
