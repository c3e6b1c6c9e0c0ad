//! Random changes of an export are found in the seals that they concern.

use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, scaled};
use serde_json::Value;

use super::differs;
use super::offline::{EXPORT, Exported, offline, replaced};

/// Changes one thing of an export at random, and returns the day and the tenants whose seals must differ.
fn change(random: &mut Random, events: &mut Vec<String>) -> (String, Vec<String>) {
    let of = |line: &str, key: &str| -> String {
        let event: Value = serde_json::from_str(line).expect("an event");
        event[key].as_str().expect("a text").to_owned()
    };
    // One event is of today, and not sealed.
    let is_sealed = |n: &usize| events[*n].contains("\"created_at\":\"2026-01-");
    let sealed: Vec<usize> = (0..events.len()).filter(is_sealed).collect();
    let place = *random.pick(&sealed);
    let line = events[place].clone();
    let (day, mut tenants) =
        (of(&line, "created_at")[..10].to_owned(), vec![of(&line, "tenant_id")]);
    match random.below(6) {
        0 => drop(events.remove(place)),
        1 => {
            let (id, rest) = line.split_once(',').expect("more columns");
            assert!(id.starts_with("{\"id\":"), "{line}");
            events.insert(place, format!("{id}0000,{rest}"));
        }
        2 => {
            let other = if tenants[0] == TENANT_A { TENANT_B } else { TENANT_A };
            events[place] = replaced(&line, &tenants[0], other);
            tenants.push(other.to_owned());
        }
        3 => {
            // Two events of a tenant's day change places, by their times or by their ids.
            let keys = if random.one_in(2) { ("created_at\":\"", '"') } else { ("{\"id\":", ',') };
            let value = |line: &str| {
                let (_, rest) = line.split_once(keys.0).expect("a column");
                let (value, _) = rest.split_once(keys.1).expect("its end");
                format!("{}{value}{}", keys.0, keys.1)
            };
            let is_like = |other: &String| {
                other != &line
                    && of(other, "tenant_id") == tenants[0]
                    && of(other, "created_at").starts_with(&day)
            };
            let others: Vec<usize> = (0..events.len()).filter(|n| is_like(&events[*n])).collect();
            let other = *random.pick(&others);
            let (a, b) = (value(&line), value(&events[other]));
            events[place] = replaced(&line, &a, &b);
            events[other] = replaced(&events[other], &b, &a);
        }
        4 => events.truncate(place),
        _ => {
            // A digit of the payload.
            let from = line.find("\"data\":").expect("a payload");
            let to = line.find("\"actor\":").expect("an actor, or none");
            let is_digit =
                |n: &usize| line.as_bytes()[*n].is_ascii_digit() && !line[..*n].ends_with("\\u");
            let digits: Vec<usize> = (from..to).filter(is_digit).collect();
            if digits.is_empty() {
                events[place] = replaced(&line, "\"data\":{", "\"data\":{\"\":null,");
            } else {
                let digit = *random.pick(&digits);
                let other = if line.as_bytes()[digit] == b'1' { "2" } else { "1" };
                events[place].replace_range(digit..=digit, other);
            }
        }
    }
    (day, tenants)
}

/// `make proof` does more of them.
#[test]
fn each_of_many_random_changes_of_an_export_is_found_in_its_seal() {
    let exported = Exported::new("random-changes");
    let mut random = Random::new();
    for _ in 0..scaled(60, 1000) {
        let mut events = exported.events.clone();
        let (day, tenants) = change(&mut random, &mut events);
        exported.write(&events, &exported.proofs);
        let mut verify = offline(&exported.folder, &[&EXPORT[..], &["--json"]].concat());
        let (stdout, said) = differs(&mut verify);
        let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{said}"));
        let found = report["differs"].as_array().expect("an array");
        for tenant in tenants {
            let is_it = |one: &&Value| one["tenant_id"] == tenant && one["day"] == day;
            let one =
                found.iter().find(is_it).unwrap_or_else(|| panic!("{tenant}, {day}: {report}"));
            let differs = one["differs"].as_str().expect("a text");
            assert!(differs.contains("block ") || differs.contains("without a seal"), "{differs}");
        }
    }
}
