//! What is decided about an event before it comes to the queue, outside of any lock.

use std::time::SystemTime;

use crate::{Error, Event, Options};

/// Whether an event goes into the queue.
pub(crate) enum Admission {
    /// It does, and counts so many bytes there.
    Taken(usize),
    /// The sample leaves it out.
    LeftOut,
    /// It has a fault of its own.
    Refused(Error),
}

impl Event {
    /// Completes an event by the options, and says whether it goes into the queue.
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
        Admission::Taken(self.size())
    }

    /// Whether the samples that are taken here keep it.
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
