//! The commands on the pages are ones that the program has, with options that it takes.

use std::collections::HashMap;
use std::process::Command;

use eventlog_tests::program::eventlog;

use crate::page::{Page, pages};

/// Returns what `eventlog … --help` prints; empty if there is no such command.
fn help(command: &str) -> String {
    let words = command.split(' ').filter(|word| !word.is_empty());
    let output = Command::new(eventlog()).args(words).arg("--help").output().expect("it runs");
    if output.status.success() {
        String::from_utf8(output.stdout).expect("UTF-8")
    } else {
        String::new()
    }
}

/// Returns the calls of the program in the blocks ```` ```sh ```` of a page, with their lines. They may
/// stand behind variables or a pipe.
fn calls(page: &Page) -> Vec<(usize, &str)> {
    let mut calls = Vec::new();
    let mut block = "";
    for (line, number) in page.text.lines().zip(1..) {
        if let Some(info) = line.strip_prefix("```") {
            block = if block.is_empty() && info.is_empty() { "text" } else { info };
        } else if block == "sh" {
            let command = line.split('#').next().unwrap_or_default();
            let parts = command.split(['|', ';']).map(|part| {
                let is_variable = |word: &str| word.contains('=') || word == "$";
                let mut rest = part.trim_start();
                while let Some((word, after)) = rest.split_once(' ')
                    && is_variable(word)
                {
                    rest = after.trim_start();
                }
                rest
            });
            calls.extend(parts.filter(|part| part.starts_with("eventlog ")).map(|it| (number, it)));
        }
    }
    calls
}

/// Returns the words of a call that are options, without values.
fn options(call: &str) -> impl Iterator<Item = &str> {
    let words = call.split([' ', '[', ']', '…', '\'']).filter(|word| word.starts_with("--"));
    words.map(|word| word.split('=').next().expect("one at least"))
}

#[test]
fn the_program_has_every_command_and_option_that_the_pages_call() {
    let mut helps: HashMap<String, String> = HashMap::new();
    let mut wrong = Vec::new();
    let mut checked = 0;
    for page in pages() {
        for (line, call) in calls(&page) {
            let is_word = |word: &&str| word.bytes().all(|c| c.is_ascii_lowercase());
            let words: Vec<&str> = call.split(' ').skip(1).take_while(is_word).collect();
            let command = match words.as_slice() {
                [] => continue,
                ["key", action, ..] => format!("key {action}"),
                [name, ..] => (*name).to_owned(),
            };
            let help = helps.entry(command.clone()).or_insert_with(|| help(&command));
            if help.is_empty() {
                wrong.push(format!("{}:{line}: no command {command}", page.path));
            }
            let unknown = options(call).filter(|option| !help.contains(*option));
            wrong.extend(unknown.map(|it| format!("{}:{line}: {command} has no {it}", page.path)));
            checked += 1;
        }
    }
    assert!(wrong.is_empty(), "{}\n", wrong.join("\n"));
    assert!(checked > 15, "{checked}");
}
