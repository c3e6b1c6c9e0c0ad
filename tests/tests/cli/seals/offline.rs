//! `eventlog verify --export` and `--proof`: without a server, in an empty folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use eventlog_tests::{TENANT_A, TENANT_B, program, text};
use serde_json::Value;

use super::{Sealed, differs};
use crate::server::{failed, printed};

/// The program without anything of a server in its environment.
pub(super) fn offline(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program::eventlog());
    command.env_clear().current_dir(folder).arg("verify").args(arguments);
    command
}

pub(super) const EXPORT: [&str; 4] = ["--export", "events.ndjson", "--proofs", "proofs.ndjson"];

/// An exported log with its proofs and anchors, in a folder that has nothing else.
pub(super) struct Exported {
    sealed: Sealed,
    pub(super) folder: PathBuf,
    pub(super) events: Vec<String>,
    pub(super) proofs: Vec<String>,
}

impl Exported {
    pub(super) fn new(name: &str) -> Self {
        let sealed = Sealed::new(name);
        printed(&mut sealed.run("log_owner", &["anchor", "anchors.ndjson"]));
        sealed.export();
        let folder = sealed.path("offline");
        fs::create_dir(&folder).expect("a new folder");
        let lines = |name: &str| -> Vec<String> {
            let text = fs::read_to_string(sealed.path(name)).expect("it was written");
            text.lines().map(str::to_owned).collect()
        };
        let (events, proofs) = (lines("events.ndjson"), lines("proofs.ndjson"));
        fs::copy(sealed.path("anchors.ndjson"), folder.join("anchors.ndjson")).expect("ours");
        let exported = Exported { sealed, folder, events, proofs };
        exported.write(&exported.events, &exported.proofs);
        exported
    }

    pub(super) fn write(&self, events: &[String], proofs: &[String]) {
        for (name, lines) in [("events.ndjson", events), ("proofs.ndjson", proofs)] {
            fs::write(self.folder.join(name), lines.join("\n") + "\n").expect("ours");
        }
    }

    /// Returns the place of a line of the proofs that has this.
    fn proof(&self, part: &str) -> usize {
        self.proofs.iter().position(|line| line.contains(part)).expect("such a line")
    }

    #[track_caller]
    fn passes(&self, arguments: &[&str]) -> String {
        printed(&mut offline(&self.folder, &[&EXPORT, arguments].concat()))
    }

    #[track_caller]
    fn fails(&self, events: &[String], proofs: &[String], what: &[&str]) {
        self.write(events, proofs);
        let (_, said) = differs(&mut offline(&self.folder, &EXPORT));
        for what in what {
            assert!(said.contains(what), "{what}: {said}");
        }
    }
}

/// Returns a line with one thing replaced, which must be there.
#[track_caller]
pub(super) fn replaced(line: &str, from: &str, to: &str) -> String {
    assert!(line.contains(from), "{from}: {line}");
    line.replacen(from, to, 1)
}

#[test]
fn an_export_is_verified_in_a_folder_without_a_server() {
    let exported = Exported::new("export");
    let said = exported.passes(&["--anchors", "anchors.ndjson"]);
    let all = format!(
        "checked 2 tenants, 3 days, 7 seals, 2405 events, 3 of them declared gone; \
         1 event of a day not sealed yet; 1 receipt of what is gone; {} digests as anchored; \
         nothing differs\n",
        exported.sealed.digests
    );
    assert_eq!(said, all);
    // Neither the order of lines nor that of keys matters, nor blanks and escapes.
    let mut events = exported.events.clone();
    events.reverse();
    let event: serde_json::Map<String, Value> =
        serde_json::from_str(&events[0]).expect("an object");
    let pairs = event.iter().rev().map(|(key, value)| format!(" \"{key}\" :\t{value} "));
    events[0] = format!("{{{}}}", pairs.collect::<Vec<_>>().join(","));
    exported.write(&events, &exported.proofs);
    assert_eq!(exported.passes(&["--anchors", "anchors.ndjson"]), all);
    let json: Value = serde_json::from_str(&exported.passes(&["--json"])).expect("JSON");
    assert_eq!((&json["is_valid"], &json["events"]), (&true.into(), &2405.into()));
}

