//! The statistics of experiments: the difference between two variants with its confidence interval,
//! and the test of how actors were split between them.

use pgrx::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal, StudentsT};

/// One variant: how many actors, the mean of their values, and the sum of the squared deviations from it.
#[derive(Clone, Copy)]
struct Sample {
    actors: f64,
    mean: f64,
    deviations: f64,
}

/// A difference, the bounds of its confidence interval, and the two-sided p-value.
type Difference = [f64; 4];

impl Sample {
    /// Returns the variance of the mean; nothing for fewer than two actors.
    fn variance_of_mean(&self) -> Option<f64> {
        (self.actors >= 2.0 && self.deviations >= 0.0)
            .then(|| self.deviations / (self.actors - 1.0) / self.actors)
    }
}

/// Returns true for a confidence that has a quantile; for others the library panics.
fn is_share(confidence: f64) -> bool {
    confidence > 0.0 && confidence < 1.0
}

/// Welch's t-test, which does not take the variances for equal. Returns nothing where no value varies,
/// since nothing is known then about the error of the means.
fn welch(control: Sample, variant: Sample, confidence: f64) -> Option<Difference> {
    let (a, b) = (control.variance_of_mean()?, variant.variance_of_mean()?);
    let error = (a + b).sqrt();
    if error.is_nan() || error <= 0.0 || error.is_infinite() || !is_share(confidence) {
        return None;
    }
    // As shares, so that tiny variances do not become zero when they are squared.
    let (of_a, of_b) = (a / (a + b), b / (a + b));
    let freedom =
        1.0 / (of_a * of_a / (control.actors - 1.0) + of_b * of_b / (variant.actors - 1.0));
    let difference = variant.mean - control.mean;
    let statistic = (difference / error).abs();
    if !(freedom >= 0.5 && freedom.is_finite() && statistic.is_finite()) {
        return None;
    }
    let width = student_quantile(freedom, (1.0 - confidence) / 2.0)? * error;
    let p_value = 2.0 * student_tail(freedom, statistic)?;
    Some([difference, difference - width, difference + width, p_value.min(1.0)])
}

/// Degrees of freedom above which the library's tail of a t-distribution is no longer exact.
const MANY: f64 = 1e6;

/// Returns the share of a t-distribution above a value that is not negative. For many degrees of freedom
/// it is that of the normal distribution above a value nearer to zero, which is off by less than one in
/// 1e9 up to a value of 5, and by one in 1e7 up to 10.
fn student_tail(freedom: f64, value: f64) -> Option<f64> {
    if freedom > MANY {
        let normal = Normal::new(0.0, 1.0).ok()?;
        let moved = value * (1.0 - 0.25 / freedom) / (1.0 + value * value / (2.0 * freedom)).sqrt();
        return Some(normal.sf(moved));
    }
    StudentsT::new(0.0, 1.0, freedom).ok().map(|student| student.sf(value))
}

/// Returns the value above which this share of a t-distribution lies, by bisection: the library's own
/// quantile does not end for every number of degrees of freedom.
fn student_quantile(freedom: f64, tail: f64) -> Option<f64> {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    while student_tail(freedom, high)? > tail && high < 1e100 {
        (low, high) = (high, high * 2.0);
    }
    for _ in 0..100 {
        let middle = low + (high - low) / 2.0;
        if student_tail(freedom, middle)? > tail {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

/// Wald's interval of the difference of two proportions, with the test that belongs to it: the variances
/// are not pooled, so that p is below 1 - confidence exactly if the interval is on one side of zero.
fn wald(control: (f64, f64), variant: (f64, f64), confidence: f64) -> Option<Difference> {
    let variance = |(converted, actors): (f64, f64)| {
        let rate = converted / actors;
        rate * (1.0 - rate) / actors
    };
    let error = (variance(control) + variance(variant)).sqrt();
    if error.is_nan() || error <= 0.0 || !is_share(confidence) {
        return None;
    }
    let normal = Normal::new(0.0, 1.0).ok()?;
    let difference = variant.0 / variant.1 - control.0 / control.1;
    let width = normal.inverse_cdf(1.0 - (1.0 - confidence) / 2.0) * error;
    let p_value = 2.0 * normal.sf((difference / error).abs());
    Some([difference, difference - width, difference + width, p_value.min(1.0)])
}

/// Pearson's chi-square test of counts against the ratios that were meant. Returns the p-value; nothing
/// for fewer than two counts or no actors.
fn chi_square(counts: &[f64], ratios: &[f64]) -> Option<f64> {
    let (all, sum): (f64, f64) = (counts.iter().sum(), ratios.iter().sum());
    if counts.len() < 2 || counts.len() != ratios.len() || all <= 0.0 {
        return None;
    }
    if counts.iter().any(|count| *count < 0.0)
        || !ratios.iter().all(|ratio| *ratio > 0.0)
        || sum.is_infinite()
    {
        return None;
    }
    let statistic: f64 = counts
        .iter()
        .zip(ratios)
        .map(|(count, ratio)| {
            let expected = all * ratio / sum;
            (count - expected).powi(2) / expected
        })
        .sum();
    let chi = ChiSquared::new((counts.len() - 1) as f64).ok()?;
    Some(if statistic.is_finite() { chi.sf(statistic) } else { 0.0 })
}

/// Compares the means of a control and a variant: {difference, low, high, p}, or null if there is no
/// telling.
#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "three figures of each of two variants")]
fn difference_of_means(
    control_actors: i64,
    control_mean: f64,
    control_deviations: f64,
    actors: i64,
    mean: f64,
    deviations: f64,
    confidence: f64,
) -> Option<Vec<f64>> {
    let control = Sample {
        actors: control_actors as f64,
        mean: control_mean,
        deviations: control_deviations,
    };
    welch(control, Sample { actors: actors as f64, mean, deviations }, confidence).map(Vec::from)
}

/// Compares the conversion of a control and a variant: {difference, low, high, p}, or null if there is no
/// telling.
#[pg_extern(sql = false)]
fn difference_of_rates(
    control_actors: i64,
    control_converted: i64,
    actors: i64,
    converted: i64,
    confidence: f64,
) -> Option<Vec<f64>> {
    let control = (control_converted as f64, control_actors as f64);
    wald(control, (converted as f64, actors as f64), confidence).map(Vec::from)
}

/// Returns the p-value of counts against ratios, or null if there is nothing to compare.
#[pg_extern(sql = false)]
fn mismatch_p(counts: Array<'_, i64>, ratios: Array<'_, f64>) -> Option<f64> {
    let counts: Vec<f64> = counts.iter().map(|count| count.unwrap_or(0) as f64).collect();
    let ratios: Vec<f64> = ratios.iter().map(|ratio| ratio.unwrap_or(0.0)).collect();
    chi_square(&counts, &ratios)
}
