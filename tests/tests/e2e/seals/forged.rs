//! Seals, blocks, receipts and digests that an owner forges are found.

use eventlog_seal::block::Block;
use eventlog_seal::keys;
use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, rows, scaled, text};
use postgres::Client;

use super::forger;
use super::log::{DAYS, sealed, unguard};
use super::stored::{self, Stored, hex};
use super::verdicts::{ALL, Verdict, assert_valid, wrong, wrong_on};

/// Runs statements in a transaction that is rolled back, and returns what is wrong then.
fn after(client: &mut Client, sql: &str) -> Vec<Verdict> {
    client.batch_execute("BEGIN").unwrap();
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
    let found = wrong(client, ALL);
    client.batch_execute("ROLLBACK").unwrap();
    found
}

/// An expression that changes a bit of a column of bytes.
fn flipped(random: &mut Random, column: &str) -> String {
    format!(
        "{column} = set_bit({column}, {0} % (8 * length({column})), 1 - get_bit({column}, {0} % (8 * length({column}))))",
        random.below(100_000)
    )
}

/// A statement that forges a seal.
fn forged_seal(random: &mut Random, seal: &str) -> String {
    let bit = random.pick(&["root", "previous"]);
    let set = match random.below(10) {
        0 | 1 => flipped(random, bit),
        2 => "events = events + 1".to_owned(),
        3 => "events = events - 1".to_owned(),
        4 => "gone = gone + 1".to_owned(),
        5 => "part = part + 100".to_owned(),
        6 => format!("day = day + {}", 1000 + random.below(1000)),
        7 => "number = number + 1000".to_owned(),
        8 => "tenant_id = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd'".to_owned(),
        _ => "digest = (SELECT d.number FROM eventlog.seal_digests d WHERE d.number <> seals.digest ORDER BY d.number LIMIT 1)".to_owned(),
    };
    match random.below(8) {
        0 => format!("DELETE FROM eventlog.seals WHERE {seal}"),
        // One that nobody made, of nothing.
        1 => format!(
            "INSERT INTO eventlog.seals (tenant_id, number, day, part, events, gone, root, previous, digest, sealed_at)
             SELECT tenant_id, number + 1000, day, part + 50, 3, 3, root, previous, digest, sealed_at FROM eventlog.seals WHERE {seal}"
        ),
        2 => format!(
            "UPDATE eventlog.seals SET root = (SELECT o.root FROM eventlog.seals o WHERE NOT ({}) AND o.root <> seals.root ORDER BY o.tenant_id, o.number LIMIT 1) WHERE {seal}",
            seal.replace("tenant_id", "o.tenant_id").replace("number", "o.number")
        ),
        _ => format!("UPDATE eventlog.seals SET {set} WHERE {seal}"),
    }
}

fn forged_receipt(random: &mut Random, receipt: &str) -> String {
    let set = match random.below(8) {
        0 => "events = events + 1",
        1 => "call = call || ' '",
        2 => "role_name = 'nobody'",
        3 => "at = at - interval '1 us'",
        4 => "first_day = first_day - 1",
        5 => "last_day = last_day + 1",
        6 => "tenant_id = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd'",
        _ => "id = id + 1000",
    };
    match random.below(4) {
        0 => format!("DELETE FROM eventlog.seal_receipts WHERE {receipt}"),
        1 => format!(
            "INSERT INTO eventlog.seal_receipts (id, tenant_id, first_day, last_day, events, call, role_name, at, erasure, digest) OVERRIDING SYSTEM VALUE
             SELECT id + 1000, tenant_id, first_day, last_day, events, call, role_name, at, erasure, digest FROM eventlog.seal_receipts WHERE {receipt}"
        ),
        _ => format!("UPDATE eventlog.seal_receipts SET {set} WHERE {receipt}"),
    }
}

