//! What commands print, recorded in `golden/*.txt`: on terminals of 60, 80 and 200 columns, in a pipe, in
//! colour, and what wrong uses get. `EVENTLOG_BLESS=1` writes the files anew: read the difference before a
//! commit.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, program};

use crate::files::{Folder, make_partitions};

/// Events at fixed times of January 2026, and keys.
const EVENTS: &str = include_str!("golden/seed.sql");

/// The widths of the terminals.
const WIDTHS: [u16; 3] = [60, 80, 200];

fn seeded() -> Db {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    make_partitions(&mut owner);
    let sql = EVENTS.replace("TENANT_A", TENANT_A).replace("TENANT_B", TENANT_B);
    owner.batch_execute(&sql).expect("a log of its own");
    db
}

/// Sets the environment of a command: a database and a role, and nothing of the caller's.
fn environment<'a>(command: &'a mut Command, db: &Db, role: &str) -> &'a mut Command {
    for variable in ["EVENTLOG_DSN", "COLUMNS", "LINES", "NO_COLOR", "PGTZ", "PGOPTIONS"] {
        command.env_remove(variable);
    }
    command
        .env("PGHOST", db::shared().folder())
        .env("PGPORT", "5432")
        .env("PGUSER", role)
        .env("PGDATABASE", &db.name)
        .env("EVENTLOG_TENANT", TENANT_A)
        .env("TZ", "America/New_York")
        .env("TERM", "xterm")
        // script runs the line with it; bash sets COLUMNS to the terminal's width, sh leaves it alone.
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::null())
}

/// Runs a command line in a shell with the program in its path; both streams together, and the code.
fn run(command: &mut Command) -> String {
    let output = command.output().expect("it starts");
    let text = [output.stdout, output.stderr].concat();
    let mut text = String::from_utf8(text).expect("UTF-8").replace("\r\n", "\n");
    if let Some(code) = output.status.code().filter(|code| *code != 0) {
        writeln!(text, "(exit code {code})").expect("a text");
    }
    text
}

fn path() -> String {
    let programs = program::eventlog().parent().expect("a folder").display().to_string();
    format!("{programs}:{}", std::env::var("PATH").unwrap_or_default())
}

fn in_pipe(db: &Db, role: &str, line: &str) -> String {
    let mut command = Command::new("sh");
    run(environment(command.args(["-c", line]).env("PATH", path()), db, role))
}

fn on_terminal(db: &Db, role: &str, line: &str, columns: u16, variable: (&str, &str)) -> String {
    let line = format!("stty cols {columns} rows 40; {line}");
    let mut command = Command::new("script");
    command.args(["-qec", &line, "/dev/null"]).env("PATH", path());
    run(environment(&mut command, db, role).env(variable.0, variable.1))
}

/// Compares a text with a recorded file, or writes the file.
#[track_caller]
fn compare(db: &Db, file: &str, text: &str) {
    let folder = db::shared().folder().display().to_string();
    let text = text.replace(&folder, "FOLDER").replace(&db.name, "DATABASE").replace('\u{1b}', "␛");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(file);
    if std::env::var_os("EVENTLOG_BLESS").is_some() {
        fs::write(&path, &text).expect("the folder is ours");
    }
    let wanted = fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(wanted.lines()).position(|(found, wanted)| found != wanted);
    let line = differs.map_or(0, |line| line + 1);
    assert!(
        text == wanted,
        "{file} differs from line {line} on; EVENTLOG_BLESS=1 records:\n{text}"
    );
}

/// Records commands: on each terminal without colour, one in colour, and in a pipe.
#[track_caller]
fn record(db: &Db, role: &str, file: &str, lines: &[&str]) {
    let mut text = String::new();
    for line in lines {
        writeln!(text, "$ {line}").expect("a text");
        for columns in WIDTHS {
            let shown = on_terminal(db, role, line, columns, ("NO_COLOR", "1"));
            assert!(!shown.contains('\u{1b}'), "{line}: NO_COLOR has no colours");
            write!(text, "--- {columns} columns\n{shown}").expect("a text");
        }
        let (dumb, plain) = (("TERM", "dumb"), ("NO_COLOR", "1"));
        let shown = [dumb, plain].map(|it| on_terminal(db, role, line, 80, it));
        assert_eq!(shown[0], shown[1], "{line}: on a dumb terminal");
        let widened = [(60, ("COLUMNS", "200")), (200, ("LANG", "C"))]
            .map(|(columns, variable)| on_terminal(db, role, line, columns, variable));
        assert_eq!(widened[0], widened[1], "{line}: COLUMNS counts, not the terminal's width");
        let shown = on_terminal(db, role, line, 80, ("LANG", "C"));
        writeln!(text, "--- in colour\n{}", shown.trim_end()).expect("a text");
        let piped = in_pipe(db, role, line);
        assert!(!piped.contains('\u{1b}'), "{line}: a pipe gets no colours");
        assert!(!piped.contains("(exit code"), "{line}: {piped}");
        writeln!(text, "--- pipe\n{}\n", piped.trim_end()).expect("a text");
    }
    compare(db, file, &text);
}

