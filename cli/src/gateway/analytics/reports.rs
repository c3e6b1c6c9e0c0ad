//! Which reports there are, and what they may be asked.

use super::parameter::{Kind, Parameter};

/// One route.
pub(crate) struct Report {
    pub(crate) source: Source,
    pub(crate) parameters: &'static [Parameter],
    /// The column that is an event's id, if one is: it is served as text, since a number of JavaScript
    /// has 53 bits.
    pub(crate) id: Option<&'static str>,
}

/// Where its rows come from.
pub(crate) enum Source {
    /// A function of the extension, called with what was asked and the tenant.
    Function(&'static str),
    /// A query that takes nothing.
    Query(&'static str),
}

const fn function(name: &'static str, parameters: &'static [Parameter]) -> Report {
    Report { source: Source::Function(name), parameters, id: None }
}

const fn query(sql: &'static str) -> Report {
    Report { source: Source::Query(sql), parameters: &[], id: None }
}

/// A parameter whose name is the argument's.
const fn named(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, argument: name, kind }
}

const SINCE: Parameter = named("since", Kind::Time);
const UNTIL: Parameter = named("until", Kind::Time);
/// Of reports over whole days: a time within a day asks for the day.
const SINCE_DAY: Parameter = named("since", Kind::SinceDay);
const UNTIL_DAY: Parameter = named("until", Kind::UntilDay);
const NAMES: Parameter = Parameter { name: "name", argument: "names", kind: Kind::Texts };
const LIMIT: Parameter = Parameter { name: "limit", argument: "row_limit", kind: Kind::Limit };

pub(crate) static SUMMARY: Report = function("summary", &[SINCE, UNTIL, NAMES]);

pub(crate) static DAYS: Report =
    function("events_per_day", &[SINCE, UNTIL, NAMES, named("time_zone", Kind::Zone)]);

pub(crate) static HOURS: Report = function("events_per_hour", &[SINCE, UNTIL, NAMES]);

pub(crate) static TOOLS: Report = function("subject_stats", &[SINCE_DAY, UNTIL_DAY, NAMES]);

pub(crate) static SUBJECTS: Report =
    function("top_subjects", &[SINCE_DAY, UNTIL_DAY, NAMES, named("prefix", Kind::Text), LIMIT]);

pub(crate) static ACTORS: Report =
    function("active_actors", &[SINCE_DAY, UNTIL_DAY, named("name", Kind::Text)]);

pub(crate) static RETENTION: Report = function(
    "cohort_retention",
    &[
        SINCE_DAY,
        UNTIL_DAY,
        named("period", Kind::Choice(&["day", "week", "month"])),
        Parameter { name: "first", argument: "first_name", kind: Kind::Text },
        Parameter { name: "returning", argument: "returning_name", kind: Kind::Text },
    ],
);

pub(crate) static ERRORS: Report =
    Report { id: Some("last_id"), ..function("recent_errors", &[SINCE, UNTIL, NAMES, LIMIT]) };

pub(crate) static EVENTS: Report = Report {
    id: Some("id"),
    ..function(
        "get_events",
        &[
            SINCE,
            UNTIL,
            NAMES,
            Parameter { name: "actor", argument: "actors", kind: Kind::Texts },
            Parameter { name: "subject", argument: "subjects", kind: Kind::Texts },
            named("contains", Kind::Object),
            LIMIT,
            named("before_created_at", Kind::Time),
            named("before_id", Kind::Id),
        ],
    )
};

pub(crate) static FUNNEL: Report = function(
    "funnel",
    &[
        Parameter { name: "step", argument: "steps", kind: Kind::Steps },
        named("within", Kind::Span),
        named("by", Kind::Text),
        SINCE,
        UNTIL,
    ],
);

/// The quarantine: what was refused, by reason.
pub(crate) static REJECTED: Report = query(
    "SELECT r.name, r.sqlstate, r.reason, r.events, r.first_at, r.last_at
       FROM eventlog.stat_rejected r
      ORDER BY r.last_at DESC, r.name, r.sqlstate, r.reason LIMIT 1000",
);

/// What is declared against what is logged.
pub(crate) static TAXONOMY: Report = query(
    "SELECT t.name, t.state, t.rows, t.last_at, t.undeclared_keys, t.unused_keys, t.missing_keys
       FROM eventlog.stat_taxonomy t ORDER BY t.name",
);

/// The enum of names.
pub(crate) static NAMES_DECLARED: Report = query(
    "SELECT t.name, t.domain, t.description, t.status FROM eventlog.event_types t ORDER BY t.name",
);