fn forged_digest(random: &mut Random, digest: &str) -> String {
    let column = *random.pick(&["root", "previous", "digest"]);
    match random.below(6) {
        0 => format!("DELETE FROM eventlog.seal_digests WHERE {digest}"),
        1 => format!("UPDATE eventlog.seal_digests SET day = day + 1000 WHERE {digest}"),
        2 => format!("UPDATE eventlog.seal_digests SET number = number + 1000 WHERE {digest}"),
        _ => format!("UPDATE eventlog.seal_digests SET {} WHERE {digest}", flipped(random, column)),
    }
}

/// Returns a forged block if it is another one: seeds of slots that no event ever had, for example, are
/// part of nothing.
fn forged_block(random: &mut Random, stored: &Stored) -> Option<String> {
    let update =
        |set: &str| format!("UPDATE eventlog.seal_blocks SET {set} WHERE {}", stored.place());
    let block = &stored.block;
    let flip = |random: &mut Random, bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if !bytes.is_empty() {
            let place = random.below(bytes.len());
            bytes[place] ^= 1 << random.below(8);
        }
        bytes
    };
    let (mut events, mut hash, mut seeds, mut gone, mut gone_hashes) = (
        block.events(),
        block.hash().to_vec(),
        block.seeds(),
        block.gone().unwrap_or(&[0; 32]).to_vec(),
        block.gone_hashes(),
    );
    match random.below(12) {
        0 => return Some(format!("DELETE FROM eventlog.seal_blocks WHERE {}", stored.place())),
        1 if !stored.live.is_empty() => return Some(update("first_id = first_id + 1")),
        2 if !stored.live.is_empty() => {
            return Some(update("first_at = first_at - interval '1 us'"));
        }
        3 if !stored.live.is_empty() => return Some(update("first_name = first_name || '~'")),
        4 => {
            let mut keys = stored.keys.clone().filter(|keys| !keys.is_empty())?;
            let place = random.below(keys.len());
            match random.below(3) {
                0 => drop(keys.remove(place)),
                1 => keys[place].1 += 1_000_000,
                _ => keys[place].0 += 1,
            }
            return Some(update(&format!("keys = '\\x{}'", hex(&keys::write(&keys)))));
        }
        5 => {
            return Some(format!(
                "INSERT INTO eventlog.seal_blocks SELECT (r).* FROM (
                     SELECT jsonb_populate_record(b, jsonb_build_object('block', b.block + 1000)) AS r FROM eventlog.seal_blocks b WHERE {}) s",
                stored.place()
            ));
        }
        // Before all others.
        6 if stored.number > 0 => return Some(update("block = -1")),
        7 if events < 255 => events += 1,
        8 => hash = flip(random, &hash),
        9 => gone = flip(random, &gone),
        10 => gone_hashes = flip(random, &gone_hashes),
        _ => seeds = flip(random, &seeds),
    }
    let forged = Block::read(events, &hash, &seeds, &gone, &gone_hashes);
    let is_same = forged.is_some_and(|forged| {
        forged.events() == block.events()
            && forged.hash() == block.hash()
            && forged.root_over(&stored.digests()).as_ref() == Some(block.hash())
    });
    (!is_same).then(|| {
        update(&format!(
            "events = {events}, hash = '\\x{}', seeds = '\\x{}', gone = '\\x{}', gone_hashes = '\\x{}'",
            hex(&hash),
            hex(&seeds),
            hex(&gone),
            hex(&gone_hashes)
        ))
    })
}

fn seal_of(row: &[String]) -> String {
    format!("tenant_id = '{}' AND number = {}", row[0], row[1])
}

