//! The code: a struct for each name.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

use super::identifiers::{Unique, field, pascal, snake};

/// What the taxonomy says of a name.
#[derive(Default)]
pub(super) struct EventType {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) required_keys: Vec<String>,
    pub(super) optional_keys: Vec<String>,
    pub(super) allows_other_keys: bool,
    pub(super) allowed_values: BTreeMap<String, Vec<Value>>,
    pub(super) is_deprecated: bool,
    pub(super) successor: Option<String>,
    pub(super) success_key: Option<String>,
    pub(super) duration_key: Option<String>,
    /// Keys whose values are text, by what the log does with them.
    pub(super) text_keys: Vec<String>,
    pub(super) learned: BTreeMap<String, Learned>,
}

/// What the values of a key were so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Learned {
    Text,
    Integer,
    Number,
    Flag,
    Other,
}

impl Learned {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "string" => Learned::Text,
            "integer" => Learned::Integer,
            "number" => Learned::Number,
            "boolean" => Learned::Flag,
            _ => Learned::Other,
        }
    }
}

const HEAD: &str = "\
// Made by `eventlog codegen` of the log's taxonomy. Change that, and make it again.

//! The events of the log.

";

pub(super) fn module(types: &[EventType]) -> String {
    let mut code = String::from(HEAD);
    let mut names = Unique::default();
    // What the code names itself.
    for taken in ["Event", "Option", "String", "Vec", "Default", "Clone", "Debug", "Self", "Into"] {
        names.take(taken.to_owned());
    }
    let structs: Vec<String> = types.iter().map(|t| names.take(pascal(&t.name))).collect();
    for (event_type, name) in types.iter().zip(structs) {
        event(&mut code, event_type, &name, &mut names);
    }
    code.truncate(code.trim_end().len());
    code.push('\n');
    code
}

struct Field {
    key: String,
    name: String,
    type_name: String,
    is_required: bool,
}

/// Writing to a String does not fail.
macro_rules! line {
    ($code:expr, $($text:tt)*) => {{ let _ = writeln!($code, $($text)*); }};
}

fn event(code: &mut String, event_type: &EventType, name: &str, names: &mut Unique) {
    let mut field_names = Unique::default();
    let other = event_type.allows_other_keys.then(|| field_names.take("other".to_owned()));
    let mut enums = String::new();
    let mut fields: Vec<Field> = Vec::new();
    let keys = event_type.required_keys.iter().map(|key| (key, true));
    for (key, is_required) in keys.chain(event_type.optional_keys.iter().map(|key| (key, false))) {
        if fields.iter().any(|field| field.key == *key) {
            continue;
        }
        fields.push(Field {
            key: key.clone(),
            name: field(&field_names.take(snake(key))),
            type_name: type_of(event_type, key, name, names, &mut enums),
            is_required,
        });
    }
    comment(code, "", &event_type.description, &format!("An event `{}`.", event_type.name));
    let deprecated = match (&event_type.is_deprecated, &event_type.successor) {
        (false, _) => None,
        (true, Some(successor)) => {
            Some(format!("#[deprecated(note = {:?})]", format!("use {successor}")))
        }
        (true, None) => Some("#[deprecated]".to_owned()),
    };
    if let Some(deprecated) = &deprecated {
        line!(code, "{deprecated}");
    }
    line!(code, "#[derive(Clone, Debug, serde::Serialize)]");
    line!(code, "pub struct {name} {{");
    for field in &fields {
        let Field { key, name, type_name, is_required } = field;
        comment(code, "    ", "", &format!("The key `{}`.", key.replace('`', "'")));
        if *is_required {
            line!(code, "    #[serde(rename = {key:?})]");
            line!(code, "    pub {name}: {type_name},");
        } else {
            line!(
                code,
                "    #[serde(rename = {key:?}, skip_serializing_if = \"Option::is_none\")]"
            );
            line!(code, "    pub {name}: Option<{type_name}>,");
        }
    }
    if let Some(other) = &other {
        line!(code, "    /// Keys that the taxonomy does not name.");
        line!(code, "    #[serde(flatten)]");
        line!(code, "    pub {other}: serde_json::Map<String, serde_json::Value>,");
    }
    line!(code, "}}\n");
    if deprecated.is_some() {
        line!(code, "#[allow(deprecated)]");
    }
    methods(code, event_type, name, &fields, other.as_deref());
    code.push_str(&enums);
}

