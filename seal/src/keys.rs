//! Lists of events by `created_at` and id, one after the other as differences: what a supplement
//! keeps, since the rest of its day is in another seal.

/// `created_at`, in whatever microseconds, and id.
pub type Key = (i64, i64);

fn put(out: &mut Vec<u8>, difference: i64) {
    // Small numbers of either sign in few bytes: 0, -1, 1, -2, 2 become 0, 1, 2, 3, 4.
    let mut rest = ((difference << 1) ^ (difference >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn take(bytes: &mut &[u8]) -> Option<i64> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    None
}

/// Writes keys in the given order.
pub fn write(keys: &[Key]) -> Vec<u8> {
    let mut out = Vec::with_capacity(keys.len() * 4);
    let mut last = (0_i64, 0_i64);
    for key in keys {
        put(&mut out, key.0.wrapping_sub(last.0));
        put(&mut out, key.1.wrapping_sub(last.1));
        last = *key;
    }
    out
}

/// Reads keys; nothing if the bytes are not what [`write`] gives.
pub fn read(mut bytes: &[u8]) -> Option<Vec<Key>> {
    let mut keys = Vec::new();
    let mut last = (0_i64, 0_i64);
    while !bytes.is_empty() {
        last.0 = last.0.wrapping_add(take(&mut bytes)?);
        last.1 = last.1.wrapping_add(take(&mut bytes)?);
        keys.push(last);
    }
    Some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_were_written() {
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2000 {
            let bits = random.u32(1..64);
            let some = |random: &mut fastrand::Rng| random.i64(..) >> (64 - bits);
            let keys: Vec<Key> =
                (0..random.usize(..40)).map(|_| (some(&mut random), some(&mut random))).collect();
            assert_eq!(read(&write(&keys)), Some(keys));
        }
        assert_eq!(read(&[0x80]), None);
        let extremes = vec![(i64::MIN, i64::MAX), (i64::MAX, i64::MIN)];
        assert_eq!(read(&write(&extremes)), Some(extremes));
    }
}
