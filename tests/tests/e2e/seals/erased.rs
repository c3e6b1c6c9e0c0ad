//! What was erased cannot be confirmed from anything that is left, not even by a guess that is exact.

use std::collections::{BTreeSet, HashSet};

use eventlog_seal::Hash;
use eventlog_seal::form::unix_micros;
use eventlog_seal::salts::{Seed, Seeds, Slots};
use eventlog_seal::tree::{self, Step};
use eventlog_tests::{TENANT_A, TENANT_B, rows, scaled, text};
use postgres::Client;
use serde_json::Value;

use super::log::{TENANT_C, seal, sealed};
use super::stored::{self, Event, Stored, assert_computed, unhex};
use super::verdicts::assert_valid;

/// An event that is to be erased, as its tenant remembers it, and what its seal has of it.
struct Known {
    event: Event,
    digest: Hash,
    salt: Seed,
    leaf: Hash,
}

/// Remembers events, and proves that each is in its seal.
fn remember(blocks: &[Stored], is_known: impl Fn(&Event) -> bool) -> Vec<Known> {
    let mut known = Vec::new();
    for block in blocks {
        let live = block.digests();
        for (place, event) in block.live.iter().enumerate().filter(|(_, event)| is_known(event)) {
            let (salt, steps) = block.block.prove(&live, place).expect("it is there");
            let leaf = tree::leaf(&salt, &live[place]);
            assert_eq!(tree::climb(leaf, &steps), *block.block.hash());
            known.push(Known { event: event.clone(), digest: live[place], salt, leaf });
        }
    }
    known
}

/// All bytes that a superuser can read in the tables of the log, each value apart.
fn everything(client: &mut Client) -> Vec<Vec<u8>> {
    let tables = rows(
        client,
        "SELECT format('%I', relname) FROM pg_class WHERE relnamespace = 'eventlog'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition",
    );
    let mut values = Vec::new();
    for table in tables.concat() {
        for row in rows(client, &format!("SELECT t::text FROM eventlog.{table} t")).concat() {
            let pieces = row.split("\\x").skip(1);
            values.extend(pieces.map(|piece| {
                let digits = piece.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(piece.len());
                unhex(&piece[..digits])
            }));
        }
    }
    values
}

/// All salts that can be had: those that seeds lead to, those in proofs of other events, and whatever
/// 16 bytes there are in any table.
fn salts(client: &mut Client, neighbours: &[i64]) -> HashSet<Vec<u8>> {
    let mut salts = HashSet::from([Vec::new(), vec![0; 16], vec![0; 32]]);
    for value in everything(client) {
        salts.extend(value.windows(16).map(<[u8]>::to_vec));
    }
    for row in rows(client, "SELECT seeds, coalesce(gone, '') FROM eventlog.seal_blocks") {
        let gone = Slots::from_bytes(&unhex(&row[1])).unwrap_or_default();
        let seeds = Seeds::from_bytes(&unhex(&row[0]), gone).expect("seeds that can be read");
        salts.extend(seeds.salts().into_iter().flatten().map(|salt| salt.to_vec()));
        // And each as if it were the seed of a whole block.
        for seed in seeds.bytes().chunks(16) {
            let all = Seeds::of(seed.try_into().expect("16 bytes")).salts().into_iter().flatten();
            salts.extend(all.map(|salt| salt.to_vec()));
        }
    }
    for id in neighbours {
        let proof = text(client, &format!("SELECT eventlog.event_proof({id})"));
        let values = proof.split('"').filter(|text| text.len() >= 32 && !text.contains('-'));
        for value in values.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            salts.extend(unhex(value).windows(16).map(<[u8]>::to_vec));
        }
    }
    salts
}

/// Returns how many of the events somebody confirms who guesses each exactly, and even knows the leaf.
fn confirmed(known: &[Known], salts: &HashSet<Vec<u8>>) -> usize {
    let confirms =
        |known: &&Known| salts.iter().any(|salt| tree::leaf(salt, &known.digest) == known.leaf);
    sample(known).filter(confirms).count()
}

/// Some of the events, from all of them.
fn sample(known: &[Known]) -> impl Iterator<Item = &Known> {
    known.iter().step_by(known.len().div_ceil(scaled(8, 60)))
}

