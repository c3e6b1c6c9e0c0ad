//! `eventlog init`: sets a database up in one go, and says what to put where.

use clap::Args;
use tokio_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

use crate::api_key::{ApiKey, Kind};
use crate::connection::Server;
use crate::output::{Colours, Failure, Style, print, print_json, printable};
use crate::tenant;

const HELP: &str = "\
Connect as a superuser. Creates what is missing and leaves alone what is there, so you can \
run it again: the extension, a role that owns the log, the log, a role for the gateway, roles \
for applications, and for the tenant a key to write and a key to read. All of it is one \
transaction. Give the roles passwords with \\password in psql.\n\n\
eventlog init --tenant acme --writer app --retention '1 year'";

#[derive(Args)]
#[command(after_help = HELP)]
pub(crate) struct Arguments {
    /// Tenant of the first keys: a uuid, or a name, which means eventlog.tenant('NAME')
    #[arg(long, default_value = "default", value_name = "UUID|NAME", value_parser = tenant::checked)]
    tenant: String,
    /// Role that owns the log; nobody logs in as it
    #[arg(long, default_value = "log_owner", value_name = "ROLE")]
    owner: String,
    /// Role of `eventlog serve`
    #[arg(long, default_value = "gateway", value_name = "ROLE")]
    gateway: String,
    /// Role that logs and reads events of every tenant; repeat for several
    #[arg(long = "service", value_name = "ROLE")]
    services: Vec<String>,
    /// Role that logs events of its own tenant; repeat for several
    #[arg(long = "writer", value_name = "ROLE")]
    writers: Vec<String>,
    /// Role that reads events of its own tenant; repeat for several
    #[arg(long = "reader", value_name = "ROLE")]
    readers: Vec<String>,
    /// How long to keep events. Default for a new log: 90 days
    #[arg(long, value_name = "INTERVAL")]
    retention: Option<String>,
    /// Print JSON: what was done, and the keys
    #[arg(long)]
    json: bool,
}

/// A step: what it is about, and whether it changed anything.
struct Done {
    what: String,
    is_new: bool,
}

struct Setup<'a> {
    transaction: Transaction<'a>,
    done: Vec<Done>,
}

type Value<'v> = (&'v (dyn ToSql + Sync), Type);

