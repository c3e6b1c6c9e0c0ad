//! Text of the log inside of generated code: in comments and in strings.

/// Returns true for a character that a reader does not see, or that changes the order or the lines of
/// what is around it: such characters are left out of comments and escaped in strings.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns the lines of a description as a comment shows them, or of the second text if it is empty.
pub(super) fn lines(text: &str, otherwise: &str) -> Vec<String> {
    let shown = |text: &str| -> Vec<String> {
        let text = text.replace("\r\n", "\n");
        let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
        let line = |line: &str| {
            let line: String = line.chars().filter(|c| *c == '\t' || !is_hidden(*c)).collect();
            line.replace('\t', " ").trim_end().to_owned()
        };
        let mut lines: Vec<String> = lines.map(line).collect();
        lines.dedup_by(|a, b| a.is_empty() && b.is_empty());
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines.truncate(end);
        lines.drain(..lines.iter().position(|line| !line.is_empty()).unwrap_or(0));
        lines
    };
    let lines = shown(text);
    if lines.is_empty() { shown(otherwise) } else { lines }
}

/// Writes a string in double quotes, for TypeScript and Python; `escaped` writes a character that is
/// not shown.
pub(super) fn quoted(text: &str, escaped: impl Fn(u32) -> String) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if is_hidden(c) => quoted.push_str(&escaped(u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn comments_have_the_lines_of_a_description_and_nothing_hidden() {
        assert_eq!(lines("\r\n A.\u{0}\r\n\r\n\n\u{202e}B\tc \u{2028}", "x"), [" A.", "", "B c"]);
        assert_eq!(lines(" \n\u{feff}", "x"), ["x"]);
    }
}
