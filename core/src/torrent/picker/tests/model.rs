//! A naive twin of the picker: every set written out, every question answered by looking at everything.
//!
//! It does not foretell picks (ties are random); it judges each one.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const PIECES: u32 = 12;
const PEERS: u64 = 5;

#[derive(Clone, Debug)]
enum Op {
    Join(u64, u16),
    Leave(u64),
    Gain(u64, u32),
    Lose(u64, u32),
    Pick { peer: u64, count: u32, fast: bool, only: Option<u32>, suggested: u32 },
    Receive(u64, usize),
    Late(u64, u32, u32),
    Return(u64, usize),
    Choke(u64),
    Verify(bool),
    WriteFailed(u32, u32),
    Damaged(u32),
    Priority(u32, u8),
    Urgent(u32, Option<u64>),
    Sequential(bool),
    Wait(u64),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let peer = 0..PEERS;
    let piece = 0..PIECES;
    let op = prop_oneof![
        3 => (peer.clone(), any::<u16>()).prop_map(|(peer, bits)| Op::Join(peer, bits)),
        1 => peer.clone().prop_map(|peer| Op::Join(peer, u16::MAX)),
        1 => peer.clone().prop_map(Op::Leave),
        2 => (peer.clone(), piece.clone()).prop_map(|(peer, piece)| Op::Gain(peer, piece)),
        1 => (peer.clone(), piece.clone()).prop_map(|(peer, piece)| Op::Lose(peer, piece)),
        12 => (peer.clone(), 0u32..12, any::<bool>(), proptest::option::weighted(0.1, piece.clone()), piece.clone())
            .prop_map(|(peer, count, fast, only, suggested)| Op::Pick { peer, count, fast, only, suggested }),
        16 => (peer.clone(), any::<usize>()).prop_map(|(peer, at)| Op::Receive(peer, at)),
        1 => (peer.clone(), piece.clone(), 0u32..4).prop_map(|(peer, piece, block)| Op::Late(peer, piece, block)),
        2 => (peer.clone(), any::<usize>()).prop_map(|(peer, at)| Op::Return(peer, at)),
        1 => peer.prop_map(Op::Choke),
        5 => proptest::bool::weighted(0.6).prop_map(Op::Verify),
        1 => (piece.clone(), 0u32..4).prop_map(|(piece, block)| Op::WriteFailed(piece, block)),
        1 => piece.clone().prop_map(Op::Damaged),
        2 => (piece.clone(), 0u8..8).prop_map(|(piece, priority)| Op::Priority(piece, priority)),
        1 => (piece, proptest::option::of(0u64..20)).prop_map(|(piece, deadline)| Op::Urgent(piece, deadline)),
        1 => any::<bool>().prop_map(Op::Sequential),
        1 => (0u64..80).prop_map(Op::Wait),
    ];
    proptest::collection::vec(op, 1..150)
}

#[derive(Clone, Default, Debug)]
struct Cell {
    asked: Vec<u64>,
    got: Option<u64>,
}

impl Cell {
    fn is_free(&self) -> bool {
        self.asked.is_empty() && self.got.is_none()
    }
}

struct Model {
    geometry: Geometry,
    exact: bool,
    cap: usize,
    have: BTreeSet<u32>,
    priority: BTreeMap<u32, u8>,
    urgent: BTreeSet<u32>,
    sequential: bool,
    cells: BTreeMap<Block, Cell>,
    /// Who sent the last failed version, while the piece has not passed.
    suspects: BTreeMap<u32, BTreeSet<u64>>,
    peers: BTreeMap<u64, BTreeSet<u32>>,
}

impl Model {
    fn wants(&self, piece: u32) -> bool {
        self.priority[&piece] > 0 && !self.have.contains(&piece)
    }

    fn availability(&self, piece: u32) -> u32 {
        self.peers.values().filter(|pieces| pieces.contains(&piece)).count() as u32
    }

