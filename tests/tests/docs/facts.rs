//! Tables that are written by hand have every setting, SQLSTATE and name that there is.

use std::fs;
use std::path::Path;

use eventlog_tests::rows;

use crate::catalog;
use crate::page::{page, root};

#[test]
fn the_reference_has_every_setting_with_its_default_and_range() {
    let reference = page("docs/reference/settings.md").text;
    let settings = rows(
        &mut catalog(),
        "LOAD 'eventlog';
         SELECT name, coalesce(boot_val, 'empty'), context, coalesce(min_val, ''), coalesce(max_val, ''),
                coalesce(array_to_string(enumvals, ' '), '')
           FROM pg_settings WHERE name LIKE 'eventlog.%'",
    );
    assert!(settings.len() > 5);
    for setting in settings {
        let name = &setting[0];
        let row = reference
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}` |")))
            .unwrap_or_else(|| panic!("settings.md does not have {name}"));
        let who = if setting[2] == "user" { "everybody" } else { "superuser" };
        let facts = [&setting[1], who, &setting[3], &setting[4]];
        for fact in facts.into_iter().chain(setting[5].split(' ')) {
            assert!(row.contains(fact), "{fact}, of {name}: {row}");
        }
    }
}

/// All files below a folder that end so.
fn sources(folder: &Path, ending: &str, into: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, ending, into);
        } else if path.to_string_lossy().ends_with(ending) {
            into.push(fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}

#[test]
fn the_reference_has_every_sqlstate_that_is_raised() {
    let root = root();
    let mut texts = Vec::new();
    sources(&root.join("extension/src"), ".rs", &mut texts);
    sources(&root.join("sql"), ".sql", &mut texts);
    let mut conditions: Vec<String> = Vec::new();
    for text in &texts {
        for (at, found) in text.match_indices("ERRCODE") {
            let after = &text[at + found.len()..];
            let is_of_rust = after.starts_with('_');
            let after = after.trim_start_matches(['_', ' ', '=', '\'']);
            let end = after.find(|c: char| c != '_' && !c.is_ascii_alphanumeric());
            let name = after[..end.unwrap_or(after.len())].to_owned();
            // PL/pgSQL's conditions have the names of Rust's, but for the groups in these.
            let group = ["T_R_", "E_R_I_E_"].into_iter().find_map(|group| name.strip_prefix(group));
            let name = group.map(str::to_owned).unwrap_or(name);
            conditions.push(if is_of_rust { name.to_ascii_lowercase() } else { name });
        }
    }
    conditions.sort();
    conditions.dedup();
    assert!(conditions.len() > 8, "{conditions:?}");

    let reference = page("docs/reference/sqlstates.md").text;
    let mut client = catalog();
    // PL/pgSQL has no names for warnings.
    conditions.retain(|condition| condition != "warning_deprecated_feature");
    // Recognized, where pgrx has no name for an application's own; never raised.
    conditions.retain(|condition| condition != "internal_error");
    assert!(reference.contains("\n| 01P01 |"));
    for condition in conditions {
        let raise = format!(
            "DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{condition}', MESSAGE = 'raised'; END $$"
        );
        let error = client.batch_execute(&raise).expect_err("an exception");
        let error = error.as_db_error().expect("of the server");
        assert_eq!(error.message(), "raised", "no such condition: {condition}");
        let sqlstate = error.code().code();
        assert!(
            reference.contains(&format!("\n| {sqlstate} |")),
            "sqlstates.md does not have {sqlstate}, {condition}"
        );
    }
}

#[test]
fn the_starter_taxonomy_is_the_one_on_the_page() {
    let text = page("docs/event-types.md");
    let page: Vec<&str> =
        text.section("The starter taxonomy").lines().filter(|line| line.contains("| `")).collect();
    let types = rows(
        &mut catalog(),
        "SELECT format('| %s | `%s` | %s |', domain, name, array_to_string(ARRAY(
                    SELECT '`' || key || '`' FROM unnest(required_keys) AS key), ', ')),
                array_to_string(ARRAY(SELECT '`' || key || '`' FROM unnest(optional_keys) AS key), ', ')
           FROM eventlog.event_types",
    );
    assert_eq!(types.len(), page.len());
    for row in types {
        let expected = format!("{} {}", row[0], row[1]);
        let expected = format!("{} |", expected.trim_end());
        assert!(page.contains(&expected.as_str()), "event-types.md does not have: {expected}");
    }
}