#[test]
fn each_forged_seal_block_receipt_and_digest_is_found() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    let mut list = |sql: &str| rows(&mut client, sql);
    let seals = list("SELECT tenant_id, number FROM eventlog.seals");
    let receipts = list("SELECT id FROM eventlog.seal_receipts WHERE digest IS NOT NULL").concat();
    let digests = list("SELECT number FROM eventlog.seal_digests").concat();
    let blocks = stored::blocks(&mut client, "true");
    assert!(seals.len() > 10 && !receipts.is_empty() && digests.len() > 1 && blocks.len() > 20);
    let mut random = Random::new();
    for _ in 0..scaled(150, 2_000) {
        let (sql, block) = match random.below(8) {
            0 | 1 => {
                let seal = seal_of(&seals[random.below(seals.len())]);
                (forged_seal(&mut random, &seal), None)
            }
            2 => {
                let receipt = format!("id = {}", random.pick(&receipts));
                (forged_receipt(&mut random, &receipt), None)
            }
            3 => {
                let digest = format!("number = {}", random.pick(&digests));
                (forged_digest(&mut random, &digest), None)
            }
            _ => {
                let stored = random.pick(&blocks);
                let Some(sql) = forged_block(&mut random, stored) else { continue };
                (sql, Some(stored))
            }
        };
        let found = after(&mut client, &sql);
        assert!(!found.is_empty(), "not found: {sql}");
        let of_seal = |block: &Stored| {
            found
                .iter()
                .any(|verdict| (&verdict.tenant_id, &verdict.day) == (&block.tenant_id, &block.day))
        };
        assert!(block.is_none_or(of_seal), "of another seal: {sql}\n{found:#?}");
    }
    assert_valid(&mut client, "when all was rolled back");
}

#[test]
fn a_forged_end_of_what_is_sealed_hides_nothing() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    let change = "UPDATE eventlog.events SET data = '[0]' WHERE id = (SELECT max(id) FROM eventlog.events WHERE created_at >= '2020-03-31' AND created_at < '2020-04-01')";
    for sql in [
        "UPDATE eventlog.seal_state SET sealed_until = '2020-03-30 00:00+00'",
        "UPDATE eventlog.seal_state SET sealed_until = '-infinity'",
        "UPDATE eventlog.seal_state SET sealed_until = sealed_until + interval '2 days'",
        "DELETE FROM eventlog.seal_state",
    ] {
        let found = after(&mut client, &format!("{sql}; {change}"));
        let is_found = |verdict: &Verdict| verdict.differs.contains("events differ");
        assert!(found.iter().any(is_found), "{sql}\n{found:#?}");
    }
}

#[test]
fn seals_that_are_cut_off_at_the_end_are_missed() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    for tenant in [TENANT_A, TENANT_B] {
        let seals = rows(
            &mut client,
            &format!(
                "SELECT number, day, part FROM eventlog.seals WHERE tenant_id = '{tenant}' ORDER BY number DESC LIMIT 3"
            ),
        );
        let mut sql = String::new();
        for seal in seals {
            let [number, day, part] = seal.try_into().expect("three columns");
            let block = format!("tenant_id = '{tenant}' AND day = '{day}' AND part = {part}");
            for stored in stored::blocks(&mut client, &block) {
                let ids: Vec<String> =
                    stored.live.iter().map(|event| event.id.to_string()).collect();
                if !ids.is_empty() {
                    sql += &format!("DELETE FROM eventlog.events WHERE id IN ({});", ids.join(","));
                }
            }
            sql += &format!(
                "DELETE FROM eventlog.seal_blocks WHERE {block};
                 DELETE FROM eventlog.seals WHERE tenant_id = '{tenant}' AND number = {number};"
            );
            let found = after(&mut client, &sql);
            assert!(!found.is_empty(), "{sql}");
        }
    }
}

