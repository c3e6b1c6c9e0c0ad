//! The list of `eventlog.databases`.

use std::ffi::CString;

use pgrx::pg_sys;

/// Parses names separated by commas. A name that contains a comma or a quote (written twice), or a
/// space at an end, is in double quotes. `Err` is the reason for DETAIL.
pub(crate) fn parse(list: &[u8]) -> Result<Vec<CString>, String> {
    const LONGEST: usize = pg_sys::NAMEDATALEN as usize - 1;
    let mut names: Vec<CString> = Vec::new();
    let mut rest = list.trim_ascii();
    while !rest.is_empty() {
        let mut name = Vec::new();
        if let Some(quoted) = rest.strip_prefix(b"\"") {
            rest = quoted;
            loop {
                let Some(end) = rest.iter().position(|byte| *byte == b'"') else {
                    return Err("A double quote is not closed.".to_owned());
                };
                name.extend_from_slice(&rest[..end]);
                rest = &rest[end + 1..];
                let Some(after) = rest.strip_prefix(b"\"") else { break };
                name.push(b'"');
                rest = after;
            }
            rest = rest.trim_ascii_start();
        } else {
            let end = rest.iter().position(|byte| *byte == b',').unwrap_or(rest.len());
            name.extend_from_slice(rest[..end].trim_ascii());
            rest = &rest[end..];
        }
        if name.is_empty() {
            return Err("A name is empty.".to_owned());
        }
        if name.len() > LONGEST {
            return Err(format!("A name has {} bytes, the limit is {LONGEST}.", name.len()));
        }
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after.trim_ascii_start();
            if rest.is_empty() {
                return Err("A name is missing after the last comma.".to_owned());
            }
        } else if !rest.is_empty() {
            return Err("There must be a comma after a name in double quotes.".to_owned());
        }
        let name = CString::new(name).map_err(|_| "A name holds a zero byte.".to_owned())?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}
