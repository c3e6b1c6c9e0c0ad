//! Rust identifiers for any name or key of an event.

use std::collections::HashSet;

/// Keywords of Rust 2024; those below cannot be raw identifiers.
const KEYWORDS: &[&str] = &[
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while", "yield",
];
const NEVER_RAW: &[&str] = &["crate", "self", "super", "_"];

/// Splits a text into words: at anything but letters and digits, and between a small letter and a capital.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut is_inside, mut was_small) = (false, false);
    for c in text.chars() {
        if !c.is_ascii_alphanumeric() {
            is_inside = false;
            continue;
        }
        if !is_inside || (c.is_ascii_uppercase() && was_small) {
            words.push(String::new());
        }
        (is_inside, was_small) = (true, !c.is_ascii_uppercase());
        words.last_mut().expect("one was pushed").push(c.to_ascii_lowercase());
    }
    words
}

/// Writes a field name such as `tool_used`, which may be a keyword.
pub(super) fn snake(text: &str) -> String {
    let name = words(text).join("_");
    match name.chars().next() {
        None => "key".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("key_{name}"),
        _ => name,
    }
}

/// Writes the name of a type or variant, such as `ToolUsed`.
pub(super) fn pascal(text: &str) -> String {
    let capital = |word: String| {
        let mut letters = word.chars();
        letters.next().map(|c| c.to_ascii_uppercase().to_string() + letters.as_str())
    };
    let name: String = words(text).into_iter().filter_map(capital).collect();
    match name.chars().next() {
        None => "Empty".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("N{name}"),
        // The only keyword that begins with a capital.
        _ if name == "Self" => "Self_".to_owned(),
        _ => name,
    }
}

/// Writes a field name, raw if it is a keyword.
pub(super) fn field(name: &str) -> String {
    match name {
        name if NEVER_RAW.contains(&name) => format!("{name}_"),
        name if KEYWORDS.contains(&name) => format!("r#{name}"),
        name => name.to_owned(),
    }
}

/// A set of names in which each is used once.
#[derive(Default)]
pub(super) struct Unique(HashSet<String>);

impl Unique {
    /// Returns the name, with a number appended if it is taken.
    pub(super) fn take(&mut self, name: String) -> String {
        let mut taken = name.clone();
        let mut number = 2;
        while !self.0.insert(taken.clone()) {
            taken = format!("{name}{number}");
            number += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Unique, field, pascal, snake};

    #[test]
    fn whatever_a_key_is_called_it_has_a_name_in_rust() {
        for (text, in_snake, in_pascal) in [
            ("toolName", "tool_name", "ToolName"),
            ("tool_used", "tool_used", "ToolUsed"),
            ("app.page-viewed", "app_page_viewed", "AppPageViewed"),
            ("HTTPStatus2", "httpstatus2", "Httpstatus2"),
            ("2nd", "key_2nd", "N2nd"),
            ("größe", "gr_e", "GrE"),
            ("", "key", "Empty"),
            ("\" } \n", "key", "Empty"),
            ("self", "self", "Self_"),
        ] {
            assert_eq!((snake(text).as_str(), pascal(text).as_str()), (in_snake, in_pascal));
        }
        assert_eq!((field("type").as_str(), field("self").as_str()), ("r#type", "self_"));
        let mut unique = Unique::default();
        let names = ["a", "a", "a2", "a"].map(|name| unique.take(name.to_owned()));
        assert_eq!(names, ["a", "a2", "a22", "a3"]);
    }
}
