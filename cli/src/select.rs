//! `--select`: which files of a torrent are wanted.
//!
//! A choice is a number as `inspect` shows it, a range of such numbers (`3-7`), or a pattern ([`Pattern`]) of a name or a path. Paths may begin with the torrent's own name or leave
//! it out. What any of several choices means is wanted. A choice that means nothing in a torrent is a mistake, and said so by name.

use crate::globs::Pattern;
use parcacik_core::metainfo::{FileEntry, Metainfo};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// How much a file is wanted that is, in the core's numbers.
const WANTED: u8 = 4;

/// Some files of a torrent.
#[derive(Clone, Debug)]
pub enum Choice {
    /// By number, from 1.
    Numbers(RangeInclusive<usize>),
    /// By name or path.
    Pattern(Box<Pattern>),
}

impl Choice {
    fn means(&self, number: usize, file: &FileEntry) -> bool {
        match self {
            Choice::Numbers(range) => range.contains(&number),
            Choice::Pattern(pattern) => {
                let path = file.path.elements();
                // The first element of several is the torrent's name: in every path, so it tells no file from another.
                let inside = path.get(1..).filter(|inside| !inside.is_empty()).unwrap_or(path);
                pattern.matches(inside) || (pattern.to_string().contains('/') && pattern.matches(path))
            }
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let range = match text.split_once('-') {
            Some((first, last)) => number(first).zip(number(last)),
            None => number(text).map(|only: usize| (only, only)),
        };
        match range {
            Some((0, _)) => Err("files are numbered from 1, as `inspect` shows them".into()),
            Some((first, last)) if first > last => Err(format!("`{text}` is a range that ends before it begins")),
            Some((first, last)) => Ok(Choice::Numbers(first..=last)),
            None => text.parse().map(|pattern| Choice::Pattern(Box::new(pattern))),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Numbers(range) if range.start() == range.end() => write!(f, "{}", range.start()),
            Choice::Numbers(range) => write!(f, "{}-{}", range.start(), range.end()),
            Choice::Pattern(pattern) => pattern.fmt(f),
        }
    }
}

/// What is wanted of one torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// How much each file is wanted, in the order of its layout; empty: all alike.
    pub priorities: Vec<u8>,
    /// The bytes of the files that are wanted.
    pub bytes: u64,
}

/// Applies the choices to a torrent; none choose everything.
///
/// # Errors
/// Names the choice that means no file.
pub fn select(choices: &[Choice], torrent: &Metainfo) -> Result<Selection, String> {
    if choices.is_empty() {
        return Ok(Selection { priorities: Vec::new(), bytes: torrent.content_length() });
    }
    let mut selection = Selection { priorities: vec![0; torrent.layout().files().len()], bytes: 0 };
    let files = || (1..).zip(torrent.files()).filter(|(_, file)| !file.pad);
    for choice in choices {
        let mut any = false;
        for (_, file) in files().filter(|(number, file)| choice.means(*number, file)) {
            // A link is no file to be fetched.
            let Some(place) = file.layout.and_then(|at| selection.priorities.get_mut(at)) else { continue };
            any = true;
            if *place == 0 {
                *place = WANTED;
                selection.bytes = selection.bytes.saturating_add(file.length);
            }
        }
        if !any {
            return Err(format!("--select {choice} means no file of it; `inspect` shows their numbers and paths"));
        }
    }
    Ok(selection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use parcacik_core::bencode::encode_dict;
    use parcacik_core::metainfo::MetainfoLimits;

    /// Numbers 1 to 5: a.txt, film/b.mkv, a pad file, film/extras/c.mkv, a link.
    fn torrent() -> Metainfo {
        let files: [(&[&str], i64, &str); 5] = [
            (&["a.txt"], 10, ""),
            (&["film", "b.mkv"], 16_384 - 15, ""),
            (&[".pad", "5"], 5, "p"),
            (&["film", "extras", "c.mkv"], 30, ""),
            (&["link"], 0, "l"),
        ];
        let info = encode_dict(|info| {
            info.list("files", |list| {
                for (path, length, attributes) in files {
                    list.dict(|file| {
                        if !attributes.is_empty() {
                            file.bytes("attr", attributes);
                        }
                        file.int("length", length).list("path", |elements| {
                            for element in path {
                                elements.bytes(element);
                            }
                        });
                        if attributes == "l" {
                            file.list("symlink path", |elements| _ = elements.bytes("a.txt"));
                        }
                    });
                }
            });
            info.bytes("name", "thing").int("piece length", 16_384).bytes("pieces", [0; 40]);
        });
        let file = encode_dict(|file| _ = file.raw("info", &info));
        Metainfo::parse(&file, &MetainfoLimits::default()).unwrap()
    }

    fn chosen(choices: &[&str]) -> Result<(Vec<u8>, u64), String> {
        let choices: Vec<Choice> = choices.iter().map(|text| text.parse().unwrap()).collect();
        select(&choices, &torrent()).map(|selection| (selection.priorities, selection.bytes))
    }

    #[test]
    fn numbers_are_those_that_inspect_shows() {
        assert_eq!(chosen(&["1"]), Ok((vec![4, 0, 0, 0], 10)));
        assert_eq!(chosen(&["2-4"]), Ok((vec![0, 4, 0, 4], 16_384 - 15 + 30)));
        assert_eq!(chosen(&["4-900", "1"]), Ok((vec![4, 0, 0, 4], 40)));
        for nothing in ["3", "5", "6", "100-200"] {
            let why = chosen(&[nothing]).unwrap_err();
            assert!(why.contains(&format!("--select {nothing} ")), "{why}");
        }
    }

    #[test]
    fn patterns_are_of_names_and_paths() {
        assert_eq!(chosen(&["*.mkv"]), Ok((vec![0, 4, 0, 4], 16_399)));
        assert_eq!(chosen(&["extras"]), Ok((vec![0, 0, 0, 4], 30)));
        assert_eq!(chosen(&["film/*.mkv"]), Ok((vec![0, 4, 0, 0], 16_369)));
        assert_eq!(chosen(&["thing/film/extras/**"]), Ok((vec![0, 0, 0, 4], 30)));
        assert_eq!(chosen(&["a.txt", "a.*", "1"]), Ok((vec![4, 0, 0, 0], 10)), "once is enough");
        let why = chosen(&["a.txt", "*.avi"]).unwrap_err();
        assert!(why.contains("*.avi"), "{why}");
        assert!(chosen(&["thing"]).is_err(), "the torrent's name is no file's");
    }

    #[test]
    fn nothing_chosen_is_everything() {
        assert_eq!(chosen(&[]), Ok((vec![], 16_409)));
    }

    #[test]
    fn what_cannot_be_a_choice_is_refused() {
        for wrong in ["0", "0-3", "7-3", "", "a[b"] {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
        // Not numbers, so names.
        for name in ["3-", "-3", "1-2-3", "7a", "99999999999999999999999"] {
            assert!(matches!(name.parse(), Ok(Choice::Pattern(_))), "{name}");
        }
        assert_eq!("3-7".parse::<Choice>().unwrap().to_string(), "3-7");
    }
}
