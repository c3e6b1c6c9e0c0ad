//! The query string of a report: each value is checked by the type of its argument, so that a refusal
//! names the parameter and never shows the value.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, civil};

use super::aliases;
use crate::gateway::problem::{Problem, shown};
use crate::reports::Argument;

/// Most values of a parameter that may be given several times.
const MAX_VALUES: usize = 100;
/// Most bytes of a text.
const MAX_TEXT: usize = 2048;
/// Most bytes of filters. The head of a request has 16 KiB in all.
const MAX_FILTERS: usize = 12 << 10;
/// Most rows that may be asked for.
const MAX_LIMIT: u32 = 1000;

/// An argument of a report that a query string may give.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) argument: Argument,
    pub(crate) kind: Kind,
}

/// What the text of a value must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// RFC 3339, or a day, which begins at midnight UTC.
    Time,
    /// A day of the report's time zone; a time becomes the day that contains it.
    Day,
    /// Like `Day`, rounded up: a time after midnight becomes the next day.
    EndDay,
    Text,
    /// Such as `7 days` or `P7D`.
    Span,
    /// A JSON object.
    Object,
    /// Filters of events: a JSON object, or an array of objects that must all hold.
    Filters,
    /// A number of rows.
    Limit,
    /// A whole number between these, both included.
    Integer(i64, i64),
    /// A number with or without a fraction.
    Number,
    /// `true` or `false`.
    Flag,
    Uuid,
    /// The values of an array, one for each time that the parameter is given.
    TextList,
    IntegerList,
    UuidList,
}

/// An argument with its value.
#[derive(Clone, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) argument: &'a Argument,
    pub(crate) value: Value,
}

/// Text that PostgreSQL casts to the type of the argument.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    One(String),
    List(Vec<String>),
}

impl Parameter {
    /// Returns the parameter for an argument. There is none for the tenant, which is always the key's,
    /// nor for a type that this module cannot check.
    pub(crate) fn of(argument: &Argument) -> Option<Self> {
        let kind = match (argument.type_name.as_str(), argument.name.as_str()) {
            (_, "tenant_id") => return None,
            ("timestamp with time zone", _) => Kind::Time,
            ("date", "until") => Kind::EndDay,
            ("date", _) => Kind::Day,
            ("text", _) => Kind::Text,
            ("text[]", _) => Kind::TextList,
            ("interval", _) => Kind::Span,
            ("jsonb", "filters" | "metric_filters") => Kind::Filters,
            ("jsonb", _) => Kind::Object,
            ("integer", "row_limit") => Kind::Limit,
            ("integer", _) => Kind::Integer(i32::MIN.into(), i32::MAX.into()),
            ("bigint", _) => Kind::Integer(i64::MIN, i64::MAX),
            ("bigint[]", _) => Kind::IntegerList,
            ("real" | "double precision" | "numeric", _) => Kind::Number,
            ("boolean", _) => Kind::Flag,
            ("uuid", _) => Kind::Uuid,
            ("uuid[]", _) => Kind::UuidList,
            _ => return None,
        };
        Some(Parameter { argument: argument.clone(), kind })
    }

    pub(crate) fn name(&self) -> &str {
        &self.argument.name
    }
}

/// Finds a parameter by its own name, else by its short one.
fn find<'a>(parameters: &'a [Parameter], name: &str) -> Option<&'a Parameter> {
    let own = parameters.iter().find(|parameter| parameter.name() == name);
    own.or_else(|| {
        parameters.iter().find(|parameter| aliases::short_parameter(parameter.name()) == Some(name))
    })
}

