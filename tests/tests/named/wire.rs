//! What peers say and do not say.

use parcacik_core::border::{CloseReason, Config, Notice, PeerFault};
use parcacik_testkit::hostile::{Me, Peer, Then, Trick};
use parcacik_testkit::second::Word;
use parcacik_testkit::{Content, Limits, NodeId, World};
use std::sync::Arc;
use std::time::Duration;

fn closed(world: &World, node: NodeId) -> Vec<CloseReason> {
    let notices = world.notices(node).iter();
    notices.filter_map(|n| if let Notice::PeerClosed { reason, .. } = n { Some(*reason) } else { None }).collect()
}

/// Says these words behind its usual first ones.
#[derive(Debug)]
struct Also(Vec<Word>);

impl Trick for Also {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        let at = words.len().min(1);
        words.splice(at..at, self.0.iter().cloned());
    }
}

/// Never asks for anything, but keeps the connection alive.
#[derive(Debug)]
struct AsksNothing;

impl Trick for AsksNothing {
    fn heard(&mut self, _: &mut Me<'_>, word: &Word) -> Then {
        if matches!(word, Word::Unchoke | Word::Piece(..) | Word::AllowedFast(_)) { Then::Nothing } else { Then::Usual }
    }
}

/// Says nothing at all after its first words.
#[derive(Debug)]
struct Silent;

impl Trick for Silent {
    fn heard(&mut self, _: &mut Me<'_>, _: &Word) -> Then {
        Then::Nothing
    }

    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        words.truncate(1);
    }

    fn sending(&mut self, _: &mut Me<'_>, bytes: &mut Vec<u8>) {
        // No keep-alives either.
        if bytes[..] == [0; 4] {
            bytes.clear();
        }
    }
}

/// A seed of ours, dialled by `peer`.
fn seed_with(peer: impl FnOnce(&Arc<Content>) -> Peer, limits: Limits) -> (World, NodeId, Arc<Content>) {
    let content = Arc::new(Content::new("content", 40 * 16_384, 16_384, 11));
    let mut world = World::with(11, limits, Config::default());
    let seed = world.add_node();
    world.seed(seed, &content, &[]);
    world.run_for(Duration::from_secs(1));
    let to = world.address(seed);
    world.add_stranger(false, peer(&content).dials(to, 1));
    (world, seed, content)
}

/// A peer that is connected and says nothing is let go after `idle_timeout`, and not before.
#[test]
fn peer_idle_timeout() {
    let (mut world, seed, _) = seed_with(|content| Peer::leech(content).with(Silent), Limits::default());
    let limit = world.config().peer.idle_timeout;
    world.run_for(limit - Duration::from_secs(2));
    assert_eq!(closed(&world, seed), []);
    world.run_for(Duration::from_secs(4));
    assert_eq!(closed(&world, seed), [CloseReason::Idle]);
}

/// A peer that is unchoked and interested and asks for nothing only holds a place.
#[test]
fn no_request_timeout() {
    let (mut world, seed, _) = seed_with(|content| Peer::leech(content).with(AsksNothing), Limits::default());
    let limit = world.config().peer.no_request_timeout;
    world.run_for(limit - Duration::from_secs(10));
    assert_eq!(closed(&world, seed), []);
    // It has to be unchoked first: a round of the choker later at the most.
    world.run_for(Duration::from_secs(25));
    assert_eq!(closed(&world, seed), [CloseReason::NoRequests]);
}

/// A peer that has asked for as much as it may, and waits because our upload is slow, asks for nothing meanwhile; that is no
/// reason to let it go.
#[test]
fn no_request_timeout_slow_upload() {
    let slow = Limits { upload: 1_000, ..Limits::default() };
    let (mut world, seed, _) = seed_with(Peer::leech, slow);
    let limit = world.config().peer.no_request_timeout;
    world.run_for(limit * 4);
    assert_eq!(closed(&world, seed), []);
    let view = world.session(seed).torrents().next().and_then(|id| world.session(seed).view(id)).unwrap();
    assert!(view.uploaded > 0, "it is served all the while");
}

/// A second bitfield, `have all` or `have none`. BEP 3: a bitfield "is only ever sent as the first message"; but there are clients (aria2) that send one
/// in place of many `have`s. What adds to what was said is taken; what takes pieces back ends the connection.
fn late(first_has_all: bool, late: Word) -> (Vec<CloseReason>, bool) {
    let content = Arc::new(Content::new("content", 40 * 16_384, 16_384, 12));
    let mut world = World::new(12);
    let leech = world.add_node();
    let peer = if first_has_all { Peer::seed(&content) } else { Peer::leech(&content) };
    let peer = world.add_stranger(true, peer.with(Also(vec![late])));
    let at = world.stranger_address(peer);
    world.download(leech, &content, &[at]);
    world.run_for(Duration::from_secs(5));
    (closed(&world, leech), world.is_finished(leech, &content))
}

#[test]
fn full_bitfield_and_have_none() {
    let (told, finished) = late(true, Word::HaveNone);
    assert_eq!(told.first(), Some(&CloseReason::Fault(PeerFault::LateBitfield)), "{told:?}");
    assert!(!finished);
}

#[test]
fn full_bitfield_and_have_all() {
    let (told, finished) = late(true, Word::HaveAll);
    assert_eq!((told, finished), (vec![CloseReason::BothSeeds], true));
}

#[test]
fn bitfield_and_have_all() {
    let (told, _) = late(false, Word::HaveAll);
    assert_eq!(told, []);
}

#[test]
fn bitfield_and_have_none() {
    let (told, _) = late(false, Word::HaveNone);
    assert_eq!(told, []);
}

/// A `have` for a piece that the peer is known to have already changes nothing and costs nothing; that it is told so 40 times by
/// an honest if clumsy peer does not end the connection.
#[test]
fn redundant_have() {
    let content = Arc::new(Content::new("content", 40 * 16_384, 16_384, 13));
    let mut world = World::new(13);
    let leech = world.add_node();
    let again = (0..40).map(Word::Have).collect();
    let peer = world.add_stranger(true, Peer::seed(&content).with(Also(again)));
    let at = world.stranger_address(peer);
    world.download(leech, &content, &[at]);
    world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
    let view = world.view(leech, &content).unwrap();
    assert_eq!((view.downloaded, view.wasted), (content.bytes.len() as u64, 0));
    let told = closed(&world, leech);
    assert!(told.iter().all(|reason| !matches!(reason, CloseReason::Fault(_))), "{told:?}");
}
