//! A table, if it fits the terminal.

use super::rows::{Column, Kind, Rows};
use super::style::{Colours, Style, printable};
use super::terminal::{broken, width_of};

/// Between two columns.
const GAP: &str = "  ";
/// The least width to which a column of sentences is broken.
const NARROWEST: usize = 20;

/// Returns true if a table of the rows fits a width.
pub(crate) fn fits(rows: &Rows, width: usize) -> bool {
    widths(rows, true, width).is_some()
}

/// Writes a table, or returns `None` if it is wider than the terminal. Values are never broken or cut,
/// except for sentences, which are broken between words.
pub(super) fn fitting(
    rows: &Rows,
    has_header: bool,
    colours: Colours,
    width: usize,
) -> Option<String> {
    let widths = widths(rows, has_header, width)?;
    let mut text = String::new();
    if has_header {
        let names = rows.columns.iter().map(|column| vec![printable(&column.name)]).collect();
        push_row(&mut text, rows, &widths, names, |name| colours.paint(Style::Bold, name));
        let rules = widths.iter().map(|width| vec!["─".repeat(*width)]).collect();
        push_row(&mut text, rows, &widths, rules, |rule| colours.paint(Style::Dim, rule));
    }
    for row in &rows.rows {
        let cells = row.iter().zip(&rows.columns).zip(&widths);
        let cells = cells.map(|((value, column), width)| lines(column, value, *width)).collect();
        push_row(&mut text, rows, &widths, cells, str::to_owned);
    }
    Some(text)
}

/// Returns the width of each column, or `None` if they do not fit.
fn widths(rows: &Rows, has_header: bool, width: usize) -> Option<Vec<usize>> {
    let natural = |(place, column): (usize, &Column)| {
        let header = if has_header { width_of(&column.name) } else { 0 };
        let values = rows.rows.iter().filter_map(|row| row.get(place)?.as_deref());
        let lines = values.flat_map(str::lines).map(|line| width_of(&printable(line)));
        lines.chain([header]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = rows.columns.iter().enumerate().map(natural).collect();
    let total = |widths: &[usize]| {
        widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
    };
    // The widest column of sentences gives way first.
    while total(&widths) > width {
        let prose = rows.columns.iter().enumerate().filter(|(_, c)| c.kind == Kind::Prose);
        let (place, _) = prose.max_by_key(|(place, _)| widths[*place])?;
        if widths[place] <= NARROWEST {
            return None;
        }
        let over = total(&widths) - width;
        widths[place] = widths[place].saturating_sub(over).max(NARROWEST);
    }
    Some(widths)
}

/// Returns the lines of a value.
fn lines(column: &Column, value: &Option<String>, width: usize) -> Vec<String> {
    let text = printable(value.as_deref().unwrap_or_default());
    match column.kind {
        Kind::Prose => text.lines().flat_map(|line| broken(line, width)).collect(),
        _ => text.lines().map(str::to_owned).collect(),
    }
}

fn push_row(
    text: &mut String,
    rows: &Rows,
    widths: &[usize],
    cells: Vec<Vec<String>>,
    paint: impl Fn(&str) -> String,
) {
    let height = cells.iter().map(Vec::len).max().unwrap_or(1).max(1);
    for line in 0..height {
        let mut shown = String::new();
        // Blanks wait until something follows them, so that no line ends with any.
        let mut blanks = 0;
        for ((column, width), cell) in rows.columns.iter().zip(widths).zip(&cells) {
            let value = cell.get(line).map_or("", String::as_str);
            let room = width.saturating_sub(width_of(value));
            let (before, after) = if column.kind == Kind::Number { (room, 0) } else { (0, room) };
            if !value.is_empty() {
                shown += &" ".repeat(blanks + before);
                shown += &paint(value);
                blanks = 0;
            } else {
                blanks += before;
            }
            blanks += after + GAP.len();
        }
        text.push_str(&shown);
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Rows {
        let mut rows = Rows::new(&[("id", Kind::Text), ("n", Kind::Number), ("why", Kind::Prose)]);
        let row = |id: &str, n: &str, why: &str| {
            vec![Some(id.to_owned()), Some(n.to_owned()), Some(why.to_owned())]
        };
        rows.rows.push(row("a", "1", "one two three four five six seven"));
        rows.rows.push(row("日本", "-100.5", ""));
        rows
    }

    #[test]
    fn sentences_are_broken_between_words_and_numbers_stand_under_each_other() {
        let wide = fitting(&rows(), true, Colours::none(), 80).unwrap();
        assert_eq!(
            wide,
            "id         n  why\n\
             ────  ──────  ─────────────────────────────────\n\
             a          1  one two three four five six seven\n\
             日本  -100.5\n"
        );
        let narrow = fitting(&rows(), false, Colours::none(), 40).unwrap();
        assert_eq!(
            narrow,
            "a          1  one two three four five\n              six seven\n日本  -100.5\n"
        );
        assert!(fitting(&rows(), true, Colours::none(), 33).is_none());
    }
}
