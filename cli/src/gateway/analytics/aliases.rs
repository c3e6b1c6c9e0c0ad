//! Short names from before the gateway found its reports in the catalog. Clients use them, so they stay;
//! a new report needs none.

/// Short paths below `/api/analytics/` and the reports that they stand for.
pub(super) const PATHS: &[(&str, &str)] = &[
    ("days", "events_per_day"),
    ("hours", "events_per_hour"),
    ("tools", "subject_stats"),
    ("subjects", "top_subjects"),
    ("actors", "active_actors"),
    ("retention", "cohort_retention"),
    ("errors", "recent_errors"),
    ("events", "get_events"),
];

/// Short names of parameters and the arguments that they stand for, of every report that has them.
pub(super) const PARAMETERS: &[(&str, &str)] = &[
    ("name", "names"),
    ("limit", "row_limit"),
    ("actor", "actors"),
    ("subject", "subjects"),
    ("step", "steps"),
    ("first", "first_name"),
    ("returning", "returning_name"),
];

/// Returns the short path of a report, if it has one.
pub(super) fn short_path(report: &str) -> Option<&'static str> {
    PATHS.iter().find(|(_, name)| *name == report).map(|(short, _)| *short)
}

/// Returns the short name of an argument, if it has one.
pub(super) fn short_parameter(argument: &str) -> Option<&'static str> {
    PARAMETERS.iter().find(|(_, name)| *name == argument).map(|(short, _)| *short)
}
