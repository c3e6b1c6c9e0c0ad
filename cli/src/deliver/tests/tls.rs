//! Receivers over TLS, with certificates that are good and that are not.

use std::path::PathBuf;
use std::process::Command;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::super::connect::{Connector, Resolver};
use super::*;

/// A certificate of its own, for `hook.example`.
struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let name = format!("eventlog-deliver-{}-{number}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).expect("a folder");
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=hook.example"])
            .args(["-addext", "subjectAltName=DNS:hook.example,IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(&folder.0)
            .output()
            .expect("openssl");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificate = CertificateDer::from_pem_file(folder.0.join("certificate.pem"));
        let key = PrivateKeyDer::from_pem_file(folder.0.join("key.pem"));
        Self { certificate: certificate.expect("a certificate"), key: key.expect("a key") }
    }

    async fn receiver(&self) -> Receiver {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .expect("a certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Receiver::start("127.0.0.1:0", move |visit| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(visit.stream).await?;
                let mut read = vec![0; 4096];
                while stream.read(&mut read).await? > 0 {
                    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await?;
                }
                Ok(())
            }
        })
        .await
    }
}

/// A folder, removed in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Makes a sender that trusts one certificate, and for which all names lead here.
fn sender_that_trusts(certificate: &Certificate) -> Sender {
    let mut roots = RootCertStore::empty();
    roots.add(certificate.certificate.clone()).expect("a certificate");
    let resolver: Resolver =
        Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1".parse().expect("an address")]) }));
    let options = SenderOptions { allow_private: networks(&["127.0.0.0/8"]), time_limit: LONG };
    let connector = Connector::with_roots(options.allow_private.clone(), resolver, roots);
    Sender::with_connector(options, connector.expect("a connector"))
}

#[tokio::test]
async fn a_receiver_with_a_certificate_of_its_name_is_reached() {
    let certificate = Certificate::new();
    let receiver = certificate.receiver().await;
    let sender = sender_that_trusts(&certificate);
    let port = receiver.address.port();
    for host in ["hook.example", "HOOK.example.", "127.0.0.1"] {
        for _ in 0..3 {
            let outcome = send(&sender, &format!("https://{host}:{port}/")).await;
            assert_eq!(outcome, Outcome::Delivered { status: 204 }, "{host}");
        }
    }
    assert_eq!(receiver.connections(), 3);
}

#[tokio::test]
async fn a_receiver_with_a_certificate_of_another_name_or_of_nobody_is_refused() {
    let certificate = Certificate::new();
    let receiver = certificate.receiver().await;
    let port = receiver.address.port();
    for host in ["other.example", "127.0.0.2", "a.hook.example"] {
        let url = format!("https://{host}:{port}/hook?token=private");
        let outcome = send(&sender_that_trusts(&certificate), &url).await;
        let reason = reason(&outcome);
        let is_named = reason.starts_with("TLS: invalid peer certificate") || host == "127.0.0.2";
        assert!(is_named && !reason.contains("private"), "{reason}");
    }
    let stranger = Certificate::new();
    let url = format!("https://hook.example:{port}/");
    let outcome = send(&sender_that_trusts(&stranger), &url).await;
    assert!(reason(&outcome).starts_with("TLS: invalid peer certificate"), "{outcome:?}");
    assert_eq!(receiver.requests().len(), 0);
}

#[tokio::test]
async fn a_receiver_without_tls_is_refused_where_the_url_wants_it() {
    let certificate = Certificate::new();
    let plain = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let sender = sender_that_trusts(&certificate);
    let url = format!("https://hook.example:{}/", plain.address.port());
    // It waits for the end of a head that never comes: what it got is no HTTP.
    let plain_answer = Receiver::start("127.0.0.1:0", |mut visit| async move {
        visit.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
        visit.wait_for_the_end().await
    })
    .await;
    let at = format!("https://hook.example:{}/", plain_answer.address.port());
    assert!(reason(&send(&sender, &at).await).starts_with("TLS: "));
    let short = SenderOptions {
        allow_private: networks(&["127.0.0.0/8"]),
        time_limit: Duration::from_millis(300),
    };
    let resolver: Resolver =
        Arc::new(|_| Box::pin(async { Ok(vec!["127.0.0.1".parse().expect("an address")]) }));
    let connector = Connector::new(short.allow_private.clone(), resolver).expect("a connector");
    let outcome = send(&Sender::with_connector(short, connector), &url).await;
    assert_eq!(reason(&outcome), "no answer within 0.3 s");
    assert!(plain.requests().is_empty());
    // The other way round.
    let receiver = certificate.receiver().await;
    let url = format!("http://hook.example:{}/", receiver.address.port());
    assert!(matches!(send(&sender, &url).await, Outcome::Failed { .. }));
}
