//! `current_tenant()`.

use pgrx::datum::Uuid;
use pgrx::prelude::*;

use crate::tenant;

/// Returns the tenant of this connection; 42501 if there is none.
#[pg_extern(sql = false)]
fn current_tenant() -> Uuid {
    match tenant::current() {
        Ok(tenant) => Uuid::from_bytes(tenant),
        Err(fault) => fault.raise(),
    }
}
