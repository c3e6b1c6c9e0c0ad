//! `eventlog report` and `tail`, and how all commands print.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, text};
use serde_json::Value;

use crate::server::{eventlog, failed, printed};

fn run(db: &Db, role: &str, arguments: &[&str]) -> Command {
    let mut command = eventlog(db::shared(), &db.name, role);
    command.args(arguments);
    command
}

/// A log with a month of events of two tenants.
fn filled() -> Db {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    crate::files::make_partitions(&mut owner);
    owner
        .batch_execute(&format!(
            "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject, created_at)
             SELECT CASE n % 3 WHEN 0 THEN '{TENANT_B}' ELSE '{TENANT_A}' END::uuid,
                    (ARRAY['skill_executed', 'conversation_started', 'escalation_triggered', 'checkout_completed', 'plan_updated'])[1 + n % 5],
                    jsonb_build_object('skillName', 's', 'success', n % 4 > 0, 'durationMs', n, 'errorType', 'E' || n % 3,
                                       'sessionId', 's', 'conversationId', 'c' || n, 'reason', 'r', 'plan', 'p', 'stripeSessionId', 'x',
                                       'previousPlan', 'o', 'newPlan', 'p', 'status', 'active'),
                    'user ' || n % 17, 'skill/' || n % 5, now() - n * interval '30 minutes'
               FROM generate_series(1, 1400) n"
        ))
        .unwrap();
    db
}

/// Removes where the default span begins, which moves.
fn without_start(mut rows: Value) -> Value {
    for row in rows.as_array_mut().unwrap() {
        row.as_object_mut().unwrap().remove("covered_since");
    }
    rows
}

#[test]
fn every_report_says_what_its_function_does() {
    let db = filled();
    let mut owner = db.connect("log_owner");
    let list: Value =
        serde_json::from_str(&printed(&mut run(&db, "reader", &["report", "--json"]))).unwrap();
    let list = list.as_array().unwrap();
    assert!(list.len() >= 19, "{}", list.len());
    let table = printed(&mut run(&db, "reader", &["report"]));
    let completions = printed(&mut run(&db, "reader", &["completions", "bash"]));
    for report in list {
        let name = report["name"].as_str().unwrap();
        assert!(completions.contains(name), "cli/src/command/completions.rs lacks {name}");
        assert!(
            table.contains(name) && !report["description"].as_str().unwrap().is_empty(),
            "{name}"
        );
        let (own, sql): (&[&str], &str) = match name {
            "funnel" => (
                &["steps=checkout_completed,plan_updated", "within=2 days"],
                "steps => '{checkout_completed,plan_updated}', within => '2 days', ",
            ),
            "funnel_dropouts" => (
                &["steps=checkout_completed,plan_updated", "step=1"],
                "steps => '{checkout_completed,plan_updated}', step => 1, ",
            ),
            "experiment_results" => (
                &["exposure=tool_used", "variant_key=toolName", "metric=plan_updated"],
                "exposure => 'tool_used', variant_key => 'toolName', metric => 'plan_updated', ",
            ),
            "verify_rollups" => continue,
            _ => (&[], ""),
        };
        let zone = ["--tenant", TENANT_A, "--time-zone", "UTC"];
        let arguments = [&["report", name][..], own, &zone].concat();
        let json: Value =
            serde_json::from_str(&printed(run(&db, "reader", &arguments).arg("--json"))).unwrap();
        let columns: Vec<String> = report["columns"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| format!("\"{}\"", c.as_str().unwrap()))
            .collect();
        let sql = format!(
            "SELECT coalesce(json_agg(row_to_json(q)), '[]') FROM (SELECT * FROM eventlog.{name}({sql}tenant_id => '{TENANT_A}') AS r ({})) q",
            columns.join(", ")
        );
        let wanted: Value = serde_json::from_str(&text(&mut owner, &sql)).unwrap();
        assert_eq!(without_start(json), without_start(wanted), "{name}");
        let table = printed(&mut run(&db, "reader", &arguments));
        assert!(
            report["columns"]
                .as_array()
                .unwrap()
                .iter()
                .all(|c| table.contains(c.as_str().unwrap())),
            "{table}"
        );
    }
}

