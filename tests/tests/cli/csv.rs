//! Reports as CSV, and the server's notices beside their rows.

use crate::server::World;

#[test]
fn every_report_comes_as_csv_with_formulas_defused() {
    let world = World::new(&[]);
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    for subject in ["=1+1", "+x", "-y", "@SUM(A1)", "a,\"b\"\nc", "plain"] {
        let body = serde_json::json!({
            "name": "tool_used", "subject": subject, "actor": "=cmd|' /C calc'!A0",
            "data": { "toolName": "t", "big": 12345678901234567890_u64, "negative": -1 },
        });
        let answer = http.track_and_wait(&world.key_a, &body.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let key = ("X-Api-Key", reader.as_str());
    let by_header = [key, ("Accept", "text/csv")];
    let csv = http.ask("GET", "/api/analytics/top_subjects", &by_header, b"");
    assert_eq!(csv.status, 200, "{}", csv.text());
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    assert_eq!(
        csv.header("content-disposition"),
        Some("attachment; filename=\"top_subjects.csv\"")
    );
    assert_eq!(csv.header("x-content-type-options"), Some("nosniff"));
    let text = csv.text();
    assert!(text.lines().next().unwrap().contains("subject"), "{text}");
    for cell in ["'=1+1", "'+x", "'-y", "'@SUM(A1)", "\"a,\"\"b\"\"\nc\"", "plain"] {
        assert!(text.contains(cell), "{cell}: {text}");
    }
    assert!(text.ends_with("\r\n"));
    let same = http.ask("GET", "/api/analytics/top_subjects?format=csv", &[key], b"");
    assert_eq!(same.text(), text);
    let events = http.ask("GET", "/api/analytics/events?format=csv&limit=1", &[key], b"").text();
    assert_eq!(events.lines().count(), 2, "{events}");
    assert!(events.contains(",'=cmd|' /C calc'!A0,"), "{events}");
    assert!(events.contains("\"\"big\"\": 12345678901234567890"), "{events}");
    // JSON stays what it is, and a format that there is not is refused.
    let json = http.ask("GET", "/api/analytics/top_subjects?format=json", &by_header, b"");
    assert!(json.json()["rows"].is_array());
    let refused = http.ask("GET", "/api/analytics/top_subjects?format=xml", &[key], b"");
    assert_eq!(refused.status, 400);
    assert!(refused.message().contains("format must be json or csv"));
    // All of them.
    let described = http.get("/api/openapi.json").json();
    for (path, methods) in described["paths"].as_object().unwrap() {
        if !path.starts_with("/api/analytics/") || path.ends_with("/live") {
            continue;
        }
        let needs_steps = path.contains("funnel");
        let query = if needs_steps { "steps=tool_used&step=1&" } else { "" };
        let query = if path.ends_with("/funnel") { "steps=tool_used&" } else { query };
        let is_experiment = path.ends_with("/experiment_results");
        let query = if is_experiment {
            "exposure=tool_used&variant_key=toolName&metric=tool_used&"
        } else {
            query
        };
        let answer = http.ask("GET", &format!("{path}?{query}format=csv"), &[key], b"");
        if answer.status == 400 && needs_steps {
            continue;
        }
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let schema = &methods["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let columns = schema["properties"]["rows"]["items"]["properties"].as_object().unwrap();
        let text = answer.text();
        let heading: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        assert_eq!(heading.len(), columns.len(), "{path}: {text}");
        assert!(heading.iter().all(|name| columns.contains_key(*name)), "{path}: {text}");
    }
}

#[test]
fn what_the_log_says_besides_is_beside_the_rows_of_its_own_request() {
    let world = World::new(&["--query-connections", "1"]);
    let reader = world.key(&["--kind", "read"]);
    let mut http = world.http();
    let mut get = |path: &str| {
        let answer =
            http.ask("GET", &format!("/api/analytics/{path}"), &[("X-Api-Key", &reader)], b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer
    };
    let answer = get("summary?name=tool_usd&name=%3Cb%3E");
    assert!(!answer.text().contains("<b>"));
    let notices = answer.json()["notices"].clone();
    let notices: Vec<&str> =
        notices.as_array().unwrap().iter().map(|notice| notice.as_str().unwrap()).collect();
    assert!(notices.iter().any(|notice| notice.contains("unknown event name \"tool_usd\"")));
    assert!(notices.iter().any(|notice| notice.contains("\"<b>\"")), "{notices:?}");
    // The next on the same connection has none of them.
    assert_eq!(get("summary?name=tool_used").json().get("notices"), None);
    let by_key = get("summary?filters=%7B%22data.nonesuch%22%3A1,%22name%22%3A%22tool_used%22%7D");
    assert!(by_key.status == 200);
}
