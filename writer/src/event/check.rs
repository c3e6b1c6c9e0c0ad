//! Finds events that PostgreSQL cannot take. Refused here, such an event costs itself; refused by the
//! driver or the server, it would cost its whole batch.

use std::time::SystemTime;

use super::payload::{MOST_DEPTH, nests_too_deep};
use crate::{Error, Event};

/// Most bytes of name, actor, subject and idempotency key together. The log allows much less, but
/// hashes some of them first.
const MOST_TEXT: usize = 1 << 20;

const NUL: &str = "22021";
const TOO_LARGE: &str = "54000";
const OUT_OF_RANGE: &str = "22008";

/// First and last microsecond of a timestamptz, since 1970.
const FIRST_MICROSECOND: i128 = -210_866_803_200_000_000;
const LAST_MICROSECOND: i128 = 9_224_318_015_999_999_999;

impl Event {
    /// Checks that PostgreSQL can take the event. Every way to log an event checks this first, and
    /// refuses that event alone. Whether the event follows the rules of its type is up to the log.
    ///
    /// # Errors
    /// 22021 if a text has a NUL character; 22008 if `occurred_at` is no time of a `timestamptz`;
    /// 54000 if the payload nests deeper than 1,000 levels, or name, actor, subject and idempotency
    /// key have more than 1 MiB together; without SQLSTATE if the payload did not serialize.
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
        // JSON escapes NUL characters, which the log refuses; one that is not escaped is no JSON.
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

/// Returns true if a `timestamptz`, which counts microseconds, holds the time.
fn is_timestamptz(at: SystemTime) -> bool {
    let micros = match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => since.as_micros() as i128,
        // Parts of a microsecond are cut off towards 2000.
        Err(before) => -(before.duration().as_micros() as i128),
    };
    (FIRST_MICROSECOND..=LAST_MICROSECOND).contains(&micros)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_event_that_postgresql_cannot_take_is_refused_by_itself() {
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
}
