//! `eventlog alerts`: the list, and evaluating from a scheduler.

use eventlog_tests::{Db, TENANT_A, TENANT_B, db, text, wait_for};
use serde_json::Value;

use crate::doctor::{damage_is_mended, run};
use crate::server::{failed, printed};

#[test]
fn alerts_are_listed_and_evaluated_with_what_the_doctor_finds() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_alert('silence', 'not_received', names => '{{tool_used,skill_executed}}', tenant_id => '{TENANT_A}'),
                    eventlog.create_alert('flood', 'above', 5, tenant_id => '{TENANT_A}'),
                    eventlog.create_alert('theirs', 'not_received', tenant_id => '{TENANT_B}'),
                    eventlog.create_alert('sick', 'findings', tenant_id => eventlog.all_tenants());
             UPDATE eventlog.alerts SET next_until = next_until - interval '2 hours';
             ALTER TABLE eventlog.events DISABLE ROW LEVEL SECURITY"
        ))
        .expect("alerts, and something wrong");
    let list = |role: &str, arguments: &[&str]| {
        let mut command = run(db::shared(), &db.name, role, &["alerts", "--time-zone", "UTC"]);
        printed(command.args(arguments))
    };
    let json = |role: &str, arguments: &[&str]| -> Vec<Vec<String>> {
        let found: Value =
            serde_json::from_str(&list(role, &[arguments, &["--json"]].concat())).unwrap();
        let words = |row: &Value| {
            ["alert", "tenant", "state"].map(|key| row[key].as_str().unwrap().to_owned()).to_vec()
        };
        found.as_array().unwrap().iter().map(words).collect()
    };
    assert!(json("log_owner", &[]).iter().all(|row| row[2] == "new"));
    assert_eq!(
        json("log_owner", &["--evaluate"]),
        [
            ["sick", "all", "raised"],
            ["silence", TENANT_A, "raised"],
            ["theirs", TENANT_B, "raised"],
            ["flood", TENANT_A, "quiet"]
        ]
    );
    let checks = "SELECT details -> 'checks' FROM eventlog.alert_changes WHERE alert = 'sick'";
    assert!(text(&mut owner, checks).contains("policies"), "{}", text(&mut owner, checks));
    assert_eq!(json("log_owner", &["--evaluate"]).len(), 4, "nothing is due");
    assert_eq!(text(&mut owner, "SELECT count(*) FROM eventlog.alert_changes"), "3");
    assert_eq!(
        json("log_owner", &["--tenant", TENANT_A]),
        [["silence", TENANT_A, "raised"], ["flood", TENANT_A, "quiet"]]
    );
    owner
        .batch_execute("ALTER TABLE eventlog.events ENABLE ROW LEVEL SECURITY")
        .expect("the owner may");

    // A reader sees its own and evaluates none.
    owner.batch_execute("SELECT eventlog.grant_reader('reader')").expect("a role");
    assert_eq!(json("reader", &["--tenant", TENANT_B]), [["theirs", TENANT_B, "raised"]]);
    let table = list("reader", &["--tenant", TENANT_A, "--table"]);
    assert!(table.contains("skill_executed") && !table.contains("failure"), "{table}");
    let mut command =
        run(db::shared(), &db.name, "reader", &["alerts", "--evaluate", "--tenant", TENANT_A]);
    let said = failed(&mut command, 1);
    assert!(said.contains("permission denied"), "{said}");
}

#[test]
fn the_doctor_says_which_alerts_nobody_evaluates_and_which_cannot_be() {
    let db = Db::new();
    let damage = format!(
        "SELECT eventlog.create_alert('silence', 'not_received', tenant_id => '{TENANT_A}');
         UPDATE eventlog.alerts SET next_until = next_until - interval '2 days'"
    );
    damage_is_mended(db::shared(), &db.name, &damage, "alerts", "advice");
    let damage = "UPDATE eventlog.alerts SET failure = 'division by zero'";
    damage_is_mended(db::shared(), &db.name, damage, "alerts", "advice");
}

#[test]
fn a_deliverer_that_is_the_owner_evaluates_alerts() {
    let db = Db::new();
    let mut owner = db.connect("log_owner");
    owner
        .batch_execute(&format!(
            "SELECT eventlog.create_alert('silence', 'not_received', tenant_id => '{TENANT_A}');
             UPDATE eventlog.alerts SET next_until = next_until - interval '2 hours'"
        ))
        .expect("an alert");
    let mut deliverer =
        run(db::shared(), &db.name, "log_owner", &["deliver"]).spawn().expect("it starts");
    let raised = "SELECT count(*) FROM eventlog.alert_changes WHERE is_raised";
    wait_for(&mut owner, raised, "1");
    deliverer.kill().expect("it is ours");
    deliverer.wait().expect("its end");
}
