//! Addresses and names that must not be reached.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::super::connect::{Connector, Resolver};
use super::*;

/// The ways to write a loopback address. All but the names reach a listener where it is allowed.
const LOOPBACK: [&str; 24] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "0177.0.0.01",
    "017700000001",
    "0000000000000177.1",
    "127.0.0x0.1",
    "%31%32%37.0.0.1",
    "127%2e0%2E0%2e1",
    "127。0。0。1",
    "127．0．0．1",
    "①②⑦.⓪.⓪.①",
    "１２７.0.0.1",
    "1\t2\n7.0.0.1",
    "user.example@127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "ⓛocalhost",
];

/// Other addresses that are not public.
const CLOSED: [&str; 69] = [
    "0",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "0x0a000001",
    "012.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.255.255.254",
    "169.254.0.1",
    "169.254.169.254",
    "2852039166",
    "0xa9fea9fe",
    "0xA9.0xFE.0xA9.0xFE",
    "0251.0376.0251.0376",
    "169.254.43518",
    "168.63.129.16",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.170",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.257",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "4294967295",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::10.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:127.0.0.1]",
    "[::ffff:169.254.169.254]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::10.0.0.1]",
    "[100::1]",
    "[100:0:0:1::1]",
    "[2001::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[3fff::1]",
    "[4000::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[febf:ffff::1]",
    "[fec0::1]",
    "[ff02::1]",
];

const PUBLIC: [&str; 12] = [
    "1.1.1.1",
    "8.8.8.8",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "198.17.255.255",
    "223.255.255.255",
    "[2001:4860:4860::8888]",
    "[2606:4700:4700::1111]",
    "[2a00:1450:4001:830::200e]",
];

/// Connects to a receiver and is the only one who did.
async fn assert_that_nobody_came(receiver: &Receiver) {
    assert_eq!(receiver.connections(), 0);
    // Connections are accepted in order: had there been another one before, it would be counted.
    let url = receiver.url();
    assert_eq!(send(&sender(LONG), &url).await, Outcome::Delivered { status: 204 });
    assert_eq!(receiver.connections(), 1);
}

