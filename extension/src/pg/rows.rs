//! Rows that a function returns all at once.

use std::ffi::c_int;

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, SetFunctionReturnMode};
use pgrx::varlena;

/// The rows that a set-returning function has made so far.
pub(crate) struct RowSink {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
    values: Vec<Datum>,
    nulls: Vec<bool>,
    /// Values of the row that is being made, each with its length in front; in words, since PostgreSQL
    /// wants them aligned. They stay where they are until the row is done. Memory of PostgreSQL would
    /// stay for all rows.
    texts: Vec<Vec<u64>>,
    used: usize,
}

impl RowSink {
    /// Begins the result of a function that is declared to return a table.
    ///
    /// # Safety
    /// `fcinfo` is what PostgreSQL passed to the set-returning function that it is calling.
    pub(crate) unsafe fn begin(fcinfo: FunctionCallInfo) -> Self {
        // SAFETY: PostgreSQL passes a ReturnSetInfo where the function is called in FROM; everywhere
        // else this raises. The result lives in the memory of the query.
        unsafe {
            let info = (*fcinfo).resultinfo.cast::<pg_sys::ReturnSetInfo>();
            let is_materializable = !info.is_null()
                && (*info).type_ == pg_sys::NodeTag::T_ReturnSetInfo
                && (*info).allowedModes as u32 & SetFunctionReturnMode::SFRM_Materialize != 0;
            assert!(is_materializable, "called where no set is accepted");
            let caller = pg_sys::MemoryContextSwitchTo((*(*info).econtext).ecxt_per_query_memory);
            let mut descriptor = std::ptr::null_mut();
            let kind = pg_sys::get_call_result_type(fcinfo, std::ptr::null_mut(), &mut descriptor);
            assert_eq!(
                kind,
                pg_sys::TypeFuncClass::TYPEFUNC_COMPOSITE,
                "declared to return a table"
            );
            let store = pg_sys::tuplestore_begin_heap(false, false, pg_sys::work_mem);
            pg_sys::MemoryContextSwitchTo(caller);
            (*info).returnMode = SetFunctionReturnMode::SFRM_Materialize;
            (*info).setResult = store;
            (*info).setDesc = descriptor;
            let columns = usize::try_from((*descriptor).natts).unwrap_or(0);
            RowSink {
                store,
                descriptor,
                values: Vec::with_capacity(columns),
                nulls: Vec::with_capacity(columns),
                texts: Vec::new(),
                used: 0,
            }
        }
    }

    fn datum(&mut self, datum: Datum) -> &mut Self {
        self.values.push(datum);
        self.nulls.push(false);
        self
    }

    pub(crate) fn null(&mut self) -> &mut Self {
        self.values.push(Datum::null());
        self.nulls.push(true);
        self
    }

    pub(crate) fn int(&mut self, value: i32) -> &mut Self {
        self.datum(Datum::from(value))
    }

    pub(crate) fn bigint(&mut self, value: i64) -> &mut Self {
        self.datum(Datum::from(value))
    }

    pub(crate) fn double(&mut self, value: f64) -> &mut Self {
        self.datum(Datum::from(value.to_bits()))
    }

    /// Adds a uuid of 16 bytes, which must outlive the row.
    pub(crate) fn uuid(&mut self, uuid: &[u8]) -> &mut Self {
        assert_eq!(uuid.len(), 16, "a uuid");
        self.datum(Datum::from(uuid.as_ptr()))
    }

    /// Adds a `text`, a `bytea`, or whatever else has its length in front.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        if self.used == self.texts.len() {
            self.texts.push(Vec::new());
        }
        let place = &mut self.texts[self.used];
        self.used += 1;
        let size = bytes.len() + pg_sys::VARHDRSZ;
        place.clear();
        place.resize(size.div_ceil(8), 0);
        let start = place.as_mut_ptr().cast::<u8>();
        // SAFETY: the place has `size` bytes: the header and the content.
        unsafe {
            varlena::set_varsize_4b(start.cast(), size as i32);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start.add(pg_sys::VARHDRSZ), bytes.len());
        }
        self.datum(Datum::from(start))
    }

    /// Adds an array of doubles; null for an empty one.
    pub(crate) fn doubles(&mut self, values: &[f64]) -> &mut Self {
        if values.is_empty() {
            return self.null();
        }
        // The head of an array without nulls: dimensions, no offset, type, length, first subscript.
        let head = [1, 0, u32::from(pg_sys::FLOAT8OID), values.len() as u32, 1];
        let mut content = Vec::with_capacity(size_of_val(&head) + size_of_val(values));
        content.extend(head.iter().flat_map(|word| word.to_ne_bytes()));
        content.extend(values.iter().flat_map(|value| value.to_ne_bytes()));
        self.bytes(&content)
    }

    /// Ends a row.
    pub(crate) fn end(&mut self) {
        // SAFETY: as many values as the descriptor has columns, of its types; the store copies them.
        unsafe {
            assert_eq!(self.values.len() as c_int, (*self.descriptor).natts, "all columns");
            pg_sys::tuplestore_putvalues(
                self.store,
                self.descriptor,
                self.values.as_mut_ptr(),
                self.nulls.as_mut_ptr(),
            );
        }
        self.values.clear();
        self.nulls.clear();
        self.used = 0;
    }
}
