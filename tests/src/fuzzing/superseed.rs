//! Super seeding under any comings and goings: each guest is shown pieces that it does not have, one at a time, and no guest is left
//! without one for ever.

use super::operations;
use arbitrary::Arbitrary;
use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::PeerKey;
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::torrent::superseed::{Show, SuperSeed};
use std::collections::BTreeMap;
use std::time::Duration;

const PIECES: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Op {
    Joins {
        guest: u8,
        has: u16,
    },
    Gains {
        guest: u8,
        piece: u8,
    },
    /// It gets what it was shown.
    Takes {
        guest: u8,
    },
    Leaves {
        guest: u8,
    },
    Wait {
        seconds: u8,
    },
}

struct Guest {
    has: Bitfield,
    shown: Option<(u32, Time)>,
    /// Since when it has been shown nothing new.
    since: Time,
}

/// One input.
pub fn run(input: &[u8]) {
    let mut rng = Seeds::for_tests(1).decisions(Stream::Picker, 0);
    let mut machine = SuperSeed::new(PIECES, PATIENCE, &mut rng);
    let mut guests: BTreeMap<PeerKey, Guest> = BTreeMap::new();
    let mut now = Time::from_secs(1);
    for op in operations(input, 300) {
        let key = |guest: u8| PeerKey(u64::from(guest % 6));
        let shows = match op {
            Op::Joins { guest, has } => {
                let mut set = Bitfield::none(PIECES);
                // Whoever has everything is no guest.
                (0..PIECES - 1).filter(|piece| has & (1 << piece) != 0).for_each(|piece| _ = set.insert(piece));
                let shows = machine.joined(now, key(guest), &set);
                guests.entry(key(guest)).or_insert(Guest { has: set, shown: None, since: now });
                shows
            }
            Op::Gains { guest, piece } => gain(&mut machine, &mut guests, now, key(guest), u32::from(piece) % PIECES),
            Op::Takes { guest } => match guests.get(&key(guest)).and_then(|guest| guest.shown) {
                Some((piece, _)) => gain(&mut machine, &mut guests, now, key(guest), piece),
                None => continue,
            },
            Op::Leaves { guest } => {
                guests.remove(&key(guest));
                machine.left(now, key(guest))
            }
            Op::Wait { seconds } => {
                now = now + Duration::from_secs(seconds.into());
                Vec::new()
            }
        };
        see(&mut guests, now, &shows);
        let shows = machine.tick(now);
        see(&mut guests, now, &shows);
        assert!(machine.deadline().is_none_or(|due| due > now), "due again at once");
        for (key, guest) in &guests {
            let waits = guest.has.count() < PIECES && guest.shown.is_none();
            assert!(!waits || machine.deadline().is_some_and(|due| due <= now + PATIENCE), "{key:?} waits for ever");
            assert!(
                !waits || now.since(guest.since) <= PATIENCE * 2 + Duration::from_secs(256),
                "{key:?} has waited too long"
            );
        }
    }
}

fn gain(
    machine: &mut SuperSeed,
    guests: &mut BTreeMap<PeerKey, Guest>,
    now: Time,
    key: PeerKey,
    piece: u32,
) -> Vec<Show> {
    if let Some(guest) = guests.get_mut(&key) {
        guest.has.insert(piece);
        if guest.shown.is_some_and(|(shown, _)| shown == piece) {
            guest.shown = None;
            guest.since = now;
        }
    }
    machine.gained(now, key, piece)
}

fn see(guests: &mut BTreeMap<PeerKey, Guest>, now: Time, shows: &[Show]) {
    for &(key, piece) in shows {
        let guest = guests.get_mut(&key).expect("shown to somebody who is there");
        assert!(!guest.has.get(piece), "{key:?} has piece {piece}");
        if let Some((shown, _)) = guest.shown {
            assert!(guest.has.get(shown), "{key:?} has not taken piece {shown} yet");
        }
        guest.shown = Some((piece, now));
        guest.since = now;
    }
}
