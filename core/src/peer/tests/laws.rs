//! What holds for every stream of bytes.

use super::*;
use crate::border::IoFault;
use proptest::collection::vec as many;
use proptest::prelude::*;

/// A message that an honest or a hostile peer may send, in the torrent of the tests.
fn message() -> impl Strategy<Value = Message> {
    let number = prop_oneof![8 => 0u32..40, 1 => any::<u32>()];
    let block = prop_oneof![
        6 => (0u32..40, 0u32..2).prop_map(|(piece, at)| range(piece, at * BLOCK_LENGTH, BLOCK_LENGTH)),
        1 => (any::<u32>(), any::<u32>(), any::<u32>()).prop_map(|(a, b, c)| range(a, b, c)),
        1 => (0u32..40, 0u32..40_000, 0u32..40_000).prop_map(|(a, b, c)| range(a, b, c)),
    ];
    prop_oneof![
        1 => Just(Message::KeepAlive),
        1 => Just(Message::Choke),
        3 => Just(Message::Unchoke),
        1 => Just(Message::Interested),
        1 => Just(Message::NotInterested),
        2 => number.clone().prop_map(Message::Have),
        1 => Just(Message::HaveAll),
        1 => Just(Message::HaveNone),
        1 => many(any::<u8>(), 4..6).prop_map(|bits| Message::Bitfield(bits.into())),
        3 => block.clone().prop_map(Message::Request),
        1 => block.clone().prop_map(Message::Cancel),
        1 => block.clone().prop_map(Message::Reject),
        5 => (0u32..6, 0u32..2, any::<u8>()).prop_map(|(piece, at, byte)| Message::Piece {
            piece,
            begin: at * BLOCK_LENGTH,
            data: vec![byte; BLOCK_LENGTH as usize].into(),
        }),
        1 => any::<u16>().prop_map(Message::Port),
        1 => number.clone().prop_map(Message::Suggest),
        1 => number.prop_map(Message::AllowedFast),
        1 => (0u8..5, many(any::<u8>(), 0..20)).prop_map(|(id, payload)| Message::Extended { id, payload: payload.into() }),
        1 => Just(Message::Extended { id: 0, payload: Bytes::from_static(b"d1:md11:upload_onlyi9ee1:pi1e4:reqqi7ee") }),
        1 => (any::<u8>(), many(any::<u8>(), 0..20)).prop_map(|(id, payload)| Message::Unknown { id, payload: payload.into() }),
    ]
}

/// A conversation as bytes, some of them wrong.
fn conversation() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![Just(Message::HaveAll), Just(Message::Bitfield(vec![0xff; 5].into()))];
    let wrong = many((any::<prop::sample::Index>(), any::<u8>()), 0..3);
    (any::<bool>(), first, many(message(), 0..30), prop_oneof![2 => Just(Vec::new()), 1 => wrong]).prop_map(
        |(fast, first, messages, wrong)| {
            let mut bytes = greeting(if fast { Reserved::OURS } else { Reserved::default() });
            bytes.extend(emitted(&[first, Message::Unchoke]));
            bytes.extend(emitted(&messages));
            for (at, byte) in wrong {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            bytes
        },
    )
}

/// What came of a conversation: what was said, what was sent, how it ended, and which bytes were content.
#[derive(Debug, PartialEq)]
struct Outcome {
    said: Vec<PeerSaid>,
    sent: Vec<u8>,
    closed: bool,
    outstanding: Vec<Block>,
    content: Vec<bool>,
}

