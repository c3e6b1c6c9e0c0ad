//! Reads events, seals and blocks from the tables, and computes again what the server computed: with the
//! crate of the seals, but from the text that SQL gives.

use std::collections::{BTreeMap, BTreeSet};

use eventlog_seal::block::Block;
use eventlog_seal::form::{Columns, Form};
use eventlog_seal::keys::{self, Key};
use eventlog_seal::record::{DayDigest, Receipt, Seal};
use eventlog_seal::{Hash, tree};
use eventlog_tests::rows;
use postgres::Client;

use super::payload::Json;

/// An event; times in microseconds since 1970.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) id: i64,
    pub(crate) tenant_id: String,
    pub(crate) day: String,
    pub(crate) created_at: i64,
    pub(crate) occurred_at: Option<i64>,
    pub(crate) weight: Option<f32>,
    pub(crate) name: String,
    pub(crate) actor: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) data: String,
}

const EVENTS: &str = "
    SELECT id, tenant_id, (created_at AT TIME ZONE 'UTC')::date, (extract(epoch FROM created_at) * 1000000)::bigint,
           CASE WHEN isfinite(occurred_at) THEN (extract(epoch FROM occurred_at) * 1000000)::bigint
                WHEN occurred_at > now() THEN 9223372036854775807 WHEN occurred_at IS NOT NULL THEN -9223372036854775808 END, weight, name, 'a' || actor, 's' || subject, data
      FROM eventlog.events WHERE CONDITION ORDER BY tenant_id, 3, name COLLATE \"C\", created_at, id";

/// Microseconds from 1970 to 2000, from where PostgreSQL counts, as keys of supplements do.
const FROM_1970_TO_2000: i64 = 946_684_800_000_000;

fn some(value: &str) -> Option<String> {
    (value != "∅").then(|| value.to_owned())
}

fn number<T: std::str::FromStr>(value: &str) -> T {
    value.parse().unwrap_or_else(|_| panic!("a number: {value}"))
}

/// Reads what `bytea` prints.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    let digits = text.strip_prefix("\\x").unwrap_or(text);
    (0..digits.len() / 2)
        .map(|n| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).expect("hex"))
        .collect()
}

/// Writes bytes as SQL has them.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hash(text: &str) -> Hash {
    unhex(text).try_into().unwrap_or_else(|_| panic!("a hash: {text}"))
}

fn uuid(text: &str) -> [u8; 16] {
    unhex(&text.replace('-', "")).try_into().expect("a uuid")
}

/// Reads events, in the order of seals: tenant, day, name, time, id.
pub(crate) fn events(client: &mut Client, condition: &str) -> Vec<Event> {
    let found = rows(client, &EVENTS.replace("CONDITION", condition));
    found.iter().map(|row| Event::read(row)).collect()
}

impl Event {
    fn read(row: &[String]) -> Self {
        Event {
            id: number(&row[0]),
            tenant_id: row[1].clone(),
            day: row[2].clone(),
            created_at: number(&row[3]),
            occurred_at: some(&row[4]).map(|at| number(&at)),
            weight: some(&row[5]).map(|weight| number(&weight)),
            name: row[6].clone(),
            actor: some(&row[7]).map(|actor| actor[1..].to_owned()),
            subject: some(&row[8]).map(|subject| subject[1..].to_owned()),
            data: row[9].clone(),
        }
    }

    /// Returns its digest.
    pub(crate) fn digest(&self) -> Hash {
        let mut form = Form::default();
        form.begin(&Columns {
            id: self.id,
            tenant_id: uuid(&self.tenant_id),
            created_at: self.created_at,
            occurred_at: self.occurred_at,
            weight: self.weight,
            name: self.name.as_bytes(),
            actor: self.actor.as_deref().map(str::as_bytes),
            subject: self.subject.as_deref().map(str::as_bytes),
        });
        Json::read(&self.data).form(&mut form);
        form.digest()
    }

    fn key(&self) -> Key {
        (self.created_at - FROM_1970_TO_2000, self.id)
    }
}

