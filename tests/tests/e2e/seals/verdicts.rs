//! What `verify_seals()` says.

use eventlog_tests::{rows, text};
use postgres::Client;

use super::stored::Stored;

/// Every tenant, as `all_tenants()` gives it.
pub(crate) const ALL: &str = "all tenants";

/// A row of `verify_seals()` that is not valid.
#[derive(Clone, Debug)]
pub(crate) struct Verdict {
    pub(crate) tenant_id: String,
    pub(crate) day: String,
    pub(crate) part: String,
    pub(crate) differs: String,
}

fn call(tenant: &str, span: &str) -> String {
    let tenant = match tenant {
        ALL => "eventlog.all_tenants()".to_owned(),
        _ => format!("'{tenant}'"),
    };
    format!(
        "eventlog.verify_seals({tenant}{span}) AS v (tenant_id, number, day, part, events, gone, is_valid, differs)"
    )
}

fn wrong_of(client: &mut Client, call: &str) -> Vec<Verdict> {
    let sql = format!(
        "SELECT v.tenant_id, v.day, v.part, v.differs FROM {call} WHERE v.is_valid IS NOT TRUE OR v.differs IS NOT NULL"
    );
    let verdict = |row: Vec<String>| {
        let [tenant_id, day, part, differs] = row.try_into().expect("four columns");
        Verdict { tenant_id, day, part, differs }
    };
    rows(client, &sql).into_iter().map(verdict).collect()
}

/// Verifies all seals of a tenant, or of [`ALL`]; returns what is wrong.
pub(crate) fn wrong(client: &mut Client, tenant: &str) -> Vec<Verdict> {
    wrong_of(client, &call(tenant, ""))
}

/// Verifies one day of a tenant; returns what is wrong.
pub(crate) fn wrong_on(client: &mut Client, tenant: &str, day: &str) -> Vec<Verdict> {
    let span = format!(", '{day} 00:00+00', '{day} 00:00+00'::timestamptz + interval '1 day'");
    wrong_of(client, &call(tenant, &span))
}

/// Asserts that all seals of all tenants are valid, and that there are some.
#[track_caller]
pub(crate) fn assert_valid(client: &mut Client, when: &str) {
    let wrong = wrong(client, ALL);
    assert!(wrong.is_empty(), "{when}: {wrong:#?}");
    let sql = format!("SELECT count(*) > 0 FROM {}", call(ALL, ""));
    assert_eq!(text(client, &sql), "t", "{when}: nothing is sealed");
}

impl Verdict {
    /// Returns true if it names a block, with ids among which this one is.
    pub(crate) fn names(&self, block: &Stored, id: i64) -> bool {
        (&self.tenant_id, &self.day) == (&block.tenant_id, &block.day)
            && self.part == block.part.to_string()
            && self.ids_of(block.number).is_some_and(|(low, high)| (low..=high).contains(&id))
    }

    /// Returns the lowest and highest id that it tells of a block; nothing if it does not name the block.
    pub(crate) fn ids_of(&self, block: i32) -> Option<(i64, i64)> {
        let from = self.differs.split(&format!("block {block} (")).nth(1)?;
        let within = from.split("): ").next()?;
        let ids = within.rsplit(", ").next()?;
        let mut numbers = ids
            .split(|c: char| !c.is_ascii_digit() && c != '-')
            .filter_map(|number| number.parse().ok());
        let low = numbers.next()?;
        Some((low, numbers.next().unwrap_or(low)))
    }
}
