//! The whole way: from the bytes of a capture file to what was said.

use super::file::{FileFault, Frame, Reader};
use super::ip::IpReader;
use super::packet::{Packet, TcpHead, Transport, Unfollowed, ip_of};
use super::said::{Chunk, Datagram, Heard, Side, StreamFacts, StreamId};
use super::stream::{Out, Stream};
use super::udp::UdpTalk;
use super::{CaptureLimits, Stamp};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::SocketAddr;

/// What is known of a capture as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CaptureFacts {
    /// Frames that were read.
    pub frames: u64,
    /// When the first of them was captured.
    pub first: Option<Stamp>,
    /// When the last was.
    pub last: Option<Stamp>,
    /// TCP segments.
    pub tcp: u64,
    /// UDP datagrams.
    pub udp: u64,
    /// Fragments of IP packets of which others are missing, and those before the last.
    pub fragments: u64,
    /// Frames that carry something else.
    pub other: u64,
    /// Frames of a link type that is not known.
    pub unknown_link: u64,
    /// Frames whose headers make no sense or were not captured whole.
    pub malformed: u64,
    /// Segments of connections beyond [`CaptureLimits::max_streams`].
    pub unfollowed: u64,
    /// Whether the file ends in the middle of a record.
    pub cut_off: bool,
    /// Why the file was not read to its end.
    pub fault: Option<FileFault>,
}

/// Takes a capture apart: it is [fed](Dissector::feed) the file in parts of any size, and what was [heard](Dissector::heard) comes out.
///
/// What it holds is bounded by its [limits](CaptureLimits), however long the file is, but for what was heard and not taken yet: that grows
/// with the part that was fed.
#[derive(Clone, Debug)]
pub struct Dissector {
    limits: CaptureLimits,
    reader: Reader,
    ip: IpReader,
    /// The last connection between two addresses, the lower one first.
    latest: BTreeMap<(SocketAddr, SocketAddr), StreamId>,
    /// Those whose end was not seen, by [`StreamId`].
    open: BTreeMap<StreamId, Box<Stream>>,
    streams: Vec<StreamFacts>,
    udp: UdpTalk,
    facts: CaptureFacts,
    heard: VecDeque<Heard>,
    chunks: Option<VecDeque<(StreamId, Chunk)>>,
    /// What all streams hold, in bytes.
    held: u64,
    finished: bool,
}

impl Dissector {
    /// One that has read nothing.
    pub fn new(limits: CaptureLimits) -> Dissector {
        Dissector {
            reader: Reader::new(limits.clone()),
            limits,
            ip: IpReader::default(),
            latest: BTreeMap::new(),
            open: BTreeMap::new(),
            streams: Vec::new(),
            udp: UdpTalk::default(),
            facts: CaptureFacts::default(),
            heard: VecDeque::new(),
            chunks: None,
            held: 0,
            finished: false,
        }
    }

    /// Has the bytes of the connections kept too, from now on: see [`chunk`](Dissector::chunk).
    pub fn keep_chunks(&mut self) {
        self.chunks.get_or_insert_default();
    }