/// Reads the arguments that a query string gives.
pub(crate) fn read<'a>(
    parameters: &'a [Parameter],
    query: &str,
) -> Result<Vec<Given<'a>>, Problem> {
    let mut found: Vec<Given<'_>> = Vec::new();
    let zone = zone(parameters, query)?;
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let Some(parameter) = find(parameters, &name) else {
            return Err(unknown(&name, parameters));
        };
        let text = parameter
            .kind
            .check(&text, &zone)
            .map_err(|fault| Problem::bad_request(format!("{name} must be {fault}")))?;
        let is_same = |given: &&mut Given<'_>| given.argument.name == parameter.argument.name;
        match found.iter_mut().find(is_same).map(|given| &mut given.value) {
            Some(Value::List(texts)) if texts.len() < MAX_VALUES => texts.push(text),
            Some(Value::List(_)) => {
                let message = format!("{name} is given more than {MAX_VALUES} times");
                return Err(Problem::bad_request(message));
            }
            Some(Value::One(_)) => {
                return Err(Problem::bad_request(format!("{name} is given more than once")));
            }
            None => found.push(Given {
                argument: &parameter.argument,
                value: match parameter.kind.is_list() {
                    true => Value::List(vec![text]),
                    false => Value::One(text),
                },
            }),
        }
    }
    for parameter in parameters.iter().filter(|parameter| parameter.argument.is_required) {
        let name = parameter.name();
        if !found.iter().any(|given| given.argument.name == name) {
            let example = match parameter.kind.is_list() {
                true => format!("?{name}=…&{name}=…"),
                false => format!("?{name}=…"),
            };
            return Err(Problem::bad_request(format!("{name} is missing: {example}")));
        }
    }
    Ok(found)
}

/// Returns the time zone of the report's days: that of the parameter `time_zone`, or UTC.
fn zone(parameters: &[Parameter], query: &str) -> Result<TimeZone, Problem> {
    let takes_one = parameters.iter().any(|parameter| parameter.name() == "time_zone");
    let mut given =
        form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "time_zone");
    match given.next().filter(|_| takes_one) {
        None => Ok(TimeZone::UTC),
        Some((_, name)) => TimeZone::get(&name).map_err(|_| {
            Problem::bad_request("time_zone must be a time zone by name, such as Europe/Berlin")
        }),
    }
}

/// Returns true for an object, or an array of objects.
pub(crate) fn is_filters(value: &serde_json::Value) -> bool {
    value.is_object() || value.as_array().is_some_and(|all| all.iter().all(|one| one.is_object()))
}

fn unknown(name: &str, parameters: &[Parameter]) -> Problem {
    let name = shown(name);
    let names: Vec<&str> = parameters.iter().map(Parameter::name).collect();
    Problem::bad_request(match names.is_empty() {
        true => format!("unknown parameter {name}; this path takes none"),
        false => format!("unknown parameter {name}; known are {}", names.join(", ")),
    })
}

