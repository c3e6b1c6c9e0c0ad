//! What a query string may give.

use super::{Given, Parameter, Value, read};
use crate::reports::Argument;

fn parameters() -> Vec<Parameter> {
    let argument = |(name, type_name): (&str, &str)| Argument {
        name: name.to_owned(),
        type_name: type_name.to_owned(),
        is_required: false,
        default: None,
    };
    let arguments = [
        ("since", "date"),
        ("until", "date"),
        ("at", "timestamp with time zone"),
        ("names", "text[]"),
        ("within", "interval"),
        ("row_limit", "integer"),
        ("before_id", "bigint"),
        ("ids", "bigint[]"),
        ("min_weight", "real"),
        ("is_new", "boolean"),
        ("tenant_id", "uuid"),
        ("place", "point"),
        ("filters", "jsonb"),
        ("time_zone", "text"),
    ];
    arguments.map(argument).iter().filter_map(Parameter::of).collect()
}

fn understood(query: &str) -> String {
    let parameters = parameters();
    let Ok(arguments) = read(&parameters, query) else { return "refused".to_owned() };
    let text = |value: &Value| match value {
        Value::One(text) => text.clone(),
        Value::List(texts) => texts.join("|"),
    };
    let shown = |given: &Given<'_>| format!("{}={}", given.argument.name, text(&given.value));
    arguments.iter().map(shown).collect::<Vec<_>>().join(" ")
}

#[test]
fn values_reach_the_function_in_one_form() {
    assert_eq!(understood(""), "");
    assert_eq!(understood("name=a&name=b%20c&limit=7"), "names=a|b c row_limit=7");
    assert_eq!(understood("names=a&name=b&row_limit=7"), "names=a|b row_limit=7");
    assert_eq!(
        understood("ids=1&ids=-2&min_weight=1.50&is_new=true"),
        "ids=1|-2 min_weight=1.5 is_new=true"
    );
    assert_eq!(
        understood("since=2026-01-31&until=2026-02-01"),
        "since=2026-01-31 until=2026-02-01"
    );
    // Days are whole, of UTC.
    assert_eq!(
        understood("since=2026-01-31T23:30:00-01:00&until=2026-02-01T00:00:01Z"),
        "since=2026-02-01 until=2026-02-02"
    );
    assert_eq!(understood("until=2026-02-01T00:00:00Z"), "until=2026-02-01");
    assert_eq!(understood("at=2026-01-31"), "at=2026-01-31T00:00:00Z");
    assert_eq!(understood("at=2026-01-31T12:00:00%2B02:00"), "at=2026-01-31T10:00:00Z");
    assert_eq!(understood("within=7+days"), "within=P7D");
    // Days are those of the zone, wherever it stands in the query.
    assert_eq!(
        understood("since=2026-03-28T23:00:00Z&time_zone=Europe/Berlin&until=2026-03-29T22:00:00Z"),
        "since=2026-03-29 time_zone=Europe/Berlin until=2026-03-30"
    );
    assert_eq!(understood("filters=[{\"a\":1},{}]"), "filters=[{\"a\":1},{}]");
}

#[test]
fn values_that_do_not_fit_their_type_are_refused() {
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
        "tenant_id=11111111-1111-4111-8111-111111111111",
        "place=(1,2)",
        "before_id=9223372036854775808",
        "ids=x",
        "min_weight=NaN",
        "min_weight=1e400",
        "is_new=1",
        "filters=1",
        "filters=[1]",
        "time_zone=Mars",
        "limit=1&row_limit=1",
    ] {
        assert_eq!(understood(query), "refused", "{query}");
    }
    assert_eq!(understood(&"name=x&".repeat(101)), "refused");
}
