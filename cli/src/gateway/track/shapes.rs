//! The JSON shapes of an event, and how each becomes an event of the log.

use eventlog_writer::{Event, EventName};
use serde::Serialize;
use serde_json::value::RawValue;

use super::json_fields::{Fields, text};
use crate::gateway::intake::Incoming;

/// Keys of an event in the log's own terms.
const NATIVE: &[&str] =
    &["name", "data", "actor", "userId", "subject", "occurredAt", "idempotencyKey", "tenantId"];

/// Keys of a tool hook's callback.
const HOOK: &[&str] = &[
    "toolName",
    "skillId",
    "skillName",
    "hookEvent",
    "source",
    "clientTimestamp",
    "metadata",
    "userId",
    "idempotencyKey",
    "tenantId",
];

/// Keys of a finished skill execution.
const SKILL: &[&str] = &[
    "skill",
    "durationMs",
    "success",
    "errorType",
    "errorMessage",
    "metadata",
    "userId",
    "idempotencyKey",
    "tenantId",
];

/// `source` of a hook callback that has none: it marks the event as coming from a hook.
const HOOK_SOURCE: &str = "\"hook\"";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hook<'a> {
    tool_name: &'a RawValue,
    skill_id: Option<&'a RawValue>,
    skill_name: Option<&'a RawValue>,
    hook_event: Option<&'a RawValue>,
    source: Option<&'a RawValue>,
    client_timestamp: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Skill<'a> {
    skill_name: &'a RawValue,
    success: &'a RawValue,
    duration_ms: &'a RawValue,
    error_type: Option<&'a RawValue>,
    error_message: Option<&'a RawValue>,
    metadata: Option<&'a RawValue>,
}

/// Reads an event, or returns what is wrong with it.
pub(crate) fn read(event: &RawValue) -> Result<Incoming, String> {
    let mut fields = Fields::of(event)?;
    let shapes = ["name", "toolName", "skill"].map(|key| fields.has(key));
    let (event, known, users) = match shapes {
        [true, false, false] => (native(&mut fields)?, NATIVE, ["actor", "userId"].as_slice()),
        [false, true, false] => (hook(&mut fields)?, HOOK, ["userId"].as_slice()),
        [false, false, true] => (skill(&mut fields)?, SKILL, ["userId"].as_slice()),
        _ => return Err("an event must have exactly one of name, toolName and skill".to_owned()),
    };
    let tenant = fields.uuid("tenantId")?;
    let mut user = None;
    for key in users {
        let value = fields.text(key)?;
        if user.is_some() && value.is_some() {
            return Err("actor and userId mean the same: give one of them".to_owned());
        }
        user = user.or(value);
    }
    let idempotency_key = fields.text("idempotencyKey")?;
    fields.end(known)?;
    Ok(Incoming { event, tenant, user, is_user_made_up: false, idempotency_key })
}

fn native(fields: &mut Fields<'_>) -> Result<Event, String> {
    let name = text("name", fields.required("name")?)?;
    let mut event = Event::new(name);
    if let Some(data) = fields.object("data")? {
        event = event.data(data);
    }
    if let Some(subject) = fields.text("subject")? {
        event = event.subject(subject);
    }
    if let Some(time) = fields.time("occurredAt")? {
        event = event.occurred_at(time);
    }
    Ok(event)
}

fn hook(fields: &mut Fields<'_>) -> Result<Event, String> {
    let source: &RawValue = serde_json::from_str(HOOK_SOURCE).expect("it is a string");
    let data = Hook {
        tool_name: fields.required("toolName")?,
        skill_id: fields.take("skillId"),
        skill_name: fields.take("skillName"),
        hook_event: fields.take("hookEvent"),
        source: Some(fields.take("source").unwrap_or(source)),
        client_timestamp: fields.take("clientTimestamp"),
        metadata: fields.object("metadata")?,
    };
    text("toolName", data.tool_name)?;
    let has_clock = data.client_timestamp.is_some();
    let event = Event::new(EventName::ToolUsed).data(&data);
    // The log reads occurred_at from the client's clock; a value that it cannot parse stays in the payload.
    Ok(if has_clock { event.clock_in_payload() } else { event })
}

