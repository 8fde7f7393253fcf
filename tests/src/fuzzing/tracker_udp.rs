//! UDP trackers, both sides: what is decoded encodes to what decodes to the same, and limits hold.

use parcacik_core::tracker::udp::{UdpRequest, UdpResponse};

/// One input.
pub fn run(input: &[u8]) {
    if let Some(request) = UdpRequest::decode(input) {
        assert_eq!(UdpRequest::decode(&request.encode()), Some(request));
    }
    for v6 in [false, true] {
        let Some((transaction, response)) = UdpResponse::decode(input, v6, 50, 200) else { continue };
        match &response {
            UdpResponse::Announced(announced) => assert!(announced.peers.len() <= 50),
            UdpResponse::Error(text) => {
                assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control), "{text:?}");
            }
            UdpResponse::Connected { .. } | UdpResponse::Scraped(_) => {}
        }
        let again = UdpResponse::decode(&response.encode(transaction, v6), v6, 50, 200);
        assert_eq!(again, Some((transaction, response)));
    }
}
