//! The ways to write an event that are compared.

/// Who writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Who {
    /// The owner of the log and of the twins, whom policies do not bind: events of 100 tenants.
    Owner,
    /// A writer and reader under policies: events of the tenant in `eventlog.tenant_id`.
    Member,
}

impl Who {
    /// The role.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Who::Owner => "log_owner",
            Who::Member => "member",
        }
    }

    /// The word for it in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Owner => "owner",
            Who::Member => "member",
        }
    }

    /// The database in which only this role writes.
    pub(crate) fn database(self) -> &'static str {
        match self {
            Who::Owner => "bench_owner",
            Who::Member => "bench_member",
        }
    }
}

/// One way to write an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    /// Name of its loop function, and of it in the code.
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) who: Who,
    /// The table that it fills.
    pub(crate) table: &'static str,
    /// What it does in PL/pgSQL.
    pub(crate) in_loop: &'static str,
    /// What it does over a connection: tenant, name, data, subject, as text.
    pub(crate) statement: &'static str,
}

const LOG_EVENT: &str = "new_id := eventlog.log_event(tenant, name, payload)";
const LOG_EVENT_SENT: &str = "SELECT eventlog.log_event($1::text::uuid, $2, $3::text::jsonb)";
const TWIN: &str = "INSERT INTO bench.twin (tenant_id, name, data, subject)
    VALUES (tenant, name, payload, subject) RETURNING id INTO new_id";
const TWIN_SENT: &str = "INSERT INTO bench.twin (tenant_id, name, data, subject)
    VALUES ($1::text::uuid, $2, $3::text::jsonb, $4) RETURNING id";

impl Contender {
    /// Its name in a ratio: `member log_event`.
    pub(crate) fn short(&self) -> String {
        self.name.replacen('_', " ", 1)
    }
}

/// All of them, in the order in which they are printed.
pub(crate) const CONTENDERS: &[Contender] = &[
    Contender {
        name: "owner_log_event",
        label: "log_event",
        who: Who::Owner,
        table: "eventlog.events",
        in_loop: LOG_EVENT,
        statement: LOG_EVENT_SENT,
    },
    Contender {
        name: "owner_twin",
        label: "INSERT … RETURNING id, twin",
        who: Who::Owner,
        table: "bench.twin",
        in_loop: TWIN,
        statement: TWIN_SENT,
    },
    Contender {
        name: "owner_bare",
        label: "INSERT, twin",
        who: Who::Owner,
        table: "bench.twin_bare",
        in_loop: "INSERT INTO bench.twin_bare (tenant_id, name, data, subject)
            VALUES (tenant, name, payload, subject)",
        statement: "INSERT INTO bench.twin_bare (tenant_id, name, data, subject)
            VALUES ($1::text::uuid, $2, $3::text::jsonb, $4)",
    },
    Contender {
        name: "owner_classic",
        label: "INSERT, classic table",
        who: Who::Owner,
        table: "bench.classic",
        in_loop: "INSERT INTO bench.classic (tenant_id, name, data)
            VALUES (tenant, name, payload)",
        statement: "INSERT INTO bench.classic (tenant_id, name, data)
            VALUES ($1::text::uuid, $2, $3::text::jsonb)",
    },
    Contender {
        name: "member_log_event",
        label: "log_event",
        who: Who::Member,
        table: "eventlog.events",
        in_loop: LOG_EVENT,
        statement: LOG_EVENT_SENT,
    },
    Contender {
        name: "member_twin",
        label: "INSERT … RETURNING id, twin",
        who: Who::Member,
        table: "bench.twin",
        in_loop: TWIN,
        statement: TWIN_SENT,
    },
    Contender {
        name: "member_plpgsql",
        label: "log_event in PL/pgSQL, twin",
        who: Who::Member,
        table: "bench.twin_plpgsql",
        in_loop: "new_id := bench.log_event(tenant, name, payload, subject)",
        statement: "SELECT bench.log_event($1::text::uuid, $2, $3::text::jsonb, $4)",
    },
];

/// Where a contender is in the list.
pub(crate) fn index_of(name: &str) -> usize {
    CONTENDERS.iter().position(|contender| contender.name == name).expect("one of the list")
}
