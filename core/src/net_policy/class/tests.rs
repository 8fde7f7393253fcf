use super::*;
use std::format;

#[test]
fn classes_of_the_registries() {
    let table = [
        ("1.2.3.4", AddrClass::Global),
        ("8.8.8.8", AddrClass::Global),
        ("172.15.255.255", AddrClass::Global),
        ("172.32.0.0", AddrClass::Global),
        ("2a00:1450::1", AddrClass::Global),
        ("127.0.0.1", AddrClass::Loopback),
        ("127.255.0.9", AddrClass::Loopback),
        ("::1", AddrClass::Loopback),
        ("10.1.2.3", AddrClass::Private),
        ("172.16.0.1", AddrClass::Private),
        ("192.168.1.1", AddrClass::Private),
        ("100.64.0.1", AddrClass::Private),
        ("fd00::1", AddrClass::Private),
        ("169.254.169.254", AddrClass::LinkLocal),
        ("fe80::1", AddrClass::LinkLocal),
        ("0.0.0.0", AddrClass::Unusable),
        ("224.0.0.1", AddrClass::Unusable),
        ("255.255.255.255", AddrClass::Unusable),
        ("::", AddrClass::Unusable),
        ("ff02::1", AddrClass::Unusable),
        ("2001:db8::1", AddrClass::Private),
        ("192.0.2.1", AddrClass::Private),
        ("198.18.0.1", AddrClass::Private),
    ];
    for (text, class) in table {
        assert_eq!(AddrClass::of(text.parse().unwrap()), class, "{text}");
    }
}

#[test]
fn an_ipv4_address_cannot_hide_in_an_ipv6_one() {
    for v4 in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "1.2.3.4"] {
        let plain: Ipv4Addr = v4.parse().unwrap();
        let [a, b, c, d] = plain.octets();
        let sixtofour = format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1");
        for text in [format!("::ffff:{v4}"), format!("64:ff9b::{v4}"), sixtofour] {
            assert_eq!(AddrClass::of(text.parse().unwrap()), AddrClass::of(IpAddr::V4(plain)), "{text}");
        }
    }
}
