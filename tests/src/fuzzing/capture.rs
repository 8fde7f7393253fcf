//! Capture files: in whatever parts a file comes, the same is heard; and what is held for streams out of order keeps its limit.
//!
//! The first byte says how the rest is split.

use parcacik_core::capture::{CaptureLimits, Dissector, Heard, StreamFacts};

/// One input.
pub fn run(input: &[u8]) {
    let Some((&step, file)) = input.split_first() else { return };
    let whole = hear(file, file.len().max(1));
    assert_eq!(hear(file, usize::from(step) + 1), whole);
}

fn hear(file: &[u8], step: usize) -> (Vec<Heard>, Vec<StreamFacts>) {
    let limits = CaptureLimits { max_held: 1 << 16, ..CaptureLimits::default() };
    let most = limits.max_held + u64::from(limits.max_out_of_order);
    let mut dissector = Dissector::new(limits);
    let mut heard = Vec::new();
    for part in file.chunks(step) {
        dissector.feed(part);
        heard.extend(std::iter::from_fn(|| dissector.heard()));
        assert!(dissector.held() <= most, "{} bytes are held", dissector.held());
    }
    dissector.finish();
    heard.extend(std::iter::from_fn(|| dissector.heard()));
    let streams = dissector.streams().map(|(_, facts)| facts.clone()).collect();
    (heard, streams)
}
