//! Patterns of file names, as shells have them: `*.tmp`, `extras/**`, `cover.{jpg,png}`.
//!
//! A pattern without a `/` means any file or folder of that name, however deep. One with a `/` means a path from the top. What means a folder means all that is in it. `*`
//! and `?` stand for anything but `/`; `**` for that too. Upper and lower case differ.

use globset::{GlobBuilder, GlobMatcher};
use std::fmt;
use std::str::FromStr;

/// The most bytes of a pattern. It becomes an automaton, some hundred times as large.
const LONGEST: usize = 1024;

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
    /// Whether it means a path from the top, not a name.
    from_top: bool,
}

impl Pattern {
    /// Whether it means the file with this path, given element by element, or a folder that it lies in.
    pub fn matches(&self, path: &[impl AsRef<str>]) -> bool {
        if !self.from_top {
            return path.iter().any(|name| self.matcher.is_match(name.as_ref()));
        }
        let mut folder = String::new();
        path.iter().any(|name| {
            folder.push_str(if folder.is_empty() { "" } else { "/" });
            folder.push_str(name.as_ref());
            self.matcher.is_match(&folder)
        })
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        if bare.is_empty() {
            return Err("an empty pattern means nothing; `*` means everything".into());
        }
        if text.len() > LONGEST {
            return Err(format!("a pattern has at most {LONGEST} bytes"));
        }
        let from_top = bare.contains('/');
        let glob = GlobBuilder::new(bare.strip_prefix('/').unwrap_or(bare)).literal_separator(true).build();
        let matcher = glob.map_err(|error| format!("`{text}`: {}", error.kind()))?.compile_matcher();
        Ok(Pattern { text: text.to_owned(), matcher, from_top })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn a_name_is_meant_wherever_it_is() {
        for (pattern, path) in [
            ("*.tmp", "a.tmp"),
            ("*.tmp", "x/y/a.tmp"),
            ("cache", "x/cache/y/z"),
            ("cache/", "cache/y"),
            ("?.txt", "a.txt"),
            ("a[0-9]", "x/a7"),
            ("*.{jpg,png}", "x/b.png"),
            ("*", "any/thing"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("*.tmp", "a.tmpx"), ("cache", "cached/a"), ("?.txt", "ab.txt"), ("*.TMP", "a.tmp"), (".*", "a.b")]
        {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn a_path_is_meant_from_the_top() {
        for (pattern, path) in [
            ("a/b", "a/b"),
            ("a/b", "a/b/c"),
            ("a/*.txt", "a/x.txt"),
            ("/a", "a"),
            ("**/b/*.txt", "x/y/b/c.txt"),
            ("a/**", "a/b/c"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [("a/b", "x/a/b"), ("a/*.txt", "a/b/x.txt"), ("/a", "x/a"), ("a/**", "a")] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for wrong in ["", "/", "a[", "{a", &"x".repeat(2000)] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