fn methods(
    code: &mut String,
    event_type: &EventType,
    name: &str,
    fields: &[Field],
    other: Option<&str>,
) {
    let parameter = |field: &Field| match field.type_name.as_str() {
        "String" => {
            (format!("{}: impl Into<String>", field.name), format!("{}.into()", field.name))
        }
        other => (format!("{}: {other}", field.name), field.name.clone()),
    };
    let required: Vec<_> = fields.iter().filter(|field| field.is_required).map(parameter).collect();
    let parameters: Vec<&str> = required.iter().map(|(parameter, _)| parameter.as_str()).collect();
    line!(code, "impl {name} {{");
    line!(code, "    /// The name in the log.");
    line!(code, "    pub const NAME: &'static str = {:?};\n", event_type.name);
    line!(code, "    /// With the keys that it must have.");
    if parameters.len() > 7 {
        line!(code, "    #[allow(clippy::too_many_arguments)]");
    }
    if parameters.is_empty() {
        line!(code, "    #[allow(clippy::new_without_default)]");
    }
    line!(code, "    pub fn new({}) -> Self {{", parameters.join(", "));
    line!(code, "        {name} {{");
    let mut values = required.iter().map(|(_, value)| value);
    for field in fields {
        match field.is_required.then(|| values.next()).flatten() {
            Some(value) if *value == field.name => line!(code, "            {value},"),
            Some(value) => line!(code, "            {}: {value},", field.name),
            None => line!(code, "            {}: None,", field.name),
        }
    }
    if let Some(other) = other {
        line!(code, "            {other}: serde_json::Map::new(),");
    }
    line!(code, "        }}\n    }}\n");
    line!(code, "    /// The event, to log with eventlog_writer.");
    line!(code, "    pub fn event(&self) -> eventlog_writer::Event {{");
    line!(code, "        eventlog_writer::Event::new(Self::NAME).data(self)");
    line!(code, "    }}\n}}\n");
}

/// What Rust has for the values of a key, as far as the rules tell.
fn type_of(
    event_type: &EventType,
    key: &str,
    struct_name: &str,
    names: &mut Unique,
    enums: &mut String,
) -> String {
    let is = |other: &Option<String>| other.as_deref() == Some(key);
    if let Some(values) = event_type.allowed_values.get(key) {
        let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        if texts.len() == values.len() && !texts.is_empty() {
            let name = names.take(format!("{struct_name}{}", pascal(key)));
            allowed(enums, &name, key, &texts);
            return name;
        }
        if values.iter().all(Value::is_boolean) && !values.is_empty() {
            return "bool".to_owned();
        }
        if values.iter().all(Value::is_i64) && !values.is_empty() {
            return "i64".to_owned();
        }
        if values.iter().all(Value::is_number) && !values.is_empty() {
            return "f64".to_owned();
        }
        return "serde_json::Value".to_owned();
    }
    if is(&event_type.success_key) {
        return "bool".to_owned();
    }
    if is(&event_type.duration_key) {
        return "f64".to_owned();
    }
    if event_type.text_keys.iter().any(|text| text == key) {
        return "String".to_owned();
    }
    match event_type.learned.get(key) {
        Some(Learned::Text) => "String",
        Some(Learned::Integer) => "i64",
        Some(Learned::Number) => "f64",
        Some(Learned::Flag) => "bool",
        Some(Learned::Other) | None => "serde_json::Value",
    }
    .to_owned()
}

/// An enum of the values that a key may have.
fn allowed(code: &mut String, name: &str, key: &str, values: &[&str]) {
    comment(code, "", "", &format!("The values of the key `{}`.", key.replace('`', "'")));
    line!(code, "#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]");
    line!(code, "pub enum {name} {{");
    let mut variants = Unique::default();
    for (place, value) in values.iter().enumerate() {
        if values[..place].contains(value) {
            continue;
        }
        line!(code, "    #[allow(missing_docs)]");
        line!(code, "    #[serde(rename = {value:?})]");
        line!(code, "    {},", variants.take(pascal(value)));
    }
    line!(code, "}}\n");
}

/// A comment of one line for each of the text's, or the other where it is empty.
fn comment(code: &mut String, indent: &str, text: &str, otherwise: &str) {
    let text = if text.trim().is_empty() { otherwise } else { text };
    for text in text.lines() {
        let is_shown = |c: &char| !c.is_control() && !('\u{202a}'..='\u{2069}').contains(c);
        let text: String = text.chars().filter(is_shown).collect();
        line!(code, "{}", format!("{indent}/// {}", text.trim_end()).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::{EventType, module};

    #[test]
    fn hostile_names_and_keys_stay_inside_of_their_strings() {
        let event = EventType {
            name: "a".to_owned(),
            description: "*/ fn x() {}\r\n\u{202e}`".to_owned(),
            required_keys: vec!["\"]pub x: \\".to_owned(), "type".to_owned(), "Type".to_owned()],
            optional_keys: vec!["other".to_owned(), "type".to_owned()],
            allows_other_keys: true,
            ..EventType::default()
        };
        let code = module(&[event]);
        for expected in [
            "/// */ fn x() {}\n/// `\n",
            "#[serde(rename = \"\\\"]pub x: \\\\\")]\n    pub pub_x: serde_json::Value,",
            "    pub r#type: serde_json::Value,",
            "#[serde(rename = \"Type\")]\n    pub type2: serde_json::Value,",
            "    pub other2: Option<serde_json::Value>,",
            "    pub other: serde_json::Map<",
        ] {
            assert!(code.contains(expected), "{expected}\n{code}");
        }
        assert_eq!(code.matches("rename = \"type\"").count(), 1);
    }
}
