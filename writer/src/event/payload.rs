//! JSON text without its null keys.

use std::borrow::Cow;
use std::collections::HashSet;

/// `json`, which is well-formed, without the keys of objects whose value is null, at any depth. As
/// the server's `jsonb_strip_nulls`; but the text of numbers is left as it is, which a value of
/// Rust would not do. Of a key that comes twice the server takes the last: a null that is the last
/// is left to it, else the value before would count.
pub(crate) fn without_null_keys(json: String) -> String {
    if !json.contains("null") {
        return json;
    }
    let mut out = Vec::with_capacity(json.len());
    value(json.as_bytes(), 0, &mut out);
    String::from_utf8(out).expect("whole tokens of UTF-8")
}

/// Copies the value at `at`; where it ends.
///
/// Recurses as deep as the value nests, which was bounded before.
fn value(json: &[u8], at: usize, out: &mut Vec<u8>) -> usize {
    let start = space(json, at);
    match json[start] {
        open @ (b'{' | b'[') => container(json, start, open == b'{', out),
        b'"' => copy(json, start, string(json, start), out),
        _ => copy(json, start, word(json, start), out),
    }
}

fn container(json: &[u8], at: usize, is_object: bool, out: &mut Vec<u8>) -> usize {
    out.push(json[at]);
    let first = out.len();
    let mut keys = HashSet::new();
    let mut at = space(json, at + 1);
    while !matches!(json[at], b'}' | b']') {
        let before = out.len();
        if before > first {
            out.push(b',');
        }
        if is_object {
            let behind = string(json, at);
            let key = &json[at..behind];
            let from = space(json, space(json, behind) + 1);
            let is_first = keys.insert(unescaped(key));
            if is_first && json[from..].starts_with(b"null") {
                out.truncate(before);
                at = from + 4;
            } else {
                copy(json, at, behind, out);
                out.push(b':');
                at = value(json, from, out);
            }
        } else {
            at = value(json, at, out);
        }
        at = space(json, at);
        if json[at] == b',' {
            at = space(json, at + 1);
        }
    }
    out.push(json[at]);
    at + 1
}

/// A key as the server reads it, however it is written.
fn unescaped(key: &[u8]) -> Cow<'_, [u8]> {
    if !key.contains(&b'\\') {
        return Cow::Borrowed(&key[1..key.len() - 1]);
    }
    // One that is no text, such as half a surrogate pair, the server refuses anyway.
    serde_json::from_slice::<String>(key).map_or(Cow::Borrowed(key), |key| key.into_bytes().into())
}

fn copy(json: &[u8], from: usize, until: usize, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&json[from..until]);
    until
}

/// Past the spaces at `at`, which raw values may have.
fn space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Past the string at `at`.
fn string(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Past the number or word at `at`.
fn word(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|c| !matches!(c, b',' | b'}' | b']') && !c.is_ascii_whitespace())
    {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::without_null_keys;

    #[test]
    fn null_keys_go_at_every_depth_and_null_elements_stay() {
        for (json, stripped) in [
            ("{}", "{}"),
            (r#"{"a":null}"#, "{}"),
            (r#"{"a":null,"b":1}"#, r#"{"b":1}"#),
            (r#"{"a":1,"b":null}"#, r#"{"a":1}"#),
            (r#"{"a":1,"b":null,"c":2}"#, r#"{"a":1,"c":2}"#),
            (
                r#"{"a":{"b":null},"c":[null,{"d":null},[null]]}"#,
                r#"{"a":{},"c":[null,{},[null]]}"#,
            ),
            (r#"{"null":"null","n\"ull":[],"x":null}"#, r#"{"null":"null","n\"ull":[]}"#),
            (
                r#"{"a":1.10,"b":12345678901234567890.123,"c":null}"#,
                r#"{"a":1.10,"b":12345678901234567890.123}"#,
            ),
            (r#"{"\\":null,"a\\\"":"\\","ü🙂":true,"n":null}"#, r#"{"a\\\"":"\\","ü🙂":true}"#),
            ("{ \"a\" : null , \"b\" : [ null ] }", r#"{"b":[null]}"#),
            (r#"{"a":1,"a":null}"#, r#"{"a":1,"a":null}"#),
            (r#"{"a":null,"a":1}"#, r#"{"a":1}"#),
            (r#"{"a":1,"\u0061":null}"#, r#"{"a":1,"\u0061":null}"#),
            (r#"{"b":{"a":1},"a":null}"#, r#"{"b":{"a":1}}"#),
            ("null", "null"),
            ("[null]", "[null]"),
        ] {
            assert_eq!(without_null_keys(json.to_owned()), stripped, "{json}");
        }
    }
}
