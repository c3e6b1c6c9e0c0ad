//! `text` and `jsonb` arguments, borrowed from PostgreSQL without a copy.
//!
//! pgrx's own `JsonB` goes through text and `f64`, which rounds numbers and costs 3 to 70 µs. These
//! types keep the datum, so that the stored value is the given one, and give access to its bytes.

use std::ffi::CStr;
use std::ptr;

use pgrx::callconv::{Arg, ArgAbi, BoxRet, FcInfo};
use pgrx::datum::{Datum as FcDatum, FromDatum, IntoDatum};
use pgrx::varlena;
use pgrx::{direct_function_call, pg_sys};

/// A `text` value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    datum: pg_sys::Datum,
    text: &'a str,
}

/// A `jsonb` value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jsonb<'a> {
    datum: pg_sys::Datum,
    bytes: &'a [u8],
}

impl<'a> Text<'a> {
    pub(crate) fn as_str(&self) -> &'a str {
        self.text
    }

    pub(crate) fn datum(&self) -> pg_sys::Datum {
        self.datum
    }

    /// Copies `text` into the current memory context.
    pub(crate) fn copy_of(text: &str) -> Self {
        let (datum, bytes) = allocate(&[text.as_bytes()]);
        // SAFETY: the bytes were copied from a `str`.
        Text { datum, text: unsafe { std::str::from_utf8_unchecked(bytes) } }
    }
}

impl<'a> Jsonb<'a> {
    /// Returns the root container, without the length header.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn datum(&self) -> pg_sys::Datum {
        self.datum
    }

    /// Returns the size that `pg_column_size` shows before compression, in bytes.
    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + size_of::<u32>()
    }

    /// Copies a root container into the current memory context.
    pub(crate) fn copy_of(root: &[u8]) -> Self {
        let (datum, bytes) = allocate(&[root]);
        Jsonb { datum, bytes }
    }

    /// Returns the value as JSON text.
    pub(crate) fn to_text<'t>(self) -> Text<'t> {
        // SAFETY: the datum is a jsonb; its output is a string that ends in NUL.
        let text = unsafe {
            direct_function_call::<&CStr>(pg_sys::jsonb_out, &[Some(self.datum)])
                .expect("jsonb_out is not null")
        };
        Text::copy_of(&text.to_string_lossy())
    }

    /// Returns the empty object.
    pub(crate) fn empty_object() -> Self {
        Jsonb::copy_of(&0x2000_0000_u32.to_ne_bytes())
    }
}

/// Makes a varlena with the given parts as its content, in the current memory context.
fn allocate<'a>(parts: &[&[u8]]) -> (pg_sys::Datum, &'a [u8]) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let size = length + pg_sys::VARHDRSZ;
    // SAFETY: palloc returns `size` bytes or raises; they are all written below, and live as long
    // as the memory context of the call, which is longer than any `Text` or `Jsonb` does.
    unsafe {
        let start = pg_sys::palloc(size).cast::<u8>();
        varlena::set_varsize_4b(start.cast(), size as i32);
        let content = start.add(pg_sys::VARHDRSZ);
        let mut at = content;
        for part in parts {
            ptr::copy_nonoverlapping(part.as_ptr(), at, part.len());
            at = at.add(part.len());
        }
        (pg_sys::Datum::from(start), std::slice::from_raw_parts(content, length))
    }
}

/// Returns the datum with its value in memory and uncompressed, and its content.
///
/// # Safety
/// `datum` must be a varlena that outlives `'a`.
unsafe fn content<'a>(datum: pg_sys::Datum) -> (pg_sys::Datum, &'a [u8]) {
    // SAFETY: the caller's word.
    unsafe {
        let mut start = datum.cast_mut_ptr::<pg_sys::varlena>();
        if !varlena::varatt_is_4b_u(start)
            && (varlena::varatt_is_1b_e(start) || varlena::varatt_is_4b_c(start))
        {
            start = pg_sys::pg_detoast_datum_packed(start);
        }
        let bytes = std::slice::from_raw_parts(
            varlena::vardata_any(start).cast::<u8>(),
            varlena::varsize_any_exhdr(start),
        );
        (pg_sys::Datum::from(start), bytes)
    }
}

impl FromDatum for Text<'_> {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _typoid: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: PostgreSQL gives a text; its databases hold UTF-8 only (CREATE EXTENSION refuses
        // others) and verified it at input.
        (!is_null).then(|| unsafe {
            let (datum, bytes) = content(datum);
            Text { datum, text: std::str::from_utf8_unchecked(bytes) }
        })
    }
}

impl FromDatum for Jsonb<'_> {
    unsafe fn from_polymorphic_datum(
        datum: pg_sys::Datum,
        is_null: bool,
        _typoid: pg_sys::Oid,
    ) -> Option<Self> {
        // SAFETY: PostgreSQL gives a jsonb.
        (!is_null).then(|| unsafe {
            let (datum, bytes) = content(datum);
            Jsonb { datum, bytes }
        })
    }
}

macro_rules! passed_as_datum {
    ($type:ident, $sql:literal, $oid:expr) => {
        impl IntoDatum for $type<'_> {
            fn into_datum(self) -> Option<pg_sys::Datum> {
                Some(self.datum)
            }

            fn type_oid() -> pg_sys::Oid {
                $oid
            }
        }

        // SAFETY: from_polymorphic_datum above takes the argument as PostgreSQL passes it.
        unsafe impl<'fcx> ArgAbi<'fcx> for $type<'fcx> {
            unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
                // SAFETY: pgrx asks for it only where the argument is of this type and not null.
                unsafe { arg.unbox_arg_using_from_datum().expect("not null") }
            }
        }

        // SAFETY: the datum is in the caller's memory context, as PostgreSQL wants a result.
        unsafe impl BoxRet for $type<'_> {
            unsafe fn box_into<'fcx>(self, fcinfo: &mut FcInfo<'fcx>) -> FcDatum<'fcx> {
                // SAFETY: as above.
                unsafe { fcinfo.return_raw_datum(self.datum) }
            }
        }

        pgrx::impl_sql_translatable!($type<'_>, $sql);
    };
}

passed_as_datum!(Text, "text", pg_sys::TEXTOID);
passed_as_datum!(Jsonb, "jsonb", pg_sys::JSONBOID);
