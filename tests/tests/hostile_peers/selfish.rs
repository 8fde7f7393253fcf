//! Peers that take and do not give.

use crate::arena::{Arena, LENGTH, Role, limits};
use parcacik_testkit::hostile::{LeaveAfter, NeverUnchoke, OneBlockEvery, Peer, RequestThenCancel, SuperSeed};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_peer_that_never_unchokes_costs_nothing() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(NeverUnchoke);
    let outcome = arena.listens(peer).run(20 * MINUTE);
    outcome.tell("never unchokes").within(100).wasted_at_most(0).nobody_banned();
}

#[test]
fn a_peer_that_gives_a_block_in_ten_minutes_does_not_hold_the_download_up() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(OneBlockEvery(10 * MINUTE));
    let outcome = arena.listens(peer).run(30 * MINUTE);
    outcome.tell("unchokes for a block in ten minutes").within(110).wasted_at_most(16_384 * 64).nobody_banned();
}

#[test]
fn a_super_seed_alone_is_downloaded_from() {
    let arena = Arena::new(Role::Downloads, limits());
    let peer = Peer::seed(&arena.content).with(SuperSeed::default());
    let outcome = arena.listens(peer).run(20 * MINUTE);
    outcome.tell("super-seeds").within(100).wasted_at_most(16_384 * 16).nobody_banned();
}

#[test]
fn a_peer_that_only_leeches_does_not_starve_an_honest_one() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content);
    let outcome = arena.dials(peer, 1).run(20 * MINUTE);
    // Half the line is the honest leech's.
    outcome.tell("only leeches").within(210).nobody_banned();
    assert!(outcome.arena.peer(0).taken <= LENGTH as u64);
}

#[test]
fn a_new_id_each_minute_gains_nothing() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content).with(LeaveAfter(MINUTE)).comes_back(Duration::from_secs(1));
    let outcome = arena.dials(peer, 1).run(20 * MINUTE);
    outcome.tell("has a new id each minute").within(210).nobody_banned();
}

#[test]
fn requests_taken_back_at_once_are_bounded() {
    let arena = Arena::new(Role::Seeds, limits());
    let pest = RequestThenCancel { every: Duration::from_millis(100), count: 16 };
    let peer = Peer::leech(&arena.content).with(pest);
    let outcome = arena.dials(peer, 1).run(10 * MINUTE);
    outcome.tell("requests, then cancels").within(250).nobody_banned();
}

#[test]
fn many_ids_at_one_address_get_no_more_than_a_few_places() {
    let arena = Arena::new(Role::Seeds, limits());
    let peer = Peer::leech(&arena.content);
    let outcome = arena.dials(peer, 60).run(20 * MINUTE);
    // It has four connections, and so has four fifths of the line.
    outcome.tell("60 ids at one address").within(500).nobody_banned();
    let places = outcome.arena.world.config().session.max_peers_per_ip as usize;
    assert!(outcome.arena.world.open_links(outcome.arena.hostile[0]) <= places);
}
