//! The tenant of a connection: `eventlog.current_tenant()`.
//!
//! A connection without a tenant is an error (42501); it never sees all tenants. The policies of
//! every relation of the log compare with this function.

use std::cell::RefCell;
use std::ffi::CStr;

use eventlog_common::ALL_TENANTS;
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::configuration;
use crate::pg::identity::{current_role, name_of};
use crate::pg::input;
use crate::pg::jsonb::{Container, Value};
use crate::pg::uuid::parse_uuid;
use crate::registry;
use crate::settings::tenant_setting::TenantSetting;
use crate::settings::{self, TenantSource};

/// Returns the tenant of this connection.
pub(crate) fn current() -> Result<[u8; 16], Fault> {
    match settings::tenant_source() {
        TenantSource::setting => of_setting(),
        TenantSource::jwt => of_claims(),
        TenantSource::role => of_role(),
    }
}

/// Refuses the tenant that stands for all tenants in reports: no event can be logged for it.
pub(crate) fn refuse_all(tenant: [u8; 16]) -> Result<[u8; 16], Fault> {
    if tenant == ALL_TENANTS {
        return Err(Fault::argument("no event can be logged for all tenants")
            .hint("eventlog.all_tenants() is for reports; give the tenant of the event"));
    }
    Ok(tenant)
}

fn none(message: &str) -> Fault {
    Fault::new(PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE, message)
}

fn of_setting() -> Result<[u8; 16], Fault> {
    match settings::tenant_setting() {
        TenantSetting::Tenant(tenant) => Ok(tenant),
        TenantSetting::Unset => Err(none("no tenant: eventlog.tenant_id is not set")
            .hint("SELECT set_config('eventlog.tenant_id', '<uuid>', true);")),
        TenantSetting::Malformed => Err(none("no tenant: eventlog.tenant_id is not a uuid")
            .hint("SELECT set_config('eventlog.tenant_id', '<uuid>', true);")),
    }
}

thread_local! {
    /// The claims that were read last and their tenant: a request sets its claims once and asks for
    /// each row.
    static CLAIMS: RefCell<(Vec<u8>, String, Option<[u8; 16]>)> =
        const { RefCell::new((Vec::new(), String::new(), None)) };
}

/// Returns the tenant in `request.jwt.claims`, which PostgREST and Supabase set from a verified
/// token.
fn of_claims() -> Result<[u8; 16], Fault> {
    let hint =
        "the token must carry the tenant's uuid in the claim that eventlog.tenant_claim names";
    let path = settings::tenant_claim();
    let tenant = configuration::with_value(c"request.jwt.claims", |claims| {
        let claims = claims
            .filter(|claims| !claims.is_empty())
            .ok_or_else(|| none("no tenant: request.jwt.claims is not set").hint(hint))?;
        let known = CLAIMS.with_borrow(|(seen, seen_path, tenant)| {
            (seen.as_slice() == claims.to_bytes() && *seen_path == path).then_some(*tenant)
        });
        Ok::<_, Fault>(known.unwrap_or_else(|| {
            let tenant = tenant_in_claims(claims, &path);
            CLAIMS.set((claims.to_bytes().to_vec(), path.clone(), tenant));
            tenant
        }))
    })?;
    tenant.ok_or_else(|| {
        none(&format!("no tenant: the claim \"{path}\" of request.jwt.claims holds no uuid"))
            .hint(hint)
    })
}

fn tenant_in_claims(claims: &CStr, path: &str) -> Option<[u8; 16]> {
    let claims = input::jsonb(claims).ok()?;
    let root = Container::root(claims.bytes());
    // A claim that is a URL has dots in its name.
    if let Some(Value::String(text)) = root.get(path.as_bytes()) {
        return parse_uuid(text);
    }
    let mut value = Value::Container(root);
    for step in path.split('.') {
        let Value::Container(container) = value else { return None };
        value = container.get(step.as_bytes())?;
    }
    match value {
        Value::String(text) => parse_uuid(text),
        _ => None,
    }
}

/// Returns the tenant that `tenant_roles` gives the current role, which a connection cannot forge.
fn of_role() -> Result<[u8; 16], Fault> {
    let role = current_role();
    if let Some(tenant) = registry::current()?.tenant_of_role(role) {
        return Ok(tenant);
    }
    let name =
        name_of(role).ok_or_else(|| none("no tenant: the current role does not exist any more"))?;
    let literal = name.replace('\'', "''");
    Err(none(&format!("no tenant: tenant_roles has no row for role \"{name}\"")).hint(format!(
        "INSERT INTO eventlog.tenant_roles (role_name, tenant_id) VALUES ('{literal}', '<uuid>') \
         ON CONFLICT (role_name) DO UPDATE SET tenant_id = excluded.tenant_id, role_oid = NULL;"
    )))
}
