//! Reaches a receiver: looks its name up, checks every address, connects to one of those.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::address::{Network, forbidden};
use super::endpoint::Endpoint;

/// Most addresses of a name that are tried.
const MOST_ADDRESSES: usize = 8;
/// Longest wait for one address, so that the next one gets its turn.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest part of another's error text that is kept, in characters.
const LONGEST_DETAIL: usize = 200;

/// A connection's bytes, through TLS or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

type LookUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Looks names up.
pub(super) type Resolver = Arc<dyn Fn(&str) -> LookUp + Send + Sync>;

/// Returns the resolver of the system.
pub(super) fn system_resolver() -> Resolver {
    Arc::new(|host| {
        let host = host.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// Makes connections to receivers.
pub(super) struct Connector {
    allowed: Vec<Network>,
    resolver: Resolver,
    tls: TlsConnector,
}

impl Connector {
    /// Makes a connector that trusts the authorities that the system trusts.
    pub(super) fn new(allowed: Vec<Network>, resolver: Resolver) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::with_roots(allowed, resolver, roots)
    }

    pub(super) fn with_roots(
        allowed: Vec<Network>,
        resolver: Resolver,
        roots: RootCertStore,
    ) -> Result<Self, String> {
        let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("cannot set up TLS: {error}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { allowed, resolver, tls: TlsConnector::from(Arc::new(tls)) })
    }

    /// Connects to a receiver, or returns why not.
    pub(super) async fn connect(&self, endpoint: &Endpoint) -> Result<Box<dyn Stream>, String> {
        let stream = self.reach(endpoint).await?;
        // Requests are written at once; waiting for more would only delay them.
        let _ = stream.set_nodelay(true);
        if !endpoint.is_https {
            return Ok(Box::new(stream));
        }
        let name = match endpoint.address {
            Some(address) => ServerName::IpAddress(address.into()),
            None => ServerName::try_from(endpoint.host.to_string())
                .map_err(|_| format!("{} cannot be the name of a certificate", endpoint.host))?,
        };
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(format!("TLS: {}", detail(&error.to_string()))),
        }
    }

    async fn reach(&self, endpoint: &Endpoint) -> Result<TcpStream, String> {
        let mut problem = String::new();
        for address in self.addresses(endpoint).await?.into_iter().take(MOST_ADDRESSES) {
            let stream = TcpStream::connect(SocketAddr::new(address, endpoint.port));
            problem = match timeout(CONNECT_TIMEOUT, stream).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error.kind().to_string(),
                Err(_) => "no answer".to_owned(),
            };
        }
        Err(format!("cannot connect to {} port {}: {problem}", endpoint.host, endpoint.port))
    }

    /// Returns the addresses of a receiver, all of which may be reached. A connection is made to one
    /// of these and the name is not looked up again, so an answer that changes gains nothing.
    async fn addresses(&self, endpoint: &Endpoint) -> Result<Vec<IpAddr>, String> {
        let host = &endpoint.host;
        let found = match endpoint.address {
            Some(address) => vec![address],
            None => match (self.resolver)(host).await {
                Ok(found) if !found.is_empty() => found,
                _ => return Err(format!("{host} has no address")),
            },
        };
        // Tenants read the reason: it does not say which address an internal name leads to.
        if found.iter().any(|address| forbidden(*address, &self.allowed).is_some()) {
            return Err(format!("{host} leads to an address that is not public"));
        }
        Ok(found)
    }
}

/// Returns another's error text for a reason: one line of bounded length.
pub(super) fn detail(text: &str) -> String {
    let shown = text.chars().map(|sign| if sign.is_control() { ' ' } else { sign });
    shown.take(LONGEST_DETAIL).collect()
}
