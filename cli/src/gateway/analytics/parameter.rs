//! What a report may be asked: each parameter is checked here, so that a refusal names it.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan, civil};

use crate::gateway::problem::{Problem, shown};

/// Most values of a parameter that may be given several times.
const MAX_VALUES: usize = 100;
/// Most bytes of a text.
const MAX_TEXT: usize = 2048;
/// Most rows that may be asked for.
const MAX_LIMIT: u32 = 1000;

/// A parameter of a request, and the argument of a function that it becomes.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) argument: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// RFC 3339, or a day, which begins in UTC.
    Time,
    /// The same; of a time the day that it is in.
    SinceDay,
    /// The same; of a time the day after the one that it is in, unless that begins with it.
    UntilDay,
    Text,
    /// One or more.
    Texts,
    /// One or more, which must be there.
    Steps,
    Choice(&'static [&'static str]),
    /// Such as `7 days` or `P7D`.
    Span,
    /// A time zone by name.
    Zone,
    /// A JSON object.
    Object,
    Limit,
    Id,
}

/// The argument of a function with what it gets, and the type that the text is cast to.
pub(crate) struct Argument {
    pub(crate) name: &'static str,
    pub(crate) cast: &'static str,
    pub(crate) value: Value,
}

pub(crate) enum Value {
    Text(String),
    Texts(Vec<String>),
}

/// The arguments that a query string asks for.
pub(crate) fn read(parameters: &[Parameter], query: &str) -> Result<Vec<Argument>, Problem> {
    let mut found: Vec<Argument> = Vec::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            return Err(unknown(&name, parameters));
        };
        let (cast, text) = parameter
            .kind
            .check(&text)
            .map_err(|fault| Problem::bad_request(format!("{} must be {fault}", parameter.name)))?;
        let is_several = matches!(parameter.kind, Kind::Texts | Kind::Steps);
        let is_same = |argument: &&mut Argument| argument.name == parameter.argument;
        match found.iter_mut().find(is_same).map(|argument| &mut argument.value) {
            Some(Value::Texts(texts)) if texts.len() < MAX_VALUES => texts.push(text),
            Some(Value::Texts(_)) => {
                let message = format!("{} is given more than {MAX_VALUES} times", parameter.name);
                return Err(Problem::bad_request(message));
            }
            Some(Value::Text(_)) => {
                let message = format!("{} is given more than once", parameter.name);
                return Err(Problem::bad_request(message));
            }
            None => found.push(Argument {
                name: parameter.argument,
                cast,
                value: if is_several { Value::Texts(vec![text]) } else { Value::Text(text) },
            }),
        }
    }
    for parameter in parameters.iter().filter(|parameter| matches!(parameter.kind, Kind::Steps)) {
        if !found.iter().any(|argument| argument.name == parameter.argument) {
            let message = format!("{0} is missing: ?{0}=…&{0}=…, names in order", parameter.name);
            return Err(Problem::bad_request(message));
        }
    }
    Ok(found)
}

fn unknown(name: &str, parameters: &[Parameter]) -> Problem {
    let name = shown(name);
    let names: Vec<&str> = parameters.iter().map(|parameter| parameter.name).collect();
    Problem::bad_request(match names.is_empty() {
        true => format!("unknown parameter {name}; there is none here"),
        false => format!("unknown parameter {name}; known are {}", names.join(", ")),
    })
}

