//! The integration guide's programs in Python and JavaScript, run as they stand on the page.

use std::process::{Command, Output};

use crate::server::World;

const PAGE: &str = include_str!("../../../docs/integration.md");

/// The one block of a language.
fn block(language: &str) -> &'static str {
    let begin = format!("\n```{language}\n");
    let mut blocks = PAGE.split(begin.as_str()).skip(1);
    let block = blocks.next().unwrap_or_else(|| panic!("integration.md has no {language}"));
    assert!(blocks.next().is_none(), "integration.md has two blocks of {language}");
    block.split("\n```").next().expect("it ends")
}

fn run(world: &World, key: &str, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("EVENTLOG_URL", format!("http://{}", world.gateway.address))
        .env("EVENTLOG_KEY", key)
        // What the machine goes through to reach the world is not for its own addresses.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1");
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

#[track_caller]
fn said(output: &Output, is_well: bool) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), is_well, "{stderr}");
    stderr
}

fn python(world: &World, key: &str, source: &str) -> Output {
    run(world, key, "python3", &["-c", source])
}

fn javascript(world: &World, key: &str, source: &str) -> Output {
    run(world, key, "node", &["--input-type=module", "--eval", source])
}

const COLUMNS: &str = "name, data::text, actor";

#[test]
fn the_guides_python_logs_an_event_once_and_tells_why_one_is_refused() {
    let world = World::new(&[]);
    for _ in 0..2 {
        said(&python(&world, &world.key_a, block("python")), true);
    }
    let expected = ["tool_used", r#"{"toolName": "search"}"#, "user-17"];
    assert_eq!(world.events(COLUMNS), [expected]);

    let more = format!("{}\nlog_event('tool_usd', {{}})", block("python"));
    let error = said(&python(&world, &world.key_a, &more), false);
    assert!(error.contains(r#"ValueError: unknown event name "tool_usd""#), "{error}");
    let error = said(&python(&world, "el_w_none", block("python")), false);
    assert!(error.contains("ValueError: ") && !error.contains("el_w_none"), "{error}");
    assert_eq!(world.events(COLUMNS).len(), 1);
}

#[test]
fn the_guides_javascript_logs_events_and_tells_why_they_are_refused() {
    let world = World::new(&[]);
    said(&javascript(&world, &world.key_a, block("js")), true);
    let expected = [
        ["tool_used", r#"{"toolName": "canvas"}"#, "user-18"],
        ["message_sent", r#"{"role": "user", "conversationId": "c1"}"#, "user-18"],
    ];
    assert_eq!(world.events(COLUMNS), expected);

    let limited = world.key(&["--event", "tool_used"]);
    let error = said(&javascript(&world, &limited, block("js")), false);
    assert!(error.contains("Error: this key may not log events of this name"), "{error}");
    assert_eq!(world.events(COLUMNS).len(), 2);
}
