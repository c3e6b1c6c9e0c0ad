//! Alerts: the page shows how they stand.

use eventlog_tests::{TENANT_A, TENANT_B, db};
use postgres::Client;
use serde_json::Value;

use super::Stage;
use super::raw::{asked, table};

/// Alerts of tenant A in every state, and one of tenant B that nobody else sees.
const ALERTS: &str = "
    SELECT eventlog.create_alert('no_checkouts', 'not_received', names => '{checkout_completed}', tenant_id => 'A'),
           eventlog.create_alert('flood', 'above', 1000000, time_window => '25 minutes', tenant_id => 'A'),
           eventlog.create_alert('failing', 'error_rate', 1, time_window => '1 day', tenant_id => 'A'),
           eventlog.create_alert('swing', 'changed', 1000000, time_window => '2 days', tenant_id => 'A'),
           eventlog.create_alert('stuck', 'stopped_consumers', tenant_id => 'A'),
           eventlog.create_alert('switched_off', 'refused', tenant_id => 'A'),
           eventlog.create_alert('broken', 'quota', tenant_id => 'A'),
           eventlog.create_alert('theirs', 'not_received', names => '{checkout_completed}', tenant_id => 'B');
    UPDATE eventlog.alerts SET next_until = next_until - 3 * time_window WHERE alert <> 'stuck';
    SELECT eventlog.disable_alert('switched_off', 'A');
    SELECT eventlog_private.evaluate_until(now(), now(), NULL);
    UPDATE eventlog.alerts SET failure = 'division by zero' WHERE alert = 'broken';
    DELETE FROM eventlog.alerts WHERE tenant_id = 'B'";

/// Asserts that the tables are what the alerts' rows say.
pub(super) fn judge(client: &mut Client, tenant: &str, found: &Value) {
    let expected = asked(
        client,
        &format!(
            "SELECT alert, CASE WHEN failure IS NOT NULL THEN 'failing' WHEN NOT is_enabled THEN 'off' WHEN is_raised THEN 'raised'
                                WHEN evaluated_until IS NULL THEN 'new' ELSE 'quiet' END,
                    condition, value, threshold, to_json(evaluated_until) #>> '{{}}'
               FROM eventlog.alerts WHERE tenant_id = '{tenant}' ORDER BY is_raised AND is_enabled DESC, alert"
        ),
    );
    assert_eq!(table(found, "alerts"), expected);
    assert_eq!(expected.iter().filter(|row| row[1] == "raised").count(), 2);
    let changes = asked(
        client,
        &format!(
            "SELECT to_json(changed_at) #>> '{{}}', alert, is_raised::text, details ->> 'value', details ->> 'since'
               FROM eventlog.alert_changes WHERE tenant_id = '{tenant}' ORDER BY id DESC"
        ),
    );
    assert_eq!(table(found, "changes"), changes);
    assert!(!changes.is_empty());
}

#[test]
fn alerts_are_shown_with_their_state_and_their_value_beside_the_threshold() {
    let db = eventlog_tests::Db::new();
    let stage = Stage::new(db::shared(), &db.name);
    let sql =
        ALERTS.replace("'A'", &format!("'{TENANT_A}'")).replace("'B'", &format!("'{TENANT_B}'"));
    db.connect("log_owner").batch_execute(&sql).expect("alerts");
    stage.play("alerts");
}
