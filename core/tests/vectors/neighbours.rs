//! What peers tell of each other (BEP 11), and neighbours of themselves (BEP 14).

use super::{Cases, ensure, same, text, unhex};
use parcacik_core::border::{PeerKey, PexConfig};
use parcacik_core::lsd::{GROUP_V4, LsdMessage};
use parcacik_core::time::Time;
use parcacik_core::torrent::pex::Pex;
use parcacik_core::wire::PexMessage;
use serde_json::Value;

/// A list of addresses, with flags or without.
fn list(value: &Value, flags: bool) -> Vec<(String, u64)> {
    let each = |one: &Value| match flags {
        true => (one[0].as_str().expect("an address").to_owned(), one[1].as_u64().expect("flags")),
        false => (one.as_str().expect("an address").to_owned(), 0),
    };
    value.as_array().map(|list| list.iter().map(each).collect()).unwrap_or_default()
}

#[test]
fn peer_exchange() {
    Cases::read("ut_pex", include_str!("data/ut_pex.json")).check(|case| {
        let payload = unhex(text(case, "payload_hex"));
        let message = PexMessage::parse(&payload).map_err(|error| error.to_string())?;
        let expected = &case["expect"];
        if expected["either"].as_bool() == Some(true) {
            // Read as it stands: what may be dialled is not the message's matter.
            return ensure(Pex::new().heard(Time::ZERO, &PexConfig::default(), PeerKey(1), &payload).is_ok(), || {
                "it is taken for wrong".into()
            });
        }
        let added: Vec<_> = message.added.iter().map(|peer| (peer.addr.to_string(), u64::from(peer.flags.0))).collect();
        same("added", added, list(&expected["added"], true))?;
        let dropped: Vec<_> = message.dropped.iter().map(|addr| (addr.to_string(), 0)).collect();
        same("dropped", dropped, list(&expected["dropped"], false))?;
        same("written and read again", PexMessage::parse(&message.emit()), Ok(message))
    });
}

#[test]
fn local_announces() {
    Cases::read("lsd", include_str!("data/lsd.json")).check(|case| {
        let read = LsdMessage::parse(&unhex(text(case, "packet_hex")));
        let expected = &case["expect"];
        match read {
            // It has no empty line at its end; it may have been cut off, and is refused.
            Err(_) if expected["either"].as_bool() == Some(true) => same("case", text(case, "id"), "no-end"),
            Err(error) => ensure(expected["reject"].as_bool() == Some(true), || error.to_string()),
            Ok(message) => {
                same("port", Some(u64::from(message.port)), expected["port"].as_u64())?;
                let hashes: Vec<String> = message.hashes.iter().map(|hash| hash.to_hex()).collect();
                same("info-hashes", Value::from(hashes), expected["hashes"].clone())?;
                same("cookie", message.cookie.as_deref(), expected["cookie"].as_str())?;
                let again = LsdMessage::parse(&message.emit((GROUP_V4, 6771).into()));
                same("written and read again", again, Ok(message))
            }
        }
    });
}
