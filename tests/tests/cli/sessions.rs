//! Sessions of browsers: made from a key to read, by a cookie that is good for reading only.

use std::io::{Read, Write};

use eventlog_tests::random::Random;
use eventlog_tests::{TENANT_A, TENANT_B, assert_refused, db, rows, text, wait_for};
use serde_json::json;

use crate::http::{Answer, Http};
use crate::server::{Gateway, World, eventlog, make_key, printed};

const ONE: &str = r#"{"name":"tool_used","data":{"toolName":"t"}}"#;

/// Signs in; the cookie as a browser sends it.
pub(crate) fn sign_in(http: &mut Http, key: &str) -> String {
    let answer = http.ask("POST", "/api/session", &[("X-Api-Key", key)], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    cookie_of(&answer)
}

fn cookie_of(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    set.split(';').next().expect("a value").to_owned()
}

fn get(http: &mut Http, path: &str, cookie: &str) -> Answer {
    http.ask("GET", path, &[("Cookie", cookie)], b"")
}

#[test]
fn a_browser_signs_in_once_reads_and_signs_out() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read", "--description", "dashboard of <Acme>"]);
    let mut http = world.http();
    assert_eq!(http.get("/api/session").status, 401);
    let answer = http.ask("POST", "/api/session", &[("X-Api-Key", &reader)], b"");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.starts_with("eventlog_session=el_s_"), "{set}");
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/", "; Max-Age=25"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Secure") && !set.contains("Domain"), "{set}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let cookie = cookie_of(&answer);
    let me = get(&mut http, "/api/session", &cookie).json();
    assert_eq!(me["kind"], "read");
    assert_eq!(me["key_id"], reader[5..21]);
    assert_eq!(me["description"], "dashboard of <Acme>");
    assert_eq!(me["tenants"], json!([{ "id": TENANT_A, "name": null }]));
    assert_eq!((&me["scope"], &me["can_replay"]), (&json!(null), &json!(false)));
    assert!(me["expires_at"].is_string());
    // The name of the tenant, once it has one.
    let name = format!("SELECT eventlog.set_tenant('{TENANT_A}', display_name => 'Acme & Sons')");
    world.db.superuser().batch_execute(&name).unwrap();
    let named = get(&mut http, "/api/session", &cookie).json();
    assert_eq!(named["tenants"], json!([{ "id": TENANT_A, "name": "Acme & Sons" }]));
    // The key itself says the same, and has no end.
    let by_key = http.ask("GET", "/api/session", &[("X-Api-Key", &reader)], b"").json();
    assert_eq!((&by_key["tenants"], &by_key["expires_at"]), (&named["tenants"], &json!(null)));

    assert_eq!(get(&mut http, "/api/analytics/summary", &cookie).status, 200);
    assert_eq!(get(&mut http, "/api/analytics/names", &cookie).status, 200);
    // Beside other cookies, in any order.
    let among = format!("a=b; {cookie}; c=\"d\"");
    assert_eq!(get(&mut http, "/api/analytics/names", &among).status, 200);

    let out = http.ask("DELETE", "/api/session", &[("Cookie", &cookie)], b"");
    assert_eq!(out.status, 200, "{}", out.text());
    let removed = out.header("set-cookie").expect("a cookie");
    assert!(removed.starts_with("eventlog_session=;") && removed.contains("Max-Age=0"));
    assert_eq!(get(&mut http, "/api/session", &cookie).status, 401);
    assert_eq!(get(&mut http, "/api/analytics/summary", &cookie).status, 401);
    // Once more is as good, and so is none.
    assert_eq!(http.ask("DELETE", "/api/session", &[("Cookie", &cookie)], b"").status, 200);
    assert_eq!(http.ask("DELETE", "/api/session", &[], b"").status, 200);
}

#[test]
fn behind_https_the_cookie_is_for_https_only() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let headers = [("X-Api-Key", reader.as_str()), ("X-Forwarded-Proto", "https, http")];
    let answer = world.http().ask("POST", "/api/session", &headers, b"");
    assert!(answer.header("set-cookie").expect("a cookie").ends_with("; Secure"));
}

