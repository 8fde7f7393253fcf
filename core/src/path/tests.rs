use super::*;
use proptest::prelude::*;
use std::prelude::v1::*;
use std::vec;

fn one(bytes: &[u8]) -> String {
    let path = SafePath::sanitize([bytes]);
    assert_eq!(path.elements().len(), 1);
    path.to_string()
}

/// What no element may be or hold, on any platform.
fn check(element: &str) {
    assert!(!element.is_empty() && element != "." && element != "..", "{element:?}");
    assert!(element.len() <= MAX_ELEMENT, "{element:?}");
    assert!(!element.contains(['/', '\\', ':', '\0', '|', '?', '*', '"', '<', '>']), "{element:?}");
    assert!(!element.contains(char::is_control), "{element:?}");
    assert!(!element.contains(['\u{202e}', '\u{200b}', '\u{feff}', '\u{2066}', '\u{61c}', '\u{2060}']), "{element:?}");
    assert!(!element.ends_with(['.', ' ']), "{element:?}");
    let stem = element.split('.').next().unwrap().trim_end().to_ascii_uppercase();
    assert!(!["CON", "PRN", "AUX", "NUL", "COM1", "LPT9"].contains(&stem.as_str()), "{element:?}");
}

#[test]
fn good_names_are_kept() {
    for name in [
        "a",
        "b.txt",
        "é",
        "日本語.txt",
        ".hidden",
        "a b",
        " a",
        "~",
        "-rf",
        "$HOME",
        "com",
        "com10",
        "console",
        "nul_",
        "a..b",
        "👍🏽",
        "{a}[b](c)&;'",
    ] {
        assert_eq!(one(name.as_bytes()), name);
    }
    let long = "x".repeat(240);
    assert_eq!(one(long.as_bytes()), long);
}

#[test]
fn nothing_leads_outside() {
    // The classes of libtorrent's sanitize_path tests and of the old advisories (CVE-2009-1760, CVE-2010-0012).
    for (name, safe) in [
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        ("...", "_"),
        (". .", "_"),
        ("/", "_"),
        ("/etc/passwd", "_etc_passwd"),
        ("../../x", ".._.._x"),
        ("..\\x", ".._x"),
        ("C:", "C_"),
        ("C:\\x", "C__x"),
        ("\\\\host\\share", "__host_share"),
        ("a/../b", "a_.._b"),
        ("a\0b", "ab"),
        (".\0.", "_"),
        (".\u{200b}.", "_"),
        ("\u{202e}..", "_"),
        ("file:stream", "file_stream"),
        ("a|b?*\"<>", "a_b_____"),
    ] {
        assert_eq!(one(name.as_bytes()), safe, "{name:?}");
    }
    let path = SafePath::sanitize([&b".."[..], b"etc", b"passwd"]);
    assert_eq!(path.to_string(), "_/etc/passwd");
}

#[test]
fn what_nobody_sees_is_taken_out() {
    assert_eq!(one("a\u{1}\u{7f}\u{85}\nb".as_bytes()), "ab");
    assert_eq!(one("gpj.\u{202e}exe".as_bytes()), "gpj.exe");
    assert_eq!(one("\u{feff}a\u{200b}\u{2066}b\u{61c}\u{2028}".as_bytes()), "ab");
}

