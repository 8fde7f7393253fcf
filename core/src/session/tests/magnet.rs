//! Magnet links through a whole session: a peer made by hand has the info dictionary.

use super::*;
use crate::border::{CloseReason, InfoHashes, Notice, PeerFault, TorrentSource};
use crate::torrent::resume::ResumeData;
use crate::wire::{
    ExtendedHandshake, Extension, Framer, Handshake, METADATA_BLOCK, Message, Reserved, UtMetadata, metadata_blocks,
};
use bytes::BytesMut;
use sha1::{Digest, Sha1};
use std::string::{String, ToString};

/// The number under which the peer takes messages of the extension.
const THEIRS: u8 = 7;
const TCP: TcpId = TcpId(50);

/// A dictionary of two files of 20,000 bytes in pieces of 16 KiB.
fn dictionary(private: bool) -> Bytes {
    let file =
        |name: &str| encode_dict(|file| _ = file.int("length", 20_000).list("path", |path| _ = path.bytes(name)));
    encode_dict(|info| {
        info.list("files", |files| _ = files.raw(&file("a")).raw(&file("b")));
        info.bytes("name", "x").int("piece length", 16_384).bytes("pieces", [7; 60]);
        if private {
            info.int("private", 1);
        }
    })
    .into()
}

fn hash_of(info: &[u8]) -> [u8; 20] {
    Sha1::digest(info).into()
}

fn link(info: &[u8]) -> String {
    std::format!("magnet:?xt=urn:btih:{}&dn=shown&x.pe=198.51.100.7:5000", InfoHash(hash_of(info)).to_hex())
}

fn add(link: &str) -> Command {
    Command::Add(Box::new(AddTorrent { goal: SeedGoal::Forever, ..AddTorrent::magnet(link, RootId(0)) }))
}

/// A peer on one stream, which serves the dictionary `gives`.
struct Peer {
    hears: Framer,
    greeted: bool,
    hash: [u8; 20],
    gives: Bytes,
    /// All that it was told, but for the extension.
    told: Vec<Message>,
    introduced: Vec<ExtendedHandshake>,
}

impl Peer {
    fn new(hash: [u8; 20], gives: &[u8]) -> Peer {
        Peer {
            hears: Framer::new(1 << 20),
            greeted: false,
            hash,
            gives: Bytes::copy_from_slice(gives),
            told: vec![],
            introduced: vec![],
        }
    }

    fn greeting(&self, more: &[Message]) -> Bytes {
        let handshake =
            Handshake { reserved: Reserved::OURS, info_hash: InfoHash(self.hash), peer_id: PeerId([9; 20]) };
        let mut bytes = BytesMut::from(&handshake.emit()[..]);
        let payload = std::format!("d1:md11:ut_metadatai{THEIRS}ee13:metadata_sizei{}ee", self.gives.len());
        Message::Extended { id: 0, payload: payload.into() }.emit(&mut bytes);
        more.iter().for_each(|message| message.emit(&mut bytes));
        bytes.freeze()
    }

    /// Hears what was sent, and answers what it was asked for of the dictionary.
    fn answers(&mut self, actions: &Actions) -> Bytes {
        for action in &actions.list {
            if let Action::Send { tcp: TCP, bytes } = action {
                self.hears.feed(bytes.clone(), 0);
                if !self.greeted {
                    assert_eq!(self.hears.take_raw(68).len(), 68);
                    self.greeted = true;
                }
                while let Some(message) = self.hears.next(&mut vec![]).unwrap() {
                    match message {
                        Message::Extended { id: 0, payload } => {
                            self.introduced.push(ExtendedHandshake::parse(&payload).unwrap());
                        }
                        other => self.told.push(other),
                    }
                }
            }
        }
        let mut bytes = BytesMut::new();
        self.told.retain(|message| {
            let Message::Extended { id: THEIRS, payload } = message else { return true };
            if let Ok(UtMetadata::Request { piece }) = UtMetadata::parse(payload) {
                let begin = piece as usize * METADATA_BLOCK as usize;
                let end = self.gives.len().min(begin + METADATA_BLOCK as usize);
                let total_size = Some(self.gives.len() as u32);
                let data = UtMetadata::Data { piece, total_size, data: self.gives.slice(begin..end) };
                let id = Extension::Metadata.our_id();
                Message::Extended { id, payload: data.emit().into() }.emit(&mut bytes);
            }
            false
        });
        bytes.freeze()
    }
}

