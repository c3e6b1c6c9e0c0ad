//! `make proof`: schemathesis, which makes requests up from the description, against the gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

use eventlog_tests::cluster::run;
use eventlog_tests::{TENANT_B, rows};

use crate::server::{World, answers, settle};

const VERSION: &str = "4.32.5";

/// Requests that it makes up for each route; those that it takes from the description come on top.
const EXAMPLES: &str = "300";

/// What every answer must be. Whether the log likes an event is not the description's to say, so
/// nothing is asked of what it takes and what not.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,ignored_auth";

/// Where schemathesis is: below `target/`, fetched once.
fn schemathesis() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/schemathesis").join(VERSION);
    if !folder.join("bin/schemathesis").exists() {
        run(Command::new("python3")
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
            .arg(&folder)
            .arg(format!("schemathesis=={VERSION}")));
    }
    folder
}

/// Runs it against some of the routes; what it said.
fn check(world: &World, key: &str, routes: &[&str]) -> String {
    let folder = schemathesis();
    let url = format!("http://{}/api/openapi.json", world.gateway.address);
    let mut command = Command::new("python3");
    command
        .arg(folder.join("bin/schemathesis"))
        .args(["run", &url, "--no-color", "--max-examples", EXAMPLES, "--checks", CHECKS])
        .args(["--header", &format!("Authorization: Bearer {key}")])
        .args(["--suppress-health-check", "all", "--generation-database", "none"])
        .args(["--continue-on-failure", "--warnings", "off", "--request-timeout", "60"])
        .args(routes)
        .env("PYTHONPATH", &folder)
        .current_dir(&folder);
    let output = command.output().expect("it was fetched");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn requests_made_up_from_the_description_get_answers_that_it_describes() {
    if eventlog_tests::scaled(0, 1) == 0 {
        return;
    }
    let world = World::new(&["--rate-limit", "0"]);
    // Something to report on, and something that is nobody's business.
    let mut http = world.http();
    for (key, note) in [(&world.key_a, "ours"), (&world.key_b, "theirs")] {
        let body = format!(
            r#"[{{"toolName":"{note}","userId":"{note}"}},{{"skill":"{note}","success":false,"durationMs":7,"errorType":"{note}"}}]"#
        );
        assert_eq!(http.track(key, &body).status, 202);
    }
    world.settle();
    let reader = world.key(&["--kind", "read"]);

    // A stream lasts for minutes: that one is for other tests.
    const WRITE: &str = "^/(api/track|api/cloudevents|v1/.*|batch/|e/|i/.*|flags/|array/.*)$";
    println!("{}", check(&world, &world.key_a, &["--include-path-regex", WRITE]));
    let others = ["--exclude-path-regex", WRITE, "--exclude-path", "/api/analytics/live"];
    println!("{}", check(&world, &reader, &others));

    settle(&mut http);
    let answers = answers(&mut http);
    let all: u64 = answers.iter().map(|(_, count)| count).sum();
    println!("{all} requests: {answers:#?}");
    assert!(all >= 3_000, "{all} requests are few");
    assert!(answers.iter().all(|(labels, _)| !labels.contains("status=\"5")));
    let mut superuser = world.db.superuser();
    let sql = format!("SELECT count(*) FROM eventlog.events WHERE tenant_id = '{TENANT_B}'");
    assert_eq!(rows(&mut superuser, &sql), [["2"]], "and nothing came to the other tenant");
}
