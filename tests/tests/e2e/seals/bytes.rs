//! Bytes that are changed in the data files of a server that is stopped are found, whatever they are part
//! of, and the server is none the worse for it.

use std::fs;
use std::path::PathBuf;

use eventlog_tests::cluster::run;
use eventlog_tests::random::Random;
use eventlog_tests::{Cluster, TENANT_A, TENANT_B, rows, scaled, text};

use super::log::{self, DAYS};
use super::stored;
use super::verdicts::{ALL, assert_valid, wrong};

/// Events of each tenant's day: as many blocks as are told of a seal.
const EVENTS: usize = 2_500;

/// Bytes of the payload before its text: 4 of the object, 4 for each of 3 keys and 3 values, 3 of keys.
const BEFORE: usize = 31;

/// A change of bytes that begin so far before the text of the payload.
struct Change {
    before: usize,
    mask: Vec<u8>,
}

fn change(before: usize, mask: &[u8]) -> Change {
    Change { before, mask: mask.to_vec() }
}

/// Changes of each part of a payload `{"b": true, "k": text, "n": 12.5}`. It begins with the number of
/// pairs and what it is; then come length and kind of each key and value, and then the keys themselves.
fn every_part() -> Vec<Change> {
    let mut changes = vec![
        // One pair less, many more, an array.
        change(31, &[0x02]),
        change(31, &[0xFF, 0xFF, 0xFF, 0x0F]),
        change(31, &[0, 0, 0, 0x60]),
        // A key that is longer, one of another kind, and the keys themselves.
        change(27, &[0x08]),
        change(23, &[0, 0, 0, 0x30]),
        change(3, &[0x01]),
        change(1, &[0x04]),
        // True that is false, or null.
        change(15, &[0, 0, 0, 0x10]),
        change(15, &[0, 0, 0, 0x70]),
        // A text that is far longer than the payload, or ends elsewhere.
        change(11, &[0xFF, 0xFF, 0xFF, 0x0F]),
        change(11, &[0, 0, 0, 0x80]),
        // A number that is something else.
        change(7, &[0, 0, 0, 0x10]),
        change(7, &[0, 0, 0, 0x40]),
        change(7, &[0xFF, 0xFF]),
        // The text.
        change(0, &[0x01]),
        change(0, &[0x80]),
    ];
    // A text that is of any other kind.
    changes.extend((1..8).map(|kind| change(11, &[0, 0, 0, kind << 4])));
    changes
}

/// A change of one byte anywhere in object and text, except bits that mean nothing.
fn anywhere(random: &mut Random) -> Change {
    loop {
        let place = random.below(BEFORE + 20);
        let mask = 1 + random.below(255) as u8;
        let means_nothing = match place {
            // Of an object nobody asks whether it was a scalar, and of the first key whether it is
            // its end or its length.
            3 => mask & 0x6F == 0,
            7 => mask & 0x7F == 0,
            _ => false,
        };
        if !means_nothing {
            return if place < BEFORE {
                change(BEFORE - place, &[mask])
            } else {
                // Of the text, which is found by its end.
                change(0, &[&vec![0; place - BEFORE][..], &[mask]].concat())
            };
        }
    }
}

struct Log {
    cluster: Cluster,
    /// Id, block, and text of an event of each block.
    events: Vec<(stored::Stored, i64, String)>,
}

/// A sealed log whose payloads have texts that are found in the file.
fn marked() -> Log {
    let cluster = Cluster::start(&[]);
    log::make_in(&cluster);
    let mut owner = cluster.connect("app", "log_owner");
    for day in &DAYS[..2] {
        owner
            .batch_execute(&format!(
                "INSERT INTO eventlog.events (tenant_id, name, data, actor, created_at)
                 SELECT tenant, 'a', jsonb_build_object('b', true, 'k', 'marker ' || md5(concat(g, tenant, '{day}')), 'n', 12.5),
                        'actor ' || md5(concat(tenant, g, '{day}')), '{day} 00:00+00'::timestamptz + g * interval '1 s'
                   FROM generate_series(1, {EVENTS}) g, unnest(ARRAY['{TENANT_A}', '{TENANT_B}']::uuid[]) tenant"
            ))
            .unwrap();
    }
    log::seal(&mut owner);
    assert_valid(&mut owner, "when it was filled");
    let blocks = stored::blocks(&mut owner, "true");
    let events = blocks.into_iter().map(|block| {
        let event = &block.live[block.live.len() / 3];
        let marker = event.data.split('"').find(|text| text.starts_with("marker "));
        let (id, marker) = (event.id, marker.expect("of each").to_owned());
        (block, id, marker)
    });
    let events: Vec<_> = events.collect();
    assert_eq!(events.len(), 40);
    Log { cluster, events }
}

