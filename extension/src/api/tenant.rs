//! `tenant()`: the uuid of a tenant that the application knows by a name or a number.

use eventlog_common::{TENANT_NAMESPACE, tenant_name_fault};
use pgrx::prelude::*;

use crate::error::Fault;
use crate::pg::datum::Text;

/// Returns the uuid of a tenant's name; 22023 for a name that no tenant can have.
#[pg_extern(sql = false)]
fn tenant(name: Text<'_>) -> pgrx::datum::Uuid {
    if let Some(fault) = tenant_name_fault(name.as_str()) {
        Fault::argument(fault).raise();
    }
    of_name(name.as_str())
}

/// Returns the uuid of a tenant's number, which is that of its digits.
#[pg_extern(sql = false)]
fn tenant_of_number(number: i64) -> pgrx::datum::Uuid {
    of_name(&number.to_string())
}

fn of_name(name: &str) -> pgrx::datum::Uuid {
    let namespace = uuid::Uuid::from_bytes(TENANT_NAMESPACE);
    pgrx::datum::Uuid::from_bytes(uuid::Uuid::new_v5(&namespace, name.as_bytes()).into_bytes())
}
