//! Medians, quartiles, and how they are printed.

/// First quartile, median and third quartile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quartiles {
    pub(crate) first: f64,
    pub(crate) median: f64,
    pub(crate) third: f64,
}

impl Quartiles {
    /// Of at least one value.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Quartiles { first: at(0.25), median: at(0.5), third: at(0.75) }
    }

    /// Of the ratios of each value to the one that was measured in the same round.
    pub(crate) fn of_ratios(values: &[f64], to: &[f64]) -> Self {
        assert_eq!(values.len(), to.len());
        let ratios: Vec<_> = values.iter().zip(to).map(|(value, to)| value / to).collect();
        Self::of(&ratios)
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtMost(f64),
    Below(f64),
    AtLeast(f64),
}

impl Target {
    /// The target, and whether a ratio meets it.
    pub(crate) fn judge(self, ratio: f64) -> String {
        let (sign, limit, is_met) = match self {
            Target::AtMost(limit) => ("≤", limit, ratio <= limit),
            Target::Below(limit) => ("<", limit, ratio < limit),
            Target::AtLeast(limit) => ("≥", limit, ratio >= limit),
        };
        let verdict = if is_met {
            "PASS".to_owned()
        } else {
            format!("off by {:.1} %", ((ratio / limit - 1.0) * 100.0).abs())
        };
        format!("{sign} {limit:.2}  {verdict}")
    }
}
