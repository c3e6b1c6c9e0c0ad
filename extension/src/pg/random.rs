//! Random bytes that nobody can guess.

use pgrx::pg_sys;

/// Returns 16 bytes from the operating system's or the TLS library's generator.
pub(crate) fn strong_random() -> [u8; 16] {
    let mut bytes = [0_u8; 16];
    // SAFETY: writes that many bytes, all of which are there.
    let is_random = unsafe { pg_sys::pg_strong_random(bytes.as_mut_ptr().cast(), bytes.len()) };
    assert!(is_random, "no source of random bytes");
    bytes
}
