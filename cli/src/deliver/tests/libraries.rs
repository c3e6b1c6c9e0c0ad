//! The libraries that receivers use, unmodified, in three languages: they accept our requests, and
//! refuse what somebody changed.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::*;

/// A request as a receiver has it, and the secret that it verifies with.
#[derive(Clone, Serialize)]
struct Received {
    secret: String,
    headers: BTreeMap<String, String>,
    body: String,
}

/// What each library accepts.
#[derive(Debug, PartialEq, Deserialize)]
struct Accepted {
    standardwebhooks: Vec<bool>,
    svix: Vec<bool>,
}

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// Of 64 bytes, the most.
const NEW_SECRET: &str = "whsec_//v38+/r5+Pf29fTz8vHw7+7t7Ovq6ejn5uXk4+Lh4N/e3dzb2tnY19bV1NPS0dDPzs3My8rJyMfGxcTDwsHAw==";
const OTHER_SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Sends a message with these secrets to a receiver, and returns what arrived.
async fn received(secrets: &[&str], age: i64, secret: &str) -> Received {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let sender = sender(LONG);
    let endpoint = sender.endpoint(&receiver.url()).expect("a URL");
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs();
    let body = "{\"type\":\"signup\",\"data\":{\"name\":\"Zoë \u{1f426} \\u0000\",\"n\":1.50}}";
    let message = Message {
        id: "evt_4f5b_1234567890",
        timestamp: i64::try_from(now).expect("a time") - age,
        body: body.as_bytes(),
    };
    let secrets: Vec<_> = secrets.iter().map(|text| Secret::parse(text).expect(text)).collect();
    let outcome = sender.send(&endpoint, &secrets, &message).await;
    assert_eq!(outcome, Outcome::Delivered { status: 204 });
    let request = receiver.requests().pop().expect("one");
    let (head, body) = request.split_once("\r\n\r\n").expect("a head");
    let headers = head.lines().skip(1).map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_owned(), value.to_owned())
    });
    Received { secret: secret.to_owned(), headers: headers.collect(), body: body.to_owned() }
}

/// Returns requests, and whether a receiver must accept each.
async fn cases() -> Vec<(Received, bool)> {
    let good = received(&[SECRET], 0, SECRET).await;
    let changed = |name: &str, value: &str| {
        let mut changed = good.clone();
        let old = changed.headers.insert(name.to_owned(), value.to_owned());
        assert!(old.is_some_and(|old| old != value), "{name}");
        changed
    };
    let later = good.headers["webhook-timestamp"].parse::<i64>().expect("seconds") + 1;
    let signature = &good.headers["webhook-signature"];
    vec![
        (good.clone(), true),
        (received(&[NEW_SECRET], 200, NEW_SECRET).await, true),
        // Rotation: a receiver with either secret.
        (received(&[NEW_SECRET, SECRET], 0, SECRET).await, true),
        (received(&[NEW_SECRET, SECRET], 0, NEW_SECRET).await, true),
        (received(&[NEW_SECRET, SECRET], 0, OTHER_SECRET).await, false),
        (received(&[NEW_SECRET], 0, SECRET).await, false),
        // Signed, but older or newer than five minutes.
        (received(&[SECRET], 3_600, SECRET).await, false),
        (received(&[SECRET], -3_600, SECRET).await, false),
        (Received { body: good.body.replace("signup", "Signup"), ..good.clone() }, false),
        (Received { body: format!("{} ", good.body), ..good.clone() }, false),
        (Received { secret: OTHER_SECRET.to_owned(), ..good.clone() }, false),
        (changed("webhook-id", "evt_4f5b_1234567891"), false),
        (changed("webhook-timestamp", &later.to_string()), false),
        (changed("webhook-signature", &signature.replace("v1,", "v2,")), false),
        (changed("webhook-signature", "v1,"), false),
    ]
}

/// Gives a program of `tests/webhooks` requests to verify.
fn accepted_by(program: &mut Command, requests: &[Received]) -> Accepted {
    let mut child = program
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program:?}: {error}; make setup-tests"));
    let requests = serde_json::to_vec(requests).expect("JSON");
    // One that cannot begin closes the pipe, and says why.
    let _ = child.stdin.take().expect("piped").write_all(&requests);
    let output = child.wait_with_output().expect("it is ours");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}\nmake setup-tests");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[tokio::test]
async fn libraries_of_three_languages_accept_our_requests_and_refuse_changed_ones() {
    let (requests, expected): (Vec<_>, Vec<_>) = cases().await.into_iter().unzip();
    let expected = Accepted { standardwebhooks: expected.clone(), svix: expected };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let sources = root.join("tests/webhooks");
    let mut rust = Command::new(root.join("target/webhooks-rust/debug/eventlog-webhook-tests"));
    assert_eq!(accepted_by(&mut rust, &requests), expected, "Rust");
    let mut node = Command::new("node");
    assert_eq!(accepted_by(node.arg(sources.join("verify.mjs")), &requests), expected, "Node");
    let mut python = Command::new(root.join("target/webhooks/bin/python3"));
    assert_eq!(accepted_by(python.arg(sources.join("verify.py")), &requests), expected, "Python");
}
