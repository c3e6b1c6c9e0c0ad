//! Share links: what they show, and that no parameter of their requests shows more.

use eventlog_tests::{TENANT_A, TENANT_B, db, text};
use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::server::{Gateway, World, eventlog, make_key, printed};
use crate::sessions::sign_in;

/// Events of two tenants, at noon of each of twenty days before today, and today.
fn past(options: &[&str]) -> World {
    let world = World::new(options);
    world
        .db
        .superuser()
        .batch_execute(&format!(
            "SELECT eventlog.define_event('seen', actor_key => 'userId', optional_keys => '{{kind,userId}}');
             SELECT eventlog.define_event('paid', optional_keys => '{{kind,email}}', hash_keys => '{{email}}');
             INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
             SELECT t.id::uuid, n.name, jsonb_build_object('kind', k.kind, 'userId', 'u' || d), 'u' || d, 's' || d % 2,
                    date_trunc('day', now(), 'UTC') - d * interval '1 day'
               FROM (VALUES ('{TENANT_A}', 1), ('{TENANT_B}', 2)) t (id, times), generate_series(0, 20) d,
                    (VALUES ('seen'), ('paid')) n (name), (VALUES ('x'), ('y')) k (kind), generate_series(1, t.times);"
        ))
        .unwrap();
    // Statement by statement, as it commits.
    world.db.superuser().batch_execute("CALL eventlog.maintain()").unwrap();
    world
}

/// Makes a link; its token.
fn share(http: &mut Http, key: &str, scope: &Value) -> String {
    let answer = post(http, key, scope);
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["token"].as_str().expect("a token").to_owned()
}

fn post(http: &mut Http, key: &str, scope: &Value) -> Answer {
    let headers = [("X-Api-Key", key), ("Content-Type", "application/json")];
    http.ask("POST", "/api/share", &headers, scope.to_string().as_bytes())
}

/// Asks for a report; the rest of the path may have blanks and JSON.
fn ask(http: &mut Http, token: &str, path: &str) -> Answer {
    let encode = |c: char| match c {
        ' ' => "%20".to_owned(),
        '"' => "%22".to_owned(),
        '{' => "%7B".to_owned(),
        '}' => "%7D".to_owned(),
        '>' => "%3E".to_owned(),
        c => c.to_string(),
    };
    let path: String = path.chars().map(encode).collect();
    let bearer = format!("Bearer {token}");
    http.ask("GET", &format!("/api/analytics/{path}"), &[("Authorization", &bearer)], b"")
}

#[track_caller]
fn events(answer: &Answer) -> u64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = answer.json()["rows"].clone();
    rows.as_array().unwrap().iter().map(|row| row["events"].as_u64().unwrap()).sum()
}

