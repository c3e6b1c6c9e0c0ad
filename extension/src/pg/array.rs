//! Arrays as arguments of a function and as parameters of a statement.

use std::ffi::{c_char, c_int};
use std::marker::PhantomData;

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::datum::{FromDatum, IntoDatum};
use pgrx::pg_sys::{self, Datum, Oid};

use crate::error::Fault;

/// An array that a caller passed, before it is taken apart.
#[derive(Clone, Copy)]
pub(crate) struct Array(*mut pg_sys::ArrayType);

/// Returns length, passing by value, and alignment of the types that the log uses.
fn layout(element: Oid) -> (c_int, bool, c_char) {
    match element {
        pg_sys::UUIDOID => (16, false, b'c' as c_char),
        pg_sys::TIMESTAMPTZOID | pg_sys::INT8OID => (8, true, b'd' as c_char),
        pg_sys::FLOAT4OID | pg_sys::INT4OID => (4, true, b'i' as c_char),
        _ => (-1, false, b'i' as c_char),
    }
}

impl Array {
    /// Returns the elements of an array of `T`. 22023 for an array of more than one dimension.
    pub(crate) fn elements<T: FromDatum + IntoDatum>(
        self,
        what: &str,
    ) -> Result<Elements<T>, Fault> {
        let element = T::type_oid();
        let (length, by_value, alignment) = layout(element);
        let (mut values, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        // SAFETY: PostgreSQL passed an array; deconstruct_array gives `count` values and nulls in the
        // memory context of the call.
        unsafe {
            assert_eq!((*self.0).elemtype, element, "an array of another type than declared");
            if (*self.0).ndim > 1 {
                return Err(Fault::argument(format!(
                    "{what} has {} dimensions, limit 1",
                    (*self.0).ndim
                )));
            }
            pg_sys::deconstruct_array(
                self.0,
                element,
                length,
                by_value,
                alignment,
                &mut values,
                &mut nulls,
                &mut count,
            );
            let datums =
                (0..count as usize).map(|i| (!*nulls.add(i)).then(|| *values.add(i))).collect();
            Ok(Elements { datums, of: PhantomData })
        }
    }
}

/// The elements of an array of `T`.
pub(crate) struct Elements<T> {
    datums: Vec<Option<Datum>>,
    of: PhantomData<T>,
}

impl<T: FromDatum> Elements<T> {
    pub(crate) fn len(&self) -> usize {
        self.datums.len()
    }

    /// Returns the element at a position, counted from 0; nothing for null.
    pub(crate) fn get(&self, position: usize) -> Option<T> {
        let datum = self.datums[position]?;
        // SAFETY: an element of an array of this type, in the memory context of the call.
        unsafe { T::from_datum(datum, false) }
    }
}

/// Makes an array of these values, in the current memory context.
pub(crate) fn of(element: Oid, values: impl Iterator<Item = Option<Datum>>) -> Datum {
    let (length, by_value, alignment) = layout(element);
    let (mut datums, mut nulls): (Vec<Datum>, Vec<bool>) =
        values.map(|value| (value.unwrap_or(Datum::null()), value.is_none())).unzip();
    let mut dimensions = [datums.len() as c_int];
    let mut lower_bounds = [1];
    // SAFETY: the values are of the element type; construct_md_array copies them.
    unsafe {
        Datum::from(pg_sys::construct_md_array(
            datums.as_mut_ptr(),
            nulls.as_mut_ptr(),
            1,
            dimensions.as_mut_ptr(),
            lower_bounds.as_mut_ptr(),
            element,
            length,
            by_value,
            alignment,
        ))
    }
}

impl FromDatum for Array {
    unsafe fn from_polymorphic_datum(datum: Datum, is_null: bool, _typoid: Oid) -> Option<Self> {
        // SAFETY: PostgreSQL gives an array; a toasted one is copied to our memory context.
        (!is_null).then(|| unsafe { Array(pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast()) })
    }
}

// SAFETY: from_polymorphic_datum above takes the argument as PostgreSQL passes it.
unsafe impl<'fcx> ArgAbi<'fcx> for Array {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: pgrx asks for it only where the argument is an array and not null.
        unsafe { arg.unbox_arg_using_from_datum().expect("not null") }
    }
}

pgrx::impl_sql_translatable!(Array, arg_only = "anyarray");
