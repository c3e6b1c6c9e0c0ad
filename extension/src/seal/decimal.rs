//! Numbers of a payload in decimal, as `numeric` prints them. Read here and not by PostgreSQL, which would
//! raise for damaged bytes, and which takes 0.3 µs a number.

/// Digits to the base of 10,000.
const BASE_DIGITS: usize = 4;
const SIGN: u16 = 0xC000;
const NEGATIVE: u16 = 0x4000;
const SHORT: u16 = 0x8000;
const SHORT_NEGATIVE: u16 = 0x2000;
const SHORT_SCALE: u16 = 0x1F80;
const SHORT_WEIGHT_SIGN: u16 = 0x0040;
const SHORT_WEIGHT: u16 = 0x003F;
const SCALE: u16 = 0x3FFF;

/// Appends a number, given with the header of its length, in decimal; nothing if its bytes are damaged.
pub(super) fn write(number: &[u8], out: &mut Vec<u8>) -> Option<()> {
    // A header of one byte has its lowest bit set, one of four bytes has its two lowest bits unset.
    let first = *number.first()?;
    let content = if first & 1 == 1 { number.get(1..)? } else { number.get(4..)? };
    let mut words = content.chunks_exact(2).map(|word| u16::from_ne_bytes([word[0], word[1]]));
    let header = words.next()?;
    let (is_negative, scale, weight) = match header & SIGN {
        SHORT => {
            let low = i32::from(header & SHORT_WEIGHT);
            let weight = if header & SHORT_WEIGHT_SIGN != 0 { low - 64 } else { low };
            (header & SHORT_NEGATIVE != 0, (header & SHORT_SCALE) >> 7, weight)
        }
        SIGN => return None,
        sign => (sign == NEGATIVE, header & SCALE, i32::from(words.next()? as i16)),
    };
    let digits: Vec<u16> = words.collect();
    let digit = |place: i32| {
        usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0)
    };
    if is_negative {
        out.push(b'-');
    }
    if weight < 0 {
        out.push(b'0');
    }
    for place in 0..=weight {
        let group = four(digit(place))?;
        let zeros =
            if place == 0 { group.iter().take(3).take_while(|d| **d == b'0').count() } else { 0 };
        out.extend_from_slice(&group[zeros..]);
    }
    if scale > 0 {
        out.push(b'.');
        let end = out.len() + usize::from(scale);
        for group in 0..usize::from(scale).div_ceil(BASE_DIGITS) {
            out.extend(four(digit(weight + 1 + group as i32))?);
        }
        out.truncate(end);
    }
    Some(())
}

fn four(digit: u16) -> Option<[u8; BASE_DIGITS]> {
    (digit < 10_000).then(|| {
        [digit / 1000, digit / 100 % 10, digit / 10 % 10, digit % 10].map(|d| b'0' + d as u8)
    })
}