#[test]
fn the_cookie_writes_nothing_and_a_page_of_another_site_reads_nothing_with_it() {
    let world = World::new(&["--cors-origin", "*"]);
    let reader = world.key(&["--kind", "read", "--can-replay"]);
    let mut http = world.http();
    let cookie = sign_in(&mut http, &reader);
    for (method, path) in [
        ("POST", "/api/track"),
        ("POST", "/api/session"),
        ("POST", "/api/share"),
        ("POST", "/api/replay"),
        ("DELETE", "/api/share/0123456789abcdef"),
    ] {
        for site in ["same-origin", "cross-site"] {
            let headers = [("Cookie", cookie.as_str()), ("Sec-Fetch-Site", site)];
            let answer = http.ask(method, path, &headers, ONE.as_bytes());
            assert_eq!(answer.status, 401, "{method} {path} {site}: {}", answer.text());
        }
    }
    assert!(world.events("id").is_empty());
    for (name, value, status) in [
        ("Sec-Fetch-Site", "same-origin", 200),
        ("Sec-Fetch-Site", "none", 200),
        ("Sec-Fetch-Site", "same-site", 403),
        ("Sec-Fetch-Site", "cross-site", 403),
        ("Sec-Fetch-Site", "", 403),
        ("Origin", "http://test", 200),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
    ] {
        for path in ["/api/session", "/api/analytics/summary"] {
            let answer = http.ask("GET", path, &[("Cookie", &cookie), (name, value)], b"");
            assert_eq!(answer.status, status, "{path} {name}: {value}");
            assert!(answer.header("access-control-allow-credentials").is_none());
        }
        // A stream has no end to wait for.
        let mut stream = world.http().raw();
        let request = format!(
            "GET /api/analytics/live HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\n{name}: {value}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(&head[9..], status.to_string().as_bytes(), "live, {name}: {value}");
    }
    // Nor does it sign anybody out.
    for (name, value) in
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "none"), ("Origin", "http://a.test")]
    {
        let headers = [("Cookie", cookie.as_str()), (name, value)];
        assert_eq!(http.ask("DELETE", "/api/session", &headers, b"").status, 403);
    }
    assert_eq!(get(&mut http, "/api/session", &cookie).status, 200);
    // A key in the header is not the browser's doing.
    let headers = [("X-Api-Key", reader.as_str()), ("Sec-Fetch-Site", "cross-site")];
    assert_eq!(http.ask("GET", "/api/analytics/names", &headers, b"").status, 200);
}

#[test]
fn a_cookie_never_makes_up_for_a_wrong_key() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let of_b = make_key(db::shared(), &world.db.name, TENANT_B, &["--kind", "read"]);
    let mut http = world.http();
    let (cookie, cookie_b) = (sign_in(&mut http, &reader), sign_in(&mut http, &of_b));
    let token = cookie.strip_prefix("eventlog_session=").unwrap();
    for wrong in [token, "", "el_r_0", &world.key_a.replace("el_w", "el_r")] {
        let headers = [("Cookie", cookie.as_str()), ("X-Api-Key", wrong)];
        assert_eq!(http.ask("GET", "/api/session", &headers, b"").status, 401, "{wrong}");
    }
    let write = [("Cookie", cookie.as_str()), ("X-Api-Key", world.key_a.as_str())];
    assert_eq!(http.ask("GET", "/api/session", &write, b"").status, 403);
    // A key to write has no session, and a session none of its own.
    let headers = [("X-Api-Key", world.key_a.as_str())];
    assert_eq!(http.ask("POST", "/api/session", &headers, b"").status, 403);
    // Two of that name are none: a neighbouring host may have set one.
    assert_eq!(get(&mut http, "/api/session", &format!("{cookie}; {cookie_b}")).status, 401);
    let me = get(&mut http, "/api/session", &cookie_b).json();
    assert_eq!(me["tenants"][0]["id"], TENANT_B);
}

#[test]
fn a_session_ends_with_its_key_and_no_later() {
    let world = World::new(&["--key-cache", "50ms"]);
    let mut superuser = world.db.superuser();
    let reader = world.key(&["--kind", "read"]);
    let short = world.key(&["--kind", "read", "--expires-in", "3 seconds"]);
    let mut http = world.http();
    let cookie = sign_in(&mut http, &reader);
    let brief = http.ask("POST", "/api/session", &[("X-Api-Key", &short)], b"");
    let set = brief.header("set-cookie").expect("a cookie");
    let age: u64 = set.split("Max-Age=").nth(1).unwrap().parse().expect("seconds");
    assert!(age <= 3, "{set}");
    let brief = cookie_of(&brief);
    let is_over = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        get(&mut http, "/api/session", &brief).status == 401
    });
    assert!(is_over);
    let answer = get(&mut http, "/api/session", &brief);
    assert_eq!(answer.json()["error"]["code"], "signed_out");
    // The key is revoked: the session is of no use, though its row says nothing.
    let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
    printed(command.args(["key", "revoke", &reader]));
    let is_over = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        get(&mut http, "/api/analytics/names", &cookie).status == 401
    });
    assert!(is_over);
    let live =
        "SELECT count(*) FROM eventlog.api_tokens WHERE revoked_at IS NULL AND expires_at > now()";
    assert_eq!(text(&mut superuser, live), "1");
    assert_eq!(http.ask("POST", "/api/session", &[("X-Api-Key", &reader)], b"").status, 401);
    // maintain() deletes the one that expired.
    superuser.batch_execute("CALL eventlog.maintain()").unwrap();
    wait_for(&mut superuser, "SELECT count(*)::text FROM eventlog.api_tokens", "1");
}

