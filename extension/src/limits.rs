//! Limits of what a caller may give. CHECK constraints of the tables have the same numbers.

/// Longest name of an event, in bytes.
pub(crate) const NAME_BYTES: usize = 128;

/// Longest actor or subject, in bytes.
pub(crate) const LABEL_BYTES: usize = 512;

/// Longest idempotency key, in bytes.
pub(crate) const KEY_BYTES: usize = 255;

/// Most keys that a subject is joined from.
pub(crate) const SUBJECT_PARTS: usize = 8;

/// How much of a rejected event the quarantine keeps.
pub(crate) mod quarantine {
    /// Most characters of a name; a longer one is cut.
    pub(crate) const NAME_CHARACTERS: usize = 200;

    /// Most characters of an actor or subject.
    pub(crate) const LABEL_CHARACTERS: usize = 200;

    /// Most characters of an idempotency key.
    pub(crate) const KEY_CHARACTERS: usize = 255;

    /// Most characters of the name of a protocol.
    pub(crate) const PROTOCOL_CHARACTERS: usize = 40;

    /// Largest payload as text, in bytes; of a larger one only the reason is kept.
    pub(crate) const PAYLOAD_BYTES: usize = 65_536;
}
