//! The machine by hand: peers are numbers, and what they send is made here.

use super::*;
use core::time::Duration;
use std::vec;

const A: PeerKey = PeerKey(1);
const B: PeerKey = PeerKey(2);
const C: PeerKey = PeerKey(3);

/// A dictionary of so many bytes, no two blocks of it alike.
fn info(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at / 16_384 * 7 + at % 251) as u8).collect()
}

fn block(info: &[u8], piece: u32) -> Bytes {
    let begin = piece as usize * 16_384;
    Bytes::copy_from_slice(&info[begin..info.len().min(begin + 16_384)])
}

struct Stage {
    fetch: MetadataFetch,
    config: MetadataConfig,
    now: Time,
}

impl Stage {
    fn of(info: &[u8]) -> Stage {
        let hashes = InfoHashes { v1: Some(Sha1::digest(info).into()), v2: None };
        Stage { fetch: MetadataFetch::new(hashes), config: MetadataConfig::default(), now: Time::from_secs(1) }
    }

    fn meet(&mut self, peer: PeerKey, size: u32) {
        self.fetch.introduced(self.now, &self.config, peer, true, Some(size));
    }

    fn asks(&mut self) -> Vec<(PeerKey, u32)> {
        core::iter::from_fn(|| self.fetch.next_request(self.now, &self.config)).take(1000).collect()
    }

    fn give(&mut self, peer: PeerKey, piece: u32, of: &[u8]) {
        let data = block(of, piece);
        self.fetch.data(self.now, &self.config, peer, piece, Some(of.len() as u32), &data);
    }

    /// What was said, but for progress.
    fn heard(&mut self) -> Vec<MetadataSaid> {
        core::iter::from_fn(|| self.fetch.said())
            .filter(|said| !matches!(said, MetadataSaid::Progress { .. }))
            .collect()
    }

    /// Lets time go on to the next deadline.
    fn wait(&mut self) {
        let due = self.fetch.deadline(&self.config).expect("something is due");
        assert!(due > self.now, "a deadline lies ahead");
        self.now = due;
        self.fetch.tick(self.now, &self.config);
    }

    /// Everybody answers what is asked, `of` saying with what; until nothing is asked any more.
    fn run(&mut self, of: impl Fn(PeerKey) -> Vec<u8>) -> Vec<MetadataSaid> {
        let mut heard = Vec::new();
        for _ in 0..1000 {
            let asks = self.asks();
            if asks.is_empty() {
                break;
            }
            for (peer, piece) in asks {
                self.give(peer, piece, &of(peer));
            }
            heard.extend(self.heard());
        }
        heard
    }
}

#[test]
fn one_peer_has_it_asked_in_order_and_a_few_at_a_time() {
    let info = info(100_000);
    let mut stage = Stage::of(&info);
    stage.meet(A, 100_000);
    assert_eq!(stage.asks(), [(A, 0), (A, 1), (A, 2), (A, 3)]);
    stage.give(A, 1, &info);
    assert_eq!(stage.asks(), [(A, 4)]);
    for piece in [0, 2, 3, 4] {
        stage.give(A, piece, &info);
    }
    assert_eq!(stage.asks(), [(A, 5), (A, 6)]);
    assert_eq!(stage.fetch.progress(), Some((81_920, 100_000)));
    stage.give(A, 6, &info);
    stage.give(A, 5, &info);
    assert_eq!(stage.heard(), [MetadataSaid::Complete(Bytes::from(info))]);
    assert_eq!(stage.fetch.held_bytes(), 0);
}

#[test]
fn requests_are_spread_over_all_that_claim_the_size() {
    let info = info(16_384 * 9);
    let mut stage = Stage::of(&info);
    for peer in [A, B, C] {
        stage.meet(peer, 16_384 * 9);
    }
    let mut asks = stage.asks();
    assert_eq!(asks.len(), 9);
    for peer in [A, B, C] {
        assert_eq!(asks.iter().filter(|(asked, _)| *asked == peer).count(), 3);
    }
    asks.sort_by_key(|&(_, piece)| piece);
    assert!(asks.iter().map(|&(_, piece)| piece).eq(0..9), "no block is asked for twice");
}

