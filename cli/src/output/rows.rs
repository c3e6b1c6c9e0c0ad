//! Rows to print.

/// A row: a value for each column, `None` for null.
pub(crate) type Row = Vec<Option<String>>;

/// Rows to print, all values as text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Row>,
    /// What people read below the rows.
    pub(crate) notes: Vec<String>,
    /// How many rows were printed before these.
    pub(crate) before: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The kind of a column's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Text,
    Time,
    /// Sentences, which a table may break between words. Nothing else is broken or cut.
    Prose,
    /// Numbers: aligned to the right, and numbers in JSON too.
    Number,
    /// Other values that are JSON as they are: booleans, arrays, objects.
    Json,
}

impl Column {
    pub(crate) fn new(name: &str, kind: Kind) -> Self {
        Column { name: name.to_owned(), kind }
    }

    /// Makes a column for a SQL type, as `format_type` writes it.
    pub(crate) fn of_type(name: &str, type_name: &str) -> Self {
        let kind = match type_name {
            "smallint" | "integer" | "bigint" | "numeric" | "real" | "double precision" => {
                Kind::Number
            }
            type_name if type_name.starts_with("timestamp") => Kind::Time,
            "boolean" | "json" | "jsonb" => Kind::Json,
            _ => Kind::Text,
        };
        Column::new(name, kind)
    }
}

impl Rows {
    pub(crate) fn new(columns: &[(&str, Kind)]) -> Self {
        let columns = columns.iter().map(|(name, kind)| Column::new(name, *kind)).collect();
        Rows { columns, ..Rows::default() }
    }

    /// Returns the place of a column.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// Returns a value; `None` for null and where there is no such column.
    pub(crate) fn value(&self, row: usize, column: usize) -> Option<&str> {
        self.rows.get(row)?.get(column)?.as_deref()
    }

    /// Removes the columns that a condition does not hold for.
    pub(crate) fn keep_columns(&mut self, keeps: impl Fn(usize, &Column) -> bool) {
        let kept: Vec<bool> =
            self.columns.iter().enumerate().map(|(place, column)| keeps(place, column)).collect();
        let mut place = kept.iter();
        self.columns.retain(|_| *place.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut place = kept.iter();
            row.retain(|_| *place.next().unwrap_or(&true));
        }
    }
}
