//! `eventlog anchor --tsa`: a time-stamping authority stamps the newest digest.

use std::fs;
use std::path::Path;
use std::process::Command;

use eventlog_tests::cluster::run;
use serde_json::Value;

use super::authority::{Authority, Mood};
use super::{Sealed, differs, python};
use crate::server::{failed, printed};

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a file of anchors");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_stamp_of_the_newest_digest_is_verified_by_openssl_and_by_rfc3161_client() {
    let sealed = Sealed::new("stamps");
    let authority = Authority::start(&sealed.path("authority"));
    let file = sealed.path("anchors.ndjson");
    let anchor = ["anchor", "anchors.ndjson", "--tsa", &authority.url()];
    for (mood, why) in
        [(Mood::Breaks, "it answered 500"), (Mood::Babbles, "not a response of RFC 3161")]
    {
        authority.be(mood);
        let said = failed(&mut sealed.run("log_owner", &anchor), 1);
        assert!(said.contains(why), "{said}");
        assert_eq!(fs::read_to_string(&file).expect("it was opened"), "", "nothing is appended");
    }
    authority.be(Mood::Stamps);
    let said = printed(&mut sealed.run("log_owner", &anchor));
    let last = sealed.digests;
    assert!(
        said.starts_with(&format!("{last} digests anchored")) && said.contains("stamped at 20"),
        "{said}"
    );
    let anchors = lines(&file);
    assert!(anchors[0]["timestamp"].is_null() && anchors[1]["timestamp"].is_null());
    let newest = &anchors[last - 1];
    assert_eq!(newest["timestamp"]["authority"], authority.url());

    // As the help says.
    let digest = newest["digest"].as_str().expect("a text");
    let stamp = "jq -j 'select(.number == 42).digest' anchors.ndjson > digest
                 jq -r 'select(.number == 42).timestamp.response' anchors.ndjson | base64 -d > stamp.tsr
                 openssl ts -verify -data digest -in stamp.tsr -CAfile \"$1\"";
    let stamp = stamp.replace("42", &last.to_string());
    let root = authority.root();
    let mut verify = Command::new("sh");
    verify.args(["-ec", &stamp, "sh"]).arg(&root).current_dir(sealed.path("."));
    assert!(run(&mut verify).contains("OK"));
    let response = sealed.path("stamp.tsr");
    let mut client = python("stamp.py");
    client.arg(&response).arg(&root);
    assert!(run(client.arg(digest)).starts_with("20"));
    let mut other = python("stamp.py");
    let other = other.arg(&response).arg(&root).arg("0".repeat(64)).output().expect("it starts");
    assert!(String::from_utf8_lossy(&other.stderr).contains("Mismatch between messages"));

    let verify = ["verify", "--anchors", "anchors.ndjson"];
    let said = printed(&mut sealed.run("log_owner", &verify));
    let stamped = format!("{last} digests as anchored; 1 time stamp of its digest");
    assert!(said.contains(&stamped), "{said}");
    // A stamp of another digest, or one that is cut off, is told.
    let text = fs::read_to_string(&file).expect("a file");
    let base64 = newest["timestamp"]["response"].as_str().expect("a text");
    let moved = text.replacen("\"}\n", &format!("\",\"timestamp\":{}}}\n", newest["timestamp"]), 1);
    for (changed, what) in [
        (moved, "the time stamp of digest 1 of".to_owned()),
        (
            text.replace(base64, &base64[..base64.len() - 8]),
            format!("the time stamp of digest {last} of"),
        ),
    ] {
        assert_ne!(changed, text);
        fs::write(&file, changed).expect("ours");
        let (_, said) = differs(&mut sealed.run("log_owner", &verify));
        assert!(said.contains(&what), "{said}");
    }
}

#[test]
fn an_answer_to_another_request_is_refused() {
    let sealed = Sealed::new("other-stamp");
    let authority = Authority::start(&sealed.path("authority"));
    let url = authority.url();
    printed(&mut sealed.run("log_owner", &["anchor", "one.ndjson", "--tsa", &url]));
    authority.be(Mood::Repeats);
    let said = failed(&mut sealed.run("log_owner", &["anchor", "two.ndjson", "--tsa", &url]), 1);
    assert!(said.contains("it answered another request"), "{said}");
    let said =
        failed(&mut sealed.run("log_owner", &["anchor", "two.ndjson", "--tsa", "ftp://x"]), 2);
    assert!(said.contains("--tsa: the URL begins with ftp:"), "{said}");
}
