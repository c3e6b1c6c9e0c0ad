//! The programs on the manual's page for people who come from other tools, run as they stand there.

use std::path::Path;
use std::process::Command;

use eventlog_tests::{Db, TENANT_A, db, rows};

use crate::server::{Gateway, grant_gateway, make_key};

const PAGE: &str = include_str!("../../../../docs/coming-from.md");

/// The blocks of the page in a language.
fn blocks(language: &str) -> impl Iterator<Item = &'static str> {
    let opening = format!("\n```{language}\n");
    let parts: Vec<&str> = PAGE.split(&opening).skip(1).collect();
    parts.into_iter().map(|part| part.split("\n```").next().expect("a block"))
}

#[test]
fn the_programs_of_the_page_about_other_tools_log_what_they_say() {
    let db = Db::new();
    let types = blocks("sql").next().expect("it defines the names");
    db.superuser().batch_execute(types).expect("as the page says");
    grant_gateway(db::shared(), &db.name);
    let gateway = Gateway::start(db::shared(), &db.name, &[]);
    let key = make_key(db::shared(), &db.name, TENANT_A, &[]);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");
    let python = folder.join("../../target/clients/bin/python3");
    let node =
        blocks("js").map(|code| (Path::new("node"), &["--input-type=module", "-e"][..], code));
    let programs: Vec<_> =
        node.chain(blocks("python").map(|code| (python.as_path(), &["-c"][..], code))).collect();
    assert!(programs.len() > 6, "{}", programs.len());
    std::thread::scope(|scope| {
        for (interpreter, options, code) in &programs {
            let mut command = Command::new(interpreter);
            command
                .args(*options)
                .arg(code)
                .current_dir(&folder)
                .env("EVENTLOG_URL", format!("http://{}", gateway.address))
                .env("EVENTLOG_KEY", &key);
            scope.spawn(move || {
                let output = command.output().expect("make setup-tests");
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && said.is_empty(), "{code}\n{said}");
            });
        }
    });
    crate::server::settle(&mut gateway.http());
    let sql = "SELECT name, actor, data ->> 'orderId', data ->> 'plan' FROM eventlog.events ORDER BY 1, 3";
    let mut expected: Vec<Vec<String>> = (1..=programs.len() - 1)
        .map(|n| ["order_completed", "user-17", &format!("o{n}"), "∅"].map(str::to_owned).to_vec())
        .collect();
    expected.push(["signed_up", "user-18", "∅", "pro"].map(str::to_owned).to_vec());
    assert_eq!(rows(&mut db.superuser(), sql), expected);
}