#[test]
fn a_link_shows_its_scope_and_nothing_widens_it() {
    let world = past(&[]);
    let reader = world.key(&["--kind", "read", "--description", "SECRET"]);
    let mut http = world.http();
    let scope = json!({
        "page": "overview", "filters": { "name": "seen" }, "names": ["seen"], "range": "7d",
        "time_zone": "UTC", "expires_in": "1 day", "tenant_id": TENANT_A,
    });
    let link = share(&mut http, &reader, &scope);
    assert!(link.starts_with("el_v_") && link.len() == 86, "{}", link.len());
    // Seven days with today, of one name, of one tenant, two a day.
    for query in [
        "",
        "?since=2020-01-01&until=2030-01-01",
        "?since=2020-01-01",
        "?until=2030-01-01",
        "?names=paid&names=seen",
        "?name=seen",
        "?filters={\"name\":[\"paid\",\"seen\"]}",
        "?filters=[{\"name\":{\"not\":\"nonesuch\"}},{}]",
        "?filters={}",
        "?filters=[]",
        "?tenant=11111111-1111-1111-1111-111111111111",
        "?breakdown=name",
        "?breakdown=data.kind",
    ] {
        let query = query.replace("11111111-1111-1111-1111-111111111111", TENANT_A);
        let answer = ask(&mut http, &link, &format!("summary{query}"));
        assert_eq!(events(&answer), 14, "{query}: {}", answer.text());
        assert_eq!(answer.json()["tenant_id"], TENANT_A);
    }
    // What it shows can be narrowed.
    let narrow = "summary?filters={\"data.kind\":\"x\"}";
    assert_eq!(events(&ask(&mut http, &link, narrow)), 7);
    assert_eq!(events(&ask(&mut http, &link, "summary?filters={\"name\":\"paid\"}")), 0);
    assert_eq!(events(&ask(&mut http, &link, "summary?name=paid")), 0);
    assert_eq!(events(&ask(&mut http, &link, "summary?since=2020-01-01&until=2020-02-01")), 0);
    // By days, in any zone, these are whole ones; and no day more.
    for zone in
        ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Pacific/Pago_Pago"]
    {
        let path = format!("events_per_day?since=2020-01-01&until=2030-01-01&time_zone={zone}");
        let answer = ask(&mut http, &link, &path);
        assert!(matches!(events(&answer), 12..=14), "{zone}: {}", answer.text());
    }
    assert_eq!(events(&ask(&mut http, &link, "days?since=2020-01-01")), 14);
    assert_eq!(events(&ask(&mut http, &link, "days")), 14, "no other span is the usual one");
    for path in ["summary", "events_per_hour", "top_subjects", "subject_stats", "recent_errors"] {
        let text = ask(&mut http, &link, path).text();
        assert!(!text.contains("paid"), "{path}: {text}");
    }
    for (path, status) in [
        (format!("summary?tenant={TENANT_B}"), 403),
        ("summary?tenant=all".to_owned(), 403),
        ("summary?tenant=x".to_owned(), 403),
        (format!("summary?tenant={TENANT_A}&tenant={TENANT_B}"), 400),
        (format!("summary?tenant_id={TENANT_B}"), 400),
        ("summary?breakdown=actor".to_owned(), 403),
        ("summary?breakdown=data.userId".to_owned(), 403),
        ("summary?breakdown=data.email".to_owned(), 403),
        ("summary?filters={\"actor\":\"u1\"}".to_owned(), 403),
        ("summary?filters=[{},{\"data.userId\":{\"present\":true}}]".to_owned(), 403),
        ("events".to_owned(), 403),
        ("get_events?ids=1".to_owned(), 403),
        ("funnel_dropouts?steps=seen&steps=seen&step=1".to_owned(), 403),
        ("cohort_retention?first_ever=true".to_owned(), 403),
        ("experiment_results?exposure=seen&variant_key=v&metric=seen".to_owned(), 403),
        ("get_rejected".to_owned(), 403),
        ("rejected".to_owned(), 403),
        ("taxonomy".to_owned(), 403),
        ("alerts".to_owned(), 403),
        ("alert_changes".to_owned(), 403),
        ("tenants_overview".to_owned(), 403),
        ("live".to_owned(), 403),
        ("names".to_owned(), 200),
        ("funnel?steps=seen&steps=seen".to_owned(), 200),
        ("cohort_retention".to_owned(), 200),
        // Its figures are of the 30 days before, too.
        ("active_actors".to_owned(), 403),
    ] {
        let answer = ask(&mut http, &link, &path);
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
    // It only reads reports.
    let bearer = format!("Bearer {link}");
    let header = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    for (method, path) in [
        ("POST", "/api/track"),
        ("POST", "/api/session"),
        ("POST", "/api/share"),
        ("POST", "/api/replay"),
        ("GET", "/api/shares"),
        ("GET", "/api/doctor"),
        ("DELETE", "/api/share/0123456789abcdef"),
    ] {
        let answer = http.ask(method, path, &header, b"{}");
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text());
    }
    let me = http.ask("GET", "/api/session", &header, b"");
    assert!(!me.text().contains("SECRET"), "{}", me.text());
    let me = me.json();
    assert_eq!((&me["kind"], &me["description"]), (&json!("share"), &json!(null)));
    assert_eq!(me["tenants"], json!([{ "id": TENANT_A, "name": null }]));
    assert_eq!((&me["scope"]["range"], &me["scope"]["people"]), (&json!("7d"), &json!(false)));
    assert!(me["expires_at"].is_string());
    // As a cookie it is none.
    let cookie = [("Cookie", format!("eventlog_session={link}"))];
    let cookie = [("Cookie", cookie[0].1.as_str())];
    assert_eq!(http.ask("GET", "/api/session", &cookie, b"").status, 401);
}

