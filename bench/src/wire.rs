//! Parameters and COPY data in PostgreSQL's binary formats, encoded before a clock starts, so that
//! no contender pays for the client's work.

use postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::world::Input;

const UUID: u32 = 2950;
const TEXT: u32 = 25;
const JSONB: u32 = 3802;

/// A value as it goes over the wire.
#[derive(Debug)]
pub(crate) struct Encoded(pub(crate) Vec<u8>);

impl ToSql for Encoded {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A column of a batch, one value for each row.
#[derive(Debug)]
pub(crate) struct Column {
    element: u32,
    values: Vec<Option<Vec<u8>>>,
}

impl Column {
    /// The same uuid for all rows.
    pub(crate) fn uuid(uuid: &str, rows: usize) -> Self {
        let digits: String = uuid.chars().filter(|c| *c != '-').collect();
        let bytes = u128::from_str_radix(&digits, 16).expect("a uuid").to_be_bytes();
        Column { element: UUID, values: vec![Some(bytes.to_vec()); rows] }
    }

    pub(crate) fn text<'t>(texts: impl Iterator<Item = Option<&'t str>>) -> Self {
        let values = texts.map(|text| text.map(|text| text.as_bytes().to_vec())).collect();
        Column { element: TEXT, values }
    }

    /// JSON with the version byte before it.
    pub(crate) fn jsonb<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let values = texts.map(|text| Some([&[1], text.as_bytes()].concat())).collect();
        Column { element: JSONB, values }
    }

    /// The column as the parameter of a statement.
    pub(crate) fn array(&self) -> Encoded {
        let has_null = i32::from(self.values.iter().any(Option::is_none));
        let mut bytes = Vec::new();
        for word in [1, has_null, self.element as i32, self.values.len() as i32, 1] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        for value in &self.values {
            append(&mut bytes, value.as_deref());
        }
        Encoded(bytes)
    }
}

/// Tenant, name and payload as text, as `log_events` takes them.
pub(crate) fn arrays(tenant: &str, rows: &[&Input]) -> Vec<Encoded> {
    vec![
        Column::uuid(tenant, rows.len()).array(),
        Column::text(rows.iter().map(|row| Some(row.name.as_str()))).array(),
        Column::text(rows.iter().map(|row| Some(row.data.as_str()))).array(),
    ]
}

/// Tenant, name, payload as jsonb and subject: what the twin takes.
pub(crate) fn twin_columns(tenant: &str, rows: &[&Input]) -> [Column; 4] {
    [
        Column::uuid(tenant, rows.len()),
        Column::text(rows.iter().map(|row| Some(row.name.as_str()))),
        Column::jsonb(rows.iter().map(|row| row.data.as_str())),
        Column::text(rows.iter().map(|row| row.subject.as_deref())),
    ]
}

/// What a client sends to COPY BINARY.
pub(crate) fn copy_data(columns: &[Column]) -> Encoded {
    let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
    for row in 0..columns[0].values.len() {
        bytes.extend_from_slice(&(columns.len() as i16).to_be_bytes());
        for column in columns {
            append(&mut bytes, column.values[row].as_deref());
        }
    }
    bytes.extend_from_slice(&(-1_i16).to_be_bytes());
    Encoded(bytes)
}

fn append(bytes: &mut Vec<u8>, value: Option<&[u8]>) {
    match value {
        None => bytes.extend_from_slice(&(-1_i32).to_be_bytes()),
        Some(value) => {
            bytes.extend_from_slice(&(value.len() as i32).to_be_bytes());
            bytes.extend_from_slice(value);
        }
    }
}
