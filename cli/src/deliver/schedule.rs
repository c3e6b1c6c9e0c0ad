//! When a message is sent again, and when a receiver is put aside. Nothing here looks at a clock: spans go in
//! and out, and the database adds them to its own time.

use std::time::Duration;

use super::send::Outcome;

/// Attempts of different messages that fail in a row before a receiver is put aside: from then on one is sent
/// at a time, after growing pauses.
pub(super) const ASIDE_AFTER: u32 = 3;
/// Waits between the attempts of a message in seconds, as Standard Webhooks advises: 5 s, 5 and 30 minutes,
/// 2, 5, 10, 14, 20 and 24 hours.
const WAITS: [u32; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
/// Waits differ by this part at most, so that what failed together does not come again together.
const JITTER: f64 = 0.2;

/// What follows from an attempt.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Verdict {
    /// Attempts that failed in a row, this one included.
    pub(super) failures: u32,
    /// What becomes of the message.
    pub(super) message: Next,
    /// How long nothing is sent to this receiver.
    pub(super) pause: Option<Duration>,
    /// True if nothing more may be sent now.
    pub(super) ends: bool,
}

/// What becomes of a message.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Next {
    /// The receiver has it.
    Delivered,
    /// It is sent again after this time.
    Again(Duration),
    /// That was the last attempt.
    GivenUp,
    /// It stays where it was: the receiver wants nothing any more.
    Stays,
}

/// Says what follows from an attempt: the message's number `attempt`, after `failures` in a row. `chance` is
/// from 0 to 1.
///
/// A message that fails again says nothing new of its receiver, which may only be unable to take this one. So
/// it does not count towards putting aside.
pub(super) fn judge(outcome: &Outcome, attempt: u32, failures: u32, chance: f64) -> Verdict {
    let retry_after = match outcome {
        Outcome::Delivered { .. } => {
            return Verdict { failures: 0, message: Next::Delivered, pause: None, ends: false };
        }
        Outcome::Gone => {
            return Verdict { failures, message: Next::Stays, pause: None, ends: true };
        }
        Outcome::Refused { retry_after, .. } => *retry_after,
        Outcome::Failed { .. } => None,
    };
    let was_aside = failures >= ASIDE_AFTER;
    let failures = if attempt == 1 || was_aside { failures.saturating_add(1) } else { failures };
    let is_aside = failures >= ASIDE_AFTER;
    let aside = is_aside.then(|| wait_after(failures - ASIDE_AFTER + 1, chance));
    let pause = longer(aside, retry_after.map(|asked| asked.mul_f64(1.0 + JITTER / 2.0 * chance)));
    // While the receiver as a whole fails, no message is given up for it.
    let is_last = attempt as usize > WAITS.len() && !was_aside && !is_aside;
    let message = match is_last {
        true => Next::GivenUp,
        false => Next::Again(longer(Some(wait_after(attempt, chance)), pause).unwrap_or_default()),
    };
    Verdict { failures, message, pause, ends: pause.is_some() }
}

/// Returns the wait after a failed attempt, the first of which is 1; after the last it stays the same.
fn wait_after(attempt: u32, chance: f64) -> Duration {
    let number = (attempt.max(1) as usize - 1).min(WAITS.len() - 1);
    Duration::from_secs(WAITS[number].into()).mul_f64(1.0 - JITTER + 2.0 * JITTER * chance)
}

fn longer(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    one.max(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFUSED: Outcome = Outcome::Refused { status: 500, retry_after: None };
    const DELIVERED: Outcome = Outcome::Delivered { status: 204 };

    /// Chances from 0 to 1.
    fn chances() -> impl Iterator<Item = f64> {
        (0..=20).map(|part| f64::from(part) / 20.0)
    }

    #[test]
    fn a_message_is_sent_ten_times_with_growing_waits_and_then_given_up() {
        for chance in chances() {
            let mut total = Duration::ZERO;
            let mut last = Duration::ZERO;
            for attempt in 1..=9 {
                let verdict = judge(&REFUSED, attempt, 0, chance);
                let Next::Again(wait) = verdict.message else { panic!("{attempt}: {verdict:?}") };
                assert!(wait > last, "{attempt}: {wait:?}");
                let counted = u32::from(attempt == 1);
                assert_eq!((verdict.failures, verdict.pause, verdict.ends), (counted, None, false));
                (last, total) = (wait, total + wait);
            }
            assert_eq!(judge(&REFUSED, 10, 0, chance).message, Next::GivenUp);
            let hours = total.as_secs_f64() / 3600.0;
            assert!((75.5 * 0.8..75.7 * 1.2).contains(&hours), "{hours}");
        }
    }

    #[test]
    fn the_third_failure_in_a_row_puts_aside_and_success_brings_back() {
        for chance in chances() {
            assert!(!judge(&REFUSED, 1, 1, chance).ends);
            let third = judge(&REFUSED, 1, 2, chance);
            assert!(
                third.ends && third.pause.is_some_and(|pause| pause.as_secs() < 7),
                "{third:?}"
            );
            let back = judge(&DELIVERED, 4, 30, chance);
            assert_eq!(
                back,
                Verdict { failures: 0, message: Next::Delivered, pause: None, ends: false }
            );
        }
    }

    #[test]
    fn while_a_receiver_is_put_aside_pauses_grow_to_a_day_and_nothing_is_given_up() {
        for chance in chances() {
            let mut last = Duration::ZERO;
            for failures in 3..200 {
                let verdict = judge(&REFUSED, failures + 1, failures, chance);
                let pause = verdict.pause.expect("it is put aside");
                assert!(
                    pause >= last && pause.as_secs() <= 86_400 * 6 / 5,
                    "{failures}: {pause:?}"
                );
                assert!(
                    matches!(verdict.message, Next::Again(wait) if wait >= pause),
                    "{verdict:?}"
                );
                last = pause;
            }
        }
    }

    #[test]
    fn a_receiver_gets_nothing_before_the_time_that_it_asked_for() {
        for chance in chances() {
            for seconds in [1, 60, 86_400] {
                let asked = Duration::from_secs(seconds);
                for (attempt, failures) in [(1, 0), (10, 0), (3, 2), (5, 9)] {
                    let refused = Outcome::Refused { status: 429, retry_after: Some(asked) };
                    let verdict = judge(&refused, attempt, failures, chance);
                    assert!(verdict.pause >= Some(asked) && verdict.ends, "{verdict:?}");
                    if let Next::Again(wait) = verdict.message {
                        assert!(Some(wait) >= verdict.pause, "{verdict:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_receiver_that_is_gone_keeps_its_message() {
        let verdict = judge(&Outcome::Gone, 1, 0, 0.5);
        assert_eq!((verdict.message, verdict.ends), (Next::Stays, true));
    }
}
