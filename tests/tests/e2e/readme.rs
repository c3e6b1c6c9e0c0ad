//! The README tells the truth: its SQL runs and prints what it shows, and its reference is whole.
//!
//! Every block ```` ```sql ```` is run, in the order of the page, in one database `mydb` of a
//! cluster of its own; each `##` section begins in a new session of the superuser, and the block
//! above the first section comes last. ```` ```sql error=42704 ```` must end with that SQLSTATE,
//! every other block without an error. A block ```` ```text ```` right below shows the end of what psql
//! printed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use eventlog_tests::{Cluster, Db, rows};

const README: &str = include_str!("../../../README.md");

/// The page's file with the hash key; the cluster has one elsewhere.
const KEY_FILE: &str = "/etc/eventlog/hash.key";

#[derive(Debug)]
struct Block {
    line: usize,
    sql: String,
    error: Option<String>,
    shown: Option<String>,
    section: usize,
}

/// The blocks of SQL, those above the first section at the end.
fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut section = 0;
    let mut is_right_below = false;
    let mut lines = README.lines().zip(1..);
    while let Some((text, line)) = lines.next() {
        section += usize::from(text.starts_with("## "));
        let Some(info) = text.strip_prefix("```") else {
            is_right_below &= text.is_empty();
            continue;
        };
        let body: Vec<&str> =
            lines.by_ref().map(|(text, _)| text).take_while(|text| *text != "```").collect();
        match info.split_once(' ').unwrap_or((info, "")) {
            ("sql", mark) => {
                let error = mark.strip_prefix("error=").map(str::to_owned);
                assert!(mark.is_empty() || error.is_some(), "README.md:{line}: {text}");
                blocks.push(Block { line, sql: body.join("\n"), error, shown: None, section });
                is_right_below = true;
            }
            ("text", "") if is_right_below => {
                blocks.last_mut().expect("it is below a block").shown =
                    Some(tidy(&body.join("\n")));
                is_right_below = false;
            }
            _ => is_right_below = false,
        }
    }
    blocks.sort_by_key(|block| (block.section == 0, block.section));
    blocks
}

