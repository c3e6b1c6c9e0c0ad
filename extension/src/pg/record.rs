//! Rows as structs whose fields are named like the columns.

use std::ffi::c_int;

use crate::pg::datum::Jsonb;
use crate::pg::spi::Rows;

/// A value of a column; nothing for null.
pub(crate) trait FromColumn<'s>: Sized {
    fn from_column(rows: &Rows<'s>, row: usize, column: c_int) -> Option<Self>;
}

macro_rules! from_column {
    ($($type:ty),*) => {$(
        impl<'s> FromColumn<'s> for $type {
            fn from_column(rows: &Rows<'s>, row: usize, column: c_int) -> Option<Self> {
                rows.get(row, column)
            }
        }

        impl<'s> FromColumn<'s> for Option<$type> {
            fn from_column(rows: &Rows<'s>, row: usize, column: c_int) -> Option<Self> {
                Some(rows.get(row, column))
            }
        }
    )*};
}

from_column!(String, bool, i32, f64, Jsonb<'s>);

/// The elements of a `text[]` that are not null.
impl<'s> FromColumn<'s> for Vec<String> {
    fn from_column(rows: &Rows<'s>, row: usize, column: c_int) -> Option<Self> {
        let elements = rows.get::<Vec<Option<String>>>(row, column)?;
        Some(elements.into_iter().flatten().collect())
    }
}

/// Defines a struct whose fields are named like the columns of a result, and its `read`. A column
/// that is null, or missing (a log of an older layout has fewer), gives the field's default: the
/// one after `=`, else that of its type.
macro_rules! record {
    (
        $(#[$meta:meta])*
        pub(crate) struct $name:ident<$life:lifetime> {
            $($(#[$note:meta])* $field:ident: $type:ty $(= $default:expr)?,)*
        }
    ) => {
        $(#[$meta])*
        pub(crate) struct $name<$life> {
            $($(#[$note])* pub(crate) $field: $type,)*
            result: std::marker::PhantomData<&$life ()>,
        }

        impl<$life> $name<$life> {
            /// Reads all rows.
            pub(crate) fn read(rows: &$crate::pg::spi::Rows<$life>) -> Vec<Self> {
                $(let $field = rows.column(stringify!($field));)*
                (0..rows.len())
                    .map(|row| $name {
                        $($field: {
                            let value = $field.and_then(|column| {
                                <$type as $crate::pg::record::FromColumn<'_>>::from_column(
                                    rows, row, column,
                                )
                            });
                            $(let value = value.or(Some($default));)?
                            value.unwrap_or_default()
                        },)*
                        result: std::marker::PhantomData,
                    })
                    .collect()
            }
        }
    };
}

pub(crate) use record;
