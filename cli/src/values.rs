//! Values on the command line, and figures for people.

use parcacik_core::border::Target;
use parcacik_core::tracker::url::{Scheme, TrackerUrl, UrlError};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

/// The longest span that is taken: more than anybody waits, and far from where sums of times overflow.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// The smallest piece that may be asked for: one block.
const SMALLEST_PIECE: u64 = 16 << 10;
/// The greatest: the largest power of two that other programs take.
const GREATEST_PIECE: u64 = 256 << 20;
/// The greatest ratio, in thousandths.
const GREATEST_RATIO: u32 = 1_000_000_000;

/// A span such as `90`, `10s`, `1.5h` or `1h30m`; a number alone is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time; write 90s, 5m, 1h30m or 2d");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let (number, behind) =
            rest.split_at(rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, behind) =
            behind.split_at(behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len()));
        let thousandths = thousandths(number).ok_or_else(wrong)?;
        let unit_ms = match unit.trim() {
            "ms" => 1,
            "s" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            // Seconds, when the number stands alone: `1h30` would leave open what the 30 are.
            "" if number.len() == text.trim().len() => 1_000,
            _ => return Err(wrong()),
        };
        let micros = thousandths.checked_mul(unit_ms).ok_or_else(wrong)?;
        total = total.saturating_add(Duration::from_micros(micros));
        rest = behind;
    }
    if total > LONGEST {
        return Err(format!("`{text}` is more than a hundred years"));
    }
    Ok(total)
}

/// A ratio such as `1.5`, in thousandths.
pub fn ratio(text: &str) -> Result<u32, String> {
    let wrong = || format!("`{text}` is not a ratio; write 1, 1.5 or 0.25");
    let value = thousandths(text.trim()).and_then(|value| u32::try_from(value).ok()).ok_or_else(wrong)?;
    if value > GREATEST_RATIO { Err(format!("`{text}` is more than {}", GREATEST_RATIO / 1000)) } else { Ok(value) }
}

/// A decimal number in thousandths; further digits are dropped.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction = fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
    whole.checked_mul(1000)?.checked_add(fraction)
}

/// The length of a piece: `262144`, `256K`, `1M`.
pub fn piece_length(text: &str) -> Result<u32, String> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        _ => return Err(format!("`{text}` is not a size; write 262144, 256K or 1M")),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << shift));
    let bytes = bytes.ok_or_else(|| format!("`{text}` is not a size; write 262144, 256K or 1M"))?;
    if !bytes.is_power_of_two() || !(SMALLEST_PIECE..=GREATEST_PIECE).contains(&bytes) {
        return Err(format!("{bytes} bytes: a piece must be a power of two from 16K to 256M"));
    }
    // At most 2^28.
    Ok(bytes as u32)
}

/// A limit in bytes a second: `500000`, `500K`, `1.5M`, also with `iB` or `/s` behind it.
pub fn rate_limit(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a rate; write 500000, 500K or 1.5M (bytes a second; K and M are 1024)");
    let rate = text.trim().to_ascii_lowercase();
    let rate = rate.strip_suffix("/s").unwrap_or(&rate);
    let (number, unit) = rate.split_at(rate.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rate.len()));
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(wrong()),
    };
    let bytes = thousandths(number).and_then(|value| value.checked_mul(1 << shift)).ok_or_else(wrong)? / 1000;
    if bytes == 0 {
        return Err(format!("`{text}` would let nothing through; leave the option out for no limit"));
    }
    Ok(bytes)
}