    fn blocks(&self, piece: u32) -> impl Iterator<Item = (&Block, &Cell)> + '_ {
        self.cells.iter().filter(move |(block, _)| block.piece().get() == piece)
    }

    fn is_idle(&self, piece: u32) -> bool {
        self.blocks(piece).all(|(_, cell)| cell.is_free()) && !self.suspects.contains_key(&piece)
    }

    fn wanted_free(&self) -> bool {
        self.cells.iter().any(|(block, cell)| cell.is_free() && self.wants(block.piece().get()))
    }

    fn outstanding(&self, peer: u64) -> Vec<Block> {
        self.cells.iter().filter(|(_, cell)| cell.asked.contains(&peer)).map(|(&block, _)| block).collect()
    }

    fn full(&self) -> Option<u32> {
        (0..PIECES).find(|&p| !self.have.contains(&p) && self.blocks(p).all(|(_, cell)| cell.got.is_some()))
    }

    fn reset(&mut self, piece: u32) {
        for (block, cell) in &mut self.cells {
            if block.piece().get() == piece {
                *cell = Cell::default();
            }
        }
    }

    /// Judges one block of an answer, then books it.
    fn judge(&mut self, peer: u64, block: Block, steered: bool) {
        let piece = block.piece().get();
        let theirs = self.peers[&peer].clone();
        assert!(self.geometry.is_standard(block));
        assert!(self.wants(piece), "{block:?} is not wanted");
        assert!(theirs.contains(&piece), "{block:?} is not the peer's");
        if self.suspects.get(&piece).is_some_and(|suspects| suspects.contains(&peer)) {
            let others = self.blocks(piece).flat_map(|(_, cell)| cell.asked.iter()).any(|&other| other != peer);
            assert!(!others, "a suspect shares {piece}");
            // It is asked for the whole: what others sent is given up.
            for (other, cell) in &mut self.cells {
                if other.piece().get() == piece && cell.got.is_some_and(|sender| sender != peer) {
                    cell.got = None;
                }
            }
        }
        let cell = &self.cells[&block];
        assert!(cell.got.is_none(), "{block:?} is here");
        assert!(!cell.asked.contains(&peer), "{block:?} twice of the same peer");
        if !cell.asked.is_empty() {
            assert!(!self.wanted_free(), "{block:?} twice outside the end game");
            assert!(cell.asked.len() < self.cap, "{block:?} too often");
        } else if !steered {
            let level = self.priority[&piece];
            let open = |p: u32| !self.suspects.contains_key(&p) && theirs.contains(&p) && self.wants(p);
            for (other, cell) in &self.cells {
                let p = other.piece().get();
                let above = open(p) && cell.is_free() && self.priority[&p] > level;
                assert!(!above, "{block:?} before {other:?} of a higher priority");
            }
            if self.sequential && !self.suspects.contains_key(&piece) {
                for (other, cell) in &self.cells {
                    let p = other.piece().get();
                    let earlier = p < piece && open(p) && cell.is_free() && self.priority[&p] == level;
                    assert!(!earlier, "{block:?} before {other:?}, which comes first");
                }
            }
            if self.is_idle(piece) && self.exact && !self.sequential {
                for p in (0..PIECES).filter(|&p| open(p) && self.is_idle(p) && self.priority[&p] == level) {
                    assert!(self.availability(piece) <= self.availability(p), "{piece} begun, {p} is rarer");
                }
            }
        }
        self.cells.get_mut(&block).unwrap().asked.push(peer);
    }

    /// A peer that got less than it asked for got all there was.
    fn judge_shortage(&self, peer: u64) {
        for (block, cell) in &self.cells {
            let piece = block.piece().get();
            if self.suspects.contains_key(&piece) || !self.peers[&peer].contains(&piece) || !self.wants(piece) {
                continue;
            }
            assert!(!cell.is_free(), "{block:?} was left over");
            let again = !self.wanted_free() && cell.got.is_none() && !cell.asked.contains(&peer);
            assert!(!again || cell.asked.len() >= self.cap, "{block:?} was left over in the end game");
        }
    }
}

fn bits(pieces: &BTreeSet<u32>) -> Bitfield {
    set(PIECES, &pieces.iter().copied().collect::<Vec<_>>())
}

/// Runs the operations, judges everything, then lets one more seed finish. Answers with all picks.
fn run(ops: &[Op], config: &PickConfig, exact: bool) -> Vec<Block> {
    // The last piece is short, and so is its last block.
    let geometry = Geometry::new(u64::from(PIECES - 1) * 65_536 + 40_000, 65_536).unwrap();
    let mut picker = empty(geometry, config);
    let mut model = Model {
        geometry,
        exact,
        cap: config.end_game_requesters as usize,
        have: BTreeSet::new(),
        priority: (0..PIECES).map(|piece| (piece, 4)).collect(),
        urgent: BTreeSet::new(),
        sequential: false,
        cells: geometry
            .iter()
            .flat_map(|piece| geometry.blocks_of(piece).collect::<Vec<_>>())
            .map(|block| (block, Cell::default()))
            .collect(),
        suspects: BTreeMap::new(),
        peers: BTreeMap::new(),
    };
    let mut now = Time::ZERO;
    let mut all_picks = Vec::new();
    for op in ops {
        step(op, &mut picker, &mut model, &mut now, &mut all_picks);
        picker.assert_consistent();
        let (mut missing, mut wanted) = (0, 0);
        for piece in geometry.iter() {
            assert_eq!(picker.availability(piece), model.availability(piece.get()), "{piece}");
            assert_eq!(picker.wants(piece), model.wants(piece.get()), "{piece}");
            assert_eq!(picker.have().get(piece.get()), model.have.contains(&piece.get()));
            let senders: Vec<_> = model
                .blocks(piece.get())
                .filter_map(|(block, cell)| Some((block.number(), PeerKey(cell.got?))))
                .collect();
            if !model.have.contains(&piece.get()) {
                assert_eq!(picker.senders(piece), senders, "{piece}");
            }
            missing += if model.wants(piece.get()) { u64::from(geometry.length(piece)) } else { 0 };
            wanted += if model.priority[&piece.get()] > 0 { u64::from(geometry.length(piece)) } else { 0 };
        }
        assert_eq!(picker.wanted_bytes(), wanted);
        assert_eq!(picker.missing_bytes(), missing);
        assert_eq!(picker.end_game(), missing > 0 && !model.wanted_free());
    }
    finish(&mut picker, &mut model, now, &mut all_picks);
    all_picks
}

