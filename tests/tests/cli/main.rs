//! The gateway and the command line: the built program against real servers.

mod door;
mod gateway;
mod hostile;
mod http;
mod keys;
mod outage;
mod proof;
mod server;
mod track;
