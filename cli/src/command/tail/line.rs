//! An event as `eventlog tail` reads it.

use tokio_postgres::Row;

/// An event as it is printed.
pub(super) struct Line {
    pub(super) id: i64,
    /// The JSON object, or the time for the text output.
    pub(super) shown: String,
    pub(super) name: String,
    pub(super) actor: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) data: String,
}

impl Line {
    pub(super) fn of(row: &Row) -> Self {
        Line {
            id: row.get(0),
            shown: row.get(1),
            name: row.get(2),
            actor: row.get(3),
            subject: row.get(4),
            data: row.get(5),
        }
    }
}
