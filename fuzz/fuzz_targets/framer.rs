//! Streams of messages: any split gives the same messages, the same content and the same end.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use parcacik_core::wire::{Framer, Message, WireError};

fuzz_target!(|input: &[u8]| {
    // The first byte says how the rest is split.
    let Some((&step, input)) = input.split_first() else { return };
    assert_eq!(read(input, usize::from(step) + 1), read(input, input.len().max(1)));
});

/// The messages, which bytes are content, and the error that ended it.
fn read(input: &[u8], step: usize) -> (Vec<Message>, Vec<bool>, Option<WireError>) {
    let mut framer = Framer::new(1 << 17);
    let (mut messages, mut content) = (Vec::new(), vec![false; input.len()]);
    for (index, part) in input.chunks(step).enumerate() {
        framer.feed(Bytes::copy_from_slice(part), 0);
        loop {
            let mut opaque = Vec::new();
            let next = framer.next(&mut opaque);
            for range in opaque {
                let place = index * step + range.start as usize..index * step + range.end as usize;
                content[place].fill(true);
            }
            match next {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, content, Some(error)),
            }
        }
    }
    (messages, content, None)
}
