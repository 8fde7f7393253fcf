//! A whole capture at once.

use super::said::{Chunk, Datagram, Heard, Item, StreamFacts, StreamId};
use super::{CaptureFacts, CaptureLimits, Dissector};
use alloc::vec::Vec;

/// All that was said in a capture: for those who need it whole, such as a test that plays one side of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// What is known of it.
    pub facts: CaptureFacts,
    /// The TCP connections, in the order of their first segments.
    pub streams: Vec<Conversation>,
    /// The UDP datagrams.
    pub datagrams: Vec<Datagram>,
}

/// What was said on a TCP connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// What is known of it.
    pub facts: StreamFacts,
    /// Everything, by time; what one side said is in its order.
    pub items: Vec<Item>,
    /// The bytes that it was said with, by time likewise.
    pub chunks: Vec<Chunk>,
}

/// Takes a capture file apart that is in memory. What cannot be read is in [`Capture::facts`]; nothing fails.
pub fn dissect(file: &[u8]) -> Capture {
    dissect_with(file, CaptureLimits::default())
}

/// [`dissect`] with limits of one's own.
pub fn dissect_with(file: &[u8], limits: CaptureLimits) -> Capture {
    /// What is fed at a time, so that what was heard does not pile up beside what is kept of it.
    const PART: usize = 256 << 10;
    let mut dissector = Dissector::new(limits);
    dissector.keep_chunks();
    let mut streams: Vec<(Vec<Item>, Vec<Chunk>)> = Vec::new();
    let mut datagrams = Vec::new();
    let mut take = |dissector: &mut Dissector| {
        while let Some(heard) = dissector.heard() {
            match heard {
                Heard::Stream(id, item) => of(&mut streams, id).0.push(item),
                Heard::Datagram(datagram) => datagrams.push(datagram),
            }
        }
        while let Some((id, chunk)) = dissector.chunk() {
            of(&mut streams, id).1.push(chunk);
        }
    };
    for part in file.chunks(PART) {
        dissector.feed(part);
        take(&mut dissector);
    }
    dissector.finish();
    take(&mut dissector);
    streams.resize_with(dissector.streams().len(), Default::default);
    let streams = dissector.streams().zip(streams).map(|((_, facts), (mut items, mut chunks))| {
        items.sort_by_key(|item| item.time);
        chunks.sort_by_key(|chunk| chunk.time);
        Conversation { facts: facts.clone(), items, chunks }
    });
    Capture { facts: dissector.facts().clone(), streams: streams.collect(), datagrams }
}

/// What is kept of a stream.
fn of(streams: &mut Vec<(Vec<Item>, Vec<Chunk>)>, id: StreamId) -> &mut (Vec<Item>, Vec<Chunk>) {
    let index = id.0 as usize;
    if streams.len() <= index {
        streams.resize_with(index + 1, Default::default);
    }
    &mut streams[index]
}
