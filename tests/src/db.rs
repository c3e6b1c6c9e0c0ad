//! A database for a test, with a log in it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::Client;

use crate::cluster::Cluster;

/// Roles of the shared cluster: the log's owner, one that may write, one that may read, one that
/// may do both, a service, one that was granted nothing, and a DBA who is no superuser.
pub const ROLES: &[&str] =
    &["log_owner", "writer", "reader", "member", "service", "outsider", "dba"];

/// What makes the log of the template database.
const TEMPLATE: &str = "
    CREATE EXTENSION eventlog;
    SELECT eventlog.create_log(owner => 'log_owner');
    SET SESSION AUTHORIZATION log_owner;
    SELECT eventlog.grant_writer('writer');
    SELECT eventlog.grant_reader('reader');
    SELECT eventlog.grant_writer('member');
    SELECT eventlog.grant_reader('member');
    SELECT eventlog.grant_service('service');
";

/// Makes the roles of [`ROLES`] in a cluster.
pub fn create_roles(cluster: &Cluster) {
    let mut client = cluster.connect("postgres", "postgres");
    for role in ROLES {
        client.batch_execute(&format!("CREATE ROLE {role} LOGIN")).expect("a new role");
    }
}

/// Makes a database with a log that `log_owner` owns, and the grants that the roles' names say.
pub fn create_log(cluster: &Cluster, database: &str) {
    let mut client = cluster.connect("postgres", "postgres");
    client.batch_execute(&format!("CREATE DATABASE {database}")).expect("a new database");
    client.batch_execute(&format!("GRANT CREATE ON DATABASE {database} TO dba")).expect("ours");
    cluster.psql(database, "postgres", TEMPLATE).expect("the log is made");
}

/// The cluster that tests share which neither stop it nor change its settings.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = Cluster::start(&[]);
        create_roles(&cluster);
        create_log(&cluster, "template_log");
        cluster
    })
}

/// A database of its own, dropped at the end of the test.
#[derive(Debug)]
pub struct Db {
    /// Its name.
    pub name: String,
}

impl Db {
    /// A database with a log in it.
    #[expect(clippy::new_without_default, reason = "it starts servers")]
    pub fn new() -> Self {
        Self::from_template("template_log")
    }

    /// An empty database.
    pub fn empty() -> Self {
        Self::from_template("template1")
    }

    /// A copy of a database of the shared cluster, to which nobody is connected.
    pub fn from_template(template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // CREATE DATABASE wants its template for itself.
        static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let cluster = shared();
        let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut client = cluster.connect("postgres", "postgres");
        client
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .expect("a new database");
        client.batch_execute(&format!("GRANT CREATE ON DATABASE {name} TO dba")).expect("ours");
        Db { name }
    }

    /// A connection as a role.
    pub fn connect(&self, role: &str) -> Client {
        shared().connect(&self.name, role)
    }

    /// A connection as a superuser.
    pub fn superuser(&self) -> Client {
        self.connect("postgres")
    }

    /// A connection as a role with a tenant set.
    pub fn connect_as(&self, role: &str, tenant: &str) -> Client {
        let mut client = self.connect(role);
        client
            .batch_execute(&format!("SET eventlog.tenant_id = '{tenant}'"))
            .expect("a setting for everybody");
        client
    }
}

impl Drop for Db {
    fn drop(&mut self) {
        let mut client = shared().connect("postgres", "postgres");
        let dropped = client.batch_execute(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
        if !std::thread::panicking() {
            dropped.expect("a database of ours");
        }
    }
}