impl Rig {
    /// Adds the link, and connects to the peer that it names; what is said of it until nothing more happens.
    fn meets(&mut self, link: &str, peer: &mut Peer, more: &[Message]) -> Actions {
        let added = self.command(add(link));
        let mut all = self.serve_disk(added);
        let [dial] = dials(&all)[..] else { panic!("{:?}", all.list) };
        let (local, remote) = (addr("192.0.2.1:6881"), addr("198.51.100.7:5000"));
        let mut next = self.tell(Event::Connected { dial, tcp: TCP, local, remote });
        let mut says = peer.greeting(more);
        loop {
            let answer = peer.answers(&next);
            says = if answer.is_empty() { says } else { answer };
            all.list.append(&mut next.list);
            all.notices.append(&mut next.notices);
            if says.is_empty() {
                return all;
            }
            let heard = self.tell(Event::Received { tcp: TCP, bytes: core::mem::take(&mut says) });
            next = self.serve_disk(heard);
        }
    }

    fn state(&self) -> Option<TorrentState> {
        self.session.view(TorrentId(0)).map(|view| view.state)
    }
}

fn metadata(actions: &Actions) -> Option<(InfoHashes, String, Bytes)> {
    actions.notices.iter().find_map(|notice| match notice {
        Notice::Metadata { hashes, name, info, .. } => Some((*hashes, name.clone(), info.clone())),
        _ => None,
    })
}

#[test]
fn a_magnet_link_becomes_a_torrent_like_all_others_and_the_peer_stays() {
    let info = dictionary(false);
    let mut rig = Rig::new(|_| ());
    let mut peer = Peer::new(hash_of(&info), &info);
    let all = rig.meets(&link(&info), &mut peer, &[Message::HaveAll, Message::Unchoke]);
    assert!(matches!(&all.notices[0], Notice::Added { name, .. } if name == "shown"));
    let states: Vec<TorrentState> = all
        .notices
        .iter()
        .filter_map(|notice| if let Notice::State { state, .. } = notice { Some(*state) } else { None })
        .collect();
    use TorrentState::{Checking, Downloading, Metadata};
    assert_eq!(states, [Checking, Metadata, Checking, Downloading]);
    assert_eq!(metadata(&all), Some((InfoHashes::v1(hash_of(&info)), "x".to_string(), info.clone())));
    let view = rig.session.view(TorrentId(0)).unwrap();
    assert_eq!((view.name.as_str(), view.total_bytes, view.pieces.len(), view.peers), ("x", 40_000, 3, 1));
    assert_eq!(rig.session.torrent(TorrentId(0)).unwrap().info(), Some(&info));
    // What it said before counts: it has everything, serves us, and is asked for all of it.
    assert!(peer.told.contains(&Message::Interested), "{:?}", peer.told);
    assert_eq!(peer.told.iter().filter(|message| matches!(message, Message::Request(_))).count(), 3);
    // And it is told that it may ask us for the dictionary.
    assert_eq!(peer.introduced.len(), 2);
    assert_eq!(peer.introduced[0].metadata_size, None);
    assert_eq!(peer.introduced[1].metadata_size, Some(info.len() as u32));
}

