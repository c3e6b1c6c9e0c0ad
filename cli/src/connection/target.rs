//! The hosts to try for a connection, each with its own parameters.

use std::env;
use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::{ChannelBinding, SslMode, TargetSessionAttrs};
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::Parameters;
use super::libpq_files::password;
use super::statement_timeout::{self, StatementTimeout};
use super::tls::{Mode, connector};
use crate::output::{Failure, with_sources};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may go without a network acknowledgement before it is given up.
const TCP_TIMEOUT: Duration = Duration::from_secs(30);
/// Socket folders: that of distributions, and PostgreSQL's own default.
const SOCKETS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The destination of connections.
#[derive(Clone)]
pub(crate) struct Target {
    hosts: Vec<Host>,
    tls: Option<MakeRustlsConnect>,
    statement_timeout: StatementTimeout,
    on_notice: OnNotice,
}

/// Is called with each notice of the server.
pub(super) type OnNotice = Arc<dyn Fn(&DbError) + Send + Sync>;

#[derive(Clone)]
struct Host {
    config: Config,
    mode: Mode,
    /// The place, for messages.
    place: String,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.hosts.iter().map(|host| &host.place)).finish()
    }
}

/// Why no connection was made.
#[derive(Debug)]
pub(crate) struct NotConnected {
    message: String,
    hint: Option<String>,
}

impl fmt::Display for NotConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NotConnected {}

