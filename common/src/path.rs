//! Shortens paths, so that they do not name the user they belong to.

use std::borrow::Cow;

/// Returns a path as it may be stored: `~/` and the rest below a home folder, else the last component.
///
/// Knows the homes of Linux, macOS and Windows (`/home/*`, `/Users/*`, `/root`, `C:\Users\*`, also
/// as WSL and Git Bash write them) and `file://`. Separators come out as `/`; a path with a `..`
/// is cut to its last component, since it may lead anywhere. Shortening twice changes nothing.
///
/// ```
/// use eventlog_common::shorten_path;
/// assert_eq!(shorten_path("/home/user/projects/app"), "~/projects/app");
/// assert_eq!(shorten_path(r"C:\Users\user\projects\app"), "~/projects/app");
/// assert_eq!(shorten_path("/srv/customers/acme/app.log"), "app.log");
/// ```
pub fn shorten_path(path: &str) -> Cow<'_, str> {
    let local = path.strip_prefix("file://").unwrap_or(path);
    let is_windows = is_windows(local);
    let is_separator = |c: char| c == '/' || (is_windows && c == '\\');
    let mut parts = local.split(is_separator).filter(|part| !matches!(*part, "" | "."));
    let Some(last) = parts.clone().next_back() else { return Cow::Borrowed("") };
    let is_absolute = local.starts_with(is_separator) || has_drive(local);
    // A name may hold a `\`, which would separate the next time.
    let last = last.rsplit('\\').find(|part| !part.is_empty()).unwrap_or("");
    let last = if matches!(last, "." | "..") || is_drive(last) { "" } else { last };
    if parts.clone().any(|part| part == "..") {
        return Cow::Borrowed(last);
    }
    if parts.clone().next() == Some("~") {
        parts.next();
    } else if !is_absolute || !skip_home(&mut parts) {
        return Cow::Borrowed(last);
    }
    let mut short = String::from("~");
    for part in parts {
        short.push('/');
        short.push_str(part);
    }
    if short == path { Cow::Borrowed(path) } else { Cow::Owned(short) }
}

/// Returns true if a text is a path from a root: of a file system, of a drive, of a server
/// (`\\server\share`), or after `file://`. A root with at most one name (`/help`, `/`) does not
/// count: it may be a command or a mark, and names no user.
///
/// ```
/// use eventlog_common::is_absolute_path;
/// assert!(is_absolute_path("/home/user"));
/// assert!(!is_absolute_path("/help"));
/// assert!(!is_absolute_path("and/or"));
/// ```
pub fn is_absolute_path(text: &str) -> bool {
    let local = text.strip_prefix("file://").unwrap_or(text);
    let is_windows = has_drive(local) || local.starts_with('\\');
    let is_separator = |c: char| c == '/' || (is_windows && c == '\\');
    if !(local.starts_with(is_separator) || has_drive(local)) {
        return false;
    }
    let mut names = local.split(is_separator).filter(|part| !part.is_empty());
    // A slash before a space separates words, not names.
    let begins_with_name = !local[1..].starts_with(char::is_whitespace);
    begins_with_name && names.nth(1).is_some()
}

/// Returns true if `\` separates: after a drive, in `\\server\share`, and if there is no `/`.
fn is_windows(path: &str) -> bool {
    has_drive(path) || path.starts_with('\\') || !path.contains('/')
}

/// Returns true for a drive, such as `C:`.
fn is_drive(part: &str) -> bool {
    matches!(part.as_bytes(), [letter, b':'] if letter.is_ascii_alphabetic())
}

/// Returns true if the path begins with `C:\`, `C:/` or `/C:/` (of `file:///C:/`).
fn has_drive(path: &str) -> bool {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.get(..2).is_some_and(is_drive) && matches!(path.as_bytes().get(2), Some(b'/' | b'\\'))
}

