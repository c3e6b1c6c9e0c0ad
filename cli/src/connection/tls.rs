//! TLS according to libpq's `sslmode` and `sslrootcert`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::conninfo::Parameters;
use super::libpq_files::in_home;
use crate::output::Failure;

/// The protection that a connection must have, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Mode {
    Disable,
    /// TLS only if the server refuses connections without.
    Allow,
    /// TLS if the server has it.
    Prefer,
    /// TLS. As in the writer, and unlike libpq, the certificate is verified as below.
    Require,
    /// TLS, and a certificate signed by a trusted authority.
    VerifyCa,
    /// The same, and the certificate must be for the host's name.
    VerifyFull,
}

impl Mode {
    pub(super) fn of(parameters: &Parameters) -> Result<Self, Failure> {
        let is_system = parameters.get("sslrootcert").is_some_and(|path| path == "system");
        let mode = match parameters.get("sslmode").map(String::as_str) {
            // As in libpq: a public authority signs for everybody, so its signature proves nothing unless
            // the name is checked too.
            None if is_system => Mode::VerifyFull,
            None | Some("prefer") => Mode::Prefer,
            Some("disable") => Mode::Disable,
            Some("allow") => Mode::Allow,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(other) => {
                return Err(Failure::new(format!("sslmode is {other:?}"))
                    .hint("disable, allow, prefer, require, verify-ca or verify-full"));
            }
        };
        if is_system && !matches!(mode, Mode::Require | Mode::VerifyFull) {
            let message = "sslrootcert=system needs sslmode=verify-full";
            return Err(Failure::new(message));
        }
        Ok(mode)
    }
}

/// Makes the TLS connector.
pub(super) fn connector(mode: Mode, parameters: &Parameters) -> Result<MakeRustlsConnect, Failure> {
    let given = |name: &str| parameters.get(name).map(Path::new);
    let of_home = |name: &str| in_home(".postgresql").map(|folder| folder.join(name));
    let mut roots = RootCertStore::empty();
    if mode >= Mode::Require {
        let own = of_home("root.crt").filter(|path| path.exists());
        match given("sslrootcert").or(own.as_deref()).filter(|path| *path != Path::new("system")) {
            Some(path) => {
                for certificate in certificates(path, "sslrootcert")? {
                    roots
                        .add(certificate)
                        .map_err(|error| unusable("sslrootcert", path, &error))?;
                }
            }
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier { mode, roots, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::new(format!("cannot set up TLS: {error}")))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let own = of_home("postgresql.crt").filter(|path| path.exists());
    let Some(certificate) = given("sslcert").or(own.as_deref()) else {
        return Ok(MakeRustlsConnect::new(config.with_no_client_auth()));
    };
    let own = of_home("postgresql.key");
    let key = given("sslkey").or(own.as_deref());
    let key = key.ok_or_else(|| Failure::new("sslcert needs sslkey"))?;
    let metadata = fs::metadata(key).map_err(|error| unusable("sslkey", key, &error))?;
    let forbidden = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    if metadata.permissions().mode() & forbidden != 0 {
        let message = format!("sslkey: others can read {}", key.display());
        return Err(Failure::new(message).hint(format!("chmod 600 {}", key.display())));
    }
    let chain = certificates(certificate, "sslcert")?;
    let private =
        PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("sslkey", key, &error))?;
    let config = config
        .with_client_auth_cert(chain, private)
        .map_err(|error| unusable("sslcert", certificate, &error))?;
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(path: &Path, of: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(of, path, &error))?;
    found.map(|one| one.map_err(|error| unusable(of, path, &error))).collect()
}

fn unusable(parameter: &str, path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{parameter}: cannot use {}: {error}", path.display()))
}

/// Verifies the server's certificate as the mode demands; signatures of the handshake always.
#[derive(Debug)]
struct Verifier {
    mode: Mode,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.mode < Mode::Require {
            return Ok(ServerCertVerified::assertion());
        }
        if self.roots.is_empty() {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        }
        let parsed = ParsedCertificate::try_from(certificate)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        if self.mode != Mode::VerifyCa {
            verify_server_name(&parsed, name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
