//! A tenant's day as it is stored: the blocks of its seals, and which events belong to which.

use std::collections::HashMap;

use eventlog_seal::Hash;
use eventlog_seal::block::Block;
use eventlog_seal::keys::{self, Key};
use pgrx::datum::IntoDatum;
use pgrx::pg_sys::{self, Datum};

use crate::pg::datum::Text;
use crate::pg::spi::{Mode, Params, Prepared, Rows, Session};
use crate::pg::uuid::uuid_datum;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

thread_local! {
    static BLOCKS: Prepared = const { Prepared::new(
        c"SELECT b.part, b.block, b.first_name, b.first_at, b.first_id, b.keys,
                 b.events, b.hash, b.seeds, b.gone, b.gone_hashes
            FROM eventlog.seal_blocks b
           WHERE b.tenant_id OPERATOR(pg_catalog.=) $1 AND b.day OPERATOR(pg_catalog.=) $2
           ORDER BY b.part, b.block",
        &[pg_sys::UUIDOID, pg_sys::DATEOID],
    ) };
    /// The names of a tenant on a day, each found by one step through the index.
    static NAMES: Prepared = const { Prepared::new(
        c"WITH RECURSIVE n (name) AS (
              (SELECT e.name FROM eventlog.events e
                WHERE e.tenant_id OPERATOR(pg_catalog.=) $1
                  AND e.created_at OPERATOR(pg_catalog.>=) $2 AND e.created_at OPERATOR(pg_catalog.<=) $3
                ORDER BY e.name LIMIT 1)
               UNION ALL
              SELECT (SELECT e.name FROM eventlog.events e
                       WHERE e.tenant_id OPERATOR(pg_catalog.=) $1 AND e.name OPERATOR(pg_catalog.>) n.name
                         AND e.created_at OPERATOR(pg_catalog.>=) $2 AND e.created_at OPERATOR(pg_catalog.<=) $3
                       ORDER BY e.name LIMIT 1)
                FROM n WHERE n.name IS NOT NULL)
          SELECT n.name FROM n WHERE n.name IS NOT NULL",
        &[pg_sys::UUIDOID, pg_sys::TIMESTAMPTZOID, pg_sys::TIMESTAMPTZOID],
    ) };
    /// Sealed events of a name.
    static EVENTS: Prepared = const { Prepared::new(
        c"SELECT e.created_at, e.id,
                 CASE WHEN $5 THEN eventlog._event_digest(e.id, e.tenant_id, e.name, e.data, e.actor, e.subject,
                                                          e.occurred_at, e.created_at, e.weight) END
            FROM eventlog.events e
           WHERE e.tenant_id OPERATOR(pg_catalog.=) $1 AND e.name OPERATOR(pg_catalog.=) $2
             AND e.created_at OPERATOR(pg_catalog.>=) $3 AND e.created_at OPERATOR(pg_catalog.<=) $4
             AND NOT EXISTS (SELECT FROM eventlog.late_events l
                              WHERE l.id OPERATOR(pg_catalog.=) e.id AND l.created_at OPERATOR(pg_catalog.=) e.created_at
                                AND NOT l.is_sealed)
             AND NOT EXISTS (SELECT FROM eventlog.unsealed_events u
                              WHERE u.id OPERATOR(pg_catalog.=) e.id AND u.created_at OPERATOR(pg_catalog.=) e.created_at)",
        &[pg_sys::UUIDOID, pg_sys::TEXTOID, pg_sys::TIMESTAMPTZOID, pg_sys::TIMESTAMPTZOID, pg_sys::BOOLOID],
    ) };
    /// The name of an event.
    static NAME: Prepared = const { Prepared::new(
        c"SELECT e.name FROM eventlog.events e
           WHERE e.id OPERATOR(pg_catalog.=) $1 AND e.created_at OPERATOR(pg_catalog.=) $2",
        &[pg_sys::INT8OID, pg_sys::TIMESTAMPTZOID],
    ) };
}

/// An event in the order of a seal: name by bytes, `created_at`, id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) name: String,
    pub(super) created_at: i64,
    pub(super) id: i64,
}

impl Place {
    pub(super) fn key(&self) -> Key {
        (self.created_at, self.id)
    }
}

/// A block, where it begins, and its events, if it is of a supplement.
pub(super) struct Bounds {
    pub(super) part: i32,
    pub(super) number: i32,
    /// Nothing if all of its events are gone.
    pub(super) first: Option<Place>,
    pub(super) keys: Option<Vec<Key>>,
    /// Nothing if its parts do not fit each other.
    pub(super) block: Option<Block>,
}

/// Reads what is kept of a block, from the columns after its key.
fn block(rows: &Rows<'_>, row: usize) -> Option<Block> {
    let bytes = |column| rows.get::<Vec<u8>>(row, column).unwrap_or_default();
    let events = usize::try_from(rows.get::<i16>(row, 7)?).ok()?;
    Block::read(events, &bytes(8), &bytes(9), &bytes(10), &bytes(11))
}

/// The blocks of a tenant's day.
pub(super) struct Day {
    pub(super) tenant_id: [u8; 16],
    /// Days since 2000-01-01.
    pub(super) day: i32,
    pub(super) blocks: Vec<Bounds>,
    /// The block of each event of a supplement.
    listed: HashMap<Key, usize>,
    mode: Mode,
}

/// Returns the first and last microsecond of a day.
fn span(day: i32) -> (i64, i64) {
    let first = i64::from(day) * DAY;
    (first, first + DAY - 1)
}

