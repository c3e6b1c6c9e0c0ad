//! `hygiene_counts`: what the log changed or missed in events on their way in.
//!
//! Rows are added in the transaction that stores the event, so that they match what is stored, and
//! never changed, so that no writer waits for another.

use pgrx::pg_sys;

use crate::pg::array;
use crate::pg::datum::Text;
use crate::pg::identity::ActAs;
use crate::pg::spi::{Mode, Params, Prepared, Session};
use crate::pg::uuid::uuid_datum;
use crate::registry::log::Log;

/// Something that happened to events of a tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Incident {
    pub(crate) tenant_id: [u8; 16],
    pub(crate) kind: Kind,
    /// Name of the events; empty for a quota, which counts all names together.
    pub(crate) name: Box<str>,
    pub(crate) events: i64,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A lookup found nothing for this key.
    EnrichmentMissed(Box<str>),
    ClockClamped,
    OverQuota,
}

impl Kind {
    fn parts(&self) -> (&'static str, Option<&str>) {
        match self {
            Kind::EnrichmentMissed(key) => ("enrichment_missed", Some(key)),
            Kind::ClockClamped => ("clock_clamped", None),
            Kind::OverQuota => ("over_quota", None),
        }
    }
}

thread_local! {
    static INSERT: Prepared = const { Prepared::new(
        c"INSERT INTO eventlog.hygiene_counts (tenant_id, kind, name, key, events)
          SELECT pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3),
                 pg_catalog.unnest($4), pg_catalog.unnest($5)",
        &[
            pg_sys::UUIDARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::TEXTARRAYOID,
            pg_sys::INT8ARRAYOID,
        ],
    ) };
}

/// Writes the incidents as the log's owner; equal ones become one row.
pub(crate) fn write<'i>(log: &Log, incidents: impl Iterator<Item = &'i Incident>) {
    let mut rows: Vec<Incident> = Vec::new();
    for incident in incidents {
        let is_alike = |row: &&mut Incident| {
            row.tenant_id == incident.tenant_id
                && row.kind == incident.kind
                && row.name == incident.name
        };
        match rows.iter_mut().find(is_alike) {
            Some(row) => row.events += incident.events,
            None => rows.push(incident.clone()),
        }
    }
    if rows.is_empty() {
        return;
    }
    let text = |text: &str| Some(Text::copy_of(text).datum());
    let params = Params::new([
        Some(array::of(pg_sys::UUIDOID, rows.iter().map(|row| Some(uuid_datum(&row.tenant_id))))),
        Some(array::of(pg_sys::TEXTOID, rows.iter().map(|row| text(row.kind.parts().0)))),
        Some(array::of(pg_sys::TEXTOID, rows.iter().map(|row| text(&row.name)))),
        Some(array::of(pg_sys::TEXTOID, rows.iter().map(|row| row.kind.parts().1.and_then(text)))),
        Some(array::of(
            pg_sys::INT8OID,
            rows.iter().map(|row| Some(pg_sys::Datum::from(row.events))),
        )),
    ]);
    let session = Session::begin();
    let _owner = ActAs::role(log.owner);
    INSERT.with(|plan| plan.execute(&session, Mode::Write, params));
}
