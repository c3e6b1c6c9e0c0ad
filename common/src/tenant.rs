//! Tenants that are known by a name: the uuid of a name is version 5 (RFC 9562), in a namespace of the
//! log's own, so that the server and every client compute the same one.

/// The namespace of names of tenants: version 5 of `tenant.eventlog` in the namespace of DNS.
pub const TENANT_NAMESPACE: [u8; 16] = [
    0x4f, 0xf0, 0xc3, 0xe4, 0xe0, 0x5c, 0x59, 0x1f, 0x85, 0x68, 0x2b, 0x02, 0x0f, 0x36, 0x01, 0x36,
];

/// The tenant that stands for all tenants in reports. It has no events.
pub const ALL_TENANTS: [u8; 16] = [0xff; 16];

/// Longest name of a tenant, in characters.
pub const TENANT_NAME_CHARACTERS: usize = 200;

/// Returns what is wrong with a name of a tenant, if anything.
///
/// ```
/// assert_eq!(eventlog_common::tenant_name_fault("acme"), None);
/// assert!(eventlog_common::tenant_name_fault("").is_some());
/// assert!(eventlog_common::tenant_name_fault("a\nb").is_some());
/// ```
pub fn tenant_name_fault(name: &str) -> Option<String> {
    let characters = name.chars().count();
    if characters == 0 || characters > TENANT_NAME_CHARACTERS {
        return Some(format!(
            "the name of a tenant has {characters} characters, limit 1 to {TENANT_NAME_CHARACTERS}"
        ));
    }
    name.chars()
        .any(char::is_control)
        .then(|| "the name of a tenant has a control character".to_owned())
}
