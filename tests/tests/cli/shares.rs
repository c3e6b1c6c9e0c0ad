//! What one key, one tenant or somebody without a key can use up of the gateway: its own share.

use std::io::{Read, Write};
use std::net::TcpStream;

use eventlog_tests::{TENANT_A, TENANT_B, db, rows, text, wait_for};
use serde_json::json;

use crate::http::{Http, read_answer};
use crate::server::{World, answers, make_key, metric, numbered, settle};

const ONE: &str = r#"{"name":"tool_used","data":{"toolName":"t"}}"#;

/// A connection that asks and does not read.
fn ask_only(http: &Http, request: &str) -> TcpStream {
    let mut stream = http.raw();
    let _ = stream.write_all(request.as_bytes());
    stream
}

#[test]
fn five_hundred_clients_that_read_nothing_keep_nobody_out() {
    let world = World::new(&["--answer-timeout", "60s"]);
    let request = "GET /dashboard/app.js HTTP/1.1\r\nHost: t\r\n\r\n".repeat(40);
    let streams: Vec<_> = (0..600).map(|_| ask_only(&world.http(), &request)).collect();
    for _ in 0..3 {
        let mut http = world.http();
        assert_eq!(http.get("/healthz").status, 200);
        assert_eq!(http.get("/metrics").status, 200);
        assert_eq!(http.get("/readyz").status, 200);
        let answer = world.http().track_and_wait(&world.key_a, ONE);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let mut http = world.http();
    assert!(metric(&mut http, "eventlog_http_connections_crowded_out_total") >= 400);
    drop(streams);
}

#[test]
fn an_answer_that_is_not_read_ends_with_its_connection() {
    let world = World::new(&["--answer-timeout", "300ms"]);
    // Enough of them that the sockets' own buffers are full.
    let request = "GET /api/openapi.json HTTP/1.1\r\nHost: t\r\n\r\n".repeat(2_000);
    let mut stream = world.http().raw();
    stream.set_write_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let _ = stream.write_all(request.as_bytes());
    let mut http = world.http();
    // It was there, and then it is not.
    let is_gone = (0..6_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        answers(&mut http).iter().any(|(labels, _)| labels.contains("openapi"))
            && metric(&mut http, "eventlog_http_connections") == 1
    });
    assert!(is_gone);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.len() < 2_000 * http.get("/api/openapi.json").body.len());
}

#[test]
fn bodies_that_one_public_key_sends_slowly_refuse_it_alone() {
    let world = World::new(&["--rate-limit", "0", "--max-body", "65536", "--max-bodies", "524288"]);
    let public = world.key(&["--event", "tool_used"]);
    let body = format!("[{}", " ".repeat(60_000));
    let head = format!(
        "POST /api/track HTTP/1.1\r\nHost: t\r\nX-Api-Key: {public}\r\nContent-Length: 65000\r\n\r\n{body}"
    );
    let mut slow: Vec<_> = (0..16).map(|_| ask_only(&world.http(), &head)).collect();
    // Some are refused at once, as the share of the key is full; the others hold it.
    let refused = slow.iter_mut().filter_map(|stream| {
        stream.set_read_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        read_answer(stream).ok()
    });
    let refused: Vec<_> = refused.collect();
    assert!(!refused.is_empty());
    for answer in &refused {
        assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
        assert!(answer.message().contains("too many bytes in progress"), "{}", answer.message());
    }
    let large = format!("{ONE}{}", " ".repeat(60_000));
    for key in [&world.key_a, &world.key_b] {
        assert_eq!(world.http().track(key, &large).status, 202, "not its tenant, nor another");
    }
}

#[test]
fn requests_of_one_key_leave_places_to_others() {
    let options = ["--rate-limit", "0", "--max-connections", "16", "--body-timeout", "60s"];
    let world = World::new(&options);
    let head = format!(
        "POST /api/track HTTP/1.1\r\nHost: t\r\nX-Api-Key: {}\r\nContent-Length: 100\r\n\r\n[",
        world.key_a
    );
    let mut slow = Vec::new();
    // Until all of them have their places.
    let answer = (0..600).find_map(|_| {
        slow.push(ask_only(&world.http(), &head));
        std::thread::sleep(std::time::Duration::from_millis(10));
        Some(world.http().track(&world.key_a, ONE)).filter(|answer| answer.status != 202)
    });
    let answer = answer.expect("the share ends");
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("1")));
    for _ in 0..20 {
        assert_eq!(world.http().track(&world.key_b, ONE).status, 202);
        assert_eq!(world.http().get("/healthz").status, 200);
    }
    drop(slow);
}

#[test]
fn keys_that_are_made_up_keep_a_new_one_from_nothing() {
    let world = World::new(&["--rate-limit", "0", "--key-cache", "0s"]);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let statuses = std::thread::scope(|scope| {
        for flood in 0..4_u32 {
            let (world, is_over) = (&world, &is_over);
            scope.spawn(move || {
                let mut http = world.http();
                let mut number = 0_u64;
                while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    number += 1;
                    let made_up = format!("el_w_{:08x}{number:08x}_{}", flood, "0".repeat(64));
                    assert_eq!(http.track(&made_up, ONE).status, 401);
                }
            });
        }
        let mut http = world.http();
        let valid = |_| {
            let key = make_key(db::shared(), &world.db.name, TENANT_B, &[]);
            http.track(&key, ONE).status
        };
        let statuses: Vec<u16> = (0..20).map(valid).collect();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        statuses
    });
    assert_eq!(statuses, [202; 20]);
}

