//! What a host's name says of the place that it leads to.

/// Endings of names that the open internet's name servers do not answer for: RFC 6761 (special use), RFC 6762 (`local`), RFC 8375
/// (`home.arpa`), `internal` (set aside by ICANN in 2024), and what routers and companies use though nobody gave it to them.
const LOCAL_ENDINGS: &[&str] = &[
    "localhost",
    "local",
    "test",
    "example",
    "invalid",
    "home.arpa",
    "internal",
    "intranet",
    "private",
    "localdomain",
    "lan",
    "home",
    "corp",
];

/// Whether the open internet answers for a host's name (in ASCII and lower case): it has several labels, and none of the endings
/// that are kept for local use. Whoever owns such a name says where it leads, to our own network too, and may say something
/// else each time.
pub fn is_public_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let ends = |ending: &&str| name.strip_suffix(ending).is_some_and(|front| front.is_empty() || front.ends_with('.'));
    name.contains('.') && !LOCAL_ENDINGS.iter().any(ends)
}

/// Whether a name is one that systems read as an IPv4 address (`127.1`, `0x7f000001`, `017700000001`): its last label is a
/// number. No name of the DNS is like that (RFC 3696, 2: the top level "is not all-numeric").
pub(super) fn is_address_in_disguise(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or(name);
    let hex = last.strip_prefix("0x").is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
    hex || (!last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()))
}
