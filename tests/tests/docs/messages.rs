//! What docs/troubleshooting.md quotes is what users see.

use std::fs;
use std::path::Path;

use crate::page::{page, root};

/// Reads the sources below a folder, with the line breaks inside strings and the escapes taken out.
fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            read(&path, into);
        } else if name.ends_with(".rs") || name.ends_with(".sql") {
            let text = fs::read_to_string(&path).expect("UTF-8");
            into.extend(text.split("\\\n").map(str::trim_start));
        }
    }
}

/// Returns the messages that the first column of each table quotes as code, with their lines.
fn quoted(text: &str) -> Vec<(usize, &str)> {
    let rows = text.lines().zip(1..).filter(|(line, _)| line.starts_with("| "));
    rows.flat_map(|(line, number)| {
        let cell = line.split(" | ").next().expect("one at least");
        cell.split('`').skip(1).step_by(2).map(move |message| (number, message))
    })
    .collect()
}

#[test]
fn every_message_quoted_as_the_logs_own_is_in_the_sources() {
    let mut sources = String::new();
    for folder in ["extension/src", "sql", "seal/src", "cli/src"] {
        read(&root().join(folder), &mut sources);
    }
    let sources = sources.replace("\\\"", "\"").replace("''", "'");
    let page = page("docs/troubleshooting.md");
    // Columns of views, routes and functions are quoted too; a message has several words.
    let messages = quoted(&page.text);
    let messages = messages.into_iter().filter(|(_, message)| message.contains(' '));
    let mut checked = 0;
    for (line, message) in messages {
        for part in message.split('…').map(str::trim).filter(|part| part.len() > 3) {
            assert!(sources.contains(part), "{}:{line}: nothing says {part:?}", page.path);
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}
