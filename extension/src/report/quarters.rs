//! The quarter-hours of a month in which an actor was active, in UTC. Every time zone there is has
//! days that begin and end with one, so they answer for the days of all of them.
//!
//! Quarters are a `bytea` of two bytes each, big-endian and ascending: 0 is the first quarter-hour of
//! the month, 2975 the last of one with 31 days.

use std::cmp::Ordering;

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;
use pgrx::{Internal, pg_sys};

use crate::pg::aggregate::{self, with_state};
use crate::pg::array::Array;

/// A quarter of an hour in microseconds.
pub(crate) const QUARTER: i64 = 15 * 60 * 1_000_000;
/// A day in microseconds.
pub(crate) const DAY: i64 = 96 * QUARTER;
/// Days from 0000-03-01, the start of a cycle of 400 years, to 2000-01-01, the zero of PostgreSQL.
const CYCLE_TO_ZERO: i32 = 730_425;

/// Returns the first day of a day's month; both are days since 2000-01-01, as in a `date`.
pub(crate) fn month_of(day: i32) -> i32 {
    // Years that begin in March end with the day that may be missing.
    let shifted = day + CYCLE_TO_ZERO;
    let of_cycle = shifted.rem_euclid(146_097);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    day - (of_year - (153 * month + 2) / 5)
}

/// Returns the month of an instant and its quarter there.
pub(crate) fn quarter_of(at: i64) -> (i32, u16) {
    let month = month_of(at.div_euclid(DAY) as i32);
    (month, ((at - i64::from(month) * DAY) / QUARTER) as u16)
}

/// Returns the start of a quarter of a month; at most the end of time, for a month that is infinite.
fn start_of(month: i32, quarter: u16) -> i64 {
    i64::from(month).saturating_mul(DAY).saturating_add(i64::from(quarter) * QUARTER)
}

/// Returns the quarters of a `bytea`, in order.
pub(crate) fn read(quarters: &[u8]) -> impl Iterator<Item = u16> {
    quarters.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Returns the starts of the quarters of a month, in order.
pub(crate) fn starts(month: i32, quarters: &[u8]) -> impl Iterator<Item = i64> {
    read(quarters).map(move |quarter| start_of(month, quarter))
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

/// Adds a quarter to a sorted list, and returns true if it was not there.
pub(crate) fn insert(quarters: &mut Vec<u16>, quarter: u16) -> bool {
    match quarters.last().map_or(Ordering::Less, |last| last.cmp(&quarter)) {
        Ordering::Less => quarters.push(quarter),
        Ordering::Equal => return false,
        Ordering::Greater => match quarters.binary_search(&quarter) {
            Ok(_) => return false,
            Err(at) => quarters.insert(at, quarter),
        },
    }
    true
}

/// Returns a sorted list as it is stored.
pub(crate) fn bytes(quarters: &[u16]) -> Vec<u8> {
    quarters.iter().flat_map(|quarter| quarter.to_be_bytes()).collect()
}

/// Merges two sorted sets.
fn union(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.chunks_exact(2).peekable(), b.chunks_exact(2).peekable());
    loop {
        let next = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) => match x.cmp(y) {
                Ordering::Less => a.next(),
                Ordering::Greater => b.next(),
                Ordering::Equal => {
                    b.next();
                    a.next()
                }
            },
            (Some(_), None) => a.next(),
            (None, _) => b.next(),
        };
        match next {
            Some(quarter) => merged.extend_from_slice(quarter),
            None => return merged,
        }
    }
}

/// Returns the quarters of either set; null counts as empty.
#[pg_extern(sql = false)]
fn quarters_union(a: Option<&[u8]>, b: Option<&[u8]>) -> Option<Vec<u8>> {
    match (a, b) {
        (Some(a), Some(b)) => Some(union(a, b)),
        (Some(one), None) | (None, Some(one)) => Some(one.to_vec()),
        (None, None) => None,
    }
}

/// Returns the quarters before one of them.
#[pg_extern(sql = false)]
fn quarters_before(quarters: &[u8], quarter: i32) -> Vec<u8> {
    let kept = read(quarters).take_while(|q| i32::from(*q) < quarter).count();
    quarters[..2 * kept].to_vec()
}

/// The quarters that an aggregate has seen.
#[derive(Default)]
struct Quarters(Vec<u16>);

/// Step of `_quarters(created_at)`.
#[pg_extern(sql = false)]
fn quarters_step(
    state: Internal,
    at: Option<TimestampWithTimeZone>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |quarters: &mut Quarters| {
        if let Some(at) = at {
            insert(&mut quarters.0, quarter_of(at.into_inner()).1);
        }
    })
}

/// Returns the quarters, or null if there was none.
#[pg_extern(sql = false)]
fn quarters_final(state: Internal) -> Option<Vec<u8>> {
    let quarters = aggregate::state::<Quarters>(&state)?;
    Some(bytes(&quarters.0)).filter(|bytes| !bytes.is_empty())
}
