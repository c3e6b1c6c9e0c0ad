//! What PostgreSQL cannot carry. Found in one event here, it costs that event; found by the driver or
//! the server, it would cost every event of its batch.

use std::time::SystemTime;

use crate::{Error, Event};

/// Deepest nesting of a payload: the log itself takes some thousands of levels, by its stack.
pub(crate) const MOST_DEPTH: usize = 1_000;

/// Most bytes of name, actor, subject and idempotency key together. The log allows much less; what
/// is hashed there may be longer here.
const MOST_TEXT: usize = 1 << 20;

const NUL: &str = "22021";
const TOO_LARGE: &str = "54000";
const OUT_OF_RANGE: &str = "22008";

/// First and last microsecond of a timestamptz, since 1970.
const FIRST_MICROSECOND: i128 = -210_866_803_200_000_000;
const LAST_MICROSECOND: i128 = 9_224_318_015_999_999_999;

impl Event {
    /// Whether PostgreSQL can carry it: no text has a NUL character, the time is one that a
    /// `timestamptz` holds, the payload serialized and nests at most 1,000 levels. What the log
    /// makes of it is the log's to say. Every way to log an event checks this first, and refuses that
    /// event alone.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Error> {
        let refused =
            |sqlstate: &str, fault: String| Err(Error::rejected(Some(sqlstate.to_owned()), fault));
        if let Some(fault) = &self.fault {
            return Err(Error::rejected(None, fault.clone()));
        }
        let texts = [
            ("name", Some(self.name.as_str())),
            ("actor", self.actor.as_deref()),
            ("subject", self.subject.as_deref()),
            ("idempotency key", self.idempotency_key.as_deref()),
        ];
        let mut bytes = 0;
        for (what, text) in texts {
            let Some(text) = text else { continue };
            bytes += text.len();
            if has_nul(text) {
                return refused(
                    NUL,
                    format!("the {what} has a NUL character, which text cannot hold"),
                );
            }
        }
        if bytes > MOST_TEXT {
            let fault = "name, actor, subject and idempotency key are too large together";
            return refused(TOO_LARGE, format!("{fault}: {bytes} bytes, limit {MOST_TEXT}"));
        }
        // In JSON it would be escaped, and the log's to refuse.
        if has_nul(&self.data) {
            return refused(
                NUL,
                "the payload has a NUL character, which text cannot hold".to_owned(),
            );
        }
        if nests_too_deep(&self.data) {
            return refused(
                TOO_LARGE,
                format!("the payload nests too deep: limit {MOST_DEPTH} levels"),
            );
        }
        if self.occurred_at.is_some_and(|at| !is_timestamptz(at)) {
            return refused(
                OUT_OF_RANGE,
                "occurred_at is out of range: a timestamptz goes from 4714-11-24 BC to 294276"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn has_nul(text: &str) -> bool {
    text.as_bytes().contains(&0)
}

/// Whether a time is one that a timestamptz holds, which counts microseconds.
fn is_timestamptz(at: SystemTime) -> bool {
    let micros = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i128,
        // What is less than a microsecond is cut off towards 2000.
        Err(before) => -(before.duration().as_micros() as i128),
    };
    (FIRST_MICROSECOND..=LAST_MICROSECOND).contains(&micros)
}

/// Whether well-formed JSON nests deeper than [`MOST_DEPTH`]. Only what is long enough is looked at.
pub(crate) fn nests_too_deep(json: &str) -> bool {
    if json.len() <= 2 * MOST_DEPTH {
        return false;
    }
    let (mut depth, mut is_in_string, mut is_escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            _ if is_in_string => {}
            b'{' | b'[' => {
                depth += 1;
                if depth > MOST_DEPTH {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_postgresql_cannot_carry_is_found_in_the_event() {
        let event = || Event::new("ping");
        let fault = |event: Event| event.check().map_err(|error| error.to_string());
        for (event, what) in [
            (Event::new("pi\0ng".to_owned()), "name"),
            (event().actor("a\0"), "actor"),
            (event().subject("\0"), "subject"),
            (event().idempotency_key("k\0k"), "idempotency key"),
        ] {
            let expected =
                format!("the {what} has a NUL character, which text cannot hold (SQLSTATE 22021)");
            assert_eq!(fault(event), Err(expected));
        }
        let long = event().actor("a".repeat(MOST_TEXT));
        assert!(fault(long).unwrap_err().contains("1048580 bytes, limit 1048576"));
        assert_eq!(fault(event().data(&serde_json::json!({"a": "\0"}))), Ok(()), "it is escaped");
    }

    #[test]
    fn times_are_those_of_a_timestamptz() {
        let micros = |micros: i128| {
            let time = Duration::from_micros(u64::try_from(micros.unsigned_abs()).unwrap());
            match micros < 0 {
                true => SystemTime::UNIX_EPOCH - time,
                false => SystemTime::UNIX_EPOCH + time,
            }
        };
        for at in [FIRST_MICROSECOND, 0, LAST_MICROSECOND] {
            assert!(is_timestamptz(micros(at)), "{at}");
        }
        for at in [FIRST_MICROSECOND - 1, LAST_MICROSECOND + 1] {
            assert!(!is_timestamptz(micros(at)), "{at}");
        }
        assert!(!is_timestamptz(SystemTime::UNIX_EPOCH + Duration::from_secs(i64::MAX as u64)));
    }

    #[test]
    fn nesting_is_counted_outside_of_strings() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(!nests_too_deep(&nested(MOST_DEPTH)));
        assert!(nests_too_deep(&nested(MOST_DEPTH + 1)));
        assert!(!nests_too_deep(&format!(r#"["\"{}"]"#, "[".repeat(5_000))));
        assert!(!nests_too_deep(&format!("[{}]", "[],".repeat(5_000))));
    }
}
