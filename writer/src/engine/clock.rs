//! The engine's time, which it is told: it reads no clock.

use std::time::Duration;

/// Time since the writer began.
pub(crate) type Instant = Duration;
