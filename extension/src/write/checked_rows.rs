//! The rows of our own statements that were checked already.

use crate::pg::lent::{Lend, Lent};

/// What the guard compares of a row. The tenant is the tenant policy's; each column more costs a
/// writer 1 % of its INSERT, since PostgreSQL prepares the expression anew for each statement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) actor: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    /// The bits of the weight.
    pub(crate) weight: Option<u32>,
}

/// The rows of one statement of ours that is being executed.
struct Frame<'a> {
    rows: &'a [Row<'a>],
    next: usize,
    passed: Passed,
}

/// What the guard saw of the rows of a statement.
#[derive(Default, Debug)]
pub(crate) struct Passed {
    /// The lowest id of all. That is the first row's: an id is drawn before any trigger of the row
    /// can insert another one.
    pub(crate) lowest: Option<i64>,
    /// The ids of the rows on the list, by their place in it, so far as they came.
    pub(crate) ids: Vec<Option<i64>>,
}

enum Frames {}

impl Lend for Frames {
    type Of<'a> = Frame<'a>;
}

thread_local! {
    /// Innermost last: a trigger on `events` may log events of its own.
    static FRAMES: Lent<Frames> = const { Lent::new() };
}

/// Runs `insert`, a statement that inserts `rows` in this order, with the rows on the list.
pub(crate) fn with_checked<T>(rows: &[Row<'_>], insert: impl FnOnce() -> T) -> (T, Passed) {
    let frame = Frame { rows, next: 0, passed: Passed::default() };
    let (result, frame) = Lent::lend(&FRAMES, frame, insert);
    (result, frame.passed)
}

pub(crate) fn was_checked(id: Option<i64>, row: &Row<'_>) -> bool {
    Lent::last(&FRAMES, |frame| {
        if let Some(id) = id {
            frame.passed.lowest = Some(frame.passed.lowest.map_or(id, |lowest| lowest.min(id)));
        }
        // The next one, unless a trigger of the user skipped or changed rows before this one.
        let Some(ahead) = frame.rows[frame.next..].iter().position(|checked| checked == row) else {
            return false;
        };
        frame.passed.ids.resize(frame.next + ahead, None);
        frame.passed.ids.push(id);
        frame.next += ahead + 1;
        true
    })
    .unwrap_or(false)
}
