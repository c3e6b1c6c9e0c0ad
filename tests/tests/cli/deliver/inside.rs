//! Addresses inside of the network, which `eventlog deliver` does not reach.

use std::net::TcpListener;

use eventlog_tests::receiver::{Answer, Receiver};
use eventlog_tests::{db, rows, wait_for};

use super::{Deliverer, create, log, ping};
use crate::server::eventlog;

/// Ways to write an address of this machine that `create_webhook` accepts from the log's owner, who may
/// allow networks to the deliverer.
const HOSTS: [&str; 16] = [
    "127.0.0.1",
    "127.0.0x1",
    "127.1.2.3",
    "0.0.0.0",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0x0.0.1",
    "127.0.0.0x1",
    "%31%32%37.0.0.1",
    "127%2e0%2e0%2e1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
];

#[test]
fn a_deliverer_reaches_no_private_address_unless_it_is_allowed() {
    let (db, mut owner) = log();
    let receiver = Receiver::accepting();
    let url = receiver.url("");
    for host in HOSTS {
        create(&mut owner, &url.replace("127.0.0.1", host), "");
    }
    ping(&mut owner, 1);
    let mut command = eventlog(db::shared(), &db.name, "service");
    // A network that is allowed opens no other one.
    command.args(["deliver", "--allow-network", "192.0.2.0/24"]);
    let deliverer = Deliverer::start_command(command);
    let tried = "SELECT count(DISTINCT webhook_id) FROM eventlog.webhook_deliveries";
    wait_for(&mut owner, tried, &HOSTS.len().to_string());
    let others = "SELECT DISTINCT error FROM eventlog.webhook_deliveries
                   WHERE status IS NOT NULL OR error IS NULL OR error !~ 'not (a )?public'";
    assert_eq!(rows(&mut owner, others), Vec::<Vec<String>>::new());
    drop(deliverer);
    assert_eq!(receiver.count(), 0);
    // What is allowed is reached: the receiver was there.
    let _deliverer = Deliverer::of(&db, &[]);
    owner
        .batch_execute("SELECT eventlog.enable_webhook(webhook_id) FROM eventlog.webhooks")
        .expect("known");
    receiver.wait_for(1);
}

#[test]
fn a_deliverer_follows_no_redirect() {
    let (db, mut owner) = log();
    let inside = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = inside.local_addr().expect("bound");
    let receiver = Receiver::start(move |request| {
        let status = request.path.parse().expect("a status");
        Answer::With(status, format!("location: http://{target}/\r\n"))
    });
    let statuses = ["301", "302", "303", "307", "308"];
    for status in statuses {
        create(&mut owner, &receiver.url(status), "");
    }
    ping(&mut owner, 1);
    let _deliverer = Deliverer::of(&db, &[]);
    let found = "SELECT string_agg(DISTINCT status::text, ' ' ORDER BY status::text) FROM eventlog.webhook_deliveries";
    wait_for(&mut owner, found, &statuses.join(" "));
    inside.set_nonblocking(true).expect("it is ours");
    let came = inside.accept().map_err(|error| error.kind());
    assert!(matches!(came, Err(std::io::ErrorKind::WouldBlock)), "{came:?}");
}