const SPAN: &str = "--since 2026-01-05 --until 2026-01-26 --time-zone UTC";

#[test]
fn reports_on_terminals_and_in_pipes_are_as_recorded() {
    let db = seeded();
    let line = |text: &str| format!("eventlog report {text} {SPAN}");
    let lines = [
        line("summary"),
        line("summary --breakdown data.skillName --filter name=tool_used,skill_executed"),
        line("summary --filter 'data.durationMs>1000' --filter actor^=user-"),
        line("events_per_day --names tool_used,skill_executed"),
        line("recent_errors"),
        line("top_subjects"),
        line("cohort_retention"),
        line("funnel steps=conversation_started,skill_executed within='7 days'"),
        line("summary --names nothing_of_it"),
        line("recent_errors -x"),
        "eventlog report get_events --limit 2 --since 2026-01-01 --until 2026-02-01".to_owned(),
    ];
    record(&db, "reader", "reports.txt", &lines.each_ref().map(String::as_str));
}

#[test]
fn tail_and_keys_on_terminals_and_in_pipes_are_as_recorded() {
    let db = seeded();
    let lines = ["eventlog tail -n 6", "eventlog tail -n 2 -x --time-zone Asia/Kolkata"];
    record(&db, "reader", "tail.txt", &lines);
    let lines = ["eventlog key list", "eventlog key list --json", "eventlog key list --csv"];
    record(&db, "log_owner", "keys.txt", &lines);
}

#[test]
fn every_form_of_rows_is_as_recorded() {
    let db = seeded();
    let mut text = String::new();
    for form in ["", " --tsv --no-header", " --csv", " --json", " -x"] {
        for command in
            ["tail -n 3", "report get_events --limit 2 --since 2026-01-01 --until 2026-02-01"]
        {
            let line = format!("eventlog {command}{form}");
            write!(text, "$ {line}\n{}\n", in_pipe(&db, "reader", &line)).expect("a text");
        }
    }
    compare(&db, "forms.txt", &text);
}

#[test]
fn the_doctor_prints_rows_when_asked_and_a_list_otherwise() {
    let db = seeded();
    let of = |form: &str| in_pipe(&db, "postgres", &format!("eventlog doctor {form} || true"));
    let tabs = of("--tsv");
    let rows: Vec<Vec<&str>> = tabs.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows[0], ["check", "state", "found", "fix", "role"]);
    assert!(rows.len() > 15 && rows.iter().all(|row| row.len() == 5), "{tabs}");
    let json: serde_json::Value = serde_json::from_str(&of("--json")).expect("JSON");
    for (row, object) in rows.iter().skip(1).zip(json.as_array().expect("an array")) {
        assert_eq!([&object["check"], &object["state"]], [row[0], row[1]]);
        assert!(["ok", "advice", "wrong", "unseen"].contains(&row[1]), "{row:?}");
    }
    assert!(of("").starts_with("ok      extension    "));
}

/// Runs the program until its output, which also goes to the file OUT, has a text so many times; then
/// interrupts it as Ctrl-C does.
fn interrupted(line: &str, text: &str, times: u32) -> String {
    format!(
        "{line} & pid=$!; until [ \"$(grep -aco '{text}' \"$OUT\")\" -ge {times} ]; do sleep 0.05; done; \
         kill -INT $pid; wait $pid"
    )
}

#[test]
fn watch_appends_in_a_pipe_and_draws_in_place_on_a_terminal() {
    let db = seeded();
    let folder = Folder::new("watch");
    let out = folder.write("out", b"");
    let report = format!("eventlog report summary {SPAN} --watch 0.05");
    let line = interrupted(&format!("{report} > \"$OUT\" 2>&1"), "+00:00", 3);
    let mut command = Command::new("sh");
    command.args(["-c", &line]).env("PATH", path()).env("OUT", &out);
    let ended = run(environment(&mut command, &db, "reader"));
    assert_eq!(ended, "", "Ctrl-C ends it well");
    let text = fs::read_to_string(&out).expect("text");
    let mut lines = text.lines();
    assert!(lines.next().is_some_and(|header| header.starts_with("at\tevents\t")), "{text}");
    assert!(lines.all(|line| line.starts_with("20") && line.contains("+00:00\t47\t")), "{text}");

    let line = format!("stty cols 80 rows 40; {}", interrupted(&report, "success_rate", 2));
    let mut command = Command::new("script");
    command.args(["-qefc", &line]).arg(&out).env("PATH", path()).env("OUT", &out);
    let shown = run(environment(&mut command, &db, "reader").env("NO_COLOR", "1"));
    assert!(shown.starts_with("\u{1b}[?1049h"), "{shown:?}");
    assert_eq!(shown.matches("\u{1b}[2J").count(), 1, "cleared once, then drawn over: {shown:?}");
    let (_, last) = shown.rsplit_once("\u{1b}[?1049l").expect("the screen from before is back");
    assert!(last.contains("success_rate") && !last.contains('\u{1b}'), "{last:?}");
}