#[test]
fn a_report_takes_options_and_arguments_of_its_own_and_refuses_others() {
    let db = filled();
    let rows = |arguments: &[&str]| -> Vec<Value> {
        let mut command = run(&db, "reader", &["report", "--json", "--tenant", TENANT_A]);
        serde_json::from_str(&printed(command.args(arguments))).unwrap()
    };
    assert_eq!(
        rows(&["get_events", "--limit", "3", "--names", "plan_updated,skill_executed"]).len(),
        3
    );
    assert_eq!(
        rows(&["get_events", "actors=user 1,user 2", "contains={\"plan\": \"q\"}"]).len(),
        0
    );
    assert!(
        rows(&["get_events", "actors=user 1", "--since", "-infinity"])
            .iter()
            .all(|row| row["actor"] == "user 1")
    );
    assert_eq!(
        rows(&[
            "active_actors",
            "--name",
            "plan_updated",
            "--since",
            "yesterday",
            "--until",
            "today"
        ])
        .len(),
        1
    );
    let refused =
        |arguments: &[&str], code| failed(run(&db, "reader", &["report"]).args(arguments), code);
    assert!(refused(&["sumary"], 2).contains("eventlog report summary"));
    assert!(refused(&["summary", "steps=x"], 2).contains("takes no steps"));
    assert!(refused(&["summary", "x"], 2).contains("ARGUMENT=VALUE"));
    assert!(refused(&["summary", "since=today", "--since", "today"], 2).contains("twice"));
    assert!(refused(&["funnel"], 2).contains("needs steps="));
    assert!(refused(&["active_actors", "--names", "a,b"], 2).contains("one name"));
    assert!(refused(&["summary"], 1).contains("--tenant"));
    assert!(refused(&["summary", "--tenant", &TENANT_A[1..]], 2).contains("--tenant"));
    assert!(refused(&["summary", "--tenant", TENANT_A, "--since", "soon"], 1).contains("22007"));
    // A tenant's role sees its own, whatever it asks for: here the setting is what it says.
    let mut bound = run(&db, "reader", &["report", "summary", "--tenant", TENANT_B, "--json"]);
    assert!(printed(&mut bound).contains("\"events\":466"));
    let empty = Db::empty();
    let said = failed(&mut run(&empty, "postgres", &["report"]), 1);
    assert!(said.contains("CREATE EXTENSION eventlog;"), "{said}");
    let mut variables = run(&db, "reader", &["report", "summary", "--json"]);
    assert!(printed(variables.env("EVENTLOG_TENANT", TENANT_B)).contains("\"events\":466"));
    let mut options = run(&db, "reader", &["report", "summary", "--json"]);
    assert!(
        printed(options.env("PGOPTIONS", format!("-c eventlog.tenant_id={TENANT_B}")))
            .contains("\"events\":466")
    );
}

#[test]
fn tail_shows_the_newest_and_follows_those_that_come_late_too() {
    let db = filled();
    let mut service = db.connect("service");
    let shown = printed(&mut run(&db, "reader", &["tail", "-n", "3", "--tenant", TENANT_A]));
    let times: Vec<&str> = shown.lines().skip(1).map(|line| &line[..23]).collect();
    assert!(times.len() == 3 && times.is_sorted(), "{shown}");
    let json = printed(&mut run(
        &db,
        "reader",
        &["tail", "-n", "5", "--json", "--tenant", TENANT_A, "--names", "plan_updated"],
    ));
    assert!(
        json.lines().count() == 5
            && json
                .lines()
                .all(|line| serde_json::from_str::<Value>(line).unwrap()["name"] == "plan_updated")
    );

    // Its transaction began before the others, and ends after they were shown.
    let mut late = db.connect("service");
    let log = |n: u32| {
        format!(
            "SELECT eventlog.log_event('{TENANT_A}', 'tool_used', '{{\"toolName\": \"a\\u001b[31m\\nb\", \"n\": {n}}}', actor => 'x')"
        )
    };
    late.batch_execute("BEGIN").unwrap();
    text(&mut late, &log(0));
    text(&mut service, &log(1));
    let mut command = run(
        &db,
        "reader",
        &["tail", "-n", "1", "-f", "--every", "0.05", "--no-header", "--tenant", TENANT_A],
    );
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || lines.next().expect("tail goes on").unwrap();
    let first = next();
    assert!(first.contains("\"n\": 1"), "{first}");
    assert!(!first.contains('\u{1b}'), "a payload does not steer the terminal");
    text(&mut service, &log(2));
    late.batch_execute("COMMIT").unwrap();
    assert!(next().contains("\"n\": 0"));
    assert!(next().contains("\"n\": 2"), "the one that was shown is not shown again");
    text(&mut service, &log(3).replace(TENANT_A, TENANT_B));
    text(&mut service, &log(4));
    assert!(next().contains("\"n\": 4"), "no other tenant's, and none twice");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(failed(&mut run(&db, "reader", &["tail"]), 1).contains("--tenant"));
    failed(&mut run(&db, "reader", &["tail", "--every", "0"]), 2);
}

