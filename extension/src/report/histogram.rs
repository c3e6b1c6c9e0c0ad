//! Histograms of durations, for the percentiles of reports: buckets grow by 4 %, so that a
//! percentile is right within 2 %, and two histograms merge by addition. In SQL a histogram is an
//! array of pairs, `{bucket, weight, bucket, weight, …}`, in the order of the buckets.

use std::collections::BTreeMap;

use pgrx::prelude::*;
use pgrx::{Internal, pg_sys};

use crate::pg::aggregate::{self, with_state};

/// Growth from one bucket to the next.
const GROWTH: f64 = 1.04;
/// The bucket of zero, below all others.
const ZERO: i32 = -100_000;

#[derive(Default)]
struct Histogram(BTreeMap<i32, f64>);

impl Histogram {
    fn read(pairs: &Array<'_, f64>) -> Self {
        let mut histogram = Histogram::default();
        histogram.merge(pairs);
        histogram
    }

    fn merge(&mut self, pairs: &Array<'_, f64>) {
        let mut values = pairs.iter();
        while let (Some(Some(bucket)), Some(Some(weight))) = (values.next(), values.next()) {
            *self.0.entry(bucket as i32).or_default() += weight;
        }
    }

    fn pairs(&self) -> Vec<f64> {
        self.0.iter().flat_map(|(bucket, weight)| [f64::from(*bucket), *weight]).collect()
    }
}

/// Returns the bucket of a duration.
pub(crate) fn bucket_of(value: f64) -> i32 {
    if value > 0.0 { (value.ln() / GROWTH.ln()).ceil() as i32 } else { ZERO }
}

/// Returns the value that is off by the same ratio at both ends of the bucket.
fn value_of(bucket: i32) -> f64 {
    if bucket == ZERO { 0.0 } else { GROWTH.powi(bucket) * 2.0 / (1.0 + GROWTH) }
}

/// Step of `_histogram(value, weight)`.
#[pg_extern(sql = false)]
fn histogram_step(
    state: Internal,
    value: Option<f64>,
    weight: Option<f64>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |histogram: &mut Histogram| {
        if let (Some(value), Some(weight)) = (value, weight) {
            *histogram.0.entry(bucket_of(value)).or_default() += weight;
        }
    })
}

/// Step of `_merge_histograms(histogram)`.
#[pg_extern(sql = false)]
fn merge_histograms_step(
    state: Internal,
    pairs: Option<Array<'_, f64>>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |histogram: &mut Histogram| {
        if let Some(pairs) = pairs {
            histogram.merge(&pairs);
        }
    })
}

/// Returns the histogram, or null if nothing was counted.
#[pg_extern(sql = false)]
fn histogram_final(state: Internal) -> Option<Vec<f64>> {
    let histogram = aggregate::state::<Histogram>(&state)?;
    Some(histogram.pairs()).filter(|pairs| !pairs.is_empty())
}

/// Merges two histograms; null counts as empty.
#[pg_extern(sql = false)]
fn add_histograms(a: Option<Array<'_, f64>>, b: Option<Array<'_, f64>>) -> Option<Vec<f64>> {
    let mut histogram = a.as_ref().map_or_else(Histogram::default, Histogram::read);
    if let Some(b) = b {
        histogram.merge(&b);
    }
    Some(histogram.pairs()).filter(|pairs| !pairs.is_empty())
}

/// Returns the value below which a share of the weight lies, 0 to 1.
#[pg_extern(sql = false)]
fn percentile(pairs: Array<'_, f64>, share: f64) -> Option<f64> {
    let histogram = Histogram::read(&pairs);
    let total: f64 = histogram.0.values().sum();
    let wanted = total * share.clamp(0.0, 1.0);
    let mut passed = 0.0;
    for (bucket, weight) in &histogram.0 {
        passed += weight;
        if passed >= wanted {
            return Some(value_of(*bucket));
        }
    }
    histogram.0.keys().next_back().map(|bucket| value_of(*bucket))
}
