//! The expanded view, as psql's: a block per row, a line per value.

use super::rows::Rows;
use super::style::{Colours, Style, printable};
use super::terminal::width_of;

const LONGEST_RULE: usize = 60;

/// Writes a block for each row. Values are whole: a longer line is the terminal's to wrap.
pub(super) fn blocks(rows: &Rows, colours: Colours, width: usize) -> String {
    let names: Vec<String> = rows.columns.iter().map(|column| printable(&column.name)).collect();
    let longest = names.iter().map(|name| width_of(name)).max().unwrap_or(0);
    let mut text = String::new();
    for (number, row) in rows.rows.iter().enumerate() {
        let title = format!("─[ {} ]", rows.before + number + 1);
        let rule = "─".repeat(width.min(LONGEST_RULE).saturating_sub(width_of(&title)));
        text += &colours.paint(Style::Dim, &format!("{title}{rule}"));
        text.push('\n');
        for (name, value) in names.iter().zip(row) {
            let room = " ".repeat(longest - width_of(name));
            text += &colours.paint(Style::Name, name);
            let value = printable(value.as_deref().unwrap_or_default());
            let mut lines = value.lines();
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
