//! The gateway and the command line: the built program against real servers.

mod analytics;
mod dashboard;
mod door;
mod gateway;
mod hostile;
mod http;
mod keys;
mod outage;
mod proof;
mod seed;
mod server;
mod track;
