//! Payloads as a tree that keeps each number as it is written: to hash them as the server does, and to
//! change one value at any depth.

use std::collections::BTreeMap;

use eventlog_seal::form::{Form, key_order};
use eventlog_tests::random::Random;
use serde_json::value::RawValue;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    /// Null, true, false, or a number, as it is written.
    Plain(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads what `jsonb` prints.
    pub(crate) fn read(text: &str) -> Json {
        let text = text.trim();
        match text.as_bytes()[0] {
            b'"' => Json::Text(serde_json::from_str(text).expect("a string")),
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).expect("an array");
                Json::Array(elements.iter().map(|element| Json::read(element.get())).collect())
            }
            b'{' => {
                let pairs: BTreeMap<String, &RawValue> =
                    serde_json::from_str(text).expect("an object");
                let pairs = pairs.into_iter().map(|(key, value)| (key, Json::read(value.get())));
                Json::Object(pairs.collect())
            }
            _ => Json::Plain(text.to_owned()),
        }
    }

    /// Writes it as JSON.
    pub(crate) fn write(&self) -> String {
        let quoted = |text: &String| serde_json::to_string(text).expect("a string");
        match self {
            Json::Plain(text) => text.clone(),
            Json::Text(text) => quoted(text),
            Json::Array(elements) => {
                let elements: Vec<String> = elements.iter().map(Json::write).collect();
                format!("[{}]", elements.join(","))
            }
            Json::Object(pairs) => {
                let pair = |(key, value): &(String, Json)| quoted(key) + ":" + &value.write();
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(","))
            }
        }
    }

    /// Writes its canonical form.
    pub(crate) fn form(&self, form: &mut Form) {
        match self {
            Json::Plain(text) => match text.as_str() {
                "null" => form.null(),
                "true" | "false" => form.boolean(text == "true"),
                _ => form.number(text.as_bytes()),
            },
            Json::Text(text) => form.string(text.as_bytes()),
            Json::Array(elements) => {
                form.array(elements.len());
                elements.iter().for_each(|element| element.form(form));
            }
            Json::Object(pairs) => {
                let mut pairs: Vec<_> = pairs.iter().collect();
                pairs.sort_by(|(a, _), (b, _)| key_order(a.as_bytes(), b.as_bytes()));
                form.object(pairs.len());
                for (key, value) in pairs {
                    form.key(key.as_bytes());
                    value.form(form);
                }
            }
        }
    }

    /// Returns it with one change at a random place; it may mean the same still.
    pub(crate) fn changed(&self, random: &mut Random) -> Json {
        let mut json = self.clone();
        json.change(random);
        json
    }

    fn change(&mut self, random: &mut Random) {
        match self {
            Json::Array(elements) if !elements.is_empty() && !random.one_in(4) => {
                let place = random.below(elements.len());
                elements[place].change(random);
            }
            Json::Object(pairs) if !pairs.is_empty() && !random.one_in(4) => {
                let place = random.below(pairs.len());
                pairs[place].1.change(random);
            }
            Json::Array(elements) => change_array(elements, random),
            Json::Object(pairs) => change_object(pairs, random),
            Json::Text(text) => *self = changed_text(text, random),
            Json::Plain(text) => *self = changed_plain(text, random),
        }
    }
}

fn change_array(elements: &mut Vec<Json>, random: &mut Random) {
    match random.below(3) {
        0 if elements.len() > 1 => {
            let place = random.below(elements.len() - 1);
            elements.swap(place, place + 1);
        }
        1 if !elements.is_empty() => drop(elements.remove(random.below(elements.len()))),
        _ => elements.insert(random.below(elements.len() + 1), Json::Plain("null".into())),
    }
}

fn change_object(pairs: &mut Vec<(String, Json)>, random: &mut Random) {
    let place = random.below(pairs.len());
    match random.below(3) {
        0 if !pairs.is_empty() => drop(pairs.remove(place)),
        1 if !pairs.is_empty() => pairs[place].0.push('~'),
        _ => pairs.push((format!("~{}", random.below(100)), Json::Plain("null".into()))),
    }
}

fn changed_text(text: &str, random: &mut Random) -> Json {
    match random.below(4) {
        0 => Json::Text(format!("{text} ")),
        1 if !text.is_empty() => Json::Text(text.chars().skip(1).collect()),
        2 if text.chars().count() > 1 => Json::Text(text.chars().rev().collect()),
        _ => Json::Array(vec![Json::Text(text.to_owned())]),
    }
}

fn changed_plain(text: &str, random: &mut Random) -> Json {
    let last = text.chars().last().expect("not empty");
    let plain = |text: &str| Json::Plain(text.to_owned());
    match (text, last.to_digit(10)) {
        ("true", _) => plain("false"),
        ("false", _) => plain("true"),
        (_, None) => plain("false"),
        (_, Some(digit)) => match random.below(4) {
            // The same number, with another scale.
            0 if text.contains('.') => Json::Plain(format!("{text}0")),
            0 => Json::Plain(format!("{text}.0")),
            1 => Json::Text(text.to_owned()),
            _ => {
                let next = (digit as usize + 1 + random.below(9)) % 10;
                Json::Plain(format!("{}{next}", &text[..text.len() - 1]))
            }
        },
    }
}