#[test]
fn each_change_of_an_export_is_named() {
    let exported = Exported::new("changed-export");
    let Exported { events, proofs, .. } = &exported;
    let changed = |place: usize, line: String| {
        let mut events = events.clone();
        events[place] = line;
        events
    };
    let place = |part: &str| events.iter().position(|line| line.contains(part)).expect("an event");
    let line = |part: &str| events[place(part)].clone();

    // Values, and nothing but the scale of a number.
    let with_text = "\"text\": \"xxxxxxxxxxxx\"";
    let text = replaced(&line(with_text), with_text, "\"text\": \"xxxxxxxxxxxy\"");
    exported.fails(&changed(place(with_text), text), proofs, &["seal ", "block 0 (ping", "differ"]);
    for (from, to) in [("1.50", "1.5"), ("1.50", "1.51"), ("\"weight\":1.1", "\"weight\":1.2")] {
        let text = replaced(&line(from), from, to);
        exported.fails(&changed(place(from), text), proofs, &["its events differ"]);
    }
    let date = "\"occurred_at\":\"0044-03-15T12:00:00.000001+00:00 BC\"";
    let text = replaced(&line(date), "00.000001", "00.000002");
    exported.fails(&changed(place(date), text), proofs, &["its events differ"]);

    // Deleted, inserted, moved to the other tenant or another day, cut off at the end.
    let mut fewer = events.clone();
    let gone: Value = serde_json::from_str(&fewer.remove(300)).expect("an event");
    let seal = format!("of tenant {}", gone["tenant_id"].as_str().expect("a text"));
    exported.fails(&fewer, proofs, &[&seal, "events, sealed "]);
    let id = format!("\"id\":{},", gone["id"]);
    let more = [events.clone(), vec![replaced(&events[300], &id, "\"id\":999999,")]].concat();
    exported.fails(&more, proofs, &[&seal, "events, sealed ", "999999"]);
    let (a, b) = (format!("\"{TENANT_A}\""), format!("\"{TENANT_B}\""));
    let moved = replaced(&events[1], &a, &b);
    exported.fails(&changed(1, moved), proofs, &["seal 1 of tenant", "; and 1 more"]);
    let nowhere = replaced(&events[1], &a, "\"00000000-0000-0000-0000-000000000001\"");
    exported.fails(&changed(1, nowhere), proofs, &["1 event without a seal (ping, id "]);
    exported.fails(&events[..1000], proofs, &["events, sealed "]);
    exported.fails(&[], proofs, &["0 events, sealed 256"]);

    // A line that is no event.
    let no_event = changed(4, "{\"id\": 1}".to_owned());
    exported.fails(&no_event, proofs, &["events.ndjson, line 5: missing field"]);
}

