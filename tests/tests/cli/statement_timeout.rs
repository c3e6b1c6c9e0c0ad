//! How long a statement of the gateway's may take, and who says so.

use std::process::{Child, Command, Stdio};

use eventlog_tests::{Cluster, Db, TENANT_A, cluster, db, rows};
use serde_json::json;

use crate::server::{GATEWAY, Gateway, World, eventlog, grant_gateway, make_key};

/// A trigger that notes the timer under which an event came in.
const NOTES: &str = "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
         IF new.data ? 'sleeps' THEN PERFORM pg_sleep(60); END IF;
         new.data := new.data || jsonb_build_object('timer', current_setting('statement_timeout'));
         RETURN new;
     END $$;
     CREATE TRIGGER note BEFORE INSERT ON eventlog.events FOR EACH ROW EXECUTE FUNCTION public.note()";

const TIMERS: &str = "SELECT data ->> 'timer' FROM eventlog.events ORDER BY id";
const ONE: &str = r#"{"name":"tool_used","data":{"toolName":"t"}}"#;

#[test]
fn a_statement_that_hangs_ends_and_its_place_takes_the_next() {
    let db = Db::new();
    db.superuser().batch_execute(NOTES).unwrap();
    let world = World::of(db, &["--statement-timeout", "500ms", "--wait-timeout", "60s"], "");
    let mut http = world.http();
    let hangs = json!({ "name": "tool_used", "data": { "toolName": "t", "sleeps": true } });
    let answer = http.track_and_wait(&world.key_a, &hangs.to_string());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["verdicts"][0]["sqlstate"], "57014", "{}", answer.text());
    let answer = http.track_and_wait(&world.key_a, ONE);
    assert_eq!(answer.json()["written"], 1, "{}", answer.text());
    assert_eq!(rows(&mut world.db.superuser(), TIMERS), [["500ms"]]);
}

#[test]
fn what_the_role_the_database_or_the_connection_string_say_counts() {
    let db = Db::new();
    let mut superuser = db.superuser();
    superuser.batch_execute(NOTES).unwrap();
    grant_gateway(db::shared(), &db.name);
    let key = make_key(db::shared(), &db.name, TENANT_A, &[]);
    let mut expected = Vec::new();
    for (sql, pgoptions, options, timer) in [
        ("", "", &[][..], "30s"),
        ("", "", &["--statement-timeout", "0"], "0"),
        ("", "-c statement_timeout=40s", &["--statement-timeout", "2s"], "40s"),
        ("ALTER DATABASE db SET statement_timeout = '50s'", "", &[], "50s"),
        ("ALTER ROLE gateway IN DATABASE db SET statement_timeout = 0", "-c jit=off", &[], "0"),
    ] {
        superuser.batch_execute(&sql.replace("db", &db.name).replace("gateway", GATEWAY)).unwrap();
        let mut command = eventlog(db::shared(), &db.name, GATEWAY);
        command.env("PGOPTIONS", pgoptions);
        let gateway = Gateway::start_command(command, options);
        let answer = gateway.http().track_and_wait(&key, ONE);
        assert_eq!(answer.json()["written"], 1, "{sql}: {}", answer.text());
        expected.push([timer]);
    }
    assert_eq!(rows(&mut superuser, TIMERS), expected);
}

/// A PgBouncer before a cluster, in its folder.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Where Debian has it, which only root looks.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

fn pooler(cluster: &Cluster) -> Pooler {
    let folder = cluster.folder().display();
    let ini = format!(
        "[databases]\n* = host={folder} port=5432\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\n\
         unix_socket_dir = {folder}\nauth_type = trust\nauth_file = {folder}/users.txt\npool_mode = transaction\n\
         server_reset_query =\nlogfile = {folder}/pgbouncer.log\n"
    );
    cluster.write_secret("users.txt", format!("\"{GATEWAY}\" \"\"\n").as_bytes());
    let path = cluster.write_secret("pgbouncer.ini", ini.as_bytes());
    let child = cluster::as_server(Command::new("pgbouncer").arg(path).env("PATH", PATH))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbouncer; apt-get install pgbouncer");
    Pooler(child)
}

#[test]
fn a_pooler_that_takes_no_options_is_used_without() {
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    grant_gateway(&cluster, "app");
    let mut superuser = cluster.connect("app", "postgres");
    superuser.batch_execute(NOTES).unwrap();
    let key = make_key(&cluster, "app", TENANT_A, &[]);
    let _pooler = pooler(&cluster);
    let mut command = eventlog(&cluster, "app", GATEWAY);
    command.env("PGPORT", "6432");
    let gateway = Gateway::start_command(command, &[]);
    let mut http = gateway.http();
    // Until it answers; for a second the gateway says again that it did not.
    let is_ready = (0..3_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        http.get("/readyz").status == 200
    });
    assert!(is_ready, "{}", http.get("/readyz").text());
    let answer = http.track_and_wait(&key, ONE);
    assert_eq!(answer.json()["written"], 1, "{}", answer.text());
    assert_eq!(rows(&mut superuser, TIMERS), [["0"]]);
}
