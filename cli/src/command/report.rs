//! `eventlog report`: the report functions of the extension, as its catalog has them.

use clap::Args;
use serde_json::{Value, json};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Row, Transaction};

use super::filter::{Filter, warn_of_unknown};
use crate::connection::Server;
use crate::output::{Failure, print, print_json, print_table};

const HELP: &str = "\
Without a name: the list of the reports. What a report takes besides the options here is \
given as ARGUMENT=VALUE, several values of one argument with commas between:\n\n\
eventlog report funnel steps=ingest_started,ingest_completed within='1 day' --since \
2026-01-01";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Name of the report
    name: Option<String>,
    /// An argument of its own; the list tells which there are
    #[arg(value_name = "ARGUMENT=VALUE", value_parser = pair)]
    arguments: Vec<(String, String)>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many rows, of reports that have a limit
    #[arg(long, value_name = "ROWS")]
    limit: Option<u32>,
    /// Print JSON: an array of objects
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it must be ARGUMENT=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// A report, as the catalog describes it.
struct Report {
    name: String,
    /// Its name as SQL writes it, with the schema.
    function: String,
    comment: String,
    arguments: Vec<Argument>,
    /// The columns of what it gives, as SQL writes them.
    columns: Vec<(String, String)>,
}

struct Argument {
    name: String,
    type_name: String,
    is_required: bool,
}

/// A report is a function that reads, of a tenant that can be named.
const REPORTS: &str = "
    SELECT p.proname::text, format('eventlog.%I', p.proname), coalesce(obj_description(p.oid, 'pg_proc'), ''),
           p.proargnames[:p.pronargs],
           ARRAY(SELECT format_type(t.type, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, place)
                  ORDER BY t.place),
           (p.pronargs - p.pronargdefaults)::int4,
           CASE WHEN p.proretset THEN p.proargnames[p.pronargs + 1:] ELSE ARRAY[p.proname::text] END,
           ARRAY(SELECT quote_ident(c) FROM unnest(
               CASE WHEN p.proretset THEN p.proargnames[p.pronargs + 1:] ELSE ARRAY[p.proname::text] END) AS c)
      FROM pg_proc p
      JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'eventlog' AND p.provolatile = 's' AND p.prokind = 'f' AND p.proname !~ '^_'
       AND 'tenant_id' = ANY (p.proargnames[:p.pronargs])
     ORDER BY p.proname";

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = arguments.filter.tenant.begin(&mut client).await?;
    let rows = transaction.query_typed(REPORTS, &[]).await?;
    let reports: Vec<Report> = rows.iter().map(Report::of).collect();
    if reports.is_empty() {
        let message = "there are no reports in this database";
        return Err(Failure::new(message).hint("CREATE EXTENSION eventlog;"));
    }
    match &arguments.name {
        None => list(&reports, arguments.json),
        Some(name) => match reports.iter().find(|report| report.name == *name) {
            Some(report) => show(&transaction, report, &arguments).await,
            None => Err(unknown(name, &reports)),
        },
    }
}

fn unknown(name: &str, reports: &[Report]) -> Failure {
    let nearest = reports
        .iter()
        .map(|report| (strsim::damerau_levenshtein(name, &report.name), &report.name))
        .min()
        .filter(|(distance, _)| *distance <= 3);
    let hint = match nearest {
        Some((_, nearest)) => format!("eventlog report {nearest}"),
        None => "eventlog report".to_owned(),
    };
    Failure::usage(format!("there is no report {name:?}")).hint(hint)
}

fn list(reports: &[Report], is_json: bool) -> Result<(), Failure> {
    if is_json {
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
                "tells": report.comment,
                "arguments": arguments(report),
                "columns": report.columns.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            })
        };
        return print_json(&reports.iter().map(describe).collect::<Vec<_>>());
    }
    let line = |report: &Report| {
        let own = report.arguments.iter().filter(|argument| !argument.is_an_option());
        let own: Vec<String> = own.map(Argument::shown).collect();
        vec![report.name.clone(), first_sentence(&report.comment).to_owned(), own.join("\n")]
    };
    print_table(&["report", "tells", "takes"], &reports.iter().map(line).collect::<Vec<_>>())
}

/// What a comment says first, outside of brackets; the rest is in the JSON.
fn first_sentence(comment: &str) -> &str {
    let mut depth = 0;
    for (at, c) in comment.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' | ':' | ';' if depth == 0 && comment[at + 1..].starts_with(' ') => {
                return &comment[..at];
            }
            _ => {}
        }
    }
    comment.trim_end_matches('.')
}

async fn show(
    transaction: &Transaction<'_>,
    report: &Report,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let given = report.given(arguments)?;
    let mut call = Vec::new();
    let mut values: Vec<(&(dyn ToSql + Sync), Type)> = Vec::new();
    for (argument, value) in &given {
        // The names and types are the catalog's.
        let (name, type_name, place) = (&argument.name, &argument.type_name, call.len() + 1);
        match value {
            Given::One(text) => {
                values.push((text, Type::TEXT));
                call.push(format!("\"{name}\" => ${place}::{type_name}"));
            }
            Given::Several(texts) => {
                values.push((texts, Type::TEXT_ARRAY));
                call.push(format!("\"{name}\" => ${place}::{type_name}"));
            }
        }
    }
    let names: Vec<&str> = report.columns.iter().map(|(_, quoted)| quoted.as_str()).collect();
    let shown = match arguments.json {
        true => "row_to_json(q)::text".to_owned(),
        false => names.iter().map(|c| format!("q.{c}::text")).collect::<Vec<_>>().join(", "),
    };
    let sql = format!(
        "SELECT {shown} FROM (SELECT * FROM {}({}) AS r ({})) q",
        report.function,
        call.join(", "),
        names.join(", ")
    );
    let rows = transaction.query_typed(&sql, &values).await;
    let rows = rows.map_err(|error| arguments.filter.tenant.explain(error))?;
    let of_names = given.iter().filter(|(argument, _)| argument.is_an_event_name());
    let names: Vec<String> = of_names.flat_map(|(_, value)| value.texts()).cloned().collect();
    warn_of_unknown(transaction, &names).await;
    let text = |row: &Row, place: usize| row.get::<_, Option<String>>(place).unwrap_or_default();
    if arguments.json {
        // As the server writes it: numbers to the last digit, and the columns in their order.
        let rows: Vec<String> = rows.iter().map(|row| text(row, 0)).collect();
        return match rows.is_empty() {
            true => print("[]"),
            false => print(&format!("[\n{}\n]", rows.join(",\n"))),
        };
    }
    let header: Vec<&str> = report.columns.iter().map(|(name, _)| name.as_str()).collect();
    let lines: Vec<Vec<String>> =
        rows.iter().map(|row| (0..header.len()).map(|place| text(row, place)).collect()).collect();
    print_table(&header, &lines)
}