#[test]
fn each_change_of_proofs_and_anchors_is_named() {
    let exported = Exported::new("changed-proofs");
    let Exported { events, proofs, .. } = &exported;
    let changed = |place: usize, from: &str, to: &str| {
        let mut proofs = proofs.clone();
        proofs[place] = replaced(&proofs[place], from, to);
        proofs
    };
    let without = |place: usize| {
        let mut proofs = proofs.clone();
        proofs.remove(place);
        proofs
    };
    // A seal: what it says, and that it is there.
    let first = exported.proof("\"part\": 0");
    let seal: Value = serde_json::from_str(&proofs[first]).expect("JSON");
    let of = |value: &Value| value.as_str().expect("a text").to_owned();
    let zeros = "0".repeat(64);
    for (value, what) in [
        (&seal["seal"]["root"], "its root is not that of its blocks"),
        (&seal["seal"]["previous"], "it does not carry the seal before it"),
        (&seal["blocks"][0]["hash"], "block 0"),
    ] {
        let other = if of(value) == zeros { "1".repeat(64) } else { zeros.clone() };
        let other = changed(first, &of(value), &other);
        exported.fails(
            events,
            &other,
            &[&format!("tenant {}", of(&seal["seal"]["tenant_id"])), what],
        );
    }
    let number = format!("\"events\": {}", seal["seal"]["events"]);
    exported.fails(
        events,
        &changed(first, &number, "\"events\": 1"),
        &["seal 1", "is not of these seals and receipts"],
    );
    exported.fails(events, &without(first), &["without a seal"]);
    // A last seal that is left out with its events, which the digest shows.
    let last = exported.proof("\"number\": 3");
    let seal: Value = serde_json::from_str(&proofs[last]).expect("JSON");
    let (tenant, day) = (of(&seal["seal"]["tenant_id"]), of(&seal["seal"]["day"]));
    let is_other =
        |line: &&String| !(line.contains(&tenant) && line.contains(&format!("\"{day}T")));
    let others: Vec<String> = events.iter().filter(is_other).cloned().collect();
    exported.write(&others, &without(last));
    let output = offline(&exported.folder, &EXPORT).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 digest covers more than is here"), "{said}");
    // Events are gone without a receipt, or with another.
    let receipt = exported.proof("\"receipt\"");
    exported.fails(events, &without(receipt), &["3 events are declared gone, receipts have 0"]);
    let other = changed(receipt, "\"events\": 3", "\"events\": 2");
    exported.fails(events, &other, &["3 events are declared gone, receipts have 2"]);
    // A supplement that is left out, or whose events are declared to be gone.
    let supplement = exported.proof("\"part\": 1");
    let kept = without(supplement);
    exported.fails(
        &[events.clone(), vec![events[0].replacen("\"id\":", "\"id\":-", 1)]].concat(),
        &kept,
        &["events, sealed "],
    );
    let other = changed(supplement, "\"gone\": 3", "\"gone\": 2");
    exported.fails(events, &other, &["2 "]);
    // Digests: their chain, and that a seal leads to one.
    let digest = exported.proof("{\"digest\": {\"day\"");
    let line: Value = serde_json::from_str(&proofs[digest]).expect("JSON");
    let other = changed(digest, &of(&line["digest"]["root"]), &"1".repeat(64));
    exported.fails(events, &other, &["digest 1 of", "is not the hash of"]);
    exported.fails(events, &without(digest), &["digest 2 of", "those before are missing"]);
    exported.fails(events, &[], &["there are no seals in it"]);
    exported.fails(events, &["{}".to_owned()], &["proofs.ndjson, line 1: this is neither"]);

    // Anchors: another digest, and one that the log no longer has.
    exported.write(events, proofs);
    let path = exported.folder.join("anchors.ndjson");
    let anchors = fs::read_to_string(&path).expect("a file");
    let lines: Vec<&str> = anchors.lines().collect();
    let two: Value = serde_json::from_str(lines[1]).expect("JSON");
    for (text, what) in [
        (anchors.replace(&of(&two["root"]), &zeros), "in the anchors, digest 2 of"),
        (anchors.replace("\"number\":3,", "\"number\":99,"), "digest 99 of"),
    ] {
        fs::write(&path, text).expect("ours");
        let arguments = [&EXPORT[..], &["--anchors", "anchors.ndjson"]].concat();
        let (_, said) = differs(&mut offline(&exported.folder, &arguments));
        assert!(said.contains(what), "{said}");
    }
    // One digest fewer is anchored: the others are as they were.
    fs::write(&path, format!("{}\n{}\n", lines[0], lines[1])).expect("ours");
    let said = exported.passes(&["--anchors", "anchors.ndjson"]);
    let newer = exported.sealed.digests - 2;
    assert!(
        said.contains("2 digests as anchored; ")
            && said.contains(&format!("; {newer} newer digest")),
        "{said}"
    );
}