#[test]
fn two_gateways_know_the_same_sessions() {
    let world = World::new(&["--key-cache", "50ms"]);
    let other = Gateway::start(db::shared(), &world.db.name, &["--key-cache", "50ms"]);
    let reader = world.key(&["--kind", "read"]);
    let (mut http, mut second) = (world.http(), other.http());
    let cookie = sign_in(&mut http, &reader);
    assert_eq!(get(&mut second, "/api/analytics/names", &cookie).status, 200);
    assert_eq!(second.ask("DELETE", "/api/session", &[("Cookie", &cookie)], b"").status, 200);
    assert_eq!(get(&mut second, "/api/analytics/names", &cookie).status, 401, "at once");
    let is_over = (0..1000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        get(&mut http, "/api/analytics/names", &cookie).status == 401
    });
    assert!(is_over, "within the seconds for which it is trusted");
}

#[test]
fn a_stolen_table_opens_nothing_and_no_secret_is_in_a_log() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    let cookie = sign_in(&mut http, &reader);
    let secret = &cookie["eventlog_session=el_s_".len() + 17..];
    assert_eq!(secret.len(), 64);
    let mut superuser = world.db.superuser();
    let row = rows(
        &mut superuser,
        &format!(
            "SELECT id, encode(secret_hash, 'hex'), secret_hash = sha256(decode('{secret}', 'hex')), t::text
               FROM eventlog.api_tokens t"
        ),
    );
    let [id, hash, is_hash, all] = &row[0][..] else { panic!("{row:?}") };
    assert!(is_hash == "t" && !all.contains(secret), "{row:?}");
    for stolen in [
        format!("eventlog_session=el_s_{id}_{hash}"),
        format!("eventlog_session=el_v_{id}_{secret}"),
        format!("eventlog_session=el_r_{id}_{secret}"),
        format!("eventlog_session={id}"),
        format!("eventlog_session={reader}"),
        format!("Eventlog_Session=el_s_{id}_{secret}"),
    ] {
        assert_eq!(get(&mut http, "/api/session", &stolen).status, 401, "{stolen}");
    }
    for stolen in [format!("el_s_{id}_{secret}"), format!("el_v_{id}_{secret}"), hash.clone()] {
        let answer = http.ask("GET", "/api/session", &[("X-Api-Key", &stolen)], b"");
        assert_eq!(answer.status, 401, "{stolen}");
    }
    assert_eq!(get(&mut http, "/api/session", &cookie).status, 200);
    assert!(!eventlog_tests::db::shared().log().contains(secret));
    let (code, log) = world.gateway.stop();
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(secret) && !log.contains(&reader[22..]), "{log}");
}

#[test]
fn only_a_gateway_and_the_owner_make_tokens_and_only_of_keys_to_read() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let create = |id: u64, key: &str, kind: &str, tenant: &str, scope: &str| {
        format!(
            "SELECT eventlog._create_token('{id:016x}', '{}', '{kind}', sha256('x'), {tenant}, {scope}, NULL, '1 day')",
            &key[5..21]
        )
    };
    let good = create(1, &reader, "session", "NULL", "NULL");
    for role in ["service", "reader", "member", "writer", "outsider"] {
        let mut client = world.db.connect(role);
        assert_refused(&mut client, &good, "42501", "");
        assert_refused(&mut client, "SELECT eventlog._end_token('0', '0')", "42501", "");
        assert_refused(
            &mut client,
            "SELECT id FROM eventlog.api_tokens",
            "42501",
            "permission denied",
        );
    }
    let mut gateway = world.db.connect(crate::server::GATEWAY);
    gateway.batch_execute(&good).unwrap();
    let tenant = format!("'{TENANT_A}'");
    for (sql, state) in [
        (create(2, &world.key_a, "session", "NULL", "NULL"), "22023"),
        (create(2, &"0".repeat(21), "session", "NULL", "NULL"), "22023"),
        (create(2, &reader, "admin", "NULL", "NULL"), "23514"),
        (create(2, &reader, "share", "NULL", "'{}'"), "23514"),
        (create(2, &reader, "share", &tenant, "NULL"), "23514"),
        (create(2, &reader, "share", &tenant, "'[]'"), "23514"),
        (create(2, &reader, "session", &tenant, "NULL"), "23514"),
        (good.replace("'1 day'", "'0'").replace("0001'", "0002'"), "22023"),
        (good.replace("'1 day'", "'367 days'").replace("0001'", "0002'"), "22023"),
        (good.clone(), "23505"),
        ("INSERT INTO eventlog.api_tokens (id) VALUES ('0')".to_owned(), "42501"),
        ("UPDATE eventlog.api_tokens SET revoked_at = NULL".to_owned(), "42501"),
        ("DELETE FROM eventlog.api_tokens".to_owned(), "42501"),
    ] {
        assert_refused(&mut gateway, &sql, state, "");
    }
    // Those of one key cannot be ended in the name of another.
    let end = |key: &str| format!("SELECT eventlog._end_token('{:016x}', '{}')", 1, &key[5..21]);
    assert_eq!(text(&mut gateway, &end(&world.key_a)), "f");
    assert_eq!(text(&mut gateway, &end(&reader)), "t");
}

