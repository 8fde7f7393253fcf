//! UDP trackers, both sides: what is decoded encodes to what decodes to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};

fuzz_target!(|input: &[u8]| {
    if let Some(request) = UdpRequest::decode(input) {
        assert_eq!(UdpRequest::decode(&request.encode()), Some(request));
    }
    for v6 in [false, true] {
        let _ = UdpResponse::decode(input, v6, 1000, 200);
    }
});
