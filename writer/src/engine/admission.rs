//! Checks an event before it enters the queue, outside of any lock.

use std::time::SystemTime;

use crate::{Error, Event, Options};

/// The decision on an event.
pub(crate) enum Admission {
    /// It enters the queue, where it counts that many bytes.
    Accepted(usize),
    /// The sample leaves it out.
    LeftOut,
    /// The event itself is at fault.
    Refused(Error),
}

impl Event {
    /// Completes an event from the options, and decides whether it enters the queue.
    pub(crate) fn admit(&mut self, options: &Options, wall: SystemTime) -> Admission {
        let (found, most) = (self.data.len(), options.max_payload);
        if found > most {
            let fault = format!("the payload is too large: {found} bytes, limit {most}");
            return Admission::Refused(Error::rejected(None, fault));
        }
        if let Err(fault) = self.check() {
            return Admission::Refused(fault);
        }
        if !self.is_kept(options) {
            return Admission::LeftOut;
        }
        if !self.has_clock {
            self.occurred_at.get_or_insert(wall);
        }
        self.tenant_id = self.tenant_id.or(options.tenant);
        Admission::Accepted(self.size())
    }

    /// Returns true unless a sample that the options ask for leaves the event out.
    fn is_kept(&self, options: &Options) -> bool {
        let sample = options.samples.iter().find(|sample| sample.name == self.name);
        let Some(sample) = sample else { return true };
        let key = match &sample.key {
            Some(key) => self.text_of(key),
            None => self.actor.clone(),
        };
        key.is_none_or(|key| eventlog_common::is_sampled(&key, sample.rate))
    }
}
