//! Reads the environment variables of libpq that say where the server is.

use std::env;
use std::time::Duration;

use crate::Error;

/// Application name of the writer's own connections, unless the application or `PGAPPNAME` sets one.
const APPLICATION_NAME: &str = "eventlog-writer";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long sent data may stay unacknowledged before the connection is given up.
const TCP_TIMEOUT: Duration = Duration::from_secs(30);

/// Sets the defaults of the writer's own connections. A macro, since `postgres::Config` and
/// `tokio_postgres::Config` are two types with the same methods.
macro_rules! with_defaults {
    ($config:expr) => {{
        let mut config = $config;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout($crate::wire::connect::connect_timeout());
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout($crate::wire::connect::tcp_timeout());
        }
        if config.get_application_name().is_none() {
            config.application_name(&$crate::wire::connect::application_name());
        }
        config
    }};
}
pub(crate) use with_defaults;

pub(crate) fn connect_timeout() -> Duration {
    let seconds = variable("PGCONNECT_TIMEOUT").and_then(|text| text.parse().ok());
    seconds.filter(|seconds| *seconds > 0).map_or(CONNECT_TIMEOUT, Duration::from_secs)
}

pub(crate) fn tcp_timeout() -> Duration {
    TCP_TIMEOUT
}

pub(crate) fn application_name() -> String {
    variable("PGAPPNAME").unwrap_or_else(|| APPLICATION_NAME.to_owned())
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the connection string that `PGHOST`, `PGHOSTADDR`, `PGPORT`, `PGUSER`, `PGPASSWORD`,
/// `PGDATABASE`, `PGOPTIONS` and `PGSSLMODE` give, with libpq's defaults.
pub(crate) fn conninfo() -> Result<String, Error> {
    let user = variable("PGUSER").or_else(|| variable("USER")).or_else(|| variable("LOGNAME"));
    let user = user.ok_or_else(|| Error::rejected(None, "neither PGUSER nor USER is set"))?;
    let host = variable("PGHOST").unwrap_or_else(|| "/var/run/postgresql".to_owned());
    let mut conninfo = String::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            conninfo.push_str(&format!("{key}='{value}' "));
        }
    };
    set("host", Some(host));
    set("hostaddr", variable("PGHOSTADDR"));
    set("port", variable("PGPORT"));
    set("dbname", Some(variable("PGDATABASE").unwrap_or_else(|| user.clone())));
    set("user", Some(user));
    set("password", variable("PGPASSWORD"));
    set("options", variable("PGOPTIONS"));
    let mode = variable("PGSSLMODE").unwrap_or_else(|| "prefer".to_owned());
    let mode = match mode.as_str() {
        "disable" | "allow" | "prefer" => "prefer",
        // All of them verify the certificate, which libpq's `require` does not.
        "require" | "verify-ca" | "verify-full" => "require",
        other => {
            let message =
                format!("PGSSLMODE is {other:?}: disable, prefer, require or verify-full");
            return Err(Error::rejected(None, message));
        }
    };
    set("sslmode", Some(mode.to_owned()));
    Ok(conninfo)
}

/// Returns a TLS connector that verifies with the certificates in the file of `PGSSLROOTCERT`, else
/// with the system's.
#[cfg(feature = "tls")]
pub(crate) fn tls() -> Result<tokio_postgres_rustls::MakeRustlsConnect, Error> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    let unusable =
        |what: &str, error: String| Error::rejected(None, format!("no TLS, {what}: {error}"));
    let mut roots = rustls::RootCertStore::empty();
    match variable("PGSSLROOTCERT").filter(|path| path != "system") {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(&path)
                .map_err(|error| unusable("PGSSLROOTCERT", error.to_string()))?;
            for certificate in certificates {
                let certificate =
                    certificate.map_err(|error| unusable("PGSSLROOTCERT", error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| unusable("PGSSLROOTCERT", error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("rustls", error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}