impl Log {
    fn stop(&self) {
        let mut superuser = self.cluster.connect("app", "postgres");
        let has_checksums = text(&mut superuser, "SHOW data_checksums") == "on";
        drop(superuser);
        self.cluster.stop();
        if has_checksums {
            // They would find it first.
            let data = self.cluster.folder().join("data");
            run(self.cluster.client("pg_checksums").args(["--disable", "-D"]).arg(data));
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut superuser = self.cluster.connect("app", "postgres");
        let sql = "SELECT DISTINCT pg_relation_filepath(tableoid) FROM eventlog.events";
        let data = self.cluster.folder().join("data");
        rows(&mut superuser, sql).concat().iter().map(|path| data.join(path)).collect()
    }

    /// Changes bytes at this place of an event, in the file that has it. Done twice it is undone.
    fn change(files: &[PathBuf], marker: &str, change: &Change) {
        let mut places = 0;
        for path in files {
            let mut bytes = fs::read(path).expect("a file of the server");
            let found: Vec<usize> = bytes
                .windows(marker.len())
                .enumerate()
                .filter(|(_, window)| *window == marker.as_bytes())
                .map(|(place, _)| place)
                .collect();
            for place in &found {
                for (n, mask) in change.mask.iter().enumerate() {
                    bytes[place - change.before + n] ^= mask;
                }
            }
            places += found.len();
            if !found.is_empty() {
                fs::write(path, bytes).expect("a file of the server");
            }
        }
        assert_eq!(places, 1, "{marker}");
    }

    /// Makes changes, one in each block, and asserts that each is named; then restores the files.
    fn assert_found(&self, changes: &[Change]) {
        let files = self.files();
        for changes in changes.chunks(self.events.len()) {
            self.stop();
            let originals: Vec<Vec<u8>> =
                files.iter().map(|path| fs::read(path).expect("a file")).collect();
            for (change, (_, _, marker)) in changes.iter().zip(&self.events) {
                Log::change(&files, marker, change);
            }
            self.cluster.start_again();
            let mut owner = self.cluster.connect("app", "log_owner");
            let found = wrong(&mut owner, ALL);
            for (change, (block, id, _)) in changes.iter().zip(&self.events) {
                assert!(
                    found.iter().any(|verdict| verdict.names(block, *id)),
                    "{} before the text, {:x?}: {} id {id}\n{found:#?}",
                    change.before,
                    change.mask,
                    block.place()
                );
            }
            let log = self.cluster.log();
            assert!(!log.contains("terminated by signal") && !log.contains("PANIC"), "{log}");
            drop(owner);
            self.cluster.stop();
            for (path, bytes) in files.iter().zip(originals) {
                fs::write(path, bytes).expect("a file of the server");
            }
            self.cluster.start_again();
        }
        assert_valid(&mut self.cluster.connect("app", "log_owner"), "when the bytes are back");
    }
}

#[test]
fn bytes_changed_in_a_data_file_are_found_and_the_server_survives_what_cannot_be_read() {
    let log = marked();
    log.assert_found(&every_part());
    let mut random = Random::new();
    let changes: Vec<Change> = (0..scaled(40, 1_200)).map(|_| anywhere(&mut random)).collect();
    log.assert_found(&changes);
}

#[test]
fn bytes_of_an_actor_changed_in_a_data_file_are_found() {
    let log = marked();
    let files = log.files();
    let actor = |n: usize| {
        let (block, id, _) = &log.events[n];
        let event = block.live.iter().find(|event| event.id == *id).expect("it is there");
        (block, *id, event.actor.clone().expect("each has one"))
    };
    log.stop();
    // Another letter, and what is no letter at all.
    let masks = [0x01, 0x80, 0xFF];
    for (n, mask) in masks.iter().enumerate() {
        Log::change(&files, &actor(n * 12).2, &change(0, &[0, 0, 0, 0, 0, 0, *mask]));
    }
    log.cluster.start_again();
    let found = wrong(&mut log.cluster.connect("app", "log_owner"), ALL);
    assert_eq!(found.len(), masks.len(), "{found:#?}");
    for n in 0..masks.len() {
        let (block, id, _) = actor(n * 12);
        assert!(found.iter().any(|verdict| verdict.names(block, id)), "{id} {found:#?}");
    }
}
