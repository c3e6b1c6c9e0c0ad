//! What a verification found, and how it is printed.

use std::collections::BTreeSet;

use serde::Serialize;
use uuid::Uuid;

use crate::output::{Failure, FormOptions, Kind, Rows, print, print_json, print_rows};
use crate::seals::document::DigestDocument;
use crate::seals::times;

/// Something that is not as it was sealed.
#[derive(Serialize)]
pub(super) struct Difference {
    pub(super) tenant_id: Option<Uuid>,
    /// Number of the seal among those of its tenant; without a tenant, that of a digest.
    pub(super) number: Option<i64>,
    pub(super) day: Option<String>,
    pub(super) part: Option<i32>,
    pub(super) differs: String,
}

impl Difference {
    /// Returns what differs, in a sentence.
    fn sentence(&self) -> String {
        let Difference { tenant_id, number, day, differs, .. } = self;
        let Some(tenant) = tenant_id else { return differs.clone() };
        let seal = number.map(|number| format!("seal {number} of ")).unwrap_or_default();
        let day = day.as_ref().map(|day| format!(", {day}")).unwrap_or_default();
        format!("{seal}tenant {tenant}{day}: {differs}")
    }
}

/// What was checked, and what differs.
#[derive(Default)]
pub(super) struct Report {
    tenants: BTreeSet<Option<Uuid>>,
    days: BTreeSet<String>,
    pub(super) seals: usize,
    pub(super) digests: usize,
    /// Events under the seals, those that are gone included.
    pub(super) events: i64,
    pub(super) gone: i64,
    /// Events that came late, and wait for the supplement of their day.
    pub(super) late: usize,
    /// Events of days that are not sealed yet.
    pub(super) unsealed: usize,
    /// Digests that cover more than is in the proofs.
    pub(super) partial: usize,
    pub(super) receipts: usize,
    pub(super) anchored: usize,
    pub(super) unanchored: usize,
    pub(super) time_stamps: usize,
    differences: Vec<Difference>,
    /// What else there is to say.
    pub(super) note: Option<String>,
}

#[derive(Serialize)]
struct Counts<'a> {
    is_valid: bool,
    tenants: usize,
    days: usize,
    seals: usize,
    digests: usize,
    events: i64,
    gone: i64,
    late: usize,
    unsealed: usize,
    partial_digests: usize,
    anchored: usize,
    time_stamps: usize,
    differs: &'a [Difference],
}

impl Report {
    /// Counts a seal.
    pub(super) fn seal(&mut self, tenant: Option<Uuid>, day: &str, events: i64, gone: i64) {
        self.tenants.insert(tenant);
        if !self.days.contains(day) {
            self.days.insert(day.to_owned());
        }
        self.seals += 1;
        self.events += events;
        self.gone += gone;
    }

    /// Adds a difference.
    pub(super) fn differs(&mut self, difference: Difference) {
        self.differences.push(difference);
    }

    /// Adds a difference of a digest.
    pub(super) fn digest_differs(&mut self, digest: &DigestDocument, differs: String) {
        let (number, day) = (Some(digest.number), Some(times::day_text(digest.day.0)));
        self.differs(Difference { tenant_id: None, number, day, part: None, differs });
    }

    /// Prints what differs and what was checked. Fails if anything differs.
    pub(super) fn finish(self, is_json: bool) -> Result<(), Failure> {
        if is_json {
            print_json(&Counts {
                is_valid: self.differences.is_empty(),
                tenants: self.tenants.len(),
                days: self.days.len(),
                seals: self.seals,
                digests: self.digests,
                events: self.events,
                gone: self.gone,
                late: self.late,
                unsealed: self.unsealed,
                partial_digests: self.partial,
                anchored: self.anchored,
                time_stamps: self.time_stamps,
                differs: &self.differences,
            })?;
        } else {
            if !self.differences.is_empty() {
                print_rows(&self.rows(), &FormOptions::default())?;
            }
            print(&self.summary())?;
        }
        match self.differences.as_slice() {
            [] => Ok(()),
            [first] => Err(Failure::new(first.sentence())),
            [first, rest @ ..] => {
                Err(Failure::new(format!("{}; and {} more", first.sentence(), rest.len())))
            }
        }
    }

    fn rows(&self) -> Rows {
        let mut rows = Rows::new(&[
            ("tenant", Kind::Text),
            ("number", Kind::Number),
            ("day", Kind::Text),
            ("part", Kind::Number),
            ("differs", Kind::Prose),
        ]);
        rows.rows = self
            .differences
            .iter()
            .map(|it| {
                vec![
                    it.tenant_id.map(|tenant| tenant.to_string()),
                    it.number.map(|number| number.to_string()),
                    it.day.clone(),
                    it.part.map(|part| part.to_string()),
                    Some(it.differs.clone()),
                ]
            })
            .collect();
        rows
    }

    fn summary(&self) -> String {
        let mut parts = vec![self.note.clone().unwrap_or_else(|| {
            let [tenants, days, seals] =
                [self.tenants.len(), self.days.len(), self.seals].map(|count| count as i64);
            format!(
                "checked {}, {}, {}, {}, {} of them declared gone",
                counted(tenants, "tenant"),
                counted(days, "day"),
                counted(seals, "seal"),
                counted(self.events, "event"),
                self.gone
            )
        })];
        for (count, one, many) in [
            (self.late, "late event waits for a supplement", "late events wait for a supplement"),
            (self.unsealed, "event of a day not sealed yet", "events of days not sealed yet"),
            (self.partial, "digest covers more than is here", "digests cover more than is here"),
            (self.receipts, "receipt of what is gone", "receipts of what is gone"),
            (self.anchored, "digest as anchored", "digests as anchored"),
            (self.unanchored, "newer digest not anchored", "newer digests not anchored"),
            (self.time_stamps, "time stamp of its digest", "time stamps of their digests"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {}", if count == 1 { one } else { many }));
            }
        }
        parts.push(match self.differences.len() {
            0 => "nothing differs".to_owned(),
            1 => "1 difference".to_owned(),
            differences => format!("{differences} differences"),
        });
        parts.join("; ")
    }
}

fn counted(count: i64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
