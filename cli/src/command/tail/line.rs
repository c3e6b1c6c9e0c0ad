//! An event as `eventlog tail` reads it.

use tokio_postgres::Row;

/// An event as it is printed.
pub(super) struct Line {
    pub(super) id: i64,
    pub(super) created_at: String,
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
            created_at: row.get(1),
            shown: row.get(2),
            name: row.get(3),
            actor: row.get(4),
            subject: row.get(5),
            data: row.get(6),
        }
    }
}
