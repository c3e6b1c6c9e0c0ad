//! Removing a log leaves nothing of it in the database.

use eventlog_tests::{Cluster, rows};
use postgres::Client;

use super::restore;

/// Every object that depends on another or on a role, and what settings and roles are there.
const OBJECTS: &str = "
    SELECT 'relation ' || c.oid::regclass FROM pg_class c WHERE c.oid >= 16384
    UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_'
    UNION ALL SELECT 'function ' || oid::regprocedure FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'type ' || oid::regtype FROM pg_type WHERE oid >= 16384
    UNION ALL SELECT 'trigger ' || tgname || ' on ' || tgrelid::regclass FROM pg_trigger
    UNION ALL SELECT 'constraint ' || conname FROM pg_constraint WHERE oid >= 16384
    UNION ALL SELECT 'policy ' || polname FROM pg_policy
    UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
    UNION ALL SELECT 'extension ' || extname FROM pg_extension
    UNION ALL SELECT 'default privileges of ' || defaclrole::regrole FROM pg_default_acl
    UNION ALL SELECT 'publication ' || pubname FROM pg_publication
    UNION ALL SELECT 'security label ' || label FROM pg_seclabel
    UNION ALL SELECT 'setting ' || array_to_string(setconfig, ',') FROM pg_db_role_setting
    UNION ALL SELECT 'dependency on ' || refobjid::regrole || ' in ' || classid::regclass
      FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL SELECT 'comment ' || description FROM pg_description WHERE objoid >= 16384
    ORDER BY 1";

fn objects(client: &mut Client) -> Vec<String> {
    rows(client, OBJECTS).concat()
}

#[test]
fn drop_schema_removes_a_log_and_all_of_its_objects() {
    let cluster = Cluster::start(&[]);
    // With grants, a table of tenants, lookups, a quarantine, keys: everything that a log can have.
    restore::fill(&cluster, "foreign_key");
    let mut client = cluster.connect("app", "postgres");
    client.batch_execute("DROP SCHEMA eventlog CASCADE").expect("a superuser may");
    let left = objects(&mut client);

    let tenants = "CREATE TABLE public.tenants (id uuid PRIMARY KEY); ALTER TABLE public.tenants OWNER TO log_owner";
    cluster.psql("postgres", "postgres", "CREATE DATABASE plain").expect("a new database");
    cluster.psql("plain", "postgres", tenants).expect("a table");
    assert_eq!(left, objects(&mut cluster.connect("plain", "postgres")));

    client.batch_execute("CREATE EXTENSION eventlog").expect("it can come again");
    client.batch_execute("DROP SCHEMA eventlog CASCADE; DROP TABLE public.tenants").expect("ours");
    cluster.psql("postgres", "postgres", "DROP DATABASE plain").expect("ours");
    // Roles are the cluster's, and stay until they are dropped; nothing holds them.
    client
        .batch_execute("DROP ROLE log_owner, writer, reader, member, service, outsider")
        .expect("nothing depends on them");
}
