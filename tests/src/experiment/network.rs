//! What lies between sessions: streams, uplinks, downlinks. See "The network" in the [module](super).

use bytes::{Bytes, BytesMut};
use parcacik_core::border::{DialId, JobId};
use std::collections::VecDeque;

/// The most that a stream sends in its turn, and that is read at once: one large segment of a kernel.
pub(super) const BURST: usize = 64 << 10;

/// What fits into one packet goes before long queues.
pub(super) const PACKET: usize = 1_460;

/// A part of a stream.
#[derive(Debug)]
pub(super) enum Segment {
    /// Bytes as they are.
    Plain(Bytes),
    /// So many bytes of content.
    Content(u32),
}

impl Segment {
    fn len(&self) -> usize {
        match self {
            Segment::Plain(bytes) => bytes.len(),
            Segment::Content(length) => *length as usize,
        }
    }

    /// Takes the first `at` bytes, less than all, off it.
    fn split_to(&mut self, at: usize) -> Segment {
        match self {
            Segment::Plain(bytes) => Segment::Plain(bytes.split_to(at)),
            Segment::Content(length) => {
                *length -= at as u32;
                Segment::Content(at as u32)
            }
        }
    }
}

/// Parts of a stream that wait for something.
#[derive(Debug, Default)]
pub(super) struct Queue {
    segments: VecDeque<Segment>,
    bytes: usize,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.bytes
    }

    pub fn push(&mut self, segment: Segment) {
        self.bytes += segment.len();
        self.segments.push_back(segment);
    }

    pub fn clear(&mut self) {
        *self = Queue::default();
    }

    /// Moves up to `most` bytes from the front to the end of a list; how many.
    pub fn take(&mut self, most: usize, to: &mut Vec<Segment>) -> usize {
        let mut taken = 0;
        while taken < most
            && let Some(mut segment) = self.segments.pop_front()
        {
            let room = most - taken;
            if segment.len() > room {
                to.push(segment.split_to(room));
                self.segments.push_front(segment);
                taken = most;
            } else {
                taken += segment.len();
                to.push(segment);
            }
        }
        self.bytes -= taken;
        taken
    }
}

/// How far a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Asked for, and not answered.
    Dialled(DialId),
    /// Bytes may go.
    Open,
    /// This side has ended it; what is queued goes yet.
    Ending,
    /// Over.
    Closed,
}

/// One end of a stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub life: Life,
    /// Who is at the other end, and under which number.
    pub peer: u32,
    pub theirs: u64,
    /// What is to be sent.
    pub sending: Queue,
    /// Whether it waits for its turn, or has it.
    pub in_turn: bool,
    /// Whether something was queued during the event that is being handled.
    pub touched: bool,
    /// What has come and was not read.
    pub unread: Queue,
    /// How much the session may be told.
    pub credit: u64,
    /// The other side has ended it.
    pub ended: bool,
    /// How much of our handshake was sent, for the census.
    pub greeted: u8,
}

impl Stream {
    pub fn new(life: Life, peer: u32, theirs: u64) -> Stream {
        Stream {
            life,
            peer,
            theirs,
            sending: Queue::default(),
            in_turn: false,
            touched: false,
            unread: Queue::default(),
            credit: 0,
            ended: false,
            greeted: 0,
        }
    }
}

/// What comes to a node from another.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Somebody dials; his number of the stream.
    Syn { from: u32, theirs: u64 },
    /// A dial has been answered: our number of the stream, and his.
    Answered { tcp: u64, theirs: u64 },
    /// Nobody is there.
    Refused { tcp: u64 },
    /// Bytes, of which the first left at `start`.
    Chunk { tcp: u64, start: u64, segments: Vec<Segment>, bytes: usize },
    /// The end of a stream.
    End { tcp: u64 },
    /// The tracker's answer.
    Told { job: JobId, body: Vec<u8> },
}

/// A line of so many bytes a second that serves one thing after the other. Times are in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    rate: u64,
    /// When what it was given so far is through.
    pub free: u64,
}

impl Line {
    pub fn new(rate: u64) -> Line {
        Line { rate, free: 0 }
    }

    /// How long so many bytes take.
    pub fn takes(&self, bytes: usize) -> u64 {
        bytes as u64 * 1_000_000_000 / self.rate
    }

