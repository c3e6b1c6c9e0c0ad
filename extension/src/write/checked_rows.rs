//! The rows of our own statements that were checked already.

use std::cell::RefCell;

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
struct Frame {
    rows: &'static [Row<'static>],
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

thread_local! {
    /// Innermost last: a trigger on `events` may log events of its own.
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// Runs `insert`, a statement that inserts `rows` in this order, with the rows on the list.
pub(crate) fn with_checked<T>(rows: &[Row<'_>], insert: impl FnOnce() -> T) -> (T, Passed) {
    struct Pop;
    impl Drop for Pop {
        fn drop(&mut self) {
            FRAMES.with_borrow_mut(|frames| frames.pop());
        }
    }

    // SAFETY: the frame goes before this function returns, also on an error (a panic to Rust), so
    // the borrow it holds ends before `rows` does.
    let rows = unsafe { std::mem::transmute::<&[Row<'_>], &'static [Row<'static>]>(rows) };
    let frame = Frame { rows, next: 0, passed: Passed::default() };
    FRAMES.with_borrow_mut(|frames| frames.push(frame));
    let _pop = Pop;
    let result = insert();
    let passed = FRAMES.with_borrow_mut(|frames| {
        frames.last_mut().map(|frame| std::mem::take(&mut frame.passed)).unwrap_or_default()
    });
    (result, passed)
}

pub(crate) fn was_checked(id: Option<i64>, row: &Row<'_>) -> bool {
    FRAMES.with_borrow_mut(|frames| {
        let Some(frame) = frames.last_mut() else { return false };
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
}
