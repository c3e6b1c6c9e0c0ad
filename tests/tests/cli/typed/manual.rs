//! The programs of docs/codegen.md, as they stand on the page.

use std::fs;
use std::process::Command;

use eventlog_tests::{Db, program};

use super::{TSC, copy, link_client, logged, mypy, pyright, python_client, tsc};
use crate::files::Folder;
use crate::server::{World, printed};

const PAGE: &str = include_str!("../../../../docs/codegen.md");

/// The one block of a language.
fn block(language: &str) -> &'static str {
    let begin = format!("\n```{language}\n");
    let mut blocks = PAGE.split(begin.as_str()).skip(1);
    let block = blocks.next().unwrap_or_else(|| panic!("codegen.md has no {language}"));
    assert!(blocks.next().is_none(), "codegen.md has two blocks of {language}");
    block.split("\n```").next().expect("it ends")
}

#[test]
fn the_programs_of_the_manual_compile_and_log() {
    let db = Db::new();
    let import = "SELECT count(*) FROM eventlog.taxonomy_import($1::text::jsonb, apply => true)";
    let plan = block("json");
    db.connect("log_owner").query_one(import, &[&plan]).expect("the log takes the plan");
    let world = World::of(db, &[], "");
    let folder = Folder::new("typed-manual");
    let plan = folder.write("plan.json", plan.as_bytes());
    let folder = folder.path("");
    let codegen = |arguments: &[&str]| {
        let mut command = Command::new(program::eventlog());
        command.args(["codegen", "--plan"]).arg(&plan).args(arguments).current_dir(&folder);
        printed(&mut command)
    };
    let run = |command: &mut Command| {
        let address = world.gateway.address;
        command.env("EVENTLOG_URL", format!("http://{address}"));
        command.env("EVENTLOG_KEY", &world.key_a).env_remove("EVENTLOG_ENABLED");
        printed(
            command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").current_dir(&folder),
        );
    };

    let code = codegen(&["-l", "typescript"]);
    assert!(code.contains(block("ts")), "{code}");
    codegen(&["-l", "typescript", "--client", "-o", "events.ts"]);
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).expect("ours");
    write("package.json", r#"{"type": "module"}"#);
    write("program.ts", block("typescript"));
    write("node.d.ts", "declare const process: { env: Record<string, string | undefined> };");
    copy(&folder, "typescript", &["tsconfig.json"]);
    link_client(&folder);
    for script in TSC {
        printed(&mut tsc(script, &folder));
    }
    run(Command::new("node").arg("program.js"));
    let events = logged(&world);
    assert_eq!(events.len(), 2, "{events:?}");

    let functions = codegen(&["-l", "python"]);
    write("functions.py", &functions);
    let line = block("py").replace("events.", "functions.");
    write(
        "line.py",
        &format!(
            "from typing import Any\nimport functions\n\ndef f(log: Any) -> None:\n    {line}\n"
        ),
    );
    codegen(&["-l", "python", "--client", "-o", "events.py"]);
    write("program.py", block("python"));
    for files in [["program.py", "events.py"], ["line.py", "functions.py"]] {
        printed(&mut mypy(&folder, &files));
        printed(&mut pyright(&folder, &files));
    }
    run(Command::new("python3").args(["-B", "program.py"]).env("PYTHONPATH", python_client()));
    // The same events, in both languages.
    let twice: Vec<_> = events.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
    assert_eq!(logged(&world), twice);
}
