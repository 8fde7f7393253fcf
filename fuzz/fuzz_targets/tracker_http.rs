//! HTTP trackers, both sides: answers and queries.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parcacik_core::tracker::Reply;
use parcacik_core::tracker::http::{
    ResponseLimits, parse_announce, parse_response, parse_scrape, parse_scrape_response,
};

fuzz_target!(|input: &[u8]| {
    let limits = ResponseLimits { body: 1 << 20, peers: 50, id: 256, text: 200 };
    if let Ok(Reply::Answer(answer)) = parse_response(input, &limits) {
        assert!(answer.peers.len() <= 50);
    }
    let _ = parse_scrape_response(input, &limits);
    let _ = parse_announce(input);
    if let Ok(torrents) = parse_scrape(input, 10) {
        assert!(torrents.len() <= 10);
    }
});
