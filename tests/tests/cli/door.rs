//! What every request meets: limits of size and time, packing, other sites' pages, ids.

use std::io::{Read, Write};
use std::time::Duration;

use serde_json::json;

use crate::http::read_answer;
use crate::server::{World, numbered};

const ONE: &str = r#"{"toolName":"t"}"#;

/// Packs as gzip does without packing: stored blocks, and a checksum.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut child = std::process::Command::new("gzip")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("gzip");
    let mut stdin = child.stdin.take().expect("piped");
    let bytes = bytes.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
    let mut packed = Vec::new();
    child.stdout.take().expect("piped").read_to_end(&mut packed).unwrap();
    feeder.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    packed
}

#[test]
fn a_body_is_bounded_as_it_is_declared_sent_and_unpacked() {
    let world = World::new(&["--max-body", "4096"]);
    let mut http = world.http();
    let key = [("X-Api-Key", world.key_a.as_str())];
    let packed = [("X-Api-Key", world.key_a.as_str()), ("Content-Encoding", "gzip")];
    let large = format!("{ONE}{}", " ".repeat(5000));
    let fits = format!("{ONE}{}", " ".repeat(4000));
    assert_eq!(http.ask("POST", "/api/track", &key, fits.as_bytes()).status, 202);
    assert_eq!(http.ask("POST", "/api/track", &key, large.as_bytes()).status, 413);
    assert_eq!(http.ask("POST", "/api/track", &packed, &gzip(fits.as_bytes())).status, 202);
    let bomb = gzip(&vec![b' '; 100 << 20]);
    assert_eq!(http.ask("POST", "/api/track", &packed, &bomb[..2000]).status, 413);
    for broken in [&b"no gzip"[..], &gzip(ONE.as_bytes())[..20], b""] {
        assert_eq!(http.ask("POST", "/api/track", &packed, broken).status, 400);
    }
    for wrong in [
        ("Content-Encoding", "br"),
        ("Content-Encoding", "gzip, gzip"),
        ("Content-Type", "text/plain"),
    ] {
        let headers = [key[0], wrong];
        assert_eq!(
            http.ask("POST", "/api/track", &headers, ONE.as_bytes()).status,
            415,
            "{wrong:?}"
        );
    }
    // Without a length it is counted as it comes.
    let head = format!(
        "POST /api/track HTTP/1.1\r\nHost: t\r\nX-Api-Key: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
        world.key_a
    );
    let chunks =
        format!("{head}1000\r\n{}\r\n1000\r\n{}\r\n0\r\n\r\n", " ".repeat(4096), " ".repeat(4096));
    assert_eq!(http.send(chunks.as_bytes()).unwrap().status, 413);
    let chunk = format!("{head}{:x}\r\n{ONE}\r\n0\r\n\r\n", ONE.len());
    assert_eq!(http.send(chunk.as_bytes()).unwrap().status, 202);
    let declared = format!(
        "POST /api/track HTTP/1.1\r\nHost: t\r\nX-Api-Key: {}\r\nContent-Length: 99999999999\r\n\r\n",
        world.key_a
    );
    assert_eq!(http.send(declared.as_bytes()).unwrap().status, 413);
    assert_eq!(world.events("name").len(), 3);
}

#[test]
fn more_events_than_one_request_may_have_are_413() {
    let world = World::new(&["--max-events", "5"]);
    let mut http = world.http();
    assert_eq!(http.track(&world.key_a, &numbered(0..5).to_string()).status, 202);
    let answer = http.track(&world.key_a, &numbered(0..6).to_string());
    assert_eq!((answer.status, answer.message().contains("limit 5")), (413, true));
}

#[test]
fn a_head_that_is_too_large_or_too_slow_ends_the_connection() {
    let world = World::new(&["--header-timeout", "300ms", "--body-timeout", "300ms"]);
    let mut http = world.http();
    let large = format!("GET /healthz HTTP/1.1\r\nHost: t\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(http.send(large.as_bytes()).map(|answer| answer.status).unwrap_or(431), 431);
    let many = format!("GET /healthz HTTP/1.1\r\nHost: t\r\n{}\r\n", "X: x\r\n".repeat(500));
    assert_eq!(http.send(many.as_bytes()).map(|answer| answer.status).unwrap_or(431), 431);

    let mut slow = http.raw();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost").unwrap();
    let mut rest = Vec::new();
    let _ = slow.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1.1 200"));

    let mut slow = http.raw();
    let head = format!(
        "POST /api/track HTTP/1.1\r\nHost: t\r\nX-Api-Key: {}\r\nContent-Length: 1000\r\n\r\n{{",
        world.key_a
    );
    slow.write_all(head.as_bytes()).unwrap();
    let answer = read_answer(&mut slow).unwrap();
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    // Dripping does not help.
    let mut drip = http.raw();
    drip.write_all(head.as_bytes()).unwrap();
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(10));
        if drip.write_all(b" ").is_err() {
            break;
        }
    }
    assert_eq!(read_answer(&mut drip).map(|answer| answer.status).unwrap_or(408), 408);
    assert_eq!(http.get("/healthz").status, 200);
}

