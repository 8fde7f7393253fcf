//! What stands beside the info dictionary: trackers, web seeds, words for people. None of it can spoil a torrent: what
//! is of the wrong type or out of range is left out, with a warning.

use super::MetainfoLimits;
use crate::bencode::{Dict, Kind, Value};
use crate::path;
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// The fields outside the info dictionary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Top {
    pub trackers: Vec<Vec<String>>,
    pub web_seeds: Vec<String>,
    pub http_seeds: Vec<String>,
    pub nodes: Vec<(String, u16)>,
    pub comment: Option<String>,
    pub created_by: Option<String>,
    pub creation_date: Option<i64>,
    pub encoding: Option<String>,
}

impl Top {
    pub fn read(dict: &Dict<'_, '_>, limits: &MetainfoLimits, warnings: &mut Vec<String>) -> Top {
        let creation_date = match dict.int("creation date") {
            Ok(Some(date)) if date < 0 => {
                warnings.push("\"creation date\" is before 1970, ignored".to_owned());
                None
            }
            Ok(date) => date,
            Err(error) => {
                warnings.push(alloc::format!("{error}, ignored"));
                None
            }
        };
        Top {
            trackers: trackers(dict, limits, warnings),
            web_seeds: urls(dict, "url-list", limits, warnings),
            http_seeds: urls(dict, "httpseeds", limits, warnings),
            nodes: nodes(dict, limits, warnings),
            comment: text(dict, &["comment.utf-8", "comment"], limits),
            created_by: text(dict, &["created by.utf-8", "created by"], limits),
            creation_date,
            encoding: text(dict, &["encoding"], limits),
        }
    }
}

impl Top {
    /// BEP 19: the web seeds of a torrent of many files are folders, to which its paths are added; the `/` at their end
    /// is often forgotten.
    pub fn make_folders(&mut self) {
        for url in &mut self.web_seeds {
            if !url.ends_with('/') {
                url.push('/');
            }
        }
    }
}

/// A text for people: the first of the keys that is a string with something in it. Bad UTF-8 becomes U+FFFD.
pub(super) fn text(dict: &Dict<'_, '_>, keys: &[&str], limits: &MetainfoLimits) -> Option<String> {
    let bytes = keys.iter().find_map(|key| dict.bytes(key).ok().flatten().filter(|text| !text.is_empty()))?;
    Some(path::cut(&String::from_utf8_lossy(bytes), limits.text_bytes).to_owned())
}

/// BEP 12: a client that knows `announce-list`, a list of tiers, ignores `announce` where it is there. One without any
/// URL counts as not there. A URL stands once in a tier.
fn trackers(dict: &Dict<'_, '_>, limits: &MetainfoLimits, warnings: &mut Vec<String>) -> Vec<Vec<String>> {
    const KEY: &str = "announce-list";
    let mut left = limits.addresses;
    let mut tiers: Vec<Vec<String>> = Vec::new();
    if let Some(value) = dict.get(KEY) {
        if value.list().is_none() {
            warnings.push(alloc::format!("\"{KEY}\" is not a list, ignored"));
        }
        for entry in value.list().into_iter().flatten() {
            let mut tier = Vec::new();
            match entry.list() {
                Some(list) => list.for_each(|value| add_tracker(&mut tier, value, KEY, &mut left, warnings)),
                // Some writers leave out the inner lists; each URL is a tier then.
                None => add_tracker(&mut tier, entry, KEY, &mut left, warnings),
            }
            if !tier.is_empty() {
                tiers.push(tier);
            }
        }
    }
    if tiers.is_empty()
        && let Some(value) = dict.get("announce")
    {
        let mut tier = Vec::new();
        add_tracker(&mut tier, value, "announce", &mut left, warnings);
        if !tier.is_empty() {
            tiers.push(tier);
        }
    }
    tiers
}

