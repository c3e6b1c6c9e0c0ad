//! JSON text: leaves out null keys, and measures depth.

use std::borrow::Cow;
use std::collections::HashSet;

/// Deepest nesting of a payload. The log itself takes some thousands of levels, as its stack allows.
pub(crate) const MOST_DEPTH: usize = 1_000;

/// Returns well-formed JSON without the keys of objects whose value is null, at any depth, as the
/// server's `jsonb_strip_nulls` does. Works on text, since parsed numbers would lose digits. If a key
/// occurs twice, the server takes the last value: a null there is kept, else the first would count.
pub(crate) fn without_null_keys(json: String) -> String {
    if !json.contains("null") {
        return json;
    }
    let mut out = Vec::with_capacity(json.len());
    value(json.as_bytes(), 0, &mut out);
    String::from_utf8(out).expect("whole tokens of UTF-8")
}

/// Copies the value at `at`; returns where it ends. Recurses as deep as the value nests, which
/// [`nests_too_deep`] has bounded.
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

/// Returns a key without escapes, as the server reads it.
fn unescaped(key: &[u8]) -> Cow<'_, [u8]> {
    if !key.contains(&b'\\') {
        return Cow::Borrowed(&key[1..key.len() - 1]);
    }
    // A key that is no text, such as half a surrogate pair, is refused by the server.
    serde_json::from_slice::<String>(key).map_or(Cow::Borrowed(key), |key| key.into_bytes().into())
}

fn copy(json: &[u8], from: usize, until: usize, out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&json[from..until]);
    until
}

/// Returns the position after the spaces at `at`, which raw values may have.
fn space(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// Returns the position after the string at `at`.
fn string(json: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while json[at] != b'"' {
        at += if json[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Returns the position after the number or word at `at`.
fn word(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(|c| !matches!(c, b',' | b'}' | b']') && !c.is_ascii_whitespace())
    {
        at += 1;
    }
    at
}

/// Returns true if well-formed JSON nests deeper than [`MOST_DEPTH`].
pub(crate) fn nests_too_deep(json: &str) -> bool {
    if json.len() <= 2 * MOST_DEPTH {
        return false;
    }
    let (mut depth, mut is_in_string, mut is_escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MOST_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!nests_too_deep(&nested(MOST_DEPTH)));
        assert!(nests_too_deep(&nested(MOST_DEPTH + 1)));
        assert!(!nests_too_deep(&format!(r#"["\"{}"]"#, "[".repeat(5_000))));
        assert!(!nests_too_deep(&format!("[{}]", "[],".repeat(5_000))));
    }
}
