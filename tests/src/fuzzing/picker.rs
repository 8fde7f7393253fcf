//! The picker under any list of operations, judged by plain books: it asks a peer only for what that has and we want, nothing twice of the
//! same peer, nothing of two outside the end game, and it knows what is missing.
//!
//! The input is a list of (operation, peer, number).

use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{PeerKey, PickConfig};
use parcacik_core::metainfo::{Block, Geometry, PieceIndex};
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::time::Time;
use parcacik_core::torrent::picker::{PickAsk, Picker, Priority, Received};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const PEERS: u8 = 6;

/// What the books say.
struct Books {
    geometry: Geometry,
    peers: BTreeMap<PeerKey, Bitfield>,
    asked: BTreeMap<PeerKey, BTreeSet<Block>>,
    /// Pieces with all their blocks, that are to be verified.
    full: BTreeSet<PieceIndex>,
    skipped: BTreeSet<PieceIndex>,
}

impl Books {
    fn askers(&self, block: Block) -> usize {
        self.asked.values().filter(|blocks| blocks.contains(&block)).count()
    }

    fn missing(&self, have: &Bitfield) -> u64 {
        let wanted = |piece: &PieceIndex| !have.get(piece.get()) && !self.skipped.contains(piece);
        self.geometry.iter().filter(wanted).map(|piece| u64::from(self.geometry.length(piece))).sum()
    }
}

/// One input.
pub fn run(input: &[u8]) {
    let Some((&size, input)) = input.split_first() else { return };
    let piece_length = 16_384 * (1 + u32::from(size % 4));
    let geometry =
        Geometry::new(u64::from(piece_length) * (1 + u64::from(size / 4)) - 100, piece_length).expect("a torrent");
    let config = PickConfig { random_first: u32::from(size % 3), max_open_blocks: 24, ..PickConfig::default() };
    let rng = Seeds::for_tests(1).decisions(Stream::Picker, 0);
    let mut picker = Picker::new(geometry, &Bitfield::none(geometry.pieces()), &config, rng);
    let mut books = Books {
        geometry,
        peers: BTreeMap::new(),
        asked: BTreeMap::new(),
        full: BTreeSet::new(),
        skipped: BTreeSet::new(),
    };
    let mut now = Time::ZERO;
    for step in input.chunks_exact(3) {
        let [operation, peer, number] = [step[0], step[1], step[2]];
        let who = PeerKey(u64::from(peer % PEERS));
        let piece = geometry.piece(u32::from(number) % geometry.pieces()).expect("a piece of it");
        match operation % 12 {
            0 => {
                if let Some(pieces) = books.peers.remove(&who) {
                    let asked: Vec<Block> = books.asked.remove(&who).unwrap_or_default().into_iter().collect();
                    picker.peer_gone(who, &asked);
                    picker.peer_left(&pieces);
                } else {
                    let mut pieces = Bitfield::none(geometry.pieces());
                    for number in
                        (0..geometry.pieces()).filter(|n| number == u8::MAX || (n * 7 + u32::from(number)) % 3 == 0)
                    {
                        pieces.insert(number);
                    }
                    picker.peer_joined(&pieces);
                    books.peers.insert(who, pieces);
                }
            }
            1 => {
                if let Some(pieces) = books.peers.get_mut(&who)
                    && pieces.insert(piece.get())
                {
                    picker.peer_gained(piece);
                }
            }
            2..=4 => pick(&mut picker, &mut books, now, who, step),
            5..=7 => {
                let asked = books.asked.entry(who).or_default();
                let Some(&block) = asked.iter().nth(usize::from(number) % asked.len().max(1)) else { continue };
                asked.remove(&block);
                if let Received::New { piece_full, also_asked } = picker.received(who, block) {
                    for other in also_asked {
                        assert!(
                            books.asked.get_mut(&other).is_some_and(|blocks| blocks.remove(&block)),
                            "it was asked"
                        );
                    }
                    if piece_full {
                        books.full.insert(block.piece());
                    }
                }
            }
            8 => {
                let asked = books.asked.entry(who).or_default();
                if let Some(block) = asked.pop_first() {
                    picker.returned(who, block);
                }
            }
            9 => {
                let Some(piece) = books.full.pop_first() else { continue };
                if number % 3 == 0 { picker.piece_failed(piece, Vec::new()) } else { picker.piece_passed(piece) }
            }
            10 => {
                let level = Priority::new(number % 8).expect("below 8");
                let piece = geometry.piece(u32::from(peer) % geometry.pieces()).expect("a piece of it");
                if level == Priority::SKIP {
                    books.skipped.insert(piece)
                } else {
                    books.skipped.remove(&piece)
                };
                picker.set_priority(piece, level);
            }
            _ => now = now + Duration::from_secs(u64::from(number)),
        }
        assert_eq!(picker.missing_bytes(), books.missing(picker.have()));
    }
}

fn pick(picker: &mut Picker, books: &mut Books, now: Time, who: PeerKey, step: &[u8]) {
    let Some(pieces) = books.peers.get(&who).cloned() else { return };
    let end_game = |picker: &Picker| picker.end_game();
    let was_end_game = end_game(picker);
    let ask = PickAsk { count: 1 + u32::from(step[2] % 16), fast: step[2] > 127, ..PickAsk::default() };
    let mut picked = Vec::new();
    picker.pick(now, who, &pieces, ask, &mut picked);
    assert!(picked.len() as u32 <= ask.count);
    for block in picked {
        assert!(pieces.get(block.piece().get()) && picker.wants(block.piece()));
        assert!(!books.asked.get(&who).is_some_and(|blocks| blocks.contains(&block)), "twice of one peer");
        let others = books.askers(block);
        assert!(others == 0 || was_end_game || end_game(picker), "twice outside the end game");
        books.asked.entry(who).or_default().insert(block);
    }
}
