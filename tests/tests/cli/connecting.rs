//! How the commands find their server, as libpq does: strings, variables, services, passwords, TLS.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use eventlog_tests::{Cluster, Db, TENANT_A, cluster, db, program};

use crate::files::Folder;
use crate::server::{failed, printed};

/// The program, which knows of no server.
fn eventlog(arguments: &[&str]) -> Command {
    let mut command = Command::new(program::eventlog());
    for variable in ["PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGSERVICE", "EVENTLOG_DSN"] {
        command.env_remove(variable);
    }
    command.env("HOME", "/nonexistent").args(arguments);
    command
}

#[test]
fn a_connection_string_adds_to_the_variables_and_options_to_both() {
    let db = Db::new();
    let folder = db::shared().folder().display().to_string();
    let report = ["report", "--json"];
    let works = |command: &mut Command| assert!(printed(command.args(report)).contains("summary"));
    works(eventlog(&["--dsn", &format!("dbname={} user=reader", db.name)]).env("PGHOST", &folder));
    works(
        eventlog(&["--dsn", &format!("postgres:///{}", db.name)])
            .env("PGHOST", &folder)
            .env("PGUSER", "reader"),
    );
    works(&mut eventlog(&["--host", &folder, "-p", "5432", "-U", "reader", "-d", &db.name]));
    works(eventlog(&["-d", &format!("host={folder} dbname={}", db.name)]).env("PGUSER", "reader"));
    // Options come first, and the string before variables.
    works(
        eventlog(&["-d", &db.name, "--dsn", "dbname=nowhere user=reader"])
            .env("PGHOST", &folder)
            .env("PGUSER", "nobody"),
    );
    works(
        eventlog(&["-U", "reader"])
            .env("EVENTLOG_DSN", format!("host={folder} dbname={}", db.name)),
    );

    let files = Folder::new("service");
    let text = format!("[other]\nhost=nowhere\n[log]\nhost={folder}\ndbname={}\n", db.name);
    let file = files.write("services.conf", text.as_bytes());
    let service = |arguments: &[&str]| {
        let mut command = eventlog(arguments);
        command.env("PGSERVICEFILE", &file).env("PGUSER", "reader").env("PGHOST", "nowhere");
        command
    };
    works(service(&[]).env("PGSERVICE", "log"));
    works(&mut service(&["--dsn", "service=log"]));
    let said = failed(service(&["--dsn", "service=lost"]).args(report), 1);
    assert!(said.contains(r#""error":"there is no service \"lost\"""#), "as JSON: {said}");

    for (dsn, what) in [
        ("sslmod=verify-full", "unknown parameter \"sslmod\""),
        ("sslcrl=/x", "sslcrl \"/x\" is not supported"),
        ("sslmode=maybe", "sslmode is \"maybe\""),
        ("password=SECRET port=x", "port is \"x\""),
        ("password='SECRET", "a quote is not closed"),
    ] {
        let said = failed(eventlog(&["--dsn", dsn]).env("PGUSER", "reader").arg("report"), 1);
        assert!(said.contains(what) && !said.contains("SECRET"), "{said}");
    }
    let said =
        failed(eventlog(&["report"]).env("PGUSER", "reader").env("PGREQUIREPEER", "postgres"), 1);
    assert!(said.contains("PGREQUIREPEER"), "{said}");
}

#[test]
fn a_connection_that_fails_says_where_it_looked() {
    let report = |arguments: &[&str]| {
        failed(eventlog(&["report", "-U", "reader", "-d", "x"]).args(arguments), 1)
    };
    let said = report(&["--host", "/nowhere", "-p", "7"]);
    assert!(
        said.contains("no connection to the socket /nowhere/.s.PGSQL.7") && said.contains("hint: "),
        "{said}"
    );
    let said = report(&["--host", "127.0.0.1", "-p", "1"]);
    assert!(said.contains("no connection to 127.0.0.1, port 1: "), "{said}");
    let said = report(&["--host", "/nowhere,127.0.0.1", "-p", "1"]);
    assert!(said.contains("/nowhere/.s.PGSQL.1") && said.contains("127.0.0.1, port 1"), "{said}");
    let said = report(&["--host", &db::shared().folder().display().to_string()]);
    assert!(said.contains("database \"x\" does not exist") && said.contains("-d NAME"), "{said}");
}

/// An authority, a certificate of it for `localhost`, and another authority.
const CERTIFICATES: &str = r#"
    cd "$1"
    for authority in ca other; do
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$authority -keyout $authority.key -out $authority.crt
    done
    openssl req -new -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n' > server.ext
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.ext -out server.crt
"#;

#[test]
fn sslmode_is_heeded_wherever_it_is_said_and_passwords_come_from_files() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Cluster::start(&[]);
    db::create_roles(&server);
    db::create_log(&server, "app");
    let mut made = Command::new("sh");
    made.args(["-ec", CERTIFICATES, "sh"]).arg(server.folder());
    let made = cluster::as_server(&mut made);
    assert!(made.output().expect("openssl").status.success());
    let of = |name: &str| server.folder().join(name).display().to_string();
    let settings = format!(
        "ALTER SYSTEM SET listen_addresses = '127.0.0.1'; ALTER SYSTEM SET port = {port}; ALTER SYSTEM SET ssl = on;
         ALTER SYSTEM SET ssl_key_file = '{}'; ALTER SYSTEM SET ssl_cert_file = '{}';
         ALTER ROLE reader PASSWORD 'right'; ALTER ROLE member PASSWORD 'right';",
        of("server.key"), of("server.crt")
    );
    server.psql("app", "postgres", &settings).unwrap();
    let rules = "local all all trust\nhostssl app reader 127.0.0.1/32 trust\nhostnossl app service 127.0.0.1/32 trust\n\
                 host app writer 127.0.0.1/32 trust\nhostssl app member 127.0.0.1/32 scram-sha-256\n";
    fs::write(server.folder().join("data/pg_hba.conf"), rules).unwrap();
    server.restart();

    let port = port.to_string();
    let command = |role: &str, host: &str, mode: &str, root: &str| {
        let mut command =
            eventlog(&["--dsn", "dbname=app", "tail", "-n", "0", "--tenant", TENANT_A]);
        command.env("PGHOST", host).env("PGPORT", &port).env("PGUSER", role).env("PGSSLMODE", mode);
        if !root.is_empty() {
            command.env("PGSSLROOTCERT", of(root));
        }
        command
    };
    let (name, address) = ("localhost", "127.0.0.1");
    for (role, host, mode, root, is_taken) in [
        ("reader", name, "disable", "", false),
        ("reader", name, "allow", "", true),
        ("reader", name, "prefer", "", true),
        ("reader", name, "", "", true),
        ("reader", name, "require", "ca.crt", true),
        ("reader", name, "verify-ca", "ca.crt", true),
        ("reader", name, "verify-full", "ca.crt", true),
        // By another name than the certificate's.
        ("reader", address, "verify-ca", "ca.crt", true),
        ("reader", address, "verify-full", "ca.crt", false),
        // Of an authority that nobody named, or another.
        ("reader", name, "verify-full", "", false),
        ("reader", name, "verify-ca", "other.crt", false),
        ("reader", name, "verify-full", "lost.crt", false),
        // Where the server takes no TLS of this role.
        ("service", name, "prefer", "", true),
        ("service", name, "allow", "", true),
        ("service", name, "require", "ca.crt", false),
        ("service", name, "verify-full", "ca.crt", false),
        ("writer", name, "disable", "", true),
    ] {
        let output = command(role, host, mode, root).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let is_connected = output.status.success()
            || !said.contains("no connection") && !said.contains("sslrootcert:");
        assert_eq!(is_connected, is_taken, "{role} {host} {mode} {root}: {said}");
    }
    // In the string, it is the string's; sockets have no TLS, whatever is asked.
    let mut url = eventlog(&["tail", "-n", "0", "--tenant", TENANT_A, "--dsn"]);
    url.arg(format!(
        "postgres://reader@127.0.0.1:{port}/app?sslmode=verify-full&sslrootcert={}",
        of("ca.crt")
    ));
    assert!(failed(&mut url, 1).contains("no connection"));
    printed(&mut command("reader", &server.folder().display().to_string(), "verify-full", ""));

    let files = Folder::new("passwords");
    let pgpass = |text: &str, mode: u32| {
        let file = files.write("pgpass", text.as_bytes());
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        file
    };
    let file = pgpass("localhost:1:*:*:wrong\nlocalhost:*:app:member:right\n", 0o600);
    printed(command("member", name, "", "").env("PGPASSFILE", &file));
    printed(command("member", name, "", "").env("PGPASSWORD", "right"));
    let said = failed(
        command("member", name, "", "").env("PGPASSWORD", "wrong").env("PGPASSFILE", &file),
        1,
    );
    assert!(said.contains("password authentication failed"), "{said}");
    let file = pgpass("*:*:*:*:right\n", 0o644);
    let said = failed(command("member", name, "", "").env("PGPASSFILE", &file), 1);
    assert!(said.contains("others may read it") && said.contains("password"), "{said}");
    let file = pgpass("*:*:*:*:right\n", 0o600);
    let mut named = eventlog(&["report", "-U", "member", "-d", "app", "--host", name, "-p", &port]);
    printed(named.env("PGPASSFILE", file));
}

/// As the manuals print it.
fn printed_commands(what: &str) -> Vec<&'static str> {
    let manuals = [
        include_str!("../../../README.md"),
        include_str!("../../../docs/gateway.md"),
        include_str!("../../../docs/integration.md"),
        include_str!("../../../docs/operations/maintenance.md"),
    ];
    manuals.iter().flat_map(|text| text.lines()).filter(|line| line.contains(what)).collect()
}