    /// Serves so many bytes from `from` on, or as soon as it is free; begin and end.
    pub fn serve(&mut self, from: u64, bytes: usize) -> (u64, u64) {
        let start = from.max(self.free);
        self.free = start + self.takes(bytes);
        (start, self.free)
    }
}

/// What is on its way up.
#[derive(Debug)]
pub(super) struct Sending {
    pub tcp: u64,
    pub start: u64,
    pub end: u64,
    pub segments: Vec<Segment>,
    pub bytes: usize,
}

/// Buffers for what is told to sessions. They are used again and again, with whatever is in them where content would be.
#[derive(Debug)]
pub(super) struct Buffers {
    /// The one that was lent first is likely to be back first.
    lent: VecDeque<Bytes>,
    /// Lists that were emptied, with their memory.
    lists: Vec<Vec<Segment>>,
    /// For blocks that nobody sends anywhere.
    pub zeros: Bytes,
}

/// How many buffers are asked whether they have come back.
const TRIES: usize = 4;

impl Buffers {
    pub fn new() -> Buffers {
        Buffers { lent: VecDeque::new(), lists: Vec::new(), zeros: Bytes::from(vec![0; 1 << 20]) }
    }

    /// An empty list.
    pub fn list(&mut self) -> Vec<Segment> {
        self.lists.pop().unwrap_or_default()
    }

    /// A list that is not needed any more.
    pub fn emptied(&mut self, list: Vec<Segment>) {
        debug_assert!(list.is_empty());
        self.lists.push(list);
    }

    /// One buffer with all segments in it, of [`BURST`] bytes together at most.
    pub fn join(&mut self, segments: &mut Vec<Segment>) -> Bytes {
        if segments.len() == 1
            && let Some(segment) = segments.pop()
        {
            return match segment {
                Segment::Plain(bytes) => bytes,
                Segment::Content(length) => self.zeros.slice(..length as usize),
            };
        }
        let mut buffer = self.take();
        let mut at = 0;
        for segment in segments.drain(..) {
            if let Segment::Plain(bytes) = &segment {
                buffer[at..at + bytes.len()].copy_from_slice(bytes);
            }
            at += segment.len();
        }
        let buffer = buffer.freeze();
        let told = buffer.slice(..at);
        self.lent.push_back(buffer);
        told
    }

    fn take(&mut self) -> BytesMut {
        for _ in 0..TRIES {
            let Some(first) = self.lent.pop_front() else { break };
            match first.try_into_mut() {
                Ok(buffer) => return buffer,
                // Somebody has it yet.
                Err(buffer) => self.lent.push_back(buffer),
            }
        }
        BytesMut::zeroed(BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_other_portions() {
        let mut queue = Queue::default();
        queue.push(Segment::Plain(Bytes::from_static(b"abcd")));
        queue.push(Segment::Content(10));
        queue.push(Segment::Plain(Bytes::from_static(b"ef")));
        assert_eq!(queue.len(), 16);
        let mut buffers = Buffers::new();
        let mut portion = |most| {
            let mut segments = Vec::new();
            let taken = queue.take(most, &mut segments);
            let bytes = buffers.join(&mut segments);
            assert_eq!((bytes.len(), segments.len()), (taken, 0));
            bytes.to_vec()
        };
        assert_eq!(portion(3), b"abc");
        assert_eq!(portion(8)[..1], b"d"[..]);
        assert_eq!(portion(100)[3..], b"ef"[..]);
    }

    #[test]
    fn a_line_serves_one_after_the_other() {
        let mut line = Line::new(1_000);
        assert_eq!(line.serve(0, 500), (0, 500_000_000));
        assert_eq!(line.serve(100, 500), (500_000_000, 1_000_000_000));
        assert_eq!(line.serve(2_000_000_000, 1), (2_000_000_000, 2_001_000_000));
    }

    #[test]
    fn a_buffer_is_used_again_when_it_has_come_back() {
        let mut buffers = Buffers::new();
        let two = || vec![Segment::Plain(Bytes::from_static(b"x")), Segment::Content(1)];
        let first = buffers.join(&mut two());
        let address = first.as_ptr();
        let second = buffers.join(&mut two());
        assert_ne!(second.as_ptr(), address, "the first is out yet");
        drop((first, second));
        let third = buffers.join(&mut two());
        assert_eq!(third.len(), 2);
        // The first was lent again, behind the second: no third was made.
        assert_eq!(buffers.lent.len(), 2);
    }
}
