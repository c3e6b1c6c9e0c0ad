//! `eventlog anchor`: the file, and the webhook.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use eventlog_tests::receiver::{Answer, Receiver, Request};
use eventlog_tests::{Db, TENANT_A, db};
use serde_json::Value;

use super::{Sealed, differs};
use crate::deliver;
use crate::server::{eventlog, failed, printed};

#[test]
fn each_digest_is_anchored_once_and_a_half_written_line_is_written_anew() {
    let sealed = Sealed::new("anchors");
    let file = sealed.path("anchors.ndjson");
    let anchor = || printed(&mut sealed.run("reader", &["anchor", "anchors.ndjson"]));
    let said = anchor();
    let all = sealed.digests;
    assert!(
        said.starts_with(&format!("{all} digests anchored, up to digest {all} of 20")),
        "{said}"
    );
    let whole = fs::read_to_string(&file).expect("a file");
    let lines: Vec<Value> =
        whole.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (line, number) in lines.iter().zip(1..) {
        let keys: Vec<&String> = line.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["anchored_at", "day", "digest", "number", "previous", "root"]);
        assert_eq!(line["number"], number);
    }
    assert_eq!(lines[0]["previous"], "0".repeat(64));
    assert!(
        lines.windows(2).all(|two| two[1]["previous"] == two[0]["digest"]) && lines.len() == all
    );
    let said = anchor();
    let none = format!("nothing new: all digests up to digest {all} of 20");
    assert!(said.starts_with(&none), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("a file"), whole);

    // What a crash leaves of the last line is cut off, wherever it ends.
    let start = whole.trim_end().rfind('\n').expect("lines") + 1;
    for end in [start + 1, start + 70, whole.len() - 2, start] {
        fs::write(&file, &whole[..end]).expect("ours");
        let mut command = sealed.run("reader", &["anchor", "anchors.ndjson"]);
        let output = command.output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said.contains("half written"), end != start, "{said}");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with("1 digest anchored"), "{said}");
        let again = fs::read_to_string(&file).expect("a file");
        assert!(again.starts_with(&whole[..start]) && again.lines().count() == all, "{again}");
    }
    // A last line without its end is whole.
    fs::write(&file, &whole[..start - 1]).expect("ours");
    anchor();
    assert_eq!(fs::read_to_string(&file).expect("a file").lines().count(), all);
}

#[test]
fn digests_that_are_not_the_anchored_ones_are_refused_and_nothing_is_appended() {
    let sealed = Sealed::new("other-digests");
    let file = sealed.path("anchors.ndjson");
    printed(&mut sealed.run("log_owner", &["anchor", "anchors.ndjson"]));
    let whole = fs::read_to_string(&file).expect("a file");
    let refused = |text: &str, what: &str| {
        fs::write(&file, text).expect("ours");
        let said = failed(&mut sealed.run("log_owner", &["anchor", "anchors.ndjson"]), 1);
        assert!(said.contains(what), "{said}");
        assert_eq!(fs::read_to_string(&file).expect("a file"), text, "nothing is appended");
    };
    let lines: Vec<&str> = whole.lines().collect();
    refused(&whole.replace("\"number\":2,", "\"number\":99,"), "digest 99 of");
    refused(&format!("{}\n{}\n", lines[0], lines[2]), "digest 3 of");
    refused(&whole.replacen("\"day\":\"20", "\"day\":\"19", 1), "digest 1 of 19");
    refused("hello\n", "anchors.ndjson, line 1: no anchored digest");
    // The last of them is another in the log, or gone.
    let last = sealed.digests;
    sealed.tamper(&format!(
        "UPDATE eventlog.seal_digests SET digest = sha256(digest) WHERE number = {last}"
    ));
    let differ = format!("the log's digests differ from the anchored ones: digest {last} of");
    let differ = differ.as_str();
    refused(&whole, differ);
    // Those that are new must follow.
    refused(&format!("{}\n", lines[0]), differ);
    sealed.tamper(&format!("DELETE FROM eventlog.seal_digests WHERE number = {last}"));
    refused(&whole, differ);
    refused(&whole, "is not in the log");
    let (_, said) =
        differs(&mut sealed.run("log_owner", &["verify", "--anchors", "anchors.ndjson"]));
    assert!(said.contains(&format!("{last}")), "{said}");
}