impl Kind {
    /// The SQL type and the text that PostgreSQL gets, or what the value must be.
    fn check(self, text: &str) -> Result<(&'static str, String), String> {
        const TIME: &str =
            "a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z (a + is written %2B)";
        if text.contains('\0') || text.len() > MAX_TEXT {
            return Err(format!("text of at most {MAX_TEXT} bytes without a zero byte"));
        }
        Ok(match self {
            Kind::Time => match (time(text), day(text)) {
                (Some(time), _) => ("timestamptz", time.to_string()),
                (None, Some(day)) => ("timestamptz", format!("{day}T00:00:00Z")),
                _ => return Err(TIME.to_owned()),
            },
            Kind::SinceDay | Kind::UntilDay => {
                let day = match (time(text), day(text)) {
                    (Some(time), _) => {
                        let time = time.to_zoned(TimeZone::UTC).datetime();
                        let is_later = matches!(self, Kind::UntilDay)
                            && time.time() != civil::Time::midnight();
                        let day = time.date().checked_add(i64::from(is_later).days());
                        day.map_err(|_| TIME.to_owned())?
                    }
                    (None, Some(day)) => day,
                    _ => return Err(TIME.to_owned()),
                };
                ("date", day.to_string())
            }
            Kind::Text | Kind::Zone => ("text", text.to_owned()),
            Kind::Texts | Kind::Steps => ("text[]", text.to_owned()),
            Kind::Choice(choices) if choices.contains(&text) => ("text", text.to_owned()),
            Kind::Choice(choices) => return Err(format!("one of {}", choices.join(", "))),
            Kind::Span => match text.parse::<Span>() {
                Ok(span) if !span.is_negative() => ("interval", span.to_string()),
                _ => return Err("a span such as 7 days or P7D".to_owned()),
            },
            Kind::Object => match serde_json::from_str::<serde_json::Value>(text) {
                Ok(serde_json::Value::Object(_)) => ("jsonb", text.to_owned()),
                _ => return Err("a JSON object".to_owned()),
            },
            Kind::Limit => match text.parse::<u32>() {
                Ok(limit) if (1..=MAX_LIMIT).contains(&limit) => ("integer", limit.to_string()),
                _ => return Err(format!("a number from 1 to {MAX_LIMIT}")),
            },
            Kind::Id => match text.parse::<i64>() {
                Ok(id) => ("bigint", id.to_string()),
                Err(_) => return Err("a number".to_owned()),
            },
        })
    }
}

/// Within what PostgreSQL and people count with.
fn time(text: &str) -> Option<Timestamp> {
    let time: Timestamp = text.parse().ok()?;
    let year = time.to_zoned(TimeZone::UTC).year();
    (1..=9998).contains(&year).then_some(time)
}

fn day(text: &str) -> Option<civil::Date> {
    // Of a date and time the parser would take the date.
    let day: civil::Date = (text.len() == 10).then(|| text.parse().ok()).flatten()?;
    (1..=9998).contains(&day.year()).then_some(day)
}

#[cfg(test)]
mod tests {
    use super::{Kind, Parameter, Value, read};

    const ALL: &[Parameter] = &[
        Parameter { name: "since", argument: "since", kind: Kind::SinceDay },
        Parameter { name: "until", argument: "until", kind: Kind::UntilDay },
        Parameter { name: "at", argument: "at", kind: Kind::Time },
        Parameter { name: "name", argument: "names", kind: Kind::Texts },
        Parameter { name: "within", argument: "within", kind: Kind::Span },
        Parameter { name: "limit", argument: "row_limit", kind: Kind::Limit },
    ];

    fn said(query: &str) -> String {
        let Ok(arguments) = read(ALL, query) else { return "refused".to_owned() };
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            Value::Texts(texts) => texts.join("|"),
        };
        let said =
            |argument: &super::Argument| format!("{}={}", argument.name, text(&argument.value));
        arguments.iter().map(said).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_is_asked_reaches_the_function_in_one_form() {
        assert_eq!(said(""), "");
        assert_eq!(said("name=a&name=b%20c&limit=7"), "names=a|b c row_limit=7");
        assert_eq!(said("since=2026-01-31&until=2026-02-01"), "since=2026-01-31 until=2026-02-01");
        // Days are whole, of UTC.
        assert_eq!(
            said("since=2026-01-31T23:30:00-01:00&until=2026-02-01T00:00:01Z"),
            "since=2026-02-01 until=2026-02-02"
        );
        assert_eq!(said("until=2026-02-01T00:00:00Z"), "until=2026-02-01");
        assert_eq!(said("at=2026-01-31"), "at=2026-01-31T00:00:00Z");
        assert_eq!(said("at=2026-01-31T12:00:00%2B02:00"), "at=2026-01-31T10:00:00Z");
        assert_eq!(said("within=7+days"), "within=P7D");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for query in [
            "nonesuch=1",
            "since=yesterday",
            "since=2026-02-30",
            "since=9999-12-31T23:00:00Z",
            "since=2026-01-01&since=2026-01-02",
            "at=2026-01-31T12:00:00",
            "at=2026-01-31T12:00:00+02:00",
            "limit=0",
            "limit=1001",
            "limit=1e2",
            "within=-1 day",
            "within=long",
            "name=a%00b",
        ] {
            assert_eq!(said(query), "refused", "{query}");
        }
        assert_eq!(said(&"name=x&".repeat(101)), "refused");
    }
}
