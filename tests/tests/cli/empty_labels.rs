//! Events of older logs, which took an empty actor or subject, through `eventlog export` and `import`.

use std::fs;

use eventlog_tests::{Db, TENANT_A, db, rows};

use crate::files::Folder;
use crate::server::{eventlog, printed};

#[test]
fn an_empty_actor_goes_out_as_it_is_and_comes_in_as_none() {
    let (source, folder) = (Db::new(), Folder::new("empty"));
    let insert = format!(
        "INSERT INTO eventlog.events (tenant_id, name, data, actor, subject)
         VALUES ('{TENANT_A}', 'plan_updated', '{{\"previousPlan\": \"a\", \"newPlan\": \"b\", \"status\": \"active\"}}', '', '')"
    );
    source.connect("log_owner").batch_execute(&insert).unwrap();
    for (name, says) in [("a.csv", r#","","","#), ("a.ndjson", r#""actor":"","subject":"""#)] {
        let path = folder.path(name);
        let run = |db: &Db, command: &str| {
            let mut eventlog = eventlog(db::shared(), &db.name, "log_owner");
            printed(eventlog.arg(command).arg(&path))
        };
        run(&source, "export");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(says), "{text}");
        let target = Db::new();
        run(&target, "import");
        let none = "SELECT count(*), count(actor), count(subject) FROM eventlog.events";
        assert_eq!(rows(&mut target.superuser(), none), [["1", "0", "0"]], "{name}");
    }
}
