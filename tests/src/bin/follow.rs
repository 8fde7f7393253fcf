//! Follows captures of other clients: `follow CAPTURE TORRENT [CAPTURE TORRENT ...]`.
//!
//! Prints what became of each connection whose place one of ours took, and of each scene that a session of ours was put into; ends with 1 when a
//! connection of ours found fault, when a cut made a difference, or when a scene did not end whole.

use parcacik_core::capture::{Side, dissect};
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use parcacik_testkit::follow::{Cut, captured_content, decode, made_up_content, run, scenes, words};
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut good = true;
    for pair in arguments.chunks(2) {
        let [capture, torrent] = pair else { return Err("each capture needs its torrent".into()) };
        good &= follow(capture, torrent)?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn follow(capture: &str, torrent: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let mut good = true;
    let file = bytes::Bytes::from(std::fs::read(torrent)?);
    let torrent = Metainfo::parse(&file, &MetainfoLimits::default())?;
    let file_name = capture;
    let capture = dissect(&std::fs::read(capture)?);
    let geometry = torrent.geometry();
    let (mut followed, mut messages, mut undecoded, mut blocks) = (0, 0, 0, 0);
    for talk in &capture.streams {
        for ours in [Side::A, Side::B] {
            let Some(words) = words(talk, ours.other()) else { continue };
            let Some(decoded) = decode(talk, ours, geometry, Cut::AsCaptured) else { continue };
            followed += 1;
            messages += words.messages.len();
            undecoded += words.rest;
            blocks += decoded.blocks();
            let cuts = [Cut::Finer(700), Cut::Finer(1), Cut::Joined];
            let same = cuts.iter().all(|&cut| decode(talk, ours, geometry, cut).as_ref() == Some(&decoded));
            if decoded.fault().is_some() || words.broken || !same {
                good = false;
                println!(
                    "{file_name}: {} - {}, in place of {ours:?}: {:?}, same in all cuts: {same}",
                    talk.facts.a,
                    talk.facts.b,
                    decoded.closed()
                );
            }
        }
    }
    println!(
        "{file_name}: {} streams, {followed} sides followed, {messages} messages, {blocks} blocks, {undecoded} bytes at ends",
        capture.streams.len()
    );
    if torrent.is_v2() && !torrent.is_v1() {
        println!("  no scenes: a session does not take a torrent of BEP 52 alone");
        return Ok(good);
    }
    let whole = captured_content(&capture, &torrent, &file);
    for scene in scenes(&capture, &torrent) {
        // Where not everything went by, they talk about something else of the same shape.
        let (torrent, content) = match &whole {
            Some(content) => (torrent.clone(), content.clone()),
            None => made_up_content(&torrent, 1)?,
        };
        let outcome = run(&scene, &torrent, &Arc::new(content), 1);
        good &= outcome.whole && outcome.nonsense.is_empty();
        println!(
            "  {:?} in place of {}, with {}: whole {}, {} pieces, served {:?}, given {}, depths {:?}, {} closed, {:?}, of the capture {}",
            scene.place,
            scene.client,
            scene.scripts.len(),
            outcome.whole,
            outcome.pieces,
            outcome.served,
            outcome.given,
            outcome.depths,
            outcome.closed,
            outcome.span,
            whole.is_some()
        );
        outcome.nonsense.iter().take(3).for_each(|nonsense| println!("    {nonsense}"));
        if !outcome.whole {
            println!("    {:.600}", outcome.stuck);
        }
    }
    Ok(good)
}
