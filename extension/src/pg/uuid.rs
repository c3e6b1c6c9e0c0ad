//! Uuids as text and as parameters of a statement.

use pgrx::pg_sys;

/// Parses a uuid in the spellings that PostgreSQL takes: 32 hexadecimal digits, optionally with a
/// hyphen after every fourth and braces around.
pub(crate) fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    let text = match text {
        [b'{', inner @ .., b'}'] => inner,
        _ => text,
    };
    let mut uuid = [0u8; 16];
    let mut digits = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte == b'-' {
            let after_a_group = digits > 0 && digits < 32 && digits % 4 == 0;
            if !after_a_group || text[at - 1] == b'-' {
                return None;
            }
            continue;
        }
        let digit = char::from(byte).to_digit(16)?;
        *uuid.get_mut(digits / 2)? |= (digit as u8) << if digits % 2 == 0 { 4 } else { 0 };
        digits += 1;
    }
    (digits == 32).then_some(uuid)
}

/// Returns a uuid as a parameter of a statement; the bytes must outlive it.
pub(crate) fn uuid_datum(uuid: &[u8; 16]) -> pg_sys::Datum {
    pg_sys::Datum::from(uuid.as_ptr())
}
