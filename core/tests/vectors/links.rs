//! Magnet links, info-hashes in text, escapes, paths.

use super::{Cases, array, ensure, hex, same, text, unhex};
use parcacik_core::border::{InfoHash, PeerId, Target};
use parcacik_core::metainfo::magnet::{Magnet, MagnetLimits};
use parcacik_core::path::{MAX_ELEMENT, SafePath};
use parcacik_core::tracker::http::{announce_target, parse_announce};
use parcacik_core::tracker::{AnnounceRequest, Ledger, TrackerUrl};
use serde_json::{Value, json};

/// A link as the data file writes it.
fn said(magnet: &Magnet) -> Value {
    let host = |target: &Target| match target {
        Target::Addr(addr) => json!([addr.ip().to_string(), addr.port()]),
        Target::Host { name, port } => json!([name, port]),
    };
    let tiers: Vec<Value> = magnet.trackers.iter().enumerate().map(|(tier, url)| json!([tier, url])).collect();
    let mut said = json!({});
    let mut put = |key: &str, value: Value| {
        if !value.is_null() && value != json!([]) {
            said[key] = value;
        }
    };
    put("v1", magnet.hashes.v1.map(|hash| hex(&hash)).into());
    put("v2", magnet.hashes.v2.map(|hash| hex(&hash)).into());
    put("name", magnet.name.clone().into());
    put("trackers", tiers.into());
    put("web_seeds", magnet.web_seeds.clone().into());
    put("peers", magnet.peers.iter().map(host).collect::<Vec<_>>().into());
    put("dht_nodes", magnet.nodes.iter().map(host).collect::<Vec<_>>().into());
    said
}

#[test]
fn magnet_links() {
    Cases::read("magnet", include_str!("data/magnet.json")).check(|case| {
        let read = Magnet::parse(text(case, "uri"), &MagnetLimits::default());
        let magnet = match (text(case, "expect"), read) {
            ("accept", Ok((magnet, _))) => magnet,
            ("reject", Err(_)) | ("either", _) => return Ok(()),
            (expect, read) => return Err(format!("{expect}, but {read:?}")),
        };
        let mut due = case["is"].clone();
        match text(case, "id") {
            // Control characters could play tricks on a terminal: they are taken out of names.
            "nul" => due["name"] = json!("ab"),
            // The file says no more than that the link is to be taken.
            "dn-badutf8" => return same("name", magnet.name.as_deref(), Some("\u{fffd}\u{fffd}")),
            _ => {}
        }
        same("link", said(&magnet), due)?;
        if let Some(files) = case["so"].as_array() {
            let files: Vec<u64> = files.iter().filter_map(Value::as_u64).collect();
            let ours: Vec<u64> = (0..1000).filter(|&file| magnet.selected.contains(file as u32)).collect();
            same("selected", ours, files)?;
        }
        let again = Magnet::parse(&magnet.to_string(), &MagnetLimits::default());
        same("written and read again", again.map(|(magnet, _)| magnet), Ok(magnet))
    });
}

#[test]
fn base32() {
    Cases::read("base32", include_str!("data/base32.json")).check(|case| {
        let text = text(case, "base32");
        let link = format!("magnet:?xt=urn:btih:{text}");
        let read = Magnet::parse(&link, &MagnetLimits::default()).map(|(magnet, _)| magnet);
        match case["hex"].as_str() {
            Some(due) if case["valid"] != false => {
                same("link", read.map(|magnet| magnet.hashes.v1), Ok(Some(array(due))))?;
                let alone = Magnet::parse(text, &MagnetLimits::default()).map(|(magnet, _)| magnet.hashes.v1);
                same("alone", alone, Ok(Some(array(due))))
            }
            _ => ensure(read.is_err(), || "taken".to_owned()),
        }
    });
}

#[test]
fn escaped_info_hashes() {
    Cases::read("percent_encoding", include_str!("data/percent_encoding.json")).check(|case| {
        let raw: [u8; 20] = array(text(case, "raw_hex"));
        let url = TrackerUrl::parse("http://tracker.example/announce").expect("a tracker");
        let request = AnnounceRequest {
            info_hash: InfoHash(raw),
            peer_id: PeerId([1; 20]),
            port: 6881,
            ledger: Ledger::default(),
            event: None,
            num_want: None,
            key: None,
            tracker_id: None,
            own_ips: Vec::new(),
        };
        let target = announce_target(&url, &request);
        let wanted = format!("info_hash={}&", text(case, "encoded"));
        ensure(target.contains(&wanted), || format!("{target} does not hold {wanted}"))?;
        let query = target.split_once('?').map(|(_, query)| query.as_bytes()).unwrap_or_default();
        same("read back", parse_announce(query).map(|announce| announce.request.info_hash), Ok(InfoHash(raw)))
    });
}

#[test]
fn paths() {
    Cases::read("paths", include_str!("data/paths.json")).check(|case| {
        let elements: Vec<Vec<u8>> = match case["elements"].as_array() {
            Some(elements) => {
                elements.iter().filter_map(|element| Some(element.as_str()?.as_bytes().to_vec())).collect()
            }
            None => vec![unhex(text(case, "element_hex"))],
        };
        let path = SafePath::sanitize(elements.iter().map(Vec::as_slice));
        let kept = case["unchanged_as"].as_str().map(|due| {
            // 255 bytes are what a file system takes; what we add to a name while it is downloaded must fit as well.
            if due.len() > MAX_ELEMENT { due.chars().take(MAX_ELEMENT - 1).collect() } else { due.to_owned() }
        });
        if let Some(due) = kept {
            same("path", path.to_string(), due)?;
        }
        for element in path.elements() {
            let bad = |character: char| character.is_control() || "/\\:<>\"|?*".contains(character);
            ensure(!element.is_empty() && element != "." && element != "..", || format!("{element:?}"))?;
            ensure(element.len() <= 255 && !element.contains(bad), || format!("{element:?}"))?;
            let stem = element.split('.').next().unwrap_or_default().to_ascii_uppercase();
            ensure(!["CON", "AUX", "NUL", "PRN"].contains(&&*stem), || format!("{element:?} is a device"))?;
        }
        Ok(())
    });
}
