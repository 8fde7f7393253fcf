//! Closed loop: a session of ours in the place of a client that was captured, among those that it talked with.

use super::player::Player;
use super::script::Script;
use super::{greeting, messages};
use crate::content::Content;
use crate::world::{Limits, NodeId, StrangerId, World};
use bytes::Bytes;
use parcacik_core::border::{Actions, SeedGoal};
use parcacik_core::capture::{Capture, Conversation, Side};
use parcacik_core::journal::{Recorder, Secret};
use parcacik_core::metainfo::{FileEntry, Metainfo, MetainfoError, MetainfoLimits};
use parcacik_core::wire::Message;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// What ours does in the place of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The client had everything, and so does ours.
    Seed,
    /// The client downloaded, and so does ours, from nothing.
    Leech,
}

/// A client of a capture whose place ours takes, and those that it talked with.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The client: where it listens, or with port 0 where it dialled from, when nobody dialled it.
    pub client: SocketAddr,
    /// What it was.
    pub place: Place,
    /// The others.
    pub scripts: Vec<Arc<Script>>,
}

/// What came of a scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Whether ours has everything, right to the byte, and everybody else has all that they lacked.
    pub whole: bool,
    /// What is missing, when it is not.
    pub stuck: String,
    /// Pieces that ours has.
    pub pieces: u32,
    /// Requests of ours that were answered, and those that were refused.
    pub served: (u64, u64),
    /// Blocks that the others were given.
    pub given: u64,
    /// The most requests that each of the others had under way.
    pub depths: Vec<usize>,
    /// How many of the others ended the connection as their scripts say.
    pub closed: usize,
    /// What the others were not to be told.
    pub nonsense: Vec<String>,
    /// How long it took.
    pub span: Duration,
    /// What ours was told and did.
    pub recording: Vec<u8>,
}

/// The content of a torrent as it went by in a capture. `None` when not all of it did.
pub fn captured_content(capture: &Capture, torrent: &Metainfo, file: &Bytes) -> Option<Content> {
    let geometry = torrent.geometry();
    let length = usize::try_from(geometry.total_length()).ok()?;
    let (mut bytes, mut seen) = (vec![0; length], vec![false; length]);
    for (_, message) in capture.streams.iter().flat_map(messages) {
        let Message::Piece { piece, begin, data } = message else { continue };
        let Some(block) = geometry.block(*piece, *begin, data.len() as u32) else { continue };
        let start = geometry.offset(block.piece()) as usize + block.begin() as usize;
        bytes[start..start + data.len()].copy_from_slice(data);
        seen[start..start + data.len()].fill(true);
    }
    // Nobody asks for what is known to be zeros.
    for pad in torrent.files().iter().filter(|file| file.pad) {
        seen[pad.offset as usize..(pad.offset + pad.length) as usize].fill(true);
    }
    seen.iter().all(|seen| *seen).then(|| Content {
        name: torrent.name().to_owned(),
        bytes,
        files: torrent.files().iter().map(|file| (path_within(file), file.length as usize)).collect(),
        metainfo: file.clone(),
        info_hash: torrent.hashes().best().0,
        piece_length: geometry.piece_length(),
    })
}

/// A torrent of the same shape with content that is made up: for captures in which not all of the content went by. Scripts know pieces by
/// their numbers alone, and so fit it too.
///
/// # Errors
/// When a torrent of this shape is not one that can be read.
pub fn made_up_content(torrent: &Metainfo, salt: u64) -> Result<(Metainfo, Content), MetainfoError> {
    let geometry = torrent.geometry();
    let content = Content::new("made up", geometry.total_length() as usize, geometry.piece_length(), salt);
    Ok((Metainfo::parse(&content.metainfo, &MetainfoLimits::default())?, content))
}

/// The path of a file within its torrent: without the torrent's name, but for a single file, which is called like it.
fn path_within(file: &FileEntry) -> String {
    match file.path.elements() {
        [_, path @ ..] if !path.is_empty() => path.join("/"),
        _ => file.path.to_string(),
    }
}

/// Who a side of a connection is: where it listens. Of who dialled that is known when somebody dialled its address too.
fn client(capture: &Capture, talk: &Conversation, side: Side) -> SocketAddr {
    let addr = talk.facts.addr(side);
    if side == Side::B {
        return addr;
    }
    let others = capture.streams.iter().map(|talk| talk.facts.b);
    let listens: BTreeSet<SocketAddr> = others.filter(|b| b.ip() == addr.ip() && *b != talk.facts.b).collect();
    match listens.first() {
        Some(&listens_at) if listens.len() == 1 => listens_at,
        _ => SocketAddr::new(addr.ip(), 0),
    }
}

fn pieces_in(talk: &Conversation) -> usize {
    messages(talk).filter(|(_, message)| matches!(message, Message::Piece { .. })).count()
}

