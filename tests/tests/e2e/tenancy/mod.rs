//! Tenants: whose event it is, and what a tenant's settings change.

mod left_out;
mod quotas;
mod settings;
mod tenant;
