use std::collections::BTreeSet;

use super::{Mapping, Names, Tool};

const TENANT: &str = "11111111-1111-4111-8111-111111111111";

fn mapping(tool: Tool) -> Mapping {
    Mapping {
        tool,
        tenant: Some(TENANT.to_owned()),
        tenant_key: None,
        names: Names::default(),
        left_out: 0,
        seen: BTreeSet::new(),
    }
}

/// Name, payload, actor, occurred_at and created_at.
fn read(tool: Tool, text: &str) -> [String; 5] {
    let row = mapping(tool).row(text.as_bytes()).unwrap().expect("it is an event");
    let value = |column: usize| row.0[column].clone().unwrap_or_default();
    assert_eq!(value(1), TENANT);
    [value(2), value(3), value(4), value(6), value(7)]
}

#[test]
fn an_event_of_each_tool_has_its_name_person_time_and_payload() {
    let segment = r#"{"type": "track", "event": "Order Completed", "userId": 17, "anonymousId": "a1", "messageId": "m1",
        "properties": {"total": 99.50}, "context": {"ip": "10.0.0.1"}, "timestamp": "2026-03-01T10:00:00Z",
        "receivedAt": "2026-03-01T10:00:02Z"}"#;
    assert_eq!(
        read(Tool::Segment, segment),
        [
            "order_completed",
            r#"{"total":99.50}"#,
            "17",
            "2026-03-01T10:00:00Z",
            "2026-03-01T10:00:02Z"
        ]
    );
    let page = r#"{"type": "page", "name": "Home", "anonymousId": "a1", "timestamp": "2026-03-01T10:00:00Z"}"#;
    assert_eq!(read(Tool::Segment, page)[..3], ["page_viewed", "{}", "a1"]);
    let posthog = r#"{"uuid": "u", "event": "report exported", "distinct_id": "user-17", "timestamp": "2026-03-02 10:00:00+00",
        "properties": "{\"format\": \"pdf\", \"$browser\": \"Firefox\", \"distinct_id\": \"user-17\"}"}"#;
    assert_eq!(
        read(Tool::Posthog, posthog),
        ["report_exported", r#"{"format":"pdf"}"#, "user-17", "", "2026-03-02 10:00:00+00"]
    );
    let mixpanel = r#"{"event": "Signed Up", "properties": {"time": 1772359200, "distinct_id": "user-17", "$insert_id": "i",
        "mp_lib": "web", "plan": "pro"}}"#;
    assert_eq!(
        read(Tool::Mixpanel, mixpanel),
        ["signed_up", r#"{"plan":"pro"}"#, "user-17", "", "2026-03-01T10:00:00Z"]
    );
    let ahoy = r#"{"id": 7, "visit_id": 3, "user_id": 17, "name": "Viewed product", "properties": {"id": 12345678901234567890},
        "time": "2026-03-01 10:00:00"}"#;
    assert_eq!(
        read(Tool::Ahoy, ahoy),
        ["viewed_product", r#"{"id":12345678901234567890}"#, "17", "", "2026-03-01 10:00:00"]
    );
}

#[test]
fn an_id_is_negative_and_the_same_each_time() {
    let id = |text: &str| {
        let row = mapping(Tool::Segment).row(text.as_bytes()).unwrap().unwrap();
        row.0[0].clone().unwrap().parse::<i64>().unwrap()
    };
    let with = |id: &str, plan: &str| {
        format!(
            r#"{{"event": "a", "timestamp": "2026-03-01T10:00:00Z", "properties": {{"plan": "{plan}"}}{id}}}"#
        )
    };
    let own = id(&with(r#", "messageId": "m""#, "x"));
    assert!(own < 0 && own > -(1 << 53));
    assert_eq!(own, id(&with(r#", "messageId": "m""#, "y")));
    assert_ne!(own, id(&with(r#", "messageId": "n""#, "x")));
    // Without an id of its own, an event is the same if it has the same text.
    assert_eq!(id(&with("", "x")), id(&with("", "x")));
    assert_ne!(id(&with("", "x")), id(&with("", "y")));
}

#[test]
fn what_is_no_event_is_left_out_and_what_is_malformed_is_said() {
    let mut segment = mapping(Tool::Segment);
    assert!(segment.row(br#"{"type": "identify", "userId": "u"}"#).unwrap().is_none());
    assert_eq!(segment.left_out, 1);
    for (tool, text, why) in [
        (Tool::Segment, "{}", "event is missing"),
        (Tool::Segment, r#"{"type": "tracks"}"#, "unknown type"),
        (Tool::Segment, r#"{"event": "a"}"#, "no time"),
        (Tool::Posthog, r#"{"event": "a", "properties": "x"}"#, "properties is not an object"),
        (Tool::Mixpanel, r#"{"event": "a", "properties": {"time": true}}"#, "no time"),
        (Tool::Ahoy, "[]", "expected a map"),
    ] {
        let said = mapping(tool).row(text.as_bytes()).map(|_| ()).unwrap_err();
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn the_tenant_is_that_of_the_payload_if_its_key_is_given() {
    let mut of_key =
        Mapping { tenant_key: Some("account".to_owned()), tenant: None, ..mapping(Tool::Ahoy) };
    let mut read = |account: &str| {
        let text = format!(r#"{{"name": "a", "time": "2026-03-01", "properties": {{{account}}}}}"#);
        of_key.row(text.as_bytes()).map(|row| row.unwrap().0[1].clone().unwrap())
    };
    assert_eq!(read(&format!(r#""account": "{TENANT}""#)).as_deref(), Ok(TENANT));
    let acme = "0f2e1c2c-da19-5661-a994-1da2d67b38a3";
    assert_eq!(read(r#""account": "acme""#).as_deref(), Ok(acme));
    assert!(read(r#""plan": 1"#).unwrap_err().contains("account"));
}
