//! The reference of functions and tables is written from the catalog and its COMMENTs.
//!
//! The tests compare; with `EVENTLOG_BLESS=1` they write.

use std::fmt::Write;
use std::fs;

use eventlog_tests::rows;

use crate::catalog;
use crate::page::root;

/// Sections of the functions' page, in order. A function that stands in none comes last.
const FUNCTIONS: &[(&str, &[&str])] = &[
    ("Logging", &["log_event", "try_log_event", "log_events", "validate_event", "replay_rejected"]),
    (
        "Tenants",
        &[
            "current_tenant",
            "tenant",
            "all_tenants",
            "set_tenant",
            "reset_tenant",
            "reference_tenants",
        ],
    ),
    ("Event types", &["define_event", "retire_event", "taxonomy_export", "taxonomy_import"]),
    ("Payload rules", &["add_enrichment", "drop_enrichment", "accept_hash_key", "hash_actor"]),
    ("The log", &["create_log", "migrate_log", "maintain", "import_events"]),
    ("Roles", &["grant_writer", "grant_reader", "grant_service", "grant_gateway", "revoke_role"]),
    ("Erasure", &["forget_actor", "forget_tenant"]),
    (
        "Reports",
        &[
            "reports",
            "events_per_day",
            "events_per_hour",
            "summary",
            "tenants_overview",
            "get_events",
            "recent_errors",
            "subject_stats",
            "top_subjects",
            "usage_summary",
            "unused_subjects",
            "active_actors",
            "cohort_retention",
            "funnel",
            "funnel_dropouts",
            "experiment_results",
            "success_rate",
            "escalation_rate",
            "deflection_rate",
            "ingestion_stats",
            "plan_changes",
            "quota_friction",
            "checkout_conversion",
        ],
    ),
    ("Rollups", &["verify_rollups", "count_events", "recount"]),
    ("More", &[]),
    (INTERNAL, &["guard", "any_tenant", "is_visible_event"]),
];

/// The section of what policies and triggers call; it has every trigger function.
const INTERNAL: &str = "Called by policies and triggers";

/// Relations that come first on the tables' page; the others follow by name.
const TABLES: &[&str] = &["events", "event_types", "rejected_events"];

/// Columns of a signature: no line of code is longer.
const WIDTH: usize = 96;

/// The arguments of the public functions, one a row: function, kind, mode, name, type, default;
/// with the type of the result and the COMMENT.
const ARGUMENTS: &str = "
    SELECT p.oid, p.proname, p.prokind, p.proretset, format_type(p.prorettype, NULL),
           coalesce(obj_description(p.oid, 'pg_proc'), ''),
           coalesce(p.proargmodes[i], 'i'), coalesce(p.proargnames[i], ''),
           coalesce(format_type(coalesce(p.proallargtypes[i], p.proargtypes[i - 1]), NULL), ''),
           coalesce(pg_get_function_arg_default(p.oid, i), '')
      FROM pg_proc AS p
      LEFT JOIN LATERAL generate_series(1, coalesce(cardinality(p.proallargtypes), p.pronargs)) AS i ON true
     WHERE p.pronamespace = 'eventlog'::regnamespace AND p.proname !~ '^_'
     ORDER BY p.proname COLLATE \"C\", p.pronargs DESC, p.oid::regprocedure::text COLLATE \"C\", i";

/// The columns of the log's tables and views: relation, its COMMENT, whether it is a view, column,
/// type, COMMENT.
const COLUMNS: &str = "
    SELECT c.relname, coalesce(obj_description(c.oid, 'pg_class'), ''), c.relkind = 'v',
           a.attname, format_type(a.atttypid, a.atttypmod), coalesce(col_description(c.oid, a.attnum), '')
      FROM pg_class AS c
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relname !~ '^_'
       AND (c.relkind = 'v' OR c.relname IN (SELECT table_name FROM eventlog_private.relations()))
     ORDER BY c.relname COLLATE \"C\", a.attnum";

#[derive(Debug)]
struct Function {
    oid: String,
    name: String,
    signature: String,
    result: String,
    comment: String,
}

