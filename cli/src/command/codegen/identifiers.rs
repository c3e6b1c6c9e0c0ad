//! Identifiers for any name or key of an event.

use std::collections::HashSet;

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

/// Writes the name of a field or function such as `tool_used`, which may be a keyword.
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
    let name: String = words(text).iter().map(|word| capital(word)).collect();
    match name.chars().next() {
        None => "Empty".to_owned(),
        Some(c) if c.is_ascii_digit() => format!("N{name}"),
        _ => name,
    }
}

/// Writes the name of a method such as `toolUsed`, which may be a keyword.
pub(super) fn camel(text: &str) -> String {
    let words = snake(text);
    let mut words = words.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &capital(word))
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// A set of names in which each is used once.
#[derive(Default)]
pub(super) struct Unique {
    used: HashSet<String>,
    reserved: &'static [&'static str],
}

impl Unique {
    /// Returns a set in which the names of these lists, with spaces between them, are not used: they get an
    /// underscore behind them.
    pub(super) fn without(reserved: &'static [&'static str]) -> Self {
        Unique { used: HashSet::new(), reserved }
    }

    /// Returns the name, with a number appended if it is taken.
    pub(super) fn take(&mut self, name: String) -> String {
        let is_reserved = self.reserved.iter().any(|list| list.split(' ').any(|word| word == name));
        let name = if is_reserved { name + "_" } else { name };
        let mut taken = name.clone();
        let mut number = 2;
        while !self.used.insert(taken.clone()) {
            taken = format!("{name}{number}");
            number += 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::{Unique, camel, pascal, snake};

    #[test]
    fn whatever_a_key_is_called_it_has_a_name_in_every_language() {
        for (text, in_snake, in_pascal, in_camel) in [
            ("toolName", "tool_name", "ToolName", "toolName"),
            ("tool_used", "tool_used", "ToolUsed", "toolUsed"),
            ("app.page-viewed", "app_page_viewed", "AppPageViewed", "appPageViewed"),
            ("HTTPStatus2", "httpstatus2", "Httpstatus2", "httpstatus2"),
            ("2nd", "key_2nd", "N2nd", "key2nd"),
            ("größe", "gr_e", "GrE", "grE"),
            ("", "key", "Empty", "key"),
            ("\" } \n", "key", "Empty", "key"),
            ("__proto__", "proto", "Proto", "proto"),
            ("self", "self", "Self", "self"),
        ] {
            let found = [snake(text), pascal(text), camel(text)];
            assert_eq!(found, [in_snake, in_pascal, in_camel]);
        }
        let mut unique = Unique::without(&["if else"]);
        let names = ["a", "a", "a2", "a", "if"].map(|name| unique.take(name.to_owned()));
        assert_eq!(names, ["a", "a2", "a22", "a3", "if_"]);
    }
}
