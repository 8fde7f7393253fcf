//! Named behaviours; `model` holds the comparison with a naive twin.

mod model;

use super::*;
use crate::border::PickOrder;
use crate::metainfo::BLOCK_LENGTH;
use crate::rng::{Seeds, Stream};
use core::time::Duration;
use partial::Key;
use std::vec;

const A: PeerKey = PeerKey(1);
const B: PeerKey = PeerKey(2);
const C: PeerKey = PeerKey(3);
const D: PeerKey = PeerKey(4);

fn rng(seed: u8) -> Rng {
    Seeds::for_tests(seed).decisions(Stream::Picker, 0)
}

/// A torrent of `pieces` pieces of `blocks` blocks each.
fn geometry(pieces: u32, blocks: u32) -> Geometry {
    let length = blocks * BLOCK_LENGTH;
    Geometry::new(u64::from(pieces) * u64::from(length), length).unwrap()
}

fn rarest_first() -> PickConfig {
    PickConfig { random_first: 0, ..PickConfig::default() }
}

fn empty(geometry: Geometry, config: &PickConfig) -> Picker {
    Picker::new(geometry, &Bitfield::none(geometry.pieces()), config, rng(7))
}

fn set(len: u32, pieces: &[u32]) -> Bitfield {
    let mut set = Bitfield::none(len);
    for &piece in pieces {
        set.insert(piece);
    }
    set
}

fn asking(count: u32) -> PickAsk<'static> {
    PickAsk { count, ..PickAsk::default() }
}

fn fast(count: u32) -> PickAsk<'static> {
    PickAsk { count, fast: true, ..PickAsk::default() }
}

impl Picker {
    fn picked(&mut self, who: PeerKey, pieces: &Bitfield, ask: PickAsk<'_>) -> Vec<Block> {
        self.picked_at(Time::ZERO, who, pieces, ask)
    }

    fn picked_at(&mut self, now: Time, who: PeerKey, pieces: &Bitfield, ask: PickAsk<'_>) -> Vec<Block> {
        let mut out = Vec::new();
        self.pick(now, who, pieces, ask, &mut out);
        self.assert_consistent();
        out
    }

    /// Receives a whole piece from one peer that was asked for it.
    fn receive_all(&mut self, who: PeerKey, blocks: &[Block]) {
        for &block in blocks {
            assert!(matches!(self.received(who, block), Received::New { .. }), "{block:?}");
        }
        self.assert_consistent();
    }

    /// Everything that must hold between the indices.
    fn assert_consistent(&self) {
        self.table.assert_consistent();
        let mut partial = BTreeSet::new();
        let mut owned = BTreeSet::new();
        let mut parole = BTreeSet::new();
        let mut tail = BTreeSet::new();
        let (mut free, mut blocks) = (0, 0);
        for open in self.slab.iter() {
            let priority = self.table.priority(open.piece);
            assert_eq!(self.open(open.piece).map(|found| found.piece), Some(open.piece));
            let count = |slot: fn(&Slot) -> bool| open.slots.iter().filter(|held| slot(held)).count() as u32;
            assert_eq!(open.free, count(|slot| *slot == Slot::Free));
            assert_eq!(open.asked, count(|slot| matches!(slot, Slot::Asked(_))));
            assert!(open.slots[..open.first_free as usize].iter().all(|slot| *slot != Slot::Free));
            assert!(open.extra.is_sorted());
            for &(number, who) in &open.extra {
                assert!(matches!(open.slot(number), Some(Slot::Asked(first)) if first != who));
            }
            if open.free > 0 {
                let kept = open.owner.is_some() && open.parole.is_none();
                partial.insert((7 - priority, kept, open.remaining(), open.piece));
            }
            if priority > 0 {
                free += u64::from(open.free);
                tail.extend((0..open.blocks()).filter_map(|number| open.tail_key(number)));
            }
            if let Some(owner) = open.owner {
                owned.insert((owner, open.piece));
                assert_eq!(open.owner_asked, open.asked_of(owner));
            }
            if open.parole.is_some() {
                parole.insert(open.piece);
            }
            blocks += open.blocks();
        }
        let listed = |level: u8, kept: bool| {
            let of = partial.iter().filter(move |&&(l, k, ..)| (l, k) == (level, kept));
            of.map(|&(.., remaining, piece)| Key::new(remaining, piece)).collect::<Vec<_>>()
        };
        for level in 0..8 {
            let held = self.partial.level(level.into());
            assert_eq!((&held.shared, &held.kept), (&listed(level, false), &listed(level, true)));
        }
        assert_eq!(self.partial.len(), partial.len());
        assert_eq!(self.owned, owned);
        assert_eq!(self.parole, parole);
        assert_eq!(self.free, free);
        assert_eq!(self.slab.blocks(), blocks);
        assert!(self.tail.as_ref().is_none_or(|kept| *kept == tail));
        assert_eq!(self.urgent.len(), self.deadlines.len());
        assert!(self.hints.log_len() <= 1024);
    }
}

fn pieces_of(blocks: &[Block]) -> Vec<u32> {
    let mut pieces: Vec<u32> = blocks.iter().map(|block| block.piece().get()).collect();
    pieces.dedup();
    pieces
}