/// The value of an argument.
enum Given {
    One(String),
    Several(Vec<String>),
}

impl Given {
    fn texts(&self) -> &[String] {
        match self {
            Given::One(text) => std::slice::from_ref(text),
            Given::Several(texts) => texts,
        }
    }
}

impl Argument {
    /// Whether its values are names of events, as far as what it is called tells.
    fn is_an_event_name(&self) -> bool {
        self.is_of_names()
            || ["first_name", "returning_name", "steps", "removed_by", "succeeded", "failed"]
                .contains(&self.name.as_str())
    }

    /// Whether an option of the command gives it.
    fn is_an_option(&self) -> bool {
        matches!(self.name.as_str(), "since" | "until" | "tenant_id" | "row_limit")
            || self.is_of_names()
    }

    fn is_of_names(&self) -> bool {
        matches!(
            (self.name.as_str(), self.type_name.as_str()),
            ("names", "text[]") | ("name", "text")
        )
    }

    fn shown(&self) -> String {
        match self.is_required {
            true => format!("{}={}, required", self.name, self.type_name),
            false => format!("{}={}", self.name, self.type_name),
        }
    }
}

impl Report {
    fn of(row: &Row) -> Self {
        let (names, types): (Vec<String>, Vec<String>) = (row.get(3), row.get(4));
        let required = usize::try_from(row.get::<_, i32>(5)).unwrap_or(0);
        let arguments = names.into_iter().zip(types).enumerate();
        let columns: (Vec<String>, Vec<String>) = (row.get(6), row.get(7));
        Report {
            name: row.get(0),
            function: row.get(1),
            comment: row.get(2),
            arguments: arguments
                .map(|(place, (name, type_name))| Argument {
                    name,
                    type_name,
                    is_required: place < required,
                })
                .collect(),
            columns: columns.0.into_iter().zip(columns.1).collect(),
        }
    }

    /// What it is called with: the options, and arguments of its own.
    fn given(&self, asked: &Arguments) -> Result<Vec<(&Argument, Given)>, Failure> {
        let filter = &asked.filter;
        let mut given = Vec::new();
        for (option, name, value) in [
            ("--since", "since", filter.since.clone()),
            ("--until", "until", filter.until.clone()),
            ("--limit", "row_limit", asked.limit.map(|limit| limit.to_string())),
            ("--tenant", "tenant_id", filter.tenant.tenant.map(|tenant| tenant.to_string())),
        ] {
            if let Some(value) = value {
                let argument = self.argument(name).ok_or_else(|| self.takes_no(option))?;
                given.push((argument, Given::One(value)));
            }
        }
        if let Some(names) = filter.names() {
            let argument = self.arguments.iter().find(|argument| argument.is_of_names());
            let argument = argument.ok_or_else(|| self.takes_no("--names"))?;
            given.push((
                argument,
                match (argument.type_name.as_str(), names) {
                    ("text[]", _) => Given::Several(names.to_vec()),
                    (_, [name]) => Given::One(name.clone()),
                    _ => return Err(Failure::usage(format!("{} takes one name", self.name))),
                },
            ));
        }
        for (name, value) in &asked.arguments {
            let argument = self.argument(name).ok_or_else(|| self.takes_no(name))?;
            if given.iter().any(|(other, _)| other.name == *name) {
                return Err(Failure::usage(format!("{name} is given twice")));
            }
            given.push((
                argument,
                match argument.type_name.as_str() {
                    "text[]" if !value.is_empty() => {
                        Given::Several(value.split(',').map(|one| one.trim().to_owned()).collect())
                    }
                    "text[]" => Given::Several(Vec::new()),
                    "text" if argument.is_an_event_name() => Given::One(value.trim().to_owned()),
                    _ => Given::One(value.clone()),
                },
            ));
        }
        let is_given = |argument: &&Argument| given.iter().any(|(g, _)| g.name == argument.name);
        let missing = self.arguments.iter().filter(|argument| argument.is_required);
        if let Some(missing) = missing.into_iter().find(|argument| !is_given(argument)) {
            let message = format!("{} needs {}=…", self.name, missing.name);
            return Err(Failure::usage(message).hint(self.usage()));
        }
        Ok(given)
    }

    fn argument(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.name == name)
    }

    fn takes_no(&self, what: &str) -> Failure {
        Failure::usage(format!("{} takes no {what}", self.name)).hint(self.usage())
    }

    fn usage(&self) -> String {
        let arguments: Vec<String> = self.arguments.iter().map(Argument::shown).collect();
        format!("it takes {}", arguments.join("; "))
    }
}