/// A block as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) tenant_id: String,
    pub(crate) day: String,
    pub(crate) part: i32,
    pub(crate) number: i32,
    pub(crate) block: Block,
    pub(crate) keys: Option<Vec<Key>>,
    /// Its events that are there, in their order.
    pub(crate) live: Vec<Event>,
}

impl Stored {
    /// Returns the digests of its events that are there.
    pub(crate) fn digests(&self) -> Vec<Hash> {
        self.live.iter().map(Event::digest).collect()
    }

    /// Says which block of which seal it is, for messages and for WHERE.
    pub(crate) fn place(&self) -> String {
        format!(
            "tenant_id = '{}' AND day = '{}' AND part = {} AND block = {}",
            self.tenant_id, self.day, self.part, self.number
        )
    }
}

/// Reads all blocks that meet a condition on `seal_blocks`, with their events.
pub(crate) fn blocks(client: &mut Client, condition: &str) -> Vec<Stored> {
    let sql = format!(
        "SELECT tenant_id, day, part, block, events, hash, seeds, coalesce(gone, ''), coalesce(gone_hashes, ''), keys
           FROM eventlog.seal_blocks WHERE {condition} ORDER BY 1, 2, 3, 4"
    );
    let mut blocks: Vec<Stored> = rows(client, &sql)
        .iter()
        .map(|row| {
            let part = |n: usize| unhex(&row[n]);
            let block = Block::read(number(&row[4]), &part(5), &part(6), &part(7), &part(8));
            Stored {
                tenant_id: row[0].clone(),
                day: row[1].clone(),
                part: number(&row[2]),
                number: number(&row[3]),
                block: block.unwrap_or_else(|| panic!("a block that can be read: {row:?}")),
                keys: some(&row[9]).map(|text| keys::read(&unhex(&text)).expect("keys")),
                live: Vec::new(),
            }
        })
        .collect();
    let days: BTreeSet<(String, String)> =
        blocks.iter().map(|block| (block.tenant_id.clone(), block.day.clone())).collect();
    let mut days_events: BTreeMap<_, Vec<Event>> = BTreeMap::new();
    for event in events(client, "true") {
        let day = (event.tenant_id.clone(), event.day.clone());
        if days.contains(&day) {
            days_events.entry(day).or_default().push(event);
        }
    }
    for (day, events) in days_events {
        let of_day: Vec<&mut Stored> = blocks
            .iter_mut()
            .filter(|block| (&block.tenant_id, &block.day) == (&day.0, &day.1))
            .collect();
        give(of_day, events);
    }
    blocks
}

/// Gives each block of a day its events.
fn give(mut blocks: Vec<&mut Stored>, events: Vec<Event>) {
    let mut rest = Vec::new();
    for event in events {
        let key = event.key();
        let mut supplements = blocks.iter_mut();
        let its =
            supplements.find(|block| block.keys.as_ref().is_some_and(|keys| keys.contains(&key)));
        match its {
            Some(block) => block.live.push(event),
            None => rest.push(event),
        }
    }
    let mut rest = rest.into_iter();
    for block in blocks.into_iter().filter(|block| block.keys.is_none()) {
        block.live = rest.by_ref().take(block.block.live()).collect();
    }
}

/// Reads all seals, each with the number of its digest, by tenant and number.
pub(crate) fn seals(client: &mut Client) -> Vec<(Seal, i64, Option<i64>)> {
    let sql = "SELECT tenant_id, number, day - date '1970-01-01', part, events, root, previous, gone, digest
                 FROM eventlog.seals ORDER BY tenant_id, number";
    let seal = |row: Vec<String>| {
        let seal = Seal {
            tenant_id: uuid(&row[0]),
            number: number(&row[1]),
            day: number(&row[2]),
            part: number(&row[3]),
            events: number(&row[4]),
            root: hash(&row[5]),
            previous: hash(&row[6]),
        };
        (seal, number(&row[7]), some(&row[8]).map(|digest| number(&digest)))
    };
    rows(client, sql).into_iter().map(seal).collect()
}

