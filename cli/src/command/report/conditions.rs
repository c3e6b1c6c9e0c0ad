//! The conditions of --filter, and the JSON that a report takes for them.

use serde_json::{Map, Value, json};

/// A condition on events: `data.skillName=canvas`.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Condition(Value);

/// Operators, longer ones before those that they begin with.
const OPERATORS: [&str; 7] = ["!=", "^=", ">=", "<=", "=", ">", "<"];

impl Condition {
    /// Reads a condition. JSON as the report takes it is a condition too.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.starts_with(['{', '[']) {
            let json = serde_json::from_str(text);
            return json.map(Condition).map_err(|error| format!("is not JSON: {error}"));
        }
        if let Some(key) = text.strip_prefix('!') {
            return Condition::of(key, Value::Null);
        }
        let found = text.char_indices().find_map(|(place, _)| {
            let operator = OPERATORS.iter().find(|it| text[place..].starts_with(**it))?;
            Some((&text[..place], *operator, &text[place + operator.len()..]))
        });
        let Some((key, operator, value)) = found else {
            return Condition::of(text, json!({ "present": true }));
        };
        let value = match operator {
            "=" => values(value),
            "!=" => json!({ "not": values(value) }),
            "^=" => json!({ "prefix": value }),
            _ => match serde_json::from_str::<Value>(value.trim()) {
                Ok(number) if number.is_number() => json!({ operator: number }),
                _ => return Err(format!("{key}{operator} takes a number, not {value:?}")),
            },
        };
        Condition::of(key, value)
    }

    fn of(key: &str, value: Value) -> Result<Self, String> {
        let key = key.trim();
        let is_payload = key.strip_prefix("data.").is_some_and(|key| !key.is_empty());
        if !is_payload && !["name", "actor", "subject"].contains(&key) {
            let key = if key.is_empty() { "nothing" } else { key };
            return Err(format!("a filter is on name, actor, subject or data.KEY, not on {key}"));
        }
        Ok(Condition(Value::Object(Map::from_iter([(key.to_owned(), value)]))))
    }

    /// Returns the event names that the condition asks for.
    pub(super) fn names(&self) -> Vec<String> {
        let all: &[Value] = match &self.0 {
            Value::Array(all) => all,
            one => std::slice::from_ref(one),
        };
        let of_names = all.iter().filter_map(|condition| match condition.get("name")? {
            Value::Object(operators) => operators.get("is").or_else(|| operators.get("not")),
            value => Some(value),
        });
        let values = of_names.flat_map(|value| match value {
            Value::Array(values) => values.clone(),
            value => vec![value.clone()],
        });
        values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
    }
}

/// Returns the argument `filters` for conditions that must all hold.
pub(super) fn filters(conditions: &[Condition]) -> Option<String> {
    let all = conditions.iter().flat_map(|condition| match &condition.0 {
        Value::Array(all) => all.clone(),
        one => vec![one.clone()],
    });
    let all: Vec<Value> = all.collect();
    match all.as_slice() {
        [] => None,
        [one] => Some(one.to_string()),
        _ => Some(Value::Array(all).to_string()),
    }
}

/// Reads values with commas between them; `\,` is a comma in a value.
fn values(text: &str) -> Value {
    let mut values = vec![String::new()];
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, values.last_mut()) {
            (',', _) => values.push(String::new()),
            ('\\', Some(value)) => {
                value.push(rest.next_if(|c| [',', '\\'].contains(c)).unwrap_or('\\'))
            }
            (c, Some(value)) => value.push(c),
            (_, None) => {}
        }
    }
    match values.as_slice() {
        [one] => json!(one),
        _ => json!(values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_become_the_json_that_reports_take() {
        for (text, wanted) in [
            ("data.skillName=canvas", r#"{"data.skillName":"canvas"}"#),
            ("name=tool_used,skill_executed", r#"{"name":["tool_used","skill_executed"]}"#),
            (r"subject=a\,b\c", r#"{"subject":"a,b\\c"}"#),
            ("actor!=user-1", r#"{"actor":{"not":"user-1"}}"#),
            ("actor^=user-", r#"{"actor":{"prefix":"user-"}}"#),
            ("data.durationMs>=1e3", r#"{"data.durationMs":{">=":1000.0}}"#),
            ("data.n<-5", r#"{"data.n":{"<":-5}}"#),
            ("data.a.b", r#"{"data.a.b":{"present":true}}"#),
            ("!actor", r#"{"actor":null}"#),
            ("actor=", r#"{"actor":""}"#),
            ("data.url=https://a/?b=c>d", r#"{"data.url":"https://a/?b=c>d"}"#),
            (r#"{"data.a=b": 1}"#, r#"{"data.a=b":1}"#),
        ] {
            let condition = Condition::read(text).expect(text);
            assert_eq!(filters(&[condition]).as_deref(), Some(wanted), "{text}");
        }
        for (text, said) in [
            ("data.n>many", "takes a number"),
            ("skillName=canvas", "not on skillName"),
            ("=x", "not on nothing"),
            ("data.=x", "not on data."),
            ("name~x", "not on name~x"),
            ("{", "not JSON"),
        ] {
            let refused = Condition::read(text).expect_err(text);
            assert!(refused.contains(said), "{refused}");
        }
        let both = ["name=a,b", "data.n>1"].map(|text| Condition::read(text).unwrap());
        let wanted = r#"[{"name":["a","b"]},{"data.n":{">":1}}]"#;
        assert_eq!(filters(&both).as_deref(), Some(wanted));
        assert_eq!(filters(&[]), None);
        assert_eq!(both[0].names(), ["a", "b"]);
    }
}
