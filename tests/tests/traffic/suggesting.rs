//! Suggestions (BEP 6): a seed whose disk is slow sends the same pieces to several, and these follow.

use parcacik_core::border::{Action, Config, Event, TcpId, Work};
use parcacik_testkit::second::{Decoder, Unit, Word};
use parcacik_testkit::{Content, Limits, LogEntry, NodeId, World};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

const PIECE: u32 = 262_144;
const LENGTH: usize = 64 * PIECE as usize;
/// How many pieces the disk's cache holds in this model, an eighth of the torrent.
const CACHED: usize = 8;

/// One seed and six leeches that know of nobody else.
fn swarm(seed: u8, super_seed: bool, change: impl FnOnce(&mut Config)) -> (World, NodeId, Vec<NodeId>, Content) {
    let content = Content::new("cached.bin", LENGTH, PIECE, u64::from(seed));
    let limits = Limits { upload: 2_000_000, ..Limits::default() };
    let mut config = Config::default();
    // Or the seed would tell them of each other.
    config.pex.enabled = false;
    change(&mut config);
    let mut world = World::with(seed, limits, config);
    world.keep_logs();
    let giver = world.add_node();
    world.disk(giver).put(&content.name, content.bytes.clone());
    world.add(giver, &content, &[], |add| (add.seed_only, add.super_seed) = (true, super_seed));
    let at = world.address(giver);
    let leeches: Vec<NodeId> = (0..6).map(|_| world.add_node()).collect();
    for &leech in &leeches {
        world.download(leech, &content, &[at]);
    }
    (world, giver, leeches, content)
}

/// The same, when all have everything.
fn run(seed: u8, change: impl FnOnce(&mut Config)) -> (World, NodeId) {
    let (mut world, giver, leeches, content) = swarm(seed, false, change);
    let done = |world: &World| leeches.iter().all(|&leech| world.is_finished(leech, &content));
    world.run_until(done).unwrap_or_else(|stuck| panic!("{stuck}"));
    assert!(leeches.iter().all(|&leech| world.has_all(leech, &content)));
    (world, giver)
}

/// Reads of the seed that a cache of the last [`CACHED`] pieces would not have answered.
fn misses(log: &[LogEntry]) -> usize {
    let mut cache: VecDeque<u32> = VecDeque::new();
    let mut misses = 0;
    for action in log.iter().flat_map(|entry| &entry.actions) {
        let Action::Start { work: Work::Read { piece, .. }, .. } = action else { continue };
        match cache.iter().position(|cached| cached == piece) {
            Some(place) => _ = cache.remove(place),
            None => misses += 1,
        }
        cache.push_back(*piece);
        if cache.len() > CACHED {
            cache.pop_front();
        }
    }
    misses
}

/// What one connection of the seed has heard and said of suggested pieces.
#[derive(Default)]
struct Line {
    ours: Decoder,
    theirs: Decoder,
    has: BTreeSet<u32>,
    /// Pieces that it asked for, in the order in which it began them.
    begun: Vec<u32>,
    /// Suggested pieces, with how many it had begun then.
    suggested: BTreeMap<u32, usize>,
}

fn words(decoder: &mut Decoder, bytes: &[u8]) -> Vec<Word> {
    decoder.feed(bytes);
    let next = || decoder.take().expect("it is BitTorrent");
    std::iter::from_fn(next).filter_map(|unit| if let Unit::Word(word) = unit { Some(word) } else { None }).collect()
}

/// Suggestions of the seed; and how many of them were followed: the piece was among the next two that the peer began.
fn suggestions(log: &[LogEntry]) -> (usize, usize) {
    let mut lines: BTreeMap<TcpId, Line> = BTreeMap::new();
    let (mut made, mut followed) = (0, 0);
    for entry in log {
        if let Event::Received { tcp, bytes } = &entry.event {
            let line = lines.entry(*tcp).or_default();
            for word in words(&mut line.theirs, bytes) {
                match word {
                    Word::Have(piece) => _ = line.has.insert(piece),
                    Word::Request(range) => {
                        if line.begun.contains(&range.piece) {
                            continue;
                        }
                        line.begun.push(range.piece);
                        let at = line.suggested.get(&range.piece);
                        followed += usize::from(at.is_some_and(|before| line.begun.len() - before <= 2));
                    }
                    _ => {}
                }
            }
        }
        for action in &entry.actions {
            let (tcp, bytes) = match action {
                Action::Send { tcp, bytes } | Action::SendContent { tcp, bytes, .. } => (tcp, bytes),
                _ => continue,
            };
            let line = lines.entry(*tcp).or_default();
            for word in words(&mut line.ours, bytes) {
                if let Word::Suggest(piece) = word {
                    assert!(!line.has.contains(&piece), "it has {piece}");
                    made += 1;
                    line.suggested.insert(piece, line.begun.len());
                }
            }
        }
    }
    (made, followed)
}

#[test]
fn leeches_follow_suggestions_and_the_disk_is_not_read_more() {
    // What one swarm reads is a matter of luck, too.
    let mut sums = (0, 0);
    for seed in 1..4 {
        let (world, giver) = run(seed, |_| ());
        let (made, followed) = suggestions(world.log(giver));
        let (quiet, quiet_giver) = run(seed, |config| config.choke.suggest_to = 0);
        assert_eq!(suggestions(quiet.log(quiet_giver)), (0, 0));
        assert!(made >= 10, "{made}");
        // They come when every piece is out, and some so late that all is asked for already. By chance it would be one in ten.
        assert!(followed * 2 >= made, "{followed} of {made}");
        sums = (sums.0 + misses(world.log(giver)), sums.1 + misses(quiet.log(quiet_giver)));
    }
    // Few are made in so short a time, and which pieces are begun is chance: a twentieth either way.
    assert!(sums.0 <= sums.1 + sums.1 / 20, "{sums:?} pieces read, with and without");
}

#[test]
fn suggestions_to_one_peer_are_few() {
    let (world, giver) = run(5, |config| config.choke.suggest_rest = Duration::from_secs(3600));
    let (made, _) = suggestions(world.log(giver));
    assert!((1..=6).contains(&made), "one for each peer: {made}");
}

#[test]
fn a_super_seed_suggests_nothing() {
    let (mut world, giver, ..) = swarm(6, true, |_| ());
    world.run_for(Duration::from_secs(300));
    assert!(misses(world.log(giver)) >= 6, "it serves them");
    assert_eq!(suggestions(world.log(giver)).0, 0);
}
