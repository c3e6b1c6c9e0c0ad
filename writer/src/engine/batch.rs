//! A batch: the events of one statement, made once and sent again unchanged.

use std::time::Duration;

use crate::{Error, Event, Outcome};

/// Events of one statement. They become columns when they are sent, outside of any lock.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The place it is sent from, which decides its connection and its producer id.
    pub(crate) place: usize,
    /// Rises by one with each batch of a place.
    pub(crate) number: i64,
    /// Empty if the statement only asks whether the batch of this number was written. The server then
    /// answers for it or, if it has not seen the number, uses it up, so that a copy of the batch
    /// that is still on its way writes nothing.
    pub(crate) events: Vec<Event>,
    /// How many events the answer may account for.
    pub(crate) accounts_for: usize,
    /// True if a caller waits for the result of a single event.
    pub(crate) with_verdicts: bool,
    /// How long it waits for a lock of another transaction.
    pub(crate) lock_timeout: Option<Duration>,
}

/// The server's answer to a batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub(crate) written: u64,
    pub(crate) duplicate: u64,
    pub(crate) sampled: u64,
    pub(crate) rejected: u64,
    /// True if the server had seen the batch: the counts are those of the first time.
    pub(crate) is_repeat: bool,
    /// One for each event, in order, if they were asked for; none for a repeated batch. Servers
    /// since 0.2 send those of refused events in any case.
    pub(crate) verdicts: Vec<Verdict>,
}

impl Answer {
    /// Counts the events that it accounts for.
    pub(crate) fn events(&self) -> u64 {
        [self.duplicate, self.sampled, self.rejected]
            .into_iter()
            .fold(self.written, u64::saturating_add)
    }

    /// Returns the outcome of each of a batch's `events` if there are no verdicts, as for a
    /// repeated batch. The counts tell it if all events had the same one.
    pub(crate) fn common_outcome(&self, events: u64) -> Result<Outcome, Error> {
        match *self {
            // A disabled log counts nothing: its owner wants the events left out.
            _ if self.events() == 0 => Ok(Outcome::LeftOut),
            Answer { written, .. } if written == events => Ok(Outcome::Written(None)),
            Answer { duplicate, .. } if duplicate == events => Ok(Outcome::Duplicate(None)),
            Answer { sampled, .. } if sampled == events => Ok(Outcome::LeftOut),
            Answer { rejected, .. } if rejected == events => Err(Answer::rejected()),
            _ => Ok(Outcome::Unknown),
        }
    }

    /// Returns the error of events that the log refused without giving a reason here.
    pub(crate) fn rejected() -> Error {
        Error::rejected(None, "the log refused events; see eventlog.rejected_events")
    }
}

/// The server's answer for one event.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Stored under this id, if it is known.
    Stored(Option<i64>),
    /// Not stored again; the id is that of the first event of its idempotency key, if it is known.
    Duplicate(Option<i64>),
    LeftOut,
    Rejected(Error),
}

impl Verdict {
    /// Returns the verdict as the caller gets it.
    pub(crate) fn outcome(&self) -> Result<Outcome, Error> {
        match self {
            Verdict::Stored(id) => Ok(Outcome::Written(*id)),
            Verdict::Duplicate(id) => Ok(Outcome::Duplicate(*id)),
            Verdict::LeftOut => Ok(Outcome::LeftOut),
            Verdict::Rejected(error) => Err(error.clone()),
        }
    }
}

impl Batch {
    /// Returns a batch of the same number without events.
    pub(crate) fn like(other: &Batch) -> Self {
        Batch { events: Vec::new(), ..*other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_a_repeated_batch_tell_the_outcome_if_all_events_had_the_same() {
        let outcome = |written, duplicate, sampled, rejected| {
            let answer = Answer { written, duplicate, sampled, rejected, ..Answer::default() };
            answer.common_outcome(3)
        };
        assert_eq!(outcome(3, 0, 0, 0).unwrap(), Outcome::Written(None));
        assert_eq!(outcome(0, 3, 0, 0).unwrap(), Outcome::Duplicate(None));
        assert_eq!(outcome(0, 0, 3, 0).unwrap(), Outcome::LeftOut);
        assert_eq!(outcome(0, 0, 0, 0).unwrap(), Outcome::LeftOut, "the log is disabled");
        assert!(outcome(0, 0, 0, 3).unwrap_err().to_string().contains("rejected_events"));
        for mixed in [outcome(2, 1, 0, 0), outcome(2, 0, 1, 0), outcome(2, 0, 0, 1)] {
            assert_eq!(mixed.unwrap(), Outcome::Unknown);
        }
    }
}