impl Day {
    /// Reads the blocks of a day. In [`Mode::Write`], what this command has deleted is gone.
    pub(super) fn load(session: &Session, tenant_id: [u8; 16], day: i32, mode: Mode) -> Self {
        let params = Params::new([Some(uuid_datum(&tenant_id)), Some(Datum::from(day))]);
        BLOCKS.with(|plan| plan.execute(session, mode, params));
        let rows = Rows::last(session);
        let blocks: Vec<Bounds> = (0..rows.len())
            .map(|row| Bounds {
                part: rows.get(row, 1).unwrap_or_default(),
                number: rows.get(row, 2).unwrap_or_default(),
                first: rows.get::<String>(row, 3).map(|name| Place {
                    name,
                    created_at: rows.get(row, 4).unwrap_or_default(),
                    id: rows.get(row, 5).unwrap_or_default(),
                }),
                keys: rows.get::<Vec<u8>>(row, 6).map(|list| keys::read(&list).unwrap_or_default()),
                block: block(&rows, row),
            })
            .collect();
        let mut listed = HashMap::new();
        for (index, bounds) in blocks.iter().enumerate() {
            listed.extend(bounds.keys.iter().flatten().map(|key| (*key, index)));
        }
        Day { tenant_id, day, blocks, listed, mode }
    }

    /// Returns the block to which an event belongs.
    pub(super) fn block_of(&self, place: &Place) -> Option<usize> {
        if let Some(index) = self.listed.get(&place.key()) {
            return Some(*index);
        }
        let has_rest = |index: &usize| self.blocks[*index].keys.is_none();
        let begins = |index: &usize| self.blocks[*index].first.is_some();
        let mut rest = (0..self.blocks.len()).filter(has_rest).filter(begins);
        let first = rest.next()?;
        let begun = rest.take_while(|index| self.blocks[*index].first.as_ref() <= Some(place));
        Some(begun.last().unwrap_or(first))
    }

    /// Returns the names of the tenant on this day, by bytes.
    fn names(&self, session: &Session) -> Vec<String> {
        let (since, until) = span(self.day);
        let params = Params::new([
            Some(uuid_datum(&self.tenant_id)),
            Some(Datum::from(since)),
            Some(Datum::from(until)),
        ]);
        NAMES.with(|plan| plan.execute(session, self.mode, params));
        let rows = Rows::last(session);
        let mut names: Vec<String> = (0..rows.len()).filter_map(|row| rows.get(row, 1)).collect();
        names.sort_unstable();
        names
    }

    /// Returns the name of one event.
    fn name(&self, session: &Session, key: Key) -> String {
        let params = Params::new([Some(Datum::from(key.1)), Some(Datum::from(key.0))]);
        NAME.with(|plan| plan.execute(session, self.mode, params));
        let rows = Rows::last(session);
        if rows.len() == 0 { String::new() } else { rows.get(0, 1).unwrap_or_default() }
    }

    /// Reads the events of a block that are there, in order, with their digests if they are asked for.
    pub(super) fn events(
        &self,
        session: &Session,
        index: usize,
        with_digests: bool,
    ) -> Vec<(Place, Hash)> {
        let mut found = Vec::new();
        match &self.blocks[index].keys {
            Some(keys) => {
                for key in keys {
                    let name = self.name(session, *key);
                    if !name.is_empty() {
                        self.read(session, &name, (*key, *key), with_digests, &mut found);
                    }
                }
            }
            None => self.read_rest(session, index, with_digests, &mut found),
        }
        found.sort_unstable();
        found
    }

    /// Reads the events between the start of a block and that of the next one.
    fn read_rest(
        &self,
        session: &Session,
        index: usize,
        with_digests: bool,
        found: &mut Vec<(Place, Hash)>,
    ) {
        let Some(first) = &self.blocks[index].first else { return };
        let part = self.blocks[index].part;
        let later = self.blocks[index + 1..].iter().filter(|bounds| bounds.part == part);
        let next = later.filter_map(|bounds| bounds.first.as_ref()).next();
        let (since, until) = span(self.day);
        let is_one_name = next.is_some_and(|next| next.name == first.name);
        let names = if is_one_name { vec![first.name.clone()] } else { self.names(session) };
        for name in names {
            if name < first.name || next.is_some_and(|next| name > next.name) {
                continue;
            }
            let from = if name == first.name { first.key() } else { (since, i64::MIN) };
            let to = match next {
                // Up to the key before: ids are whole numbers.
                Some(next) if next.name == name => (next.created_at, next.id - 1),
                _ => (until, i64::MAX),
            };
            self.read(session, &name, (from, to), with_digests, found);
        }
        // Leaves out what belongs to supplements.
        found.retain(|(place, _)| !self.listed.contains_key(&place.key()));
    }

    fn read(
        &self,
        session: &Session,
        name: &str,
        (from, to): (Key, Key),
        with_digests: bool,
        found: &mut Vec<(Place, Hash)>,
    ) {
        let params = Params::new([
            Some(uuid_datum(&self.tenant_id)),
            Some(Text::copy_of(name).datum()),
            Some(Datum::from(from.0)),
            Some(Datum::from(to.0)),
            with_digests.into_datum(),
        ]);
        EVENTS.with(|plan| plan.execute(session, self.mode, params));
        let rows = Rows::last(session);
        for row in 0..rows.len() {
            let (Some(created_at), Some(id)) = (rows.get::<i64>(row, 1), rows.get::<i64>(row, 2))
            else {
                continue;
            };
            if (from..=to).contains(&(created_at, id)) {
                let digest = rows.get::<Vec<u8>>(row, 3).and_then(|hash| hash.try_into().ok());
                let place = Place { name: name.to_owned(), created_at, id };
                found.push((place, digest.unwrap_or_default()));
            }
        }
    }
}
