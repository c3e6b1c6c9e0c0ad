//! A private cluster: made, started, restarted, crashed, and always removed.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::{Client, Config, NoTls};

use crate::ask::text;
use crate::server::Server;

/// Settings of every cluster; a test may add its own.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "''"),
    ("fsync", "off"),
    ("wal_level", "logical"),
    ("max_connections", "120"),
    ("max_prepared_transactions", "20"),
    ("max_locks_per_transaction", "512"),
    ("autovacuum_naptime", "5min"),
    ("lc_messages", "'C'"),
    ("timezone", "'UTC'"),
];

/// A running PostgreSQL of our own.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    folder: PathBuf,
    /// What the server has in its environment.
    environment: Vec<(String, String)>,
    /// Waits for the end of its standard input, which comes with the end of this process, and
    /// then removes the cluster.
    undertaker: Child,
}

/// An answer of the `pg_config` of the PostgreSQL under test.
pub fn pg_config(option: &str) -> String {
    Server::under_test().ask(option)
}

/// The major version of the PostgreSQL under test.
pub fn major_version() -> u32 {
    Server::under_test().major()
}

/// User and group that run servers where we are root.
fn server_user() -> Option<(u32, u32)> {
    static USER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *USER.get_or_init(|| {
        let is_root = fs::metadata("/proc/self").is_ok_and(|me| {
            use std::os::unix::fs::MetadataExt;
            me.uid() == 0
        });
        if !is_root {
            return None;
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let line = passwd
            .lines()
            .find(|line| line.starts_with("postgres:"))
            .expect("a user `postgres`, which a server of root runs as");
        let mut fields = line.split(':').skip(2).map(|id| id.parse().expect("an id"));
        Some((fields.next().expect("uid"), fields.next().expect("gid")))
    })
}

/// A program of the PostgreSQL under test, run as the server's user.
pub fn program(name: &str) -> Command {
    program_of(Server::under_test(), name)
}

fn program_of(server: &Server, name: &str) -> Command {
    let mut command = Command::new(server.bin_dir().join(name));
    // With RUST_BACKTRACE in its environment a server sends stack traces to clients.
    command.env_remove("RUST_BACKTRACE").env("LC_ALL", "C.UTF-8").current_dir("/tmp");
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// The command, run as the server's user.
pub fn as_server(command: &mut Command) -> &mut Command {
    command.current_dir("/tmp");
    match server_user() {
        Some((uid, gid)) => command.uid(uid).gid(gid),
        None => command,
    }
}

/// Runs a command to its end; its standard output, or a panic with its standard error.
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

impl Cluster {
    /// A new cluster, started, with these settings besides the harness's own.
    pub fn start(settings: &[(&str, &str)]) -> Self {
        Self::with_encoding("UTF8", settings)
    }

    /// A new cluster whose server has these variables in its environment.
    pub fn start_with_environment(environment: &[(&str, &str)]) -> Self {
        let server = Server::under_test();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let folder = initdb(server, &["-E", "UTF8", "--locale=C.UTF-8"]);
        Self::adopt_with(server, folder, &[], environment)
    }

    /// A new cluster whose databases have another encoding.
    pub fn with_encoding(encoding: &str, settings: &[(&str, &str)]) -> Self {
        let server = Server::under_test();
        let locale = if encoding == "UTF8" { "--locale=C.UTF-8" } else { "--locale=C" };
        Self::adopt(server, initdb(server, &["-E", encoding, locale]), settings)
    }

    /// A new cluster of another PostgreSQL.
    pub fn start_on(server: &Server, settings: &[(&str, &str)]) -> Self {
        Self::adopt(server, initdb(server, &["-E", "UTF8", "--locale=C.UTF-8"]), settings)
    }

    /// This cluster after `pg_upgrade` to another PostgreSQL.
    pub fn upgrade_to(self, server: &Server) -> Self {
        // pg_upgrade wants both alike, and 18 changed the default.
        let mut postgres = self.connect("postgres", "postgres");
        let checksums = match text(&mut postgres, "SHOW data_checksums").as_str() {
            "on" => Some("--data-checksums"),
            _ if server.major() >= 18 => Some("--no-data-checksums"),
            _ => None,
        };
        drop(postgres);
        let options: Vec<&str> =
            ["-E", "UTF8", "--locale=C.UTF-8"].into_iter().chain(checksums).collect();
        let folder = initdb(server, &options);
        self.stop();
        for check in [Some("--check"), None] {
            run(program_of(server, "pg_upgrade")
                .args(check)
                .args(["-U", "postgres", "-s"])
                .arg(&folder)
                .arg("-b")
                .arg(self.server.bin_dir())
                .arg("-B")
                .arg(server.bin_dir())
                .arg("-d")
                .arg(self.folder.join("data"))
                .arg("-D")
                .arg(folder.join("data"))
                .current_dir(&folder));
        }
        Self::adopt(server, folder, &[])
    }

    /// A standby that follows this cluster.
    pub fn standby(&self) -> Self {
        self.standby_with(&[])
    }

    /// A standby that follows this cluster, with these settings besides the harness's own.
    pub fn standby_with(&self, settings: &[(&str, &str)]) -> Self {
        let folder = new_folder();
        run(self
            .program("pg_basebackup")
            .args(["-h"])
            .arg(&self.folder)
            .args(["-U", "postgres", "-R", "-X", "stream", "-c", "fast", "-D"])
            .arg(folder.join("data")));
        // Without what pg_basebackup writes of TLS, which an older libpq on the machine refuses.
        let primary = format!("'host={} port=5432 user=postgres'", self.folder.display());
        let primary = [("primary_conninfo", primary.as_str())];
        Self::adopt(&self.server, folder, &[&primary, settings].concat())
    }

    fn adopt(server: &Server, folder: PathBuf, settings: &[(&str, &str)]) -> Self {
        Self::adopt_with(server, folder, settings, Vec::new())
    }

    fn adopt_with(
        server: &Server,
        folder: PathBuf,
        settings: &[(&str, &str)],
        environment: Vec<(String, String)>,
    ) -> Self {
        let conf = folder.join("data/postgresql.auto.conf");
        let mut text = fs::read_to_string(&conf).expect("initdb made it");
        let socket = format!("'{}'", folder.display());
        for (name, value) in
            SETTINGS.iter().chain(&[("unix_socket_directories", socket.as_str())]).chain(settings)
        {
            text.push_str(&format!("{name} = {value}\n"));
        }
        fs::write(&conf, text).expect("the folder is ours");
        let undertaker = Command::new("sh")
            .arg("-c")
            .arg(concat!(
                "trap '' INT TERM HUP; cat >/dev/null; ",
                "pid=$(head -n 1 \"$0/data/postmaster.pid\" 2>/dev/null) && kill -QUIT \"$pid\" ",
                "&& while kill -0 \"$pid\" 2>/dev/null; do sleep 0.05; done; rm -rf \"$0\""
            ))
            .arg(&folder)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("sh");
        let cluster = Cluster { server: server.clone(), folder, environment, undertaker };
        cluster.pg_ctl(&["start"]);
        cluster
    }

    fn program(&self, name: &str) -> Command {
        program_of(&self.server, name)
    }

    fn pg_ctl(&self, arguments: &[&str]) {
        let status = self
            .program("pg_ctl")
            .arg("-D")
            .arg(self.folder.join("data"))
            .arg("-l")
            .arg(self.folder.join("log"))
            .args(["-w", "-s", "-t", "60"])
            .args(arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("pg_ctl");
        assert!(status.success(), "pg_ctl {arguments:?}\n{}", self.log());
    }

    /// Stops the server as an administrator does and starts it again.
    pub fn restart(&self) {
        self.pg_ctl(&["restart", "-m", "fast"]);
    }

    /// Stops the server.
    pub fn stop(&self) {
        self.pg_ctl(&["stop", "-m", "fast"]);
    }

    /// Stops the server in one of the modes of `pg_ctl stop`: smart, fast, immediate.
    pub fn stop_in_mode(&self, mode: &str) {
        self.pg_ctl(&["stop", "-m", mode]);
    }

    /// Starts the server again.
    pub fn start_again(&self) {
        self.pg_ctl(&["start"]);
    }

    /// Kills the server without a checkpoint and starts it again: it recovers from its log.
    pub fn crash(&self) {
        self.pg_ctl(&["stop", "-m", "immediate"]);
        self.pg_ctl(&["start"]);
    }

    /// The folder of the cluster, which is the folder of its socket too.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file that only the server may read, as a key file must be; its path.
    pub fn write_secret(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, content).expect("the folder is ours");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        if let Some((uid, gid)) = server_user() {
            chown(&path, Some(uid), Some(gid)).expect("we are root");
        }
        path
    }

    /// What the server wrote to its log.
    pub fn log(&self) -> String {
        fs::read(self.folder.join("log"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// How to connect to a database as a role.
    pub fn config(&self, database: &str, role: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).port(5432).dbname(database).user(role);
        config
    }

    /// The same as libpq writes it.
    pub fn conninfo(&self, database: &str, role: &str) -> String {
        format!("host={} port=5432 dbname={database} user={role}", self.folder.display())
    }

    /// A connection to a database as a role.
    pub fn connect(&self, database: &str, role: &str) -> Client {
        self.config(database, role)
            .connect(NoTls)
            .unwrap_or_else(|error| panic!("{role}@{database}: {error:?}\n{}", self.log()))
    }

    /// A client program of PostgreSQL (psql, pg_dump, …), set to this cluster.
    pub fn client(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.env("PGHOST", &self.folder).env("PGPORT", "5432").env("PGUSER", "postgres");
        command
    }

    /// Feeds SQL to psql, which stops at the first error; what it printed.
    pub fn psql(&self, database: &str, role: &str, sql: &str) -> Result<String, String> {
        self.run_psql(database, role, sql).map(|[printed, _]| printed)
    }

    /// Feeds SQL to psql, which stops at the first error; the NOTICEs and WARNINGs that came.
    pub fn told(&self, database: &str, role: &str, sql: &str) -> Result<String, String> {
        self.run_psql(database, role, sql).map(|[_, told]| told)
    }

    fn run_psql(&self, database: &str, role: &str, sql: &str) -> Result<[String; 2], String> {
        let mut psql = self
            .client("psql")
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", role, "-d", database])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql");
        let mut stdin = psql.stdin.take().expect("piped");
        let sql = sql.to_owned();
        let feeder = std::thread::spawn(move || stdin.write_all(sql.as_bytes()));
        let output = psql.wait_with_output().expect("psql");
        // psql that stopped at an error closes the pipe: not ours to report.
        let _ = feeder.join().expect("the feeder");
        if output.status.success() {
            Ok([output.stdout, output.stderr]
                .map(|text| String::from_utf8_lossy(&text).into_owned()))
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.undertaker.stdin.take());
        let _ = self.undertaker.wait();
    }
}

/// The folder of a new cluster, which is not started.
fn initdb(server: &Server, options: &[&str]) -> PathBuf {
    let folder = new_folder();
    run(program_of(server, "initdb")
        .arg("-D")
        .arg(folder.join("data"))
        .args(["-U", "postgres", "-A", "trust", "-N"])
        .args(options));
    folder
}

/// A folder that the server's user owns and others may enter; a socket's path must be short.
fn new_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(format!("/tmp/eventlog-test-{}-{number}", std::process::id()));
    fs::create_dir(&folder).expect("a new folder in /tmp");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("ours");
    if let Some((uid, gid)) = server_user() {
        chown(&folder, Some(uid), Some(gid)).expect("we are root");
    }
    folder
}
