use super::*;
use proptest::prelude::*;
use std::vec;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn peer(addr: &str, flags: u8) -> PexPeer {
    PexPeer { addr: at(addr), flags: PexFlags(flags) }
}

#[test]
fn families_are_kept_apart() {
    let message = PexMessage {
        added: vec![peer("1.2.3.4:1", 1), peer("5.6.7.8:2", 2), peer("[2001:db8::1]:3", 16)],
        dropped: vec![at("9.9.9.9:4"), at("[2001:db8::2]:5")],
    };
    let bytes = message.emit();
    let text = std::format!("{}", bytes.escape_ascii());
    let keys = ["5:added12:", "7:added.f2:", "6:added618:", "8:added6.f1:", "7:dropped6:", "8:dropped618:"];
    assert!(keys.iter().all(|key| text.contains(key)), "{text}");
    assert_eq!(PexMessage::parse(&bytes), Ok(message));
}

#[test]
fn what_there_is_nothing_for_is_left_out() {
    assert_eq!(PexMessage::default().emit(), b"de");
    assert!(PexMessage::parse(b"de").unwrap().is_empty());
    let gone = PexMessage { added: vec![], dropped: vec![at("1.2.3.4:5")] };
    assert_eq!(gone.emit(), b"d7:dropped6:\x01\x02\x03\x04\x00\x05e");
    assert!(!gone.is_empty());
}

#[test]
fn what_is_whole_is_read() {
    let read = |payload: &[u8]| PexMessage::parse(payload).unwrap();
    let one = vec![peer("1.2.3.4:5", 0)];
    assert_eq!(read(b"d5:added6:\x01\x02\x03\x04\x00\x05e").added, one, "no flags");
    assert_eq!(read(b"d5:added9:\x01\x02\x03\x04\x00\x05\x01\x02\x037:added.f1:\x00e").added, one, "half a contact");
    let flags = read(b"d5:added12:\x01\x02\x03\x04\x00\x05\x01\x02\x03\x05\x00\x057:added.f1:\x02e").added;
    assert_eq!(flags, [peer("1.2.3.4:5", 2), peer("1.2.3.5:5", 0)], "fewer flags than contacts");
    assert_eq!(read(b"d5:added6:\x01\x02\x03\x04\x00\x057:added.f3:\x02\x03\x04e").added, [peer("1.2.3.4:5", 2)]);
    assert_eq!(read(b"d5:addedi7e6:added6l1:ae7:dropped6:\x01\x02\x03\x04\x00\x05e").dropped, [at("1.2.3.4:5")]);
    assert_eq!(read(b"d1:xd1:yi1ee7:dropped6:\x01\x02\x03\x04\x00\x05e").dropped, [at("1.2.3.4:5")], "foreign keys");
}

#[test]
fn what_is_no_dictionary_is_refused() {
    for bad in [&b""[..], b"i1e", b"le", b"d5:added", b"5:added", b"d5:added99:xe"] {
        assert_eq!(PexMessage::parse(bad), Err(NotADictionary), "{}", bad.escape_ascii());
    }
}

#[test]
fn mapped_addresses_are_written_as_ipv4() {
    let mapped = PexMessage { added: vec![peer("[::ffff:1.2.3.4]:5", 0)], dropped: vec![] };
    assert_eq!(PexMessage::parse(&mapped.emit()).unwrap().added, [peer("1.2.3.4:5", 0)]);
}

#[test]
fn flags_are_bits() {
    let flags = PexFlags::SEED | PexFlags::UTP.when(true) | PexFlags::HOLEPUNCH.when(false);
    assert_eq!(flags, PexFlags(0x06));
    assert!(flags.has(PexFlags::SEED) && !flags.has(PexFlags::SEED | PexFlags::ENCRYPTION));
}

proptest! {
    #[test]
    fn written_is_read(
        v4 in prop::collection::vec((any::<[u8; 4]>(), any::<u16>(), any::<u8>()), 0..20),
        v6 in prop::collection::vec((any::<[u8; 16]>(), any::<u16>(), any::<u8>()), 0..20),
        gone in prop::collection::vec((any::<[u8; 4]>(), any::<u16>()), 0..20),
    ) {
        let v4 = v4.into_iter().map(|(ip, port, flags)| (SocketAddr::from((ip, port)), flags));
        let v6 = v6.into_iter().map(|(ip, port, flags)| (SocketAddr::from((ip, port)), flags));
        let v6 = v6.filter(|(addr, _)| addr.ip().to_canonical().is_ipv6());
        let added = v4.chain(v6).map(|(addr, flags)| PexPeer { addr, flags: PexFlags(flags) }).collect();
        let message = PexMessage { added, dropped: gone.into_iter().map(SocketAddr::from).collect() };
        prop_assert_eq!(PexMessage::parse(&message.emit()), Ok(message));
    }

    #[test]
    fn any_bytes(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = PexMessage::parse(&payload) {
            let again = PexMessage::parse(&message.emit()).unwrap();
            prop_assert_eq!(again.added.len(), message.added.len());
        }
    }
}
