//! Each change of sealed events by an owner who has switched all triggers off is found, and named to its
//! block.

use std::collections::BTreeSet;

use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, scaled};
use postgres::Client;

use super::log::{DAYS, TENANT_C, sealed, unguard};
use super::payload::Json;
use super::stored::{self, Event};
use super::verdicts::{ALL, Verdict, assert_valid, wrong, wrong_on};

/// A day of the log's partitions on which nothing was logged.
const EMPTY_DAY: &str = "2020-03-27";

/// A tenant that has no seals.
const NOBODY: &str = "dddddddd-dddd-4ddd-8ddd-dddddddddddd";

/// A sealed event with its place.
#[derive(Clone, Debug)]
struct Place {
    event: Event,
    part: i32,
    block: i32,
    is_supplement: bool,
}

/// What `verify_seals()` has to say.
#[derive(Clone, Debug)]
struct Named {
    tenant_id: String,
    day: String,
    /// Part and block; nothing for events without a seal.
    place: Option<(i32, i32)>,
    id: i64,
}

/// A change, and what must be named for it.
#[derive(Clone, Debug)]
struct Change {
    sql: String,
    named: Vec<Named>,
}

/// The sealed log as it was.
struct Log {
    /// Events by tenant, day, part and block.
    places: Vec<Place>,
    next_id: i64,
}

fn at(micros: i64) -> String {
    match micros {
        i64::MIN => "'-infinity'".to_owned(),
        i64::MAX => "'infinity'".to_owned(),
        _ => format!("'1970-01-01 00:00+00'::timestamptz + {micros} * interval '1 us'"),
    }
}

