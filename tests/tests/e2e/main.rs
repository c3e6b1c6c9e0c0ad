//! End-to-end tests of the extension against private clusters.

mod alerts;
mod delivery;
mod lifecycle;
mod log;
mod maintenance;
mod reports;
mod seals;
mod security;
mod taxonomy;
mod tenancy;
