//! The URL of a receiver, taken apart once.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use hyper::Uri;
use hyper::header::HeaderValue;
use url::{Host, Url};

use super::address::{Network, forbidden};

/// Longest URL in bytes.
const LONGEST: usize = 2048;

/// Where the requests for one URL go.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Scheme, host and port: connections are shared among URLs that agree in these.
    pub(super) origin: Arc<str>,
    pub(super) is_https: bool,
    pub(super) host: Arc<str>,
    /// The address, where the URL has one for a name.
    pub(super) address: Option<IpAddr>,
    pub(super) port: u16,
    /// The value of the header `Host`.
    pub(super) authority: HeaderValue,
    /// Path and query.
    pub(super) target: Uri,
}

impl fmt::Debug for Endpoint {
    // The path may hold a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)
    }
}

/// Checks the URL of a webhook and takes it apart. An address in it must be public or allowed;
/// what a name leads to is checked at each connection.
pub(crate) fn check_url(url: &str, allowed: &[Network]) -> Result<Endpoint, String> {
    if url.len() > LONGEST {
        return Err(format!("the URL has {} bytes, at most {LONGEST} are allowed", url.len()));
    }
    let url = Url::parse(url).map_err(|error| format!("this is not a URL: {error}"))?;
    let is_https = match url.scheme() {
        "https" => true,
        "http" => false,
        other => return Err(format!("the URL begins with {other}:, it must be https: or http:")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the URL has a user name or a password: receivers check the signature".to_owned()
        );
    }
    let (host, address) = match url.host() {
        Some(Host::Domain(name)) => (name.trim_end_matches('.').to_owned(), None),
        Some(Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
        Some(Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address))),
        None => return Err("the URL has no host".to_owned()),
    };
    if let Some(kind) = address.and_then(|address| forbidden(address, allowed)) {
        return Err(format!("{host} is not a public address ({kind})"));
    }
    let port = url.port_or_known_default().filter(|port| *port != 0);
    let port = port.ok_or("the URL has port 0")?;
    let name = url.host_str().unwrap_or_default();
    let authority = match url.port() {
        Some(port) => format!("{name}:{port}"),
        None => name.to_owned(),
    };
    let unusable = |_| "the URL has characters that HTTP does not allow".to_owned();
    let authority = HeaderValue::from_str(&authority).map_err(unusable)?;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let target = target.parse().map_err(|_| "the URL has characters that HTTP does not allow")?;
    let origin = format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default());
    Ok(Endpoint {
        origin: origin.into(),
        is_https,
        host: host.into(),
        address,
        port,
        authority,
        target,
    })
}
