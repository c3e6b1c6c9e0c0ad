//! A route below `/api/analytics/`: a report function or a view, with its parameters and columns.

use super::aliases;
use super::parameter::Parameter;
use super::views::View;
use crate::reports::{Column, Report};

/// A route below `/api/analytics/`.
#[derive(Debug)]
pub(crate) struct Route {
    /// The last part of its path.
    pub(crate) path: String,
    /// Another path that means the same.
    pub(crate) short_path: Option<&'static str>,
    pub(crate) description: String,
    pub(crate) source: Source,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) columns: Vec<Column>,
}

/// Where the rows come from.
#[derive(Debug)]
pub(crate) enum Source {
    Function(Report),
    View(&'static View),
}

impl Route {
    /// Returns the route of a report. There is none for one that needs an argument that no query
    /// string can give.
    pub(super) fn of_report(report: Report) -> Option<Self> {
        let parameters: Vec<Parameter> =
            report.arguments.iter().filter_map(Parameter::of).collect();
        let mut required = report.arguments.iter().filter(|argument| argument.is_required);
        let can_be_given = required
            .all(|argument| parameters.iter().any(|parameter| parameter.name() == argument.name));
        can_be_given.then(|| Route {
            path: report.name.clone(),
            short_path: aliases::short_path(&report.name),
            description: report.description.clone(),
            parameters,
            columns: report.columns.clone(),
            source: Source::Function(report),
        })
    }
}