#[test]
fn a_dictionary_of_many_blocks_comes_with_progress() {
    let info: Bytes = encode_dict(|info| {
        info.int("length", 5000 * 16_384).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [3; 100_000]);
    })
    .into();
    let mut rig = Rig::new(|_| ());
    let all = rig.meets(&link(&info), &mut Peer::new(hash_of(&info), &info), &[Message::HaveNone]);
    let progress: Vec<(u32, u32)> = all
        .notices
        .iter()
        .filter_map(
            |notice| if let Notice::MetadataProgress { have, size, .. } = notice { Some((*have, *size)) } else { None },
        )
        .collect();
    let size = info.len() as u32;
    assert_eq!(progress.len() as u32, metadata_blocks(size));
    assert_eq!((progress[0], progress[6]), ((16_384, size), (size, size)));
    assert_eq!(rig.state(), Some(TorrentState::Downloading));
}

/// What lies there already is found when the sizes are known, and peers who came before that are told of it.
#[test]
fn peers_that_stayed_are_told_of_what_was_on_the_disk() {
    let info = dictionary(false);
    let mut rig = Rig::new(|_| ());
    let mut peer = Peer::new(hash_of(&info), &info);
    let all = rig.meets(&link(&info), &mut peer, &[Message::HaveNone, Message::Interested]);
    assert!(metadata(&all).is_some() && !peer.told.iter().any(|message| matches!(message, Message::Have(_))));

    let mut rig = Rig::new(|_| ());
    rig.disk_has_all = true;
    let mut peer = Peer::new(hash_of(&info), &info);
    rig.meets(&link(&info), &mut peer, &[Message::HaveNone, Message::Interested]);
    assert_eq!(rig.state(), Some(TorrentState::Seeding));
    let haves: Vec<&Message> = peer.told.iter().filter(|message| matches!(message, Message::Have(_))).collect();
    assert_eq!(haves, [&Message::Have(0), &Message::Have(1), &Message::Have(2)]);
}

#[test]
fn who_sends_another_dictionary_is_named_and_banned() {
    let info = dictionary(false);
    let mut rig = Rig::new(|_| ());
    let all = rig.meets(&link(&info), &mut Peer::new(hash_of(&info), &[b'x'; 500]), &[Message::HaveAll]);
    assert_eq!(metadata(&all), None);
    assert!(all.notices.iter().any(|notice| matches!(notice, Notice::PeerBanned { .. })));
    let reason = CloseReason::Fault(PeerFault::BadMetadata);
    assert!(
        all.notices.iter().any(|notice| matches!(notice, Notice::PeerClosed { reason: why, .. } if *why == reason))
    );
    assert_eq!(rig.state(), Some(TorrentState::Metadata));
}

/// "Metadata is used only if its SHA-1/SHA-256 equals the info-hash and passes the same path checks as a .torrent": one that is
/// not usable ends the torrent, as no other has its hash.
#[test]
fn a_dictionary_with_the_right_hash_that_is_none_ends_the_torrent_and_says_why() {
    let bad: [Bytes; 3] = [
        Bytes::from_static(b"i1e"),
        encode_dict(|info| _ = info.int("length", 5).bytes("name", "x")).into(),
        encode_dict(|info| {
            _ = info.int("length", 5).bytes("name", "x").int("piece length", 16_384).bytes("pieces", [0; 19])
        })
        .into(),
    ];
    for info in bad {
        let mut rig = Rig::new(|_| ());
        let all = rig.meets(&link(&info), &mut Peer::new(hash_of(&info), &info), &[Message::HaveAll]);
        assert!(all.notices.iter().any(|notice| matches!(notice, Notice::MetadataFailed { .. })), "{info:?}");
        assert_eq!(rig.state(), Some(TorrentState::Failed(IoFault::Unsupported)));
        assert_eq!(closes(&all), [TCP], "the peer goes");
        assert_eq!(rig.session.shared().peers, 0);
    }
}

