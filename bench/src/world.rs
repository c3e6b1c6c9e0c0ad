//! A private cluster with the log, its twins and the events to log.

use eventlog_tests::{Cluster, cluster, db};
use postgres::Client;

use crate::contender::{CONTENDERS, Contender, Who};

/// Quiet: nothing of the server's own runs beside what is measured.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    ("shared_buffers", "'512MB'"),
    ("wal_level", "replica"),
    ("max_wal_size", "'16GB'"),
    ("checkpoint_timeout", "'1h'"),
    ("synchronous_commit", "off"),
    ("autovacuum", "off"),
    ("jit", "off"),
];

/// Events in `bench.input`.
const INPUTS: usize = 20_000;

/// An event to log, as text.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) tenant: String,
    pub(crate) name: String,
    pub(crate) data: String,
    pub(crate) subject: Option<String>,
}

/// The cluster, and what a contender needs to know of it.
#[derive(Debug)]
pub(crate) struct World {
    cluster: Cluster,
    tenants: Vec<String>,
}

impl World {
    /// Starts the cluster and fills each table with the same number of rows.
    pub(crate) fn new(rows_before: usize) -> Self {
        let cluster = Cluster::start(SETTINGS);
        db::create_roles(&cluster);
        for who in [Who::Owner, Who::Member] {
            db::create_log(&cluster, who.database());
            let psql = |sql: &str| {
                cluster
                    .psql(who.database(), "postgres", sql)
                    .unwrap_or_else(|error| panic!("{error}"));
            };
            psql(include_str!("setup.sql"));
            for contender in CONTENDERS.iter().filter(|contender| contender.who == who) {
                psql(&loop_function(contender));
                psql(&fill(contender, rows_before));
            }
        }
        let tenants = eventlog_tests::rows(
            &mut cluster.connect(Who::Member.database(), "postgres"),
            "SELECT id FROM bench.tenants ORDER BY id",
        );
        World { cluster, tenants: tenants.into_iter().flatten().collect() }
    }

    /// What runs here, for the heading of a table.
    pub(crate) fn describe(&self) -> String {
        let mut client = self.superuser(Who::Owner);
        let size = eventlog_tests::text(
            &mut client,
            "SELECT avg(pg_column_size(data))::int FROM bench.input",
        );
        format!("PostgreSQL {}, payloads of {size} bytes on average", cluster::major_version())
    }

    /// A connection of a role to its database.
    pub(crate) fn connect(&self, who: Who) -> Client {
        self.cluster.connect(who.database(), who.role())
    }

    /// A connection of a role to the member's database.
    pub(crate) fn connect_member_database(&self, who: Who) -> Client {
        self.cluster.connect(Who::Member.database(), who.role())
    }

    /// A connection of a superuser to a role's database.
    pub(crate) fn superuser(&self, who: Who) -> Client {
        self.cluster.connect(who.database(), "postgres")
    }

    /// How a role connects to its database.
    pub(crate) fn config(&self, who: Who) -> postgres::Config {
        self.cluster.config(who.database(), who.role())
    }

    /// Sets the tenant of a member's connection, another one each round.
    pub(crate) fn set_tenant(&self, member: &mut Client, round: usize) {
        let tenant = &self.tenants[round * 37 % self.tenants.len()];
        member
            .batch_execute(&format!("SET eventlog.tenant_id = '{tenant}'"))
            .expect("a setting for everybody");
    }

    /// The first event of a round, which has `n`.
    pub(crate) fn first_input(round: usize, n: usize) -> usize {
        assert!(n <= INPUTS);
        round % (INPUTS / n) * n
    }

    /// The events of a role's rounds.
    pub(crate) fn inputs(&self, who: Who) -> Vec<Input> {
        let sql =
            "SELECT tenant_id::text, name, data::text, subject FROM bench.input ORDER BY number";
        self.superuser(who)
            .query(sql, &[])
            .expect("made by setup.sql")
            .iter()
            .map(|row| Input {
                tenant: row.get(0),
                name: row.get(1),
                data: row.get(2),
                subject: row.get(3),
            })
            .collect()
    }

    /// That every table of a role has got the same rows, so the same work was measured.
    pub(crate) fn assert_equal_work(&self) {
        for who in [Who::Owner, Who::Member] {
            let mut client = self.superuser(who);
            let counts: Vec<_> = CONTENDERS
                .iter()
                .filter(|contender| contender.who == who)
                .map(|contender| {
                    let table = contender.table;
                    let sql = format!(
                        "SELECT count(*), sum(hashtext(concat(tenant_id, name, data))) FROM {table}"
                    );
                    eventlog_tests::rows(&mut client, &sql)
                })
                .collect();
            assert!(counts.windows(2).all(|two| two[0] == two[1]), "{who:?}: {counts:?}");
        }
    }
}

fn loop_function(contender: &Contender) -> String {
    let function = include_str!("loops.sql")
        .replace("{name}", contender.name)
        .replace("{statement}", contender.in_loop);
    format!("SET ROLE log_owner; {function}")
}

/// Rows of the last week, as far as it lies in this month's partition.
fn fill(contender: &Contender, rows: usize) -> String {
    let table = contender.table;
    let (column, value) =
        if table == "bench.classic" { ("", "") } else { (", subject", ", i.subject") };
    format!(
        "SET timezone = 'UTC';
         INSERT INTO {table} (tenant_id, name, data, created_at{column})
         SELECT i.tenant_id, i.name, i.data,
                greatest(date_trunc('month', now()), now() - (n * '7 days'::interval / {rows})){value}
           FROM generate_series({rows}, 1, -1) AS n
           JOIN bench.input i ON i.number = n % {INPUTS}
          ORDER BY n DESC"
    )
}
