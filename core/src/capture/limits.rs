//! What a dissection may take.

use core::time::Duration;

/// The limits of a dissection, each with the reason for its number. A capture is a stranger's file, made to fit none of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureLimits {
    /// The longest record of a capture file that is kept, in bytes. tcpdump and Wireshark cut packets at 262,144 at most; four times that
    /// leaves room for options. A longer block of a pcapng file is passed over, a longer packet of a pcap file ends the reading: nothing
    /// tells it from a damaged one.
    pub max_record: u32,
    /// The most interfaces in a section of a pcapng file: a machine with a container for each of its ports has fewer.
    pub max_interfaces: u32,
    /// The most TCP connections that are followed; what comes of further ones is counted. A client has some hundreds at a time, and a state
    /// of a kilobyte each stays to the end.
    pub max_streams: u32,
    /// The most bytes of one direction that wait for bytes before them: a window of 4 MiB, the largest that Linux takes by itself.
    /// Beyond it, what they wait for counts as lost.
    pub max_out_of_order: u32,
    /// The most segments that wait so: what fits into such a window at 1,024 bytes each.
    pub max_segments: u32,
    /// So many of the last bytes of each direction are kept to compare what is sent again with. Retransmissions come within a window;
    /// 64 KiB is one without window scaling.
    pub history: u32,
    /// What all streams together may hold, in bytes: history, bytes that wait, messages that are not whole. Beyond it the stream that is
    /// being looked at gives up what it holds.
    pub max_held: u64,
    /// How long bytes that were acknowledged, but not captured, may still come. A capture of several queues or CPUs is out of order by
    /// milliseconds.
    pub gap_patience: Duration,
    /// The most IP packets that are put together from fragments at a time. Of 64 KiB at most, they are 16 MiB.
    pub max_fragmented: u32,
    /// How long their fragments may take. RFC 791 and Linux: 15 to 30 seconds.
    pub fragment_patience: Duration,
    /// The longest peer wire message: libtorrent's own limit for any message, and four times the bitfield of the most pieces that a
    /// torrent may have here.
    pub max_message: u32,
    /// How many bytes are searched at a time for the start of a message behind a gap. Three blocks of the largest size that peers take
    /// (128 KiB) lie in it.
    pub search_window: u32,
    /// The longest head of an HTTP message: what servers take as request line and headers is 8 to 32 KiB.
    pub max_http_head: u32,
    /// The longest body of an HTTP message that is read: a tracker's answer with 200 peers has some kilobytes, a scrape of everything more.
    pub max_http_body: u32,
    /// The most pairs of client and UDP tracker that are remembered, and with each its last requests.
    pub max_udp_flows: u32,
    /// The most peers that are read from a tracker's answer: more than fit into a datagram.
    pub max_peers: u32,
    /// The longest text of a stranger, in characters.
    pub max_text: u32,
    /// The most bytes of pieces that are not whole yet, when pieces are checked.
    pub max_pieces_held: u64,
}

impl Default for CaptureLimits {
    fn default() -> CaptureLimits {
        CaptureLimits {
            max_record: 1 << 20,
            max_interfaces: 4096,
            max_streams: 1 << 16,
            max_out_of_order: 4 << 20,
            max_segments: 4096,
            history: 64 << 10,
            max_held: 256 << 20,
            gap_patience: Duration::from_millis(200),
            max_fragmented: 256,
            fragment_patience: Duration::from_secs(30),
            max_message: 1 << 20,
            search_window: 512 << 10,
            max_http_head: 64 << 10,
            max_http_body: 1 << 20,
            max_udp_flows: 1 << 16,
            max_peers: 16_384,
            max_text: 1_000,
            max_pieces_held: 256 << 20,
        }
    }
}