impl Setup<'_> {
    fn note(&mut self, what: impl Into<String>, is_new: bool) {
        self.done.push(Done { what: what.into(), is_new });
    }

    async fn text(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<String>, Failure> {
        let rows = self.transaction.query_typed(sql, values).await?;
        Ok(rows.first().and_then(|row| row.get(0)))
    }

    async fn is_true(&self, sql: &str, values: &[Value<'_>]) -> Result<bool, Failure> {
        let sql = format!("SELECT ({sql})::text");
        Ok(self.text(&sql, values).await?.as_deref() == Some("true"))
    }

    /// Runs a statement that has names in it, which the server quotes.
    async fn run(&self, statement: &str, names: &[&str]) -> Result<(), Failure> {
        let sql = "SELECT pg_catalog.format($1, VARIADIC $2)";
        let values = [(&statement as _, Type::TEXT), (&names as _, Type::TEXT_ARRAY)];
        let sql = self.text(sql, &values).await?.unwrap_or_default();
        Ok(self.transaction.batch_execute(&sql).await?)
    }

    async fn extension(&mut self) -> Result<(), Failure> {
        let sql = "SELECT e.extversion FROM pg_catalog.pg_extension e WHERE e.extname = 'eventlog'";
        if let Some(version) = self.text(sql, &[]).await? {
            self.note(format!("extension eventlog {version}"), false);
            return Ok(());
        }
        let created = self.transaction.batch_execute("CREATE EXTENSION eventlog").await;
        created.map_err(|error| match error.code().map(|code| code.code()) {
            Some("0A000" | "58P01" | "22023") => Failure::from(error)
                .hint("install the extension on the server: make install, or its package"),
            _ => Failure::from(error),
        })?;
        let version = self.text(sql, &[]).await?.unwrap_or_default();
        self.note(format!("extension eventlog {version}"), true);
        Ok(())
    }

    /// Creates a role that is missing.
    async fn role(&mut self, name: &str, attribute: &str, what: &str) -> Result<(), Failure> {
        let sql = "EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = $1)";
        let is_there = self.is_true(sql, &[(&name, Type::TEXT)]).await?;
        if !is_there {
            self.run(&format!("CREATE ROLE %I {attribute}"), &[name]).await?;
        }
        self.note(format!("role {name}, {what}"), !is_there);
        Ok(())
    }

    async fn log(&mut self, owner: &str, retention: Option<&str>) -> Result<(), Failure> {
        let sql = "pg_catalog.to_regclass('eventlog.events') IS NOT NULL";
        let is_there = self.is_true(sql, &[]).await?;
        if !is_there {
            self.text(
                "SELECT eventlog.create_log(owner => $1::text::regrole)::text",
                &[(&quoted(owner), Type::TEXT)],
            )
            .await?;
        }
        if retention.is_some() {
            let sql = "SELECT eventlog.create_log(retention => $1::text::interval)::text";
            self.text(sql, &[(&retention, Type::TEXT)]).await?;
        }
        let sql = "SELECT c.retention::text FROM eventlog.log_config c";
        let kept = self.text(sql, &[]).await?.unwrap_or_default();
        self.note(format!("log of {owner}, which keeps events for {kept}"), !is_there);
        Ok(())
    }

    async fn grant(&mut self, kind: &str, role: &str, what: &str) -> Result<(), Failure> {
        self.role(role, "LOGIN", what).await?;
        let sql = format!("SELECT eventlog.grant_{kind}($1::text::regrole)::text");
        self.text(&sql, &[(&quoted(role), Type::TEXT)]).await?;
        Ok(())
    }

    /// Returns the id of the tenant, whose name is remembered.
    async fn tenant(&mut self, tenant: &str) -> Result<Uuid, Failure> {
        let id = match Uuid::parse_str(tenant) {
            Ok(id) => id,
            Err(_) => {
                let sql = "SELECT eventlog.set_tenant(tenant_name => $1)::text";
                self.text(sql, &[(&tenant, Type::TEXT)]).await?;
                let sql = "SELECT eventlog.tenant($1)::text";
                let id = self.text(sql, &[(&tenant, Type::TEXT)]).await?.unwrap_or_default();
                Uuid::parse_str(&id).map_err(|error| Failure::new(error.to_string()))?
            }
        };
        self.note(format!("tenant {tenant}, {id}"), false);
        Ok(id)
    }

    /// Creates a key of a tenant that has no valid one of this kind, and returns it.
    async fn key(&mut self, tenant: Uuid, kind: Kind) -> Result<Option<String>, Failure> {
        let sql = "EXISTS (SELECT FROM eventlog.api_keys k WHERE k.tenant_id = $1 AND k.kind = $2
                              AND k.revoked_at IS NULL AND k.expires_at IS NULL)";
        let values = [(&tenant as _, Type::UUID), (&kind.name() as _, Type::TEXT)];
        if self.is_true(sql, &values).await? {
            self.note(format!("key to {}", kind.name()), false);
            return Ok(None);
        }
        let key = ApiKey::generate(kind)
            .map_err(|error| Failure::new(format!("cannot get random numbers: {error}")))?;
        self.transaction
            .query_typed(
                "INSERT INTO eventlog.api_keys (id, tenant_id, kind, secret_hash, description)
                 VALUES ($1, $2, $3, $4, 'made by eventlog init')",
                &[
                    (&key.id(), Type::TEXT),
                    (&tenant, Type::UUID),
                    (&kind.name(), Type::TEXT),
                    (&key.hash().as_slice(), Type::BYTEA),
                ],
            )
            .await?;
        self.note(format!("key to {}", kind.name()), true);
        Ok(Some(key.text()))
    }
}

