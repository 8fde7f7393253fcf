//! An event as a recording has it: the time since the one before, and then the event.
//!
//! What was received is most of a recording. So it is written at once, and not part by part as other events are.

use super::super::room::{Pen, Room};
use super::{Encoder, MAX_HOLES, encode_event};
use crate::border::{Event, TcpId};
use alloc::vec::Vec;
use core::ops::Range;

/// How much outside of holes is more than what a few blocks have.
const MUCH: usize = 1024;

/// What the numbers of an event take that are not those of holes, and more behind it than is copied at once.
const FRONT: usize = 64;

/// Appends the time since the event before, and the event. `scratch` is where it is encoded, if it has to be.
#[inline]
pub(in crate::journal) fn encode_step(
    since: u64,
    event: &Event,
    opaque: &[Range<u32>],
    room: &mut Room,
    scratch: &mut Vec<u8>,
) {
    let received = match event {
        Event::Received { tcp, bytes } => received(since, *tcp, bytes, opaque, room),
        _ => false,
    };
    if !received {
        any(since, event, opaque, room, scratch);
    }
}

#[inline(never)]
fn any(since: u64, event: &Event, opaque: &[Range<u32>], room: &mut Room, scratch: &mut Vec<u8>) {
    scratch.clear();
    Encoder::new(scratch).number(since);
    encode_event(event, opaque, scratch);
    room.extend(scratch);
}

/// What was received, if its holes are planned already and not much is outside of them: whether that is so. Nothing is written otherwise.
#[inline]
fn received(since: u64, tcp: TcpId, bytes: &[u8], holes: &[Range<u32>], room: &mut Room) -> bool {
    // No holes of it are too much then.
    if bytes.len() as u64 > MAX_HOLES {
        return false;
    }
    let mut pen = room.pen(FRONT + holes.len() * 10 + MUCH);
    pen.number(since);
    pen.put([8]);
    pen.number(tcp.0);
    pen.number(bytes.len() as u64);
    pen.number(holes.len() as u64);
    let written = places(holes, &mut pen) && outside(bytes, holes, &mut pen) && !pen.is_full();
    let left = pen.left();
    if written {
        room.wrote(left);
    }
    written
}

/// For each hole the bytes since the last one's end, and its length. Whether none is empty, or touches the last one.
#[inline]
fn places(holes: &[Range<u32>], pen: &mut Pen<'_>) -> bool {
    let (mut end, mut least) = (0, 0);
    // The length of most is that of a block, as was that of the one before.
    let (mut last, mut last_three) = (0, 0);
    for hole in holes {
        if u64::from(hole.start) < least || hole.end <= hole.start {
            return false;
        }
        let (gap, length) = (hole.start - end, hole.end - hole.start);
        if length != last {
            (last, last_three) = (length, three(length));
        }
        if gap < 0x80 && last_three != 0 {
            pen.put((last_three | gap).to_le_bytes());
        } else {
            pen.number(gap.into());
            pen.number(length.into());
        }
        end = hole.end;
        least = u64::from(end) + 1;
    }
    true
}

/// A number that has three bytes, with room for one of one byte in front. 0: it has less or more.
#[inline]
fn three(number: u32) -> u32 {
    match number {
        0x4000..0x20_0000 => (number & 0x7f | (number & 0x3f80) << 1 | (number & 0x1f_c000) << 2 | 0x8080) << 8,
        _ => 0,
    }
}

/// What is outside of holes, which [`places`] has found good. Whether all of them are within the bytes.
#[inline]
fn outside(bytes: &[u8], holes: &[Range<u32>], pen: &mut Pen<'_>) -> bool {
    let (mut rest, mut end) = (bytes, 0);
    for hole in holes {
        let gap = hole.start.wrapping_sub(end) as usize;
        pen.part(rest, gap);
        let Some(behind) = rest.get(hole.end.wrapping_sub(end) as usize..) else { return false };
        (rest, end) = (behind, hole.end);
    }
    pen.part(rest, rest.len());
    true
}
