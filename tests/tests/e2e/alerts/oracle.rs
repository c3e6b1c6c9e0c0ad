//! What alerts should do with what was logged, worked out without the database.

/// A Monday, in seconds since 1970, as windows are aligned to it: 2001-01-01.
const ORIGIN: i64 = 978_307_200;

/// Something that happened: an event, a refusal, or events over a quota.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    pub(super) tenant: usize,
    pub(super) name: &'static str,
    pub(super) at: i64,
    /// When it is there to be read.
    pub(super) arrives: i64,
    pub(super) has_failed: Option<bool>,
    pub(super) weight: f64,
}

/// Facts of each kind, in the order of their times.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) events: Vec<Fact>,
    pub(super) refused: Vec<Fact>,
    pub(super) over_quota: Vec<Fact>,
}

#[derive(Clone, Debug)]
pub(super) struct Alert {
    pub(super) alert: String,
    /// None for all tenants together.
    pub(super) tenant: Option<usize>,
    pub(super) condition: &'static str,
    pub(super) names: Option<Vec<&'static str>>,
    pub(super) window: i64,
    pub(super) threshold: Option<f64>,
    pub(super) resolve_at: Option<f64>,
    pub(super) raise_after: usize,
    pub(super) resolve_after: usize,
    pub(super) compare_with: Option<i64>,
    pub(super) pause: i64,
    /// When it is created: its first window is the one of then.
    pub(super) created: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    pub(super) is_raised: bool,
    pub(super) until: i64,
    pub(super) value: Option<f64>,
}

impl Alert {
    fn measure(
        &self,
        facts: &[Fact],
        (since, until): (i64, i64),
        read: i64,
        of: impl Fn(&Fact) -> f64,
    ) -> f64 {
        let first = facts.partition_point(|fact| fact.at < since);
        facts[first..]
            .iter()
            .take_while(|fact| fact.at < until)
            .filter(|fact| fact.arrives <= read)
            .filter(|fact| self.tenant.is_none_or(|tenant| tenant == fact.tenant))
            .filter(|fact| self.names.as_ref().is_none_or(|names| names.contains(&fact.name)))
            .map(of)
            .sum()
    }

    /// The value of a window, read at a time.
    fn value(&self, facts: &Facts, since: i64, read: i64) -> Option<f64> {
        let window = (since, since + self.window);
        let count = |window| self.measure(&facts.events, window, read, |fact| fact.weight);
        let ended = |failed| {
            move |fact: &Fact| if fact.has_failed == Some(failed) { fact.weight } else { 0.0 }
        };
        match self.condition {
            "refused" => Some(self.measure(&facts.refused, window, read, |_| 1.0)),
            "quota" => Some(self.measure(&facts.over_quota, window, read, |fact| fact.weight)),
            "error_rate" => {
                let failures = self.measure(&facts.events, window, read, ended(true));
                let successes = self.measure(&facts.events, window, read, ended(false));
                (failures + successes > 0.0).then(|| 100.0 * failures / (failures + successes))
            }
            "changed" => {
                let earlier = since - self.compare_with.unwrap_or(self.window);
                let before = count((earlier, earlier + self.window));
                let now = count(window);
                Some(match (before == 0.0, now == 0.0) {
                    (true, true) => 0.0,
                    (true, false) => f64::INFINITY,
                    _ => 100.0 * (now - before) / before,
                })
            }
            _ => Some(count(window)),
        }
    }

    /// Whether a value speaks for a change: to raised, or back.
    fn speaks_for(&self, value: f64, is_raised: bool) -> bool {
        let threshold = self.threshold.unwrap_or(0.0);
        let resolve_at = self.resolve_at.unwrap_or(threshold);
        match (self.condition, is_raised) {
            ("not_received", false) => value == 0.0,
            ("not_received", true) => value != 0.0,
            ("below", false) => value < threshold,
            ("below", true) => value >= resolve_at,
            ("changed", false) => value.abs() > threshold,
            ("changed", true) => value.abs() <= resolve_at,
            (_, false) => value > threshold,
            (_, true) => value <= resolve_at,
        }
    }

    /// What the alert does if it is evaluated at these times.
    pub(super) fn changes(&self, facts: &Facts, evaluations: &[i64]) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        // Since the last change, whether each window with a value spoke for the next one.
        let mut votes: Vec<bool> = Vec::new();
        let mut since = self.created - (self.created - ORIGIN) % self.window;
        while let Some(&read) =
            evaluations.iter().find(|&&read| read >= since + self.window.max(self.created - since))
        {
            let until = since + self.window;
            let value = self.value(facts, since, read);
            let is_raised = changes.last().is_some_and(|change| change.is_raised);
            votes.extend(value.map(|value| self.speaks_for(value, is_raised)));
            let needed = if is_raised { self.resolve_after } else { self.raise_after };
            let is_quiet = changes
                .last()
                .is_some_and(|last| !last.is_raised && until < last.until + self.pause);
            let is_enough =
                votes.len() >= needed && votes[votes.len() - needed..].iter().all(|&vote| vote);
            if is_enough && !is_quiet {
                let value = value.filter(|value| value.is_finite());
                changes.push(Change { is_raised: !is_raised, until, value });
                votes.clear();
            }
            since = until;
        }
        changes
    }
}