/// Asserts that nothing is left of events in what is kept of seals.
#[track_caller]
fn assert_nothing_left(client: &mut Client, known: &[Known]) {
    let ids: BTreeSet<i64> = known.iter().map(|known| known.event.id).collect();
    let list = ids.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    for (table, column) in
        [("seal_blocks", "first_id"), ("unsealed_events", "id"), ("events", "id")]
    {
        let left = format!("SELECT count(*) FROM eventlog.{table} WHERE {column} IN ({list})");
        assert_eq!(text(client, &left), "0", "{table}");
    }
    for block in stored::blocks(client, "keys IS NOT NULL") {
        let keys = block.keys.as_ref().expect("a supplement");
        assert!(keys.iter().all(|(_, id)| !ids.contains(id)), "{}", block.place());
        let live: BTreeSet<_> =
            block.live.iter().map(|event| (event.created_at, event.id)).collect();
        let keys: BTreeSet<_> = keys.iter().map(|(at, id)| (unix_micros(*at), *id)).collect();
        assert_eq!(keys, live, "{}", block.place());
    }
    // The first event of each block is one that is there.
    let sql = "SELECT tenant_id, day, part, block, first_id FROM eventlog.seal_blocks ORDER BY 1, 2, 3, 4";
    for (block, row) in stored::blocks(client, "true").iter().zip(rows(client, sql)) {
        let first = block.live.first().map_or("∅".to_owned(), |event| event.id.to_string());
        assert_eq!(row[4], first, "{}", block.place());
    }
    let values = everything(client);
    let holds = |bytes: &[u8]| {
        values.iter().any(|value| value.windows(bytes.len()).any(|window| window == bytes))
    };
    for known in sample(known) {
        assert!(!holds(&known.salt) && !holds(&known.digest), "{:?}", known.event);
    }
}