#[test]
fn a_fixed_span_is_held_and_people_are_shown_where_the_link_says_so() {
    let world = past(&[]);
    let of_b = make_key(db::shared(), &world.db.name, TENANT_B, &["--kind", "read"]);
    let mut http = world.http();
    let mut superuser = world.db.superuser();
    let day = |n: u32, superuser: &mut postgres::Client| {
        text(superuser, &format!("SELECT ((now() AT TIME ZONE 'UTC')::date - {n})::text"))
    };
    let (since, until) = (day(10, &mut superuser), day(8, &mut superuser));
    let scope = json!({ "since": since, "until": until, "people": true });
    let link = share(&mut http, &of_b, &scope);
    // Two days, two names, two kinds, each twice.
    assert_eq!(events(&ask(&mut http, &link, "summary")), 16);
    assert_eq!(events(&ask(&mut http, &link, "summary?since=2020-01-01&until=2030-01-01")), 16);
    assert_eq!(events(&ask(&mut http, &link, "days?since=2020-01-01&until=2030-01-01")), 16);
    let all = ask(&mut http, &link, "events?since=2020-01-01&limit=1000");
    let rows = all.json()["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 16);
    assert!(rows.iter().all(|row| row["actor"] == "u10" || row["actor"] == "u9"), "{rows:?}");
    let id = text(
        &mut superuser,
        &format!(
            "SELECT max(id) FROM eventlog.events WHERE tenant_id = '{TENANT_B}' AND actor = 'u1'"
        ),
    );
    let other = text(
        &mut superuser,
        &format!(
            "SELECT max(id) FROM eventlog.events WHERE tenant_id = '{TENANT_A}' AND actor = 'u9'"
        ),
    );
    for query in [format!("ids={id}"), format!("ids={other}"), "actor=u1".to_owned()] {
        let answer = ask(&mut http, &link, &format!("events?{query}&since=2020-01-01"));
        assert_eq!(answer.json()["rows"], json!([]), "{query}");
    }
    assert_eq!(events(&ask(&mut http, &link, "summary?breakdown=actor")), 16);
    assert_eq!(events(&ask(&mut http, &link, "summary?filters={\"actor\":\"u9\"}")), 8);
    assert_eq!(events(&ask(&mut http, &link, "summary?filters={\"actor\":\"u1\"}")), 0);
}

#[test]
fn what_makes_no_sense_is_refused_when_the_link_is_made() {
    let world = past(&[]);
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    for (scope, said) in [
        (json!({}), "range"),
        (json!({ "range": "soon" }), "range"),
        (json!({ "range": "-7d" }), "range"),
        (json!({ "range": "custom" }), "range"),
        (json!({ "since": "yesterday" }), "since"),
        (json!({ "since": "2026-02-01", "until": "2026-01-01" }), "since"),
        (json!({ "since": "9998-12-31", "until": "9999-12-30" }), "years"),
        (json!({ "since": "-009999-01-02" }), "since"),
        (json!({ "range": "7d", "time_zone": "Mars" }), "time_zone"),
        (json!({ "range": "7d", "time_zone": "Etc/Unknown" }), "time_zone"),
        (json!({ "range": "7d", "expires_in": "0 days" }), "expires_in"),
        (json!({ "range": "7d", "expires_in": "soon" }), "expires_in"),
        (json!({ "range": "7d", "expires_in": "2 years" }), "expires_in"),
        (json!({ "range": "7d", "filters": "x" }), "filters"),
        (json!({ "range": "7d", "filters": { "nme": "x" } }), "nme"),
        (json!({ "range": "7d", "filters": { "actor": "u1" } }), "people"),
        (json!({ "range": "7d", "filters": { "data.userId": "u1" } }), "people"),
        (json!({ "range": "7d", "names": [] }), "names"),
        (json!({ "range": "7d", "names": [1] }), "names"),
        (json!({ "range": "7d", "people": "yes" }), "people"),
        (json!({ "range": "7d", "paeg": "x" }), "paeg"),
        (json!({ "range": "7d", "tenant_id": "x" }), "tenant"),
        (json!([]), "object"),
    ] {
        let answer = post(&mut http, &reader, &scope);
        assert_eq!(answer.status, 400, "{scope}: {}", answer.text());
        assert!(answer.message().contains(said), "{scope}: {}", answer.message());
    }
    let foreign = json!({ "range": "7d", "tenant_id": TENANT_B });
    assert_eq!(post(&mut http, &reader, &foreign).status, 403);
    assert_eq!(post(&mut http, &reader, &json!({ "range": "7d", "tenant_id": "all" })).status, 403);
    assert_eq!(post(&mut http, &world.key_a, &json!({ "range": "7d" })).status, 403);
    assert_eq!(text(&mut world.db.superuser(), "SELECT count(*) FROM eventlog.api_tokens"), "0");
}

#[test]
fn a_link_that_is_over_says_so_and_is_over_on_every_gateway() {
    let world = past(&["--key-cache", "50ms"]);
    let other = Gateway::start(db::shared(), &world.db.name, &["--key-cache", "50ms"]);
    let reader = world.key(&["--kind", "read"]);
    let second = world.key(&["--kind", "read"]);
    let (mut http, mut there) = (world.http(), other.http());
    let eventually = |http: &mut Http, token: &str, says: &str| {
        let is_so = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let answer = ask(http, token, "summary");
            answer.status == 401
                && answer.json()["error"]["code"] == "share_expired"
                && answer.message().contains(says)
        });
        assert!(is_so, "{says}");
    };
    let brief = share(&mut http, &reader, &json!({ "range": "7d", "expires_in": "2 seconds" }));
    eventually(&mut there, &brief, "this link expired on ");
    // Only with the right secret.
    let wrong = format!("{}{}", &brief[..85], if brief.ends_with('0') { '1' } else { '0' });
    assert_eq!(ask(&mut there, &wrong, "summary").json()["error"]["code"], "unauthorized");

    let link = share(&mut http, &reader, &json!({ "range": "7d", "description": "for Bob" }));
    assert_eq!(ask(&mut there, &link, "summary").status, 200);
    let list = http.ask("GET", "/api/shares", &[("X-Api-Key", &reader)], b"").json();
    assert_eq!(list["shares"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["shares"][0]["description"], "for Bob");
    assert!(!list.to_string().contains(&link[22..]), "{list}");
    let cookie = sign_in(&mut http, &reader);
    assert_eq!(http.ask("GET", "/api/shares", &[("Cookie", &cookie)], b"").json(), list);
    let id = list["shares"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/share/{id}");
    // Another key has no part in it.
    for (key, status) in [(&second, 404), (&world.key_a, 403), (&reader, 200), (&reader, 200)] {
        assert_eq!(http.ask("DELETE", &path, &[("X-Api-Key", key)], b"").status, status);
    }
    for wrong in ["x", "0123456789abcdef", "%00", "0123456789abcdeg"] {
        let path = format!("/api/share/{wrong}");
        let answer = http.ask("DELETE", &path, &[("X-Api-Key", &reader)], b"");
        assert!(matches!(answer.status, 400 | 404), "{wrong}: {}", answer.text());
    }
    assert!(ask(&mut http, &link, "summary").message().starts_with("this link was ended on "));
    eventually(&mut there, &link, "this link was ended on ");

    let last = share(&mut http, &reader, &json!({ "range": "7d" }));
    let mut command = eventlog(db::shared(), &world.db.name, "log_owner");
    printed(command.args(["key", "revoke", &reader]));
    eventually(&mut there, &last, "ended with the key");
    eventually(&mut http, &last, "ended with the key");
}

#[test]
fn a_link_of_one_tenant_shows_nothing_of_another_in_any_report() {
    let world = past(&["--rate-limit", "0"]);
    let mut http = world.http();
    world
        .db
        .superuser()
        .batch_execute(&format!(
            "SELECT eventlog.log_event('{TENANT_B}', 'seen', '{{\"kind\": \"of-b-only\"}}', actor => 'of-b-only', subject => 'of-b-only')"
        ))
        .unwrap();
    let all = make_key(db::shared(), &world.db.name, TENANT_A, &["--kind", "read"]);
    let link = share(&mut http, &all, &json!({ "range": "90d", "people": true }));
    let described = http.get("/api/openapi.json").json();
    let mut reached = 0;
    for path in described["paths"].as_object().unwrap().keys() {
        let Some(report) = path.strip_prefix("/api/analytics/") else { continue };
        for query in [
            "",
            "?breakdown=actor",
            "?breakdown=data.kind",
            "?filters={\"data.kind\":\"of-b-only\"}",
            "?steps=seen&steps=seen&breakdown=subject",
            "?steps=seen&steps=paid&step=1",
            "?since=2020-01-01&until=2030-01-01",
        ] {
            let answer = ask(&mut http, &link, &format!("{report}{query}"));
            assert!(answer.status < 500, "{report}{query}: {}", answer.text());
            let text = answer.text();
            // A notice repeats nothing of the filter's value.
            assert!(!text.contains("of-b-only"), "{report}{query}: {text}");
            reached += u32::from(answer.status == 200);
        }
    }
    assert!(reached >= 30, "{reached}");
}

#[test]
fn a_report_that_looks_past_its_span_does_not_look_past_the_links() {
    let world = past(&[]);
    let mut superuser = world.db.superuser();
    superuser
        .batch_execute(
            "SELECT eventlog.define_event('seen', error_key => 'kind', optional_keys => '{kind,userId,message}')",
        )
        .unwrap();
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    let day = |superuser: &mut postgres::Client, sql: &str| {
        text(superuser, &format!("SELECT ({sql})::date::text"))
    };
    let (since, until) = (
        day(&mut superuser, "(now() AT TIME ZONE 'UTC')::date - 10"),
        day(&mut superuser, "(now() AT TIME ZONE 'UTC')::date - 8"),
    );
    let link = share(&mut http, &reader, &json!({ "since": since, "until": until }));
    // Two events of a subject lie in the span; those of the following days do not count.
    let steps = "funnel?steps=seen&steps=seen&steps=seen&by=subject";
    for query in ["&within=3700 days", "&within=P7D", ""] {
        let answer = ask(&mut http, &link, &format!("{steps}{query}"));
        assert_eq!(answer.status, 200, "{query}: {}", answer.text());
        assert_eq!(answer.json()["rows"][2]["reached"], 0, "{query}: {}", answer.text());
    }
    // A week or month that began before the span is left out.
    for period in ["week", "month", "day"] {
        let answer = ask(&mut http, &link, &format!("cohort_retention?period={period}"));
        let none = Vec::new();
        let json = answer.json();
        let rows = json["rows"].as_array().unwrap_or(&none);
        assert!(answer.status == 200 || answer.status == 400, "{period}: {}", answer.text());
        let starts = rows.iter().map(|row| row["cohort"].as_str().unwrap());
        assert!(starts.into_iter().all(|start| start >= since.as_str()), "{period}: {rows:?}");
    }
    // Nor does it show a text of a single event.
    let errors = ask(&mut http, &link, "recent_errors").json();
    let row = &errors["rows"][0];
    assert!(row["events"].as_u64().is_some_and(|events| events > 0), "{errors}");
    assert!(row["last_id"].is_null() && row["last_message"].is_null(), "{errors}");
    let with_people = json!({ "since": since, "until": until, "people": true });
    let with_people = share(&mut http, &reader, &with_people);
    let errors = ask(&mut http, &with_people, "recent_errors").json();
    assert!(errors["rows"][0]["last_id"].is_string(), "{errors}");

    let many: Vec<String> = (0..30).map(|n| format!("{n}{}", "x".repeat(1_000))).collect();
    let answer = post(&mut http, &reader, &json!({ "range": "24h", "names": many }));
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("limit 8192"), "{}", answer.text());
}
