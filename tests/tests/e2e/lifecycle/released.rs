//! Scripts of released versions stay as they were released, and the library still serves them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use eventlog_tests::cluster::pg_config;
use eventlog_tests::{Db, db, rows};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn installed(script: &str) -> String {
    let path = Path::new(&pg_config("--sharedir")).join("extension").join(script);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The scripts of sql/released, each with what it says.
fn released() -> BTreeMap<String, String> {
    let folder = repository().join("sql/released");
    let files =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let scripts = files.filter(|path| path.extension().is_some_and(|ending| ending == "sql"));
    scripts
        .map(|path| {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("UTF-8"))
        })
        .collect()
}

#[test]
fn no_released_script_was_edited_and_each_is_in_the_list_and_installed() {
    let list = repository().join("sql/released/SHA256SUMS");
    let list = fs::read_to_string(list).expect("a list");
    let sums: BTreeMap<String, String> = list
        .lines()
        .map(|line| line.split_once("  ").expect("as sha256sum writes it"))
        .map(|(sum, name)| (name.to_owned(), sum.to_owned()))
        .collect();
    let released = released();
    assert!(released.contains_key("eventlog--0.1.0.sql"));
    assert_eq!(sums.keys().collect::<Vec<_>>(), released.keys().collect::<Vec<_>>());
    let mut client = db::shared().connect("postgres", "postgres");
    for (name, script) in &released {
        let sum = client
            .query_one("SELECT encode(sha256($1), 'hex')", &[&script.as_bytes()])
            .expect("PostgreSQL's own function");
        assert_eq!(
            sum.get::<_, String>(0),
            sums[name],
            "{name} is released: it must not be edited"
        );
        assert!(
            *script == installed(name),
            "{name} is released, and sql/ has changed since: raise default_version"
        );
    }
}

#[test]
fn every_symbol_of_a_released_script_is_in_the_library_and_every_function_can_be_called() {
    let scripts = released();
    let versions = scripts.keys().filter_map(|name| {
        let version = name.strip_prefix("eventlog--")?.strip_suffix(".sql")?;
        (!version.contains("--")).then_some(version)
    });
    for version in versions {
        let db = Db::empty();
        let mut superuser = db.superuser();
        let create = format!(
            "CREATE EXTENSION eventlog VERSION '{version}'; SELECT eventlog.create_log(owner => 'log_owner')"
        );
        superuser.batch_execute(&create).unwrap();
        // What CREATE FUNCTION checks, and CREATE EXTENSION does not.
        let symbols = "SELECT prosrc, fmgr_c_validator(p.oid) FROM pg_proc p JOIN pg_language l ON l.oid = prolang
                        WHERE pronamespace = 'eventlog'::regnamespace AND lanname = 'c'";
        assert!(rows(&mut superuser, symbols).len() >= 13);
        let calls = rows(
            &mut superuser,
            "SELECT format('SELECT * FROM eventlog.%I(%s)', proname,
                           (SELECT string_agg('NULL::' || t::regtype, ', ') FROM unnest(proargtypes) AS t))
               FROM pg_proc WHERE pronamespace = 'eventlog'::regnamespace
                AND prorettype <> 'trigger'::regtype AND prokind = 'f'",
        );
        assert!(calls.len() > 60, "{calls:?}");
        for call in calls {
            superuser.batch_execute("BEGIN").unwrap();
            if let Err(error) = superuser.simple_query(&call[0]) {
                let error = eventlog_tests::ask::db_error(error, &call[0]);
                let state = error.code().code();
                assert!(!["42883", "42703", "42P01"].contains(&state), "{call:?}\n{error:?}");
            }
            superuser.batch_execute("ROLLBACK").unwrap();
        }
    }
}

/// What an upgrade drops comes back with other rights and takes views along.
#[test]
fn the_upgrade_script_drops_nothing_that_a_policy_or_a_trigger_stands_on() {
    let scripts: Vec<_> = fs::read_dir(repository().join("sql/upgrade"))
        .expect("a folder")
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("UTF-8"))
        .collect();
    for script in scripts {
        let drops = script.lines().filter(|line| line.starts_with("DROP "));
        for drop in drops {
            let kept = [
                "guard(",
                "current_tenant(",
                "any_tenant(",
                "events_append_only(",
                "registry_changed(",
                "erase_tenant(",
            ];
            assert!(!kept.iter().any(|name| drop.contains(name)), "{drop}");
            assert!(
                !drop.contains("CASCADE") && drop.starts_with("DROP FUNCTION eventlog."),
                "{drop}"
            );
        }
    }
}
