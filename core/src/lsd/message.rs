//! An announce (BEP 14), to bytes and back.
//!
//! ```
//! use parcacik_core::border::InfoHash;
//! use parcacik_core::lsd::{GROUP_V4, LsdMessage};
//!
//! let message = LsdMessage { port: 6881, hashes: vec![InfoHash([0xab; 20])], cookie: Some("1".into()) };
//! let bytes = message.emit((GROUP_V4, 6771).into());
//! assert!(bytes.starts_with(b"BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: abab"));
//! assert_eq!(LsdMessage::parse(&bytes), Ok(message));
//! ```

use crate::border::InfoHash;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

/// What an announce says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LsdMessage {
    /// "port on which the bittorrent client is listening"; never 0.
    pub port: u16,
    /// The torrents that it takes part in, at least one, in the order of the message.
    pub hashes: Vec<InfoHash>,
    /// "opaque value, allowing the sending client to filter out its own announces".
    pub cookie: Option<String>,
}

/// Why bytes are no announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LsdError {
    /// Longer than any announce should be.
    TooLong,
    /// The first line is another one.
    NotBtSearch,
    /// A line that is no header.
    Header,
    /// No port, two, or none that can be.
    Port,
    /// No info-hash, or one that is not 40 hexadecimal digits.
    InfoHash,
    /// A cookie that is too long or not ASCII, or two.
    Cookie,
}

impl fmt::Display for LsdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LsdError::TooLong => "too long for a local announce",
            LsdError::NotBtSearch => "not a local announce",
            LsdError::Header => "a line that is no header",
            LsdError::Port => "no usable port",
            LsdError::InfoHash => "no usable info-hash",
            LsdError::Cookie => "no usable cookie",
        })
    }
}

impl core::error::Error for LsdError {}

/// How every announce begins.
const FIRST_LINE: &str = "BT-SEARCH * HTTP/1.1";

/// The longest cookie that is taken; clients send eight characters or so.
const MAX_COOKIE: usize = 64;

impl LsdMessage {
    /// The longest announce that is sent. BEP 14: "the packet length should not exceed 1400 bytes to avoid MTU/fragmentation
    /// problems."
    pub const MAX_SENT: usize = 1400;

    /// The longest announce that is read: some ten over what may be sent.
    pub const MAX_READ: usize = 2048;

    /// Reads a datagram. Header names count in any case, foreign headers are passed over ("any additional headers that not
    /// understood by a client should be ignored"), and what follows the empty line too.
    ///
    /// # Errors
    /// Whatever else is not as BEP 14 has it. The `Host` is not looked at: some write their own address there.
    pub fn parse(bytes: &[u8]) -> Result<LsdMessage, LsdError> {
        if bytes.len() > Self::MAX_READ {
            return Err(LsdError::TooLong);
        }
        let mut lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r"));
        if lines.next() != Some(Some(FIRST_LINE.as_bytes())) {
            return Err(LsdError::NotBtSearch);
        }
        let (mut port, mut hashes, mut cookie) = (None, Vec::new(), None);
        for line in lines {
            let Some(line) = line else { return Err(LsdError::Header) };
            if line.is_empty() {
                break;
            }
            let colon = line.iter().position(|&byte| byte == b':').ok_or(LsdError::Header)?;
            let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"Port") {
                let number = parse_port(value).ok_or(LsdError::Port)?;
                if port.replace(number).is_some() {
                    return Err(LsdError::Port);
                }
            } else if name.eq_ignore_ascii_case(b"Infohash") {
                hashes.push(parse_hash(value).ok_or(LsdError::InfoHash)?);
            } else if name.eq_ignore_ascii_case(b"cookie") {
                let text = core::str::from_utf8(value).ok().filter(|text| text.is_ascii() && text.len() <= MAX_COOKIE);
                let text = text.ok_or(LsdError::Cookie)?;
                if cookie.replace(String::from(text)).is_some() {
                    return Err(LsdError::Cookie);
                }
            }
        }
        let port = port.ok_or(LsdError::Port)?;
        if hashes.is_empty() {
            return Err(LsdError::InfoHash);
        }
        Ok(LsdMessage { port, hashes, cookie })
    }

    /// The datagram for one of the groups.
    pub fn emit(&self, group: SocketAddr) -> Vec<u8> {
        let mut text = Text(Vec::new());
        text.line(format_args!("{FIRST_LINE}"));
        text.line(format_args!("Host: {group}"));
        text.line(format_args!("Port: {}", self.port));
        for hash in &self.hashes {
            text.line(format_args!("Infohash: {hash}"));
        }
        if let Some(cookie) = &self.cookie {
            text.line(format_args!("cookie: {cookie}"));
        }
        text.line(format_args!("\r\n"));
        text.0
    }

    /// How many torrents fit in one announce beside a cookie of so many bytes.
    pub fn room(cookie: usize) -> usize {
        let whole = LsdMessage { port: u16::MAX, hashes: Vec::new(), cookie: Some(String::from("")) };
        let head = whole.emit((super::GROUP_V6, u16::MAX).into()).len() + cookie;
        Self::MAX_SENT.saturating_sub(head) / "Infohash: 0123456789012345678901234567890123456789\r\n".len()
    }
}

/// Digits only: no sign, no spaces.
fn parse_port(value: &[u8]) -> Option<u16> {
    let text = core::str::from_utf8(value).ok()?;
    let number: u16 = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()?;
    (number > 0).then_some(number)
}

fn parse_hash(value: &[u8]) -> Option<InfoHash> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = value.as_chunks::<2>();
    if pairs.len() != 20 || !rest.is_empty() {
        return None;
    }
    let mut hash = [0; 20];
    for (byte, &[high, low]) in hash.iter_mut().zip(pairs) {
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(InfoHash(hash))
}

/// Lines with their ends.
struct Text(Vec<u8>);

impl Text {
    fn line(&mut self, text: fmt::Arguments<'_>) {
        // Writing to memory cannot fail.
        let _ = fmt::Write::write_fmt(self, text);
        self.0.extend(b"\r\n");
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend(text.as_bytes());
        Ok(())
    }
}