#[test]
fn streams_of_one_tenant_leave_some_to_the_next() {
    let world = World::new(&["--rate-limit", "0", "--max-connections", "64"]);
    let (of_a, of_b) = (
        world.key(&["--kind", "read"]),
        make_key(db::shared(), &world.db.name, TENANT_B, &["--kind", "read"]),
    );
    let open = |key: &str| {
        let mut stream = ask_only(
            &world.http(),
            &format!("GET /api/analytics/live HTTP/1.1\r\nHost: t\r\nX-Api-Key: {key}\r\n\r\n"),
        );
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        (String::from_utf8_lossy(&head[9..]).into_owned(), stream)
    };
    let of_one: Vec<_> = (0..10).map(|_| open(&of_a)).collect();
    let statuses: Vec<&str> = of_one.iter().map(|(status, _)| status.as_str()).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "200", "200", "200", "200", "429", "429"]);
    assert_eq!(open(&of_b).0, "200");
}

#[test]
fn reports_of_one_tenant_that_take_their_time_let_another_ones_by() {
    let world = World::new(&["--rate-limit", "0", "--query-timeout", "60s"]);
    let of_a = world.key(&["--kind", "read"]);
    let of_b = make_key(db::shared(), &world.db.name, TENANT_B, &["--kind", "read"]);
    assert_eq!(world.http().track_and_wait(&world.key_b, ONE).status, 200);
    // Every report of A's waits for this lock, as if it took long.
    let mut superuser = world.db.superuser();
    superuser
        .batch_execute(&format!(
            "CREATE FUNCTION public.slow() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
             BEGIN
                 IF current_setting('eventlog.tenant_id', true) = '{TENANT_A}' THEN
                     PERFORM pg_advisory_lock_shared(4711);
                     PERFORM pg_advisory_unlock_shared(4711);
                 END IF;
                 RETURN true;
             END $$;
             CREATE POLICY slow ON eventlog.event_types AS RESTRICTIVE FOR SELECT USING (public.slow());
             SELECT pg_advisory_lock(4711)"
        ))
        .unwrap();
    let ask = |key: &str| {
        ask_only(
            &world.http(),
            &format!("GET /api/analytics/names HTTP/1.1\r\nHost: t\r\nX-Api-Key: {key}\r\n\r\n"),
        )
    };
    let mut waiting: Vec<_> = (0..20).map(|_| ask(&of_a)).collect();
    let stuck = "SELECT count(*)::text FROM pg_stat_activity
                  WHERE usename = 'gateway' AND wait_event_type = 'Lock' AND datname = current_database()";
    wait_for(&mut superuser, stuck, "2");
    for _ in 0..5 {
        let mut http = world.http();
        let key = [("X-Api-Key", of_b.as_str())];
        assert_eq!(http.ask("GET", "/api/analytics/names", &key, b"").status, 200);
        assert_eq!(http.ask("GET", "/api/analytics/summary", &key, b"").status, 200);
    }
    assert_eq!(text(&mut superuser, stuck), "2", "half of the connections");
    superuser.batch_execute("SELECT pg_advisory_unlock(4711)").unwrap();
    for stream in &mut waiting {
        assert_eq!(read_answer(stream).expect("an answer").status, 200);
    }
}

/// Another tenant holds a key, floods with unknown names, and reads slowly: a third one's events all
/// arrive, in their order, and none is refused.
#[test]
fn a_tenant_that_stalls_or_floods_costs_the_next_one_nothing() {
    let world = World::new(&["--rate-limit", "0"]);
    let third = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";
    let of_third = make_key(db::shared(), &world.db.name, third, &[]);
    let mut holder = world.db.connect_as("writer", TENANT_A);
    holder
        .batch_execute(
            "BEGIN; SELECT eventlog.log_event(NULL, 'tool_used', '{\"toolName\": \"t\"}', idempotency_key => 'held')",
        )
        .unwrap();
    let file = "GET /dashboard/app.js HTTP/1.1\r\nHost: t\r\n\r\n".repeat(40);
    let unread: Vec<_> = (0..512).map(|_| ask_only(&world.http(), &file)).collect();
    let held = json!({ "toolName": "t", "idempotencyKey": "held" }).to_string();
    assert_eq!(world.http().track(&world.key_a, &held).status, 202);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let unknown: serde_json::Value =
                (0..200).map(|n| json!({ "name": format!("unknown_{n}") })).collect();
            let (unknown, mut http) = (unknown.to_string(), world.http());
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let status = http.track(&world.key_b, &unknown).status;
                assert!(matches!(status, 202 | 429), "{status}");
            }
        });
        let mut http = world.http();
        for n in 0..200 {
            let answer = http.track_and_wait(&of_third, &numbered(n..n + 1).to_string());
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.json()["written"], 1, "{}", answer.text());
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let mut http = world.http();
    assert!(
        metric(&mut http, "eventlog_batches_in_flight")
            + metric(&mut http, "eventlog_stalled_tenants")
            > 0
    );
    holder.batch_execute("COMMIT").unwrap();
    settle(&mut http);
    drop(unread);
    let mut superuser = world.db.superuser();
    let numbers =
        format!("SELECT data ->> 'n' FROM eventlog.events WHERE tenant_id = '{third}' ORDER BY id");
    let expected: Vec<Vec<String>> = (0..200).map(|n| vec![n.to_string()]).collect();
    assert_eq!(rows(&mut superuser, &numbers), expected);
    let of_a = format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_A}'");
    assert_eq!(text(&mut superuser, &of_a), "1", "what A held is there, once");
}