/// Returns the short name of a type.
fn type_name(name: &str) -> String {
    name.replace("timestamp with time zone", "timestamptz")
}

/// Returns a default as people type it: without the casts that PostgreSQL puts behind literals
/// and NULL, and without parentheses around the whole.
fn default(text: &str) -> String {
    let mut parts = text.split("::");
    let mut written = parts.next().expect("one at least").to_owned();
    for part in parts {
        if written.ends_with('\'') || written.ends_with("NULL") {
            let name = ["timestamp with time zone", "double precision"]
                .into_iter()
                .find(|name| part.starts_with(name))
                .map_or_else(
                    || part.find(|c: char| c != '_' && !c.is_ascii_lowercase()),
                    |name| Some(name.len()),
                );
            let rest = &part[name.unwrap_or(part.len())..];
            written.push_str(rest.strip_prefix("[]").unwrap_or(rest));
        } else {
            written.push_str("::");
            written.push_str(part);
        }
    }
    written =
        type_name(&written).replace("((now() AT TIME ZONE 'UTC'))", "(now() AT TIME ZONE 'UTC')");
    while is_enclosed(&written) {
        written = written[1..written.len() - 1].to_owned();
    }
    written
}

/// Returns true if the first parenthesis is closed by the last character.
fn is_enclosed(text: &str) -> bool {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '(') - i32::from(c == ')');
        if depth == 0 {
            return at > 0 && at + 1 == text.len();
        }
    }
    false
}

/// Writes `name(items)tail`, on one line if it is short enough, else with an item a line.
fn list(name: &str, items: &[String], tail: &str) -> String {
    let line = format!("{name}({}){tail}", items.join(", "));
    if line.len() <= WIDTH {
        return line;
    }
    format!("{name}(\n    {}\n){tail}", items.join(",\n    "))
}

fn functions() -> Vec<Function> {
    let rows = rows(&mut catalog(), ARGUMENTS);
    let mut functions: Vec<Function> = Vec::new();
    for arguments in rows.chunk_by(|one, other| one[0] == other[0]) {
        let [oid, name, kind, is_set, result, comment] = &arguments[0][..6] else {
            unreachable!("ten columns")
        };
        let (mut given, mut returned) = (Vec::new(), Vec::new());
        for argument in arguments {
            let [mode, name, of_type, value] = &argument[6..] else { unreachable!("ten columns") };
            if of_type.is_empty() {
                continue;
            }
            let column = format!("{name} {}", type_name(of_type));
            match mode.as_str() {
                "o" | "t" => returned.push(column),
                mode => {
                    let mode = if mode == "b" { "INOUT " } else { "" };
                    let value = match value.as_str() {
                        "" => String::new(),
                        value => format!(" DEFAULT {}", default(value)),
                    };
                    given.push(format!("{mode}{column}{value}"));
                }
            }
        }
        let result = match (kind.as_str(), is_set.as_str()) {
            ("p", _) => String::new(),
            (_, "t") if !returned.is_empty() => list(" RETURNS TABLE ", &returned, ""),
            _ if !returned.is_empty() => list(" RETURNS ", &returned, ""),
            (_, "t") => format!(" RETURNS SETOF {}", type_name(result)),
            _ => format!(" RETURNS {}", type_name(result)),
        };
        let call = if kind == "p" { format!("CALL {name}") } else { name.clone() };
        let whole = list(&call, &given, "");
        let signature = if format!("{whole}{result}").contains('\n') && !whole.contains('\n') {
            format!("{whole}\n   {result}")
        } else {
            format!("{whole}{result}")
        };
        functions.push(Function {
            oid: oid.clone(),
            name: name.clone(),
            signature,
            result,
            comment: comment.clone(),
        });
    }
    functions
}

/// Returns the section of a function.
fn section(function: &Function) -> &'static str {
    if function.result == " RETURNS trigger" {
        return INTERNAL;
    }
    let section = FUNCTIONS.iter().find(|(_, names)| names.contains(&function.name.as_str()));
    section.map_or("More", |(title, _)| title)
}

/// Returns a COMMENT as a sentence of Markdown.
fn prose(comment: &str) -> String {
    comment.trim().replace('<', "&lt;")
}

