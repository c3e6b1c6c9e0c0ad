//! Files and folders that the pages name are there.

use crate::page::{Page, page, pages, root};

/// Rooms of the repository: code in text that begins with one of these is a path in it.
const ROOMS: &[&str] = &[
    "bench/",
    "cli/",
    "clients/",
    "common/",
    "demo/",
    "docs/",
    "extension/",
    "packaging/",
    "scripts/",
    "sql/",
    "tests/",
    "writer/",
];

/// Returns the paths that a page names as code, with their lines. `NAME` stands for any.
fn paths(page: &Page) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut paths = Vec::new();
    for (line, number) in page.text.lines().zip(1..) {
        is_code ^= line.starts_with("```");
        if is_code {
            continue;
        }
        let code = line.split('`').skip(1).step_by(2);
        let path = code.filter(|code| {
            let is_of_path = |c: char| c.is_ascii_alphanumeric() || "/_-.".contains(c);
            ROOMS.iter().any(|room| code.starts_with(room))
                && code.chars().all(is_of_path)
                && !code.contains("NAME")
        });
        paths.extend(path.map(|path| (number, path)));
    }
    paths
}

#[test]
fn every_path_that_a_page_names_is_there() {
    let mut wrong = Vec::new();
    let mut checked = 0;
    let beside = ["CONTRIBUTING.md", "SECURITY.md", "packaging/README.md", "sql/README.md"];
    for page in pages().into_iter().chain(beside.into_iter().map(page)) {
        for (line, path) in paths(&page) {
            if !root().join(path).exists() {
                wrong.push(format!("{}:{line}: no {path}", page.path));
            }
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    assert!(checked > 30, "{checked}");
}