/// A peer: `192.0.2.1:6881`, `[2001:db8::1]:6881` or `peer.example:6881`.
pub fn peer(text: &str) -> Result<Target, String> {
    let text = text.trim();
    let target = match text.parse::<SocketAddr>() {
        Ok(addr) => Target::Addr(addr),
        Err(_) => {
            let (name, port) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` has no port; write HOST:PORT"))?;
            if name.contains([':', '[', ']']) {
                return Err(format!("`{text}` is no address; IPv6 is written [2001:db8::1]:6881"));
            }
            let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            if name.is_empty() || name.len() > 253 || !name.chars().all(is_host) {
                return Err(format!("`{name}` is no host name; write HOST:PORT"));
            }
            let port = port.parse().map_err(|_| format!("`{port}` is no port (1 to 65535)"))?;
            Target::Host { name: name.to_ascii_lowercase(), port }
        }
    };
    match &target {
        Target::Addr(addr) if addr.port() == 0 => Err("port 0 cannot be dialled".into()),
        Target::Host { port: 0, .. } => Err("port 0 cannot be dialled".into()),
        _ => Ok(target),
    }
}

/// An address of this machine: `0.0.0.0:6881`, `[::]:6881`; port 0 lets the system choose.
pub fn listen(text: &str) -> Result<SocketAddr, String> {
    text.trim().parse().map_err(|_| {
        format!("`{text}` is no IP:PORT; write 0.0.0.0:6881, 192.0.2.7:0 or [::]:6881 (port 0: the system chooses)")
    })
}

/// The URL of a tracker.
pub fn tracker(text: &str) -> Result<String, String> {
    match TrackerUrl::parse(text) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(why) => Err(format!("the URL {why}")),
    }
}

/// The URL of a web seed (BEP 19).
pub fn web_seed(text: &str) -> Result<String, String> {
    match TrackerUrl::parse(text) {
        Ok(url) if url.scheme() == Scheme::Udp => Err("a web seed is reached by http or https".into()),
        Ok(_) => Ok(text.trim().to_owned()),
        Err(UrlError::Scheme) => Err("the URL does not begin with http:// or https://".into()),
        Err(why) => Err(format!("the URL {why}")),
    }
}

/// An info-hash of 40 hexadecimal digits.
///
/// # Errors
/// When it is none.
pub fn info_hash(text: &str) -> Result<[u8; 20], String> {
    unhex(text).ok_or_else(|| "an info-hash has 40 hexadecimal digits".to_owned())
}

/// So many bytes of hexadecimal digits.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// What an item of the DHT is asked for by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemName {
    /// Where it is stored.
    Target([u8; 20]),
    /// Whose it is.
    Key([u8; 32]),
}

/// A target of 40 hexadecimal digits, or a public key of 64.
///
/// # Errors
/// What is neither.
pub fn item_name(text: &str) -> Result<ItemName, String> {
    unhex(text).map(ItemName::Target).or_else(|| unhex(text).map(ItemName::Key)).ok_or_else(|| {
        "an item is named by its target of 40 hexadecimal digits, or by the 64 of a public key".to_owned()
    })
}

/// What tells items of one key apart (BEP 44): at most 64 bytes.
///
/// # Errors
/// What is longer.
pub fn salt(text: &str) -> Result<String, String> {
    let most = parcacik_core::dht::krpc::MAX_SALT;
    if text.len() > most {
        Err(format!("it has {} bytes; {most} are allowed", text.len()))
    } else {
        Ok(text.to_owned())
    }
}

/// A size: `512 B`, `1.5 KiB`, `64.0 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    // From 1023.95 on it would be printed as 1024.0.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A size a second.
pub fn rate(bytes: u64) -> String {
    format!("{}/s", size(bytes))
}

/// How far something goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// So many events.
    Events(u64),
    /// So long.
    Span(Duration),
}

/// A number of events, or a span with its unit.
///
/// # Errors
/// What is neither.
pub fn until(text: &str) -> Result<Until, String> {
    match text.parse() {
        Ok(events) => Ok(Until::Events(events)),
        Err(_) => duration(text).map(Until::Span),
    }
}

/// A span in its two greatest units: `42s`, `3m05s`, `2h10m`, `3d04h`.
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Text of strangers for a terminal: what could move its cursor or turn the direction of writing is shown as `\u{..}`.
pub fn clean(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut clean, character| {
        let steers = character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
        if steers {
            clean.extend(character.escape_unicode());
        } else {
            clean.push(character);
        }
        clean
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let seconds = |text: &str| duration(text).map(|span| span.as_millis()).ok();
        assert_eq!(seconds("90"), Some(90_000));
        assert_eq!(seconds("10s"), Some(10_000));
        assert_eq!(seconds("1.5h"), Some(5_400_000));
        assert_eq!(seconds("1h30m"), Some(5_400_000));
        assert_eq!(seconds("250ms"), Some(250));
        assert_eq!(seconds("0"), Some(0));
        for wrong in ["", "s", "1x", "-1s", "1h30", "1..5s", ".", "18446744073709551615h", "40000d", "1e3s"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_number_is_of_events_and_a_span_has_a_unit() {
        assert_eq!(until("90"), Ok(Until::Events(90)));
        assert_eq!(until("90s"), Ok(Until::Span(Duration::from_secs(90))));
        assert_eq!(until("1.5s"), Ok(Until::Span(Duration::from_millis(1500))));
        assert!(until("-1").is_err() && until("soon").is_err());
    }

    #[test]
    fn ratios_are_thousandths() {
        assert_eq!(ratio("1.5"), Ok(1500));
        assert_eq!(ratio(".25"), Ok(250));
        assert_eq!(ratio("2"), Ok(2000));
        assert_eq!(ratio("0.0009"), Ok(0));
        for wrong in ["", ".", "1,5", "-1", "nan", "99999999999"] {
            assert!(ratio(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn piece_lengths_are_powers_of_two() {
        assert_eq!(piece_length("16384"), Ok(16 << 10));
        assert_eq!(piece_length("256K"), Ok(256 << 10));
        assert_eq!(piece_length("4MiB"), Ok(4 << 20));
        for wrong in ["", "0", "8K", "100000", "512M", "1G", "-16K", "18446744073709551615K"] {
            assert!(piece_length(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn rates_are_bytes_a_second() {
        assert_eq!(rate_limit("500000"), Ok(500_000));
        assert_eq!(rate_limit("500K"), Ok(500 << 10));
        assert_eq!(rate_limit(" 1.5 MiB/s"), Ok(3 << 19));
        assert_eq!(rate_limit("2m"), Ok(2 << 20));
        assert_eq!(rate_limit("1g"), Ok(1 << 30));
        assert!(rate_limit("0").is_err_and(|why| why.contains("leave the option out")));
        for wrong in ["", "K", "0.0001", "-1", "1KB", "1kbit", "10 M x", "1.5.0M", "18446744073709551615G", "inf"] {
            assert!(rate_limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn peers_are_addresses_or_names() {
        assert_eq!(peer("127.0.0.1:1"), Ok(Target::Addr("127.0.0.1:1".parse().unwrap())));
        assert_eq!(peer("[::1]:6881"), Ok(Target::Addr("[::1]:6881".parse().unwrap())));
        assert_eq!(peer("Peer.Example:6881"), Ok(Target::Host { name: "peer.example".into(), port: 6881 }));
        for wrong in ["", "127.0.0.1", "127.0.0.1:0", "::1:6881", "host:", "host:0", "host:70000", ":1", "a b:1"] {
            assert!(peer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn items_are_named_by_a_target_or_a_key() {
        assert_eq!(item_name(&"0a".repeat(20)), Ok(ItemName::Target([10; 20])));
        assert_eq!(item_name(&"0A".repeat(32)), Ok(ItemName::Key([10; 32])));
        for wrong in ["", &"0a".repeat(19), &"0g".repeat(20), &"+1".repeat(20), &"ü".repeat(20)] {
            assert!(item_name(wrong).is_err(), "{wrong}");
        }
        assert!(salt(&"s".repeat(64)).is_ok() && salt(&"s".repeat(65)).is_err());
    }

    #[test]
    fn figures_are_for_people() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size((1 << 20) - 1), "1.0 MiB");
        assert_eq!(size(u64::MAX), "16.0 EiB");
        assert_eq!(span(Duration::from_secs(59)), "59s");
        assert_eq!(span(Duration::from_secs(3_605)), "1h00m");
        assert_eq!(span(Duration::from_secs(185)), "3m05s");
        assert_eq!(hex(&[0, 0xa5]), "00a5");
    }

    #[test]
    fn a_terminal_is_not_steered_by_strangers() {
        assert_eq!(clean("a\u{1b}[2Jb\n\u{202e}ç"), "a\\u{1b}[2Jb\\u{a}\\u{202e}ç");
    }
}
