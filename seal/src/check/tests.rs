//! A model of a day, changed at random.

use super::*;

fn digest(random: &mut fastrand::Rng) -> Hash {
    std::array::from_fn(|_| random.u8(..))
}

/// A day of `events`, of which those that `is_late` picks are in a supplement.
fn rows(random: &mut fastrand::Rng, events: usize) -> Vec<Row> {
    let mut rows: Vec<Row> = (0..events)
        .map(|n| Row {
            name: [&b"a"[..], b"b", b"page"][random.usize(..3)].to_vec(),
            created_at: random.i64(0..1000),
            id: n as i64,
            digest: digest(random),
        })
        .collect();
    rows.sort_by(|a, b| (&a.name, a.created_at, a.id).cmp(&(&b.name, b.created_at, b.id)));
    rows
}

fn store(random: &mut fastrand::Rng, rows: &[Row], part: i32) -> StoredSeal {
    let blocks: Vec<StoredBlock> = rows
        .chunks(BLOCK)
        .map(|chunk| {
            let digests: Vec<Hash> = chunk.iter().map(|row| row.digest).collect();
            let first = &chunk[0];
            StoredBlock {
                block: Some(Block::seal(&digests, [random.u8(..); 16])),
                first: Some((first.name.clone(), first.created_at, first.id)),
                ids: Some((
                    chunk.iter().map(|row| row.id).min().unwrap(),
                    chunk.iter().map(|row| row.id).max().unwrap(),
                )),
                keys: (part > 0)
                    .then(|| chunk.iter().map(|row| (row.created_at, row.id)).collect()),
            }
        })
        .collect();
    let hashes: Vec<Hash> =
        blocks.iter().map(|stored| *stored.block.as_ref().unwrap().hash()).collect();
    let seal = Seal {
        tenant_id: [1; 16],
        number: i64::from(part) + 1,
        day: 0,
        part,
        events: rows.len() as i64,
        root: tree::root(&hashes),
        previous: [0; 32],
    };
    StoredSeal { seal, gone: 0, blocks }
}

fn differences(seals: &[StoredSeal], rows: &[Row]) -> Vec<String> {
    let mut check = DayCheck::new(seals.to_vec());
    rows.iter().for_each(|row| check.row(row.clone()));
    check.finish().into_iter().filter_map(|verdict| verdict.differs).collect()
}

/// Returns true if a text names a span of ids that has this one.
fn names(text: &str, id: i64) -> bool {
    text.split(['(', ')', ';']).any(|part| {
        let Some((_, ids)) = part.split_once(", id") else { return false };
        let numbers: Vec<i64> =
            ids.split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect();
        numbers.first().is_some_and(|low| (*low..=*numbers.last().unwrap()).contains(&id))
    })
}

#[test]
fn each_change_is_found_and_named_and_nothing_else_is() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..400 {
        let events = random.usize(1..900);
        let all = rows(&mut random, events);
        let (late, rest): (Vec<Row>, Vec<Row>) =
            all.iter().cloned().partition(|row| row.id % 7 == 0 && row.id > 0);
        let mut seals = vec![store(&mut random, &rest, 0)];
        if !late.is_empty() {
            seals.push(store(&mut random, &late, 1));
        }
        assert_eq!(differences(&seals, &all), Vec::<String>::new());

        let mut changed = all.clone();
        let place = random.usize(..changed.len());
        let id = match random.u8(..4) {
            0 => {
                changed[place].digest[3] ^= 1;
                changed[place].id
            }
            1 => changed.remove(place).id,
            2 => {
                let mut row = changed[place].clone();
                (row.id, row.created_at) = (events as i64 + 5, row.created_at + 1);
                let id = row.id;
                changed.push(row);
                id
            }
            _ => {
                // The name is in the digest.
                changed[place].name = b"changed".to_vec();
                changed[place].digest[0] ^= 1;
                changed[place].id
            }
        };
        changed.sort_by(|a, b| (&a.name, a.created_at, a.id).cmp(&(&b.name, b.created_at, b.id)));
        let found = differences(&seals, &changed);
        assert!(found.iter().any(|text| names(text, id)), "{id} in {found:?}");

        let mut forged = seals.clone();
        forged[0].seal.root[0] ^= 1;
        assert_eq!(differences(&forged, &all), ["its root is not that of its blocks"]);
    }
}