#[test]
fn a_root_computed_anew_over_changed_events_is_found_until_all_that_follows_is_rewritten() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    for (tenant, day) in [(TENANT_A, DAYS[1]), (TENANT_B, DAYS[2]), (TENANT_A, DAYS[3])] {
        let before = stored::digests(&mut client);
        client.batch_execute("BEGIN").unwrap();
        client
            .batch_execute(&format!(
                "UPDATE eventlog.events SET data = '{{\"forged\": true}}'
                  WHERE id = (SELECT max(id) FROM eventlog.events WHERE tenant_id = '{tenant}' AND created_at::date = '{day}')"
            ))
            .unwrap();
        let found = wrong_on(&mut client, tenant, day);
        assert!(found.iter().any(|verdict| verdict.differs.contains("events differ")), "{found:?}");

        forger::rewrite_blocks(&mut client, tenant, day);
        let found = wrong_on(&mut client, tenant, day);
        assert!(found.iter().any(|verdict| verdict.differs.contains("root")), "{found:?}");

        forger::rewrite_roots(&mut client, tenant, day);
        let is_last = format!(
            "SELECT day = '{day}' FROM eventlog.seals WHERE tenant_id = '{tenant}' ORDER BY number DESC LIMIT 1"
        );
        if text(&mut client, &is_last) == "f" {
            assert!(!wrong(&mut client, tenant).is_empty(), "the next seal has another hash of it");
        }
        assert!(!wrong(&mut client, ALL).is_empty());

        forger::rewrite_chain(&mut client);
        for who in [tenant, ALL] {
            let found = wrong(&mut client, who);
            assert!(found.iter().all(|verdict| verdict.differs.contains("digest")), "{found:#?}");
            assert!(!found.is_empty(), "the digest of the day tells, to its tenant as well");
        }

        // Then only what was kept outside tells.
        forger::rewrite_digests(&mut client);
        assert_valid(&mut client, "when all was rewritten");
        let after = stored::digests(&mut client);
        assert_ne!(after.last().map(|(_, hash)| *hash), before.last().map(|(_, hash)| *hash));
        client.batch_execute("ROLLBACK").unwrap();
    }
    assert_valid(&mut client, "when all was rolled back");
}

#[test]
fn a_deletion_declared_gone_without_a_receipt_is_found() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    for stored in stored::blocks(&mut client, "true") {
        if stored.live.is_empty() {
            continue;
        }
        let place = stored.live.len() / 2;
        let mut block = stored.block.clone();
        block.let_go(&[(place, stored.live[place].digest())]);
        let mut keys = stored.keys.clone();
        if let Some(keys) = &mut keys {
            keys.remove(place);
        }
        let first = stored.live.iter().enumerate().find(|(n, _)| *n != place);
        let first = match (place, first) {
            (0, Some((_, event))) => format!(
                ", (first_name, first_at, first_id) = (SELECT name, created_at, id FROM eventlog.events WHERE id = {})",
                event.id
            ),
            (0, None) => ", first_name = NULL, first_at = NULL, first_id = NULL".to_owned(),
            _ => String::new(),
        };
        let keys = keys
            .map_or(String::new(), |keys| format!(", keys = '\\x{}'", hex(&keys::write(&keys))));
        let sql = format!(
            "DELETE FROM eventlog.events WHERE id = {};
             UPDATE eventlog.seal_blocks SET seeds = '\\x{}', gone = '\\x{}', gone_hashes = '\\x{}' {keys} {first} WHERE {};
             UPDATE eventlog.seals SET gone = gone + 1 WHERE tenant_id = '{}' AND day = '{}' AND part = {}",
            stored.live[place].id,
            hex(&block.seeds()),
            hex(block.gone().expect("one is gone")),
            hex(&block.gone_hashes()),
            stored.place(),
            stored.tenant_id,
            stored.day,
            stored.part
        );
        assert!(!after(&mut client, &sql).is_empty(), "{sql}");
    }
}

#[test]
fn a_day_declared_gone_as_a_whole_without_a_receipt_is_found() {
    let db = sealed();
    let mut client = db.superuser();
    unguard(&mut client);
    for row in rows(&mut client, "SELECT DISTINCT tenant_id, day FROM eventlog.seals") {
        let of_day = format!("tenant_id = '{}' AND day = '{}'", row[0], row[1]);
        let sql = format!(
            "DELETE FROM eventlog.events WHERE tenant_id = '{}' AND (created_at AT TIME ZONE 'UTC')::date = '{}';
             DELETE FROM eventlog.seal_blocks WHERE {of_day}; UPDATE eventlog.seals SET gone = events WHERE {of_day}",
            row[0], row[1]
        );
        assert!(!after(&mut client, &sql).is_empty(), "{sql}");
    }
}