impl From<NotConnected> for Failure {
    fn from(error: NotConnected) -> Self {
        let failure = Failure::new(error.message);
        match error.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl Target {
    /// Reads the hosts from parameters; only defaults are missing.
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Failure> {
        let get = |name: &str| parameters.get(name).map(String::as_str);
        let user = get("user").map(str::to_owned).or_else(|| {
            ["USER", "LOGNAME"]
                .iter()
                .find_map(|name| env::var(name).ok().filter(|u| !u.is_empty()))
        });
        let user = user.ok_or_else(|| {
            Failure::new("no role is given").hint("-U ROLE, or the variable PGUSER")
        })?;
        let dbname = get("dbname").unwrap_or(&user).to_owned();
        let list = |name: &str| -> Vec<&str> {
            get(name).map(|list| list.split(',').collect()).unwrap_or_default()
        };
        let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
        let count = names.len().max(addresses.len()).max(1);
        let is_even = |of: &[&str], alone: bool| {
            of.is_empty() || of.len() == count || (alone && of.len() == 1)
        };
        if !is_even(&names, false) || !is_even(&addresses, false) || !is_even(&ports, true) {
            return Err(Failure::new("host, hostaddr and port are lists of different lengths"));
        }
        let asked = Mode::of(parameters)?;
        let mut hosts = Vec::with_capacity(count);
        for number in 0..count {
            let port = ports.get(number).or(ports.first()).copied().unwrap_or_default();
            let port = match port {
                "" => 5432,
                text => text.parse().map_err(|_| Failure::new(format!("port is {text:?}")))?,
            };
            let name = names.get(number).copied().unwrap_or_default();
            let address = addresses.get(number).copied().unwrap_or_default();
            let mut config = common(parameters)?;
            config.port(port).user(&user).dbname(&dbname);
            let (of_pgpass, mode, place);
            if address.is_empty() && (name.is_empty() || name.starts_with('/')) {
                let folder = match name {
                    "" => default_socket(port),
                    name => PathBuf::from(name),
                };
                config.host_path(&folder);
                // libpq uses this name for sockets in its own folder.
                let is_default = SOCKETS.iter().any(|socket| folder == Path::new(socket));
                of_pgpass = if is_default { "localhost" } else { name }.to_owned();
                place = format!("the socket {}", folder.join(format!(".s.PGSQL.{port}")).display());
                // Sockets have no TLS, whatever sslmode is.
                mode = Mode::Disable;
            } else {
                // With only an address, the certificate must be for the address.
                let name = if name.is_empty() { address } else { name };
                config.host(name);
                if !address.is_empty() {
                    let address = address.parse();
                    let address =
                        address.map_err(|_| Failure::new("hostaddr is not an IP address"))?;
                    config.hostaddr(address);
                }
                of_pgpass = name.to_owned();
                place = format!("{name}, port {port}");
                mode = asked;
            }
            if get("password").is_none() {
                let file = get("passfile").map(Path::new);
                let of = [of_pgpass.as_str(), &port.to_string(), &dbname, &user];
                if let Some(password) = password(file, of) {
                    config.password(password);
                }
            }
            hosts.push(Host { config, mode, place });
        }
        if get("load_balance_hosts") == Some("random") {
            // Random enough to spread connections.
            let places = hosts.len();
            hosts.rotate_left(std::process::id() as usize % places);
        }
        let strongest = hosts.iter().map(|host| host.mode).max().unwrap_or(Mode::Disable);
        let tls = match strongest {
            Mode::Disable => None,
            mode => Some(connector(mode, parameters)?),
        };
        let statement_timeout = StatementTimeout::default();
        Ok(Target { hosts, tls, statement_timeout, on_notice: Arc::new(|_| {}) })
    }

    /// Limits the time of each statement, unless the role, the database or the connection string sets its
    /// own limit.
    pub(crate) fn with_statement_timeout(self, time: Duration) -> Self {
        Target { statement_timeout: StatementTimeout::of(time), ..self }
    }

    /// Calls a function with each notice of the server.
    pub(super) fn with_notices(self, on_notice: impl Fn(&DbError) + Send + Sync + 'static) -> Self {
        Target { on_notice: Arc::new(on_notice), ..self }
    }

    /// Connects to the first host that accepts.
    pub(crate) async fn connect(&self) -> Result<Client, NotConnected> {
        let mut failed = Vec::new();
        for host in &self.hosts {
            match self.connect_to(host).await {
                Ok(client) => return Ok(client),
                Err(error) => failed.push((host, error)),
            }
        }
        let said = failed.iter().map(|(host, error)| {
            format!("no connection to {}: {}", host.place, with_sources(error))
        });
        let message = said.collect::<Vec<_>>().join("\n");
        let hint = failed.first().map(|(host, error)| host.hint(error));
        Err(NotConnected { message, hint })
    }

    async fn connect_to(&self, host: &Host) -> Result<Client, tokio_postgres::Error> {
        let Some(config) = self.statement_timeout.added_to(&host.config) else {
            return self.connect_with(host).await;
        };
        match self.connect_with(&Host { config, ..host.clone() }).await {
            // A pooler that does not pass settings on: the role's own setting applies.
            Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => {
                self.connect_with(host).await
            }
            Ok(client) => {
                statement_timeout::give_way(&client).await?;
                Ok(client)
            }
            failed => failed,
        }
    }

    async fn connect_with(&self, host: &Host) -> Result<Client, tokio_postgres::Error> {
        let plain = || plain(&host.config, Arc::clone(&self.on_notice));
        let Some(tls) = &self.tls else { return plain().await };
        let encrypted = |mode| encrypted(&host.config, mode, tls, Arc::clone(&self.on_notice));
        match host.mode {
            Mode::Disable => plain().await,
            Mode::Allow => match plain().await {
                Err(error) if refuses_this_way(&error) => {
                    encrypted(SslMode::Require).await.map_err(|_| error)
                }
                done => done,
            },
            Mode::Prefer => match encrypted(SslMode::Prefer).await {
                // Only if the server refuses TLS or has none: a wrong password is not tried again.
                Err(error) if refuses_this_way(&error) || is_of_tls(&error) => {
                    plain().await.map_err(|_| error)
                }
                done => done,
            },
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => encrypted(SslMode::Require).await,
        }
    }
}

impl Host {
    /// Returns what to try next.
    fn hint(&self, error: &tokio_postgres::Error) -> String {
        let code = error.code().map(|code| code.code());
        match code {
            // The role may be the log's owner, which cannot log in.
            Some("28000") => "connect as another role, with -U or PGUSER: commands for the log's owner do \
                              SET ROLE themselves, for a superuser or a member of the owner",
            Some("28P01") => "PGPASSWORD, or a line in ~/.pgpass",
            Some("3D000") => "-d NAME, or PGDATABASE, chooses the database",
            Some(_) => "the server's log says more",
            None if is_of_tls(error) => "sslmode says what is asked of the server's certificate, sslrootcert \
                                         which authority is trusted",
            None if error.to_string().contains("password") => "PGPASSWORD, or a line in ~/.pgpass",
            None => "is a server running there? --host and --port, PGHOST and PGPORT, or --dsn choose another",
        }
        .to_owned()
    }
}

/// Returns true if the server's pg_hba.conf refuses this kind of connection.
fn refuses_this_way(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| code.code() == "28000")
}

fn is_of_tls(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_none() && error.to_string().contains("TLS")
}

async fn plain(config: &Config, on_notice: OnNotice) -> Result<Client, tokio_postgres::Error> {
    let mut config = config.clone();
    let (client, connection) = config.ssl_mode(SslMode::Disable).connect(NoTls).await?;
    drive(connection, on_notice);
    Ok(client)
}

async fn encrypted(
    config: &Config,
    mode: SslMode,
    tls: &MakeRustlsConnect,
    on_notice: OnNotice,
) -> Result<Client, tokio_postgres::Error> {
    let mut config = config.clone();
    let (client, connection) = config.ssl_mode(mode).connect(tls.clone()).await?;
    drive(connection, on_notice);
    Ok(client)
}

fn drive<S, T>(mut connection: Connection<S, T>, on_notice: OnNotice)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        // The next statement reports why it broke.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notice(notice) = message {
                on_notice(&notice);
            }
        }
    });
}