#[test]
fn a_block_that_does_not_come_is_asked_of_another_and_then_not_waited_for() {
    let info = info(20_000);
    let mut stage = Stage::of(&info);
    stage.meet(A, 20_000);
    assert_eq!(stage.asks(), [(A, 0), (A, 1)]);
    stage.meet(B, 20_000);
    assert_eq!(stage.asks(), []);
    stage.wait();
    assert_eq!(stage.now, Time::from_secs(3));
    assert_eq!(stage.asks(), [(B, 0), (B, 1)], "nobody else is asked while two owe it");
    stage.wait();
    stage.wait();
    assert_eq!(stage.now, Time::from_secs(11), "the first is given up");
    stage.give(B, 0, &info);
    stage.give(A, 1, &info);
    assert_eq!(stage.heard(), [MetadataSaid::Complete(Bytes::from(info))], "what comes late is of use");
}

#[test]
fn who_rejects_rests_and_is_asked_again() {
    let info = info(20_000);
    let mut stage = Stage::of(&info);
    stage.meet(A, 20_000);
    for rest in [30, 60, 90] {
        assert_eq!(stage.asks(), [(A, 0), (A, 1)]);
        stage.fetch.rejected(stage.now, &stage.config, A, 0);
        stage.fetch.rejected(stage.now, &stage.config, A, 1);
        assert_eq!(stage.asks(), [], "two rejects at once are one");
        let before = stage.now;
        stage.wait();
        assert_eq!(stage.now.since(before), Duration::from_secs(rest));
    }
}

#[test]
fn a_peer_without_a_size_is_asked_when_nobody_else_can_be_and_its_answer_tells_it() {
    let info = info(20_000);
    let mut stage = Stage::of(&info);
    stage.fetch.introduced(stage.now, &stage.config, A, true, None);
    assert_eq!(stage.asks(), [(A, 0)]);
    stage.give(A, 0, &info);
    assert_eq!(stage.asks(), [(A, 0), (A, 1)], "what came before its size was known belonged to nothing");
    stage.give(A, 0, &info);
    stage.give(A, 1, &info);
    assert_eq!(stage.heard(), [MetadataSaid::Complete(Bytes::from(info))]);

    let mut stage = Stage::of(&[7; 20_000]);
    stage.meet(B, 20_000);
    stage.fetch.introduced(stage.now, &stage.config, A, true, None);
    assert_eq!(stage.asks(), [(B, 0), (B, 1)]);
}

#[test]
fn sizes_that_cannot_be_and_sizes_that_change_are_ignored() {
    let mut stage = Stage::of(&info(20_000));
    for size in [0, stage.config.max_size + 1, u32::MAX] {
        stage.fetch.introduced(stage.now, &stage.config, A, true, Some(size));
    }
    assert_eq!(stage.asks(), [(A, 0)], "it has named none");
    stage.fetch.rejected(stage.now, &stage.config, A, 0);
    stage.meet(A, 20_000);
    stage.meet(A, 16_384 * 4);
    assert_eq!(stage.asks(), [(A, 0), (A, 1)]);
}

#[test]
fn a_block_of_a_wrong_length_or_another_size_names_a_liar() {
    let info = info(20_000);
    for lie in 0..3 {
        let mut stage = Stage::of(&info);
        stage.meet(A, 20_000);
        assert_eq!(stage.asks().len(), 2);
        let (piece, total, data) = match lie {
            0 => (0, None, block(&info, 1)),
            1 => (0, Some(20_001), block(&info, 0)),
            _ => (5, None, block(&info, 0)),
        };
        stage.fetch.data(stage.now, &stage.config, A, piece, total, &data);
        assert_eq!(stage.heard(), [MetadataSaid::Liar(A)]);
        assert_eq!((stage.asks(), stage.fetch.deadline(&stage.config)), (vec![], None));
    }
}

#[test]
fn a_wrong_whole_from_one_peer_names_it_and_another_gives_the_right_one() {
    let info = info(40_000);
    let wrong = [1; 40_000].to_vec();
    let mut stage = Stage::of(&info);
    stage.meet(A, 40_000);
    assert_eq!(stage.run(|_| wrong.clone()), [MetadataSaid::Liar(A)]);
    stage.meet(B, 40_000);
    assert_eq!(stage.run(|_| info.clone()), [MetadataSaid::Complete(Bytes::from(info.clone()))]);
}