#[test]
fn paths_of_a_dictionary_from_peers_are_made_safe_as_any() {
    let file = encode_dict(|file| {
        _ = file.int("length", 5).list("path", |path| _ = path.bytes("..").bytes("..").bytes("etc").bytes("passwd"));
    });
    let info: Bytes = encode_dict(|info| {
        info.list("files", |files| _ = files.raw(&file));
        info.bytes("name", "../x").int("piece length", 16_384).bytes("pieces", [7; 20]);
    })
    .into();
    let mut rig = Rig::new(|_| ());
    rig.meets(&link(&info), &mut Peer::new(hash_of(&info), &info), &[Message::HaveAll]);
    let files = rig.session.torrent(TorrentId(0)).unwrap().files();
    let path = files[0].path.to_string();
    assert!(path.split('/').all(|element| element != ".." && !element.is_empty()), "{path}");
}

/// A private torrent's dictionary is not given to peers.
#[test]
fn of_a_private_torrent_what_was_offered_is_taken_back() {
    let info = dictionary(true);
    let mut rig = Rig::new(|_| ());
    let mut peer = Peer::new(hash_of(&info), &info);
    let all = rig.meets(&link(&info), &mut peer, &[Message::HaveAll]);
    assert!(metadata(&all).is_some());
    assert!(peer.introduced[0].extensions.contains(&(Extension::Metadata, 1)));
    assert!(peer.introduced[1].extensions.contains(&(Extension::Metadata, 0)));
    assert_eq!(peer.introduced[1].metadata_size, None);
}

#[test]
fn files_that_the_link_selects_are_wanted_alone() {
    let info = dictionary(false);
    for (so, due) in [("&so=1", [0, 4]), ("&so=0-1", [4, 4]), ("&so=7", [4, 4]), ("", [4, 4])] {
        let mut rig = Rig::new(|_| ());
        let link = link(&info) + so;
        rig.meets(&link, &mut Peer::new(hash_of(&info), &info), &[Message::HaveAll]);
        let files = rig.session.torrent(TorrentId(0)).unwrap().files();
        assert_eq!([files[0].priority, files[1].priority], due, "{so}");
    }
}

#[test]
fn links_that_cannot_be_used_are_refused() {
    let mut rig = Rig::new(|_| ());
    let refused = |rig: &mut Rig, link: &str| match &rig.command(add(link)).notices[..] {
        [Notice::CommandFailed { error, .. }] => error.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(&mut rig, "magnet:?dn=x"), CommandError::BadMagnet(_)));
    assert!(matches!(refused(&mut rig, "http://a.example/"), CommandError::BadMagnet(_)));
    let v2 = std::format!("magnet:?xt=urn:btmh:1220{}", "ab".repeat(32));
    assert_eq!(refused(&mut rig, &v2), CommandError::V2Only);
    rig.running(1, vec![]);
    let again = InfoHash(rig.hash()).to_hex();
    assert_eq!(refused(&mut rig, &again), CommandError::Duplicate(TorrentId(0)));
}

/// What the last `Save` stored.
fn saved(actions: &Actions) -> Option<Bytes> {
    let saves = actions.list.iter().filter_map(|action| match action {
        Action::Start { work: Work::Save { bytes, .. }, .. } => Some(bytes.clone()),
        _ => None,
    });
    saves.last()
}

#[test]
fn it_survives_a_restart_with_its_dictionary_and_then_needs_nobody() {
    let info = dictionary(false);
    let mut rig = Rig::new(|_| ());
    let all = rig.meets(&link(&info), &mut Peer::new(hash_of(&info), &info), &[Message::HaveAll]);
    let stored = saved(&all).expect("a record");
    assert_eq!(ResumeData::parse(&stored).unwrap().info, Some(info.clone()));

    let mut rig = Rig::new(|_| ());
    rig.stored = vec![stored];
    let added = rig.command(add(&link(&info)));
    let all = rig.serve_disk(added);
    assert_eq!(metadata(&all).map(|(_, _, bytes)| bytes), Some(info));
    assert_eq!(rig.state(), Some(TorrentState::Downloading));
    assert_eq!(rig.session.view(TorrentId(0)).unwrap().total_bytes, 40_000);
}

