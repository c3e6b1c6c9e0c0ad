//! `eventlog doctor` on servers of its own: settings and owners, which are a cluster's, and standbys.

use eventlog_tests::{Cluster, db, text, wait_for};
use serde_json::Value;

use crate::doctor::{amiss, application_works, damage_is_mended, findings_in, run, type_in, wrong};
use crate::files::Folder;
use crate::server::{failed, printed};

/// Settings and roles are a cluster's.
#[test]
fn settings_are_reset_where_they_come_from_and_owners_are_roles_of_their_own() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    for (damage, state) in [
        ("ALTER DATABASE app SET eventlog.enabled = off", "wrong"),
        ("ALTER ROLE member SET eventlog.enabled = 'off'", "wrong"),
        ("ALTER ROLE member IN DATABASE app SET eventlog.enabled = 'no'", "wrong"),
        ("ALTER DATABASE app SET eventlog.on_unknown_name = 'quarantined'", "wrong"),
        ("ALTER DATABASE app SET eventlog.lock_timeout = 'soon'", "wrong"),
        ("ALTER DATABASE app SET eventlog.idempotency_window = '90 d'", "wrong"),
        ("ALTER ROLE member SET eventlog.tenant_id = 'acme'", "wrong"),
        (
            "ALTER DATABASE app SET eventlog.xyz = 'a''b'; ALTER DATABASE app SET search_path = \"$user\", public; ALTER DATABASE app SET work_mem = '5MB'; ALTER DATABASE app SET DateStyle = 'ISO, DMY'",
            "wrong",
        ),
        ("ALTER DATABASE app SET eventlog.on_unknown_name = 'register'", "advice"),
    ] {
        damage_is_mended(&cluster, "app", damage, "settings", state);
    }
    let kept = "SELECT array_to_string(setconfig, '|') FROM pg_db_role_setting WHERE setrole = 0";
    let kept = text(&mut cluster.connect("app", "postgres"), kept);
    assert_eq!(kept, "search_path=\"$user\", public|work_mem=5MB|DateStyle=ISO, DMY");
    // Good values are no finding.
    let good = "ALTER DATABASE app SET eventlog.lock_timeout = '2s'; ALTER DATABASE app SET eventlog.idempotency_window = '1 d'; ALTER DATABASE app SET eventlog.on_unknown_name = 'Quarantine'";
    cluster.psql("app", "postgres", good).unwrap();
    assert_eq!(
        amiss(&findings_in(&cluster, "app", "postgres").0, "settings"),
        Vec::<&Value>::new()
    );

    // In a file of the server, known to others once they have read it again.
    let mut superuser = cluster.connect("app", "postgres");
    let load = "LOAD 'eventlog'; ALTER SYSTEM SET eventlog.enabled = off; SELECT pg_reload_conf();";
    cluster.psql("app", "postgres", load).unwrap();
    let enabled = "LOAD 'eventlog'; SELECT current_setting('eventlog.enabled')";
    wait_for(&mut superuser, enabled, "off");
    let (found, code) = findings_in(&cluster, "app", "postgres");
    assert_eq!((amiss(&found, "settings").len(), code), (1, Some(1)), "{found:#?}");
    type_in(&cluster, "app", amiss(&found, "settings")[0]);
    wait_for(&mut superuser, enabled, "on");
    assert_eq!(wrong(&findings_in(&cluster, "app", "postgres").0), Vec::<String>::new());
    application_works(&cluster, "app");

    // An owner that may log in, one that an application logs in as, and a superuser.
    for damage in ["", "ALTER ROLE eventlog_owner LOGIN"] {
        if damage.is_empty() {
            let (found, code) = findings_in(&cluster, "app", "postgres");
            assert_eq!((amiss(&found, "owner").len(), code), (1, Some(0)), "{found:#?}");
        }
        cluster.psql("app", "postgres", damage).unwrap();
        let role = if damage.is_empty() { "log_owner" } else { "eventlog_owner" };
        let mut application = cluster.connect("app", role);
        assert_eq!(text(&mut application, "SELECT 1"), "1");
        let (found, code) = findings_in(&cluster, "app", "postgres");
        let owner = amiss(&found, "owner");
        assert_eq!((owner[0]["state"].as_str(), code), (Some("wrong"), Some(1)), "{found:#?}");
        type_in(&cluster, "app", owner[0]);
        let (found, code) = findings_in(&cluster, "app", "postgres");
        assert_eq!(
            (amiss(&found, "owner").len(), wrong(&found), code),
            (0, Vec::new(), Some(0)),
            "{found:#?}"
        );
        let logged = "SELECT eventlog.log_event('aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa', 'tool_used', '{\"toolName\": \"t\"}') IS NOT NULL";
        assert_eq!(text(&mut application, logged), "t");
        application_works(&cluster, "app");
    }
}

#[test]
fn on_a_standby_doctor_and_lint_say_so() {
    let cluster = Cluster::start(&[("shared_preload_libraries", "'eventlog'")]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let standby = cluster.standby();
    let (found, code) = findings_in(&standby, "app", "postgres");
    assert_eq!((wrong(&found), code), (Vec::new(), Some(0)), "{found:#?}");
    assert_eq!(found.iter().filter(|finding| finding["check"] == "standby").count(), 1);
    let table = run(&standby, "app", "postgres", &["doctor"]).output().unwrap();
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("this server is a standby"), "{table}");
    assert!(!table.contains("restart") && !table.contains("maintain()"), "{table}");

    // What is wrong is typed on the primary.
    cluster.psql("app", "postgres", "DROP POLICY events_guard ON eventlog.events").unwrap();
    let policies = "SELECT count(*) FROM pg_policy WHERE polname = 'events_guard'";
    wait_for(&mut standby.connect("app", "postgres"), policies, "0");
    let (found, code) = findings_in(&standby, "app", "postgres");
    let fix = "on the primary: SELECT eventlog.create_log();";
    assert_eq!((wrong(&found), code), (vec![fix.to_owned()], Some(1)), "{found:#?}");

    let folder = Folder::new("standby");
    let plan = folder.write("plan.json", br#"{"eventlog_plan": 1, "events": {"order": {}}}"#);
    let said = failed(&mut run(&standby, "app", "postgres", &["lint", plan.to_str().unwrap()]), 1);
    assert!(said.contains("standby") && said.contains("primary"), "{said}");
    // A server that writes only where it is told to is told so.
    cluster
        .psql("app", "postgres", "ALTER DATABASE app SET default_transaction_read_only = on")
        .unwrap();
    let mut lint = run(&cluster, "app", "postgres", &["lint", plan.to_str().unwrap()]);
    assert_eq!(printed(&mut lint), "1 names, 0 samples, 0 faults\n");
}