/// Returns the folder that has a socket of this port, or else the usual one.
fn default_socket(port: u16) -> PathBuf {
    let has_socket = |folder: &&&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    PathBuf::from(SOCKETS.iter().find(has_socket).unwrap_or(&SOCKETS[0]))
}

/// Reads the parameters that all hosts share.
fn common(parameters: &Parameters) -> Result<Config, Failure> {
    let get = |name: &str| parameters.get(name).map(String::as_str);
    let number = |name: &str| -> Result<Option<u64>, Failure> {
        let parse = |text: &str| {
            text.parse::<i64>()
                .map_err(|_| Failure::new(format!("{name} must be a number, is {text:?}")))
        };
        // For libpq, zero or less means no limit.
        Ok(get(name).map(parse).transpose()?.map(|number| number.max(0).unsigned_abs()))
    };
    let choice = |name: &str| {
        Failure::new(format!(
            "{name} is {:?}, which is not supported",
            get(name).unwrap_or_default()
        ))
    };
    let mut config = Config::new();
    if let Some(password) = get("password") {
        config.password(password);
    }
    if let Some(options) = get("options") {
        config.options(options);
    }
    let name = get("application_name").or(get("fallback_application_name"));
    config.application_name(name.unwrap_or("eventlog"));
    match number("connect_timeout")? {
        None => config.connect_timeout(CONNECT_TIMEOUT),
        Some(0) => &mut config,
        Some(seconds) => config.connect_timeout(Duration::from_secs(seconds)),
    };
    match number("tcp_user_timeout")? {
        None => config.tcp_user_timeout(TCP_TIMEOUT),
        Some(0) => &mut config,
        Some(milliseconds) => config.tcp_user_timeout(Duration::from_millis(milliseconds)),
    };
    config.keepalives(number("keepalives")? != Some(0));
    if let Some(seconds) = number("keepalives_idle")?.filter(|seconds| *seconds > 0) {
        config.keepalives_idle(Duration::from_secs(seconds));
    }
    if let Some(seconds) = number("keepalives_interval")?.filter(|seconds| *seconds > 0) {
        config.keepalives_interval(Duration::from_secs(seconds));
    }
    if let Some(count) = number("keepalives_count")?.and_then(|count| u32::try_from(count).ok()) {
        config.keepalives_retries(count);
    }
    match get("target_session_attrs") {
        None | Some("any") => {}
        Some("read-write" | "primary") => {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Some("read-only" | "standby") => {
            config.target_session_attrs(TargetSessionAttrs::ReadOnly);
        }
        Some(_) => return Err(choice("target_session_attrs")),
    }
    match get("channel_binding") {
        None | Some("prefer") => {}
        Some("disable") => {
            config.channel_binding(ChannelBinding::Disable);
        }
        Some("require") => {
            config.channel_binding(ChannelBinding::Require);
        }
        Some(_) => return Err(choice("channel_binding")),
    }
    match get("load_balance_hosts") {
        None | Some("disable" | "random") => Ok(config),
        Some(_) => Err(choice("load_balance_hosts")),
    }
}
