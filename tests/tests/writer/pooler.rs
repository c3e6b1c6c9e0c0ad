//! Through PgBouncer in transaction mode: no state of the writer's is on a connection.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use eventlog_tests::{Cluster, TENANT_A, TENANT_B, cluster, rows};
use eventlog_writer::sync::Writer;
use eventlog_writer::{Event, Stats};
use postgres::{Config, NoTls};

use crate::common::{LONG, numbered, numbers, options, own_cluster, tenant};

/// A PgBouncer before a cluster, in its folder.
struct Pooler(Child);

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PORT: u16 = 6432;

/// Where Debian has it, which only root looks.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";

fn pooler(cluster: &Cluster) -> Pooler {
    let folder = cluster.folder().display();
    let ini = format!(
        "[databases]\n* = host={folder} port=5432\n[pgbouncer]\nlisten_addr =\nlisten_port = {PORT}\n\
         unix_socket_dir = {folder}\nauth_type = trust\nauth_file = {folder}/users.txt\npool_mode = transaction\ndefault_pool_size = 2\n\
         server_reset_query =\nlogfile = {folder}/pgbouncer.log\n"
    );
    cluster.write_secret("users.txt", b"\"writer\" \"\"\n");
    let path = cluster.write_secret("pgbouncer.ini", ini.as_bytes());
    let child = cluster::as_server(Command::new("pgbouncer").arg(path).env("PATH", PATH))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("pgbouncer; apt-get install pgbouncer");
    Pooler(child)
}

fn through(cluster: &Cluster, role: &str) -> Config {
    let mut config = Config::new();
    config.host_path(cluster.folder()).port(PORT).dbname("app").user(role);
    let until = Instant::now() + LONG;
    while config.connect(NoTls).is_err() {
        assert!(Instant::now() < until, "pgbouncer does not answer");
        thread::sleep(Duration::from_millis(20));
    }
    config
}

#[test]
fn writers_of_two_tenants_share_two_connections_and_each_event_is_its_own_tenants() {
    let cluster = own_cluster();
    let _pooler = pooler(&cluster);
    let config = through(&cluster, "writer");
    let tenants = [TENANT_A, TENANT_B];
    thread::scope(|scope| {
        for tenant in tenants {
            for _ in 0..3 {
                let config = config.clone();
                scope.spawn(move || {
                    let options = options().tenant(tenant.parse().unwrap()).batch_events(10);
                    let writer = Writer::connect(config, options);
                    for _ in 0..500 {
                        let data = serde_json::json!({"toolName": tenant});
                        writer.log(Event::new("tool_used").data(&data));
                    }
                    let stats = writer.close(LONG).stats;
                    assert_eq!(stats, Stats { submitted: 500, written: 500, ..Stats::default() });
                });
            }
        }
    });
    let stored = rows(
        &mut cluster.connect("app", "postgres"),
        "SELECT tenant_id, data ->> 'toolName', count(*) FROM eventlog.events GROUP BY 1, 2 ORDER BY 1",
    );
    assert_eq!(stored, [[TENANT_A, TENANT_A, "1500"], [TENANT_B, TENANT_B, "1500"]]);
}

#[test]
fn a_server_that_crashes_behind_the_pooler_costs_nothing_and_doubles_nothing() {
    let cluster = own_cluster();
    let _pooler = pooler(&cluster);
    let options = options().queue(100_000, 1 << 30).batch_events(20).tenant(tenant());
    let writer = Writer::connect(through(&cluster, "writer"), options);
    for n in 1..=1_500 {
        assert!(writer.log(numbered(n)));
        if n % 500 == 250 {
            cluster.crash();
        }
        if n % 10 == 0 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    let stats = writer.close(LONG).stats;
    assert_eq!((stats.written, stats.dropped), (1_500, 0), "{stats}");
    let stored = numbers(&mut cluster.connect("app", "postgres"));
    assert_eq!(stored, (1..=1_500).collect::<Vec<u64>>());
}
