//! Consumers, which read every event exactly once.

mod consumers;
mod cursor;
mod retention;
mod seen_writers;
mod webhooks;