async fn receiver() -> Receiver {
    Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_reached_however_it_is_written() {
    let receiver = receiver().await;
    let port = receiver.address.port();
    let sender = Sender::new(SenderOptions { time_limit: LONG, ..SenderOptions::default() });
    let sender = sender.expect("a sender");
    for host in LOOPBACK.into_iter().chain(CLOSED) {
        for scheme in ["http", "https"] {
            let outcome = send(&sender, &format!("{scheme}://{host}:{port}/")).await;
            let reason = reason(&outcome);
            let is_named = reason.contains("not a public address")
                || reason.contains("an address that is not public")
                || reason.contains("user name");
            assert!(is_named, "{host}: {reason}");
        }
    }
    assert_that_nobody_came(&receiver).await;
}

#[tokio::test]
async fn every_way_to_write_an_address_that_is_allowed_reaches_it() {
    let receiver = receiver().await;
    let port = receiver.address.port();
    let sender = sender(LONG);
    let mut reached = 0;
    for host in LOOPBACK.iter().filter(|host| !host.contains(['@', 'l', 'L'])) {
        let outcome = send(&sender, &format!("http://{host}:{port}/")).await;
        assert_eq!(outcome, Outcome::Delivered { status: 204 }, "{host}");
        reached += 1;
    }
    assert_eq!((reached, receiver.requests().len()), (20, 20));
}

#[test]
fn public_addresses_are_allowed() {
    for host in PUBLIC {
        let checked = super::super::endpoint::check_url(&format!("https://{host}/hook"), &[]);
        assert!(checked.is_ok(), "{host}: {checked:?}");
    }
}

#[test]
fn only_urls_of_the_web_without_names_of_users_are_taken() {
    for (url, problem) in [
        ("", "not a URL"),
        ("example.com/hook", "not a URL"),
        ("//example.com/hook", "not a URL"),
        ("/hook", "not a URL"),
        ("https://", "not a URL"),
        ("https://exa mple.com/", "not a URL"),
        ("https://example.com:99999/", "not a URL"),
        ("https://[fe80::1%25eth0]/", "not a URL"),
        ("https://256.1.1.1/", "not a URL"),
        ("https://1.2.3.4.5/", "not a URL"),
        ("https://example.com:0/", "port 0"),
        ("ftp://example.com/", "https: or http:"),
        ("file:///etc/passwd", "https: or http:"),
        ("gopher://127.0.0.1:6379/_x", "https: or http:"),
        ("unix:/run/docker.sock", "https: or http:"),
        ("javascript:alert(1)", "https: or http:"),
        ("https://me@example.com/", "user name"),
        ("https://me:secret@example.com/", "user name"),
        ("https://:secret@example.com/", "user name"),
        // What stands before the @ or after the \ is not the host.
        ("https://example.com@127.0.0.1/", "user name"),
        (r"https://127.0.0.1\@example.com/", "not a public address (loopback)"),
        ("https://127.0.0.1#@example.com/", "not a public address (loopback)"),
        ("https://127.0.0.1?@example.com/", "not a public address (loopback)"),
        ("https:\\\\127.0.0.1/", "not a public address (loopback)"),
        ("https:127.0.0.1", "not a public address (loopback)"),
    ] {
        let error = super::super::endpoint::check_url(url, &[]).expect_err(url);
        assert!(error.contains(problem), "{url}: {error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let long = format!("https://example.com/{}", "x".repeat(2048));
    let error = super::super::endpoint::check_url(&long, &[]).expect_err("it is long");
    assert_eq!(error, "the URL has 2068 bytes, at most 2048 are allowed");
}

#[test]
fn a_network_is_read_as_an_operator_writes_it() {
    let contains = |network: &str, address: &str| {
        network.parse::<Network>().expect(network).contains(address.parse().expect(address))
    };
    assert!(contains("10.1.0.0/16", "10.1.255.255") && !contains("10.1.0.0/16", "10.2.0.0"));
    assert!(contains("10.1.2.3", "10.1.2.3") && !contains("10.1.2.3", "10.1.2.4"));
    assert!(contains("fd00::/8", "fdff::1") && !contains("fd00::/8", "fc00::1"));
    assert!(contains("0.0.0.0/0", "255.255.255.255") && contains("::/0", "ffff::"));
    assert!(!contains("0.0.0.0/0", "::1") && !contains("::/0", "127.0.0.1"));
    assert!(!contains("127.0.0.0/8", "::ffff:127.0.0.1"));
    for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/-1", "all"] {
        let error = text.parse::<Network>().expect_err(text);
        assert!(error.contains("is not a network: write 10.1.0.0/16"), "{error}");
    }
}

/// Makes a sender whose names lead to one list of addresses after another, and then to the last one.
fn sender_with(answers: &[&[&str]], allowed: &[&str]) -> (Sender, Arc<AtomicUsize>) {
    let parse = |addresses: &&[&str]| -> Vec<IpAddr> {
        addresses.iter().map(|address| address.parse().expect("an address")).collect()
    };
    let answers: VecDeque<_> = answers.iter().map(parse).collect();
    let (answers, count) = (Arc::new(Mutex::new(answers)), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    let resolver: Resolver = Arc::new(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let mut answers = answers.lock().expect("not poisoned");
        let answer = match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().unwrap_or_default(),
        };
        Box::pin(async move { Ok(answer) })
    });
    let options = SenderOptions { allow_private: networks(allowed), time_limit: LONG };
    let connector = Connector::new(options.allow_private.clone(), resolver).expect("a connector");
    (Sender::with_connector(options, connector), count)
}

#[tokio::test]
async fn a_name_that_leads_to_an_address_that_is_not_public_is_not_reached() {
    let receiver = receiver().await;
    let port = receiver.address.port();
    let addresses = CLOSED.iter().filter_map(|host| {
        let host = host.trim_matches(['[', ']']);
        host.parse::<IpAddr>().is_ok().then_some(host)
    });
    let mut tried = 0;
    for address in addresses.chain(["127.0.0.1"]) {
        // Alone, and hidden behind public ones.
        for answer in [&[address][..], &["8.8.8.8", "2606:4700::1", address]] {
            let (sender, _) = sender_with(&[answer], &[]);
            let outcome = send(&sender, &format!("http://hook.example:{port}/")).await;
            let expected = "hook.example leads to an address that is not public";
            assert_eq!(reason(&outcome), expected, "{address}");
        }
        tried += 1;
    }
    assert!(tried >= 60, "{tried}");
    assert_that_nobody_came(&receiver).await;
}

/// 127.0.0.2 stands for a public address here, 127.0.0.1 for one inside.
#[tokio::test]
async fn a_name_whose_address_changes_between_look_ups_does_not_lead_inside() {
    let inside = receiver().await;
    let outside = Receiver::start(&format!("127.0.0.2:{}", inside.address.port()), {
        |mut visit: Visit| async move {
            visit.take_request().await?;
            visit.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await
        }
    })
    .await;
    let url = format!("http://hook.example:{}/", outside.address.port());
    let (sender, look_ups) = sender_with(&[&["127.0.0.2"], &["127.0.0.1"]], &["127.0.0.2/32"]);
    // One look-up for one connection: the address that was checked is the one that is used.
    assert_eq!(send(&sender, &url).await, Outcome::Delivered { status: 200 });
    assert_eq!((look_ups.load(Ordering::SeqCst), outside.connections()), (1, 1));
    for attempt in 2..10 {
        let outcome = send(&sender, &url).await;
        assert_eq!(reason(&outcome), "hook.example leads to an address that is not public");
        assert_eq!((look_ups.load(Ordering::SeqCst), outside.connections()), (attempt, 1));
    }
    let request = outside.requests().pop().expect("one");
    assert!(request.contains(&format!("host: hook.example:{}\r\n", outside.address.port())));
    assert_that_nobody_came(&inside).await;
}

#[tokio::test]
async fn another_address_of_a_name_is_tried_where_the_first_does_not_answer() {
    let receiver = receiver().await;
    let url = format!("http://hook.example:{}/", receiver.address.port());
    let (sender, _) = sender_with(&[&["127.0.0.3", "::1", "127.0.0.1"]], &["127.0.0.0/8", "::1"]);
    assert_eq!(send(&sender, &url).await, Outcome::Delivered { status: 204 });
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let inside = receiver().await;
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for target in [inside.url(), format!("//{}/", inside.address), "/other".to_owned()] {
            let answer = format!(
                "HTTP/1.1 {status} Elsewhere\r\nlocation: {target}\r\nretry-after: 5\r\n\
                 content-length: 0\r\n\r\n"
            );
            let outside = Receiver::answering(answer.leak()).await;
            let outcome = send(&sender(LONG), &outside.url()).await;
            let retry_after = Some(Duration::from_secs(5));
            assert_eq!(outcome, Outcome::Refused { status, retry_after });
            assert_eq!(outside.requests().len(), 1);
        }
    }
    assert_that_nobody_came(&inside).await;
}

