//! TLS: whom to trust, loaded once, when it is first needed.

use super::fault;
use super::options::HttpOptions;
use async_io::Async;
use futures_rustls::TlsConnector;
use futures_rustls::client::TlsStream;
use parcacik_core::border::{ConfigError, IoFault};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use smol::lock::OnceCell;
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

/// The TLS side of a client. Reading the system's certificates takes tens of milliseconds, so it waits until somebody asks for `https`.
#[derive(Debug)]
pub(super) struct Tls {
    config: OnceCell<Arc<ClientConfig>>,
    extra: RootCertStore,
    file: Option<PathBuf>,
    system: bool,
}

impl Tls {
    /// Takes the options that concern TLS.
    ///
    /// # Errors
    /// When one of the extra certificates is none.
    pub(super) fn new(options: &HttpOptions) -> Result<Tls, ConfigError> {
        let mut extra = RootCertStore::empty();
        for root in &options.extra_roots {
            extra.add(root.clone()).map_err(|_| ConfigError {
                field: "http.extra_roots",
                problem: "holds something that is no certificate",
            })?;
        }
        let file = options.extra_roots_file.clone();
        Ok(Tls { config: OnceCell::new(), extra, file, system: options.system_roots })
    }

    /// The handshake as a client, with the certificate checked against `host` (a name, or an address, IPv6 in brackets).
    ///
    /// # Errors
    /// `Untrusted`, `Protocol`, `Reset`, or `Unsupported` when `host` cannot be in a certificate.
    pub(super) async fn connect(
        &self,
        tcp: Async<TcpStream>,
        host: &str,
    ) -> Result<TlsStream<Async<TcpStream>>, IoFault> {
        let name = server_name(host)?;
        let config = self.config.get_or_try_init(|| self.load()).await?;
        TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(|error| fault::of(&error))
    }

    async fn load(&self) -> Result<Arc<ClientConfig>, IoFault> {
        let (mut roots, file, system) = (self.extra.clone(), self.file.clone(), self.system);
        let roots = blocking::unblock(move || {
            if system {
                add_system_roots(&mut roots);
            }
            if let Some(file) = file {
                add_file(&mut roots, &file);
            }
            roots
        })
        .await;
        if roots.is_empty() {
            // Not kept: the next request looks again.
            tracing::warn!(
                "no trusted certificates were found; https cannot work (SSL_CERT_FILE may name a file of them)"
            );
            return Err(IoFault::Untrusted);
        }
        // The provider is passed, never the process's default one: that panics when two are compiled in.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fault::of(&error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn add_system_roots(roots: &mut RootCertStore) {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "some of the system's certificates could not be read");
    }
    // Stores hold old certificates that rustls cannot parse; the others count.
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, "the system's certificates");
}

fn add_file(roots: &mut RootCertStore, file: &std::path::Path) {
    match CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(certificates) => {
            let (added, ignored) = roots.add_parsable_certificates(certificates);
            tracing::debug!(file = %file.display(), added, ignored, "extra certificates");
        }
        Err(error) => tracing::warn!(file = %file.display(), %error, "the extra certificates could not be read"),
    }
}

/// The name that the certificate has to be valid for.
fn server_name(host: &str) -> Result<ServerName<'static>, IoFault> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::from(address)),
        Err(_) => ServerName::try_from(bare.to_owned()).map_err(|_| IoFault::Unsupported),
    }
}
