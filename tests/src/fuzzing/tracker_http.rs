//! Answers of HTTP trackers: limits hold, texts are clean, and what was taken and is answered again is taken as the same.

use parcacik_core::border::{PeerId, Target};
use parcacik_core::tracker::http::{
    PeerEntry, PeersForm, ResponseLimits, encode_failure, encode_response, encode_scrape, parse_response,
    parse_scrape_response,
};
use parcacik_core::tracker::{AnnounceResponse, Reply};

const LIMITS: ResponseLimits = ResponseLimits { body: 1 << 20, peers: 50, id: 256, text: 200 };

/// One input.
pub fn run(input: &[u8]) {
    match parse_response(input, &LIMITS) {
        Ok(Reply::Answer(answer)) => announced(&answer),
        Ok(Reply::Failure { reason, retry }) => {
            is_clean(&reason);
            let again = parse_response(&encode_failure(&reason, retry), &LIMITS);
            assert_eq!(again, Ok(Reply::Failure { reason, retry }));
        }
        Err(why) => assert!(!why.is_empty()),
    }
    if let Ok(Reply::Answer((torrents, _))) = parse_scrape_response(input, &LIMITS) {
        // Of a torrent that comes twice nothing is demanded.
        let mut sorted = torrents;
        sorted.sort_by_key(|(hash, _)| *hash);
        sorted.dedup_by_key(|(hash, _)| *hash);
        let again = parse_scrape_response(&encode_scrape(&sorted), &LIMITS);
        assert_eq!(again, Ok(Reply::Answer((sorted, None))));
    }
}

fn announced(answer: &AnnounceResponse) {
    assert!(answer.peers.len() <= LIMITS.peers as usize);
    assert!(answer.tracker_id.as_ref().is_none_or(|id| id.len() <= LIMITS.id as usize));
    answer.warning.iter().for_each(|text| is_clean(text));
    for peer in &answer.peers {
        let (Target::Addr(_) | Target::Host { .. }) = peer;
        let port = match peer {
            Target::Addr(addr) => addr.port(),
            Target::Host { name, port } => {
                assert!(!name.is_empty() && name.is_ascii() && !name.contains(['/', ':', '@']), "{name:?}");
                *port
            }
        };
        assert!(port != 0);
    }
    // Names cannot be written; the order is by family in the compact form.
    let mut addresses: Vec<_> =
        answer.peers.iter().filter_map(|peer| if let Target::Addr(addr) = peer { Some(*addr) } else { None }).collect();
    let entries: Vec<PeerEntry> = addresses.iter().map(|&addr| PeerEntry { addr, id: PeerId([7; 20]) }).collect();
    for form in [PeersForm::Dictionaries { ids: true }, PeersForm::Dictionaries { ids: false }, PeersForm::Compact] {
        if form == PeersForm::Compact {
            addresses.sort_by_key(|addr| addr.is_ipv6());
        }
        let body = encode_response(answer, &entries, form);
        let Ok(Reply::Answer(again)) = parse_response(&body, &LIMITS) else { panic!("{body:?}") };
        let peers = addresses.iter().map(|&addr| Target::Addr(addr)).collect();
        assert_eq!(again, AnnounceResponse { peers, ..answer.clone() });
    }
}

fn is_clean(text: &str) {
    assert!(text.chars().count() <= LIMITS.text as usize && !text.chars().any(char::is_control), "{text:?}");
}