/// Moves past a home folder if the path begins with one; returns true if it did.
fn skip_home<'a>(parts: &mut (impl Iterator<Item = &'a str> + Clone)) -> bool {
    let mut rest = parts.clone();
    let mut first = rest.next();
    // /mnt/c/Users/… in WSL, /c/Users/… in Git Bash.
    if first == Some("mnt") {
        first = rest.next();
    }
    let is_letter = |part: &str| part.len() == 1 && part.as_bytes()[0].is_ascii_alphabetic();
    if first.is_some_and(|part| is_drive(part) || is_letter(part)) {
        first = rest.next();
    }
    let is_home = match first {
        Some("root") => true,
        Some(part) if part == "home" || part.eq_ignore_ascii_case("users") => rest.next().is_some(),
        _ => false,
    };
    if is_home {
        *parts = rest;
    }
    is_home
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_become_a_tilde_and_the_rest_its_last_component() {
        for (path, short) in [
            ("/home/user/projects/app", "~/projects/app"),
            ("/home/user/", "~"),
            ("/home/user", "~"),
            ("/home", "home"),
            ("/home/", "home"),
            ("/Users/user/Library/x.log", "~/Library/x.log"),
            ("/root/.bashrc", "~/.bashrc"),
            ("/root", "~"),
            ("//home//user//a", "~/a"),
            ("/home/./user/a/./b", "~/a/b"),
            (r"C:\Users\user\projects\app", "~/projects/app"),
            (r"c:\users\user\projects\app\", "~/projects/app"),
            ("C:/Users/user/projects/app", "~/projects/app"),
            (r"C:\Users\user", "~"),
            (r"C:\Program Files\App\app.exe", "app.exe"),
            (r"D:\secret\customer.txt", "customer.txt"),
            (r"C:\", ""),
            ("C:", ""),
            (r"\\server\share\dir\file.txt", "file.txt"),
            ("/mnt/c/Users/user/app", "~/app"),
            ("/c/Users/user/app", "~/app"),
            ("file:///home/user/app", "~/app"),
            ("file:///C:/Users/user/app", "~/app"),
            ("/srv/customers/acme/app.log", "app.log"),
            ("/etc", "etc"),
            ("/", ""),
            ("", ""),
            (".", ""),
            ("..", ""),
            ("/home/user/../other/secret", "secret"),
            ("/home/user/..", ""),
            ("~/projects/app", "~/projects/app"),
            ("~", "~"),
            (r"~\projects\app", "~/projects/app"),
            ("~other/projects/app", "app"),
            ("projects/app", "app"),
            (r"projects\app", "app"),
            ("home/user/app", "app"),
            ("app", "app"),
            (r"/home/user/odd\name", r"~/odd\name"),
            ("/home/ü/ä/ö", "~/ä/ö"),
            ("/homes/user/app", "app"),
            ("not a path at all", "not a path at all"),
        ] {
            assert_eq!(shorten_path(path), short, "{path}");
        }
    }

    #[test]
    fn a_path_is_absolute_where_it_names_more_than_its_root() {
        for path in [
            "/home/user",
            "/Users/jane doe/x",
            "//server/share",
            r"\\server\share\f.txt",
            "file:///home/user/app",
            r"C:\Users\user",
            "C:/x",
            "/srv/customers/acme/app.log",
        ] {
            assert!(is_absolute_path(path), "{path}");
        }
        for text in [
            "",
            "/",
            "/help",
            "/ or so/",
            "and/or",
            "~/projects/app",
            "app",
            "https://example.com/a/b",
            "./a/b",
            "C:",
            r"a\b",
            "\u{e9}/b/c",
            "file://",
            "1/2/3",
        ] {
            assert!(!is_absolute_path(text), "{text}");
        }
    }

    #[test]
    fn what_was_shortened_is_no_absolute_path() {
        for path in [
            "/home/user/a/b",
            "/srv/a/b",
            r"C:\x\y",
            r"\\server\share\f",
            "file:///root/x",
            r"/a/b\c\d",
            "/a/b/C:",
        ] {
            assert!(!is_absolute_path(&shorten_path(path)), "{path}");
        }
    }

    #[test]
    fn shortening_twice_changes_nothing() {
        let parts = [
            "", "/", "\\", "~", ".", "..", "home", "Users", "root", "u", "C:", "mnt", "c",
            "file://",
        ];
        for a in parts {
            for b in parts {
                for c in parts {
                    for d in parts {
                        for e in parts {
                            let path = format!("{a}{b}{c}{d}{e}");
                            let once = shorten_path(&path).into_owned();
                            assert_eq!(shorten_path(&once), once, "{path}");
                        }
                    }
                }
            }
        }
    }
}