fn step(op: &Op, picker: &mut Picker, model: &mut Model, now: &mut Time, all_picks: &mut Vec<Block>) {
    let geometry = model.geometry;
    let piece_at = |number: u32| geometry.piece(number).unwrap();
    match *op {
        Op::Join(peer, mask) => {
            if model.peers.contains_key(&peer) {
                return;
            }
            let pieces: BTreeSet<u32> = (0..PIECES).filter(|piece| mask >> piece & 1 == 1).collect();
            picker.peer_joined(&bits(&pieces));
            model.peers.insert(peer, pieces);
        }
        Op::Leave(peer) => {
            let Some(pieces) = model.peers.get(&peer).cloned() else { return };
            let outstanding = model.outstanding(peer);
            picker.peer_gone(PeerKey(peer), &outstanding);
            picker.peer_left(&bits(&pieces));
            model.peers.remove(&peer);
            for block in outstanding {
                model.cells.get_mut(&block).unwrap().asked.retain(|&other| other != peer);
            }
        }
        Op::Gain(peer, piece) => {
            if model.peers.get_mut(&peer).is_some_and(|pieces| pieces.insert(piece)) {
                picker.peer_gained(piece_at(piece));
            }
        }
        Op::Lose(peer, piece) => {
            if !model.peers.get_mut(&peer).is_some_and(|pieces| pieces.remove(&piece)) {
                return;
            }
            picker.peer_lost(piece_at(piece));
            for block in model.outstanding(peer).into_iter().filter(|block| block.piece().get() == piece) {
                picker.returned(PeerKey(peer), block);
                model.cells.get_mut(&block).unwrap().asked.retain(|&other| other != peer);
            }
        }
        Op::Pick { peer, count, fast, only, suggested } => {
            let Some(pieces) = model.peers.get(&peer).cloned() else { return };
            let only: Option<Vec<_>> = only.map(|piece| vec![piece_at(piece)]);
            let suggested = [piece_at(suggested)];
            let ask = PickAsk { count, only: only.as_deref(), fast, suggested: &suggested, ..PickAsk::default() };
            let mut picked = Vec::new();
            picker.pick(*now, PeerKey(peer), &bits(&pieces), ask, &mut picked);
            assert!(picked.len() <= count as usize);
            for &block in &picked {
                let piece = block.piece();
                let suggested = suggested.contains(&piece) && !model.sequential;
                let steered = only.is_some() || suggested || model.urgent.contains(&piece.get());
                assert!(only.as_ref().is_none_or(|only| only.contains(&piece)));
                model.judge(peer, block, steered);
            }
            if picked.len() < count as usize && only.is_none() {
                model.judge_shortage(peer);
            }
            all_picks.extend(picked);
        }
        Op::Receive(peer, at) => {
            let outstanding = model.outstanding(peer);
            if outstanding.is_empty() {
                return;
            }
            receive(picker, model, peer, outstanding[at % outstanding.len()]);
        }
        Op::Late(peer, piece, block) => {
            let Some(block) = geometry.nth_block(piece_at(piece), block) else { return };
            let cell = &model.cells[&block];
            if model.have.contains(&piece) || cell.got.is_some() {
                assert_eq!(picker.received(PeerKey(peer), block), Received::Duplicate);
            } else if cell.asked.contains(&peer) {
                receive(picker, model, peer, block);
            } else if model.suspects.contains_key(&piece) || !model.wants(piece) {
                assert_eq!(picker.received(PeerKey(peer), block), Received::Unwanted);
            } else {
                receive(picker, model, peer, block);
            }
        }
        Op::Return(peer, at) => {
            let outstanding = model.outstanding(peer);
            if outstanding.is_empty() {
                return;
            }
            let block = outstanding[at % outstanding.len()];
            picker.returned(PeerKey(peer), block);
            model.cells.get_mut(&block).unwrap().asked.retain(|&other| other != peer);
        }
        Op::Choke(peer) => {
            for block in model.outstanding(peer) {
                picker.returned(PeerKey(peer), block);
                model.cells.get_mut(&block).unwrap().asked.retain(|&other| other != peer);
            }
        }
        Op::Verify(passes) => {
            let Some(piece) = model.full() else { return };
            if passes {
                pass(picker, model, piece);
            } else {
                picker.piece_failed(piece_at(piece), Vec::new());
                let suspects = model.blocks(piece).filter_map(|(_, cell)| cell.got).collect();
                model.suspects.insert(piece, suspects);
                model.reset(piece);
            }
        }
        Op::WriteFailed(piece, block) => {
            let Some(block) = geometry.nth_block(piece_at(piece), block) else { return };
            picker.write_failed(block);
            if !model.have.contains(&piece) {
                model.cells.get_mut(&block).unwrap().got = None;
            }
        }
        Op::Damaged(piece) => {
            picker.piece_lost(piece_at(piece));
            if model.have.remove(&piece) {
                model.reset(piece);
            }
        }
        Op::Priority(piece, priority) => {
            picker.set_priority(piece_at(piece), Priority::new(priority).unwrap());
            model.priority.insert(piece, priority);
        }
        Op::Urgent(piece, deadline) => {
            picker.set_urgent(piece_at(piece), deadline.map(Time::from_secs));
            match deadline {
                Some(_) if !model.have.contains(&piece) => model.urgent.insert(piece),
                _ => model.urgent.remove(&piece),
            };
        }
        Op::Sequential(on) => {
            picker.set_sequential(on);
            model.sequential = on;
        }
        Op::Wait(seconds) => *now = *now + Duration::from_secs(seconds),
    }
}

