//! Reads a dialogue, line by line, and plays it.

use super::say::{block, pieces};
use super::stage::{Delivery, Setup, Stage, usual_add};
use super::trackers;
use crate::content::Content;
use crate::second::Word;
use parcacik_core::border::{Command, Config, IoFault, IpFilter, RemoveFiles, SeedGoal, Target, TorrentSource};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How what we do is indented.
const INDENT: &str = "    ";

/// A line of a script that says nothing, or that could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for Wrong {}

/// Plays a dialogue, and gives the file back with what we do as it is.
///
/// # Errors
/// A line that cannot be read, or that says what cannot happen, as an answer to nothing.
pub fn run(file: &str, delivery: Delivery) -> Result<String, Wrong> {
    let mut out = String::new();
    let mut header = Header::default();
    let mut stage: Option<Stage> = None;
    for (number, line) in file.lines().enumerate() {
        if line.starts_with(INDENT) {
            continue;
        }
        out.push_str(line);
        out.push('\n');
        let step = line.trim();
        if step.is_empty() || step.starts_with('#') {
            continue;
        }
        let wrong = |why| Wrong { line: number + 1, why };
        if stage.is_none() && header.take(step).map_err(wrong)? {
            continue;
        }
        let on = match &mut stage {
            Some(stage) => stage,
            None => {
                let mut begun = Stage::new(header.setup(delivery).map_err(wrong)?);
                begun.begin();
                let on = stage.insert(begun);
                if step != "we start" {
                    on.take_shown();
                }
                on
            }
        };
        if step != "we start" {
            play(on, step).map_err(wrong)?;
        }
        on.settle();
        for shown in on.take_shown() {
            out.push_str(INDENT);
            out.push_str(&shown);
            out.push('\n');
        }
    }
    Ok(out)
}

/// What the first lines say.
#[derive(Debug)]
struct Header {
    count: u32,
    piece_length: u32,
    last: Option<u32>,
    private: bool,
    /// How many files of one length.
    files: u32,
    trackers: Vec<String>,
    hosts: BTreeMap<String, Vec<std::net::IpAddr>>,
    have: String,
    with: Vec<String>,
    config: Config,
}

impl Default for Header {
    fn default() -> Header {
        Header {
            count: 4,
            piece_length: 32_768,
            last: None,
            private: false,
            files: 1,
            trackers: Vec::new(),
            hosts: BTreeMap::new(),
            have: "none".to_owned(),
            with: Vec::new(),
            config: Config::default(),
        }
    }
}