#[test]
fn a_log_without_seals_says_so() {
    let db = Db::empty();
    let run = |arguments: &[&str]| {
        let mut command = eventlog(db::shared(), &db.name, "postgres");
        command.args(arguments).current_dir(std::env::temp_dir());
        command
    };
    let said = failed(&mut run(&["verify"]), 1);
    assert!(said.contains("CREATE EXTENSION eventlog;"), "{said}");
    let mut superuser = db.superuser();
    superuser
        .batch_execute("CREATE EXTENSION eventlog; SELECT eventlog.create_log(owner => 'log_owner', seals => false)")
        .expect("a log");
    let file = format!("no-seals-{}.ndjson", std::process::id());
    for command in [&["verify"][..], &["anchor", &file]] {
        let said = failed(&mut run(command), 1);
        assert!(said.contains("this log has no seals"), "{said}");
        assert!(said.contains("SELECT eventlog.migrate_log(seals => true);"), "{said}");
    }
    superuser.batch_execute("SELECT eventlog.migrate_log(seals => true)").expect("a log");
    let said = failed(&mut run(&["verify"]), 1);
    assert!(said.contains("nothing is sealed yet"), "{said}");
    let said = printed(&mut run(&["anchor", &file]));
    assert!(said.contains("nothing is sealed yet"), "{said}");
    let _ = fs::remove_file(std::env::temp_dir().join(file));
}

/// Verifies a request as receivers in Python do.
fn assert_signed(request: &Request, secret: &str) {
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers: serde_json::Map<String, Value> =
        names.map(|name| (name.to_owned(), request.header(name).into())).into_iter().collect();
    let requests =
        serde_json::json!([{ "secret": secret, "headers": headers, "body": request.body }]);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(root.join("../target/webhooks/bin/python3"));
    python.arg(root.join("webhooks/verify.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().expect("make setup-tests");
    let mut stdin = python.stdin.take().expect("piped");
    stdin.write_all(requests.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = python.wait_with_output().expect("it is ours");
    let accepted = String::from_utf8_lossy(&output.stdout);
    assert_eq!(accepted.trim(), r#"{"standardwebhooks": [true], "svix": [true]}"#);
}

#[test]
fn a_webhook_gets_new_digests_signed_in_one_message_and_if_it_refuses_nothing_is_appended() {
    let mut sealed = Sealed::new("webhook");
    let receiver = Receiver::start(|_| Answer::Status(503));
    let (webhook, secret) = deliver::create(&mut sealed.owner, &receiver.url("digests"), "");
    let file = sealed.path("anchors.ndjson");
    let anchor = ["anchor", "anchors.ndjson", "--webhook", &webhook];
    let allowed = [&anchor[..], &["--allow-network", "127.0.0.0/8"]].concat();
    let said = failed(&mut sealed.run("log_owner", &anchor), 1);
    assert!(said.contains("is not a public address (loopback)"), "{said}");
    let said = failed(&mut sealed.run("log_owner", &allowed), 1);
    assert!(said.contains("did not take the digests: the receiver answered 503"), "{said}");
    let said = failed(&mut sealed.run("reader", &allowed), 1);
    assert!(said.contains("connect as a superuser or as a member of log_owner"), "{said}");
    assert_eq!(fs::read_to_string(&file).expect("it was opened"), "", "nothing is appended");
    receiver.answer(|_| Answer::Status(204));
    printed(&mut sealed.run("log_owner", &allowed));
    // Nothing new is not sent.
    printed(&mut sealed.run("log_owner", &allowed));

    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    let [refused, taken] = [&requests[0], &requests[1]];
    // The same message, as far as receivers that look at its id can tell.
    assert_eq!(taken.header("webhook-id"), refused.header("webhook-id"));
    let body = taken.json();
    assert_eq!(body["type"], "eventlog.digests");
    let lines: Vec<Value> = fs::read_to_string(&file)
        .expect("a file")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(body["data"]["digests"], Value::from(lines));
    assert_signed(taken, &secret);

    let disable = format!("SELECT eventlog.disable_webhook('{webhook}')");
    sealed.owner.batch_execute(&disable).expect("its own");
    fs::remove_file(&file).expect("ours");
    let said = failed(&mut sealed.run("log_owner", &allowed), 1);
    assert!(said.contains("is disabled") && said.contains("enable_webhook"), "{said}");
    let none = ["anchor", "anchors.ndjson", "--webhook", TENANT_A];
    let said = failed(&mut sealed.run("log_owner", &none), 1);
    assert!(said.contains("there is no webhook"), "{said}");
}
