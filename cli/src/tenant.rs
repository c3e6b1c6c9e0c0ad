//! Tenants as a person types them: a uuid, or a name.

use eventlog_common::{ALL_TENANTS, TENANT_NAMESPACE, tenant_name_fault};
use uuid::Uuid;

/// The tenant that stands for all tenants in reports.
pub(crate) const ALL: Uuid = Uuid::from_bytes(ALL_TENANTS);

/// Reads a tenant: a uuid, or a name, which means what `eventlog.tenant('NAME')` returns.
pub(crate) fn parse(text: &str) -> Result<Uuid, String> {
    if let Ok(uuid) = text.parse::<Uuid>() {
        return Ok(uuid);
    }
    if let Some(digits) = mistyped(text) {
        return Err(format!("a uuid has 32 hexadecimal digits, this has {digits}"));
    }
    match tenant_name_fault(text) {
        Some(fault) => Err(fault),
        None => Ok(Uuid::new_v5(&Uuid::from_bytes(TENANT_NAMESPACE), text.as_bytes())),
    }
}

/// Checks a tenant that is stored with its name, and returns what was typed.
pub(crate) fn checked(text: &str) -> Result<String, String> {
    parse(text).map(|_| text.to_owned())
}

/// Returns the number of digits of a text that can only be a uuid with digits missing or too many: as
/// a name it would be a tenant without events.
fn mistyped(text: &str) -> Option<usize> {
    let is_alike = text.bytes().filter(|byte| *byte == b'-').count() == 4
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit());
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    (is_alike && digits >= 24).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::{ALL, parse};

    #[test]
    fn a_tenant_is_a_uuid_or_a_name_and_a_mistyped_uuid_is_neither() {
        let uuid = "11111111-1111-4111-8111-111111111111";
        assert_eq!(parse(uuid).unwrap().to_string(), uuid);
        assert_eq!(parse(&uuid.replace('-', "")).unwrap().to_string(), uuid);
        // As Python's uuid.uuid5(UUID('4ff0c3e4-e05c-591f-8568-2b020f360136'), 'acme').
        assert_eq!(parse("acme").unwrap().to_string(), "0f2e1c2c-da19-5661-a994-1da2d67b38a3");
        assert_ne!(parse("acme"), parse("Acme"));
        assert_ne!(parse("all").unwrap(), ALL);
        for wrong in ["", "a\nb", &uuid[1..], &format!("{uuid}1"), &"n".repeat(201)] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        for name in ["cafe", "a-b-c-d-e", "42", "Müller & Söhne"] {
            assert!(parse(name).is_ok(), "{name}");
        }
    }
}
