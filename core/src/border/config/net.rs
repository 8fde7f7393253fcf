use super::{ConfigError, require};

/// Which addresses, ports and schemes the network parts may use: an embedder's hook, as plain data. The rules that read it
/// are in [`net_policy`](crate::net_policy).
///
/// The defaults are for a machine on the open internet whose torrents come from strangers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetPolicy {
    /// Whether what is named by somebody on the open internet (a redirect, a tracker's list of peers, the addresses of a public
    /// name) may lead to this machine or a private network. Off: a stranger could otherwise make us knock at doors that
    /// only we can reach. Never to link-local addresses, whatever is said here.
    pub allow_local_from_global: bool,
    /// Whether an HTTP tracker on this machine or in a private network must have a path that begins with `/announce` or
    /// `/scrape`, unless the user named it. A torrent could otherwise make us send requests to any local service.
    pub local_needs_announce_path: bool,
    /// Whether ports of other services (mail, shells, databases ...) may be spoken to on a stranger's word. Off: a list of
    /// peers could otherwise turn a swarm against a mail server. Browsers refuse the same ports.
    pub allow_service_ports: bool,
    /// The lowest port of a peer that may be dialled on a stranger's word. 1 allows all; 1024 leaves out the privileged
    /// ones, which some peers use on purpose to get through firewalls.
    pub min_peer_port: u16,
    /// Whether host names may be internationalised, written in Unicode or as `xn--`. Off: they can look like other
    /// names.
    pub allow_idna: bool,
    /// Whether plain HTTP may be used. Many trackers have nothing else.
    pub allow_http: bool,
    /// Whether HTTP by TLS may be used.
    pub allow_https: bool,
    /// Whether UDP trackers may be used.
    pub allow_udp: bool,
    /// Whether the list of blocked addresses holds for trackers and web seeds too, not for peers only.
    pub filter_trackers: bool,
    /// The most ranges of a list of blocked addresses: eight times what the largest public ones have, and 64 MB of memory.
    pub max_filter_ranges: u32,
}

impl Default for NetPolicy {
    fn default() -> NetPolicy {
        NetPolicy {
            allow_local_from_global: false,
            local_needs_announce_path: true,
            allow_service_ports: false,
            min_peer_port: 1,
            allow_idna: false,
            allow_http: true,
            allow_https: true,
            allow_udp: true,
            filter_trackers: true,
            max_filter_ranges: 8_000_000,
        }
    }
}

impl NetPolicy {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(self.min_peer_port > 0, "net.min_peer_port", "is 0, which is no port")
    }
}
