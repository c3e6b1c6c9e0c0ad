//! Colours, and text that is safe on a terminal.

use super::terminal::is_terminal;

/// The style of a piece of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    Dim,
    Bold,
    Name,
    Good,
    Warning,
    Bad,
}

/// Whether to use colours: on a terminal, unless `NO_COLOR` is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Colours(bool);

impl Colours {
    pub(crate) fn of_stdout() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Colours(is_terminal() && !is_unwanted && !is_dumb)
    }

    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Colours(false)
    }

    /// Puts printable text in a style.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Dim => "2",
            Style::Bold => "1",
            Style::Name => "36",
            Style::Good => "32",
            Style::Warning => "33",
            Style::Bad => "31",
        };
        match self.0 && !text.is_empty() {
            true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

/// Replaces control characters, which could steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let is_shown = |c: char| !c.is_control() || c == '\n';
    text.chars().map(|c| if is_shown(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Puts text on one line.
pub(crate) fn one_line(text: &str) -> String {
    printable(text).replace('\n', " ")
}