#[test]
fn of_several_senders_the_one_that_lied_is_found_out_and_nobody_else() {
    let info = info(16_384 * 6);
    let wrong: Vec<u8> = info.iter().map(|byte| byte ^ 1).collect();
    let mut stage = Stage::of(&info);
    for peer in [A, B, C] {
        stage.meet(peer, 16_384 * 6);
    }
    let mut heard = stage.run(|peer| if peer == B { wrong.clone() } else { info.clone() });
    let last = heard.pop();
    assert_eq!(last, Some(MetadataSaid::Complete(Bytes::from(info))));
    assert_eq!(heard, [MetadataSaid::Liar(B)]);
}

#[test]
fn a_wrong_size_does_not_bind_the_others_and_is_a_lie_in_the_end() {
    let info = info(30_000);
    let mut stage = Stage::of(&info);
    stage.meet(A, 60_000);
    stage.meet(B, 60_000);
    stage.meet(C, 30_000);
    let asks = stage.asks();
    assert_eq!(asks.iter().filter(|(peer, _)| *peer == C).count(), 2);
    stage.give(C, 0, &info);
    stage.give(C, 1, &info);
    assert_eq!(
        stage.heard(),
        [MetadataSaid::Liar(A), MetadataSaid::Liar(B), MetadataSaid::Complete(Bytes::from(info))]
    );
}

#[test]
fn more_sizes_than_are_collected_come_in_turn() {
    let info = info(30_000);
    let mut stage = Stage::of(&info);
    // Four liars of four sizes, who never answer, and behind them one who has it.
    for number in 0..4 {
        stage.meet(PeerKey(number), 50_000 + number as u32);
    }
    stage.meet(PeerKey(9), 30_000);
    let mut asked = BTreeSet::new();
    while !asked.contains(&PeerKey(9)) {
        asked.extend(stage.asks().into_iter().map(|(peer, _)| peer));
        assert!(stage.now < Time::from_secs(120), "it has had its turn by now");
        stage.wait();
    }
}

#[test]
fn a_slow_liar_alone_gives_way_to_who_waits() {
    let info = info(16_384 * 40);
    let wrong: Vec<u8> = info.iter().map(|byte| byte ^ 1).collect();
    let mut stage = Stage::of(&info);
    stage.config.alone_at_once = 1;
    stage.meet(A, info.len() as u32);
    stage.meet(B, info.len() as u32);
    stage.fetch.doubted.insert(info.len() as u32);
    let asked = stage.asks();
    assert!(asked.iter().all(|(peer, _)| *peer == A));
    // A block each five seconds: never late, never whole.
    let mut owed: VecDeque<u32> = asked.into_iter().map(|(_, piece)| piece).collect();
    while stage.now < Time::from_secs(120) {
        stage.now = stage.now + Duration::from_secs(2);
        let piece = owed.pop_front().expect("it owes one");
        stage.give(A, piece, &wrong);
        stage.fetch.tick(stage.now, &stage.config);
        let asked = stage.asks();
        if asked.iter().any(|(peer, _)| *peer == B) {
            assert!(stage.now <= Time::from_secs(70));
            return;
        }
        owed.extend(asked.into_iter().map(|(_, piece)| piece));
    }
    panic!("the other one never had its turn");
}

#[test]
fn who_is_gone_or_does_not_take_the_messages_any_more_is_not_asked() {
    let info = info(20_000);
    let mut stage = Stage::of(&info);
    stage.meet(A, 20_000);
    assert_eq!(stage.asks().len(), 2);
    stage.fetch.introduced(stage.now, &stage.config, A, false, None);
    assert_eq!((stage.asks(), stage.fetch.deadline(&stage.config)), (vec![], None));
    stage.meet(B, 20_000);
    assert_eq!(stage.asks(), [(B, 0), (B, 1)], "what the first owed is free");
}

#[test]
fn a_hybrid_goes_by_its_first_hash_and_a_v2_dictionary_by_its_own() {
    let info = info(100);
    let v1 = Sha1::digest(&info).into();
    let v2 = Sha256::digest(&info).into();
    let right = |v1, v2| MetadataFetch::is_right(&InfoHashes { v1, v2 }, &info);
    assert!(right(Some(v1), None) && right(Some(v1), Some([0; 32])) && right(None, Some(v2)));
    assert!(!right(Some([0; 20]), Some(v2)) && !right(None, Some([0; 32])) && !right(None, None));
}
