//! Notices: written, never read back. A replay makes its own.

use super::{Encoder, Put, canon_enum};
use crate::border::{AnnounceResponse, CommandError, Notice, ScrapeCounts, StorageState, TorrentState};
use bytes::Bytes;

canon_enum!(out Notice {
    0 = CommandFailed { command, error },
    1 = Listening { command, sock, local },
    2 = Added { command, torrent, hashes, name },
    3 = State { torrent, state },
    4 = PieceDone { torrent, piece },
    5 = PieceFailed { torrent, piece },
    6 = Finished { torrent },
    7 = Done { torrent },
    8 = Removed { torrent },
    9 = PeerConnected { torrent, peer, addr, id, incoming },
    10 = PeerClosed { torrent, addr, reason },
    11 = PeerBanned { torrent, addr },
    12 = TrackerAnswered { torrent, url, peers, interval, warning },
    13 = TrackerFailed { torrent, url, why, retry },
    14 = ForeignFile { torrent, file },
    15 = Checked { torrent, done, total },
    16 = StorageFailed { torrent, fault },
    17 = Saved { torrent, pieces },
    18 = Stopped,
    19 = CommandDone { command },
    20 = PeersRefused { torrent, filtered, refused },
    21 = Scraped { command, url, counts, failure },
    22 = Announced { command, url, from, answer },
    23 = ExternalAddress { v6, ip },
    24 = Storage { torrent, state },
    25 = DiscoveryFailed { sock, fault },
    26 = MetadataProgress { torrent, have, size },
    27 = Metadata { torrent, hashes, name, info },
    28 = MetadataFailed { torrent, why },
    29 = DhtReady { sock, v6, nodes },
    30 = DhtUnreachable { sock, v6, retry },
});

canon_enum!(out TorrentState {
    0 = Checking,
    1 = Downloading,
    2 = Seeding,
    3 = Failed(fault),
    4 = Stopping,
    5 = Stopped,
    6 = Paused,
    7 = Queued,
    8 = Moving,
    9 = Metadata,
});

canon_enum!(out StorageState { 0 = Good, 1 = Full { needed, free }, 2 = Failing(fault) });

canon_enum!(out CommandError {
    0 = BadMetainfo(why),
    1 = V2Only,
    2 = Duplicate(torrent),
    3 = NoSuchTorrent,
    4 = Bind(fault),
    5 = BadUrl(why),
    6 = Stopping,
    7 = Limit,
    8 = ZeroLimit,
    9 = NotNow,
    10 = Storage(fault),
    11 = NoSuchFile(file),
    12 = BadPriority(number),
    13 = BadMagnet(why),
});

impl Put for ScrapeCounts {
    fn put(&self, to: &mut Encoder<'_>) {
        let ScrapeCounts { complete, downloaded, incomplete } = self;
        [*complete, *downloaded, *incomplete].iter().for_each(|count| count.put(to));
    }
}

impl Put for AnnounceResponse {
    fn put(&self, to: &mut Encoder<'_>) {
        let AnnounceResponse {
            interval,
            min_interval,
            tracker_id,
            complete,
            incomplete,
            downloaded,
            peers,
            external_ip,
            warning,
        } = self;
        [*interval, *min_interval, *complete, *incomplete, *downloaded].iter().for_each(|number| number.put(to));
        tracker_id.as_deref().map(Bytes::copy_from_slice).put(to);
        peers.put(to);
        external_ip.put(to);
        warning.put(to);
    }
}
