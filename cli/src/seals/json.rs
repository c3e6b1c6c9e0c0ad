//! Writes a payload into the form of an event, with every digit of its numbers.

use std::borrow::Cow;

use eventlog_seal::form::{Form, key_order};

/// Deepest payload that is read.
const DEEPEST: usize = 5000;

/// A value of JSON, with numbers as they are written.
enum Value<'a> {
    Null,
    Boolean(bool),
    Text(Cow<'a, str>),
    Number(&'a str),
    Array(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

/// Writes a value, whose text is known to be JSON.
pub(super) fn write(form: &mut Form, json: &str) -> Result<(), String> {
    let mut reader = Reader { rest: json, depth: 0 };
    put(form, reader.value()?);
    Ok(())
}

fn put(form: &mut Form, value: Value<'_>) {
    match value {
        Value::Null => form.null(),
        Value::Boolean(value) => form.boolean(value),
        Value::Text(text) => form.string(text.as_bytes()),
        Value::Number(text) => form.number(text.as_bytes()),
        Value::Array(values) => {
            form.array(values.len());
            values.into_iter().for_each(|value| put(form, value));
        }
        Value::Object(mut pairs) => {
            pairs.sort_by(|(a, _), (b, _)| key_order(a.as_bytes(), b.as_bytes()));
            // Of a key that comes again, the last value counts, as for jsonb.
            pairs.reverse();
            pairs.dedup_by(|(a, _), (b, _)| a == b);
            pairs.reverse();
            form.object(pairs.len());
            for (key, value) in pairs {
                form.key(key.as_bytes());
                put(form, value);
            }
        }
    }
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl<'a> Reader<'a> {
    /// Skips blanks, and returns the next byte.
    fn peek(&mut self) -> Result<u8, String> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
        self.rest.bytes().next().ok_or_else(|| "the payload breaks off".to_owned())
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn value(&mut self) -> Result<Value<'a>, String> {
        match self.peek()? {
            b'{' | b'[' if self.depth == DEEPEST => {
                Err(format!("the payload is nested deeper than {DEEPEST} levels"))
            }
            b'{' => self
                .list(b'}', |reader| {
                    reader.peek()?;
                    let key = reader.text()?;
                    reader.peek()?;
                    reader.take(1);
                    Ok((key, reader.value()?))
                })
                .map(Value::Object),
            b'[' => self.list(b']', Self::value).map(Value::Array),
            b'"' => self.text().map(Value::Text),
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']);
                Ok(match self.take(end.unwrap_or(self.rest.len())) {
                    "null" => Value::Null,
                    "true" => Value::Boolean(true),
                    "false" => Value::Boolean(false),
                    number => Value::Number(number),
                })
            }
        }
    }

    /// Reads what is between two brackets.
    fn list<T>(
        &mut self,
        end: u8,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        self.depth += 1;
        self.take(1);
        let mut items = Vec::new();
        while self.peek()? != end {
            if self.rest.starts_with(',') {
                self.take(1);
            }
            items.push(item(self)?);
        }
        self.take(1);
        self.depth -= 1;
        Ok(items)
    }

    fn text(&mut self) -> Result<Cow<'a, str>, String> {
        let mut is_escaped = false;
        let end = self.rest.bytes().skip(1).position(|byte| {
            let is_end = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            is_end
        });
        let end = end.ok_or_else(|| "the payload breaks off".to_owned())? + 2;
        let text = self.take(end);
        if text.contains('\\') {
            return serde_json::from_str(text).map(Cow::Owned).map_err(|error| error.to_string());
        }
        Ok(Cow::Borrowed(&text[1..end - 1]))
    }
}

#[cfg(test)]
mod tests {
    use eventlog_seal::Hash;
    use eventlog_seal::form::{Columns, Form};

    fn digest(json: &str) -> Result<Hash, String> {
        let raw: &serde_json::value::RawValue = serde_json::from_str(json).expect("JSON");
        let columns = Columns {
            id: 1,
            tenant_id: [1; 16],
            created_at: 0,
            occurred_at: None,
            weight: None,
            name: b"a",
            actor: None,
            subject: None,
        };
        let mut form = Form::default();
        form.begin(&columns);
        super::write(&mut form, raw.get())?;
        Ok(form.digest())
    }

    #[test]
    fn blanks_escapes_the_order_of_keys_and_keys_that_come_again_do_not_matter() {
        for (a, b) in [
            (
                r#"{"a": 1, "bb": [true, null, "é\n"]}"#,
                r#" { "bb":[true,null,"\u00e9\u000a"],"a":1}"#,
            ),
            (r#"{"a": {"b": 1}, "a": 2, "c": 3}"#, r#"{"c": 3, "a": 2}"#),
            (r#"["\\", "\"", "]"]"#, r#"["\u005c" , "\u0022", "\u005d"]"#),
            ("{}", " { } "),
        ] {
            assert_eq!(digest(a), digest(b), "{a}");
        }
    }

    #[test]
    fn whatever_else_differs_has_another_digest() {
        let different = [
            r#"{"a": 1}"#,
            r#"{"a": 1.0}"#,
            r#"{"a": 1.00}"#,
            r#"{"a": "1"}"#,
            r#"{"b": 1}"#,
            r#"{"a": [1]}"#,
            r#"{"a": null}"#,
            "{}",
            "[]",
            "null",
            r#""""#,
            "true",
            "false",
            r#"{"a": 1, "b": 2}"#,
            r#"[1, 2]"#,
            r#"[2, 1]"#,
            r#"[[1], 2]"#,
            r#"[[1, 2]]"#,
            "12345678901234567890.1234567890123456789",
            "12345678901234567890.1234567890123456788",
        ];
        let mut digests: Vec<Hash> = different.iter().map(|it| digest(it).expect(it)).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), different.len());
    }

    #[test]
    fn deep_payloads_are_read_up_to_a_limit() {
        let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
        assert!(digest(&nested(super::DEEPEST)).is_ok());
        assert!(digest(&nested(super::DEEPEST + 1)).is_err_and(|error| error.contains("5000")));
    }
}
