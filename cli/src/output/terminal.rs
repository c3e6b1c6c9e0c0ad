//! The terminal, and the room that text takes on it.

use std::env;
use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const USUAL_WIDTH: usize = 80;
const USUAL_HEIGHT: usize = 24;

/// Returns true if standard output is a terminal.
pub(crate) fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns the number of columns: COLUMNS, or else the terminal's, as in psql.
pub(crate) fn width() -> usize {
    let found = tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    asked("COLUMNS").or(found.filter(|columns| *columns > 0)).unwrap_or(USUAL_WIDTH)
}

/// Returns the number of lines of the terminal.
pub(crate) fn height() -> usize {
    let found = tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_row));
    asked("LINES").or(found.filter(|lines| *lines > 0)).unwrap_or(USUAL_HEIGHT)
}

fn asked(variable: &str) -> Option<usize> {
    env::var(variable).ok()?.trim().parse().ok().filter(|number| *number > 0)
}

/// Returns the columns that text takes.
pub(crate) fn width_of(text: &str) -> usize {
    text.width()
}

/// Shortens text to a width, with an ellipsis for what is left out.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut left = width.saturating_sub(1);
    let fits = |c: &char| {
        let columns = c.width().unwrap_or(0);
        let fits = columns <= left;
        left = left.saturating_sub(columns);
        fits
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    if width > 0 {
        shown.push('…');
    }
    shown
}

/// Shortens an id in its middle: both ends help to find it.
pub(crate) fn cut_middle(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let head = cut(text, width / 2 + 1);
    let mut left = width.saturating_sub(width_of(&head));
    let fits = |c: &char| {
        let columns = c.width().unwrap_or(0);
        let fits = columns <= left;
        left = left.saturating_sub(columns);
        fits
    };
    let mut tail: Vec<char> = text.chars().rev().take_while(fits).collect();
    tail.reverse();
    head + &tail.into_iter().collect::<String>()
}

/// Breaks a line between words. A longer word gets a line of its own.
pub(crate) fn broken(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        let last = lines
            .last_mut()
            .filter(|last| last.is_empty() || width_of(last) + 1 + width_of(word) <= width);
        match last {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) => *last += &format!(" {word}"),
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_to_a_width_in_columns() {
        assert_eq!(cut("abcdef", 6), "abcdef");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("abc", 0), "");
        assert_eq!(cut_middle("0123456789", 6), "012…89");
        assert_eq!(cut_middle("0123", 4), "0123");
    }
}
