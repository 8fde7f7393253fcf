//! Paths that stay inside the download folder.
//!
//! The one sanitiser for every way in: `.torrent` files, metadata from peers, resume files, names that a user gives. It is
//! a pure total function, gives the same answer on every platform (so that a download can be moved from one to another),
//! and sanitising again changes nothing.
//!
//! What happens to an element, in this order:
//!
//! 1. Bytes that are not UTF-8 become U+FFFD.
//! 2. Control characters and characters that nobody sees (bidirectional marks, zero-width ones, byte-order marks, tags)
//!    are taken out; `/`, `\`, `:` and the other characters that Windows forbids (`< > " | ? *`) become `_`.
//! 3. Dots and spaces at the end are taken off. That turns `.` and `..` into nothing.
//! 4. More than [`MAX_ELEMENT`] bytes are cut to fit, the extension kept, characters whole.
//! 5. What Windows takes for a device (`CON`, `aux.txt`) gets a `_` in front.
//! 6. What has become nothing is `_`.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

#[cfg(test)]
mod tests;

/// The most bytes of one element. File systems allow 255; the rest is room for suffixes such as `.part`.
pub const MAX_ELEMENT: usize = 240;

/// The most elements of a path, as many as bencoding may nest.
pub const MAX_DEPTH: usize = 100;

/// An extension longer than this, its dot included, is not taken for one.
const MAX_EXTENSION: usize = 20;

/// A relative path that is safe to create under a folder: every element has gone through the one sanitiser.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath {
    elements: Vec<String>,
}

impl SafePath {
    /// The elements, at least one and at most [`MAX_DEPTH`].
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// A path of one element per item, each sanitised. No items make the path `_`. Of more than [`MAX_DEPTH`] items, the
    /// first ones and the last one are kept: the file keeps its name, and lies in a folder that is less deep.
    pub fn sanitize<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> SafePath {
        let mut safe: Vec<String> = Vec::new();
        for bytes in elements {
            if safe.len() == MAX_DEPTH {
                safe.pop();
            }
            safe.push(sanitize_element(bytes).unwrap_or_else(placeholder));
        }
        if safe.is_empty() {
            safe.push(placeholder());
        }
        SafePath { elements: safe }
    }

    /// The last element.
    pub fn file_name(&self) -> &str {
        self.elements.last().map_or("", String::as_str)
    }

    /// The same path with a number in front of the last element's extension: `a/bar.txt` becomes `a/bar.1.txt`.
    pub(crate) fn numbered(&self, number: u32) -> SafePath {
        let mut elements = self.elements.clone();
        if let Some(last) = elements.last_mut() {
            let (stem, extension) = split_extension(last);
            let suffix = alloc::format!(".{number}{extension}");
            // One byte less than is allowed: the sanitiser may have to put a `_` in front.
            let stem = cut(stem, (MAX_ELEMENT - 1).saturating_sub(suffix.len()));
            let name = alloc::format!("{stem}{suffix}");
            *last = sanitize_element(name.as_bytes()).unwrap_or_else(placeholder);
        }
        SafePath { elements }
    }
}

impl fmt::Display for SafePath {
    /// The elements, joined with `/`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, element) in self.elements.iter().enumerate() {
            if at > 0 {
                f.write_str("/")?;
            }
            f.write_str(element)?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One element made safe, or `None` when nothing is left of it.
pub fn sanitize_element(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut name = if text.bytes().all(is_plain) {
        // Nearly every name there is.
        trim(&text).to_owned()
    } else {
        let mut clean = String::with_capacity(text.len());
        for character in text.chars() {
            match character {
                '/' | '\\' | ':' | '<' | '>' | '"' | '|' | '?' | '*' => clean.push('_'),
                invisible if is_invisible(invisible) => {}
                visible => clean.push(visible),
            }
        }
        clean.truncate(trim(&clean).len());
        clean
    };
    // A device's name gets one byte more below.
    if name.len() + usize::from(is_device(&name)) > MAX_ELEMENT {
        let (stem, extension) = split_extension(&name);
        // What is cut may have become a device's name: one byte less than is allowed leaves room for the `_`.
        let stem = cut(stem, MAX_ELEMENT - 1 - extension.len());
        name = trim(&alloc::format!("{stem}{extension}")).to_owned();
    }
    if is_device(&name) {
        name.insert(0, '_');
    }
    (!name.is_empty()).then_some(name)
}

/// Whether a byte is a character that stays as it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'/' | b'\\' | b':' | b'<' | b'>' | b'"' | b'|' | b'?' | b'*')
}

fn placeholder() -> String {
    String::from("_")
}

/// Windows drops these at the end of a name without a word, so that two names would be one file.
fn trim(name: &str) -> &str {
    name.trim_end_matches(['.', ' '])
}

/// The part in front of the extension, and the extension with its dot (or nothing).
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= MAX_EXTENSION => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The longest start of at most `most` bytes that ends between characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    // A character has at most four bytes, and the empty start ends between characters.
    (0..=most.min(text.len())).rev().find_map(|end| text.get(..end)).unwrap_or("")
}

/// Characters that have no width or steer others: with them, a name can look like another one, or like one with another
/// extension. libtorrent filters the bidirectional and zero-width ones; the rest are of the same sort.
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Whether Windows opens a device by this name, whatever the folder: a reserved word, alone or in front of a dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end_matches(' ');
    let is = |word: &str| stem.eq_ignore_ascii_case(word);
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].into_iter().any(is) {
        return true;
    }
    let mut characters = stem.chars();
    let Some(digit) = characters.next_back() else { return false };
    let port = characters.as_str();
    // Windows takes the superscript digits for digits here.
    (port.eq_ignore_ascii_case("COM") || port.eq_ignore_ascii_case("LPT"))
        && matches!(digit, '0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')
}
