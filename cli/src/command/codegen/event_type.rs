//! The one model of an event type that the code of every language is written from, read from a row of
//! `event_types` or from an event plan.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An event type that can be logged.
#[derive(Debug, Default)]
pub(super) struct EventType {
    pub(super) name: String,
    pub(super) description: String,
    /// The declared keys, required ones first.
    pub(super) keys: Vec<Key>,
    pub(super) allows_other_keys: bool,
    pub(super) is_deprecated: bool,
    pub(super) successor: Option<String>,
}

/// A declared key of a payload.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) is_required: bool,
    pub(super) kind: Kind,
}

/// The values of a key, as far as they are known.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Kind {
    /// One of these, which are not empty.
    Values(Vec<Literal>),
    Text,
    Integer,
    Number,
    Flag,
    /// An ISO 8601 time, or milliseconds since 1970.
    Time,
    List,
    Object,
    Any,
}

/// A value that a rule allows.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Literal {
    Text(String),
    /// A number as the log writes it: without exponent, or zeros behind its last digit.
    Number(String),
    Flag(bool),
}

/// The key that holds what the gateway keeps of a client's context.
const CONTEXT_KEY: &str = "context";

/// The rules of an event type that code is made from, as `event_types` and event plans write them.
/// What is left out has its default; a log of an older layout lacks columns.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Rules {
    description: String,
    required_keys: Vec<String>,
    optional_keys: Vec<String>,
    allow_other_keys: bool,
    allowed_values: BTreeMap<String, Vec<Box<RawValue>>>,
    value_types: BTreeMap<String, String>,
    default_values: BTreeMap<String, Box<RawValue>>,
    pub(super) aliases: Vec<String>,
    actor_key: Option<String>,
    subject_keys: Vec<String>,
    duration_key: Option<String>,
    success_key: Option<String>,
    success_values: Vec<String>,
    error_key: Option<String>,
    occurred_at_key: Option<String>,
    sample_key: Option<String>,
    hash_keys: Vec<String>,
    path_keys: Vec<String>,
    context_keys: Vec<String>,
    pub(super) status: String,
    successor: Option<String>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            description: String::new(),
            required_keys: Vec::new(),
            optional_keys: Vec::new(),
            allow_other_keys: true,
            allowed_values: BTreeMap::new(),
            value_types: BTreeMap::new(),
            default_values: BTreeMap::new(),
            aliases: Vec::new(),
            actor_key: None,
            subject_keys: Vec::new(),
            duration_key: None,
            success_key: None,
            success_values: Vec::new(),
            error_key: None,
            occurred_at_key: None,
            sample_key: None,
            hash_keys: Vec::new(),
            path_keys: Vec::new(),
            context_keys: Vec::new(),
            status: "active".to_owned(),
            successor: None,
        }
    }
}

impl Rules {
    /// Returns true if events of this type can be logged under its own name.
    pub(super) fn can_be_logged(&self, name: &str) -> bool {
        self.status != "retired" && !name.contains('*')
    }

    /// Returns the event type. What no rule says of a key is taken from `learned`.
    pub(super) fn event_type(self, name: String, learned: &BTreeMap<String, Kind>) -> EventType {
        let mut keys: Vec<Key> = Vec::new();
        let context = CONTEXT_KEY.to_owned();
        // As the log does, which allows the keys that a rule names without further declaration.
        let declared = (self.required_keys.iter().map(|key| (key, true)))
            .chain(self.optional_keys.iter().map(|key| (key, false)))
            .chain(self.actor_key.iter().map(|key| (key, false)))
            .chain(self.subject_keys.iter().map(|key| (key, false)))
            .chain(self.occurred_at_key.iter().map(|key| (key, false)))
            .chain(self.default_values.keys().map(|key| (key, false)))
            .chain(self.allowed_values.keys().map(|key| (key, false)))
            .chain(self.value_types.keys().map(|key| (key, false)))
            .chain(self.context_keys.first().map(|_| (&context, false)));
        for (key, is_required) in declared {
            if !keys.iter().any(|known| known.name == *key) {
                keys.push(Key { name: key.clone(), is_required, kind: self.kind(key, learned) });
            }
        }
        EventType {
            name,
            keys,
            allows_other_keys: self.allow_other_keys,
            is_deprecated: self.status == "deprecated",
            successor: self.successor,
            description: self.description,
        }
    }

