//! The crates as they are published: an application outside of this workspace depends on them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use eventlog_tests::{Db, TENANT_A, db, scaled, text};

/// An application with requirements of its own, as new as they come.
const MANIFEST: &str = r#"[package]
name = "outside"
version = "0.1.0"
edition = "2024"

[dependencies]
eventlog-writer = { version = "0.2", features = ["asynchronous", "tls"] }
serde = { version = "1", features = ["derive"] }
tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
uuid = "1"
"#;

/// Keeps the application out of this workspace, and takes the packaged crates for the registry's.
const WORKSPACE: &str = r#"[workspace]
resolver = "3"
members = ["outside"]

[patch.crates-io]
eventlog-common = { path = "eventlog-common-VERSION" }
eventlog-writer = { path = "eventlog-writer-VERSION" }
"#;

/// Its own `Uuid`, runtime and derived payload meet those of the writer.
const MAIN: &str = r#"use std::time::Duration;

use eventlog_writer::{Event, EventName, Options, asynchronous::Writer};

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct ToolUsed<'a> {
    tool_name: &'a str,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tenant: uuid::Uuid = std::env::var("TENANT")?.parse()?;
    let writer = Writer::from_env(Options::new())?;
    let event = Event::new(EventName::ToolUsed).tenant(tenant).data(&ToolUsed { tool_name: "t" });
    writer.log_and_wait(event).await?;
    println!("{}", writer.close(Duration::from_secs(5)).await);
    Ok(())
}
"#;

fn run(command: &mut Command) -> Output {
    // The settings of the test's own cargo are not those of the application's.
    for variable in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_TARGET_DIR"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    output
}

fn cargo(folder: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.current_dir(folder);
    command
}

/// Packages both crates into a new folder, and unpacks them there.
fn package(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // `target` stays, which makes the next run short; the lock file goes, so that it is resolved anew.
    let _ = fs::remove_file(folder.join("Cargo.lock"));
    for entry in fs::read_dir(&folder).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_name() != "target" && entry.file_type().unwrap().is_dir() {
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
    fs::create_dir_all(folder.join("outside/src")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let packages = ["-p", "eventlog-common", "-p", "eventlog-writer"];
    let options = ["package", "--offline", "--no-verify", "--allow-dirty", "--target-dir"];
    run(cargo(root).args(options).arg(folder.join("packaged")).args(packages));
    let version = env!("CARGO_PKG_VERSION");
    for name in ["eventlog-common", "eventlog-writer"] {
        let file = folder.join(format!("packaged/package/{name}-{version}.crate"));
        run(Command::new("tar").arg("xzf").arg(file).arg("-C").arg(&folder));
    }
    fs::write(folder.join("Cargo.toml"), WORKSPACE.replace("VERSION", version)).unwrap();
    fs::write(folder.join("outside/Cargo.toml"), MANIFEST).unwrap();
    fs::write(folder.join("outside/src/main.rs"), MAIN).unwrap();
    folder
}

#[test]
fn what_is_published_is_complete_and_pins_no_version_of_others() {
    let folder = package("published");
    // With the versions that are here, since a test of every day needs no network.
    let args = ["metadata", "--offline", "--format-version", "1"];
    let metadata = run(cargo(&folder.join("outside")).args(args)).stdout;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata).unwrap();
    for (name, keys) in [("eventlog-common", 4), ("eventlog-writer", 5)] {
        let unpacked = folder.join(format!("{name}-{}", env!("CARGO_PKG_VERSION")));
        let mut packages = metadata["packages"].as_array().unwrap().iter();
        let package = packages.find(|package| package["name"] == name).expect(name);
        for key in ["description", "license", "readme", "documentation", "rust_version"] {
            assert!(package[key].as_str().is_some_and(|text| !text.is_empty()), "{name}: {key}");
        }
        assert_eq!(package["keywords"].as_array().unwrap().len(), keys, "{name}");
        assert!(!package["categories"].as_array().unwrap().is_empty(), "{name}");
        for file in ["README.md", "LICENSE"] {
            let length = fs::metadata(unpacked.join(file)).unwrap().len();
            assert!(length > 300, "{name}: {file} has {length} bytes");
        }
        for dependency in package["dependencies"].as_array().unwrap() {
            let (other, wanted) = (&dependency["name"], dependency["req"].as_str().unwrap());
            assert!(wanted.starts_with('^'), "{name} wants {other} {wanted}");
            assert!(dependency["path"].is_null(), "{name} wants {other} by its path");
        }
    }
}

/// Takes the newest versions that the registry has, and some minutes to build: in `make proof`.
#[test]
fn an_application_with_the_newest_uuid_tokio_and_serde_builds_and_logs() {
    if scaled(0, 1) == 0 {
        return;
    }
    let folder = package("outside");
    let db = Db::new();
    let mut command = cargo(&folder.join("outside"));
    command.args(["run", "--target-dir"]).arg(folder.join("target"));
    command
        .env("PGHOST", db::shared().folder())
        .env("PGPORT", "5432")
        .env("PGUSER", "service")
        .env("PGDATABASE", &db.name)
        .env("TENANT", TENANT_A);
    let output = run(&mut command);
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.starts_with("1 submitted: 1 written"), "{report}");
    let stored = text(&mut db.superuser(), "SELECT data ->> 'toolName' FROM eventlog.events");
    assert_eq!(stored, "t");
}

/// The blocks of a page in a language.
fn blocks<'p>(page: &'p str, language: &str) -> Vec<&'p str> {
    let opens = format!("```{language}\n");
    let after = page.split(&opens).skip(1);
    after.map(|rest| rest.split_once("```").expect("the block ends").0).collect()
}

/// With the newest versions that the page's requirements allow: in `make proof`, like the other.
#[test]
fn the_rust_of_the_manual_compiles_as_printed() {
    if scaled(0, 1) == 0 {
        return;
    }
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs/rust.md");
    let page = fs::read_to_string(page).unwrap();
    let folder = package("manual");
    let wanted = blocks(&page, "toml").concat();
    let manifest = format!("{MANIFEST}deadpool-postgres = \"0.14\"\nserde_json = \"1\"\n{wanted}");
    fs::write(folder.join("outside/Cargo.toml"), manifest).unwrap();
    fs::remove_file(folder.join("outside/src/main.rs")).unwrap();
    let examples = blocks(&page, "rust");
    assert!(examples.len() >= 5, "the page has {} examples", examples.len());
    let modules =
        examples.iter().enumerate().map(|(n, code)| format!("mod example_{n} {{\n{code}}}\n"));
    let code = format!("#![allow(dead_code)]\n{}", modules.collect::<String>());
    fs::write(folder.join("outside/src/lib.rs"), code).unwrap();
    run(cargo(&folder.join("outside")).args(["check", "--target-dir"]).arg(folder.join("target")));
}
