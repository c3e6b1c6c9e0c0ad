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
        (self.actors >= 2.0).then(|| self.deviations / (self.actors - 1.0) / self.actors)
    }
}

/// Welch's t-test, which does not take the variances for equal. Returns nothing where no value varies,
/// since nothing is known then about the error of the means.
fn welch(control: Sample, variant: Sample, confidence: f64) -> Option<Difference> {
    let (a, b) = (control.variance_of_mean()?, variant.variance_of_mean()?);
    let error = (a + b).sqrt();
    if error <= 0.0 || !error.is_finite() {
        return None;
    }
    // As shares, so that tiny variances do not become zero when they are squared.
    let (of_a, of_b) = (a / (a + b), b / (a + b));
    let freedom =
        1.0 / (of_a * of_a / (control.actors - 1.0) + of_b * of_b / (variant.actors - 1.0));
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    let difference = variant.mean - control.mean;
    let width = student_quantile(&student, confidence) * error;
    let p_value = 2.0 * student.sf((difference / error).abs());
    Some([difference, difference - width, difference + width, p_value.min(1.0)])
}

/// Returns the value that a share of a t-distribution lies within on both sides. What the library finds
/// is made exact by Newton's method.
fn student_quantile(student: &StudentsT, confidence: f64) -> f64 {
    use statrs::distribution::Continuous;
    let tail = (1.0 - confidence) / 2.0;
    let mut value = student.inverse_cdf(1.0 - tail);
    for _ in 0..4 {
        let step = (student.sf(value) - tail) / student.pdf(value);
        if !step.is_finite() || step.abs() <= value.abs() * 1e-15 {
            break;
        }
        value += step;
    }
    value
}

/// Wald's interval of the difference of two proportions, with the test that belongs to it: the variances
/// are not pooled, so that p is below 1 - confidence exactly if the interval is on one side of zero.
fn wald(control: (f64, f64), variant: (f64, f64), confidence: f64) -> Option<Difference> {
    let variance = |(converted, actors): (f64, f64)| {
        let rate = converted / actors;
        rate * (1.0 - rate) / actors
    };
    let error = (variance(control) + variance(variant)).sqrt();
    if error.is_nan() || error <= 0.0 {
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
    let statistic: f64 = counts
        .iter()
        .zip(ratios)
        .map(|(count, ratio)| {
            let expected = all * ratio / sum;
            (count - expected).powi(2) / expected
        })
        .sum();
    ChiSquared::new((counts.len() - 1) as f64).ok().map(|chi| chi.sf(statistic))
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
