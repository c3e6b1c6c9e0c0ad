//! Decides which events a sample keeps.
//!
//! A key is mapped to a point between 0 and 1, and a rate keeps the points below it. So all events of
//! a key are in or out together, of any type and in every process. A higher rate keeps all keys of
//! a lower one, so a changed rate goes on with the keys it had.

/// Returns true if a sample of `rate` (0 to 1) keeps the events of `key`. NaN keeps nothing.
///
/// ```
/// assert!(eventlog_common::is_sampled("c1", 1.0));
/// assert!(!eventlog_common::is_sampled("c1", 0.0));
/// ```
pub fn is_sampled(key: &str, rate: f64) -> bool {
    sampling_point(key) < rate
}

/// Returns the point of `key`, from 0 (inclusive) to 1 (exclusive). Points are even over keys, even
/// over keys that are much alike.
///
/// FNV-1a of the bytes, then the last steps of SplitMix64, without which keys that differ in their
/// last character only would lie side by side.
pub fn sampling_point(key: &str) -> f64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    // 53 bits: each is a double of its own.
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_its_share_of_keys_that_count_up() {
        for rate in [0.01, 0.1, 0.5, 0.9] {
            let n = 100_000;
            let kept = (0..n).filter(|i| is_sampled(&format!("conversation-{i}"), rate)).count();
            let sigma = (f64::from(n) * rate * (1.0 - rate)).sqrt();
            let off = (kept as f64 - f64::from(n) * rate).abs();
            assert!(off < 4.0 * sigma, "rate {rate}: {kept} of {n}");
        }
    }

    #[test]
    fn a_higher_rate_keeps_what_a_lower_one_keeps() {
        for i in 0..10_000 {
            let key = i.to_string();
            assert!(!is_sampled(&key, 0.1) || is_sampled(&key, 0.2), "{key}");
        }
    }

    #[test]
    fn a_point_is_the_same_in_every_version() {
        // Changing these would tear conversations apart that are being sampled.
        let points = ["", "c1", "conversation-1", "ü"].map(sampling_point);
        assert_eq!(
            points,
            [0.9576734252420561, 0.24092440899116474, 0.45944159652460503, 0.46553611702686115]
        );
    }
}
