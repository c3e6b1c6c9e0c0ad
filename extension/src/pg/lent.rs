//! References that are lent to code that runs inside a call. A callback of PostgreSQL has no other
//! way to the data of the function that runs the statement.

use std::cell::RefCell;
use std::mem::{ManuallyDrop, transmute_copy};
use std::thread::LocalKey;

/// Names a type with a lifetime, so that values of any lifetime can be lent.
pub(crate) trait Lend: 'static {
    type Of<'a>;
}

/// The values that are lent now, innermost last.
pub(crate) struct Lent<L: Lend>(RefCell<Vec<L::Of<'static>>>);

impl<L: Lend> Lent<L> {
    pub(crate) const fn new() -> Self {
        Lent(RefCell::new(Vec::new()))
    }

    /// Runs `body` while `value` is lent, and returns the value too.
    pub(crate) fn lend<'a, T>(
        place: &'static LocalKey<Self>,
        value: L::Of<'a>,
        body: impl FnOnce() -> T,
    ) -> (T, L::Of<'a>) {
        struct TakeBack<L: Lend>(&'static LocalKey<Lent<L>>);
        impl<L: Lend> TakeBack<L> {
            fn now(&self) -> Option<L::Of<'static>> {
                self.0.with(|lent| lent.0.borrow_mut().pop())
            }
        }
        impl<L: Lend> Drop for TakeBack<L> {
            fn drop(&mut self) {
                self.now();
            }
        }

        let value = ManuallyDrop::new(value);
        // SAFETY: the same type but for the lifetime. The value is taken back before this function
        // returns, also on an error (a panic to Rust); until then it is shown under a lifetime that
        // nobody can name, so that no reference to it or in it can be kept.
        let forever: L::Of<'static> = unsafe { transmute_copy(&*value) };
        place.with(|lent| lent.0.borrow_mut().push(forever));
        let take_back = TakeBack(place);
        let result = body();
        let value = ManuallyDrop::new(take_back.now().expect("each lender takes back its own"));
        std::mem::forget(take_back);
        // SAFETY: as above, and this is the value that came in.
        (result, unsafe { transmute_copy(&*value) })
    }

    /// Passes the innermost value to `look`; returns nothing if nothing is lent.
    pub(crate) fn last<T>(
        place: &'static LocalKey<Self>,
        look: impl for<'a> FnOnce(&mut L::Of<'a>) -> T,
    ) -> Option<T> {
        place.with(|lent| lent.0.borrow_mut().last_mut().map(look))
    }
}