    /// Takes the next bytes of the file. Behind [`finish`](Dissector::finish), and where the file could not be read on, they are ignored.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.finished {
            return;
        }
        self.reader.feed(bytes);
        loop {
            match self.reader.next() {
                Ok(Some(frame)) => self.frame(&frame),
                Ok(None) => return,
                Err(fault) => {
                    self.facts.fault = Some(fault);
                    return;
                }
            }
        }
    }

    /// The file ends here: what waited for more is given up.
    pub fn finish(&mut self) {
        if core::mem::replace(&mut self.finished, true) {
            return;
        }
        self.facts.cut_off = self.reader.is_inside_record();
        for (id, mut stream) in core::mem::take(&mut self.open) {
            let Some(facts) = self.streams.get_mut(id.0 as usize) else { continue };
            stream.finish(&self.limits, &mut Out { id, facts, heard: &mut self.heard, chunks: self.chunks.as_mut() });
        }
        self.held = 0;
    }

    /// What was heard next. What one side of a connection said is in order, and so are datagrams; where bytes had to wait for others, what
    /// they say comes after what was heard meanwhile elsewhere.
    pub fn heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }

    /// The next bytes of a connection, when they are [kept](Dissector::keep_chunks); to be taken as often as what was heard. What one side
    /// sent is in order.
    pub fn chunk(&mut self) -> Option<(StreamId, Chunk)> {
        self.chunks.as_mut()?.pop_front()
    }

    /// What is known of the capture so far.
    pub fn facts(&self) -> &CaptureFacts {
        &self.facts
    }

    /// What is known of a connection so far.
    pub fn stream(&self, id: StreamId) -> Option<&StreamFacts> {
        self.streams.get(id.0 as usize)
    }

    /// All connections, in the order of their first segments.
    pub fn streams(&self) -> impl ExactSizeIterator<Item = (StreamId, &StreamFacts)> {
        // There are at most 2^32 of them, by their limit.
        self.streams.iter().enumerate().map(|(index, facts)| (StreamId(index as u32), facts))
    }

    /// How many bytes the connections hold together; at most [`CaptureLimits::max_held`] and what one of them holds.
    pub fn held(&self) -> u64 {
        self.held
    }

    fn frame(&mut self, frame: &Frame) {
        let time = frame.time;
        self.facts.frames += 1;
        self.facts.first.get_or_insert(time);
        self.facts.last = self.facts.last.max(Some(time));
        let cut = frame.length.saturating_sub(u32::try_from(frame.data.len()).unwrap_or(u32::MAX));
        let packet = ip_of(frame.link, &frame.data).and_then(|packet| self.ip.read(time, &packet, &self.limits));
        let packet = match packet {
            Ok(packet) => packet,
            Err(unfollowed) => {
                let count = match unfollowed {
                    Unfollowed::Link => &mut self.facts.unknown_link,
                    Unfollowed::Other => &mut self.facts.other,
                    Unfollowed::Malformed => &mut self.facts.malformed,
                    Unfollowed::Fragment => &mut self.facts.fragments,
                };
                *count += 1;
                return;
            }
        };
        match packet.transport {
            Transport::Udp => {
                self.facts.udp += 1;
                let Packet { from, to, payload, missing, .. } = packet;
                let kind = self.udp.tell(from, to, &payload, &self.limits);
                let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).saturating_add(missing);
                self.heard.push_back(Heard::Datagram(Datagram { time, from, to, length, kind }));
            }
            Transport::Tcp(head) => {
                self.facts.tcp += 1;
                // What an IP header says is missing was cut off by the capture, if the frame was; else the header lies.
                let cut = packet.missing.min(cut);
                self.segment(time, &packet, &head, cut);
            }
        }
    }

    fn segment(&mut self, time: Stamp, packet: &Packet, head: &TcpHead, cut: u32) {
        let (from, to) = (packet.from, packet.to);
        let key = if from <= to { (from, to) } else { (to, from) };
        let side = |facts: &StreamFacts| if facts.a == from { Side::A } else { Side::B };
        let mut known = self.latest.get(&key).copied();
        if let Some(id) = known
            && head.syn
            && let Some(facts) = self.streams.get_mut(id.0 as usize)
        {
            let side = side(facts);
            // A connection that is over is remembered no more: any SYN begins another.
            let another = self.open.get_mut(&id).is_none_or(|stream| stream.is_another(side, head));
            if another {
                self.close(id);
                known = None;
            }
        }
        let id = match known {
            Some(id) => id,
            None if self.streams.len() >= self.limits.max_streams as usize => {
                self.facts.unfollowed += 1;
                return;
            }
            None => {
                let id = StreamId(self.streams.len() as u32);
                let (stream, facts) = Stream::new(from, to, head, time);
                self.streams.push(facts);
                self.open.insert(id, Box::new(stream));
                self.latest.insert(key, id);
                id
            }
        };
        let Some(facts) = self.streams.get_mut(id.0 as usize) else { return };
        // What follows on an end is of no interest: the last acknowledgement.
        let Some(stream) = self.open.get_mut(&id) else { return };
        let side = side(facts);
        let before = stream.held() as u64;
        let mut out = Out { id, facts, heard: &mut self.heard, chunks: self.chunks.as_mut() };
        stream.segment(side, time, head, &packet.payload, cut, &self.limits, &mut out);
        self.held = (self.held + stream.held() as u64).saturating_sub(before);
        if self.held > self.limits.max_held {
            let before = stream.held() as u64;
            stream.relieve(time, &self.limits, &mut out);
            self.held = (self.held + stream.held() as u64).saturating_sub(before);
        }
        if stream.is_over() {
            self.close(id);
        }
    }

    /// Nothing more is expected of a connection.
    fn close(&mut self, id: StreamId) {
        let Some(mut stream) = self.open.remove(&id) else { return };
        self.held = self.held.saturating_sub(stream.held() as u64);
        if let Some(facts) = self.streams.get_mut(id.0 as usize) {
            stream.finish(&self.limits, &mut Out { id, facts, heard: &mut self.heard, chunks: self.chunks.as_mut() });
        }
    }
}
