use super::*;
use proptest::prelude::*;
use std::string::ToString;

/// Labels of RFC 3492, section 7.1 (in lower case, as everything here), and well-known names.
#[test]
fn known_answers() {
    let table = [
        ("ليهمابتكلموشعربي؟", "xn--egbpdaj6bu4bxfgehfvwxn"),
        ("他们为什么不说中文", "xn--ihqwcrb4cv8a8dqg056pqjye"),
        ("почемужеонинеговорятпорусски", "xn--b1abfaaepdrnnbgefbadotcwatmq2g4l"),
        ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
        ("bücher", "xn--bcher-kva"),
        ("münchen", "xn--mnchen-3ya"),
        ("straße", "xn--strae-oqa"),
    ];
    for (name, plain) in table {
        assert_eq!(to_ascii(name).as_deref(), Some(plain), "{name}");
        assert!(is_internationalised(plain));
    }
}

/// The homograph of libtorrent's security audit: the last letter of "archive" is U+FF45.
#[test]
fn a_name_that_looks_like_another_is_shown_as_what_it_is() {
    let shown = to_ascii("bt1.archiv\u{ff45}.org").unwrap();
    assert!(shown.starts_with("bt1.xn--archiv-") && shown.ends_with(".org"), "{shown}");
    assert_ne!(shown, "bt1.archive.org");
    // Full stops that are not ASCII end a label too.
    assert_eq!(to_ascii("a\u{3002}b\u{ff0e}c\u{ff61}d").as_deref(), Some("a.b.c.d"));
}

#[test]
fn names_that_are_none() {
    let long = "a".repeat(64);
    let longest = ["a".repeat(63).as_str(); 4].join(".");
    for name in ["", ".", "..", "a..b", ".a", "a b", "a/b", "a:1", "user@host", "a%2e", &long, &longest, "ü\u{0}"] {
        assert_eq!(to_ascii(name), None, "{name:?}");
    }
    assert_eq!(to_ascii(&"ü".repeat(200)), None);
    assert_eq!(to_ascii(&"a".repeat(1 << 20)), None);
    assert_eq!(to_ascii("Tracker.Example.").as_deref(), Some("tracker.example."));
    assert!(!is_internationalised("tracker.example") && is_internationalised("a.XN--b.c"));
}

/// RFC 3492, 6.2: the way back, for the law below.
fn decode(coded: &str) -> Option<String> {
    let (basic, rest) = coded.rsplit_once('-').unwrap_or(("", coded));
    let mut output: Vec<char> = basic.chars().collect();
    let (mut n, mut i, mut bias) = (INITIAL_N, 0u32, INITIAL_BIAS);
    let mut digits = rest.chars();
    while let Some(first) = digits.next() {
        let (old, mut w, mut k, mut c) = (i, 1u32, BASE, first);
        loop {
            let value = (c.to_digit(36)? + 26) % 36;
            i = i.checked_add(value.checked_mul(w)?)?;
            let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
            if value < t {
                break;
            }
            w = w.checked_mul(BASE - t)?;
            k += BASE;
            c = digits.next()?;
        }
        let points = output.len() as u32 + 1;
        bias = adapt(i - old, points, old == 0);
        n += i / points;
        i %= points;
        output.insert(i as usize, char::from_u32(n)?);
        i += 1;
    }
    Some(output.into_iter().collect())
}

proptest! {
    #[test]
    fn different_labels_stay_different(label in "[a-z0-9äöüéßжяпדש中文-]{1,12}") {
        let label = label.to_lowercase();
        let plain = to_ascii(&label).unwrap();
        let back = match plain.strip_prefix(PREFIX) {
            Some(coded) if !label.is_ascii() => decode(coded).unwrap(),
            _ => plain.to_string(),
        };
        prop_assert_eq!(back, label);
    }

    #[test]
    fn no_name_makes_it_panic(name in any::<String>()) {
        if let Some(plain) = to_ascii(&name) {
            prop_assert!(plain.is_ascii() && plain.len() <= 254);
            prop_assert_eq!(to_ascii(&plain), Some(plain.clone()), "it is done once");
        }
    }
}