/// Compares a page with what it should be; writes it instead where that was asked for.
fn compare(path: &str, text: &str) {
    let file = root().join("docs/reference").join(path);
    if std::env::var_os("EVENTLOG_BLESS").is_some_and(|value| value == "1") {
        fs::write(&file, text).expect("a file of ours");
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let different = found.lines().zip(text.lines()).find(|(found, text)| found != text);
    assert!(
        found == text,
        "docs/reference/{path} is not what the catalog says; type `EVENTLOG_BLESS=1 cargo test -p \
         eventlog-tests --test docs reference`.\nThe first line that differs, there and in the \
         catalog: {different:#?}"
    );
}

/// The first lines of a generated page.
const GENERATED: &str = "<!-- Generated from the catalog and its COMMENTs. Change those in sql/, then run:\n     \
     EVENTLOG_BLESS=1 cargo test -p eventlog-tests --test docs reference -->\n";

#[test]
fn the_reference_of_functions_is_what_the_catalog_says() {
    let functions = functions();
    assert!(functions.len() > 50);
    let mut page = format!(
        "# Functions\n\n{GENERATED}\nAll are in schema `eventlog`. Arguments with a default can be \
         left out, and any can be given by name: `argument => value`. What is in schema \
         `eventlog_private`, or begins with an underscore, is private.\n"
    );
    for (title, names) in FUNCTIONS {
        let mut here: Vec<&Function> =
            functions.iter().filter(|function| section(function) == *title).collect();
        if here.is_empty() {
            continue;
        }
        let place = |function: &&Function| names.iter().position(|name| *name == function.name);
        here.sort_by_key(|function| place(function).unwrap_or(names.len()));
        write!(page, "\n## {title}\n").expect("memory");
        if *title == INTERNAL {
            page.push_str(
                "\nYou do not call these. Each checks that it is called from its place.\n",
            );
        }
        for same in here.chunk_by(|one, other| one.name == other.name) {
            write!(page, "\n### {}\n", same[0].name).expect("memory");
            for function in same {
                assert!(!function.comment.is_empty(), "{} has no COMMENT", function.oid);
                let (signature, comment) = (&function.signature, prose(&function.comment));
                write!(page, "\n```\n{signature}\n```\n\n{comment}\n").expect("memory");
            }
        }
    }
    compare("functions.md", &page);
}

#[test]
fn the_reference_of_tables_is_what_the_catalog_says() {
    let columns = rows(&mut catalog(), COLUMNS);
    assert!(columns.len() > 60);
    let mut relations: Vec<&[Vec<String>]> =
        columns.chunk_by(|one, other| one[0] == other[0]).collect();
    relations.sort_by_key(|columns| {
        let place = TABLES.iter().position(|name| *name == columns[0][0]);
        place.unwrap_or(TABLES.len() + usize::from(columns[0][2] == "t"))
    });
    let mut page = format!(
        "# Tables and views\n\n{GENERATED}\nAll are in schema `eventlog`. Tables have row-level \
         security on. `\\d+ eventlog.events` in psql shows the same comments.\n"
    );
    for columns in relations {
        let [name, comment, is_view] = &columns[0][..3] else { unreachable!("six columns") };
        assert!(!comment.is_empty(), "{name} has no COMMENT");
        let kind = if is_view == "t" { "A view. " } else { "" };
        write!(page, "\n## {name}\n\n{kind}{}\n\n", prose(comment)).expect("memory");
        let is_described = columns.iter().any(|column| !column[5].is_empty());
        page.push_str(if is_described {
            "| column | type | |\n|---|---|---|\n"
        } else {
            "| column | type |\n|---|---|\n"
        });
        for column in columns {
            let [column, of_type, comment] = &column[3..] else { unreachable!("six columns") };
            write!(page, "| `{column}` | `{}` |", type_name(of_type)).expect("memory");
            if is_described {
                write!(page, " {} |", prose(comment).replace('|', "\\|")).expect("memory");
            }
            page.push('\n');
        }
    }
    compare("tables.md", &page);
}
