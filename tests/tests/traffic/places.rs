//! Who has a place when there are no more: bystanders make way for those who want something.

use parcacik_core::border::{CloseReason, Config, Notice};
use parcacik_testkit::hostile::{Me, Peer, Trick};
use parcacik_testkit::second::Word;
use parcacik_testkit::{Content, Limits, NodeId, StrangerId, World};
use std::sync::Arc;
use std::time::Duration;

/// Wants nothing, and says so now and then.
#[derive(Debug)]
struct WantsNothing;

impl Trick for WantsNothing {
    fn first(&mut self, _: &mut Me<'_>, words: &mut Vec<Word>) {
        words.retain(|word| *word != Word::Interested);
    }
    fn every(&self) -> Option<Duration> {
        Some(Duration::from_secs(20))
    }
    fn tick(&mut self, me: &mut Me<'_>) {
        if me.talk.greeted {
            me.say(Word::NotInterested);
        }
    }
}

/// A seed of three places, and so many bystanders that dial it, and come back whenever they are dropped.
fn crowded(
    seed: u8,
    bystanders: usize,
    change: impl FnOnce(&mut Config),
) -> (World, NodeId, Vec<StrangerId>, Arc<Content>) {
    let content = Arc::new(Content::new("places.bin", 2_000_000, 65_536, u64::from(seed)));
    let mut config = Config::default();
    config.session.max_peers_per_torrent = 3;
    change(&mut config);
    let mut world = World::with(seed, Limits::default(), config);
    let giver = world.add_node();
    world.seed(giver, &content, &[]);
    world.run_for(Duration::from_secs(1));
    let at = world.address(giver);
    let stranger = || Peer::leech(&content).with(WantsNothing).dials(at, 1).comes_back(Duration::from_secs(5));
    let strangers = (0..bystanders).map(|_| stranger()).collect::<Vec<_>>();
    let strangers = strangers.into_iter().map(|peer| world.add_stranger(false, peer)).collect();
    world.run_for(Duration::from_secs(5));
    (world, giver, strangers, content)
}

fn useless(world: &World, node: NodeId) -> usize {
    let is = |notice: &&Notice| matches!(notice, Notice::PeerClosed { reason: CloseReason::Useless, .. });
    world.notices(node).iter().filter(is).count()
}

#[test]
fn a_leech_gets_the_place_of_a_bystander_after_a_minute() {
    for seed in 1..4 {
        let (mut world, giver, _, content) = crowded(seed, 3, |_| ());
        let leech = world.add_node();
        let at = world.address(giver);
        world.download(leech, &content, &[at]);
        let begun = world.now();
        world.run_until(|world| world.is_finished(leech, &content)).unwrap_or_else(|stuck| panic!("{stuck}"));
        // A minute, and half a minute at most until it tries again.
        let took = world.now().since(begun);
        assert!((50..100).contains(&took.as_secs()), "{took:?}");
        assert_eq!(useless(&world, giver), 1);
    }
}

#[test]
fn no_interest_timeout_leaves_bystanders_alone_while_there_are_places() {
    let (mut world, giver, strangers, _) = crowded(4, 2, |_| ());
    world.run_for(Duration::from_secs(3_600));
    assert_eq!(useless(&world, giver), 0);
    assert!(strangers.iter().all(|&who| world.seen(who).opened == 1 && world.open_links(who) == 1));
}

#[test]
fn no_interest_timeout_frees_a_place_when_all_are_taken() {
    // Nobody comes: only the timeout counts.
    let (mut world, giver, _, _) = crowded(5, 3, |_| ());
    world.run_for(Duration::from_secs(580));
    assert_eq!(useless(&world, giver), 0);
    world.run_for(Duration::from_secs(20));
    assert_eq!(useless(&world, giver), 1, "one free place is enough");
}

#[test]
fn a_crowd_of_bystanders_does_not_go_round() {
    let (mut world, giver, strangers, content) = crowded(6, 12, |config| config.candidates.max_knocks = 1_000);
    world.run_for(Duration::from_secs(1_800));
    let dropped = useless(&world, giver);
    // Each of the twelve is dropped once in ten minutes at most, and a place is free for whom it was free before.
    assert!((1..=36).contains(&dropped), "{dropped}");
    let knocks: u64 = strangers.iter().map(|&who| world.seen(who).opened).sum();
    assert!(knocks > 1_000, "they try all the time: {knocks}");
    let peers = world.view(giver, &content).unwrap().peers;
    assert!((2..=3).contains(&peers), "{peers}");
}
