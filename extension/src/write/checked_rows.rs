//! Rows of our own statements that were checked before, for the guard.

use crate::pg::lent::{Lend, Lent};

/// The columns that the guard compares. The tenant has a policy of its own; each more column costs
/// a writer 1 % of its INSERT, because PostgreSQL prepares the expression again for each statement.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) actor: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    /// The bits of the weight.
    pub(crate) weight: Option<u32>,
}

/// The rows of one statement of ours that is running.
struct Frame<'a> {
    rows: &'a [Row<'a>],
    next: usize,
    passed: InsertedIds,
}

/// The ids that the guard saw of a statement's rows.
#[derive(Default, Debug)]
pub(crate) struct InsertedIds {
    /// The lowest id, which is the first row's: its id is drawn before any trigger of the row can
    /// insert another row.
    pub(crate) lowest: Option<i64>,
    /// The ids of the rows on the list, by position, as far as they were seen.
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
pub(crate) fn with_checked<T>(rows: &[Row<'_>], insert: impl FnOnce() -> T) -> (T, InsertedIds) {
    let frame = Frame { rows, next: 0, passed: InsertedIds::default() };
    let (result, frame) = Lent::lend(&FRAMES, frame, insert);
    (result, frame.passed)
}

pub(crate) fn was_checked(id: Option<i64>, row: &Row<'_>) -> bool {
    Lent::last(&FRAMES, |frame| {
        if let Some(id) = id {
            frame.passed.lowest = Some(frame.passed.lowest.map_or(id, |lowest| lowest.min(id)));
        }
        // Take the next one, unless a trigger of the user skipped or changed rows before it.
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
