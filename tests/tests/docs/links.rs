//! Every link leads somewhere, and the index has every page.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use crate::page::{Page, page, pages, root};

/// Returns the anchor that GitHub gives to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the anchors of a page; a heading that comes twice has a number from the second on.
fn anchors(page: &Page) -> HashSet<String> {
    let mut anchors = HashSet::new();
    for (_, heading) in page.headings() {
        let name = anchor(heading);
        let numbered = (1..).map(|number| format!("{name}-{number}"));
        let free = std::iter::once(name.clone()).chain(numbered).find(|it| !anchors.contains(it));
        anchors.insert(free.expect("one is free"));
    }
    anchors
}

/// Returns the targets of the links `[text](target)` outside of code blocks, with their lines.
fn targets(page: &Page) -> Vec<(usize, &str)> {
    let mut is_code = false;
    let mut targets = Vec::new();
    for (line, number) in page.text.lines().zip(1..) {
        is_code ^= line.starts_with("```");
        if is_code {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().expect("one at least");
            targets.push((number, target));
        }
    }
    targets
}

/// Resolves `..` in a path without asking the file system.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(normal.pop(), "{}", path.display()),
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn every_relative_link_and_anchor_exists() {
    let mut wrong = Vec::new();
    let beside = ["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"];
    let beside = beside.into_iter().filter(|path| root().join(path).exists()).map(page);
    for page in pages().into_iter().chain(beside) {
        for (line, target) in targets(&page) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&page.path).parent().expect("a file");
            let path = if path.is_empty() { page.path.clone().into() } else { folder.join(path) };
            let path = normal(&path);
            if !root().join(&path).exists() {
                wrong.push(format!("{}:{line}: no file {target}", page.path));
            } else if !anchor.is_empty() {
                let there = crate::page::page(&path.to_string_lossy());
                if !anchors(&there).contains(anchor) {
                    wrong.push(format!("{}:{line}: no heading {target}", page.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
}

#[test]
fn the_index_has_every_page_below_docs() {
    let index = page("docs/README.md");
    let linked: HashSet<&str> = targets(&index).into_iter().map(|(_, target)| target).collect();
    for page in pages() {
        if let Some(path) = page.path.strip_prefix("docs/")
            && path != "README.md"
        {
            assert!(linked.contains(path), "docs/README.md does not name {path}");
        }
    }
}
