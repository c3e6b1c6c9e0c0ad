//! Receipts of events that are gone.

use eventlog_seal::Hash;
use eventlog_seal::record::Receipt;
use serde::Deserialize;
use uuid::Uuid;

use crate::seals::document::Day;

/// A receipt: it says which events of a tenant were let go.
#[derive(Deserialize)]
pub(super) struct ReceiptDocument {
    pub(super) tenant_id: Uuid,
    pub(super) id: i64,
    first_day: Day,
    last_day: Day,
    pub(super) events: i64,
    call: String,
    role_name: String,
    at: i64,
    /// Nothing until the next day is sealed.
    pub(super) digest: Option<i64>,
}

impl ReceiptDocument {
    /// Returns the leaf of the receipt below its digest.
    pub(super) fn hash(&self) -> Hash {
        Receipt {
            tenant_id: self.tenant_id.into_bytes(),
            id: self.id,
            first_day: self.first_day.0,
            last_day: self.last_day.0,
            events: self.events,
            call: &self.call,
            role_name: &self.role_name,
            at: self.at,
        }
        .hash()
    }
}