/// Quotes a role's name for a cast to regrole.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(crate) async fn run(server: &Server, arguments: Arguments) -> Result<(), Failure> {
    let mut client = server.connect().await?;
    let transaction = client.transaction().await?;
    let mut setup = Setup { transaction, done: Vec::new() };
    if !setup.is_true("pg_catalog.current_setting('is_superuser') = 'on'", &[]).await? {
        return Err(Failure::new("eventlog init needs a superuser")
            .hint("eventlog -U postgres init; without one, follow docs/installation.md"));
    }
    setup.transaction.batch_execute("SET LOCAL search_path = pg_catalog, pg_temp").await?;
    setup.extension().await?;
    setup.role(&arguments.owner, "NOLOGIN", "which owns the log").await?;
    setup.log(&arguments.owner, arguments.retention.as_deref()).await?;
    setup.grant("gateway", &arguments.gateway, "of eventlog serve").await?;
    for (kind, roles, what) in [
        ("service", &arguments.services, "which logs and reads for every tenant"),
        ("writer", &arguments.writers, "which logs for its own tenant"),
        ("reader", &arguments.readers, "which reads its own tenant"),
    ] {
        for role in roles {
            setup.grant(kind, role, what).await?;
        }
    }
    // The owner's rows are written as the owner.
    let sql = "SELECT set_config('role', pg_get_userbyid(c.relowner)::text, true) FROM pg_class c
                WHERE c.oid = 'eventlog.events'::regclass";
    setup.text(sql, &[]).await?;
    let tenant = setup.tenant(&arguments.tenant).await?;
    let write_key = setup.key(tenant, Kind::Write).await?;
    let read_key = setup.key(tenant, Kind::Read).await?;
    setup.transaction.batch_execute("RESET role").await?;
    let has_worker = "current_setting('shared_preload_libraries') ~ '(^|[, /])eventlog'";
    let has_worker = setup.is_true(has_worker, &[]).await?;
    let Setup { transaction, done } = setup;
    transaction.commit().await?;

    let found =
        Found { tenant, write_key, read_key, has_worker, gateway: arguments.gateway.clone() };
    if arguments.json {
        let step = |done: &Done| serde_json::json!({ "what": done.what, "is_new": done.is_new });
        return print_json(&serde_json::json!({
            "steps": done.iter().map(step).collect::<Vec<_>>(),
            "tenant_id": found.tenant,
            "write_key": found.write_key,
            "read_key": found.read_key,
            "is_worker_loaded": found.has_worker,
        }));
    }
    let colours = Colours::of_stdout();
    for Done { what, is_new } in &done {
        let (style, mark) =
            if *is_new { (Style::Good, "created") } else { (Style::Dim, "there  ") };
        print(&format!("{}  {}", colours.paint(style, mark), printable(what)))?;
    }
    print(&found.next_steps())
}

/// What the last lines are made of.
struct Found {
    tenant: Uuid,
    write_key: Option<String>,
    read_key: Option<String>,
    has_worker: bool,
    gateway: String,
}

impl Found {
    /// Returns what to do next, as text.
    fn next_steps(&self) -> String {
        let mut text = String::new();
        let mut add = |line: &str| {
            text.push('\n');
            text.push_str(line);
        };
        if self.write_key.is_some() || self.read_key.is_some() {
            add("Keys, shown once:");
            for (what, key) in [("to write", &self.write_key), ("to read", &self.read_key)] {
                if let Some(key) = key {
                    add(&format!("  {what:<9} {key}"));
                }
            }
            add("");
        }
        add("Next:");
        if !self.has_worker {
            add("  maintenance   in postgresql.conf: shared_preload_libraries = 'eventlog'");
            add("                and eventlog.databases = '<this database>', then restart;");
            add("                or run CALL eventlog.maintain() every hour, for example by cron");
        }
        add(&format!(
            "  first event   EVENTLOG_TENANT={} eventlog log tool_used toolName=search",
            self.tenant
        ));
        add(&format!("  gateway       PGUSER={} eventlog serve", self.gateway));
        let key = self.write_key.as_deref().unwrap_or("<key to write>");
        add(&format!(
            "  over HTTP     curl -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\"
        ));
        add(
            "                     -d '{\"name\": \"tool_used\", \"data\": {\"toolName\": \"search\"}}' http://127.0.0.1:8080/api/track",
        );
        add("  dashboard     http://127.0.0.1:8080, with the key to read");
        add("  check         eventlog doctor");
        text
    }
}