#[test]
fn bad_utf8_becomes_a_replacement_character() {
    assert_eq!(one(b"ok\xe2\x82\xac"), "ok€");
    assert_eq!(one(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    assert_eq!(one(b"a\xe2\x82"), "a\u{fffd}");
    // Overlong forms of `/` and `.`, and half of a surrogate pair.
    assert_eq!(one(b"\xc0\xaf"), "\u{fffd}\u{fffd}");
    assert_eq!(one(b"\xc0\xae\xc0\xae"), "\u{fffd}\u{fffd}\u{fffd}\u{fffd}");
    assert_eq!(one(b"\xed\xa0\x80"), "\u{fffd}\u{fffd}\u{fffd}");
}

#[test]
fn windows_is_safe_too() {
    for (name, safe) in [
        ("CON", "_CON"),
        ("aux.txt", "_aux.txt"),
        ("nul.tar.gz", "_nul.tar.gz"),
        ("com1", "_com1"),
        ("LPT9.x", "_LPT9.x"),
        ("COM\u{b2}", "_COM\u{b2}"),
        ("conin$", "_conin$"),
        ("con .txt", "_con .txt"),
        ("con. ", "_con"),
        ("name.", "name"),
        ("name. . ", "name"),
    ] {
        assert_eq!(one(name.as_bytes()), safe, "{name:?}");
    }
}

#[test]
fn long_names_keep_their_extension_and_whole_characters() {
    let name = one(["x".repeat(300).as_str(), ".tar"].concat().as_bytes());
    assert_eq!(name, ["x".repeat(235).as_str(), ".tar"].concat());
    let name = one(["é".repeat(200).as_str(), ".txt"].concat().as_bytes());
    assert_eq!(name, ["é".repeat(117).as_str(), ".txt"].concat());
    // Too long for an extension.
    let name = one(["a.", "x".repeat(300).as_str()].concat().as_bytes());
    assert_eq!(name, ["a.", "x".repeat(237).as_str()].concat());
    // A device may come to light only when the rest is cut off.
    let name = one(["con", " ".repeat(300).as_str(), "x.txt"].concat().as_bytes());
    assert!(name.starts_with("_con ") && name.ends_with(".txt") && name.len() == 240);
    assert_eq!(one(["nul", " ".repeat(300).as_str(), "x"].concat().as_bytes()), "_nul");
}

#[test]
fn depth_is_limited_and_nothing_is_something() {
    let deep = SafePath::sanitize((0..1000).map(|at| if at == 999 { &b"last"[..] } else { b"d" }));
    assert_eq!(deep.elements().len(), MAX_DEPTH);
    assert_eq!(deep.file_name(), "last");
    assert_eq!(SafePath::sanitize([]).to_string(), "_");
}

#[test]
fn numbers_go_in_front_of_the_extension() {
    let numbered = |name: &str, number| SafePath::sanitize([&b"d"[..], name.as_bytes()]).numbered(number).to_string();
    assert_eq!(numbered("bar.txt", 1), "d/bar.1.txt");
    assert_eq!(numbered("bar", 12), "d/bar.12");
    assert_eq!(numbered(".hidden", 2), "d/.hidden.2");
    let long = numbered(&["x".repeat(236).as_str(), ".txt"].concat(), 500);
    assert!(long.ends_with("x.500.txt") && long.len() == 2 + 239);
}

fn nasty() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        any::<char>().prop_map(|character| character.to_string().into_bytes()),
        prop::sample::select(vec!["..", ".", "/", "\\", " ", ":", "con", "NUL", "com1", "\u{202e}", "\0", "txt", "é"])
            .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
        (prop::sample::select(vec!["x", " ", ".", "日"]), 0usize..250)
            .prop_map(|(text, times)| text.repeat(times).into_bytes()),
    ];
    prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn every_result_is_safe_and_sanitising_it_changes_nothing(elements in prop::collection::vec(nasty(), 0..5), number in 1u32..600) {
        let path = SafePath::sanitize(elements.iter().map(Vec::as_slice));
        prop_assert_eq!(path.elements().len(), elements.len().max(1));
        path.elements().iter().for_each(|element| check(element));
        prop_assert_eq!(&SafePath::sanitize(path.elements().iter().map(String::as_bytes)), &path);
        prop_assert_eq!(path.to_string().split('/').count(), path.elements().len());
        let numbered = path.numbered(number);
        numbered.elements().iter().for_each(|element| check(element));
        prop_assert_eq!(&SafePath::sanitize(numbered.elements().iter().map(String::as_bytes)), &numbered);
        prop_assert_ne!(numbered, path);
    }
}

#[test]
fn a_device_name_of_the_greatest_length_keeps_within_it() {
    for length in MAX_ELEMENT - 2..=MAX_ELEMENT + 2 {
        let name = format!("con.{}", "a".repeat(length - 4));
        let safe = sanitize_element(name.as_bytes()).unwrap();
        assert!(safe.starts_with("_con."), "{safe:?}");
        assert!(safe.len() <= MAX_ELEMENT, "{length}: {}", safe.len());
        assert_eq!(sanitize_element(safe.as_bytes()).as_deref(), Some(&*safe));
    }
}
