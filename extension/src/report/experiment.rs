//! Experiments: which variant each actor saw first, and what the actor did from then on, in one pass
//! over the events of both names.

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

/// Most variants. A key with more values is not one that an experiment was split by.
const MOST_VARIANTS: usize = 50;
/// Bytes that an actor takes besides the name and the events.
const OF_ACTOR: usize = 112;

#[derive(Default)]
struct Experiment {
    actors: HashMap<Box<str>, Actor>,
    /// The names of the variants; an actor has the place of one in this list.
    variants: Vec<Box<str>>,
    budget: Budget,
}

#[derive(Default)]
struct Actor {
    exposure: Option<Exposure>,
    /// Events of the metric. All are kept, since an earlier exposure may still come.
    events: Vec<(i64, f64)>,
}

#[derive(Clone, Copy)]
struct Exposure {
    variant: u32,
    at: i64,
    /// When the actor's horizon ends.
    deadline: i64,
    /// True if the actor saw other variants too.
    is_multiple: bool,
}

/// What the actors of one variant did.
#[derive(Default)]
struct Outcome {
    converted: u64,
    /// The sum of each actor's values.
    values: Vec<f64>,
}

impl Experiment {
    /// Returns the place of a variant's name.
    fn place(&mut self, variant: &str) -> u32 {
        let known = self.variants.iter().position(|known| &**known == variant);
        let place = known.unwrap_or_else(|| {
            if self.variants.len() == MOST_VARIANTS {
                Fault::new(
                    PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                    format!("the experiment has more than {MOST_VARIANTS} variants"),
                )
                .hint(
                    "choose the payload key that names the variant, or a filter for one experiment",
                )
                .raise();
            }
            self.variants.push(variant.into());
            self.variants.len() - 1
        });
        place as u32
    }

    fn actor(&mut self, who: &str) -> &mut Actor {
        if !self.actors.contains_key(who) {
            self.budget.take(who.len() + OF_ACTOR);
            self.actors.insert(who.into(), Actor::default());
        }
        self.actors.get_mut(who).expect("it was put there above")
    }

    /// Returns the variants with their figures as JSON.
    fn results(&self) -> String {
        let mut outcomes: Vec<Outcome> = self.variants.iter().map(|_| Outcome::default()).collect();
        let (mut multiple, mut last) = (0_u64, i64::MIN);
        for (number, actor) in self.actors.values().enumerate() {
            if number % 4_096 == 0 {
                pgrx::check_for_interrupts!();
            }
            let Some(exposure) = actor.exposure else { continue };
            if exposure.is_multiple {
                multiple += 1;
                continue;
            }
            last = last.max(exposure.deadline);
            let outcome = &mut outcomes[exposure.variant as usize];
            let counted = actor.events.iter().filter(|(at, _)| exposure.covers(*at));
            let (events, value) =
                counted.fold((0_u64, 0.0), |(n, sum), (_, value)| (n + 1, sum + value));
            outcome.converted += u64::from(events > 0);
            outcome.values.push(value);
        }
        let mut json = format!("{{\"multiple\":{multiple},\"last\":");
        let _ = match last {
            i64::MIN => write!(json, "null"),
            last => write!(json, "{last}"),
        };
        // In an order of their own, so that sums are the same each time.
        for outcome in &mut outcomes {
            outcome.values.sort_unstable_by(f64::total_cmp);
        }
        json.push_str(",\"variants\":[");
        for (place, (name, outcome)) in self.variants.iter().zip(&outcomes).enumerate() {
            json.push_str(if place > 0 { ",{\"variant\":" } else { "{\"variant\":" });
            quote(name, &mut json);
            outcome.write(&mut json);
        }
        json.push_str("]}");
        json
    }
}

impl Exposure {
    /// Returns true for a time at which an event of the metric counts. The same instant counts, since all
    /// events of a transaction have one time.
    fn covers(&self, at: i64) -> bool {
        at >= self.at && at < self.deadline
    }
}

impl Outcome {
    fn write(&self, json: &mut String) {
        let actors = self.values.len();
        let total: f64 = self.values.iter().sum();
        let mean = if actors > 0 { total / actors as f64 } else { 0.0 };
        let deviations: f64 = self.values.iter().map(|value| (value - mean).powi(2)).sum();
        let _ = write!(
            json,
            ",\"actors\":{actors},\"converted\":{},\"total\":{total},\"mean\":{mean},\"deviations\":{deviations}}}",
            self.converted
        );
    }
}

/// Step of `_experiment(who, at, variant, deadline, value)`: an event is an exposure if it has a variant,
/// and one of the metric if it has a value. A deadline of null is never.
#[pg_extern(sql = false)]
fn experiment_step(
    state: Internal,
    who: Option<Text<'_>>,
    at: Option<TimestampWithTimeZone>,
    variant: Option<Text<'_>>,
    deadline: Option<TimestampWithTimeZone>,
    value: Option<f64>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Internal {
    with_state(state, fcinfo, |experiment: &mut Experiment| {
        let (Some(who), Some(at)) = (who, at) else { return };
        let at = at.into_inner();
        if let Some(variant) = variant {
            let variant = experiment.place(variant.as_str());
            let deadline = deadline.map_or(i64::MAX, |deadline| deadline.into_inner());
            let actor = experiment.actor(who.as_str());
            actor.exposure = Some(match actor.exposure {
                None => Exposure { variant, at, deadline, is_multiple: false },
                Some(known) => {
                    let is_multiple = known.is_multiple || known.variant != variant;
                    if at < known.at {
                        Exposure { variant, at, deadline, is_multiple }
                    } else {
                        Exposure { is_multiple, ..known }
                    }
                }
            });
        }
        if let Some(value) = value {
            // A list doubles when it is full.
            experiment.budget.take(2 * size_of::<(i64, f64)>());
            experiment.actor(who.as_str()).events.push((at, value));
        }
    })
}

/// Returns the variants with their figures as JSON.
#[pg_extern(sql = false)]
fn experiment_final(state: Internal) -> Option<String> {
    aggregate::state::<Experiment>(&state).map(Experiment::results)
}
