//! Paths that stay inside the download folder.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A relative path that is safe to create under a folder: every element has gone through the one sanitiser.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath {
    elements: Vec<String>,
}

impl SafePath {
    /// The elements, at least one.
    pub fn elements(&self) -> &[String] {
        &self.elements
    }

    /// A path of one element per item, each sanitised.
    pub fn sanitize<'a>(elements: impl IntoIterator<Item = &'a [u8]>) -> SafePath {
        let elements: Vec<String> =
            elements.into_iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
        SafePath { elements }
    }
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.elements.join("/"))
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
