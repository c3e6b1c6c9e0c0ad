//! The list of reports.

use serde_json::{Value, json};

use super::call::{described, has_option};
use crate::output::{Failure, Form, FormOptions, Kind, Rows, print_json, print_rows};
use crate::reports::{Argument, Report, first_sentence};

pub(super) fn list(reports: &[Report], options: &FormOptions) -> Result<(), Failure> {
    if options.form() == Form::Json {
        let arguments = |report: &Report| -> Vec<Value> {
            let describe = |argument: &Argument| {
                json!({
                    "name": argument.name,
                    "type": argument.type_name,
                    "required": argument.is_required,
                })
            };
            report.arguments.iter().map(describe).collect()
        };
        let describe = |report: &Report| {
            json!({
                "name": report.name,
                "description": report.description,
                "arguments": arguments(report),
                "columns": report.columns.iter().map(|column| &column.name).collect::<Vec<_>>(),
            })
        };
        return print_json(&reports.iter().map(describe).collect::<Vec<_>>());
    }
    let mut rows = Rows::new(&[
        ("report", Kind::Text),
        ("description", Kind::Prose),
        ("arguments", Kind::Prose),
    ]);
    for report in reports {
        let own = report.arguments.iter().filter(|argument| !has_option(argument));
        let own: Vec<String> = own.map(described).collect();
        let description = first_sentence(&report.description).to_owned();
        rows.rows.push(vec![Some(report.name.clone()), Some(description), Some(own.join("; "))]);
    }
    print_rows(&rows, options)
}
