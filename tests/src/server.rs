//! The PostgreSQLs that clusters are made of: the one under test, and older ones beside it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// One PostgreSQL on this machine.
#[derive(Clone, Debug)]
pub struct Server {
    pg_config: OsString,
    bin_dir: PathBuf,
    library_dir: PathBuf,
    major: u32,
}

impl Server {
    /// The one that `PG_CONFIG` names, else the `pg_config` in the path.
    pub fn under_test() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            Server::of(&std::env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into()))
        })
    }

    /// Those of older major versions, with this extension installed, whose `pg_config`s
    /// `EVENTLOG_OLDER_PG_CONFIGS` names, with spaces between. `make test PG=NN` sets it.
    pub fn older() -> Vec<Server> {
        let list = std::env::var("EVENTLOG_OLDER_PG_CONFIGS").unwrap_or_default();
        let servers: Vec<Server> =
            list.split_whitespace().map(|config| Server::of(config.as_ref())).collect();
        servers.into_iter().filter(|server| server.major < Server::under_test().major).collect()
    }

    fn of(pg_config: &OsStr) -> Server {
        let mut server = Server {
            pg_config: pg_config.to_owned(),
            bin_dir: PathBuf::new(),
            library_dir: PathBuf::new(),
            major: 0,
        };
        let version = server.ask("--version");
        let number = version.split_whitespace().nth(1).expect("PostgreSQL NN.N");
        let major = number.split(|c: char| !c.is_ascii_digit()).next();
        server.major = major.and_then(|digits| digits.parse().ok()).expect("a number");
        server.bin_dir = server.ask("--bindir").into();
        server.library_dir = server.ask("--pkglibdir").into();
        server
    }

    /// An answer of its `pg_config`.
    pub fn ask(&self, option: &str) -> String {
        let program = &self.pg_config;
        let output = Command::new(program)
            .arg(option)
            .output()
            .unwrap_or_else(|error| panic!("{program:?}: {error}; set PG_CONFIG"));
        String::from_utf8(output.stdout).expect("pg_config prints UTF-8").trim().to_owned()
    }

    /// Its major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The folder of its programs.
    pub fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// Whether a library of this name can be loaded: an output plugin, an extension. False only
    /// where `scripts/setup-tests` does not see to it, and then says so on standard error.
    pub fn has_library(&self, name: &str) -> bool {
        if self.library_dir.join(format!("{name}.so")).is_file() {
            return true;
        }
        let is_packaged = self.bin_dir.starts_with("/usr/lib/postgresql");
        assert!(!is_packaged, "{name} is not installed: make setup-tests");
        skip(&format!("PostgreSQL {} here has no {name}", self.major));
        false
    }
}

/// Says, past the capture of a passing test's output, that it tests less than it could.
pub fn skip(reason: &str) {
    use std::io::Write;
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}
