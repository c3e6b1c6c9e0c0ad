//! A batch: the columns that one statement takes, made once and sent again as they are.

use std::time::SystemTime;

use uuid::Uuid;

use crate::{Error, Event};

/// Events of one statement, by column.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Rises by one each time.
    pub(crate) number: i64,
    pub(crate) tenant_ids: Vec<Option<Uuid>>,
    pub(crate) names: Vec<String>,
    pub(crate) data: Vec<String>,
    pub(crate) occurred_at: Vec<Option<SystemTime>>,
    pub(crate) actors: Vec<Option<String>>,
    pub(crate) subjects: Vec<Option<String>>,
    pub(crate) idempotency_keys: Vec<Option<String>>,
    /// Whether somebody waits for what became of single events.
    pub(crate) with_verdicts: bool,
}

impl Batch {
    pub(crate) fn push(&mut self, event: Event) {
        self.tenant_ids.push(event.tenant_id);
        self.names.push(event.name.as_str().to_owned());
        self.data.push(event.data);
        self.occurred_at.push(event.occurred_at);
        self.actors.push(event.actor);
        self.subjects.push(event.subject);
        self.idempotency_keys.push(event.idempotency_key);
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

/// What the server said of a batch.
#[derive(Debug, Default, Clone)]
pub(crate) struct Answer {
    pub(crate) written: u64,
    pub(crate) duplicate: u64,
    pub(crate) sampled: u64,
    pub(crate) rejected: u64,
    /// By position, where they were asked for; none for a batch that the server had seen.
    pub(crate) verdicts: Vec<Verdict>,
}

/// What became of one event.
#[derive(Debug, Clone)]
pub(crate) enum Verdict {
    /// Its id, or that of the first event of its key, where it is known.
    Stored(Option<i64>),
    LeftOut,
    Rejected(Error),
}