impl Header {
    /// Takes a line; false: it is none of these.
    fn take(&mut self, line: &str) -> Result<bool, String> {
        if let Some(rest) = line.strip_prefix("torrent ") {
            self.torrent(rest)?;
        } else if let Some(url) = line.strip_prefix("tracker ") {
            self.trackers.push(url.to_owned());
        } else if let Some(rest) = line.strip_prefix("host ") {
            let (name, ips) = rest.split_once(" is ").ok_or("host NAME is IP")?;
            let ips: Result<_, _> = ips.split_whitespace().map(str::parse).collect();
            self.hosts.insert(name.to_owned(), ips.map_err(|_| format!("no address in {rest}"))?);
        } else if let Some(have) = line.strip_prefix("we have ") {
            self.have = have.to_owned();
        } else if let Some(with) = line.strip_prefix("we add ") {
            self.with.extend(with.split(", ").map(str::to_owned));
        } else if let Some(rest) = line.strip_prefix("config ") {
            let (name, value) = rest.split_once(' ').ok_or("config NAME VALUE")?;
            self.configure(name, value)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn torrent(&mut self, text: &str) -> Result<(), String> {
        for (at, part) in text.split(", ").enumerate() {
            let number = |text: &str| text.parse().map_err(|_| format!("no number: {text}"));
            if at == 0 {
                let (count, length) = part.split_once(" pieces of ").ok_or("torrent N pieces of BYTES")?;
                (self.count, self.piece_length) = (number(count)?, number(length)?);
            } else if let Some(last) = part.strip_prefix("last ") {
                self.last = Some(number(last)?);
            } else if let Some(files) = part.strip_suffix(" files") {
                self.files = number(files)?;
            } else if part == "private" {
                self.private = true;
            } else {
                return Err(format!("what torrent? {part}"));
            }
        }
        Ok(())
    }

    fn configure(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = || value.parse::<u32>().map_err(|_| format!("no number: {value}"));
        let flag = || value.parse::<bool>().map_err(|_| format!("neither true nor false: {value}"));
        let config = &mut self.config;
        match name {
            "choke.slots" => config.choke.slots = number()?,
            "pick.end_game_requesters" => config.pick.end_game_requesters = number()?,
            "peer.max_message_length" => config.peer.max_message_length = number()?,
            "announce.prefer_udp" => config.announce.prefer_udp = flag()?,
            "announce.all_trackers" => config.announce.all_trackers = flag()?,
            _ => return Err(format!("no such setting: {name}")),
        }
        Ok(())
    }

    fn setup(&self, delivery: Delivery) -> Result<Setup, String> {
        let last = self.last.unwrap_or(self.piece_length);
        let length = (self.count as usize - 1) * self.piece_length as usize + last as usize;
        let trackers: Vec<&str> = self.trackers.iter().map(String::as_str).collect();
        let names: Vec<String> = (1..=self.files).map(|number| number.to_string()).collect();
        let one = length / self.files.max(1) as usize;
        let mut files: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), one)).collect();
        if let [(name, length_of_it)] = &mut files[..] {
            (*name, *length_of_it) = ("spoken", length);
        } else if self.private || self.have != "none" {
            return Err("of several files we have nothing at first, and they are not private".to_owned());
        }
        let mut content = Content::with_files("spoken", &files, self.piece_length, 1, &trackers);
        if self.private {
            content = content.into_private();
        }
        let mut add = usual_add(&content);
        add.use_trackers = !trackers.is_empty();
        for with in &self.with {
            match with.as_str() {
                "super seed" => add.super_seed = true,
                "seed only" => add.seed_only = true,
                "sequential" => add.sequential = Some(true),
                "paused" => add.paused = true,
                "by magnet link" => add.source = TorrentSource::Magnet(content.magnet()),
                "hold at metadata" => add.hold_at_metadata = true,
                "goal none" => add.goal = SeedGoal::None,
                other if other.starts_with("priorities ") => {
                    let numbers = other["priorities ".len()..].split(' ').map(str::parse);
                    add.priorities =
                        Some(numbers.collect::<Result<_, _>>().map_err(|_| format!("not numbers: {other}"))?);
                }
                other => match other.strip_prefix("peers ") {
                    Some(letters) => {
                        for letter in letters.split_whitespace() {
                            add.peers.push(Target::Addr(Stage::address(named(letter)?)));
                        }
                    }
                    None => return Err(format!("add it how? {other}")),
                },
            }
        }
        let have = pieces(&self.have, self.count)?;
        Ok(Setup { content, have, config: self.config.clone(), add, hosts: self.hosts.clone(), delivery })
    }
}

/// The peer of that name.
pub(super) fn named(text: &str) -> Result<char, String> {
    match text.as_bytes() {
        [letter @ b'A'..=b'Z'] => Ok(*letter as char),
        _ => Err(format!("peers are called A to Z, not {text}")),
    }
}

/// The fault of that name.
pub(super) fn fault(text: &str) -> Result<IoFault, String> {
    Ok(match text {
        "no space" => IoFault::NoSpace,
        "device" => IoFault::Device,
        "short read" => IoFault::ShortRead,
        "timed out" => IoFault::TimedOut,
        "refused" => IoFault::Refused,
        "unreachable" => IoFault::Unreachable,
        other => return Err(format!("no such fault: {other}")),
    })
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| format!("no span: {text}"))?;
    Ok(match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        "h" => Duration::from_secs(3600 * number),
        _ => return Err(format!("no span: {text}")),
    })
}

