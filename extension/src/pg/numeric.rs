//! Numbers inside jsonb, by PostgreSQL's own `numeric` functions.

use std::ffi::CStr;

use pgrx::direct_function_call;
use pgrx::pg_sys::{self, Datum};

/// Copies a number to where PostgreSQL wants a `numeric` aligned.
fn datum(bytes: &[u8]) -> Datum {
    // SAFETY: palloc gives that many bytes, all of which are written.
    unsafe {
        let copy = pg_sys::palloc(bytes.len()).cast::<u8>();
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        Datum::from(copy)
    }
}

/// Returns true if two numbers are equal: 1 and 1.0 are.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    // SAFETY: both are a `numeric` with its header, as jsonb holds them.
    unsafe {
        direct_function_call(pg_sys::numeric_eq, &[Some(datum(a)), Some(datum(b))])
            .expect("numeric_eq is not null")
    }
}

/// Returns the content of a `numeric` without the header of its length, in 16-bit words.
fn words(number: &[u8]) -> Option<(u16, impl DoubleEndedIterator<Item = u16>)> {
    // jsonb holds it as it was given, which may be with the short header.
    let is_short = number.first()? & 1 == 1;
    if cfg!(target_endian = "big") || number.len() < 6 || is_short {
        return None;
    }
    let mut words = number[4..].chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
    words.next().map(|header| (header, words))
}

/// Most digits to the base of 10,000 that are read without PostgreSQL.
const MOST_DIGITS: usize = 4;
/// Largest number that counts as a duration.
const LARGEST: u128 = 1_000_000_000_000_000;

/// Returns a small number from its digits; nothing where that is not exact.
fn from_digits(number: &[u8]) -> Option<Option<f64>> {
    const SHORT: u16 = 0x8000;
    const SHORT_NEGATIVE: u16 = 0x2000;
    const SHORT_WEIGHT_SIGN: u16 = 0x0040;
    const SHORT_WEIGHT: u16 = 0x003F;
    let (header, digits) = words(number)?;
    if header & 0xC000 != SHORT {
        return None;
    }
    let is_negative = header & SHORT_NEGATIVE != 0;
    let low = (header & SHORT_WEIGHT) as i32;
    let weight = if header & SHORT_WEIGHT_SIGN != 0 { low - 64 } else { low };
    let (mut mantissa, mut count) = (0_u64, 0_usize);
    for digit in digits {
        count += 1;
        if count > MOST_DIGITS {
            return None;
        }
        mantissa = mantissa * 10_000 + u64::from(digit);
    }
    if mantissa == 0 {
        return Some(Some(0.0));
    }
    if is_negative {
        return Some(None);
    }
    // A power of ten up to the 22nd is exact, and so one operation rounds once.
    let power = 4 * (weight + 1 - count as i32);
    if mantissa >= 1 << 53 || !(-22..=16).contains(&power) {
        return None;
    }
    let scale = 10_u128.pow(power.unsigned_abs());
    let mantissa = u128::from(mantissa);
    let is_large = if power < 0 { mantissa > LARGEST * scale } else { mantissa * scale > LARGEST };
    let value =
        if power < 0 { mantissa as f64 / scale as f64 } else { mantissa as f64 * scale as f64 };
    Some((!is_large).then_some(value))
}

/// Returns the number if it can be a duration, as `eventlog._number()` does.
pub(crate) fn measurable(number: &[u8]) -> Option<f64> {
    if let Some(known) = from_digits(number) {
        return known;
    }
    let text = to_text(number);
    let value: f64 = text.parse().ok()?;
    let is_exactly_largest = || text.split('.').next() == Some("1000000000000000");
    match value {
        _ if text.starts_with('-') => None,
        _ if value < 1e-300 => Some(0.0),
        _ if value < LARGEST as f64 => Some(value),
        _ if value == LARGEST as f64 && is_exactly_largest() => {
            let rest = text.split('.').nth(1).unwrap_or_default();
            rest.bytes().all(|digit| digit == b'0').then_some(value)
        }
        _ => None,
    }
}

/// Returns the number in decimal, exactly.
pub(crate) fn to_text(number: &[u8]) -> String {
    // SAFETY: as above; numeric_out returns a string that ends in NUL.
    unsafe {
        direct_function_call::<&CStr>(pg_sys::numeric_out, &[Some(datum(number))])
            .expect("numeric_out is not null")
            .to_string_lossy()
            .into_owned()
    }
}
