//! TLS towards a broker: rustls, with the system's certificates or those of one file.
//!
//! There is no way to skip the check of a certificate; one that nobody has signed goes into
//! `ca_file`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// TLS as this crate speaks it, over connections that others made: for whoever decides by themselves
/// which address a name stands for.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    /// Trusts whom the system trusts.
    pub async fn of_system() -> Result<Tls, String> {
        Ok(Tls(configure(None).await?))
    }

    /// The other end must prove that it is `host`: a name, or an address without brackets.
    pub async fn connect(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::clone(&self.0)).connect(name, stream).await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Reads the certificates, off the runtime's own threads. An error says which file is at fault.
pub(crate) async fn configure(ca_file: Option<PathBuf>) -> Result<Arc<ClientConfig>, String> {
    let read = move || match ca_file {
        Some(path) => of_file(&path),
        None => of_system(),
    };
    let roots = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| format!("cannot read certificates: {error}"))??;
    // Named here, so that no other part of the process has to have installed one.
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("cannot use TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn of_file(path: &Path) -> Result<RootCertStore, String> {
    let failed = |why: String| format!("cannot read ca_file {}: {why}", path.display());
    let certificates =
        CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(failed("it holds no certificate in PEM form".to_owned()));
    }
    Ok(roots)
}

fn of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Some of a system's certificates are always too old to be read; any that can be is enough.
    let (read, _) = roots.add_parsable_certificates(found.certs);
    if read == 0 {
        let why: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the system has no certificates ({}): install them, or name a ca_file",
            why.join("; ")
        ));
    }
    Ok(roots)
}
