//! The gateway and the command line: the built program against real servers.

mod alerts;
mod aliases;
mod analytics;
mod clients;
mod connecting;
mod csv;
mod dashboard;
mod doctor;
mod doctor_servers;
mod door;
mod empty_labels;
mod files;
mod foreign;
mod gateway;
#[rustfmt::skip]
#[allow(clippy::all, dead_code, missing_docs, unreachable_pub)]
mod generated;
mod golden;
mod guide;
mod hostile;
mod http;
mod keys;
mod keys_of_tenants;
mod outage;
mod own_clients;
mod own_clients_shipped;
mod packaging;
mod poison;
mod proof;
mod protocols_hostile;
mod protocols_other;
mod protocols_posthog;
mod protocols_segment;
mod public_keys;
mod replay;
mod reports;
mod seed;
mod server;
mod sessions;
mod setup;
mod share_links;
mod shares;
mod statement_timeout;
mod track;
mod typed;
mod upkeep;
