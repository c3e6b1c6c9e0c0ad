//! Connections as the writer makes its own.

use std::error::Error as StdError;
use std::future::Future;

use tokio_postgres::{Client, Config, NoTls};

use crate::Error;
use crate::wire::connect::with_defaults;

/// What `PGHOST` and its like say, as `Writer::from_env` takes them.
///
/// # Errors
/// Where they contradict themselves.
pub fn config_from_env() -> Result<Config, Error> {
    crate::wire::connect::conninfo()?.parse().map_err(Error::from_config)
}

/// A connection as the writer makes its own, as `Writer::connect` does; a task of its own drives it.
///
/// # Errors
/// Where there is no server, or it refuses.
pub async fn connect(config: Config) -> Result<Client, Box<dyn StdError + Send + Sync>> {
    let config = with_defaults!(config);
    #[cfg(feature = "tls")]
    if config.get_ssl_mode() == tokio_postgres::config::SslMode::Require {
        let (client, connection) = config.connect(crate::wire::connect::tls()?).await?;
        return Ok(driven(client, connection));
    }
    let (client, connection) = config.connect(NoTls).await?;
    Ok(driven(client, connection))
}

/// The client, and a task that drives its connection.
fn driven<D>(client: Client, connection: D) -> Client
where
    D: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        // What breaks it, the next statement tells.
        let _ = connection.await;
    });
    client
}
