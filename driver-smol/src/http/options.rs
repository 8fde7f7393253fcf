//! What a client may spend on a server, and whom it trusts.

use parcacik_core::border::ConfigError;
use rustls::pki_types::CertificateDer;
use std::path::PathBuf;
use std::time::Duration;

/// Options of an [`HttpClient`](super::HttpClient). Time and size of one exchange are in its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpOptions {
    /// The longest time for a TCP connection to come about. The core tries further addresses itself, so one that swallows packets must
    /// not use up the time of all. Default: 10 s.
    pub connect_limit: Duration,
    /// The longest time without progress: the TLS handshake, the whole head, the next part of the body. Busy trackers do take ten
    /// seconds to answer. Default: 20 s.
    pub idle_limit: Duration,
    /// The most bytes of all heads of an answer together, those of `1xx` answers included; also the most of one head.
    /// From 8 KiB to 64 KiB. Default: 32 KiB (common servers send at most 8 to 16).
    pub head_limit: usize,
    /// The most header lines of an answer. From 16 to 1,024. Default: 256.
    pub header_lines: usize,
    /// The most idle connections kept. Each is an open file. Default: 32.
    pub idle_connections: usize,
    /// The most idle connections kept for one host at one address. Many torrents share a tracker and announce in bursts. Default: 4.
    pub idle_per_host: usize,
    /// How long an idle connection is kept. Servers close theirs after 5 to 75 seconds. Looked at when connections are taken and given
    /// back: nothing runs in between. Default: 30 s.
    pub keep_idle: Duration,
    /// Whether the certificates that the system trusts are trusted; the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` replace
    /// them. Default: yes.
    pub system_roots: bool,
    /// Certificates that are trusted besides. Default: none.
    pub extra_roots: Vec<CertificateDer<'static>>,
    /// A PEM file with certificates that are trusted besides; read at the first `https` request. Default: none.
    pub extra_roots_file: Option<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions {
            connect_limit: Duration::from_secs(10),
            idle_limit: Duration::from_secs(20),
            head_limit: 32 * 1024,
            header_lines: 256,
            idle_connections: 32,
            idle_per_host: 4,
            keep_idle: Duration::from_secs(30),
            system_roots: true,
            extra_roots: Vec::new(),
            extra_roots_file: None,
        }
    }
}

impl HttpOptions {
    /// Whether the options can work together.
    ///
    /// # Errors
    /// Names the first that cannot.
    pub fn check(&self) -> Result<(), ConfigError> {
        let require = |holds: bool, field, problem| if holds { Ok(()) } else { Err(ConfigError { field, problem }) };
        require(!self.connect_limit.is_zero(), "http.connect_limit", "must be more than nothing")?;
        require(!self.idle_limit.is_zero(), "http.idle_limit", "must be more than nothing")?;
        // hyper's buffer holds a head while it is parsed and panics when it is told to be smaller than 8 KiB.
        require((8 * 1024..=64 * 1024).contains(&self.head_limit), "http.head_limit", "must be from 8 to 64 KiB")?;
        require((16..=1024).contains(&self.header_lines), "http.header_lines", "must be from 16 to 1,024")
    }
}