/// Returns addresses of all prefixes of 16 bits, and of all prefixes of 32 bits where these matter.
fn addresses() -> Vec<IpAddr> {
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 32
    };
    let mut addresses = Vec::new();
    for prefix in 0..=0xffff_u32 {
        for rest in [0, random() as u32 & 0xffff] {
            addresses.push(IpAddr::V4((prefix << 16 | rest).into()));
        }
        for rest in [1, u128::from(random()) << 80 | u128::from(random())] {
            addresses.push(IpAddr::V6((u128::from(prefix) << 112 | rest).into()));
        }
        for first in [0x2001_u128, 0x3fff] {
            let prefix = first << 112 | u128::from(prefix) << 96;
            addresses.push(IpAddr::V6((prefix | u128::from(random())).into()));
        }
    }
    addresses
}

#[test]
fn an_address_that_python_calls_not_global_is_forbidden() {
    let program = "import ipaddress, sys
for line in sys.stdin: print(ipaddress.ip_address(line.strip()).is_global)";
    let addresses = addresses();
    let given: String = addresses.iter().map(|address| format!("{address}\n")).collect();
    let mut python = std::process::Command::new("python3")
        .args(["-c", program])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = python.stdin.take().expect("piped");
    let writing =
        std::thread::spawn(move || std::io::Write::write_all(&mut stdin, given.as_bytes()));
    let output = python.wait_with_output().expect("it is ours");
    writing.join().expect("it ends").expect("it reads");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let mut forbidden = 0;
    for (address, is_global) in addresses.iter().zip(said.lines()) {
        let kind = super::super::address::forbidden(*address, &[]);
        assert!(kind.is_some() || is_global == "True", "{address}");
        forbidden += usize::from(kind.is_some());
    }
    assert_eq!(said.lines().count(), addresses.len());
    assert!((1..addresses.len()).contains(&forbidden));
}