#[test]
fn the_rarest_piece_comes_first_and_a_seed_changes_nothing() {
    let geometry = geometry(8, 2);
    let mut picker = empty(geometry, &rarest_first());
    for copies in 0..8 {
        // Piece 7 has one copy, piece 0 eight.
        picker.peer_joined(&set(8, &(0..8 - copies).collect::<Vec<_>>()));
    }
    picker.peer_joined(&Bitfield::all(8));
    assert_eq!(picker.availability(geometry.piece(7).unwrap()), 2);
    let picked = picker.picked(A, &Bitfield::all(8), asking(16));
    assert_eq!(pieces_of(&picked), vec![7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn ties_are_broken_at_random_and_the_same_seed_breaks_them_the_same_way() {
    let order = |seed| {
        let geometry = geometry(40, 1);
        let mut picker = Picker::new(geometry, &Bitfield::none(40), &rarest_first(), rng(seed));
        pieces_of(&picker.picked(A, &Bitfield::all(40), asking(40)))
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
    let mut sorted = order(1);
    sorted.sort_unstable();
    assert_eq!(sorted, (0..40).collect::<Vec<_>>());
}

#[test]
fn the_first_pieces_are_random_then_the_rarest() {
    let geometry = geometry(100, 1);
    let config = PickConfig::default();
    let mut first = BTreeSet::new();
    for seed in 0..20 {
        let mut picker = Picker::new(geometry, &Bitfield::none(100), &config, rng(seed));
        picker.peer_joined(&Bitfield::all(100));
        picker.peer_joined(&set(100, &(0..99).collect::<Vec<_>>()));
        first.extend(pieces_of(&picker.picked(A, &Bitfield::all(100), asking(1))));
    }
    assert!(first.len() > 10, "{first:?}");
    let mut picker = Picker::new(geometry, &set(100, &[0, 1, 2, 3]), &config, rng(0));
    picker.peer_joined(&set(100, &(0..99).collect::<Vec<_>>()));
    assert_eq!(pieces_of(&picker.picked(A, &Bitfield::all(100), asking(1))), vec![99]);
}

#[test]
fn at_random_rarity_does_not_count_and_every_piece_of_the_peer_comes() {
    let geometry = geometry(100, 1);
    let config = PickConfig { order: PickOrder::Random, random_first: 0, ..PickConfig::default() };
    let mut first = BTreeSet::new();
    for seed in 0..20 {
        let mut picker = Picker::new(geometry, &Bitfield::none(100), &config, rng(seed));
        picker.peer_joined(&Bitfield::all(100));
        picker.peer_joined(&set(100, &(0..99).collect::<Vec<_>>()));
        let asked = pieces_of(&picker.picked(A, &Bitfield::all(100), asking(1)));
        // One that has a few only is asked for them all, and for no other.
        let mut few = pieces_of(&picker.picked(B, &set(100, &[3, 50, 98, 99]), asking(9)));
        few.sort_unstable();
        let mut left = vec![3, 50, 98, 99];
        left.retain(|piece| !asked.contains(piece));
        assert_eq!(few, left, "seed {seed}");
        first.extend(asked);
    }
    assert!(first.len() > 10, "{first:?}");
}

#[test]
fn what_is_begun_is_finished_first_the_nearly_complete_before_the_rest() {
    let geometry = geometry(4, 4);
    let all = Bitfield::all(4);
    let mut picker = empty(geometry, &rarest_first());
    let first = picker.picked(A, &set(4, &[0]), asking(4));
    let second = picker.picked(B, &set(4, &[1]), asking(4));
    picker.receive_all(A, &first[..1]);
    picker.receive_all(B, &second[..3]);
    picker.peer_gone(A, &first[1..]);
    picker.peer_gone(B, &second[3..]);
    let picked = picker.picked(C, &all, asking(4));
    assert_eq!(picked, [&second[3..], &first[1..]].concat());
}

#[test]
fn a_fast_peer_has_whole_pieces_and_slow_ones_share() {
    let geometry = geometry(3, 4);
    let all = Bitfield::all(3);
    let mut picker = empty(geometry, &rarest_first());
    let of_a = picker.picked(A, &all, fast(2));
    let of_b = picker.picked(B, &all, asking(2));
    let of_c = picker.picked(C, &all, asking(2));
    assert_eq!(pieces_of(&of_b), pieces_of(&of_c), "slow peers share");
    assert_ne!(pieces_of(&of_a), pieces_of(&of_b), "and leave the fast one's alone");
    let more = picker.picked(A, &all, fast(2));
    assert_eq!(pieces_of(&more), pieces_of(&of_a));
    assert!(more[0].begin() > of_a[1].begin(), "in order");
    // When nothing else is left, the fast peer's next piece is shared too.
    let of_d = picker.picked(D, &all, asking(3));
    let next = picker.picked(A, &all, fast(1));
    assert_eq!(pieces_of(&next), pieces_of(&of_d), "{of_d:?}");
}

#[test]
fn nothing_is_asked_twice_before_the_end_game_and_no_more_than_the_limit_in_it() {
    let geometry = geometry(2, 2);
    let all = Bitfield::all(2);
    let mut picker = empty(geometry, &PickConfig { end_game_requesters: 2, ..rarest_first() });
    let of_a = picker.picked(A, &all, asking(3));
    assert!(!picker.end_game());
    let of_b = picker.picked(B, &all, asking(2));
    assert!(picker.end_game());
    assert!(!of_a.contains(&of_b[0]), "the last free block first");
    assert!(of_a.contains(&of_b[1]), "then one that is asked of another");
    let of_c = picker.picked(C, &all, asking(9));
    assert_eq!(of_c.len(), 3, "one block has its two requesters");
    assert!(!of_c.contains(&of_b[1]));
    assert_eq!(picker.picked(D, &all, asking(9)), vec![]);
    assert_eq!(picker.picked(A, &all, asking(9)), vec![]);
    let shared = of_b[1];
    let Received::New { piece_full: false, also_asked } = picker.received(B, shared) else { panic!() };
    assert_eq!(also_asked, vec![A]);
    assert_eq!(picker.received(A, shared), Received::Duplicate);
    // Returned by one of two, a block is still asked of the other; by both, it is free and the end game over.
    picker.returned(B, of_b[0]);
    assert!(picker.end_game());
    picker.returned(C, of_b[0]);
    assert!(!picker.end_game());
    assert_eq!(picker.picked(D, &all, asking(1)), vec![of_b[0]]);
    picker.assert_consistent();
}

#[test]
fn the_end_game_takes_the_blocks_with_fewest_requesters() {
    let geometry = geometry(1, 3);
    let all = Bitfield::all(1);
    let mut picker = empty(geometry, &PickConfig { end_game_requesters: 9, ..rarest_first() });
    let of_a = picker.picked(A, &all, asking(3));
    assert_eq!(picker.picked(B, &all, asking(2)), of_a[..2]);
    assert_eq!(picker.picked(C, &all, asking(1)), of_a[2..]);
}

#[test]
fn priorities_win_over_rarity_and_what_is_skipped_is_never_asked() {
    let geometry = geometry(4, 2);
    let all = Bitfield::all(4);
    let piece = |number| geometry.piece(number).unwrap();
    let mut picker = empty(geometry, &rarest_first());
    picker.peer_joined(&set(4, &[3]));
    let begun = picker.picked(A, &set(4, &[0]), asking(1));
    picker.receive_all(A, &begun);
    picker.set_priority(piece(0), Priority::SKIP);
    picker.set_priority(piece(3), Priority::HIGHEST);
    picker.set_priority(piece(1), Priority::LOWEST);
    assert_eq!(picker.missing_bytes(), 6 * u64::from(BLOCK_LENGTH));
    assert!(!picker.wants(piece(0)));
    assert_eq!(pieces_of(&picker.picked(A, &all, asking(9))), vec![3, 2, 1]);
    assert_eq!(picker.priority(piece(1)), Priority::LOWEST);
    picker.set_priority(piece(0), Priority::NORMAL);
    assert_eq!(picker.picked(B, &all, asking(1))[0].begin(), BLOCK_LENGTH, "what was received of it counts");
}

#[test]
fn deadlines_come_before_everything_the_earliest_first() {
    let geometry = geometry(6, 2);
    let all = Bitfield::all(6);
    let piece = |number| geometry.piece(number).unwrap();
    let mut picker = empty(geometry, &rarest_first());
    picker.set_priority(piece(1), Priority::HIGHEST);
    picker.set_urgent(piece(4), Some(Time::from_secs(9)));
    picker.set_urgent(piece(2), Some(Time::from_secs(3)));
    picker.set_urgent(piece(5), Some(Time::from_secs(1)));
    picker.set_urgent(piece(5), None);
    // Shared even with a fast peer, though that came first.
    let of_a = picker.picked(A, &all, fast(1));
    let of_b = picker.picked(B, &all, asking(4));
    assert_eq!(pieces_of(&of_a), vec![2]);
    assert_eq!(pieces_of(&of_b), vec![2, 4, 1]);
    picker.piece_passed(piece(2));
    picker.assert_consistent();
}

#[test]
fn what_only_one_peer_has_is_asked_of_it_before_what_others_can_finish() {
    let geometry = geometry(8, 4);
    let (all, half) = (Bitfield::all(8), set(8, &[0, 1, 2, 3]));
    let begun = |others: &[&Bitfield]| {
        let mut picker = empty(geometry, &rarest_first());
        picker.peer_joined(&all);
        others.iter().for_each(|pieces| picker.peer_joined(pieces));
        // The half-done piece 0 of somebody who has choked us.
        let of_b = picker.picked(B, &set(8, &[0]), asking(4));
        picker.receive_all(B, &of_b[..3]);
        picker.returned(B, of_b[3]);
        picker
    };
    let suggested = [geometry.piece(1).unwrap()];
    let ask = PickAsk { count: 6, suggested: &suggested, ..PickAsk::default() };

    let mut picker = begun(&[&half]);
    let of_a = pieces_of(&picker.picked(A, &all, ask));
    assert!(of_a.iter().all(|&piece| piece >= 4), "neither what is begun nor what is suggested: {of_a:?}");
    // What is begun and has no other source goes on, whoever had begun it.
    assert_eq!(pieces_of(&picker.picked(D, &all, asking(2))), of_a[1..]);
    // Those of which there are more: as always.
    assert_eq!(pieces_of(&picker.picked(C, &half, asking(1))), [0]);
    // When nothing of the kind is left, the rest comes from it too.
    let rest = pieces_of(&picker.picked(A, &all, asking(20)));
    assert_eq!(rest.len(), 5, "two that only it has, and the three others: {rest:?}");
    assert!(rest[..2].iter().all(|&piece| piece >= 4) && rest[2..].iter().all(|&piece| piece < 4), "{rest:?}");

    let mut picker = begun(&[&half]);
    let suggested = [geometry.piece(1).unwrap(), geometry.piece(6).unwrap()];
    let of_a = pieces_of(&picker.picked(A, &all, PickAsk { suggested: &suggested, ..ask }));
    assert_eq!(of_a[0], 6, "a suggestion that only it can follow up: {of_a:?}");

    let mut picker = begun(&[&all]);
    assert_eq!(pieces_of(&picker.picked(A, &all, ask))[..2], [0, 1], "with another source of everything: as always");
}

#[test]
fn what_is_at_nobody_else_is_known() {
    let geometry = geometry(4, 1);
    let mut picker = Picker::new(geometry, &set(4, &[0, 2, 3]), &rarest_first(), rng(7));
    assert!(!picker.is_spread());
    picker.peer_joined(&set(4, &[0, 2]));
    assert!(!picker.is_spread());
    picker.peer_gained(geometry.piece(3).unwrap());
    assert!(picker.is_spread(), "1 is not ours to spread");
    picker.peer_lost(geometry.piece(0).unwrap());
    assert!(!picker.is_spread());
    picker.peer_joined(&Bitfield::all(4));
    assert!(picker.is_spread());
    picker.peer_left(&Bitfield::all(4));
    assert!(!picker.is_spread());
    picker.peer_gained(geometry.piece(0).unwrap());
    picker.piece_passed(geometry.piece(1).unwrap());
    assert!(!picker.is_spread(), "a new one");
}

#[test]
fn suggestions_are_taken_the_latest_first_when_nothing_is_begun() {
    let geometry = geometry(9, 1);
    let pieces: Vec<_> = [2, 5, 8].iter().map(|&number| geometry.piece(number).unwrap()).collect();
    let mut picker = empty(geometry, &PickConfig { max_suggested: 2, ..rarest_first() });
    let theirs = set(9, &[0, 1, 2, 5]);
    picker.peer_joined(&set(9, &[2, 5]));
    // Nobody is the only source of anything.
    picker.peer_joined(&Bitfield::all(9));
    picker.peer_joined(&Bitfield::all(9));
    let ask = PickAsk { count: 2, suggested: &pieces, ..PickAsk::default() };
    let picked = pieces_of(&picker.picked(A, &theirs, ask));
    assert_eq!(picked[0], 5, "8 it does not have, 5 is next");
    assert_ne!(picked[1], 2, "only the latest two are looked at");
}

#[test]
fn while_choked_only_the_allowed_pieces_that_the_peer_has_are_asked() {
    // BEP 6: "The receiver MUST NOT interpret an Allowed Fast message as meaning that the message sender has the piece."
    let geometry = geometry(9, 2);
    let allowed: Vec<_> = [7, 3, 1].iter().map(|&number| geometry.piece(number).unwrap()).collect();
    let mut picker = empty(geometry, &rarest_first());
    let ask = PickAsk { count: 99, only: Some(&allowed), ..PickAsk::default() };
    let picked = picker.picked(A, &set(9, &[0, 1, 7]), ask);
    assert_eq!(pieces_of(&picked), vec![7, 1]);
    assert_eq!(picked.len(), 4);
    // In the end game as well.
    let rest = picker.picked(B, &Bitfield::all(9), asking(99));
    assert_eq!(pieces_of(&picker.picked(C, &set(9, &[0, 1]), ask)), vec![1]);
    assert_eq!(rest.len(), 18, "14 free ones, then 4 a second time");
}

#[test]
fn a_piece_that_failed_is_fetched_from_one_peer_that_did_not_send_it() {
    let geometry = geometry(2, 4);
    let (all, zero) = (Bitfield::all(2), set(2, &[0]));
    let piece = geometry.piece(0).unwrap();
    let mut picker = empty(geometry, &rarest_first());
    for _ in 0..4 {
        picker.peer_joined(&all);
    }
    let of_a = picker.picked(A, &zero, asking(2));
    let of_b = picker.picked(B, &zero, asking(2));
    picker.receive_all(A, &of_a);
    picker.receive_all(B, &of_b);
    assert_eq!(picker.senders(piece), vec![(0, A), (1, A), (2, B), (3, B)]);
    picker.piece_failed(piece, Vec::new());
    assert_eq!(picker.senders(piece), vec![]);
    let now = Time::from_secs(5);
    assert_eq!(picker.picked_at(now, A, &zero, asking(4)), vec![], "a suspect has to wait");
    let of_c = picker.picked_at(now, C, &zero, asking(2));
    assert_eq!(of_c.len(), 2);
    assert_eq!(picker.picked_at(now, D, &zero, asking(4)), vec![], "it is for one peer alone");
    assert_eq!(picker.received(A, of_c[0]), Received::Unwanted, "a late copy would spoil the test");
    let patience = PickConfig::default().parole_patience;
    assert_eq!(picker.next_chance(now), Some(now + patience));
    // The owner leaves; another one takes the rest.
    picker.receive_all(C, &of_c[..1]);
    picker.peer_gone(C, &of_c[1..]);
    assert_eq!(picker.picked_at(now, D, &zero, asking(4)).len(), 3);
    assert_eq!(picker.senders(piece), vec![(0, C)]);
    picker.assert_consistent();
}

#[test]
fn a_suspect_is_asked_again_only_for_the_whole_piece_and_when_nobody_else_comes() {
    let geometry = geometry(2, 4);
    let zero = set(2, &[0]);
    let piece = geometry.piece(0).unwrap();
    let begin = |peers: u32| {
        let mut picker = empty(geometry, &rarest_first());
        for _ in 0..peers {
            picker.peer_joined(&Bitfield::all(2));
        }
        let of_a = picker.picked(A, &zero, asking(2));
        let of_b = picker.picked(B, &zero, asking(2));
        picker.receive_all(A, &of_a);
        picker.receive_all(B, &of_b);
        picker.piece_failed(piece, Vec::new());
        picker
    };
    // Only the two suspects have it: one of them at once.
    assert_eq!(begin(2).picked(A, &zero, asking(9)).len(), 4);
    // There is a third: it has its time, and what it sent in vain is asked anew.
    let mut picker = begin(3);
    assert_eq!(picker.picked(A, &zero, asking(9)), vec![]);
    let of_c = picker.picked(C, &zero, asking(3));
    picker.receive_all(C, &of_c[..2]);
    picker.returned(C, of_c[2]);
    assert_eq!(picker.picked(A, &zero, asking(9)), vec![]);
    let later = Time::ZERO + PickConfig::default().parole_patience + Duration::from_secs(1);
    let again = picker.picked_at(later, A, &zero, asking(9));
    assert_eq!(again.len(), 4);
    assert_eq!(picker.picked_at(later, B, &zero, asking(9)), vec![]);
    // What it sent of the new version stays, when it is interrupted.
    picker.receive_all(A, &again[..1]);
    for &block in &again[1..] {
        picker.returned(A, block);
    }
    let later = picker.next_chance(later).unwrap_or(later) + PickConfig::default().parole_patience;
    assert_eq!(picker.picked_at(later, A, &zero, asking(9)), vec![], "its patience starts again");
    let later = picker.next_chance(later).unwrap();
    assert_eq!(picker.picked_at(later, A, &zero, asking(9)), again[1..]);
}

#[test]
fn further_connections_of_who_had_a_piece_on_parole_wait_for_the_others() {
    let geometry = geometry(1, 4);
    let all = Bitfield::all(1);
    let mut picker = empty(geometry, &rarest_first());
    for _ in 0..4 {
        picker.peer_joined(&all);
    }
    let of_a = picker.picked(A, &all, asking(4));
    picker.receive_all(A, &of_a);
    picker.piece_failed(geometry.piece(0).unwrap(), Vec::new());
    let from = |last: u8| PickAsk { host: Some(IpAddr::from([198, 51, 100, last])), ..asking(4) };
    let of_b = picker.picked(B, &all, from(1));
    assert_eq!(of_b.len(), 4);
    picker.peer_gone(B, &of_b);
    // Its next connection comes first, in vain.
    assert_eq!(picker.picked(C, &all, from(1)), []);
    let of_d = picker.picked(D, &all, from(2));
    assert_eq!(of_d.len(), 4);
    assert_eq!(picker.picked(C, &all, from(1)), []);
    // When there is nobody else who has it, it need not wait.
    picker.peer_gone(D, &of_d);
    picker.peer_left(&all);
    assert_eq!(picker.picked(C, &all, from(1)).len(), 4);
    picker.assert_consistent();
}

#[test]
fn who_shares_an_address_with_the_sender_of_a_bad_version_is_no_stranger() {
    let geometry = geometry(1, 4);
    let all = Bitfield::all(1);
    let mut picker = empty(geometry, &rarest_first());
    for _ in 0..3 {
        picker.peer_joined(&all);
    }
    let host = |last: u8| IpAddr::from([198, 51, 100, last]);
    let from = |last: u8| PickAsk { host: Some(host(last)), ..asking(4) };
    let of_a = picker.picked(A, &all, from(1));
    picker.receive_all(A, &of_a);
    picker.piece_failed(geometry.piece(0).unwrap(), vec![host(1), host(1)]);
    // It is gone, and here again.
    assert_eq!(picker.picked(B, &all, from(1)), []);
    assert_eq!(picker.picked(C, &all, from(2)).len(), 4);
    picker.assert_consistent();
}

#[test]
fn a_slow_owner_of_a_piece_on_parole_is_helped_in_the_end() {
    let geometry = geometry(1, 4);
    let all = Bitfield::all(1);
    let mut picker = empty(geometry, &rarest_first());
    for _ in 0..3 {
        picker.peer_joined(&all);
    }
    let of_a = picker.picked(A, &all, asking(4));
    picker.receive_all(A, &of_a);
    picker.piece_failed(geometry.piece(0).unwrap(), Vec::new());
    assert_eq!(picker.picked(B, &all, asking(1)).len(), 1);
    assert_eq!(picker.picked(C, &all, asking(9)), vec![]);
    let end = picker.next_chance(Time::ZERO).unwrap();
    assert_eq!(picker.picked_at(end, C, &all, asking(9)).len(), 4, "three free ones, then the owner's");
    assert_eq!(picker.next_chance(end), None);
}

#[test]
fn begun_pieces_are_bounded_and_the_least_worth_is_given_up() {
    let geometry = geometry(10, 4);
    let mut picker = empty(geometry, &PickConfig { max_open_blocks: 12, ..rarest_first() });
    // Three begun pieces, one block received of the first, two of the second, three of the third.
    for piece in 0..3 {
        let who = PeerKey(u64::from(piece) + 10);
        let picked = picker.picked(who, &set(10, &[piece]), asking(4));
        picker.receive_all(who, &picked[..piece as usize + 1]);
        picker.peer_gone(who, &picked[piece as usize + 1..]);
    }
    assert_eq!(picker.slab.blocks(), 12);
    assert_eq!(picker.picked(A, &set(10, &[5]), asking(9)).len(), 4);
    assert_eq!(picker.slab.blocks(), 12);
    assert_eq!(picker.senders(geometry.piece(0).unwrap()), vec![], "the least received went");
    assert_eq!(picker.senders(geometry.piece(1).unwrap()).len(), 2);
    // All are busy: no more.
    assert_eq!(picker.picked(B, &set(10, &[1, 2]), asking(9)).len(), 3);
    assert_eq!(picker.picked(C, &set(10, &[6, 7]), asking(9)), vec![]);
    // A late block of a piece with no books is refused then, too.
    assert_eq!(picker.received(C, geometry.nth_block(geometry.piece(9).unwrap(), 0).unwrap()), Received::Unwanted);
}

#[test]
fn with_many_begun_pieces_a_peer_joins_one_instead_of_beginning_another() {
    let geometry = geometry(10, 4);
    let all = Bitfield::all(10);
    let mut picker = empty(geometry, &PickConfig { max_partial_pieces: 2, ..rarest_first() });
    let of_a = pieces_of(&picker.picked(A, &all, fast(1)));
    let of_b = pieces_of(&picker.picked(B, &all, fast(1)));
    let of_c = pieces_of(&picker.picked(C, &all, fast(1)));
    assert_ne!(of_a, of_b);
    assert!(of_c == of_a || of_c == of_b);
}

#[test]
fn a_failed_write_frees_the_block_and_a_damaged_piece_is_missing_again() {
    let geometry = geometry(2, 2);
    let all = Bitfield::all(2);
    let mut picker = empty(geometry, &rarest_first());
    let picked = picker.picked(A, &all, asking(4));
    picker.receive_all(A, &picked);
    picker.write_failed(picked[1]);
    assert_eq!(picker.picked(B, &all, asking(9)), vec![picked[1]]);
    picker.receive_all(B, &picked[1..2]);
    for piece in geometry.iter() {
        picker.piece_passed(piece);
    }
    assert!(picker.is_complete() && !picker.end_game());
    assert_eq!((picker.missing_bytes(), picker.slab.blocks()), (0, 0));
    assert_eq!(picker.received(A, picked[0]), Received::Duplicate);
    let damaged = picked[0].piece();
    picker.piece_lost(damaged);
    assert!(picker.wants(damaged) && !picker.have().get(damaged.get()));
    assert_eq!(picker.picked(A, &all, asking(9)).len(), 2);
}

#[test]
fn a_late_block_is_taken_when_it_is_still_missing() {
    let geometry = geometry(3, 2);
    let mut picker = empty(geometry, &rarest_first());
    let block = picker.picked(A, &Bitfield::all(3), asking(1))[0];
    picker.returned(A, block);
    assert_eq!(picker.slab.blocks(), 0, "an empty piece needs no books");
    assert_eq!(picker.received(A, block), Received::New { piece_full: false, also_asked: vec![] });
    picker.set_priority(geometry.piece(0).unwrap(), Priority::SKIP);
    picker.set_priority(geometry.piece(1).unwrap(), Priority::SKIP);
    picker.set_priority(geometry.piece(2).unwrap(), Priority::SKIP);
    let other = geometry.iter().find(|&piece| piece != block.piece()).unwrap();
    assert_eq!(picker.received(A, geometry.nth_block(other, 0).unwrap()), Received::Unwanted);
    let odd = geometry.block(0, 1, 100).unwrap();
    assert_eq!(picker.received(A, odd), Received::Unwanted);
    picker.returned(A, odd);
    picker.write_failed(odd);
    picker.assert_consistent();
}

#[test]
fn pieces_and_sets_of_another_torrent_do_no_harm() {
    let (small, large) = (geometry(3, 2), geometry(300, 2));
    let mut picker = empty(small, &rarest_first());
    let foreign = large.piece(299).unwrap();
    let block = large.nth_block(foreign, 1).unwrap();
    let big = Bitfield::all(300);
    picker.peer_joined(&big);
    picker.peer_gained(foreign);
    picker.peer_lost(foreign);
    picker.set_priority(foreign, Priority::HIGHEST);
    picker.set_urgent(foreign, Some(Time::ZERO));
    picker.piece_passed(foreign);
    picker.piece_failed(foreign, Vec::new());
    picker.piece_lost(foreign);
    picker.write_failed(block);
    picker.returned(A, block);
    assert_eq!(picker.received(A, block), Received::Unwanted);
    let pieces = [foreign];
    let ask = PickAsk { count: u32::MAX, only: Some(&pieces), fast: true, suggested: &pieces, ..PickAsk::default() };
    assert_eq!(picker.picked(A, &big, ask), vec![]);
    assert_eq!(picker.picked(A, &big, PickAsk { only: None, ..ask }).len(), 6);
    picker.peer_left(&big);
}

#[test]
fn a_peer_may_come_with_some_pieces_and_leave_as_a_seed() {
    let geometry = geometry(4, 1);
    let counts = |picker: &Picker| geometry.iter().map(|piece| picker.availability(piece)).collect::<Vec<_>>();
    let mut picker = empty(geometry, &rarest_first());
    picker.peer_joined(&set(4, &[0, 1]));
    picker.peer_joined(&set(4, &[3]));
    picker.peer_gained(geometry.piece(2).unwrap());
    picker.peer_gained(geometry.piece(3).unwrap());
    assert_eq!(counts(&picker), vec![1, 1, 1, 2]);
    picker.peer_left(&Bitfield::all(4));
    assert_eq!(counts(&picker), vec![0, 0, 0, 1]);
    // And the other way round: a seed that loses a piece.
    picker.peer_joined(&Bitfield::all(4));
    picker.peer_lost(geometry.piece(1).unwrap());
    assert_eq!(counts(&picker), vec![1, 0, 1, 2]);
    assert_eq!(pieces_of(&picker.picked(A, &Bitfield::all(4), asking(1))), vec![1], "and it is the rarest");
    picker.peer_left(&set(4, &[0, 2, 3]));
    assert_eq!(counts(&picker), vec![0, 0, 0, 1]);
}

#[test]
fn a_peer_with_few_pieces_is_served_from_its_hints() {
    const PIECES: u32 = 20_000;
    let geometry = geometry(PIECES, 1);
    let mut picker = empty(geometry, &rarest_first());
    let (few, none) = (set(PIECES, &[11, 7_000, 19_999]), set(PIECES, &[3]));
    // Its pieces are the commonest ones.
    picker.peer_joined(&few);
    let mut picked = pieces_of(&picker.picked(A, &few, asking(2)));
    // What comes back, and what it gains, is found without another pass.
    let lists = std::format!("{:?}", picker.hints);
    assert!(lists.contains("horizon: None"), "{lists}");
    picked.extend(pieces_of(&picker.picked(A, &few, asking(9))));
    picked.sort_unstable();
    assert_eq!(picked, vec![11, 7_000, 19_999]);
    assert_eq!(picker.picked(A, &few, asking(9)), vec![]);
    let mut more = few.clone();
    more.insert(500);
    picker.peer_gained(geometry.piece(500).unwrap());
    assert_eq!(pieces_of(&picker.picked(A, &more, asking(9))), vec![500]);
    let block = geometry.nth_block(geometry.piece(11).unwrap(), 0).unwrap();
    picker.returned(A, block);
    assert_eq!(picker.picked(A, &more, asking(9)), vec![block]);
    // A log that ran over makes a new list.
    picker.returned(A, block);
    for _ in 0..3 {
        for piece in geometry.iter().skip(1_000).take(1_000) {
            picker.peer_gained(piece);
        }
    }
    assert_eq!(picker.picked(A, &more, asking(9)), vec![block]);
    assert_eq!(picker.picked(B, &none, asking(9)).len(), 1);
    // The peer's list goes with it.
    picker.peer_gone(A, &[]);
    picker.peer_gone(B, &[]);
    assert!(!std::format!("{:?}", picker.hints).contains("horizon"));
}

#[test]
fn hints_are_the_rarest_of_what_the_peer_has() {
    const PIECES: u32 = 5_000;
    let geometry = geometry(PIECES, 1);
    let mut picker = empty(geometry, &rarest_first());
    let theirs = set(PIECES, &(2_000..5_000).collect::<Vec<_>>());
    picker.peer_joined(&theirs);
    picker.peer_joined(&set(PIECES, &(3_000..5_000).collect::<Vec<_>>()));
    picker.peer_joined(&set(PIECES, &(4_000..5_000).collect::<Vec<_>>()));
    picker.set_priority(geometry.piece(4_999).unwrap(), Priority::HIGHEST);
    let picked = pieces_of(&picker.picked(A, &theirs, asking(1_501)));
    assert_eq!(picked.len(), 1_501);
    assert_eq!(picked[0], 4_999);
    assert!(picked[1..1_001].iter().all(|piece| (2_000..3_000).contains(piece)));
    assert!(picked[1_001..].iter().all(|piece| (3_000..4_000).contains(piece)));
}

#[test]
fn a_hint_that_became_common_goes_back_in_the_list() {
    let geometry = geometry(1_000, 1);
    let mut picker = empty(geometry, &PickConfig { scan: 1, ..rarest_first() });
    let theirs = set(1_000, &(990..1_000).collect::<Vec<_>>());
    for _ in 0..3 {
        picker.peer_joined(&theirs);
    }
    let first = picker.picked(A, &theirs, asking(1));
    let common = (990..999).map(|number| geometry.piece(number).unwrap());
    for piece in common.filter(|piece| *piece != first[0].piece()) {
        picker.peer_gained(piece);
    }
    let left = if first[0].piece().get() == 999 { vec![] } else { vec![999] };
    let next = pieces_of(&picker.picked(A, &theirs, asking(left.len() as u32)));
    assert_eq!(next, left, "the one that is as rare as before");
    assert_eq!(picker.picked(A, &theirs, asking(99)).len(), 9 - left.len());
}

#[test]
fn an_idle_piece_costs_less_than_sixteen_bytes() {
    use std::mem::size_of;
    // order, place, copies, flags; and two bitmaps of one bit.
    assert_eq!(3 * size_of::<u32>() + size_of::<u8>(), 13);
    assert_eq!(size_of::<Slot>(), 16);
    assert_eq!(size_of::<(PeerKey, u32)>(), 16);
}

#[test]
fn in_order_the_lowest_piece_comes_first_whoever_is_asked() {
    let geometry = geometry(200, 2);
    let mut picker = empty(geometry, &PickConfig::default());
    picker.set_sequential(true);
    let all = Bitfield::all(200);
    // Rare pieces, suggestions and fast peers make no difference.
    picker.peer_joined(&all);
    picker.peer_joined(&set(200, &[0, 1, 2]));
    let suggested = [geometry.piece(50).unwrap()];
    assert_eq!(pieces_of(&picker.picked(A, &all, PickAsk { suggested: &suggested, ..fast(3) })), [0, 1]);
    assert_eq!(pieces_of(&picker.picked(B, &all, fast(3))), [1, 2], "a begun piece is shared");
    assert_eq!(pieces_of(&picker.picked(C, &set(200, &[150, 7, 99]), asking(3))), [7, 99]);
    // What comes back is the next again.
    let returned = geometry.nth_block(geometry.piece(0).unwrap(), 1).unwrap();
    picker.returned(A, returned);
    assert_eq!(picker.picked(D, &all, asking(1)), [returned]);
}

#[test]
fn in_order_deadlines_and_priorities_still_come_first() {
    let geometry = geometry(100, 1);
    let mut picker = empty(geometry, &PickConfig::default());
    picker.set_sequential(true);
    picker.set_priority(geometry.piece(80).unwrap(), Priority::HIGHEST);
    picker.set_priority(geometry.piece(70).unwrap(), Priority::HIGHEST);
    picker.set_priority(geometry.piece(0).unwrap(), Priority::LOWEST);
    picker.set_urgent(geometry.piece(90).unwrap(), Some(Time::from_secs(1)));
    assert_eq!(pieces_of(&picker.picked(A, &Bitfield::all(100), asking(5))), [90, 70, 80, 1, 2]);
}

#[test]
fn order_can_be_switched_on_and_off_while_pieces_are_begun() {
    let geometry = geometry(64, 4);
    let mut picker = empty(geometry, &PickConfig::default());
    let all = Bitfield::all(64);
    picker.peer_joined(&all);
    let [begun] = pieces_of(&picker.picked(A, &all, fast(1)))[..] else { panic!() };
    picker.set_sequential(true);
    let next = pieces_of(&picker.picked(B, &all, fast(4 * 64 - 1)));
    assert_eq!(next, (0..64).collect::<Vec<_>>(), "the begun piece {begun} in its turn");
    picker.set_sequential(false);
    assert!(!picker.sequential());
}

#[test]
fn priorities_of_all_pieces_are_set_at_once() {
    let geometry = geometry(1000, 1);
    let mut picker = empty(geometry, &rarest_first());
    let all = Bitfield::all(1000);
    picker.peer_joined(&all);
    assert_eq!(picker.picked(A, &all, asking(1)).len(), 1);
    let wanted = |piece: u32| if piece.is_multiple_of(10) { Priority::HIGHEST } else { Priority::SKIP };
    picker.set_priorities(&(0..1000).map(wanted).collect::<Vec<_>>());
    picker.assert_consistent();
    assert_eq!(picker.wanted_bytes(), 100 * u64::from(BLOCK_LENGTH));
    let picked = pieces_of(&picker.picked(B, &all, asking(1000)));
    assert!(picked.iter().all(|piece| piece.is_multiple_of(10)) && picked.len() >= 99, "{picked:?}");
}

#[test]
fn a_block_of_a_piece_that_was_skipped_meanwhile_is_not_asked_for_any_more() {
    let geometry = geometry(2, 2);
    let mut picker = empty(geometry, &rarest_first());
    let all = Bitfield::all(2);
    let [first, ..] = picker.picked(A, &all, asking(1))[..] else { panic!() };
    picker.set_priority(first.piece(), Priority::SKIP);
    assert_eq!(picker.received(A, first), Received::Unwanted);
    picker.assert_consistent();
    picker.set_priority(first.piece(), Priority::NORMAL);
    let again = picker.picked(B, &all, asking(4));
    assert!(again.contains(&first), "it would never come: {again:?}");
}

#[test]
fn who_is_asked_for_free_blocks_only_takes_no_part_in_the_end_game() {
    let mut picker = empty(geometry(1, 2), &rarest_first());
    let pieces = Bitfield::all(1);
    picker.peer_joined(&pieces);
    picker.peer_joined(&pieces);
    assert_eq!(picker.picked(A, &pieces, asking(2)).len(), 2);
    assert!(picker.end_game());
    let free = PickAsk { only_free: true, ..asking(2) };
    assert_eq!(picker.picked(B, &pieces, free), []);
    assert_eq!(picker.picked(B, &pieces, asking(2)).len(), 2);
}

#[test]
fn a_block_that_came_before_its_piece_was_skipped_is_a_duplicate() {
    let mut picker = empty(geometry(2, 4), &rarest_first());
    let [block, ..] = picker.picked(A, &Bitfield::all(2), asking(1))[..] else { panic!() };
    picker.receive_all(A, &[block]);
    picker.set_priority(block.piece(), Priority::SKIP);
    assert_eq!(picker.received(A, block), Received::Duplicate);
    picker.assert_consistent();
}

#[test]
fn a_piece_given_up_that_is_rarer_than_all_closed_ones_does_not_spoil_the_order() {
    // Two blocks, two blocks, one block; room for two whole pieces.
    let geometry = Geometry::new(5 * u64::from(BLOCK_LENGTH), 2 * BLOCK_LENGTH).unwrap();
    let mut picker = empty(geometry, &PickConfig { max_open_blocks: 4, ..rarest_first() });
    let only_a = set(3, &[0]);
    picker.peer_joined(&only_a);
    let of_a = picker.picked(A, &only_a, asking(1));
    picker.receive_all(A, &of_a);
    let others = set(3, &[1, 2]);
    picker.peer_joined(&others);
    picker.peer_joined(&others);
    let second = [geometry.piece(1).unwrap()];
    assert_eq!(picker.picked(B, &others, PickAsk { only: Some(&second), ..asking(2) }).len(), 2);
    // The last piece takes the place of the first, of which there are fewer copies than of any that was closed.
    let last: Vec<Block> = geometry.blocks_of(geometry.piece(2).unwrap()).collect();
    assert_eq!(picker.picked(C, &others, asking(9)), last);
    assert_eq!(picker.picked(A, &only_a, asking(9)), vec![], "no room");
}
