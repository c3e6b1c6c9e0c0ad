//! The program `eventlog`, for tests and benchmarks that run it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The program, which cargo makes beside the tests; built if need be.
pub fn eventlog() -> &'static PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build(&["--bin", "eventlog"]).join("eventlog"))
}

/// An example of the program's crate, built if need be.
pub fn example(name: &str) -> PathBuf {
    build(&["--example", name]).join("examples").join(name)
}

/// Builds a target, and returns the folder of programs.
fn build(target: &[&str]) -> PathBuf {
    let mut folder = std::env::current_exe().expect("it runs");
    folder.pop();
    // Tests are in a folder below that of programs.
    if folder.ends_with("deps") {
        folder.pop();
    }
    let mut build = Command::new(env!("CARGO"));
    // As scripts/test and packaging/package do: other features would be another build.
    build
        .args(["build", "--quiet", "--workspace", "--exclude", "eventlog", "--all-features"])
        .args(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    // What cargo says of this package would be news to build scripts, and build all again.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_") && name != "CARGO_HOME" && name != "CARGO_TARGET_DIR" {
            build.env_remove(name);
        }
    }
    assert!(build.status().expect("cargo").success(), "eventlog-cli does not build");
    folder
}
