//! Files that libpq reads: the service file and the password file.

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::conninfo::{Parameters, take};
use crate::output::{Failure, warn};

/// Returns the path of a file in the user's home.
pub(super) fn in_home(name: &str) -> Option<PathBuf> {
    env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(name))
}

/// Adds the parameters of a service.
pub(super) fn take_service(
    parameters: &mut Parameters,
    service: &str,
    file: Option<&Path>,
) -> Result<(), Failure> {
    let own = file.map(Path::to_owned).or_else(|| in_home(".pg_service.conf"));
    let system = env::var_os("PGSYSCONFDIR").map(PathBuf::from);
    let system = system.unwrap_or_else(|| PathBuf::from("/etc/postgresql-common"));
    for path in own.into_iter().chain([system.join("pg_service.conf")]) {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // A file that was named must exist.
            Err(error) if file == Some(path.as_path()) => {
                return Err(Failure::new(format!("cannot read {}: {error}", path.display())));
            }
            Err(_) => continue,
        };
        if take_section(parameters, &text, service, &path)? {
            return Ok(());
        }
    }
    Err(Failure::new(format!("there is no service {service:?}"))
        .hint("~/.pg_service.conf, or the file that PGSERVICEFILE names"))
}

/// Adds the parameters of a section. Returns false if the file does not have it.
fn take_section(
    parameters: &mut Parameters,
    text: &str,
    service: &str,
    path: &Path,
) -> Result<bool, Failure> {
    let mut is_found = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let place = format!("{}, line {}", path.display(), number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.split_once(']')) {
            if is_found {
                break;
            }
            is_found = name.0 == service;
        } else if is_found {
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| Failure::new(format!("{place}: the line has no =")))?;
            if name == "service" || name == "servicefile" {
                return Err(Failure::new(format!("{place}: a service cannot name another")));
            }
            take(parameters, &place, name, value)?;
        }
    }
    Ok(is_found)
}

/// Returns the password from the password file, if it has a matching line. Like libpq, it ignores a file
/// that others can read, with a warning.
pub(super) fn password(file: Option<&Path>, of: [&str; 4]) -> Option<String> {
    let path = file.map(Path::to_owned).or_else(|| in_home(".pgpass"))?;
    let metadata = fs::metadata(&path).ok()?;
    if !metadata.is_file() {
        warn(&format!("the password file {} is no plain file", path.display()), None);
        return None;
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        let message = format!("the password file {path} is passed over: others may read it");
        warn(&message, Some(&format!("chmod 600 {path}")));
        return None;
    }
    find_password(&fs::read_to_string(&path).ok()?, of)
}

/// Returns the password of the first line that matches host, port, database and user.
fn find_password(text: &str, of: [&str; 4]) -> Option<String> {
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut fields = vec![(String::new(), false)];
        let mut rest = line.chars();
        while let Some(c) = rest.next() {
            if c == ':' && fields.len() < 5 {
                fields.push((String::new(), false));
                continue;
            }
            let field = fields.last_mut()?;
            match c {
                '\\' => {
                    field.0.extend(rest.next());
                    field.1 = true;
                }
                c => field.0.push(c),
            }
        }
        let (password, names) = fields.split_last()?;
        let fits = |(field, name): (&(String, bool), &str)| {
            (field.0 == "*" && !field.1) || field.0 == name
        };
        (names.len() == 4 && names.iter().zip(of).all(fits)).then(|| password.0.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_password_file_that_fits_counts() {
        let text = "# h:1:d:u:no\nh:1:other:u:no\nh:*:d:u:with\\:colon\n*:*:*:*:last:one";
        let find = |of| find_password(text, of);
        assert_eq!(find(["h", "1", "d", "u"]).as_deref(), Some("with:colon"));
        assert_eq!(find(["x", "1", "d", "u"]).as_deref(), Some("last:one"));
        assert_eq!(find_password("a:b:c", ["a", "b", "c", ""]), None);
    }

    #[test]
    fn a_service_is_a_section_up_to_the_next() {
        let text = "[a]\nhost=one\n# x\n\n[b]\nhost=two\nport=7\n[c]\nhost=three\nwrong=1\n";
        let read = |service| {
            let mut parameters = Parameters::new();
            take_section(&mut parameters, text, service, Path::new("f"))
                .map(|is| (is, parameters.len()))
        };
        assert_eq!(read("b").ok(), Some((true, 2)));
        assert_eq!(read("d").ok(), Some((false, 0)));
        assert!(read("c").is_err_and(|failure| failure.to_string().contains("f, line 10")));
    }
}
