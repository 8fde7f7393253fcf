//! Oracle 29: twice as many pieces or peers make at most twice the work for a message, of every type.
//!
//! Work is counted in what is the same on every machine: allocations, bytes allocated, actions, bytes to be sent. What only reads
//! memory is not seen by it; the benches of the core show that, by instructions.

use allocation_counter::measure;
use bytes::{Bytes, BytesMut};
use parcacik_core::border::{
    Action, Actions, AddTorrent, Command, CommandId, Config, Event, InfoHash, JobResult, PeerId, RootId, SocketId,
    TcpId, Verdict, Work,
};
use parcacik_core::rng::Seeds;
use parcacik_core::session::Session;
use parcacik_core::time::Time;
use parcacik_core::wire::{BlockRange, Handshake, Message, Reserved};
use parcacik_testkit::Content;

/// Messages of each type.
const MESSAGES: u32 = 200;

struct Rig {
    session: Session,
    actions: Actions,
    now: Time,
}

impl Rig {
    fn new(content: &Content, peers: u32, whole: bool) -> Rig {
        let session = Session::new(Config::default(), Seeds::for_tests(1)).expect("the defaults are good");
        let mut rig = Rig { session, actions: Actions::new(), now: Time::from_secs(1) };
        let mut add = AddTorrent::new(content.metainfo.clone(), RootId(0));
        add.seed_only = whole;
        rig.tell(Event::Command { id: CommandId(1), command: Command::Add(Box::new(add)) }, content, whole);
        for number in 0..peers {
            rig.accept(number, content);
        }
        rig
    }

    /// Tells the session, and does the work that it orders.
    fn tell(&mut self, event: Event, content: &Content, whole: bool) {
        let mut todo = vec![event];
        while let Some(event) = todo.pop() {
            self.actions.clear();
            self.session.handle(self.now, event, &mut self.actions);
            for action in self.actions.list.drain(..) {
                let Action::Start { job, work } = action else { continue };
                let file = |length| parcacik_core::border::FileState { length, modified: 1 };
                let result = match work {
                    Work::Load { .. } => JobResult::Loaded(vec![]),
                    Work::Check { .. } | Work::Sync { .. } => JobResult::Checked {
                        files: vec![whole.then(|| file(content.bytes.len() as u64))],
                        part: None,
                        free: None,
                    },
                    Work::Verify { .. } => JobResult::Verified(Verdict { matches: whole, blocks: vec![] }),
                    _ => JobResult::Done,
                };
                todo.push(Event::JobDone { job, result: Ok(result) });
            }
        }
    }

    fn accept(&mut self, number: u32, content: &Content) {
        let tcp = TcpId(u64::from(number));
        let remote = ([45, (number / 200) as u8, (number % 200) as u8, 1], 2).into();
        let mut id = [7; 20];
        id[..4].copy_from_slice(&number.to_be_bytes());
        self.session.handle(
            self.now,
            Event::Accepted { sock: SocketId(1), tcp, local: ([10, 0, 0, 1], 1).into(), remote },
            &mut self.actions,
        );
        let info_hash = InfoHash(content.info_hash);
        let mut bytes =
            BytesMut::from(&Handshake { reserved: Reserved::OURS, info_hash, peer_id: PeerId(id) }.emit()[..]);
        Message::HaveNone.emit(&mut bytes);
        self.hear(number, bytes.freeze());
    }

    /// How much a peer's bytes make the session order, in actions and bytes to be sent.
    fn hear(&mut self, number: u32, bytes: Bytes) -> u64 {
        self.actions.clear();
        self.session.handle(self.now, Event::Received { tcp: TcpId(u64::from(number)), bytes }, &mut self.actions);
        let sent = |action: &Action| match action {
            Action::Send { bytes, .. } | Action::SendContent { bytes, .. } => bytes.len() as u64,
            _ => 0,
        };
        self.actions.list.len() as u64 + self.actions.list.iter().map(sent).sum::<u64>()
    }
}

/// A type of message: its name, whether we have to be whole for it, and the `number`-th of many.
type Kind = (&'static str, bool, Box<dyn Fn(u32) -> Message>);

fn messages(pieces: u32) -> Vec<Kind> {
    let range = |number: u32| BlockRange { piece: number, begin: 0, length: 16 };
    let bits = move |_: u32| {
        let mut bits = vec![0; pieces.div_ceil(8) as usize];
        bits[0] = 0x80;
        Message::Bitfield(bits.into())
    };
    let payload =
        |_: u32| Message::Extended { id: 0, payload: b"d1:md11:ut_metadatai3ee4:reqqi100ee".as_slice().into() };
    vec![
        ("keep-alive", false, Box::new(|_| Message::KeepAlive)),
        ("have", false, Box::new(Message::Have)),
        ("interested", true, Box::new(|n| if n % 2 == 0 { Message::Interested } else { Message::NotInterested })),
        ("choke", false, Box::new(|n| if n % 2 == 0 { Message::Unchoke } else { Message::Choke })),
        ("bitfield", false, Box::new(bits)),
        ("request", true, Box::new(move |n| Message::Request(range(n)))),
        ("cancel", true, Box::new(move |n| Message::Cancel(range(n)))),
        ("suggest", false, Box::new(Message::Suggest)),
        ("allowed fast", false, Box::new(Message::AllowedFast)),
        ("extended", false, Box::new(payload)),
        ("unknown", false, Box::new(|_| Message::Unknown { id: 99, payload: Bytes::new() })),
    ]
}

/// What `MESSAGES` of a type cost: allocations, bytes allocated, actions and bytes to be sent.
fn cost(pieces: u32, peers: u32, which: usize) -> [u64; 3] {
    let content = Content::new("linear", pieces as usize * 16, 16, 3);
    let all = messages(pieces);
    let (_, whole, message) = &all[which];
    let mut rig = Rig::new(&content, peers, *whole);
    let encoded: Vec<Bytes> = (0..MESSAGES)
        .map(|number| {
            let mut bytes = BytesMut::new();
            message(number).emit(&mut bytes);
            bytes.freeze()
        })
        .collect();
    let mut ordered = 0;
    let info = measure(|| {
        for bytes in encoded {
            ordered += rig.hear(0, bytes);
        }
    });
    [info.count_total, info.bytes_total, ordered]
}

#[test]
fn twice_the_pieces_or_the_peers_make_at_most_twice_the_work() {
    const NAMES: [&str; 3] = ["allocations", "bytes allocated", "ordered"];
    let mut judged = 0;
    for (which, (name, ..)) in messages(1).iter().enumerate() {
        for sizes in [[(2_000, 10), (4_000, 10), (8_000, 10)], [(2_000, 10), (2_000, 20), (2_000, 40)]] {
            let costs = sizes.map(|(pieces, peers)| cost(pieces, peers, which));
            for step in costs.windows(2) {
                for at in 0..NAMES.len() {
                    let (once, twice) = (step[0][at], step[1][at]);
                    // A little for what grows by doubling.
                    let most = 2 * once + 64 + once / 8;
                    println!("| {name} | {sizes:?} | {} | {once} | {twice} |", NAMES[at]);
                    assert!(
                        twice <= most,
                        "oracle 29: work-linear: {name}, {sizes:?}: {} {once}, then {twice}",
                        NAMES[at]
                    );
                    judged += u64::from(MESSAGES);
                }
            }
        }
    }
    assert!(judged >= 1_000, "oracle 58: judged {judged} times");
}