#[test]
fn tables_fit_the_terminal_and_colours_are_for_terminals_that_want_them() {
    let db = filled();
    let on_terminal = |arguments: &str, variables: &[(&str, &str)]| {
        let program = run(&db, "reader", &[]);
        let line =
            format!("stty cols 60; exec {} {arguments}", program.get_program().to_str().unwrap());
        let mut script = Command::new("script");
        script.args(["-qec", &line, "/dev/null"]).stdin(Stdio::null()).env("TERM", "xterm");
        script.env("EVENTLOG_TENANT", TENANT_A).env_remove("NO_COLOR");
        script.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        script.envs(variables.iter().copied());
        printed(&mut script)
    };
    let widths = |text: &str| text.lines().map(|line| line.trim_end().chars().count()).max();
    let table = on_terminal("report", &[("NO_COLOR", "1")]);
    assert!(widths(&table).is_some_and(|width| width <= 60), "{table}");
    let plain = on_terminal("tail -n 3", &[("NO_COLOR", "1")]);
    assert!(
        !plain.contains('\u{1b}') && widths(&plain).is_some_and(|width| width <= 60),
        "{plain}"
    );
    assert!(on_terminal("tail -n 3", &[]).contains("\u{1b}[36m"));
    assert!(!printed(&mut run(&db, "reader", &["tail", "--tenant", TENANT_A])).contains('\u{1b}'));
}

#[test]
fn completions_know_every_command() {
    let db = Db::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = printed(&mut run(&db, "postgres", &["completions", shell]));
        for command in
            ["serve", "report", "tail", "export", "import", "doctor", "lint", "codegen", "key"]
        {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn blanks_in_lists_go_and_names_that_the_log_does_not_have_are_said() {
    let db = filled();
    let report = |arguments: &[&str]| {
        let tenant = ["--tenant", TENANT_A, "--json"];
        let output = run(&db, "reader", &["report"]).args(arguments).args(tenant).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // Without the start of the default span, which moves.
    let funnel = |steps: &str| report(&["funnel", steps, "within=30 days", "--since", "yesterday"]);
    let plain = funnel("steps=conversation_started,plan_updated");
    let spaced = funnel("steps= conversation_started, plan_updated ");
    assert_eq!(plain, spaced);
    assert!(plain.1.is_empty() && !plain.0.contains("\"reached\":0"), "{plain:?}");
    assert_eq!(
        report(&["summary", "--names", "plan_updated", "--since", "yesterday"]).0,
        report(&["summary", "--names", " plan_updated , plan_updated", "--since", "yesterday"]).0
    );
    for arguments in [
        &["funnel", "steps=conversation_started,plan_updatd"][..],
        &["summary", "--names", "plan_updatd"],
        &["cohort_retention", "first_name=plan_updatd"],
    ] {
        let said = report(arguments).1;
        let said: Value = serde_json::from_str(&said).expect("with --json, warnings are JSON");
        let warning = "there is no event type \"plan_updatd\"; did you mean plan_updated?";
        assert_eq!(said["warning"], warning);
    }
    for command in [&["tail", "-n", "1"][..], &["export", "-"]] {
        let mut command = run(&db, "reader", command);
        let output =
            command.args(["--tenant", TENANT_A, "--names", "plan_updatd"]).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && said.contains("did you mean plan_updated?"), "{said}");
    }
}

#[test]
fn reports_are_the_same_where_the_server_quotes_all_identifiers() {
    let db = filled();
    let steps = "steps=conversation_started,plan_updated";
    let arguments = ["report", "funnel", steps, "--tenant", TENANT_A, "--since", "yesterday"];
    let plain = printed(&mut run(&db, "reader", &arguments));
    let sql = format!("ALTER DATABASE {} SET quote_all_identifiers = on", db.name);
    db.superuser().batch_execute(&sql).unwrap();
    assert_eq!(printed(&mut run(&db, "reader", &arguments)), plain);
    for command in [
        &["report"][..],
        &["codegen"],
        &["doctor"],
        &["report", "events_per_day", "--names", "plan_updated"],
    ] {
        printed(run(&db, "log_owner", command).env("EVENTLOG_TENANT", TENANT_A));
    }
    // What SQL reads back of its own text, too.
    db.superuser()
        .batch_execute(
            "SELECT eventlog.create_log(); SELECT eventlog.grant_service('outsider');
             SELECT eventlog.revoke_role('outsider'); SELECT eventlog.grant_service('outsider');
             SELECT eventlog.revoke_role('outsider')",
        )
        .unwrap();
    let left = "SELECT count(*) FROM pg_policy WHERE 'outsider'::regrole = ANY (polroles)";
    assert_eq!(text(&mut db.superuser(), left), "0");
}
