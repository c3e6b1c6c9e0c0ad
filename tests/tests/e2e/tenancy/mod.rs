//! Tenants: whose event it is, and what a tenant's settings change.

mod all_tenants;
mod left_out;
mod names;
mod quotas;
mod settings;
mod tenant;
