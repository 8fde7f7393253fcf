//! The arguments of `dissect`.

use clap::Args;
use std::path::PathBuf;

/// Show what peers and trackers said in a capture
///
/// Reads pcap and pcapng files (tcpdump, Wireshark) of Ethernet, loopback, raw IP or "any" devices; puts TCP together again, and takes apart what peers say to each other (BEP 3, 5, 6, 10), what trackers are asked and answer by HTTP and UDP, and what nodes of the DHT do (BEP 5, 32, 33, 42, 43, 44, 51). Of what it does not speak (uTP, local discovery, encryption) it tells that it is there, and how much.
///
/// Bytes that are not in the capture are told as lost; behind them, the next start of a message is searched for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik dissect session.pcap
  parcacik dissect session.pcap --summary --torrent debian.iso.torrent
  parcacik dissect session.pcap --json --summary | jq .tcp_streams

JSON (--json), a line for everything that was said: {\"type\",\"time\",..}, with time in seconds since 1970.
  type handshake, message, damaged, fault, request, response, undecoded, gap, end:
      stream (counted from 0), from (\"a\" or \"b\"; a dialled), from_addr, to_addr, start and end (bytes of what that side sent), and by its type
      info_hash, peer_id, reserved; name, id and what the message says; id, missing; error; method, target, asked; status, answered; how
  type datagram: from_addr, to_addr, length, kind, and what a tracker was asked or answered; of the DHT
      transaction and version (hex), ip, read_only, id, and by its kind target, info_hash, want, port, .., nodes, nodes6, values, token, value, .., faults; code, text; error

JSON (--json --summary), one object:
  tcp_streams: [{a, b (ip:port; a dialled), dialled (whether that was seen), protocol (peer, http, opaque), info_hash, peer_id_a, peer_id_b, messages_a, messages_b,
      extensions_a, extensions_b, damaged_a, damaged_b, faults_a, faults_b, bytes_a, bytes_b, undecoded_bytes, lost_bytes, conflicting_bytes}]
      without those to trackers and those on which nothing was sent; messages and extensions are counts by name
  udp: datagrams by kind: tracker_connect_request, tracker_connect_response, tracker_announce_request, .., tracker_error, utp, dht_ping, dht_find_node, ..,
      dht_response, dht_error, dht_unreadable, lsd, other
  http_trackers: [{tracker, streams, announces, announce_responses, scrapes, scrape_responses, failures, unreadable, undecoded_bytes, info_hashes}]
  capture: {frames, tcp, udp, fragments, other, unknown_link, malformed, unfollowed, cut_off, fault, seconds}
  with --torrent: pieces_seen (whole in what somebody was sent), pieces_ok (those with the right hash), pieces_bad, piece_count

A peer id is text where all of it is printable ASCII, else 40 hexadecimal digits.")]
pub struct DissectArgs {
    /// The capture; - for standard input
    #[arg(value_name = "CAPTURE")]
    pub capture: PathBuf,
    /// Count what was said
    #[arg(long)]
    pub summary: bool,
    /// Check the pieces of this torrent that went by: a .torrent file, or an http or https URL of one
    #[arg(long, value_name = "FILE")]
    pub torrent: Option<PathBuf>,
    /// Print objects to stdout, one a line
    #[arg(long)]
    pub json: bool,
}
