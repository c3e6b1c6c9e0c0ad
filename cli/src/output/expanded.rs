//! The expanded view, as psql's: a block per row, a line per value.

use super::rows::{Kind, Rows};
use super::style::{Colours, Style, printable};
use super::terminal::{broken, width_of};

const LONGEST_RULE: usize = 60;

/// Writes a block for each row. Values are whole: the terminal wraps a longer line, and sentences are broken
/// between words.
pub(super) fn blocks(rows: &Rows, colours: Colours, width: usize) -> String {
    let names: Vec<String> = rows.columns.iter().map(|column| printable(&column.name)).collect();
    let longest = names.iter().map(|name| width_of(name)).max().unwrap_or(0);
    let mut text = String::new();
    for (number, row) in rows.rows.iter().enumerate() {
        let title = format!("─[ {} ]", rows.before + number + 1);
        let rule = "─".repeat(width.min(LONGEST_RULE).saturating_sub(width_of(&title)));
        text += &colours.paint(Style::Dim, &format!("{title}{rule}"));
        text.push('\n');
        for ((name, column), value) in names.iter().zip(&rows.columns).zip(row) {
            let room = " ".repeat(longest - width_of(name));
            text += &colours.paint(Style::Name, name);
            let value = printable(value.as_deref().unwrap_or_default());
            let room_for_value = width.saturating_sub(longest + 2);
            let lines = value.lines().flat_map(|line| match column.kind {
                Kind::Prose => broken(line, room_for_value),
                _ => vec![line.to_owned()],
            });
            let mut lines = lines.collect::<Vec<_>>().into_iter();
            match lines.next() {
                Some(line) => text += &format!("{room}  {line}\n"),
                None => text.push('\n'),
            }
            for line in lines {
                text += &format!("{}  {line}\n", " ".repeat(longest));
            }
        }
    }
    text
}
