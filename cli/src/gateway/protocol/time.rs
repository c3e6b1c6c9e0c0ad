//! The times that clients send, and what their clocks are off.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::value::RawValue;

use super::entries::text;
use crate::gateway::track::json_fields::number;

/// Within this, what a client's clock is off cannot be told from the time that the request took.
const NEAR: Duration = Duration::from_secs(5);

/// Within this, what looks like a clock that is behind may be a request that was sent again: some clients
/// write once when they first sent it, and try for minutes.
const LATE: Duration = Duration::from_secs(600);

/// How far a client's clock is behind this one's.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Skew {
    ahead: Duration,
    behind: Duration,
}

impl Skew {
    /// Compares the time at which the client sent the request with now.
    pub(super) fn of(sent_at: Option<&RawValue>) -> Self {
        let sent_at = sent_at.and_then(|value| read(value).ok());
        sent_at.map_or_else(Skew::default, |sent| Skew::between(sent, SystemTime::now()))
    }

    fn between(sent: SystemTime, now: SystemTime) -> Self {
        match now.duration_since(sent) {
            Ok(behind) if behind >= LATE => Skew { behind, ..Skew::default() },
            Err(ahead) if ahead.duration() >= NEAR => {
                Skew { ahead: ahead.duration(), ..Skew::default() }
            }
            _ => Skew::default(),
        }
    }

    /// Corrects a time of the client's clock.
    pub(super) fn correct(self, time: SystemTime) -> SystemTime {
        let later = time.checked_add(self.behind).unwrap_or(time);
        later.checked_sub(self.ahead).filter(|time| is_sound(*time)).unwrap_or(later)
    }
}

/// Reads a time that must be one, under the name of its key.
pub(super) fn required(key: &str, value: &RawValue) -> Result<SystemTime, String> {
    read(value).map_err(|()| {
        format!(
            "{key} must be a time such as 2026-01-31T12:00:00Z, from 1970 to 9998, or a number of \
             seconds or milliseconds since 1970, from 1973 to 5138"
        )
    })
}

fn read(value: &RawValue) -> Result<SystemTime, ()> {
    let json = value.get();
    let time = match json.starts_with('"') {
        true => {
            let text = text(json).ok_or(())?;
            let without_zone = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok();
            let read = text.parse::<Timestamp>().ok();
            read.or_else(|| without_zone().map(|zoned| zoned.timestamp()))
        }
        false => json.parse().ok().and_then(number),
    };
    let time = SystemTime::from(time.ok_or(())?);
    is_sound(time).then_some(time).ok_or(())
}

/// Returns true for a time from 1970 to 9998, the log's own range.
fn is_sound(time: SystemTime) -> bool {
    const MOST: u64 = 253_370_764_800;
    time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|since| since.as_secs() < MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().into()
    }

    #[test]
    fn a_clock_that_is_off_is_corrected_and_a_slow_network_is_not() {
        let now = at("2026-01-31T12:00:00Z");
        for (sent, given, expected) in [
            ("2026-01-31T11:00:00Z", "2026-01-31T10:59:00Z", "2026-01-31T11:59:00Z"),
            ("2026-01-31T13:00:00Z", "2026-01-31T12:59:00Z", "2026-01-31T11:59:00Z"),
            ("2026-01-31T11:59:56Z", "2026-01-31T11:59:00Z", "2026-01-31T11:59:00Z"),
            ("2026-01-31T11:51:00Z", "2026-01-31T11:50:00Z", "2026-01-31T11:50:00Z"),
            ("2099-01-31T12:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ] {
            assert_eq!(Skew::between(at(sent), now).correct(at(given)), at(expected), "{sent}");
        }
    }

    #[test]
    fn times_are_read_as_the_clients_write_them() {
        let read = |json: &str| required("timestamp", serde_json::from_str(json).unwrap());
        for (json, expected) in [
            ("\"2026-01-31T12:00:00.123Z\"", "2026-01-31T12:00:00.123Z"),
            ("\"2026-01-31T12:00:00.123456+00:00\"", "2026-01-31T12:00:00.123456Z"),
            ("\"2026-01-31 14:00:00+02:00\"", "2026-01-31T12:00:00Z"),
            ("\"2026-01-31T12:00:00.5\"", "2026-01-31T12:00:00.5Z"),
            ("1769860800000", "2026-01-31T12:00:00Z"),
        ] {
            assert_eq!(read(json), Ok(at(expected)), "{json}");
        }
        for json in ["\"\"", "\"SECRET\"", "0", "-1", "true", "{}", "\"9999-01-01T00:00:00Z\""] {
            let said = read(json).unwrap_err();
            assert!(said.starts_with("timestamp must be a time") && !said.contains("SECRET"));
        }
    }
}
