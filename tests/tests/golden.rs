//! Makes the golden recordings (`core/tests/golden`): `PARCACIK_REWRITE_GOLDEN=1 cargo test -p parcacik-testkit --test golden`.
//!
//! Without that the scenes are run all the same: each must replay, and have its file.

use parcacik_core::border::{Actions, Command, Config, TorrentId};
use parcacik_core::journal::{BEHAVIOUR, Reader, Recorder, Secret, replay};
use parcacik_testkit::{Content, Limits, NodeId, Split, World};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A name, a world in which it has happened, and the node that is recorded.
type Scene = (&'static str, World, NodeId);

/// A seed and two leeches, a UDP tracker between them.
fn swarm(split: Split) -> (World, [NodeId; 3], Content) {
    let files = [("a", 150_000), ("sub/b", 350_001)];
    let content = Content::with_files("golden", &files, 32_768, 6, &["udp://45.10.0.1:6969/announce"]);
    let mut world = World::with(23, Limits { split, ..Limits::default() }, Config::default());
    world.keep_logs();
    let nodes = [world.add_node(), world.add_node(), world.add_node()];
    let (first, second) = content.bytes.split_at(150_000);
    world.disk(nodes[0]).put("golden/a", first.to_vec());
    world.disk(nodes[0]).put("golden/sub/b", second.to_vec());
    world.add(nodes[0], &content, &[], |add| add.seed_only = true);
    world.download(nodes[1], &content, &[]);
    world.download(nodes[2], &content, &[]);
    (world, nodes, content)
}

fn finish(world: &mut World, nodes: &[NodeId], content: &Content) {
    world
        .run_until(|world| nodes.iter().all(|&node| world.is_finished(node, content)))
        .unwrap_or_else(|stuck| panic!("{stuck}"));
}

fn scenes() -> Vec<Scene> {
    let whole = |name, at: usize| {
        let (mut world, nodes, content) = swarm(Split::Whole);
        finish(&mut world, &nodes[1..], &content);
        (name, world, nodes[at])
    };
    let split = {
        let (mut world, nodes, content) = swarm(Split::Random(700));
        finish(&mut world, &nodes[1..], &content);
        ("split", world, nodes[2])
    };
    let commands = {
        let (mut world, nodes, content) = swarm(Split::Whole);
        let leech = nodes[1];
        let torrent = TorrentId(0);
        world.run_for(Duration::from_secs(1));
        world.command(leech, Command::Pause { torrent, graceful: false });
        world.run_for(Duration::from_secs(3));
        world.command(leech, Command::SetLimits { torrent: Some(torrent), download: Some(100_000), upload: None });
        world.command(leech, Command::Resume { torrent });
        finish(&mut world, &[leech], &content);
        world.command(leech, Command::Recheck { torrent });
        world.run_for(Duration::from_secs(10));
        world.command(leech, Command::Shutdown);
        world.run_for(Duration::from_secs(30));
        ("commands", world, leech)
    };
    vec![whole("seed", 0), whole("leech", 1), split, commands]
}

fn record((_, world, node): &Scene) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut recorder = Recorder::new(world.config(), &world.seeds(*node), Secret::Keep, &mut bytes);
    for entry in world.log(*node) {
        let (list, notices, opaque) = (entry.actions.clone(), entry.notices.clone(), entry.opaque.clone());
        recorder.record(entry.now, &entry.event, &Actions { list, notices, opaque }, &mut bytes);
    }
    recorder.state(&world.session(*node).state(), &mut bytes);
    recorder.finish(&mut bytes);
    bytes
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../core/tests/golden")
}

/// What is there of this epoch must still replay: else it is the epoch that has to change first.
fn may_be_written_over(path: &Path) {
    let Ok(old) = fs::read(path) else { return };
    if Reader::new(&old).is_ok_and(|reader| reader.header().behaviour == BEHAVIOUR) {
        let Ok(report) = replay(&old) else { panic!("{} cannot be read any more: delete it", path.display()) };
        let path = path.display();
        assert!(report.difference.is_none(), "{path}: raise BEHAVIOUR, and say so in the changelog");
        assert!(report.drift.is_none(), "{path}: raise STATE");
    }
}

#[test]
fn golden_scenes_replay_and_have_their_files() {
    let rewrite = std::env::var_os("PARCACIK_REWRITE_GOLDEN").is_some();
    let mut names = Vec::new();
    for scene in scenes() {
        let bytes = record(&scene);
        let report = replay(&bytes).expect("it can be read");
        assert!(
            report.is_same() && report.is_complete(),
            "{}: {:?}",
            scene.0,
            report.difference.map(|d| d.to_string())
        );
        let path = folder().join(scene.0).with_extension("parjrn");
        if rewrite {
            may_be_written_over(&path);
            fs::write(&path, bytes).expect("it can be written");
        }
        names.push(path.file_name().expect("it has one").to_owned());
    }
    names.sort();
    let mut there: Vec<_> = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    there.sort();
    assert_eq!(there, names);
}