fn play(stage: &mut Stage, step: &str) -> Result<(), String> {
    if let Some(span) = step.strip_prefix("wait ") {
        return stage.wait(duration(span)?);
    }
    if let Some(rest) = step.strip_prefix("we ") {
        return ours(stage, rest);
    }
    if let Some(rest) = step.strip_prefix("the disk ") {
        return disk(stage, rest);
    }
    if let Some(rest) = step.strip_prefix("the tracker ") {
        return trackers::step(stage, rest);
    }
    if let Some((letter, said)) = step.split_once(": ") {
        let letter = named(letter)?;
        return said.split("; ").try_for_each(|said| says(stage, letter, said));
    }
    let (letter, deed) = step.split_once(' ').ok_or(format!("what is this? {step}"))?;
    let letter = named(letter)?;
    match deed {
        "dials" => stage.dialled_by(letter),
        "accepts" => stage.dial_ends(letter, true)?,
        "refuses" => stage.dial_ends(letter, false)?,
        "closes" => stage.ends(letter, None)?,
        "resets" => stage.ends(letter, Some(IoFault::Reset))?,
        "stops reading" => stage.reads(letter, false)?,
        "reads" => stage.reads(letter, true)?,
        other => return Err(format!("{letter} cannot do that: {other}")),
    }
    Ok(())
}

fn says(stage: &mut Stage, letter: char, said: &str) -> Result<(), String> {
    let damaged = |range, content: &Content| block(range, content, true);
    let whole = |range, content: &Content| block(range, content, false);
    let count = |text: &str| text.parse::<usize>().map(Some).map_err(|_| format!("how many? {text}"));
    match said {
        "answers" => return stage.answers(letter, None, whole),
        "answers damaged" => return stage.answers(letter, None, damaged),
        "rejects" => return stage.answers(letter, None, |range, _| Word::Reject(range)),
        _ => {}
    }
    if let Some(number) = said.strip_prefix("answers ") {
        return match number.strip_suffix(" damaged") {
            Some(number) => stage.answers(letter, count(number)?, damaged),
            None => stage.answers(letter, count(number)?, whole),
        };
    }
    if let Some(number) = said.strip_prefix("rejects ") {
        return stage.answers(letter, count(number)?, |range, _| Word::Reject(range));
    }
    let (times, message) = match said.split_once(" x ") {
        Some((times, message)) => (count(times)?.unwrap_or_default(), message),
        None => (1, said),
    };
    let message = stage.message(letter, message)?;
    (0..times).try_for_each(|_| stage.says(letter, message.clone()))
}

fn ours(stage: &mut Stage, rest: &str) -> Result<(), String> {
    if let Some(letter) = rest.strip_prefix("know ") {
        let peers = vec![Target::Addr(Stage::address(named(letter)?))];
        let torrent = stage.torrent()?;
        stage.command(Command::AddPeers { torrent, peers });
        return Ok(());
    }
    if let Some(letter) = rest.strip_prefix("block ") {
        let ip = Stage::address(named(letter)?).ip();
        let mut filter = IpFilter::new();
        filter.block(ip, ip);
        stage.command(Command::SetIpFilter { filter: filter.into() });
        return Ok(());
    }
    let torrent = stage.torrent()?;
    stage.command(match rest {
        "pause" => Command::Pause { torrent, graceful: false },
        "pause gracefully" => Command::Pause { torrent, graceful: true },
        "resume" => Command::Resume { torrent },
        "remove" => Command::Remove { torrent, files: RemoveFiles::Keep },
        "reannounce" => Command::Reannounce { torrent, force: false },
        "force a reannounce" => Command::Reannounce { torrent, force: true },
        "super seed" => Command::SetSuperSeed { torrent, on: true },
        "stop super seeding" => Command::SetSuperSeed { torrent, on: false },
        "scrape" => Command::ScrapeTorrent { torrent },
        "shut down" => Command::Shutdown,
        other => return Err(format!("we cannot do that: {other}")),
    });
    Ok(())
}

fn disk(stage: &mut Stage, rest: &str) -> Result<(), String> {
    match rest {
        "works" => stage.disk_works(),
        "waits" => stage.disk_waits(),
        "goes on" => stage.disk_goes_on(),
        _ => {
            let (work, why) = rest
                .strip_prefix("fails ")
                .and_then(|rest| rest.split_once(' '))
                .ok_or(format!("the disk cannot do that: {rest}"))?;
            let known = ["read", "write", "verify", "sync", "save"].into_iter().find(|known| *known == work);
            stage.disk_fails(known.ok_or(format!("no such work: {work}"))?, fault(why)?);
        }
    }
    Ok(())
}