/// The scenes of a capture: one for each client that gave or took a block. Of two clients that connected several times, the connection with
/// the most blocks counts.
pub fn scenes(capture: &Capture, torrent: &Metainfo) -> Vec<Scene> {
    let geometry = torrent.geometry();
    let mut talks: BTreeMap<(SocketAddr, SocketAddr), (usize, &Conversation, Side)> = BTreeMap::new();
    for talk in &capture.streams {
        let blocks = pieces_in(talk);
        let known = |side| {
            greeting(talk, side).is_some_and(|(.., hello)| torrent.hashes().names().any(|name| name == hello.info_hash))
        };
        if blocks == 0 || !known(Side::A) || !known(Side::B) {
            continue;
        }
        for side in [Side::A, Side::B] {
            let key = (client(capture, talk, side), client(capture, talk, side.other()));
            if talks.get(&key).is_none_or(|(most, ..)| blocks > *most) {
                talks.insert(key, (blocks, talk, side));
            }
        }
    }
    let clients: BTreeSet<SocketAddr> = talks.keys().map(|(client, _)| *client).collect();
    clients
        .into_iter()
        .map(|client| {
            let own: Vec<_> = talks.iter().filter(|((who, _), _)| *who == client).map(|(_, talk)| talk).collect();
            let is_seed = own.iter().any(|(_, talk, side)| {
                let first = Script::of(talk, *side, &geometry).map(|script| script.first_pieces(geometry.pieces()));
                first.is_some_and(|pieces| pieces.len() == geometry.pieces() as usize)
            });
            let scripts =
                own.iter().filter_map(|(_, talk, side)| Script::of(talk, side.other(), &geometry).map(Arc::new));
            Scene { client, place: if is_seed { Place::Seed } else { Place::Leech }, scripts: scripts.collect() }
        })
        .collect()
}

/// Where the files of a torrent lie on a node's disk, and what is in them.
fn files<'a>(torrent: &'a Metainfo, content: &'a Content) -> impl Iterator<Item = (String, &'a [u8])> {
    torrent.files().iter().filter(|file| !file.pad && file.layout.is_some()).map(|file| {
        let start = file.offset as usize;
        (file.path.to_string(), &content.bytes[start..start + file.length as usize])
    })
}

/// Plays a scene: ours in the client's place, with `content` that `torrent` describes, and the world's chance from `seed`.
pub fn run(scene: &Scene, torrent: &Metainfo, content: &Arc<Content>, seed: u8) -> Outcome {
    let mut world = World::with(seed, Limits::default(), Default::default());
    world.keep_logs();
    let node = world.add_node();
    let here = world.address(node);
    let player = |script: &Arc<Script>| Player::new(content, script, here);
    let (dial, wait): (Vec<_>, Vec<_>) = scene.scripts.iter().partition(|script| script.dials);
    let mut players: Vec<StrangerId> =
        wait.into_iter().map(|script| world.add_stranger(true, player(script))).collect();
    let peers: Vec<SocketAddr> = players.iter().map(|&who| world.stranger_address(who)).collect();
    if scene.place == Place::Seed {
        for (path, bytes) in files(torrent, content) {
            world.disk(node).put(&path, bytes.to_vec());
        }
    }
    world.add(node, content, &peers, |add| {
        add.seed_only = scene.place == Place::Seed;
        add.goal = SeedGoal::Forever;
        // The trackers of the capture are not in this world.
        add.use_trackers = false;
    });
    // Who dials does so when there is somebody who has looked at its disk.
    world.run_for(Duration::from_secs(1));
    players.extend(dial.into_iter().map(|script| world.add_stranger(false, player(script))));

    let all = |world: &World| players.iter().all(|&who| world.stranger::<Player>(who).is_whole());
    let stuck = world.run_until(|world| world.is_finished(node, content) && all(world)).err();
    let took = world.now();
    // Their scripts may go on, and ours has to write down what it has.
    let closes = scene.scripts.iter().filter_map(|script| script.close).map(|close| close.after).max();
    world.run_for(closes.unwrap_or_default() + Duration::from_secs(5));

    let right = files(torrent, content).all(|(path, bytes)| world.disk_of(node).get(&path) == Some(bytes));
    let players = || players.iter().map(|&who| world.stranger::<Player>(who));
    Outcome {
        whole: stuck.is_none() && right,
        stuck: stuck.map(|stuck| stuck.to_string()).unwrap_or_default(),
        pieces: world.view(node, content).map_or(0, |view| view.pieces.count()),
        served: (players().map(|player| player.served).sum(), players().map(|player| player.refused).sum()),
        given: players().map(|player| player.got.len() as u64).sum(),
        depths: players().map(|player| player.depth).collect(),
        closed: players().filter(|player| player.has_closed).count(),
        nonsense: players().flat_map(|player| player.nonsense.clone()).collect(),
        span: took.since(parcacik_core::time::Time::ZERO),
        recording: record(&world, node),
    }
}

/// What a node's session was told and did, as its driver would have recorded it.
fn record(world: &World, node: NodeId) -> Vec<u8> {
    let mut recording = Vec::new();
    let mut recorder = Recorder::new(world.config(), &world.seeds(node), Secret::Keep, &mut recording);
    for entry in world.log(node) {
        let actions =
            Actions { list: entry.actions.clone(), notices: entry.notices.clone(), opaque: entry.opaque.clone() };
        recorder.record(entry.now, &entry.event, &actions, &mut recording);
    }
    recorder.state(&world.session(node).state(), &mut recording);
    recorder.finish(&mut recording);
    recording
}
