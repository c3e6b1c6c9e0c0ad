//! The value of `eventlog.tenant_id`.

use crate::pg::uuid::parse_uuid;

/// The value of `eventlog.tenant_id`, parsed when it is assigned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TenantSetting {
    Unset,
    Malformed,
    Tenant([u8; 16]),
}

/// Parses the value of `eventlog.tenant_id`.
pub(crate) fn parse(text: &[u8]) -> TenantSetting {
    match text.trim_ascii() {
        b"" => TenantSetting::Unset,
        text => parse_uuid(text).map_or(TenantSetting::Malformed, TenantSetting::Tenant),
    }
}