/// Ids of events that stand beside erased ones.
fn neighbours(blocks: &[Stored], is_known: impl Fn(&Event) -> bool) -> Vec<i64> {
    let mut ids = Vec::new();
    for block in blocks {
        for (place, _) in block.live.iter().enumerate().filter(|(_, event)| is_known(event)) {
            let beside = [place.wrapping_sub(1), place + 1].map(|n| block.live.get(n));
            let others = beside.into_iter().flatten().filter(|event| !is_known(event));
            ids.extend(others.map(|event| event.id));
        }
    }
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Erases, and asserts that what could be confirmed before cannot be afterwards.
fn erase(call: &str, is_known: impl Fn(&Event) -> bool + Copy) {
    let db = sealed();
    let mut client = db.superuser();
    let blocks = stored::blocks(&mut client, "true");
    let known = remember(&blocks, is_known);
    assert!(known.len() > 3, "{call}: {} events", known.len());
    let beside = neighbours(&blocks, is_known);
    let all = sample(&known).count();
    assert_eq!(confirmed(&known, &salts(&mut client, &beside)), all, "before {call}");
    // What has to be kept of each block, and its root.
    let roots =
        rows(&mut client, "SELECT tenant_id, number, root FROM eventlog.seals ORDER BY 1, 2");

    client.batch_execute(call).unwrap();
    assert_nothing_left(&mut client, &known);
    assert_eq!(confirmed(&known, &salts(&mut client, &beside)), 0, "after {call}");
    assert_valid(&mut client, call);
    assert_computed(&mut client);
    let roots_after =
        rows(&mut client, "SELECT tenant_id, number, root FROM eventlog.seals ORDER BY 1, 2");
    assert_eq!(roots_after, roots, "{call}");
    // A receipt says how many.
    let receipts = "SELECT coalesce(sum(events), 0) - (SELECT sum(gone) FROM eventlog.seals) FROM eventlog.seal_receipts";
    assert_eq!(text(&mut client, receipts), "0", "{call}");
    seal(&mut client);
    assert_valid(&mut client, call);
    assert_eq!(confirmed(&known, &salts(&mut client, &beside)), 0, "after {call}");
}

#[test]
fn an_erased_actors_events_cannot_be_confirmed_by_an_exact_guess() {
    // Of the first event of a block, and of late events.
    let db = sealed();
    let mut client = db.superuser();
    let blocks = stored::blocks(&mut client, &format!("tenant_id = '{TENANT_A}'"));
    let first = blocks
        .iter()
        .filter(|block| block.keys.is_none() && block.number > 0)
        .find_map(|block| block.live.first().and_then(|event| event.actor.clone()))
        .expect("a block whose first event has an actor");
    let late = blocks
        .iter()
        .filter(|block| block.keys.is_some())
        .flat_map(|block| &block.live)
        .find_map(|event| event.actor.clone().filter(|actor| *actor != first))
        .expect("a late event with an actor");
    drop((client, db));
    for actor in [first, late] {
        let of_actor =
            |event: &Event| event.tenant_id == TENANT_A && event.actor.as_ref() == Some(&actor);
        erase(&format!("CALL eventlog.forget_actor('{TENANT_A}', '{actor}')"), of_actor);
    }
}

#[test]
fn an_erased_tenants_events_cannot_be_confirmed_by_an_exact_guess() {
    for tenant in [TENANT_B, TENANT_C] {
        let call = format!("CALL eventlog.forget_tenant('{tenant}')");
        erase(&call, |event| event.tenant_id == tenant);
    }
}

#[test]
fn events_past_a_retention_cannot_be_confirmed_by_an_exact_guess() {
    let of_name = "SELECT eventlog.define_event('tool_used', retention => '1 day')";
    let of_tenant = format!("SELECT eventlog.set_tenant('{TENANT_A}', retention => '1 day')");
    let of_log = "UPDATE eventlog.log_config SET retention = '1 day'";
    // maintain() is a CALL of its own.
    erase_by_maintenance(of_name, |event| event.name == "tool_used");
    erase_by_maintenance(&of_tenant, |event| event.tenant_id == TENANT_A);
    erase_by_maintenance(of_log, |_| true);
}

fn erase_by_maintenance(set: &str, is_known: fn(&Event) -> bool) {
    let db = sealed();
    let mut client = db.superuser();
    let blocks = stored::blocks(&mut client, "true");
    let known = remember(&blocks, is_known);
    assert!(!known.is_empty());
    client.batch_execute(set).unwrap();
    seal(&mut client);
    assert_nothing_left(&mut client, &known);
    assert_eq!(confirmed(&known, &salts(&mut client, &[])), 0, "{set}");
    assert_valid(&mut client, set);
    assert_computed(&mut client);
}

fn steps(path: &Value) -> Vec<Step> {
    let step = |step: &Value| {
        let (side, hash) = step.as_object().and_then(|step| step.iter().next()).expect("a side");
        let hash = unhex(hash.as_str().expect("hex")).try_into().expect("a hash");
        Step { hash, is_left: side == "left" }
    };
    path.as_array().expect("a path").iter().map(step).collect()
}

#[test]
fn the_proof_of_an_event_leads_to_the_digest_of_its_day() {
    let db = sealed();
    let mut client = db.superuser();
    let hash_of =
        |value: &Value| -> Hash { unhex(value.as_str().expect("hex")).try_into().expect("a hash") };
    let seals = stored::seals(&mut client);
    for block in stored::blocks(&mut client, "true") {
        let ends = [block.live.first(), block.live.last()];
        for event in ends.into_iter().flatten() {
            // Without the event, whose numbers are too large for most.
            let sql = format!("SELECT eventlog.event_proof({}) - 'event'", event.id);
            let proof = text(&mut client, &sql);
            let proof: Value = serde_json::from_str(&proof).expect("a proof");
            let salt = unhex(proof["salt"].as_str().expect("hex"));
            let root = tree::climb(tree::leaf(&salt, &event.digest()), &steps(&proof["path"]));
            assert_eq!(root, hash_of(&proof["seal"]["root"]), "{proof}");
            let (seal, ..) =
                seals.iter().find(|(seal, ..)| seal.root == root).expect("a seal of this root");
            let digest = tree::climb(seal.hash(), &steps(&proof["digest_path"]));
            assert_eq!(digest, hash_of(&proof["digest"]["root"]), "{proof}");
        }
    }
}