    /// Returns what is known of a key's values: first what the log checks, then what the other rules
    /// are made for, then what events had.
    fn kind(&self, key: &str, learned: &BTreeMap<String, Kind>) -> Kind {
        let is = |other: &Option<String>| other.as_deref() == Some(key);
        let has = |keys: &[String]| keys.iter().any(|other| other == key);
        if let Some(values) = self.allowed_values.get(key) {
            return values_of(values);
        }
        if let Some(kind) = self.value_types.get(key).and_then(|name| Kind::named(name)) {
            return kind;
        }
        if is(&self.success_key) && self.success_values.is_empty() {
            return Kind::Flag;
        }
        if is(&self.duration_key) {
            return Kind::Number;
        }
        if is(&self.occurred_at_key) {
            return Kind::Time;
        }
        if [&self.actor_key, &self.error_key, &self.sample_key].into_iter().any(is)
            || [&self.subject_keys, &self.hash_keys, &self.path_keys]
                .into_iter()
                .any(|keys| has(keys))
        {
            return Kind::Text;
        }
        if key == CONTEXT_KEY && !self.context_keys.is_empty() {
            return Kind::Object;
        }
        learned.get(key).cloned().unwrap_or(Kind::Any)
    }
}

impl Kind {
    /// Returns the kind of this name, in `value_types` or of the events that are there.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Kind::Text,
            "integer" => Kind::Integer,
            "number" => Kind::Number,
            "boolean" => Kind::Flag,
            "array" => Kind::List,
            "object" => Kind::Object,
            _ => return None,
        })
    }
}

/// Returns the values of a list, each once.
fn values_of(values: &[Box<RawValue>]) -> Kind {
    let mut literals: Vec<Literal> = Vec::new();
    for value in values {
        match Literal::of(value.get()) {
            Some(literal) if !literals.contains(&literal) => literals.push(literal),
            Some(_) => {}
            None => return Kind::Any,
        }
    }
    // Nothing is allowed: the log refuses the key, so its type does not matter.
    if literals.is_empty() { Kind::Any } else { Kind::Values(literals) }
}

impl Literal {
    fn of(json: &str) -> Option<Self> {
        match json {
            "true" => Some(Literal::Flag(true)),
            "false" => Some(Literal::Flag(false)),
            text if text.starts_with('"') => serde_json::from_str(text).ok().map(Literal::Text),
            number
                if number.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) =>
            {
                let digits = match number.contains('.') && !number.contains(['e', 'E']) {
                    true => number.trim_end_matches('0').trim_end_matches('.'),
                    false => number,
                };
                Some(Literal::Number(if digits == "-0" { "0" } else { digits }.to_owned()))
            }
            _ => None,
        }
    }

    /// Returns the whole number that this is, if every language has it exactly.
    pub(super) fn as_integer(&self) -> Option<i64> {
        let Literal::Number(digits) = self else { return None };
        digits.parse().ok().filter(|n: &i64| n.unsigned_abs() <= 1 << 53)
    }

    /// Returns true if this is a number that a double holds exactly as it is written.
    pub(super) fn is_exact_number(&self) -> bool {
        let Literal::Number(digits) = self else { return false };
        self.as_integer().is_some()
            || digits.contains('.') && digits.parse::<f64>().is_ok_and(|n| n.to_string() == *digits)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Kind, Literal, Rules};

    #[test]
    fn rules_determine_the_kinds_of_keys_before_events_do() {
        let rules: Rules = serde_json::from_str(
            r#"{"required_keys": ["a", "b"], "optional_keys": ["a", "c", "d", "ok"], "status": "deprecated",
                "allowed_values": {"a": ["x", "x", 1.50, 1e400, true], "z": []}, "value_types": {"b": "array", "y": "string", "d": "new"},
                "success_key": "ok", "success_values": ["yes"], "actor_key": "user", "context_keys": ["locale"], "later": {"a": 1}}"#,
        )
        .unwrap();
        let learned = ["b", "c", "ok"].map(|key| (key.to_owned(), Kind::Integer));
        let event_type = rules.event_type("e".to_owned(), &BTreeMap::from(learned));
        let found: Vec<_> = event_type
            .keys
            .iter()
            .map(|key| (key.name.as_str(), key.is_required, key.kind.clone()))
            .collect();
        let values = Kind::Values(vec![
            Literal::Text("x".to_owned()),
            Literal::Number("1.5".to_owned()),
            Literal::Number("1e400".to_owned()),
            Literal::Flag(true),
        ]);
        assert_eq!(
            found,
            [
                ("a", true, values),
                ("b", true, Kind::List),
                ("c", false, Kind::Integer),
                ("d", false, Kind::Any),
                ("ok", false, Kind::Integer),
                ("user", false, Kind::Text),
                ("z", false, Kind::Any),
                ("y", false, Kind::Text),
                ("context", false, Kind::Object),
            ]
        );
        assert!(event_type.allows_other_keys && event_type.is_deprecated);
    }

    #[test]
    fn numbers_that_a_double_does_not_hold_are_not_literals() {
        for (json, exact) in [
            ("1", true),
            ("-0", true),
            ("0.50", true),
            ("1.0", true),
            ("0.1000000000000000055", false),
            ("9007199254740993", false),
            ("1e2", false),
        ] {
            assert_eq!(Literal::of(json).unwrap().is_exact_number(), exact, "{json}");
        }
    }
}