/// Leads a conversation in pieces of these lengths (the last over and over), as a torrent would that asks for blocks.
fn lead(bytes: &[u8], lengths: &[usize]) -> Outcome {
    let mut held = Held::dial(World::seed(1));
    let (mut said, mut content) = (Vec::new(), Vec::new());
    let (mut rest, mut lengths) = (bytes, lengths.iter().copied().chain(std::iter::repeat(*lengths.last().unwrap())));
    while !rest.is_empty() {
        let (part, behind) = rest.split_at(lengths.next().unwrap().clamp(1, rest.len()));
        rest = behind;
        held.out.opaque.clear();
        // In the middle of an event's buffer, to see that the offset counts.
        held.call(|conn, cx, _| conn.feed(cx, Bytes::copy_from_slice(part), 1000));
        while let Some(one) = held.call(|conn, cx, facts| conn.step(cx, facts)) {
            if matches!(one, PeerSaid::Unchoked | PeerSaid::Block { .. }) {
                let wanted = (0..6).flat_map(|piece| [(piece, 0), (piece, 1)]).take(held.conn.room(held.now) as usize);
                for (piece, number) in wanted {
                    let block = held.world.block(piece, number);
                    held.call(|conn, cx, facts| conn.order(cx, facts, PeerOrder::Request(block)));
                }
            }
            said.push(one);
        }
        held.call(|conn, cx, _| conn.finish(cx));
        let mut is_content = vec![false; part.len()];
        for range in &held.out.opaque {
            for at in range.clone() {
                assert!(!std::mem::replace(&mut is_content[at as usize - 1000], true), "reported twice");
            }
        }
        content.extend(is_content);
    }
    Outcome {
        said,
        sent: stream(&held.out.list),
        closed: held.out.list.iter().any(|action| matches!(action, Action::Close { .. })),
        outstanding: held.conn.outstanding().collect(),
        content,
    }
}

/// The same words with the content of blocks made 0.
fn without_content(said: &[PeerSaid]) -> Vec<PeerSaid> {
    let zeroed = |one: &PeerSaid| match one {
        PeerSaid::Block { block, bytes } => PeerSaid::Block { block: *block, bytes: vec![0; bytes.len()].into() },
        other => other.clone(),
    };
    said.iter().map(zeroed).collect()
}

#[derive(Clone, Debug)]
enum Op {
    Hear(Vec<Message>),
    Garbage(Vec<u8>),
    Order(u8, u32),
    Read,
    Loaded(bool),
    Flushed,
    Wait(u64),
    Hold(bool),
    Lost,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => many(message(), 1..6).prop_map(Op::Hear),
        1 => many(any::<u8>(), 0..9).prop_map(Op::Garbage),
        12 => (0u8..7, 0u32..12).prop_map(|(kind, number)| Op::Order(kind, number)),
        4 => Just(Op::Read),
        4 => any::<bool>().prop_map(Op::Loaded),
        2 => Just(Op::Flushed),
        2 => (0u64..70).prop_map(Op::Wait),
        1 => any::<bool>().prop_map(Op::Hold),
        1 => Just(Op::Lost),
    ]
}

/// Every request of a fast peer, and what has become of it.
#[derive(Default)]
struct Ledger {
    asked: u32,
    answered: u32,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any split of the same bytes gives the same words, the same bytes to send, and the same ranges of content.
    #[test]
    fn a_split_changes_nothing(bytes in conversation(), lengths in many(1usize..40_000, 1..20)) {
        let whole = lead(&bytes, &[bytes.len()]);
        prop_assert_eq!(&lead(&bytes, &lengths), &whole);
        prop_assert_eq!(&lead(&bytes, &[1]), &whole);
    }

    /// With zeros where the content was, everything else is the same.
    #[test]
    fn zeroed_holes_change_nothing(bytes in conversation(), length in 1usize..40_000) {
        let whole = lead(&bytes, &[length]);
        let holes: Vec<u8> = bytes.iter().zip(&whole.content).map(|(&byte, &hole)| if hole { 0 } else { byte }).collect();
        let zeroed = lead(&holes, &[length]);
        prop_assert_eq!(without_content(&zeroed.said), without_content(&whole.said));
        prop_assert_eq!((zeroed.sent, zeroed.closed, zeroed.content), (whole.sent, whole.closed, whole.content));
    }

