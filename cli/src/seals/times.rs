//! Days and times as the server prints them: ISO 8601, before Christ and after the year 9999 too.

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Returns the day in UTC of a time in microseconds, counted from 1970-01-01.
pub(super) fn day_of(micros: i64) -> i32 {
    micros.div_euclid(DAY) as i32
}

/// Reads a day, `2026-01-31` or `0044-03-15 BC`; counted from 1970-01-01.
pub(super) fn day(text: &str) -> Option<i32> {
    let (text, is_before_christ) = match text.strip_suffix(" BC") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let (is_alone, year) = (parts.next().is_none(), number(year, 4..=6)?);
    let (month, day) = (number(month, 2..=2)?, number(day, 2..=2)?);
    if !is_alone || year == 0 || !(1..=12).contains(&month) {
        return None;
    }
    let days = from_civil(if is_before_christ { 1 - year } else { year }, month, day);
    let days = i32::try_from(days).ok()?;
    // Another text would be another way to write the same day.
    (day_text(days) == if is_before_christ { format!("{text} BC") } else { text.to_owned() })
        .then_some(days)
}

/// Writes a day as the server does.
pub(super) fn day_text(day: i32) -> String {
    let (year, month, day) = to_civil(i64::from(day));
    match year {
        1.. => format!("{year:04}-{month:02}-{day:02}"),
        _ => format!("{:04}-{month:02}-{day:02} BC", 1 - year),
    }
}

/// Reads a time, such as `2026-01-31T12:00:00.5+00:00`; in microseconds since 1970-01-01 UTC. Both
/// infinities are the extreme numbers.
pub(super) fn micros(text: &str) -> Option<i64> {
    match text {
        "infinity" => return Some(i64::MAX),
        "-infinity" => return Some(i64::MIN),
        _ => {}
    }
    let (text, era) = match text.strip_suffix(" BC") {
        Some(text) => (text, " BC"),
        None => (text, ""),
    };
    let (date, time) = text.split_once(['T', ' '])?;
    let day = day(&format!("{date}{era}"))?;
    let (time, zone) = match time.strip_suffix('Z') {
        Some(time) => (time, 0),
        None => {
            let (time, zone) = time.split_at(time.find(['+', '-'])?);
            (time, offset(zone)?)
        }
    };
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let fraction = number(fraction, 1..=6)? * 10_i64.pow(6 - fraction.len() as u32);
    let mut seconds = clock.split(':').map(|part| number(part, 2..=2));
    let (hours, minutes, seconds) = (seconds.next()??, seconds.next()??, seconds.next()??);
    let seconds = (hours * 60 + minutes) * 60 + seconds - zone;
    // The last 30 years that PostgreSQL has are beyond the largest number, and saturate as in the seal.
    let micros = i128::from(day) * i128::from(DAY) + i128::from(seconds * 1_000_000 + fraction);
    Some(micros.min(i128::from(i64::MAX)) as i64)
}

/// Reads how far a zone is from UTC, `+05:30`; in seconds.
fn offset(text: &str) -> Option<i64> {
    let (sign, text) = text.split_at(1);
    let parts = text.split(':').map(|part| number(part, 2..=2));
    let parts: Vec<i64> = parts.collect::<Option<_>>()?;
    let seconds = parts.iter().chain(&[0, 0]).take(3).fold(0, |sum, part| sum * 60 + part);
    (parts.len() <= 3).then_some(if sign == "-" { -seconds } else { seconds })
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let is_number = digits.contains(&text.len()) && text.bytes().all(|c| c.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

/// Counts the days from 1970-01-01 in the Gregorian calendar, where the year before 1 is 0.
fn from_civil(year: i64, month: i64, day: i64) -> i64 {
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn to_civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let of_era = days.rem_euclid(ERA);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year + days.div_euclid(ERA) * 400 + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::{day, day_of, day_text, micros};

    #[test]
    fn days_are_counted_from_1970() {
        for (text, days) in [
            ("1970-01-01", 0),
            ("1969-12-31", -1),
            ("2000-02-29", 11_016),
            ("2026-11-27", 20_784),
            ("0001-01-01", -719_162),
            ("0001-12-31 BC", -719_163),
            ("4714-11-24 BC", -2_440_588),
            ("294276-12-31", 106_762_939),
        ] {
            assert_eq!(day(text), Some(days), "{text}");
            assert_eq!(day_text(days), text);
        }
        for wrong in
            ["", "2026", "2026-1-1", "2026-02-30", "2026-13-01", "2026-01-01 ", "0000-01-01"]
        {
            assert_eq!(day(wrong), None, "{wrong}");
        }
        for days in -800_000..800_000 {
            assert_eq!(day(&day_text(days)), Some(days));
        }
    }

    #[test]
    fn times_are_read_to_the_microsecond_in_any_zone() {
        for (text, time) in [
            ("1970-01-01T00:00:00+00:00", 0),
            ("1970-01-01T00:00:00.5+00:00", 500_000),
            ("1970-01-01 00:00:00.000001Z", 1),
            ("1970-01-01T05:30:00+05:30", 0),
            ("1969-12-31T16:00:00-08", 0),
            ("1970-01-01T00:53:28+00:53:28", 0),
            ("0044-03-15T12:00:00.000001+00:00 BC", -63_517_780_799_999_999),
            ("infinity", i64::MAX),
            ("-infinity", i64::MIN),
        ] {
            assert_eq!(micros(text), Some(time), "{text}");
        }
        for wrong in ["", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00+00", "soon"] {
            assert_eq!(micros(wrong), None, "{wrong}");
        }
        assert_eq!((day_of(-1), day_of(0)), (-1, 0));
    }
}