impl Kind {
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Kind::TextList | Kind::IntegerList | Kind::UuidList)
    }

    /// Returns the text for PostgreSQL, or what the value must be. Days are those of the zone.
    fn check(self, text: &str, zone: &TimeZone) -> Result<String, String> {
        const TIME: &str =
            "a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z (write + as %2B)";
        let most = if self == Kind::Filters { MAX_FILTERS } else { MAX_TEXT };
        if text.contains('\0') || text.len() > most {
            return Err(format!("text of at most {most} bytes without a zero byte"));
        }
        Ok(match self {
            Kind::Time => match (time(text), day(text)) {
                (Some(time), _) => time.to_string(),
                (None, Some(day)) => format!("{day}T00:00:00Z"),
                _ => return Err(TIME.to_owned()),
            },
            Kind::Day | Kind::EndDay => {
                let day = match (time(text), day(text)) {
                    (Some(time), _) => {
                        let time = time.to_zoned(zone.clone()).datetime();
                        let is_later =
                            self == Kind::EndDay && time.time() != civil::Time::midnight();
                        let day = time.date().checked_add(i64::from(is_later).days());
                        day.map_err(|_| TIME.to_owned())?
                    }
                    (None, Some(day)) => day,
                    _ => return Err(TIME.to_owned()),
                };
                day.to_string()
            }
            Kind::Text | Kind::TextList => text.to_owned(),
            Kind::Span => match text.parse::<Span>() {
                Ok(span) if !span.is_negative() => span.to_string(),
                _ => return Err("a span such as 7 days or P7D".to_owned()),
            },
            Kind::Object => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(serde_json::Value::Object(_)) => text.to_owned(),
                _ => return Err("a JSON object".to_owned()),
            },
            Kind::Filters => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(filters) if is_filters(&filters) => text.to_owned(),
                _ => return Err("a JSON object, or an array of objects".to_owned()),
            },
            Kind::Limit => match text.parse::<u32>() {
                Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => limit.to_string(),
                _ => return Err(format!("a number from 1 to {MAX_LIMIT}")),
            },
            Kind::Integer(least, most) => match text.parse::<i64>() {
                Ok(number) if (least..=most).contains(&number) => number.to_string(),
                _ => return Err(format!("a whole number from {least} to {most}")),
            },
            Kind::IntegerList => match text.parse::<i64>() {
                Ok(number) => number.to_string(),
                Err(_) => return Err("a whole number".to_owned()),
            },
            Kind::Number => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => number.to_string(),
                _ => return Err("a number".to_owned()),
            },
            Kind::Flag => match text {
                "true" | "false" => text.to_owned(),
                _ => return Err("true or false".to_owned()),
            },
            Kind::Uuid | Kind::UuidList => match text.parse::<uuid::Uuid>() {
                Ok(uuid) => uuid.to_string(),
                Err(_) => return Err("a uuid".to_owned()),
            },
        })
    }

    /// The JSON schema of the parameter.
    pub(crate) fn schema(self) -> serde_json::Value {
        use serde_json::json;
        match self {
            Kind::Time => json!({
                "type": "string", "examples": ["2026-01-01", "2026-01-01T12:00:00Z"],
            }),
            Kind::Day | Kind::EndDay => json!({ "type": "string", "examples": ["2026-01-01"] }),
            Kind::Text => json!({ "type": "string", "maxLength": MAX_TEXT }),
            Kind::Span => json!({ "type": "string", "examples": ["7 days", "P7D"] }),
            Kind::Object | Kind::Filters => {
                json!({ "type": "string", "contentMediaType": "application/json" })
            }
            Kind::Limit => json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT }),
            Kind::Integer(least, most) => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Kind::Number => json!({ "type": "number" }),
            Kind::Flag => json!({ "type": "boolean" }),
            Kind::Uuid => json!({ "type": "string", "format": "uuid" }),
            Kind::TextList => json!({
                "type": "array", "maxItems": MAX_VALUES,
                "items": { "type": "string", "maxLength": MAX_TEXT },
            }),
            Kind::IntegerList => json!({
                "type": "array", "maxItems": MAX_VALUES, "items": { "type": "integer" },
            }),
            Kind::UuidList => json!({
                "type": "array", "maxItems": MAX_VALUES,
                "items": { "type": "string", "format": "uuid" },
            }),
        }
    }

    /// A sentence on the meaning of a value, where the schema does not say it.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Kind::Time => "A day, which begins at midnight UTC, or a time.",
            Kind::Day => {
                "A day, of time_zone if the report takes it; a time stands for the day that contains it."
            }
            Kind::EndDay => {
                "A day, not included, of time_zone if the report takes it; a time after midnight stands for the next day."
            }
            Kind::Span => "A span of time.",
            Kind::Object => "A JSON object.",
            Kind::Filters => {
                "A JSON object, such as `{\"name\": [\"tool_used\"], \"data.durationMs\": {\">\": 1000}}`, or \
                 an array of objects that must all hold."
            }
            Kind::TextList | Kind::IntegerList | Kind::UuidList => {
                "Repeat the parameter for several values."
            }
            _ => "",
        }
    }
}

/// Parses a time in a year that PostgreSQL takes too.
fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    let year = time.to_zoned(TimeZone::UTC).year();
    (1..=9998).contains(&year).then_some(time)
}

fn day(text: &str) -> Option<civil::Date> {
    // The parser would accept a date and time, and drop the time.
    let day: civil::Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
    (1..=9998).contains(&day.year()).then_some(day)
}

#[cfg(test)]
mod tests;