fn quoted(text: Option<&str>) -> String {
    text.map_or("NULL".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

impl Place {
    fn named(&self) -> Named {
        Named {
            tenant_id: self.event.tenant_id.clone(),
            day: self.event.day.clone(),
            place: Some((self.part, self.block)),
            id: self.event.id,
        }
    }

    fn order(&self) -> (&[u8], i64, i64) {
        (self.event.name.as_bytes(), self.event.created_at, self.event.id)
    }

    /// Sets columns of the event.
    fn set(&self, columns: &str) -> Change {
        let sql = format!("UPDATE eventlog.events SET {columns} WHERE id = {}", self.event.id);
        Change { sql, named: vec![self.named()] }
    }
}

impl Log {
    fn read(client: &mut Client) -> Self {
        let blocks = stored::blocks(client, "true");
        let places: Vec<Place> = blocks
            .into_iter()
            .flat_map(|block| {
                let (part, number, is_supplement) =
                    (block.part, block.number, block.keys.is_some());
                block.live.into_iter().map(move |event| Place {
                    event,
                    part,
                    block: number,
                    is_supplement,
                })
            })
            .collect();
        assert!(places.iter().any(|place| place.is_supplement && place.block > 0));
        assert!(places.iter().any(|place| !place.is_supplement && place.block > 4));
        let next_id = places.iter().map(|place| place.event.id).max().expect("events") + 1;
        Log { places, next_id }
    }

    /// Returns what must be named for an event that is put into a tenant's day.
    fn named_for(&self, tenant: &str, day: &str, event: &Event) -> Named {
        let mut rest: Vec<&Place> = self
            .places
            .iter()
            .filter(|place| !place.is_supplement)
            .filter(|place| {
                (place.event.tenant_id.as_str(), place.event.day.as_str()) == (tenant, day)
            })
            .collect();
        rest.sort_by_key(|place| place.order());
        let key = (event.name.as_bytes(), event.created_at, event.id);
        let before = rest.iter().rfind(|place| place.order() <= key).or(rest.first());
        Named {
            tenant_id: tenant.to_owned(),
            day: day.to_owned(),
            place: before.map(|place| (place.part, place.block)),
            id: event.id,
        }
    }

    fn of_day(&self, place: &Place) -> Vec<&Place> {
        let day = |place: &Place| (place.event.tenant_id.clone(), place.event.day.clone());
        self.places.iter().filter(|other| day(other) == day(place)).collect()
    }

    fn random_change(&self, random: &mut Random) -> Change {
        loop {
            let place = random.pick(&self.places).clone();
            let change = match random.below(17) {
                0..3 => changed_payload(&place, random),
                3 => changed_text(&place, random),
                4 => changed_number(&place, random),
                5 | 6 => self.moved_in_time(&place, random),
                7 => self.renumbered(&place, random),
                8 => self.renamed(&place, random),
                9 => self.moved_to_another_tenant(&place, random),
                10 | 11 => self.swapped(&place, random),
                12 => self.deleted(&place, random),
                13 => self.truncated(&place, random),
                14 => Some(noted(&place, random)),
                _ => self.inserted(&place, random),
            };
            if let Some(change) = change {
                return change;
            }
        }
    }

    fn moved_in_time(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let midnight = place.event.created_at.div_euclid(86_400_000_000) * 86_400_000_000;
        let created_at = match random.below(4) {
            0 => place.event.created_at + 1,
            1 => place.event.created_at - 1,
            2 => midnight + random.below(86_400_000_000) as i64,
            // Another day, on which something was logged or nothing.
            _ => midnight + (random.below(5) as i64 - 2) * 86_400_000_000 + 1,
        };
        (created_at != place.event.created_at)
            .then(|| place.set(&format!("created_at = {}", at(created_at))))
    }

    fn renumbered(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let id = match random.below(3) {
            0 => self.next_id + random.below(1000) as i64,
            1 => -place.event.id,
            _ => place.event.id + 1_000_000,
        };
        Some(place.set(&format!("id = {id}")))
    }

    fn renamed(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let other = &random.pick(&self.places).event.name;
        let name = if random.one_in(2) { other.clone() } else { format!("{}s", place.event.name) };
        (name != place.event.name).then(|| place.set(&format!("name = {}", quoted(Some(&name)))))
    }

    fn moved_to_another_tenant(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let tenant = *random.pick(&[TENANT_A, TENANT_B, TENANT_C, NOBODY]);
        if tenant == place.event.tenant_id {
            return None;
        }
        let mut change = place.set(&format!("tenant_id = '{tenant}'"));
        change.named.push(self.named_for(tenant, &place.event.day, &place.event));
        Some(change)
    }

    /// Two events of a day swap a column, or all but what orders them.
    fn swapped(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let other = (*random.pick(&self.of_day(place))).clone();
        let (a, b) = (&place.event, &other.event);
        let (sql, differs) = match random.below(4) {
            0 => ("created_at = o.created_at", a.created_at != b.created_at),
            1 => ("id = o.id", a.created_at != b.created_at),
            2 => ("data = o.data", Json::read(&a.data) != Json::read(&b.data)),
            _ => (
                "actor = o.actor, subject = o.subject",
                (&a.actor, &a.subject) != (&b.actor, &b.subject),
            ),
        };
        let sql = format!(
            "UPDATE eventlog.events e SET {sql} FROM eventlog.events o
              WHERE e.id IN ({0}, {1}) AND o.id = {0} + {1} - e.id",
            a.id, b.id
        );
        (differs && a.id != b.id).then(|| Change { sql, named: vec![place.named(), other.named()] })
    }

    fn deleted(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let of_day = self.of_day(place);
        let from = random.below(of_day.len());
        let length = if random.one_in(2) { 1 } else { 1 + random.below(40) };
        Some(delete(&of_day[from..of_day.len().min(from + length)]))
    }

    /// The last events of a tenant's day, by time or by number.
    fn truncated(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let mut of_day = self.of_day(place);
        match random.one_in(2) {
            true => of_day.sort_by_key(|place| (place.event.created_at, place.event.id)),
            false => of_day.sort_by_key(|place| place.event.id),
        }
        let most = if random.one_in(8) { of_day.len() } else { 30.min(of_day.len()) };
        Some(delete(&of_day[of_day.len() - 1 - random.below(most)..]))
    }

    fn inserted(&self, place: &Place, random: &mut Random) -> Option<Change> {
        let mut event = place.event.clone();
        event.id = if random.one_in(3) { -event.id } else { self.next_id };
        if random.one_in(3) {
            event.name = "between".to_owned();
        }
        if random.one_in(3) {
            event.created_at += 1;
        }
        if random.one_in(8) {
            event.day = EMPTY_DAY.to_owned();
            event.created_at = 1_585_300_000_000_000;
        }
        let sql = format!(
            "INSERT INTO eventlog.events (id, tenant_id, name, data, actor, subject, created_at)
             VALUES ({}, '{}', {}, {}, {}, {}, {})",
            event.id,
            event.tenant_id,
            quoted(Some(&event.name)),
            quoted(Some(&event.data)),
            quoted(event.actor.as_deref()),
            quoted(event.subject.as_deref()),
            at(event.created_at)
        );
        let named = vec![self.named_for(&event.tenant_id, &event.day, &event)];
        Some(Change { sql, named })
    }
}

fn delete(places: &[&Place]) -> Change {
    let ids: Vec<String> = places.iter().map(|place| place.event.id.to_string()).collect();
    Change {
        sql: format!("DELETE FROM eventlog.events WHERE id IN ({})", ids.join(", ")),
        named: places.iter().map(|place| place.named()).collect(),
    }
}

/// A note that the event came late, and is in no seal yet.
fn noted(place: &Place, random: &mut Random) -> Change {
    let table = *random.pick(&["late_events", "unsealed_events"]);
    let sql = format!(
        "INSERT INTO eventlog.{table} (tenant_id, id, created_at) SELECT tenant_id, id, created_at FROM eventlog.events WHERE id = {}",
        place.event.id
    );
    Change { sql, named: vec![place.named()] }
}

fn changed_payload(place: &Place, random: &mut Random) -> Option<Change> {
    let data = Json::read(&place.event.data);
    let mut other = place.event.clone();
    if random.one_in(20) {
        other.data = (*random.pick(&["null", "[]", "\"x\"", "1"])).to_owned();
    } else {
        // As jsonb has it: of two pairs with one key the last counts.
        other.data = Json::read(&data.changed(random).write()).write();
    }
    (other.digest() != place.event.digest())
        .then(|| place.set(&format!("data = {}", quoted(Some(&other.data)))))
}

fn changed_text(place: &Place, random: &mut Random) -> Option<Change> {
    let (column, found) = match random.one_in(2) {
        true => ("actor", &place.event.actor),
        false => ("subject", &place.event.subject),
    };
    let text = match (random.below(3), found) {
        (0, Some(_)) => None,
        (1, Some(found)) => Some(format!("{found} ")),
        (2, None) => Some(String::new()),
        _ => Some(format!("user-{}", random.below(1000))),
    };
    (text != *found).then(|| place.set(&format!("{column} = {}", quoted(text.as_deref()))))
}

fn changed_number(place: &Place, random: &mut Random) -> Option<Change> {
    let event = &place.event;
    if random.one_in(2) {
        let weight = *random.pick(&[None, Some(1.0), Some(2.0), Some(2.5), Some(2.500_000_2)]);
        let text = weight.map_or("NULL".to_owned(), |weight: f32| weight.to_string());
        return (weight != event.weight).then(|| place.set(&format!("weight = {text}")));
    }
    let occurred_at = match (event.occurred_at, random.below(4)) {
        (Some(_), 0) => None,
        (_, 1) => Some(i64::MIN),
        (_, 2) => Some(i64::MAX),
        (found, _) => Some(found.unwrap_or(0).clamp(-1, event.created_at) + 1),
    };
    let text = occurred_at.map_or("NULL".to_owned(), at);
    (occurred_at != event.occurred_at).then(|| place.set(&format!("occurred_at = {text}")))
}

/// Asserts that a change was found, and named to its block.
#[track_caller]
fn assert_named(named: &Named, wrong: &[Verdict], sql: &str) {
    let is_named = wrong
        .iter()
        .filter(|verdict| (&verdict.tenant_id, &verdict.day) == (&named.tenant_id, &named.day))
        .any(|verdict| match named.place {
            Some((part, block)) => {
                let ids = verdict.ids_of(block);
                verdict.part == part.to_string()
                    && ids.is_some_and(|(low, high)| (low..=high).contains(&named.id))
            }
            None => {
                verdict.differs.contains("without a seal")
                    && verdict.differs.contains(&format!("id {}", named.id))
            }
        });
    assert!(is_named, "{sql}\nmust name {named:#?}\nfound {wrong:#?}");
}

fn tamper(client: &mut Client, change: &Change, verifies_all: bool) {
    client.batch_execute("BEGIN").unwrap();
    client.batch_execute(&change.sql).unwrap_or_else(|error| panic!("{}\n{error:?}", change.sql));
    let days: BTreeSet<(&str, &str)> =
        change.named.iter().map(|named| (&*named.tenant_id, &*named.day)).collect();
    let found: Vec<Verdict> =
        days.into_iter().flat_map(|(tenant, day)| wrong_on(client, tenant, day)).collect();
    for named in &change.named {
        assert_named(named, &found, &change.sql);
    }
    if verifies_all {
        assert!(!wrong(client, ALL).is_empty(), "{}", change.sql);
    }
    client.batch_execute("ROLLBACK").unwrap();
}

#[test]
fn each_change_of_events_is_found_and_named_to_its_block() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    let log = Log::read(&mut client);
    let mut random = Random::new();
    for number in 0..scaled(300, 10_000) {
        let change = log.random_change(&mut random);
        tamper(&mut client, &change, number % 50 == 0);
    }
    assert_valid(&mut client, "when all changes were rolled back");
}

#[test]
fn a_tenants_day_that_is_deleted_is_missed_and_each_of_its_blocks_named() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    let log = Log::read(&mut client);
    for tenant in [TENANT_A, TENANT_B, TENANT_C] {
        for day in DAYS {
            let places: Vec<&Place> = log
                .places
                .iter()
                .filter(|place| (&*place.event.tenant_id, &*place.event.day) == (tenant, *day))
                .collect();
            tamper(&mut client, &delete(&places), true);
        }
    }
}