/// Computes all seals and digests again, and compares: blocks with the events, seals with the blocks and
/// the seals before them, digests with seals, receipts and the digests before them.
#[track_caller]
pub(crate) fn assert_computed(client: &mut Client) {
    let blocks = blocks(client, "true");
    for block in &blocks {
        let live = block.digests();
        let place = block.place();
        assert_eq!(live.len(), block.block.live(), "{place}");
        assert_eq!(block.block.root_over(&live).as_ref(), Some(block.block.hash()), "{place}");
    }
    let mut roots: BTreeMap<([u8; 16], String, i32), Vec<Hash>> = BTreeMap::new();
    for block in &blocks {
        let seal = (uuid(&block.tenant_id), block.day.clone(), block.part);
        roots.entry(seal).or_default().push(*block.block.hash());
    }
    let seals = seals(client);
    let mut last: BTreeMap<[u8; 16], (i64, Hash)> = BTreeMap::new();
    let days = rows(client, "SELECT day FROM eventlog.seals ORDER BY tenant_id, number").concat();
    for ((seal, gone, _), day) in seals.iter().zip(days) {
        let (number, previous) = last.get(&seal.tenant_id).copied().unwrap_or((0, [0; 32]));
        assert_eq!((seal.number, seal.previous), (number + 1, previous), "{seal:?}");
        match roots.get(&(seal.tenant_id, day, seal.part)) {
            Some(hashes) => assert_eq!(tree::root(hashes), seal.root, "{seal:?}"),
            None => assert_eq!(*gone, seal.events, "{seal:?} has no blocks"),
        }
        last.insert(seal.tenant_id, (seal.number, seal.hash()));
    }
    assert_digests(client);
}

/// Reads the hashes of all receipts, each with the number of its digest, by id.
pub(crate) fn receipts(client: &mut Client) -> Vec<(Hash, Option<i64>)> {
    let sql = "SELECT tenant_id, id, first_day - date '1970-01-01', last_day - date '1970-01-01', events, call, role_name,
                      (extract(epoch FROM at) * 1000000)::bigint, digest FROM eventlog.seal_receipts ORDER BY id";
    let receipt = |row: Vec<String>| {
        let receipt = Receipt {
            tenant_id: uuid(&row[0]),
            id: number(&row[1]),
            first_day: number(&row[2]),
            last_day: number(&row[3]),
            events: number(&row[4]),
            call: &row[5],
            role_name: &row[6],
            at: number(&row[7]),
        };
        (receipt.hash(), some(&row[8]).map(|digest| number(&digest)))
    };
    rows(client, sql).into_iter().map(receipt).collect()
}

/// Reads the digests, each with its hash as it is stored.
pub(crate) fn digests(client: &mut Client) -> Vec<(DayDigest, Hash)> {
    let sql = "SELECT number, day - date '1970-01-01', root, previous, digest FROM eventlog.seal_digests ORDER BY number";
    let digest = |row: Vec<String>| {
        let digest = DayDigest {
            number: number(&row[0]),
            day: number(&row[1]),
            root: hash(&row[2]),
            previous: hash(&row[3]),
        };
        (digest, hash(&row[4]))
    };
    rows(client, sql).into_iter().map(digest).collect()
}

/// Computes the root of a digest: over the seals and the receipts that were made with it.
pub(crate) fn digest_root(client: &mut Client, digest: i64) -> Hash {
    let seals = seals(client).into_iter().map(|(seal, _, of)| (seal.hash(), of));
    let leaves: Vec<Hash> = seals
        .chain(receipts(client))
        .filter(|(_, of)| *of == Some(digest))
        .map(|(hash, _)| hash)
        .collect();
    tree::root(&leaves)
}

#[track_caller]
fn assert_digests(client: &mut Client) {
    let mut previous = [0; 32];
    for (digest, stored) in digests(client) {
        assert_eq!(digest_root(client, digest.number), digest.root, "{digest:?}");
        assert_eq!((digest.hash(), digest.previous), (stored, previous), "{digest:?}");
        previous = stored;
    }
}
