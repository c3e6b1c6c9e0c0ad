//! The protocols of other clients. Each module reads the events of one and answers as its clients
//! expect; [`super::intake`] does the rest.

mod answer;
pub(crate) mod cloudevents;
mod entries;
pub(crate) mod posthog;
pub(crate) mod posthog_config;
pub(crate) mod request;
pub(crate) mod segment;
pub(crate) mod segment_settings;
mod time;
