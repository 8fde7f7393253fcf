//! Events, and the words that they and others are made of. Variant numbers are only ever appended.

use super::{DecodeError, Decoder, Encoder, Problem, Put, Take, canon_enum, canon_struct};
use crate::border::{
    AddTorrent, AnnounceEvent, AnnounceOnce, CloseReason, Command, CommandId, DialId, Event, FileState, HttpResponse,
    InfoHash, InfoHashes, IoFault, JobId, JobResult, PeerFault, PeerId, PeerKey, QueuePlace, RemoveFiles, RootId,
    SeedGoal, SocketId, Target, TcpId, TorrentId, TorrentSource, Verdict,
};

macro_rules! canon_id {
    ($($name:ident),*) => {$(
        impl Put for $name {
            #[inline]
            fn put(&self, to: &mut Encoder<'_>) {
                self.0.put(to);
            }
        }
        impl Take for $name {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                from.take().map($name)
            }
        }
    )*};
}

canon_id!(SocketId, TcpId, RootId, TorrentId, PeerKey, CommandId, InfoHash, PeerId);

/// How many bits of a [`JobId`] or a [`DialId`] count; those above say who asked. Apart they are two small numbers.
pub(in crate::journal) const COUNT_BITS: u32 = 40;

macro_rules! canon_owned_id {
    ($($name:ident),*) => {$(
        impl Put for $name {
            #[inline]
            fn put(&self, to: &mut Encoder<'_>) {
                to.number(self.0 >> COUNT_BITS);
                to.number(self.0 & ((1 << COUNT_BITS) - 1));
            }
        }
        impl Take for $name {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                let wrong = from.error(Problem::Number);
                let (owner, count) = (from.number()?, from.number()?);
                if owner >> (u64::BITS - COUNT_BITS) > 0 || count >> COUNT_BITS > 0 {
                    return Err(wrong);
                }
                Ok($name(owner << COUNT_BITS | count))
            }
        }
    )*};
}

canon_owned_id!(DialId, JobId);

canon_struct!(InfoHashes { v1, v2 });

canon_enum!(Event {
    0 = Tick,
    1 = WallClock { unix_seconds },
    2 = InterfacesChanged,
    3 = Bound { sock, local },
    4 = BindFailed { sock, fault },
    5 = Accepted { sock, tcp, local, remote },
    6 = Connected { dial, tcp, local, remote },
    7 = DialFailed { dial, fault },
    8 = Received { tcp, bytes },
    9 = Flushed { tcp, bytes },
    10 = Closed { tcp, fault },
    11 = Datagrams { sock, from, segment, bytes },
    12 = JobData { job, bytes },
    13 = JobDone { job, result },
    14 = Command { id, command },
});

canon_enum!(Command {
    0 = Listen { tcp, udp, lsd, dht, addr, device },
    1 = Add(add),
    2 = AddPeers { torrent, peers },
    3 = Remove { torrent, files },
    4 = Shutdown,
    5 = SetLimits { torrent, download, upload },
    6 = SetIpFilter { filter },
    7 = SetSuperSeed { torrent, on },
    8 = Reannounce { torrent, force },
    9 = AddTrackers { torrent, tiers },
    10 = ReplaceTrackers { torrent, tiers },
    11 = ScrapeTorrent { torrent },
    12 = Scrape { trackers, torrents },
    13 = Announce(once),
    14 = Pause { torrent, graceful },
    15 = Resume { torrent },
    16 = Recheck { torrent },
    17 = Move { torrent, root },
    18 = SetGoal { torrent, goal },
    19 = SetManaged { torrent, managed },
    20 = SetPlace { torrent, place },
    21 = SetPriorities { torrent, files },
    22 = SetSequential { torrent, on },
    23 = AddDhtNodes { nodes },
});

canon_struct!(AnnounceOnce { trackers, info_hash, event, left, num_want });
canon_enum!(AnnounceEvent { 0 = Started, 1 = Completed, 2 = Stopped, 3 = Paused });

canon_enum!(TorrentSource { 0 = Metainfo(bytes), 1 = Magnet(link) });

canon_struct!(AddTorrent {
    source,
    root,
    extra_trackers,
    use_trackers,
    peers,
    goal,
    overwrite,
    recheck,
    seed_only,
    priorities,
    sequential,
    limits,
    super_seed,
    paused,
    managed,
    hold_at_metadata,
});

canon_enum!(SeedGoal { 0 = None, 1 = Ratio(thousandths), 2 = Time(span), 3 = Forever, 4 = Either { thousandths, time } });

canon_enum!(RemoveFiles { 0 = Keep, 1 = Delete });
canon_enum!(QueuePlace { 0 = Top, 1 = Up, 2 = Down, 3 = Bottom, 4 = At(before) });

canon_enum!(Target { 0 = Addr(addr), 1 = Host { name, port } });

canon_enum!(JobResult {
    0 = Done,
    1 = Read(bytes),
    2 = Verified(verdict),
    3 = Checked { files, part, free },
    4 = Loaded(records),
    5 = Resolved(addresses),
    6 = Http(response),
});

canon_struct!(Verdict { matches, blocks });
canon_struct!(FileState { length, modified });
canon_struct!(HttpResponse { status, location, retry_after, body });

canon_enum!(IoFault {
    0 = NoSpace,
    1 = NotFound,
    2 = Denied,
    3 = TimedOut,
    4 = Refused,
    5 = Reset,
    6 = Unreachable,
    7 = AddressUnavailable,
    8 = TooManyOpen,
    9 = Device,
    10 = ReadOnly,
    11 = ShortRead,
    12 = Exists,
    13 = Protocol,
    14 = Untrusted,
    15 = TooLarge,
    16 = Cancelled,
    17 = Unsupported,
    18 = Other,
    19 = Busy,
});

canon_enum!(out PeerFault {
    0 = NotBitTorrent,
    1 = WrongInfoHash,
    2 = MessageTooLong,
    3 = WrongMessageLength,
    4 = LateBitfield,
    5 = BadBitfield,
    6 = FastNotAgreed,
    7 = ExtensionNotAgreed,
    8 = PieceOutOfRange,
    9 = BadRequests,
    10 = UnrequestedBlocks,
    11 = Flood,
    12 = BadExtendedHandshake,
    13 = CorruptData,
    14 = BadPex,
    15 = PexFlood,
    16 = BadMetadata,
});

canon_enum!(out CloseReason {
    0 = Fault(fault),
    1 = ClosedByPeer,
    2 = Broken(fault),
    3 = DialFailed(fault),
    4 = HandshakeTimeout,
    5 = Idle,
    6 = NotReading,
    7 = ToSelf,
    8 = Duplicate,
    9 = BothSeeds,
    10 = Useless,
    11 = LimitReached,
    12 = Banned,
    13 = Stopped,
    14 = TrackerSwitched,
    15 = Filtered,
    16 = NoRequests,
    17 = Paused,
});
