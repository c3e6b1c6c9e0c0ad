//! The pages of the manual, and the SQL blocks in them.

use std::fs;
use std::path::{Path, PathBuf};

/// A Markdown file of the manual.
#[derive(Debug)]
pub(crate) struct Page {
    /// Path below the root of the repository, with slashes.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// A block of SQL and what the page says of it.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// Line of the opening fence.
    pub(crate) line: usize,
    /// The `##` heading above it; empty above the first.
    pub(crate) section: String,
    /// The statements.
    pub(crate) sql: String,
    /// The SQLSTATE that it must end with.
    pub(crate) error: Option<String>,
    /// The end of what psql must print.
    pub(crate) shown: Option<String>,
}

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Reads one page.
pub(crate) fn page(path: &str) -> Page {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    Page { path: path.to_owned(), text }
}

/// Reads all pages: README.md first, then those below `docs/`, then the folders' READMEs.
pub(crate) fn pages() -> Vec<Page> {
    let mut paths = Vec::new();
    find("docs", &mut paths);
    paths.sort();
    let first = ["README.md".to_owned()];
    let folders = ["cli", "clients/javascript", "clients/python", "writer"];
    let last = folders.map(|folder| format!("{folder}/README.md"));
    first.iter().chain(&paths).chain(&last).map(|path| page(path)).collect()
}

fn find(folder: &str, into: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("a type").is_dir() {
            find(&path, into);
        } else if path.ends_with(".md") {
            into.push(path);
        }
    }
}

impl Page {
    /// Returns the SQL blocks in the order in which they run: as they stand on the page, but for
    /// the README's opening block, which shows the log before *Getting started* makes it.
    ///
    /// A block opens with ```` ```sql ```` or ```` ```sql error=42704 ````; a block ```` ```text ````
    /// right below shows the output. A comment that begins with `<!-- sql` holds SQL that readers
    /// do not see: data that the page needs.
    pub(crate) fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut section = String::new();
        let mut is_right_below = false;
        let mut lines = self.text.lines().zip(1..);
        while let Some((text, line)) = lines.next() {
            if let Some(heading) = text.strip_prefix("## ") {
                section = heading.to_owned();
            }
            let (info, end) = match text.strip_prefix("```") {
                Some(info) => (info, "```"),
                None if text == "<!-- sql" => ("sql", "-->"),
                None => {
                    is_right_below &= text.is_empty();
                    continue;
                }
            };
            let body: Vec<&str> =
                lines.by_ref().map(|(text, _)| text).take_while(|text| *text != end).collect();
            let body = body.join("\n");
            match info.split_once(' ').unwrap_or((info, "")) {
                ("sql", mark) => {
                    let error = mark.strip_prefix("error=").map(str::to_owned);
                    assert!(mark.is_empty() || error.is_some(), "{}:{line}: {text}", self.path);
                    let section = section.clone();
                    blocks.push(Block { line, section, sql: body, error, shown: None });
                    is_right_below = end == "```";
                }
                ("text", "") if is_right_below => {
                    blocks.last_mut().expect("it is below a block").shown = Some(tidy(&body));
                    is_right_below = false;
                }
                _ => is_right_below = false,
            }
        }
        if self.path == "README.md" {
            blocks.sort_by_key(|block| block.section.is_empty());
        }
        blocks
    }

    /// Returns the headings outside of code, as `(level, text)`.
    pub(crate) fn headings(&self) -> Vec<(usize, &str)> {
        let mut is_code = false;
        let mut headings = Vec::new();
        for line in self.text.lines() {
            if line.starts_with("```") {
                is_code = !is_code;
            }
            let level = line.bytes().take_while(|byte| *byte == b'#').count();
            if let Some(text) = line[level..].strip_prefix(' ')
                && !is_code
                && level > 0
            {
                headings.push((level, text));
            }
        }
        headings
    }

    /// Returns the text below a `##` heading, until the next one.
    pub(crate) fn section(&self, heading: &str) -> &str {
        let start = format!("\n## {heading}\n");
        let at = self.text.find(&start).unwrap_or_else(|| panic!("{}: no {heading}", self.path));
        let text = &self.text[at + start.len()..];
        &text[..text.find("\n## ").unwrap_or(text.len())]
    }
}

/// Drops what a reader does not see: spaces at the end of lines, empty lines at both ends; and
/// NOTICEs.
pub(crate) fn tidy(text: &str) -> String {
    let lines: Vec<&str> =
        text.lines().map(str::trim_end).filter(|line| !line.starts_with("NOTICE:")).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}
