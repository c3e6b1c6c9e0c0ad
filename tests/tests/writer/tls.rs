//! Connections of the writer's own: by TLS where it is required, and by the variables of libpq.
//! Variables are a process's, so each of these tests runs itself again in one of its own.

use std::net::TcpListener;
use std::process::Command;

use eventlog_tests::{Cluster, cluster, db};
use eventlog_writer::{asynchronous, sync};

use crate::common::{LONG, numbered, numbers, options};

/// An authority, and a certificate of it for `localhost`.
const CERTIFICATES: &str = r#"
    cd "$1"
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
    openssl req -new -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
"#;

/// A cluster that takes nothing but TLS over TCP, with a certificate for `localhost`; its port.
fn with_tls() -> (Cluster, u16) {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let cluster = Cluster::start(&[]);
    db::create_roles(&cluster);
    db::create_log(&cluster, "app");
    let of = |name| cluster.folder().join(name);
    let (key, certificate) = (of("server.key"), of("server.crt"));
    let made = cluster::as_server(
        Command::new("sh").args(["-ec", CERTIFICATES, "sh"]).arg(cluster.folder()),
    )
    .output()
    .expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut superuser = cluster.connect("app", "postgres");
    for setting in [
        "listen_addresses = '127.0.0.1'".to_owned(),
        format!("port = {port}"),
        "ssl = on".to_owned(),
        format!("ssl_key_file = '{}'", key.display()),
        format!("ssl_cert_file = '{}'", certificate.display()),
    ] {
        superuser.batch_execute(&format!("ALTER SYSTEM SET {setting}")).unwrap();
    }
    drop(superuser);
    let rules = "local all all trust\nhostssl all all 127.0.0.1/32 trust\n";
    std::fs::write(cluster.folder().join("data/pg_hba.conf"), rules).unwrap();
    cluster.restart();
    (cluster, port)
}

/// Runs a test of this program in a process of its own, with these variables.
fn in_own_process(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--ignored", "--nocapture"])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn where_tls_is_required_the_certificate_is_verified() {
    let (cluster, port) = with_tls();
    let port = port.to_string();
    let root = cluster.folder().join("ca.crt").display().to_string();
    let socket = cluster.folder().display().to_string();
    let of = |host: &'static str, mode: &'static str, expected: &'static str| {
        [("PGHOST", host), ("PGPORT", ""), ("PGSSLMODE", mode), ("EXPECTED", expected)]
    };
    let run = |variables: &[(&str, &str)]| {
        let mut all =
            vec![("PGUSER", "service"), ("PGDATABASE", "app"), ("PGSSLROOTCERT", root.as_str())];
        all.extend(
            variables
                .iter()
                .copied()
                .map(|(name, value)| (name, if name == "PGPORT" { port.as_str() } else { value })),
        );
        in_own_process("tls::one_event_by_the_environment", &all);
    };
    run(&of("localhost", "require", "written"));
    run(&of("localhost", "verify-full", "written"));
    // Another name than the certificate's, no TLS where the server wants it.
    run(&of("127.0.0.1", "require", "refused"));
    run(&of("localhost", "disable", "refused"));
    // A certificate that nobody signed whom the system knows.
    let mut unknown = of("localhost", "require", "refused").to_vec();
    unknown.push(("PGSSLROOTCERT", "system"));
    run(&unknown);
    // By the socket, as libpq writes folders.
    in_own_process(
        "tls::one_event_by_the_environment",
        &[
            ("PGHOST", &socket),
            ("PGPORT", &port),
            ("PGUSER", "service"),
            ("PGDATABASE", "app"),
            ("EXPECTED", "written"),
        ],
    );
    let mut config = postgres::Config::new();
    config.host_path(cluster.folder()).port(port.parse().unwrap()).dbname("app").user("postgres");
    let stored = numbers(&mut config.connect(postgres::NoTls).unwrap());
    assert_eq!(stored, [1, 2, 1, 2, 1, 2]);
}

/// The part in a process of its own: one event by each writer.
#[test]
#[ignore = "run by the test above"]
fn one_event_by_the_environment() {
    let is_written = std::env::var("EXPECTED").unwrap() == "written";
    let options = options().give_up_after(Some(std::time::Duration::from_millis(300)));
    let writer = sync::Writer::from_env(options.clone()).unwrap();
    let end = writer.log_and_wait(numbered(1));
    assert_eq!(end.is_ok(), is_written, "sync: {end:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let writer = asynchronous::Writer::from_env(options).unwrap();
        assert_eq!(writer.log_and_wait(numbered(2)).await.is_ok(), is_written, "asynchronous");
        let _ = writer.close(LONG).await;
    });
}

#[test]
fn eventlog_enabled_switches_off() {
    in_own_process("tls::nothing_is_logged", &[("EVENTLOG_ENABLED", "0"), ("PGUSER", "x")]);
}

/// The part in a process of its own.
#[test]
#[ignore = "run by the test above"]
fn nothing_is_logged() {
    let writer = sync::Writer::from_env(eventlog_writer::Options::new()).unwrap();
    assert!(!writer.is_enabled() && !writer.log(numbered(1)));
}

#[test]
fn variables_that_make_no_sense_are_an_error_at_once() {
    in_own_process("tls::nonsense_is_refused", &[("PGSSLMODE", "maybe"), ("PGUSER", "x")]);
}

/// The part in a process of its own.
#[test]
#[ignore = "run by the test above"]
fn nonsense_is_refused() {
    let error = sync::Writer::from_env(options()).unwrap_err();
    assert!(error.to_string().contains("PGSSLMODE"), "{error}");
}