#[test]
fn the_manuals_commands_work_where_the_owner_cannot_log_in() {
    let server = Cluster::start(&[]);
    db::create_roles(&server);
    db::create_log(&server, "mydb");
    let roles = "ALTER ROLE log_owner NOLOGIN; CREATE ROLE admin LOGIN IN ROLE log_owner";
    server.psql("mydb", "postgres", roles).unwrap();
    let programs = program::eventlog().parent().unwrap().display().to_string();
    let bin = eventlog_tests::cluster::pg_config("--bindir");
    let path = format!("{programs}:{bin}:{}", std::env::var("PATH").unwrap());
    let shell = |line: &str| {
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .env("PATH", &path)
            .env("PGHOST", server.folder())
            .env("PGPORT", "5432");
        command.env("PGDATABASE", "mydb").env_remove("EVENTLOG_DSN").env_remove("PGUSER");
        command
    };
    let keys = printed_commands("eventlog key create --tenant 1111");
    assert_eq!(keys.len(), 3);
    for line in keys {
        assert!(printed(&mut shell(line)).starts_with("el_w_"), "{line}");
    }
    let cron = printed_commands("-qc 'CALL eventlog.maintain()'");
    assert_eq!(cron.len(), 1);
    printed(&mut shell(cron[0].trim_start_matches("*/5 * * * *").trim()));

    let key = "eventlog key create --tenant 11111111-1111-4111-8111-111111111111 -U";
    printed(&mut shell(&format!("{key} admin")));
    let said = failed(&mut shell(&format!("{key} log_owner")), 1);
    assert!(said.contains("not permitted to log in") && said.contains("SET ROLE"), "{said}");
    let said = failed(&mut shell(&format!("{key} reader")), 1);
    assert!(said.contains("a member of log_owner"), "{said}");
}