/// Uses that are wrong, with the role of each.
const WRONG: &[(&str, &str)] = &[
    ("reader", "eventlog reprot summary"),
    ("reader", "eventlog report sumary"),
    ("reader", "eventlog report summary steps=x"),
    ("reader", "eventlog report summary x"),
    ("reader", "eventlog report summary since=today --since today"),
    ("reader", "eventlog report funnel"),
    ("reader", "eventlog report active_actors --names a,b"),
    ("reader", "env -u EVENTLOG_TENANT eventlog report summary"),
    ("reader", "eventlog report summary --tenant 1111-1111-1111-1111-11111111111111111111"),
    ("reader", "eventlog report summary --since soon"),
    ("reader", "eventlog report summary --time-zone Mars/Olympus"),
    ("reader", "TZ=Mars/Olympus eventlog tail -n 0"),
    (
        "reader",
        "eventlog report summary --names tool_usd --since 2026-01-05 --until 2026-01-06 --tsv",
    ),
    ("reader", "eventlog report summary --filter skillName=canvas"),
    ("reader", "eventlog report summary --filter 'data.n>many'"),
    (
        "reader",
        "eventlog report summary --names app_opened --filter data.pge=/home --since 2026-01-05 --until 2026-01-06 --json",
    ),
    ("reader", "eventlog report summary --breakdown skillName"),
    ("reader", "eventlog report plan_changes --filter name=plan_updated"),
    ("reader", "eventlog report summary --json --csv"),
    ("reader", "eventlog report summary --watch 0"),
    ("reader", "eventlog report sumary --json"),
    ("reader", "eventlog report summary --top many --json"),
    ("reader", "eventlog tail -n many"),
    ("reader", "eventlog tail --every 0"),
    ("reader", "eventlog tail --contains '{'"),
    ("outsider", "eventlog tail"),
    ("reader", "eventlog export events.xlsx"),
    ("reader", "eventlog export \"$FILE\" --format csv"),
    ("log_owner", "eventlog import missing.csv"),
    ("log_owner", "eventlog key revoke nothing"),
    ("log_owner", "eventlog key create --tenant $EVENTLOG_TENANT --kind read --event x"),
    ("reader", "eventlog key list"),
    ("reader", "eventlog codegen --names nothing"),
    ("reader", "eventlog lint missing.json"),
    ("reader", "eventlog serve --listen 18471"),
    ("reader", "eventlog tail -h"),
    ("reader", "eventlog -h /nowhere -p 7 tail"),
    ("reader", "eventlog -d nowhere tail"),
    ("nobody", "eventlog tail"),
    ("reader", "eventlog --dsn sslmod=verify-full tail"),
    ("reader", "PGSERVICE=nowhere HOME=/nowhere eventlog tail"),
    ("reader", "eventlog -d $EMPTY export"),
    ("reader", "eventlog -d $EMPTY codegen"),
    ("reader", "eventlog -d $EMPTY tail"),
    ("reader", "eventlog -d $EMPTY report"),
    ("reader", "eventlog -d $UNMADE export"),
    ("reader", "eventlog -d $UNMADE codegen"),
    ("postgres", "eventlog -d $UNMADE tail"),
    ("postgres", "eventlog -d $UNMADE report summary"),
];

#[test]
fn wrong_uses_get_the_messages_that_are_recorded() {
    let (db, empty, unmade) = (seeded(), Db::empty(), Db::empty());
    unmade.superuser().batch_execute("CREATE EXTENSION eventlog").expect("it is installed");
    let folder = Folder::new("wrong");
    let file = folder.write("there.csv", b"old");
    let mut text = String::new();
    for (role, line) in WRONG {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", path()).env("FILE", &file);
        command.env("EMPTY", &empty.name).env("UNMADE", &unmade.name);
        let said = run(environment(&mut command, &db, role));
        writeln!(text, "$ {line}\n{said}").expect("a text");
    }
    assert!(WRONG.len() >= 25);
    let file = file.display().to_string();
    let text = text.replace(&file, "FILE").replace(&empty.name, "EMPTY");
    compare(&db, "wrong_uses.txt", &text.replace(&unmade.name, "UNMADE"));
}
