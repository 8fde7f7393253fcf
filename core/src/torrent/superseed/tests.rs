use super::*;
use crate::rng::{Seeds, Stream};
use proptest::prelude::*;
use std::vec;

const PATIENCE: Duration = Duration::from_secs(120);
const A: PeerKey = PeerKey(1);
const B: PeerKey = PeerKey(2);
const C: PeerKey = PeerKey(3);

fn machine(pieces: u32) -> SuperSeed {
    SuperSeed::new(pieces, PATIENCE, &mut Seeds::for_tests(1).decisions(Stream::SuperSeed, 0))
}

/// The one piece that is shown to this guest, and to nobody else.
#[track_caller]
fn only(shows: Vec<Show>, key: PeerKey) -> u32 {
    assert!(matches!(shows[..], [(to, _)] if to == key), "{shows:?}");
    shows[0].1
}

#[test]
fn the_next_piece_is_shown_when_the_last_was_seen_elsewhere() {
    let (mut machine, now, nothing) = (machine(10), Time::from_secs(1), Bitfield::none(10));
    let of_a = only(machine.joined(now, A, &nothing), A);
    let of_b = only(machine.joined(now, B, &nothing), B);
    assert_ne!(of_a, of_b);
    assert_eq!(machine.gained(now, A, of_a), vec![], "it has to pass it on");
    let next = only(machine.gained(now, B, of_a), A);
    assert!(next != of_a && next != of_b);
    assert_eq!(machine.gained(now, A, of_b), vec![], "it was not shown that one; B has not got it yet");
    let next_of_b = only(machine.gained(now, B, of_b), B);
    assert!(![of_a, of_b, next].contains(&next_of_b), "A had it already");
}

#[test]
fn who_is_alone_is_shown_one_after_the_other() {
    let (mut machine, now) = (machine(3), Time::from_secs(1));
    let first = only(machine.joined(now, A, &Bitfield::none(3)), A);
    let second = only(machine.gained(now, A, first), A);
    let third = only(machine.gained(now, A, second), A);
    assert_eq!(machine.gained(now, A, third), vec![]);
    // And who becomes alone goes on.
    let mut machine = self::machine(5);
    let of_a = only(machine.joined(now, A, &Bitfield::none(5)), A);
    machine.joined(now, B, &Bitfield::none(5));
    assert_eq!(machine.gained(now, A, of_a), vec![]);
    only(machine.left(now, B), A);
}

#[test]
fn every_piece_is_given_once_and_again_when_it_is_gone() {
    let (mut machine, now) = (machine(2), Time::from_secs(1));
    let of_a = only(machine.joined(now, A, &Bitfield::none(2)), A);
    let of_b = only(machine.joined(now, B, &Bitfield::none(2)), B);
    assert_eq!(machine.joined(now, C, &Bitfield::none(2)), vec![], "both are promised");
    machine.gained(now, B, of_b);
    // A leaves without having taken it: it is free again.
    assert_eq!(only(machine.left(now, A), C), of_a);
    assert_eq!(machine.gained(now, C, of_a), vec![]);
    // And so is one whose only holder leaves.
    assert_eq!(only(machine.left(now, B), C), of_b);
}

#[test]
fn patience_ends() {
    let (mut machine, now) = (machine(2), Time::from_secs(1));
    let of_a = only(machine.joined(now, A, &Bitfield::none(2)), A);
    let of_b = only(machine.joined(now, B, &Bitfield::none(2)), B);
    assert_eq!(machine.deadline(), Some(now + PATIENCE));
    assert_eq!(machine.gained(now, B, of_b), vec![]);
    machine.joined(now, C, &Bitfield::none(2));
    assert_eq!(machine.tick(now + (PATIENCE - Duration::from_micros(1))), vec![]);
    // A does not take its piece, B passes its own on to nobody, C waits for a free one.
    let shows = machine.tick(now + PATIENCE);
    assert_eq!(shows, vec![(C, of_a), (B, of_a)], "A's is free now; the rarest for who waited long enough");
    assert_eq!(machine.gained(now + PATIENCE, A, of_a), vec![], "it took it after all, and has to pass it on");
    assert!(machine.deadline().is_some_and(|due| due > now + PATIENCE));
}

proptest! {
    /// Guests that come, take, exchange and go: the books stay right, nobody is shown what it has or two pieces at once, and with
    /// patience everybody gets everything.
    #[test]
    fn everybody_gets_everything_in_the_end(seed in any::<u8>(), steps in prop::collection::vec((0..4u64, 0..20u32, 0..3u8), 0..200)) {
        let mut machine = SuperSeed::new(20, PATIENCE, &mut Seeds::for_tests(seed).decisions(Stream::SuperSeed, 1));
        let mut now = Time::from_secs(1);
        let mut guests: BTreeMap<PeerKey, (Bitfield, Option<u32>)> = BTreeMap::new();
        let note = |shows: Vec<Show>, guests: &mut BTreeMap<PeerKey, (Bitfield, Option<u32>)>| {
            for (key, piece) in shows {
                let (has, shown) = guests.get_mut(&key).expect("only guests are shown anything");
                assert!(!has.get(piece), "it has it");
                assert!(shown.is_none_or(|shown| has.get(shown)), "one at a time");
                *shown = Some(piece);
            }
        };
        let check = |machine: &SuperSeed, guests: &BTreeMap<PeerKey, (Bitfield, Option<u32>)>| {
            for (piece, entry) in (0..).zip(&machine.pieces) {
                let copies = guests.values().filter(|(has, _)| has.get(piece)).count();
                let promised = machine.guests.values().filter(|guest| guest.stage == Stage::Taking { piece, counted: true }).count();
                assert_eq!(entry.copies as usize, copies + promised);
            }
            assert_eq!(machine.order.len(), 20);
        };
        for (who, piece, what) in steps {
            now = now + Duration::from_secs(u64::from(piece));
            let key = PeerKey(who);
            let shows = match what {
                0 if guests.contains_key(&key) => {
                    guests.remove(&key);
                    machine.left(now, key)
                }
                _ => match guests.get_mut(&key) {
                    None => {
                        guests.insert(key, (Bitfield::none(20), None));
                        machine.joined(now, key, &Bitfield::none(20))
                    }
                    Some((has, shown)) => {
                        // What it was shown, or anything from elsewhere.
                        let piece = if what == 1 { shown.unwrap_or(piece) } else { piece };
                        has.insert(piece);
                        machine.gained(now, key, piece)
                    }
                },
            };
            note(shows, &mut guests);
            check(&machine, &guests);
            let shows = machine.tick(now);
            note(shows, &mut guests);
            check(&machine, &guests);
        }
        // From now on nobody exchanges anything: each takes what it is shown.
        for _ in 0..400 {
            let keys: Vec<PeerKey> = guests.keys().copied().collect();
            for key in keys {
                let (has, shown) = guests.get_mut(&key).unwrap();
                if let Some(piece) = *shown && has.insert(piece) {
                    note(machine.gained(now, key, piece), &mut guests);
                }
            }
            now = machine.deadline().unwrap_or(now).max(now);
            note(machine.tick(now), &mut guests);
            check(&machine, &guests);
        }
        prop_assert!(guests.values().all(|(has, _)| has.is_full()));
    }
}