#[test]
fn it_survives_a_restart_without_its_dictionary_and_keeps_that_it_was_paused() {
    let info = dictionary(false);
    let mut rig = Rig::new(|_| ());
    let added = rig.command(add(&link(&info)));
    rig.serve_disk(added);
    let paused = rig.command(Command::Pause { torrent: TorrentId(0), graceful: false });
    let all = rig.serve_disk(paused);
    let stored = saved(&all).expect("a record");

    let mut rig = Rig::new(|_| ());
    rig.stored = vec![stored.clone()];
    let added = rig.command(add(&link(&info)));
    let all = rig.serve_disk(added);
    assert_eq!(rig.state(), Some(TorrentState::Paused));
    assert_eq!(dials(&all), []);
    let resumed = rig.command(Command::Resume { torrent: TorrentId(0) });
    assert_eq!(dials(&resumed).len(), 1);
    assert_eq!(rig.state(), Some(TorrentState::Metadata));

    // The file is there now: what was kept of the link claims nothing of it.
    let mut rig = Rig::new(|_| ());
    rig.stored = vec![stored];
    let file = encode_dict(|file| _ = file.raw("info", &info));
    let added = rig.command(Command::Add(Box::new(AddTorrent::new(file, RootId(0)))));
    rig.serve_disk(added);
    assert_eq!(rig.state(), Some(TorrentState::Downloading));
}

#[test]
fn one_that_seeks_can_be_removed_stopped_and_checked_anew() {
    let info = dictionary(false);
    let mut rig = Rig::new(|_| ());
    let added = rig.command(add(&link(&info)));
    rig.serve_disk(added);
    let checked = rig.command(Command::Recheck { torrent: TorrentId(0) });
    assert!(matches!(checked.notices[..], [Notice::CommandDone { .. }]), "{:?}", checked.notices);
    let removed = rig.command(Command::Remove { torrent: TorrentId(0), files: RemoveFiles::Delete });
    let all = rig.serve_disk(removed);
    assert!(all.notices.contains(&Notice::Removed { torrent: TorrentId(0) }), "{:?}", all.notices);
    let added = rig.command(add(&link(&info)));
    rig.serve_disk(added);
    let stop = rig.command(Command::Shutdown);
    let all = rig.serve_disk(stop);
    assert_eq!(all.notices.last(), Some(&Notice::Stopped));
}

/// A link to the first hash of a hybrid: the second one is known afterwards, and peers may come by it.
#[test]
fn a_link_that_turns_out_to_be_of_a_hybrid_gains_the_other_hash() {
    let root: [u8; 32] = sha2::Sha256::digest([0; 5]).into();
    let info: Bytes = encode_dict(|info| {
        info.dict("file tree", |tree| {
            tree.dict("x", |file| _ = file.dict("", |leaf| _ = leaf.int("length", 5).bytes("pieces root", root)));
        });
        info.int("length", 5).int("meta version", 2).bytes("name", "x").int("piece length", 16_384);
        info.bytes("pieces", [7; 20]);
    })
    .into();
    let mut rig = Rig::new(|_| ());
    let all = rig.meets(&link(&info), &mut Peer::new(hash_of(&info), &info), &[Message::HaveAll]);
    let (hashes, ..) = metadata(&all).expect("it is usable");
    let second = hashes.names().nth(1).expect("two hashes");
    assert_eq!(rig.session.find(second), Some(TorrentId(0)));
    // A link whose second hash is of something else does not fit.
    let other = link(&info) + "&xt=urn:btmh:1220" + &"ab".repeat(32);
    let mut rig = Rig::new(|_| ());
    let all = rig.meets(&other, &mut Peer::new(hash_of(&info), &info), &[Message::HaveAll]);
    assert!(all.notices.iter().any(|notice| matches!(notice, Notice::MetadataFailed { .. })));
}

#[test]
fn the_source_says_what_it_is() {
    let of_file = AddTorrent::new(Bytes::from_static(b"de"), RootId(0)).source;
    assert_eq!(of_file, TorrentSource::Metainfo(Bytes::from_static(b"de")));
    assert_eq!(AddTorrent::magnet("x", RootId(0)).source, TorrentSource::Magnet("x".to_string()));
}