/// Without what a reader does not see: spaces at the end of lines, empty lines at both ends; and
/// without notices.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.starts_with("NOTICE:")).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// Standard output and standard error of psql, to which a script was fed as a user types it.
fn psql(cluster: &Cluster, script: String) -> (String, String) {
    let mut psql = cluster
        .client("psql")
        .args(["-X", "-q", "-d", "mydb"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("psql");
    let mut stdin = psql.stdin.take().expect("piped");
    let feeder = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = psql.wait_with_output().expect("psql");
    let _ = feeder.join().expect("the feeder");
    (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// What stands before the mark of a block, which is taken off with it, and the rest of its line.
fn until<'t>(text: &mut &'t str, mark: &str) -> (&'t str, &'t str) {
    let (before, after) =
        text.split_once(mark).unwrap_or_else(|| panic!("psql ended before {mark}: {text}"));
    let (rest, after) = after.split_once('\n').expect("a whole line");
    *text = after;
    (before, rest.trim())
}

#[test]
fn every_block_of_sql_does_what_the_page_says() {
    let blocks = blocks();
    assert!(blocks.iter().any(|block| block.error.is_some() && block.shown.is_some()));

    let cluster = Cluster::start(&[]);
    cluster.psql("postgres", "postgres", "CREATE DATABASE mydb").expect("a new database");
    let key_file = cluster.write_secret("hash_key", b"a key that is long enough");
    let key_file = key_file.display().to_string();
    let mut script = String::new();
    let mut section = None;
    for block in &blocks {
        if section.replace(block.section) != Some(block.section) {
            script.push_str("\\c mydb postgres\n");
        }
        let (sql, line) = (block.sql.replace(KEY_FILE, &key_file), block.line);
        script.push_str(&format!("{sql}\n\\echo @@{line}@@\n\\warn @@{line}@@ :SQLSTATE\n"));
    }

    let (stdout, stderr) = psql(&cluster, script);
    let (mut stdout, mut stderr) = (stdout.as_str(), stderr.as_str());
    let mut wrong = Vec::new();
    for block in &blocks {
        let mark = format!("@@{}@@", block.line);
        let (output, _) = until(&mut stdout, &mark);
        let (messages, sqlstate) = until(&mut stderr, &mark);
        let printed = tidy(&format!("{messages}{output}"));
        let errors = messages.lines().filter(|line| line.starts_with("ERROR:")).count();
        let as_expected = match &block.error {
            Some(expected) => errors == 1 && sqlstate == expected,
            None => errors == 0 && sqlstate == "00000",
        };
        if !as_expected {
            wrong.push(format!("README.md:{}: ends with {sqlstate}\n{printed}", block.line));
        }
        if let Some(shown) = &block.shown
            && !format!("\n{printed}").ends_with(&format!("\n{shown}"))
        {
            wrong.push(format!("README.md:{}: shows\n{shown}\nand printed\n{printed}", block.line));
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n\n"));
}

/// The text below a heading, until the next one of its level or above.
fn section(heading: &str) -> &'static str {
    let level = heading.split(' ').next().expect("# signs").len();
    let start = README.find(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let text = &README[start + heading.len() + 1..];
    let ends = (1..=level).filter_map(|level| text.find(&format!("\n{} ", "#".repeat(level))));
    &text[..ends.min().unwrap_or(text.len())]
}

/// Without the casts that PostgreSQL puts behind constants, and with the short names of types.
fn as_people_write_it(signature: &str) -> String {
    const LONG: [&str; 3] =
        ["timestamp with time zone", "timestamp without time zone", "double precision"];
    let mut parts = signature.split("::");
    let mut written = parts.next().expect("one at least").to_owned();
    for part in parts {
        let word = part.find(|c: char| c != '_' && !c.is_ascii_lowercase()).unwrap_or(part.len());
        let end = LONG.iter().find(|name| part.starts_with(*name)).map_or(word, |name| name.len());
        let rest = &part[end..];
        if written.ends_with('\'') || written.ends_with("NULL") {
            written.push_str(rest.strip_prefix("[]").unwrap_or(rest));
        } else {
            written.push_str("::");
            written.push_str(part);
        }
    }
    written
        .replace("timestamp with time zone", "timestamptz")
        .replace("((now() AT TIME ZONE 'UTC'))::", "(now() AT TIME ZONE 'UTC')::")
}

#[test]
fn the_reference_has_every_function_with_its_signature() {
    let reference = section("### Functions").split_whitespace().collect::<Vec<_>>().join(" ");
    let db = Db::new();
    let functions = rows(
        &mut db.superuser(),
        "SELECT proname || '(' || pg_get_function_arguments(oid) || ')' || coalesce(' RETURNS ' || pg_get_function_result(oid), '')
           FROM pg_proc WHERE pronamespace = 'eventlog'::regnamespace AND proname !~ '^_'",
    );
    assert!(functions.len() > 10);
    for function in functions {
        let signature = as_people_write_it(&function[0]);
        assert!(reference.contains(&signature), "README.md does not have: {signature}");
    }
}

#[test]
fn the_reference_has_every_setting_with_its_default_and_range() {
    let reference = section("### Settings");
    let db = Db::new();
    let settings = rows(
        &mut db.superuser(),
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
            .unwrap_or_else(|| panic!("README.md does not have {name}"));
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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
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
            let name = name.strip_prefix("T_R_").map(str::to_owned).unwrap_or(name);
            conditions.push(if is_of_rust { name.to_ascii_lowercase() } else { name });
        }
    }
    conditions.sort();
    conditions.dedup();
    assert!(conditions.len() > 8, "{conditions:?}");

    let reference = section("### SQLSTATEs");
    let db = Db::new();
    let mut client = db.superuser();
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
            "README.md does not have {sqlstate}, {condition}"
        );
    }
}

#[test]
fn the_reference_has_every_table_and_view_with_its_columns() {
    let reference = section("### Tables");
    let db = Db::new();
    let columns = rows(
        &mut db.superuser(),
        "SELECT c.relname, a.attname
           FROM pg_class c
           JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          WHERE c.relnamespace = 'eventlog'::regnamespace AND c.relname !~ '^_'
            AND (c.relkind = 'v' OR c.relname IN (SELECT table_name FROM eventlog_private.relations()))",
    );
    assert!(columns.len() > 60);
    for column in columns {
        let (table, column) = (&column[0], &column[1]);
        let text = reference
            .split_once(&format!("\n**`{table}`**"))
            .unwrap_or_else(|| panic!("README.md does not have {table}"))
            .1;
        let text = text.split("\n**`").next().expect("one at least");
        assert!(text.contains(&format!("`{column}`")), "README.md does not have {table}.{column}");
    }
}

#[test]
fn the_starter_taxonomy_is_the_one_on_the_page() {
    let page: Vec<&str> =
        section("### The starter taxonomy").lines().filter(|line| line.contains("| `")).collect();
    let db = Db::new();
    let types = rows(
        &mut db.superuser(),
        "SELECT format('| %s | `%s` | %s |', domain, name, array_to_string(ARRAY(
                    SELECT '`' || key || '`' FROM unnest(required_keys) AS key), ', ')),
                array_to_string(ARRAY(SELECT '`' || key || '`' FROM unnest(optional_keys) AS key), ', ')
           FROM eventlog.event_types",
    );
    assert_eq!(types.len(), page.len());
    for row in types {
        let expected = format!("{} {}", row[0], row[1]);
        let expected = format!("{} |", expected.trim_end());
        assert!(page.contains(&expected.as_str()), "README.md does not have: {expected}");
    }
}
