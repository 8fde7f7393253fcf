//! Given values of functions of addresses: two lists, each rising by what the function is of.

use super::{DecodeError, Decoder, Encoder, Problem, Put, Take};
use crate::border::AddressTable;
use alloc::collections::BTreeMap;
use core::net::Ipv4Addr;

impl Put for AddressTable {
    fn put(&self, to: &mut Encoder<'_>) {
        let AddressTable { priorities, fast_sets } = self;
        to.length(priorities.len());
        for (pair, priority) in priorities {
            pair.put(to);
            priority.put(to);
        }
        to.length(fast_sets.len());
        for ((network, torrent), pieces) in fast_sets {
            network.octets().put(to);
            torrent.put(to);
            pieces.put(to);
        }
    }
}

impl Take for AddressTable {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let priorities = rising(from, |from| from.take())?;
        let fast_sets = rising(from, |from| Ok((Ipv4Addr::from(from.array()?), from.take()?)))?;
        Ok(AddressTable { priorities, fast_sets })
    }
}

/// So many keys with a value each, every key above the one before it. Grows as they come.
fn rising<K: Ord, V: Take>(
    from: &mut Decoder<'_>,
    key: impl Fn(&mut Decoder<'_>) -> Result<K, DecodeError>,
) -> Result<BTreeMap<K, V>, DecodeError> {
    let mut map = BTreeMap::new();
    for _ in 0..from.number()? {
        let wrong = from.error(Problem::Order);
        let key = key(from)?;
        if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
            return Err(wrong);
        }
        map.insert(key, from.take()?);
    }
    Ok(map)
}