    /// Whatever happens: no panic, limits hold, each request of a fast peer is answered at most once and at last.
    #[test]
    fn any_course_of_events_keeps_the_rules(fast in any::<bool>(), ops in many(op(), 0..80)) {
        let mut held = Held::dial(World::seed(1));
        held.bytes(&greeting(if fast { Reserved::OURS } else { Reserved::default() }));
        held.hears_one(Message::Bitfield(vec![0xff; 5].into()));
        let mut reading = Vec::new();
        let mut ledger = Ledger::default();
        let mut ended = 0;
        for op in ops {
            let was_open = held.conn.is_ready();
            let said = match op {
                Op::Hear(messages) => {
                    let mut said = Vec::new();
                    // One at a time, so that it is known which were read before the end.
                    for message in messages {
                        ledger.asked += u32::from(held.conn.is_ready() && matches!(message, Message::Request(_)));
                        said.extend(held.hears_one(message));
                    }
                    said
                }
                Op::Garbage(bytes) if bytes.is_empty() => held.steps(),
                // Anything may be in it, a request too: the ledger is closed with the connection.
                Op::Garbage(bytes) => {
                    let mut said = held.bytes(&bytes);
                    held.order(PeerOrder::Close(CloseReason::Stopped));
                    said.extend(held.steps());
                    said
                }
                Op::Order(kind, number) => {
                    let (piece, block) = (held.world.piece(number), held.world.block(number, number % 2));
                    held.order(match kind {
                        0 | 1 => PeerOrder::Request(block),
                        2 => PeerOrder::Cancel(block),
                        3 => PeerOrder::Have(piece),
                        4 => PeerOrder::Choke,
                        5 => PeerOrder::Unchoke,
                        _ => PeerOrder::Interested(number % 2 == 0),
                    });
                    Vec::new()
                }
                Op::Read => {
                    reading.extend(held.conn.next_read(1 << 16));
                    Vec::new()
                }
                Op::Loaded(works) => {
                    if let Some(run) = reading.pop() {
                        let data = if works { Ok(vec![0; run.length as usize].into()) } else { Err(IoFault::Device) };
                        held.call(|conn, cx, facts| conn.loaded(cx, facts, run, data));
                    }
                    held.steps()
                }
                Op::Flushed => {
                    held.call(|conn, cx, _| conn.flushed(cx, 20_000));
                    Vec::new()
                }
                Op::Wait(seconds) => held.wait(seconds),
                Op::Hold(hold) => {
                    held.conn.hold_reading(hold);
                    held.steps()
                }
                Op::Lost => {
                    held.conn.lost(None);
                    held.steps()
                }
            };
            ended += said.iter().filter(|one| matches!(one, PeerSaid::Closing(_))).count();
            prop_assert!(ended <= 1, "ended twice");
            prop_assert!(was_open || said.is_empty(), "spoke after the end: {:?}", said);
            prop_assert_eq!(held.conn.is_closed(), ended == 1);
            for message in held.sent() {
                ledger.answered += u32::from(matches!(message, Message::Piece { .. } | Message::Reject(_)));
            }
            if held.conn.is_ready() {
                let config = &held.world.config.peer;
                prop_assert!(held.conn.requests_out() <= config.depth_max.min(config.default_reqq));
                prop_assert!(held.conn.requests_in() <= config.reqq);
                prop_assert!(held.conn.allowed_fast().len() <= config.max_allowed_fast as usize);
                prop_assert!(held.conn.deadline().is_some_and(|at| at > held.now), "a deadline that is past and undone");
                if fast {
                    prop_assert_eq!(ledger.asked, ledger.answered + held.conn.requests_in());
                } else {
                    prop_assert!(ledger.answered + held.conn.requests_in() <= ledger.asked);
                }
            }
        }
    }

    /// Bytes that follow no protocol at all.
    #[test]
    fn garbage_never_panics(bytes in many(any::<u8>(), 0..300), greeted in any::<bool>(), length in 1usize..50) {
        let mut held = Held::dial(World::seed(1));
        if greeted {
            held.bytes(&greeting(Reserved::OURS));
        }
        for part in bytes.chunks(length) {
            held.bytes(part);
        }
    }
}
