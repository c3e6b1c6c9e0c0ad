//! Makes connections as the writer makes its own.

use std::error::Error as StdError;
use std::future::Future;

use tokio_postgres::{Client, Config, NoTls};

use crate::Error;
use crate::wire::connect::with_defaults;

/// Reads the configuration from the environment, as `Writer::from_env` does.
///
/// # Errors
/// If a variable cannot be read, or no user is known.
pub fn config_from_env() -> Result<Config, Error> {
    crate::wire::connect::conninfo()?.parse().map_err(Error::from_config)
}

/// Connects as `Writer::connect` does, and spawns the task that drives the connection.
///
/// # Errors
/// If the server cannot be reached or refuses the connection.
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

/// Returns the client, after spawning a task that drives its connection.
fn driven<D>(client: Client, connection: D) -> Client
where
    D: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        // The next statement returns the error that broke it.
        let _ = connection.await;
    });
    client
}
