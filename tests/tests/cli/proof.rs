//! `make proof`: schemathesis, which makes requests up from the description, against the gateway.

use std::path::{Path, PathBuf};
use std::process::Command;

use eventlog_tests::cluster::run;

use crate::server::World;

/// A private Python with schemathesis, made once below `target/`.
fn schemathesis() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/schemathesis");
    let program = folder.join("bin/schemathesis");
    if !program.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        run(Command::new(folder.join("bin/pip")).args([
            "install",
            "--quiet",
            "schemathesis==4.7.0",
        ]));
    }
    program
}

#[test]
fn requests_made_up_from_the_description_get_answers_that_it_describes() {
    if eventlog_tests::scaled(0, 1) == 0 {
        return;
    }
    let world = World::new(&["--rate-limit", "0"]);
    let url = format!("http://{}/api/openapi.json", world.gateway.address);
    let output = Command::new(schemathesis())
        .args(["run", &url, "--header"])
        .arg(format!("Authorization: Bearer {}", world.key_a))
        .args(["--max-examples", "500", "--checks"])
        .arg("not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance")
        .output()
        .expect("it was installed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    println!("{said}");
}