fn receive(picker: &mut Picker, model: &mut Model, peer: u64, block: Block) {
    if !model.wants(block.piece().get()) {
        // It was asked for before its piece was skipped.
        assert_eq!(picker.received(PeerKey(peer), block), Received::Unwanted);
        return model.cells.get_mut(&block).unwrap().asked.retain(|&other| other != peer);
    }
    let cell = model.cells.get_mut(&block).unwrap();
    let others: BTreeSet<_> = cell.asked.drain(..).filter(|&other| other != peer).map(PeerKey).collect();
    cell.got = Some(peer);
    let Received::New { piece_full, also_asked } = picker.received(PeerKey(peer), block) else {
        panic!("{block:?} was missing");
    };
    assert_eq!(also_asked.into_iter().collect::<BTreeSet<_>>(), others);
    let piece = block.piece().get();
    assert_eq!(piece_full, model.blocks(piece).all(|(_, cell)| cell.got.is_some()));
}

fn pass(picker: &mut Picker, model: &mut Model, piece: u32) {
    picker.piece_passed(model.geometry.piece(piece).unwrap());
    model.have.insert(piece);
    model.suspects.remove(&piece);
    model.urgent.remove(&piece);
}

/// Everybody answers all that is asked, everything passes, and one more seed is there: it must end.
fn finish(picker: &mut Picker, model: &mut Model, mut now: Time, all_picks: &mut Vec<Block>) {
    const SEED: u64 = 99;
    let join = Op::Join(SEED, u16::MAX);
    step(&join, picker, model, &mut now, all_picks);
    for _ in 0..200 {
        // An owner that stopped asking keeps its piece as long as patience lasts.
        now = now + Duration::from_secs(1);
        while let Some(piece) = model.full() {
            pass(picker, model, piece);
        }
        if picker.missing_bytes() == 0 {
            return;
        }
        let pick = Op::Pick { peer: SEED, count: 5, fast: true, only: None, suggested: 0 };
        step(&pick, picker, model, &mut now, all_picks);
        for peer in (0..PEERS).chain([SEED]) {
            for block in model.outstanding(peer) {
                receive(picker, model, peer, block);
            }
        }
    }
    panic!("{} bytes are missing after 200 rounds", picker.missing_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_pick_is_one_that_the_naive_twin_allows(ops in ops()) {
        run(&ops, &rarest_first(), true);
    }

    #[test]
    fn the_same_holds_with_random_first_pieces_and_with_hints_instead_of_the_order(ops in ops()) {
        run(&ops, &PickConfig { scan: 1, ..PickConfig::default() }, false);
    }

    #[test]
    fn the_same_calls_give_the_same_picks(ops in ops()) {
        let config = PickConfig { scan: 2, ..PickConfig::default() };
        prop_assert_eq!(run(&ops, &config, false), run(&ops, &config, false));
    }
}
