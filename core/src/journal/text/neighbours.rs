//! What peers tell of each other, and neighbours of themselves.

use super::value::{Kind, Line, Value};
use crate::lsd::LsdMessage;
use crate::wire::{PexFlags, PexMessage, PexPeer};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A message of peer exchange (BEP 11). A contact with flags has them behind it: `e`ncryption, `s`eed, `u`TP, `h`olepunch, `r`eachable.
pub(super) fn contacts(line: Line, payload: &[u8]) -> Line {
    match PexMessage::parse(payload) {
        Ok(PexMessage { added, dropped }) => {
            let added: Vec<Value> = added.iter().map(contact).collect();
            line.with("added", Value::List(added)).with("dropped", Value::list(dropped))
        }
        Err(error) => line.with("payload", Value::bytes(payload)).why(&error),
    }
}

fn contact(PexPeer { addr, flags }: &PexPeer) -> Value {
    let names = [
        (PexFlags::ENCRYPTION, 'e'),
        (PexFlags::SEED, 's'),
        (PexFlags::UTP, 'u'),
        (PexFlags::HOLEPUNCH, 'h'),
        (PexFlags::REACHABLE, 'r'),
    ];
    let set: String = names.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| *name).collect();
    if set.is_empty() { Value::from(*addr) } else { Value::Id(format!("{addr}/{set}")) }
}

/// An announce of local discovery (BEP 14).
pub(super) fn announce(kind: Kind, datagram: &[u8]) -> Option<Line> {
    let LsdMessage { port, hashes, cookie } = LsdMessage::parse(datagram).ok()?;
    let line = Line::new(kind, "local announce").with("port", port).with("info-hashes", Value::list(hashes));
    Some(line.maybe("cookie", cookie.as_ref()))
}
