//! `eventlog import --from`: events of other tools, each imported once.

use eventlog_tests::{Db, TENANT_A, db, rows};

use crate::files::Folder;
use crate::server::{eventlog, failed, printed};

const SEGMENT: &str = r#"{"type": "track", "event": "Order Completed", "userId": "u1", "messageId": "m1", "properties": {"total": 99.50}, "timestamp": "2026-11-20T10:00:00Z", "receivedAt": "2026-11-20T10:00:02Z"}
{"type": "identify", "userId": "u1", "traits": {"plan": "pro"}, "timestamp": "2026-11-20T10:00:03Z"}
{"type": "page", "anonymousId": "a1", "messageId": "m2", "timestamp": "2026-11-20T10:00:04Z"}
{"type": "track", "event": "Noise", "userId": "u1", "messageId": "m3", "timestamp": "2026-11-20T10:00:05Z"}
{"type": "track", "userId": "u1"}
"#;

const MIXPANEL: &str = r#"[{"event": "Signed Up", "properties": {"time": 1795168800, "distinct_id": "u1", "$insert_id": "i1", "plan": "pro", "account": "acme"}},
 {"event": "Signed Up", "properties": {"time": 1795168801, "distinct_id": "u2", "plan": "free", "account": "globex"}}]"#;

#[test]
fn events_of_other_tools_are_imported_once_however_often_the_file_is_read() {
    let db = Db::new();
    let folder = Folder::new("foreign");
    let segment = folder.write("segment.ndjson", SEGMENT.as_bytes());
    let map = folder.write("map.json", br#"{"Noise": null}"#);
    let import = |arguments: &[&str]| {
        let mut command = eventlog(db::shared(), &db.name, "log_owner");
        command.arg("import").args(arguments);
        command
    };
    let path = segment.to_str().unwrap();
    let arguments = [
        path,
        "--from",
        "segment",
        "--tenant",
        TENANT_A,
        "--map",
        map.to_str().unwrap(),
        "--define",
    ];
    let output = import(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "a line has no name: {output:?}");
    assert!(
        said.contains("3 rows: 2 imported, 0 already there, 1 rejected; 2 others left out"),
        "{said}"
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 5: event is missing"));
    let output = import(&arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("0 imported, 2 already there"), "{said}");

    // The tenant by a key of the payload: a name, as eventlog.tenant() has it.
    let mixpanel = folder.write("mixpanel.json", MIXPANEL.as_bytes());
    let path = mixpanel.to_str().unwrap();
    let said =
        printed(&mut import(&[path, "--from", "mixpanel", "--tenant-key", "account", "--define"]));
    assert!(said.contains("2 imported"), "{said}");
    let found = rows(
        &mut db.superuser(),
        "SELECT name, data, actor, occurred_at AT TIME ZONE 'UTC', created_at AT TIME ZONE 'UTC', id < 0,
                tenant_id IN (eventlog.tenant('acme'), eventlog.tenant('globex'))
           FROM eventlog.events ORDER BY name = 'signed_up', created_at",
    );
    let [time, sent] = ["2026-11-20 10:00:00", "2026-11-20 10:00:02"];
    assert_eq!(found[0], ["order_completed", r#"{"total": 99.50}"#, "u1", time, sent, "t", "f"]);
    assert_eq!(found[1][..3], ["page_viewed", "{}", "a1"]);
    assert_eq!(found.len(), 4);
    assert_eq!(found[2][1], r#"{"plan": "pro", "account": "acme"}"#);
    assert!(found[2..].iter().all(|row| row[0] == "signed_up" && row[6] == "t"), "{found:?}");
    // New events are numbered as before.
    let log = format!("SELECT eventlog.log_event('{TENANT_A}', 'signed_up')::bigint > 0");
    assert_eq!(rows(&mut db.superuser(), &log), [["t"]]);

    for (arguments, why) in [
        (vec![path, "--from", "mixpanel"], "--from needs a tenant"),
        (vec![path, "--from", "mixpannel"], "mixpanel"),
        (vec![path, "--from", "ahoy", "--tenant", "a", "--format", "csv"], "--from needs JSON"),
        (vec![path, "--define"], "--from"),
    ] {
        let said = failed(&mut import(&arguments), 2);
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
}
