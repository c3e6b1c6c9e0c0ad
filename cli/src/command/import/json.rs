//! JSON: one object per line, or an array of objects. Payloads are passed on as they are, with every digit
//! of their numbers.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::input::Input;
use super::row::Row;
use crate::json_depth::Depth;
use crate::output::Failure;

/// The text of an object, with the line that it begins in.
pub(super) type Object = (u64, Vec<u8>);

/// Unknown keys are refused: a misspelt one would go unnoticed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Columns<'a> {
    id: Option<i64>,
    tenant_id: Option<String>,
    name: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    actor: Option<String>,
    subject: Option<String>,
    occurred_at: Option<String>,
    created_at: Option<String>,
    #[serde(borrow)]
    weight: Option<&'a RawValue>,
}

/// Reads an event with the columns of `eventlog export`.
pub(super) fn row(text: &[u8]) -> Result<Row, String> {
    let object: Columns<'_> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let raw = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
    Ok(Row([
        object.id.map(|id| id.to_string()),
        object.tenant_id,
        object.name,
        raw(object.data),
        object.actor,
        object.subject,
        object.occurred_at,
        object.created_at,
        raw(object.weight),
    ]))
}

/// One object per line; empty lines are skipped.
#[derive(Default)]
pub(super) struct Lines {
    text: Vec<u8>,
}

impl Lines {
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Object>, Failure> {
        loop {
            self.text.clear();
            if !input.line(&mut self.text)? {
                return Ok(None);
            }
            if !self.text.trim_ascii().is_empty() {
                return Ok(Some((input.line, std::mem::take(&mut self.text))));
            }
        }
    }
}

/// An array, of which one object at a time is in memory.
#[derive(Default)]
pub(super) struct Array {
    state: State,
    /// Bytes read ahead, and how many of them are used.
    text: Vec<u8>,
    at: usize,
    /// Line ends so far.
    lines: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum State {
    #[default]
    Before,
    /// After `[`: an object, or the end.
    First,
    /// After an object: a comma, or the end.
    Behind,
    /// After a comma: an object.
    Next,
    After,
}

impl Array {
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<Object>, Failure> {
        loop {
            let Some(byte) = self.byte(input)? else {
                return match self.state {
                    State::After => Ok(None),
                    _ => Err(self.unexpected("the end of the file")),
                };
            };
            self.state = match (self.state, byte) {
                (state, b' ' | b'\t' | b'\r' | b'\n') => state,
                (State::Before, b'[') => State::First,
                (State::First | State::Behind, b']') => State::After,
                (State::Behind, b',') => State::Next,
                (State::First | State::Next, b'{') => {
                    let line = self.lines + 1;
                    let object = self.object(input)?;
                    self.state = State::Behind;
                    return Ok(Some((line, object)));
                }
                _ => return Err(self.unexpected(&format!("{:?}", char::from(byte)))),
            };
        }
    }

    /// Reads the rest of an object whose first brace is read; returns all of it.
    fn object(&mut self, input: &mut Input) -> Result<Vec<u8>, Failure> {
        let mut start = self.at - 1;
        let mut depth = Depth::default();
        depth.next(b'{');
        loop {
            if self.at == self.text.len() {
                drop(self.text.drain(..start));
                (self.at, start) = (self.at - start, 0);
                if !input.chunk(&mut self.text)? {
                    return Err(self.unexpected("the end of the file"));
                }
            }
            let byte = self.text[self.at];
            self.at += 1;
            self.lines += u64::from(byte == b'\n');
            if depth.next(byte) == 0 {
                return Ok(self.text[start..self.at].to_vec());
            }
        }
    }

    fn byte(&mut self, input: &mut Input) -> Result<Option<u8>, Failure> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            if !input.chunk(&mut self.text)? {
                return Ok(None);
            }
        }
        let byte = self.text[self.at];
        self.at += 1;
        self.lines += u64::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn unexpected(&self, found: &str) -> Failure {
        let wanted = match self.state {
            State::Before => "an array, [",
            State::First | State::Next => "an object, {",
            State::Behind => "a comma, or the end of the array, ]",
            State::After => "nothing more",
        };
        Failure::new(format!("line {}: found {found} instead of {wanted}", self.lines + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::{Array, Lines, row};
    use crate::command::import::input::Input;

    fn names(text: &'static str) -> Result<Vec<(u64, Option<String>)>, String> {
        let (mut input, mut array) = (Input::of(text.as_bytes()), Array::default());
        let mut names = Vec::new();
        while let Some((line, object)) =
            array.next(&mut input).map_err(|error| error.to_string())?
        {
            names.push((line, row(&object).ok().and_then(|row| row.0[2].clone())));
        }
        Ok(names)
    }

    #[test]
    fn an_array_is_read_an_object_at_a_time() {
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(names(" [ ]\n"), Ok(Vec::new()));
        assert_eq!(
            names(
                "[{\"name\": \"a\"},{\"name\":\n\"}]\\\"{\", \"data\": {\"a\": [{}]}}\n\n,\n{bad},{\"name\":\"\\\\\"}]"
            ),
            Ok(vec![(1, some("a")), (1, some("}]\"{")), (5, None), (5, some("\\"))])
        );
    }

    #[test]
    fn what_is_no_array_of_objects_is_told_with_its_line() {
        for (text, what) in [
            ("", "line 1: found the end"),
            ("{}", "line 1: found '{' instead of an array"),
            ("[1]", "line 1: found '1' instead of an object"),
            ("[{},]", "line 1: found ']' instead of an object"),
            ("[\n{}\n{}]", "line 3: found '{' instead of a comma"),
            ("[{}] x", "line 1: found 'x' instead of nothing more"),
            ("[{\"a\": \"", "line 1: found the end"),
        ] {
            let said = names(text).unwrap_err();
            assert!(said.contains(what), "{text}: {said}");
        }
    }

    #[test]
    fn a_line_that_is_no_event_does_not_stop_the_next_one() {
        let mut input = Input::of(
            b"{\"id\": 1, \"weight\": 2.50, \"actor\": \"\"}\n\n[]\n{\"who\": 1}\n{\"id\": 2}",
        );
        let mut lines = Lines::default();
        let mut next = || {
            let object = lines.next(&mut input).unwrap();
            object.map(|(line, text)| (line, row(&text)))
        };
        let (line, first) = next().unwrap();
        let first = first.unwrap().0;
        assert_eq!((line, first[0].as_deref(), first[4].as_deref()), (1, Some("1"), Some("")));
        assert_eq!((first[5].as_deref(), first[8].as_deref()), (None, Some("2.50")));
        let (line, second) = next().unwrap();
        assert!(line == 3 && second.is_err());
        let (line, third) = next().unwrap();
        assert!(line == 4 && third.unwrap_err().contains("who"));
        assert_eq!(next().unwrap().0, 5);
        assert!(next().is_none());
    }
}