#[test]
fn a_key_has_at_most_a_thousand_tokens_and_always_room_for_a_session() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let mut owner = world.db.connect("log_owner");
    let create = |from: u32, until: u32, kind: &str, tenant: &str, scope: &str| {
        format!(
            "SELECT count(eventlog._create_token(lpad(to_hex(n), 16, '0'), '{}', '{kind}', sha256('x'), {tenant}, {scope}, NULL, '1 day'))
               FROM generate_series({from}, {until}) n",
            &reader[5..21]
        )
    };
    let share = |from, until| create(from, until, "share", &format!("'{TENANT_A}'"), "'{}'");
    let session = |from, until| create(from, until, "session", "NULL", "NULL");
    assert_eq!(text(&mut owner, &share(1, 900)), "900");
    assert_refused(&mut owner, &share(901, 901), "54000", "900 share links");
    assert_eq!(text(&mut owner, &session(1001, 1150)), "150");
    let counts = "SELECT kind, count(*), max(id) FROM eventlog.api_tokens GROUP BY 1 ORDER BY 1";
    let newest = format!("{:016x}", 1150);
    assert_eq!(
        rows(&mut owner, counts),
        [["session", "100", newest.as_str()], ["share", "900", &format!("{:016x}", 900)]]
    );
    // The one that begins now is among those that stay.
    let mut http = world.http();
    let cookie = sign_in(&mut http, &reader);
    assert_eq!(get(&mut http, "/api/session", &cookie).status, 200);
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.api_tokens"), "1000");
}

#[test]
fn requests_of_a_session_count_against_the_limit_of_its_key() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read", "--rate-limit", "5"]);
    let mut http = world.http();
    let cookie = sign_in(&mut http, &reader);
    let second = sign_in(&mut http, &reader);
    let statuses: Vec<u16> = [&cookie, &second, &cookie, &second]
        .map(|cookie| get(&mut http, "/api/analytics/names", cookie).status)
        .to_vec();
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(http.ask("GET", "/api/session", &[("X-Api-Key", &reader)], b"").status, 429);
}

#[test]
fn hostile_cookies_and_tokens_are_401_and_the_gateway_goes_on() {
    let world = World::new(&["--rate-limit", "0"]);
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    let cookie = sign_in(&mut http, &reader);
    let value = cookie.split_once('=').unwrap().1;
    let mut random = Random::seeded(17);
    for round in 0..400 {
        let mut bytes = value.as_bytes().to_vec();
        for _ in 0..1 + random.below(3) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => _ = bytes.remove(at),
                1 => bytes.insert(at, *random.pick(b"0123456789abcdef_;=, \"\\%'/")),
                2 => bytes[at] = 1 + random.below(255) as u8,
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                bytes.push(b'_');
            }
        }
        bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        // A space or a further cookie after it changes nothing.
        let read = String::from_utf8_lossy(&bytes);
        if read.split(';').next().map(str::trim) == Some(value) {
            continue;
        }
        for header in ["Cookie: eventlog_session=", "X-Api-Key: ", "Authorization: Bearer "] {
            let mut request =
                format!("GET /api/session HTTP/1.1\r\nHost: test\r\n{header}").into_bytes();
            request.extend(&bytes);
            request.extend(b"\r\n\r\n");
            let answer = http.send(&request).expect("an answer");
            assert!(matches!(answer.status, 400 | 401), "{round}: {} {read:?}", answer.status);
        }
    }
    assert_eq!(get(&mut http, "/api/session", &cookie).status, 200);
}