/// The URLs of `url-list` (BEP 19) or `httpseeds` (BEP 17): a list of strings, or a string alone.
fn urls(dict: &Dict<'_, '_>, key: &str, limits: &MetainfoLimits, warnings: &mut Vec<String>) -> Vec<String> {
    let mut urls = Vec::new();
    let mut left = limits.addresses;
    match dict.get(key) {
        None => {}
        Some(value) => match value.list() {
            Some(list) => list.for_each(|value| add_url(&mut urls, value, key, &mut left, warnings)),
            None => add_url(&mut urls, value, key, &mut left, warnings),
        },
    }
    urls
}

/// Adds the URL of a tracker, if it is of a scheme that trackers have.
fn add_tracker(tier: &mut Vec<String>, value: Value<'_, '_>, key: &str, left: &mut usize, warnings: &mut Vec<String>) {
    const SCHEMES: [&str; 5] = ["http", "https", "udp", "ws", "wss"];
    let url = value.text().map_or("", str::trim);
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if url.is_empty() || scheme.is_some_and(|scheme| SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known))) {
        add_url(tier, value, key, left, warnings);
    } else {
        let offset = value.span().start;
        warn(warnings, || alloc::format!("\"{key}\": byte {offset}: not the URL of a tracker, ignored"));
    }
}

/// Adds a URL without white space around it, if there is one and it is new.
fn add_url(urls: &mut Vec<String>, value: Value<'_, '_>, key: &str, left: &mut usize, warnings: &mut Vec<String>) {
    let offset = value.span().start;
    // What is looked at is counted, and not only what is taken: each is compared with all before it.
    let Some(rest) = left.checked_sub(1) else {
        warn(warnings, || alloc::format!("\"{key}\": byte {offset}: more addresses than are used, ignored"));
        return;
    };
    *left = rest;
    let Some(url) = value.text().map(str::trim) else {
        warn(warnings, || alloc::format!("\"{key}\": byte {offset}: not a URL, ignored"));
        return;
    };
    if !url.is_empty() && !urls.iter().any(|known| known == url) {
        urls.push(url.to_owned());
    }
}

/// BEP 5: `nodes = [["<host>", <port>], ["<host>", <port>], ...]`. A string `host:port` is taken as well.
fn nodes(dict: &Dict<'_, '_>, limits: &MetainfoLimits, warnings: &mut Vec<String>) -> Vec<(String, u16)> {
    let mut nodes: Vec<(String, u16)> = Vec::new();
    let Some(value) = dict.get("nodes") else { return nodes };
    if value.kind() != Kind::List {
        warnings.push("\"nodes\" is not a list, ignored".to_owned());
    }
    for entry in value.list().into_iter().flatten().take(limits.addresses) {
        match node(entry) {
            Some(node) if nodes.contains(&node) => {}
            Some(node) => nodes.push(node),
            None => {
                let offset = entry.span().start;
                warn(warnings, || alloc::format!("\"nodes\": byte {offset}: not a node, ignored"));
            }
        }
    }
    nodes
}

fn node(entry: Value<'_, '_>) -> Option<(String, u16)> {
    let (host, port) = match entry.list() {
        Some(mut pair) => {
            let host = pair.next()?.text()?;
            let port = u16::try_from(pair.next()?.int()?).ok()?;
            (host, port)
        }
        None => {
            let (host, port) = entry.text()?.rsplit_once(':')?;
            (host.trim_start_matches('[').trim_end_matches(']'), port.parse().ok()?)
        }
    };
    let host = host.trim();
    // 253 is the longest name that DNS has.
    let is_host = !host.is_empty() && host.len() <= 253 && !host.contains(['/', ' ', '@']);
    (is_host && port != 0).then(|| (host.to_owned(), port))
}

/// Adds a warning, unless there are plenty: a torrent may be wrong in a million places.
pub(super) fn warn(warnings: &mut Vec<String>, text: impl FnOnce() -> String) {
    const MOST: usize = 100;
    if warnings.len() < MOST {
        warnings.push(text());
    }
}