#[test]
fn an_export_of_some_tenants_or_days_is_verified_and_one_of_some_names_is_refused() {
    let sealed = Sealed::new("parts");
    let folder = sealed.path("offline");
    fs::create_dir(&folder).expect("a new folder");
    let export = |role: &str, more: &[&str]| {
        let files =
            ["export", "offline/events.ndjson", "--proofs", "offline/proofs.ndjson", "--force"];
        sealed.run(role, &[&files, more].concat())
    };
    let checked = |role: &str, more: &[&str]| {
        printed(&mut export(role, more));
        printed(&mut offline(&folder, &EXPORT))
    };
    let said = checked("reader", &["--tenant", TENANT_B]);
    assert!(said.starts_with("checked 1 tenant, 3 days, 3 seals, "), "{said}");
    let said = checked(
        "log_owner",
        &["--since", "2026-01-06", "--until", "2026-01-07", "--time-zone", "UTC"],
    );
    assert!(said.starts_with("checked 2 tenants, 1 day, 2 seals, 800 events, 0 "), "{said}");
    assert!(said.contains("digests cover more than is here"), "{said}");
    assert!(said.contains("nothing differs"), "{said}");
    for (more, why) in [
        (&["--names", "ping"][..], "--proofs needs the events of all names"),
        (&["--format", "csv"], "--proofs needs NDJSON"),
        (&["--since", "yesterday 12:00"], "--since must be at midnight in UTC"),
        (
            &["--until", "today", "--time-zone", "Asia/Kolkata"],
            "--until must be at midnight in UTC",
        ),
        (&["--proofs", "-"], "--proofs"),
    ] {
        let said = failed(&mut export("log_owner", more), 2);
        assert!(said.contains(why), "{said}");
    }
    let mut again =
        sealed.run("log_owner", &["export", "new.ndjson", "--proofs", "offline/proofs.ndjson"]);
    let said = failed(&mut again, 2);
    assert!(said.contains("proofs.ndjson exists"), "{said}");
    assert!(!sealed.path("new.ndjson").exists());
}

#[test]
fn the_proof_of_one_event_is_verified_with_and_without_anchors() {
    let mut sealed = Sealed::new("proof");
    printed(&mut sealed.run("log_owner", &["anchor", "anchors.ndjson"]));
    let conditions = [
        "name = 'ping' AND weight IS NOT NULL",
        "name = 'pong.z' AND occurred_at IS NOT NULL",
        "data ? 'long' AND actor IS NULL",
        "subject IS NOT NULL",
    ];
    for condition in conditions {
        let id = sealed.an_event(condition);
        let proof = text(&mut sealed.owner, &format!("SELECT eventlog.event_proof({id})"));
        fs::write(sealed.path("proof.json"), &proof).expect("ours");
        let check = |more: &[&str]| {
            offline(&sealed.path("."), &[&["--proof", "proof.json"], more].concat())
        };
        let said = printed(&mut check(&["--anchors", "anchors.ndjson"]));
        assert!(said.starts_with(&format!("checked event {id} (")), "{said}");
        assert!(said.ends_with("; 1 digest as anchored; nothing differs\n"), "{said}");
        printed(&mut check(&[]));
        let document: Value = serde_json::from_str(&proof).expect("JSON");
        let of = |value: &Value| value.as_str().expect("a text").to_owned();
        for (from, to, what) in [
            (
                format!("\"id\": {id},"),
                "\"id\": 1,".to_owned(),
                "does not lead to the root of the seal",
            ),
            (of(&document["salt"]), "0".repeat(32), "does not lead to the root of the seal"),
            (of(&document["seal"]["root"]), "0".repeat(64), "does not lead to the root"),
            (
                of(&document["digest"]["root"]),
                "0".repeat(64),
                "does not lead to the root of digest",
            ),
            (of(&document["digest"]["digest"]), "0".repeat(64), "is not the hash of"),
            (of(&document["event"]["tenant_id"]), TENANT_B.replace('b', "c"), "another tenant"),
        ] {
            fs::write(sealed.path("proof.json"), replaced(&proof, &from, &to)).expect("ours");
            let (_, said) = differs(&mut check(&[]));
            assert!(said.contains(what), "{from}: {said}");
        }
        fs::write(sealed.path("proof.json"), &proof).expect("ours");
        // The digest is another than the anchored one, or not anchored yet.
        let anchors = fs::read_to_string(sealed.path("anchors.ndjson")).expect("a file");
        let number = &document["digest"]["number"];
        let others: Vec<&str> = anchors
            .lines()
            .filter(|line| !line.contains(&format!("\"number\":{number},")))
            .collect();
        fs::write(sealed.path("others.ndjson"), others.join("\n") + "\n").expect("ours");
        let (_, said) = differs(&mut check(&["--anchors", "others.ndjson"]));
        assert!(
            said.contains("is not among the anchors") || said.contains("does not follow"),
            "{said}"
        );
    }
    for (text, what) in [("{}", "no proof of an event"), ("", "no proof of an event")] {
        fs::write(sealed.path("proof.json"), text).expect("ours");
        let said = failed(&mut offline(&sealed.path("."), &["--proof", "proof.json"]), 1);
        assert!(said.contains(what), "{said}");
    }
}
