//! What is said of pieces and blocks: allowed-fast sets, bitfields that tell less than there is, and what was uploaded.

use parcacik_core::border::{CloseReason, Notice};
use parcacik_testkit::hostile::{Me, Peer, Then, Trick, bitfield};
use parcacik_testkit::second::Word;
use parcacik_testkit::{Content, LinkId, NodeId, World};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn faults(world: &World, node: NodeId) -> Vec<&Notice> {
    let is_fault = |notice: &&Notice| matches!(notice, Notice::PeerClosed { reason: CloseReason::Fault(_), .. });
    world.notices(node).iter().filter(is_fault).collect()
}

/// Notes which pieces it is allowed while it is choked, on each connection.
#[derive(Debug, Default)]
struct Allowed(Arc<Mutex<BTreeMap<LinkId, Vec<u32>>>>);

impl Trick for Allowed {
    fn heard(&mut self, me: &mut Me<'_>, word: &Word) -> Then {
        if let Word::AllowedFast(piece) = word {
            self.0.lock().unwrap().entry(me.link).or_default().push(*piece);
        }
        Then::Usual
    }
}

/// `allow_fast_stress`: from one piece to very many, a set has ten pieces or all that there are, none twice, none that is not there; and an address gets
/// the same one each time.
#[test]
fn an_address_is_allowed_the_same_pieces_each_time_and_none_twice() {
    for pieces in [1, 2, 9, 10, 11, 12, 13, 40, 1_000, 4_000] {
        let content = Arc::new(Content::new("content", pieces * 16, 16, 5));
        let mut world = World::new(5);
        let seed = world.add_node();
        world.seed(seed, &content, &[]);
        world.run_for(Duration::from_secs(1));
        let allowed = Arc::default();
        let to = world.address(seed);
        world.add_stranger(false, Peer::leech(&content).with(Allowed(Arc::clone(&allowed))).dials(to, 3));
        world.run_for(Duration::from_secs(2));
        let allowed = allowed.lock().unwrap();
        let sets: Vec<&Vec<u32>> = allowed.values().collect();
        let [first, second, third] = sets[..] else { panic!("{pieces} pieces: {} were told of theirs", sets.len()) };
        assert_eq!((first, first), (second, third), "{pieces} pieces");
        assert_eq!(first.len(), pieces.min(10), "{pieces} pieces: {first:?}");
        assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "{pieces} pieces: {first:?}");
        assert!(first.iter().all(|&piece| (piece as usize) < pieces), "{pieces} pieces: {first:?}");
    }
}

/// A seed that leaves pieces out of its bitfield, and tells of them by `have`: so many at once, the others one by one.
#[derive(Debug)]
struct Lazy {
    at_once: u32,
    next: u32,
}

/// Every third piece is held back.
fn is_held_back(piece: u32) -> bool {
    piece.is_multiple_of(3)
}

impl Trick for Lazy {
    fn first(&mut self, me: &mut Me<'_>, words: &mut Vec<Word>) {
        let pieces = me.content.pieces();
        words[0] = Word::Bitfield(bitfield(pieces, |piece| !is_held_back(piece)));
        words.extend((0..pieces).filter(|&piece| is_held_back(piece) && piece < self.at_once).map(Word::Have));
        self.next = self.at_once;
    }

    fn every(&self) -> Option<Duration> {
        Some(Duration::from_millis(100))
    }

    fn tick(&mut self, me: &mut Me<'_>) {
        while self.next < me.content.pieces() {
            self.next += 1;
            if is_held_back(self.next - 1) {
                return me.say(Word::Have(self.next - 1));
            }
        }
    }
}

/// `lazy_bitfields`: a seed is one in the end, whichever way it tells.
#[test]
fn a_seed_with_a_lazy_bitfield_gives_everything() {
    let content = Arc::new(Content::new("content", 40 * 32_768, 32_768, 6));
    for at_once in [0, 20, 40] {
        let mut world = World::new(6);
        let leech = world.add_node();
        let lazy = world.add_stranger(true, Peer::seed(&content).with(Lazy { at_once, next: 0 }));
        let peer = world.stranger_address(lazy);
        world.download(leech, &content, &[peer]);
        world
            .run_until(|world| world.is_finished(leech, &content))
            .unwrap_or_else(|stuck| panic!("{at_once}: {stuck}"));
        assert!(world.has_all(leech, &content));
        assert!(faults(&world, leech).is_empty(), "{:?}", faults(&world, leech));
        assert_eq!(world.view(leech, &content).unwrap().wasted, 0);
    }
}

/// `block_uploaded`: each block that is given away is counted, once, when it goes; as much as the others say that they got.
#[test]
fn what_is_uploaded_is_what_the_others_downloaded() {
    let length = 700_001;
    let content = Content::new("content", length, 32_768, 7);
    let mut world = World::new(7);
    let seed = world.add_node();
    world.seed(seed, &content, &[]);
    let uploaded = |world: &World| world.view(seed, &content).map_or(0, |view| view.uploaded);
    for number in 1..=3 {
        let leech = world.add_node();
        // It knows of the seed alone, and is known to nobody.
        let peer = world.address(seed);
        world.add(leech, &content, &[peer], |add| add.use_trackers = false);
        world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
        let view = world.view(leech, &content).unwrap();
        assert_eq!((view.downloaded, view.wasted), (length as u64, 0));
        assert_eq!(uploaded(&world), number * length as u64);
        // Who has everything gives nothing here, and takes nothing any more.
        world.run_for(Duration::from_secs(30));
        assert_eq!((uploaded(&world), world.view(leech, &content).unwrap().uploaded), (number * length as u64, 0));
    }
}
