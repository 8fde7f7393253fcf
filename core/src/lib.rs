//! BitTorrent as state machines that do no I/O.
//!
//! This crate decides; a *driver* acts. It opens no socket and no file, reads no clock, starts no thread and draws no
//! randomness: `#![no_std]` gives it none to reach, and the compiler checks that. A driver tells it what happened and does
//! what it says. So the same code runs under any runtime, in a test that replays a recorded session, and in a simulator with
//! a virtual clock, and takes the same decisions in each.
//!
//! Two drivers come with the project: `parcacik-driver-smol`, which most programs want (it has a `Client`), and
//! `examples/blocking` in this crate, a whole one on threads and blocking calls, to be read by whoever writes a third.
//!
//! - [The loop in six steps](#the-loop-in-six-steps)
//! - [A driver in forty lines](#a-driver-in-forty-lines)
//! - [The contract](#the-contract): what a driver does for each word
//! - [Time, chance, order](#time-chance-order), [Content is not looked at](#content-is-not-looked-at),
//!   [Credit both ways](#credit-both-ways), [Blame is typed](#blame-is-typed), [Limits](#limits)
//! - [Glossary](#glossary)
//! - [Floors](#floors): the map of the modules; [Parts that stand alone](#parts-that-stand-alone)
//! - [What is left out](#what-is-left-out)
//!
//! # The loop in six steps
//!
//! 1. **Wait** for whatever comes first: something happens outside (a stream delivers bytes, a job ends, the application
//!    wants something), or the moment comes that [`Session::deadline`](session::Session::deadline) named.
//! 2. **Say it** as one [`Event`](border::Event); the deadline is [`Event::Tick`](border::Event::Tick).
//! 3. **Empty** the list: [`Actions::clear`](border::Actions::clear). It is yours, and keeps its memory.
//! 4. **Hand over**: [`session.handle(now, event, &mut actions)`](session::Session::handle). It returns at once and cannot
//!    fail. Nothing else changes a session; [`view`](session::Session::view) and its like only look.
//! 5. **Act**: begin each [`Action`](border::Action) of [`actions.list`](border::Actions::list), in that order. What one leads to is an
//!    event of its own, later: `handle` is never called from within.
//! 6. **Tell** the application each [`Notice`](border::Notice) of [`actions.notices`](border::Actions::notices). Then again from 1,
//!    with the new deadline.
//!
//! # A driver in forty lines
//!
//! All of it, for a computer without a network and with a disk of five bytes. The torrent is there already; the session
//! has it looked up, hashed and saved, and says that it is done.
//!
//! ```
//! use parcacik_core::border::{
//!     Action, Actions, AddTorrent, Command, CommandId, Config, Event, FileState, IoFault, JobResult, Notice, PieceHash,
//!     RootId, Verdict, Work,
//! };
//! use parcacik_core::{rng::Seeds, session::Session, time::Time};
//! use sha1::{Digest, Sha1};
//! use std::{collections::VecDeque, time::Duration};
//!
//! let disk = b"hello";
//! let mut metainfo = b"d4:infod6:lengthi5e4:name5:a.txt12:piece lengthi16384e6:pieces20:".to_vec();
//! metainfo.extend(Sha1::digest(disk));
//! metainfo.extend(b"ee");
//!
//! // Seeds come from the operating system; these are for examples.
//! let mut session = Session::new(Config::default(), Seeds::for_tests(1))?;
//! let add = Command::Add(Box::new(AddTorrent::new(metainfo, RootId(0))));
//! let mut happened = VecDeque::from([Event::Command { id: CommandId(1), command: add }]);
//! let (mut now, mut actions) = (Time::ZERO, Actions::new());
//! 'running: loop {
//!     let event = happened.pop_front().unwrap_or_else(|| {
//!         // A real driver sleeps; in this world, time itself jumps.
//!         now = session.deadline().unwrap_or(now + Duration::from_secs(1));
//!         Event::Tick
//!     });
//!     actions.clear();
//!     session.handle(now, event, &mut actions);
//!     for action in actions.list.drain(..) {
//!         let Action::Start { job, work } = action else { continue }; // Here, sockets would be served.
//!         let file = FileState { length: disk.len() as u64, modified: 0 };
//!         let result = match work {
//!             Work::Load { .. } => Ok(JobResult::Loaded(vec![])),
//!             Work::Check { .. } | Work::Sync { .. } => {
//!                 Ok(JobResult::Checked { files: vec![Some(file)], part: None, free: None })
//!             }
//!             Work::Verify { expect, .. } => {
//!                 let matches = expect == PieceHash::Sha1(Sha1::digest(disk).into());
//!                 Ok(JobResult::Verified(Verdict { matches, blocks: vec![] }))
//!             }
//!             Work::Open { .. } | Work::CreateEmpty { .. } | Work::Save { .. } => Ok(JobResult::Done),
//!             Work::Release { .. } => Ok(JobResult::Done),
//!             _ => Err(IoFault::Unsupported),
//!         };
//!         happened.push_back(Event::JobDone { job, result });
//!     }
//!     for notice in actions.notices.drain(..) {
//!         println!("{now:?} {notice:?}");
//!         if matches!(notice, Notice::Done { .. }) {
//!             break 'running;
//!         }
//!     }
//! }
//! # let torrent = session.torrents().next().unwrap();
//! # assert!(session.view(torrent).unwrap().pieces.is_full());
//! # Ok::<(), parcacik_core::border::ConfigError>(())
//! ```
//!
//! # The contract
//!
//! What a driver does for each [`Action`](border::Action), and what it then says:
//!
//! | action | do | then say |
//! |---|---|---|
//! | `Bind` | open the socket, port 0 meaning any; one of [`Multicast`](border::SocketKind::Multicast) joins its group on the interfaces of its address, shares the port, and sends on each of them, no further than the link | `Bound` with the real port, or `BindFailed`: exactly one. Then `Accepted` for each stream, `Datagrams` for what comes |
//! | `Unbind` | close it; streams that came in by it live on | nothing |
//! | `Dial` | connect, within a time limit of yours; from the address of `from` if you can | `Connected` with a [`TcpId`](border::TcpId) never used before, or `DialFailed`: exactly one |
//! | `CancelDial` | give up, if you can | the answer to `Dial`, all the same |
//! | `Grant` | read so many bytes more at most; a new stream has none | `Received` for each read, at least a byte; at the end `Closed` |
//! | `Send`, `SendContent` | append to the stream's queue, write in order | `Flushed` with what the operating system took, all together what was sent |
//! | `Close` | with `flush`, write what is queued and read until the peer ends too, for a moment (a socket closed with bytes unread is reset, and the peer may lose the rest); then close | nothing: no event follows for this stream, not even `Closed` |
//! | `SendDatagrams` | cut into `segment`s and send | nothing |
//! | `Start` | begin the work, never block on it | exactly one `JobDone`, a fault if need be |
//! | `Cancel` | end the job sooner, if you can | the answer to `Start`, all the same |
//! | `GrantJob` | pass on so many bytes more of a long result | `JobData` (no work of today has such results) |
//!
//! `Closed` is the last word on a stream that the session has not closed itself. Ids that you make are never used twice.
//! Late events, and events for ids that nobody knows, do no harm.
//!
//! And for each [`Work`](border::Work). Everything may be answered by a fault instead; the list of faults is closed
//! ([`IoFault`](border::IoFault)), as the core decides by them. Jobs may end in any order, but `Open` comes before all other
//! work on a torrent, and a `Read`, `Verify` or `Sync` sees every `Write` that *ended* before it was started.
//!
//! | work | do | [`JobResult`](border::JobResult) |
//! |---|---|---|
//! | `Open` | remember folder, layout and key; create nothing. Once more for the same torrent, with the files, when the info dictionary of a magnet link has come (nothing else is under way then): the new layout takes the place of the first, which has no file | `Done` |
//! | `Load` | take the torrent for this process alone (else `Busy`), fetch what `Save` stored, the newest first, two at most | `Loaded`, empty when there is nothing |
//! | `Check` | look which files exist, the folder looked up anew | `Checked` |
//! | `CreateEmpty` | create these files of no length, and their folders | `Done` |
//! | `Place` | from now on, find bytes by [`spans`](border::StorageLayout::spans) with these files kept apart; copy what lay in the part file to files that are apart no more | `Done` |
//! | `DropPart` | remove the part file | `Done`, also when there is none |
//! | `Write` | write; create what is missing, never truncate; pad files are not written | `Done` when a read sees it |
//! | `Read` | read all of it; pad files are zeros | `Read`; `ShortRead` where bytes are missing |
//! | `Verify` | hash the piece, from the disk or from what you hashed on the way | `Verified`; bytes that are missing make a mismatch, not a fault |
//! | `Sync` | make everything written survive a power cut, names of new files too | `Checked`, as the files are then |
//! | `Save` | store whole or not at all, keep the one before | `Done` when it survives a power cut |
//! | `Release` | close the files, give the torrent free | `Done` |
//! | `Delete` | delete its regular files but those, its empty folders, its resume data; after all that was started before | `Done` |
//! | `Move` | move files and resume data to another folder, all or nothing, replacing nothing; later work means that folder | `Checked` |
//! | `LoadDht` | fetch what `SaveDht` stored for that family | `Loaded`, one or none |
//! | `SaveDht` | store it whole or not at all, for the owner's eyes | `Done` |
//! | `Resolve` | look a name up | `Resolved`, at least one address |
//! | `Http` | one GET to the one address given; follow no redirect; keep both limits | `Http`, whatever the status |
//!
//! Besides: [`Event::WallClock`](border::Event::WallClock) at the start and when the date jumps, and
//! [`Event::InterfacesChanged`](border::Event::InterfacesChanged) when addresses of this machine come or go. To stop, give
//! [`Command::Shutdown`](border::Command::Shutdown) and run on until [`Notice::Stopped`](border::Notice::Stopped); it comes within
//! [`shutdown_limit`](border::SessionConfig::shutdown_limit).
//!
//! What can be left out: a driver that never gives `Command::Listen` is never told to `Bind`; one that cannot do some
//! work says `Unsupported`, and the session goes on without (`Http` with TLS, say).
//!
//! # Time, chance, order
//!
//! The actions are a function of the config, the seeds and the list of `(now, event)`: the same on every machine, byte for byte.
//! That list is the complete recording of a session, and [`journal`] stores it.
//!
//! - **Time** is [`Time`](time::Time), microseconds since an epoch that you pick. A `now` that lies before the last counts as the last.
//!   The deadline may be early, never late: a tick too many does no harm, and a tick is not needed where another event
//!   came at or after the deadline.
//! - **Chance** is [`Seeds`](rng::Seeds), two times 32 bytes from the operating system, given once. `decision` feeds what anybody may know (picks,
//!   jitter), `secret` what nobody may guess (peer ids, keys): a recording can be given away with the first alone.
//! - **Order** is decided: no hash-ordered map, no float, no log.
//!
//! # Content is not looked at
//!
//! The core never reads the bytes of a block: whether they are right is the answer to `Verify`. Which ranges of an event's
//! buffer it took as content is in [`Actions::opaque`](border::Actions::opaque); with other bytes there, actions and notices would be
//! the same. A recording leaves them out, so it is small, and holds nothing of what was downloaded.
//!
//! A block is a slice of the buffer that you handed in; only one that was split over two is copied. So a `Write` keeps the
//! buffer of its event in memory until it is done.
//!
//! # Credit both ways
//!
//! No queue grows without bound at a peer's will. Inwards, you read only what `Grant` allows; the session grants what it has
//! handled, and less when the disk is behind. What is not read fills the peer's window, and TCP slows it down. Outwards,
//! the session counts what it gave by `Send` against what `Flushed` says has left, and reads no more from the disk for a
//! peer that does not take it. So your own queues need no limits of their own, as long as you keep to credit.
//!
//! Rate limits ([`Command::SetLimits`](border::Command::SetLimits)) are the same thing: less is granted, and less is read for peers. A
//! driver knows nothing of them. What counts is said at [`RateConfig`](border::RateConfig).
//!
//! # Blame is typed
//!
//! | whose fault | how it is told |
//! |---|---|
//! | a peer's | its connection ends: [`CloseReason::Fault`](border::CloseReason::Fault) with a [`PeerFault`](border::PeerFault) |
//! | a tracker's | [`Notice::TrackerFailed`](border::Notice::TrackerFailed), and the next one is asked |
//! | the system's | an [`IoFault`](border::IoFault), from you; [`Notice::StorageFailed`](border::Notice::StorageFailed) when it matters |
//! | the application's, by a command | [`Notice::CommandFailed`](border::Notice::CommandFailed) with the command's id (what goes well is answered too: [`Command`](border::Command)) |
//! | the application's, by its settings | [`ConfigError`](border::ConfigError), which names the field |
//! | our own | a panic: the only one. A driver should survive it, keep its recording, and begin a new session from what was saved |
//!
//! # Limits
//!
//! Every table, queue, buffer and interval has a limit in [`Config`](border::Config), with the reason for its number beside it. What
//! somebody declares (a length, a count) takes no memory before its bytes are there. What a session holds grows with its
//! torrents (info dictionary, hashes and a few bits a piece), its connections and nothing else.
//!
//! # Glossary
//!
//! | word | means |
//! |---|---|
//! | torrent, metainfo | what a `.torrent` file describes; that file |
//! | info dictionary, metadata | the part of a metainfo that says what the content is; peers give it to each other (BEP 9), so that a magnet link is enough ([`metadata`](torrent::metadata)) |
//! | info-hash | the SHA-1 of the file's info dictionary, by which the world knows a torrent: [`InfoHash`](border::InfoHash), [`InfoHashes`](border::InfoHashes). In a session it goes by [`TorrentId`](border::TorrentId) |
//! | piece | what has a hash: all of one length but the last ([`PieceIndex`](metainfo::PieceIndex)) |
//! | block | what is asked of a peer at once: 16 KiB of a piece ([`Block`](metainfo::Block)) |
//! | peer, seed, leech | who takes part in a torrent; who has all of it; who has not |
//! | swarm | all peers of a torrent |
//! | choke | not to serve a peer; who is unchoked changes every few seconds ([`choker`](torrent::choker)) |
//! | interested | wanting something that the other has |
//! | snubbing | owing blocks and sending none |
//! | rarest first | asking for the pieces that the fewest peers have ([`picker`](torrent::picker)) |
//! | end game | asking several peers for the last blocks |
//! | announce, tier | telling a tracker that we are there, and learning of others; trackers that are tried together before the next |
//! | resume data | what is claimed to be on the disk, stored for the next start ([`resume`](torrent::resume)) |
//! | priority | how much a file is wanted, 0 (not at all) to 7; a piece is wanted as much as the most wanted of its files |
//! | part file | where bytes of unwanted files go that came with a piece of a wanted one ([`StorageLayout`](border::StorageLayout)) |
//! | source | who has named a peer's address: a tracker, another peer, the local network, … ([`Source`](border::Source)) |
//! | peer exchange, PEX | peers that tell of each other ([`pex`](torrent::pex)) |
//! | DHT | a table that all nodes hold together: who has which torrent ([`dht`]) |
//! | local discovery, LSD | peers on one network that announce themselves by multicast ([`lsd`]) |
//! | partial seed | who has all that is wanted, and not everything (BEP 21) |
//! | queue | the order in which torrents that are managed get a place to run ([`session::queue`]) |
//! | pad file | zeros between files, so that the next begins a piece; never written (BEP 47) |
//! | [`SocketId`](border::SocketId) | a listening or UDP socket; the application names it |
//! | [`TcpId`](border::TcpId) | a stream; the driver names it |
//! | [`RootId`](border::RootId) | a download folder; the driver names it |
//! | [`CommandId`](border::CommandId) | a command; the application names it |
//! | [`DialId`](border::DialId), [`JobId`](border::JobId), [`PeerKey`](border::PeerKey) | a dial, a job, a connection; the core names them |
//!
//! # Floors
//!
//! Each floor imports from those below it only.
//!
//! | floor | module | is |
//! |---|---|---|
//! | 5 | [`session`] | all torrents, sockets and limits, and the [`queue`](session::queue) of what runs at once; [`journal`] records and replays it, [takes the names out](journal::redact) of a recording and [makes one small](journal::shrink) |
//! | 4 | [`torrent`] | one torrent: [`picker`](torrent::picker), [`choker`](torrent::choker), [`candidates`](torrent::candidates), [`pex`](torrent::pex), [`brake`](torrent::brake), [`blame`](torrent::blame), [`superseed`](torrent::superseed), [`metadata`](torrent::metadata), [`persist`](torrent::persist), [`resume`](torrent::resume) |
//! | 4 | [`fetch`] | a torrent file from the web, for whoever has no session yet |
//! | 4 | [`capture`] | what other clients said, from a capture of their packets |
//! | 3 | [`peer`], [`tracker`], [`lsd`] | one connection; both tracker protocols, the announcer, a tracker's server; announces to neighbours |
//! | 3 | [`dht`] | a [`node`](dht::node) of the distributed hash table: [`table`](dht::table), [`lookup`](dht::lookup), [`store`](dht::store), [`krpc`](dht::krpc) |
//! | 2 | [`wire`] | the words of the peer protocol |
//! | 1 | [`bencode`], [`metainfo`] | the encoding of everything; what a torrent file or a magnet link says, and the geometry of pieces |
//! | 2 | [`external`] | what our own addresses are, as others see them |
//! | 1 | [`net_policy`] | which addresses, ports, schemes and names may be used; lists of blocked addresses |
//! | 0 | [`border`], [`cx`] | every word between core and driver; what a machine is handed with each call |
//! | 0 | [`time`], [`rng`], [`bitfield`], [`rate`], [`path`], [`crc32c`] | words that everybody uses |
//!
//! Inside, a machine is plain data: `Clone`, no shared cells, no callbacks. A parent *feeds* it, takes one decoded thing for each
//! *step* and acts on that before the next. So it makes no difference how bytes were cut on their way.
//!
//! # Parts that stand alone
//!
//! Each has its own example:
//!
//! - [`bencode`]: read without copying, write canonically.
//! - [`metainfo`]: read, check and build torrent files.
//! - [`wire`]: handshakes and messages, for a dissector or another client.
//! - [`peer`]: a connection without a torrent around it, for a crawler or a test.
//! - [`tracker`]: both protocols from both sides; a whole tracker that needs only sockets.
//! - [`dht`]: a node of the distributed hash table, for a crawler or a router of one's own; and each of its parts.
//! - [`capture`]: a dissector of capture files.
//! - [`external`]: our own address by votes, for whoever hears them.
//! - [`torrent::metadata`]: an info dictionary from peers of whom any may lie.
//! - [`fetch`]: a torrent file from the web, with redirects that lead nowhere they should not.
//! - [`lsd`]: announces on the local network, read and written; the machine that sends and hears them.
//! - [`torrent::pex`]: whom to tell of whom, for whoever holds connections.
//! - [`net_policy`]: whom one may dial or ask on a stranger's word.
//! - [`path`]: names that stay inside the download folder.
//!
//! # What is left out
//!
//! Today a session downloads and seeds v1 torrents (and hybrids by their v1 part), from their files or by magnet links, over TCP,
//! with peers from trackers, links, the DHT, other peers, the local network and the application. There is no transfer of torrents that are v2
//! only (their files and links are read, and refused by name when added), no uTP, no encryption, no web seeds, and no proxies or
//! port mapping.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod bencode;
pub mod bitfield;
pub mod border;
pub mod capture;
pub mod crc32c;
pub mod cx;
pub mod dht;
pub mod external;
pub mod fetch;
pub mod journal;
pub mod lsd;
mod mac;
pub mod metainfo;
pub mod net_policy;
pub mod path;
pub mod peer;
pub mod rate;
pub mod rng;
mod rows;
pub mod session;
pub mod time;
mod timers;
pub mod torrent;
pub mod tracker;
pub mod wire;
