//! How deep JSON is nested, found byte by byte without parsing it.

/// Counts the brackets that are open, outside of strings.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Depth {
    open: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Depth {
    /// Takes the next byte; returns the number of objects and arrays that are open after it.
    pub(crate) fn next(&mut self, byte: u8) -> usize {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' if self.is_in_string => self.is_escaped = true,
            b'"' => self.is_in_string = !self.is_in_string,
            b'{' | b'[' if !self.is_in_string => self.open += 1,
            b'}' | b']' if !self.is_in_string => self.open = self.open.saturating_sub(1),
            _ => {}
        }
        self.open
    }
}

/// Returns true if the text ever nests deeper than `most`.
pub(crate) fn exceeds(json: &str, most: usize) -> bool {
    let mut depth = Depth::default();
    json.bytes().any(|byte| depth.next(byte) > most)
}

#[cfg(test)]
mod tests {
    use super::exceeds;

    #[test]
    fn depth_counts_brackets_outside_of_strings() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!exceeds(&nested(100), 100) && exceeds(&nested(101), 100));
        assert!(!exceeds(&format!(r#"{{"a":"{}"}}"#, r#"[\"{"#.repeat(200)), 100));
        assert!(!exceeds(&"[],".repeat(1000), 100));
        assert!(exceeds(&format!(r#"{{"\\":{}"#, "[".repeat(100)), 100));
    }
}