#[test]
fn slow_clients_that_hold_all_places_are_thrown_out_and_others_get_in() {
    let world = World::new(&["--max-connections", "4", "--header-timeout", "300ms"]);
    let http = world.http();
    let slow: Vec<_> = (0..16)
        .map(|_| {
            let mut stream = http.raw();
            let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\n");
            stream
        })
        .collect();
    assert_eq!(world.http().get("/healthz").status, 200);
    drop(slow);
}

#[test]
fn what_is_not_there_is_404_and_another_method_405() {
    let world = World::new(&[]);
    let mut http = world.http();
    for path in [
        "/index.html",
        "/api",
        "/api/track/",
        "/api/analytics",
        "/..%2f..%2fetc/passwd",
        "/%00",
        "/api/track/../track",
    ] {
        let answer = http.get(path);
        assert_eq!(
            (answer.status, answer.json()["error"]["code"].clone()),
            (404, json!("not_found")),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("GET", "/api/track", "POST"),
        ("POST", "/healthz", "GET,HEAD"),
        ("DELETE", "/api/track", "POST"),
    ] {
        let answer = http.ask(method, path, &[], b"");
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
        assert_eq!(answer.json()["error"]["code"], "method_not_allowed");
    }
}

#[test]
fn every_answer_has_an_id_which_is_the_clients_where_that_is_plain() {
    let world = World::new(&[]);
    let mut http = world.http();
    let ask = |http: &mut crate::http::Http, id: &str| {
        let answer = http.ask("GET", "/healthz", &[("X-Request-Id", id)], b"");
        answer.header("x-request-id").expect("an id").to_owned()
    };
    assert_eq!(ask(&mut http, "abc-1_2.3"), "abc-1_2.3");
    for odd in ["<script>", "a b", &"x".repeat(65), "ü"] {
        let given = ask(&mut http, odd);
        assert!(given.len() == 36 && given != ask(&mut http, odd), "{given}");
    }
    for path in ["/nothing", "/metrics", "/api/openapi.json"] {
        let answer = http.get(path);
        assert!(answer.header("x-request-id").is_some(), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[test]
fn answers_are_packed_for_who_asks_so() {
    let world = World::new(&[]);
    let mut http = world.http();
    let plain = http.get("/api/openapi.json");
    assert_eq!(plain.header("content-encoding"), None);
    let packed = http.ask("GET", "/api/openapi.json", &[("Accept-Encoding", "gzip")], b"");
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.starts_with(&[0x1f, 0x8b]) && packed.body.len() < plain.body.len() / 2);
}

#[test]
fn pages_of_other_sites_may_call_only_where_it_is_set() {
    let preflight = |world: &World, origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization,content-type"),
        ];
        let answer = world.http().ask("OPTIONS", "/api/track", &headers, b"");
        (answer.status, answer.header("access-control-allow-origin").map(str::to_owned))
    };
    let none = World::new(&[]);
    assert_eq!(preflight(&none, "https://app.example"), (405, None));
    let some =
        World::new(&["--cors-origin", "https://app.example", "--cors-origin", "https://b.example"]);
    let allowed = "https://app.example".to_owned();
    assert_eq!(preflight(&some, "https://app.example"), (200, Some(allowed.clone())));
    assert_eq!(preflight(&some, "https://evil.example").1, None);
    assert_eq!(preflight(&some, "null").1, None);
    let headers = [("Origin", allowed.as_str()), ("X-Api-Key", some.key_a.as_str())];
    let answer = some.http().ask("POST", "/api/track", &headers, ONE.as_bytes());
    assert_eq!(answer.header("access-control-allow-origin"), Some(allowed.as_str()));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let all = World::new(&["--cors-origin", "*"]);
    assert_eq!(preflight(&all, "https://evil.example"), (200, Some("*".to_owned())));
}