fn skill(fields: &mut Fields<'_>) -> Result<Event, String> {
    let data = Skill {
        skill_name: fields.required("skill")?,
        success: fields.required("success")?,
        duration_ms: fields.required("durationMs")?,
        error_type: fields.take("errorType"),
        error_message: fields.take("errorMessage"),
        metadata: fields.object("metadata")?,
    };
    text("skill", data.skill_name)?;
    if !matches!(data.success.get(), "true" | "false") {
        return Err("success must be true or false".to_owned());
    }
    if !data.duration_ms.get().starts_with(|c: char| c.is_ascii_digit()) {
        return Err("durationMs must be a number that is not negative".to_owned());
    }
    Ok(Event::new(EventName::SkillExecuted).data(&data))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::read;

    fn read_text(json: &str) -> Result<(String, String), String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let event = read(raw)?.event;
        Ok((event.name().as_str().to_owned(), event.payload().to_owned()))
    }

    #[test]
    fn each_shape_becomes_its_event_to_the_last_digit() {
        for (json, name, payload) in [
            (r#"{"name":"own"}"#, "own", "{}"),
            (r#"{"name":"own","data":null,"actor":null}"#, "own", "{}"),
            (
                r#"{"name":"own","data":{"a":1.10,"b":null,"c":12345678901234567890.5},"userId":"u","occurredAt":"2026-01-31T12:00:00+02:00"}"#,
                "own",
                r#"{"a":1.10,"c":12345678901234567890.5}"#,
            ),
            (
                r#"{"toolName":"t","hookEvent":"post","clientTimestamp":"x","metadata":{"a":[null]},"tenantId":"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}"#,
                "tool_used",
                r#"{"toolName":"t","hookEvent":"post","source":"hook","clientTimestamp":"x","metadata":{"a":[null]}}"#,
            ),
            (r#"{"toolName":"t","source":"ci"}"#, "tool_used", r#"{"toolName":"t","source":"ci"}"#),
            (
                r#"{"skill":"canvas","durationMs":1.50,"success":false,"errorType":"x"}"#,
                "skill_executed",
                r#"{"skillName":"canvas","success":false,"durationMs":1.50,"errorType":"x"}"#,
            ),
        ] {
            assert_eq!(read_text(json), Ok((name.to_owned(), payload.to_owned())), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_a_value() {
        for (json, says) in [
            ("1", "an event must be an object"),
            ("{}", "one of name, toolName and skill"),
            (r#"{"name":"a","skill":"b"}"#, "one of name, toolName and skill"),
            (r#"{"name":"a","name":"b"}"#, "duplicate keys"),
            (r#"{"name":7}"#, "name must be a valid string"),
            (r#"{"name":"SECRET\u0000"}"#, "name must not contain U+0000"),
            (r#"{"name":"\ud800"}"#, "name must be a valid string"),
            (r#"{"name":"a","data":"SECRET"}"#, "data must be an object"),
            (r#"{"name":"a","nmae":"SECRET"}"#, "unknown key \"nmae\"; known are name, data"),
            (r#"{"name":"a","a\u0000\nb":1}"#, "unknown key \"a  b\"; known are"),
            (r#"{"name":"a","tenantId":"SECRET"}"#, "tenantId must be a uuid"),
            (r#"{"name":"a","occurredAt":"SECRET"}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":-1}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":0}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":99999999.9}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":1e400}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":1764150000000000}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":99999999999999999}"#, "occurredAt must be a time"),
            (r#"{"name":"a","occurredAt":"9999-01-01T00:00:00Z"}"#, "occurredAt must be a time"),
            (r#"{"name":"a","actor":"x","userId":"y"}"#, "give one of them"),
            (r#"{"toolName":"a","metadata":[]}"#, "metadata must be an object"),
            (r#"{"skill":"a","success":true}"#, "durationMs is missing"),
            (r#"{"skill":"a","success":1,"durationMs":1}"#, "success must be"),
            (r#"{"skill":"a","success":true,"durationMs":"SECRET"}"#, "durationMs must be"),
        ] {
            let said = read_text(json).unwrap_err();
            assert!(said.contains(says) && !said.contains("SECRET"), "{json}: {said}");
        }
    }
}
