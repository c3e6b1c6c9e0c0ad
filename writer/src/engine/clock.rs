//! The engine's time. Callers pass it in; the engine reads no clock.

use std::time::Duration;

/// Time since the writer began.
pub(crate) type Instant = Duration;
