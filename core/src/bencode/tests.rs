use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::prelude::v1::*;
use std::{format, vec};

/// A value as a tree, for the tests to compare with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    Int(i64),
    Bytes(Vec<u8>),
    List(Vec<Tree>),
    Dict(BTreeMap<Vec<u8>, Tree>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..12);
    let leaf = prop_oneof![any::<i64>().prop_map(Tree::Int), bytes().prop_map(Tree::Bytes)];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Tree::List),
            prop::collection::btree_map(bytes(), inner, 0..6).prop_map(Tree::Dict),
        ]
    })
}

/// What BEP 3 says, word for word, to check the encoder against.
fn naive_encode(tree: &Tree) -> Vec<u8> {
    match tree {
        Tree::Int(value) => format!("i{value}e").into_bytes(),
        Tree::Bytes(bytes) => [format!("{}:", bytes.len()).as_bytes(), bytes].concat(),
        Tree::List(list) => [b"l".to_vec(), list.iter().flat_map(naive_encode).collect(), b"e".to_vec()].concat(),
        Tree::Dict(dict) => {
            let entries = dict
                .iter()
                .flat_map(|(key, value)| [naive_encode(&Tree::Bytes(key.clone())), naive_encode(value)].concat());
            [b"d".to_vec(), entries.collect(), b"e".to_vec()].concat()
        }
    }
}

/// A recursive lenient reader, to check the decoder against: the value and how many bytes it has.
fn naive_decode(input: &[u8]) -> Option<(Tree, usize)> {
    let digits = |from: usize| input[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    match input.first()? {
        b'i' => {
            let sign = usize::from(input.get(1) == Some(&b'-'));
            let end = 1 + sign + digits((1 + sign).min(input.len()));
            let text = std::str::from_utf8(&input[1..end]).ok()?;
            (input.get(end) == Some(&b'e')).then_some(())?;
            Some((Tree::Int(text.parse().ok()?), end + 1))
        }
        b'0'..=b'9' => {
            let colon = digits(0);
            (input.get(colon) == Some(&b':')).then_some(())?;
            let length: usize = std::str::from_utf8(&input[..colon]).ok()?.parse().ok()?;
            let end = (colon + 1).checked_add(length)?;
            Some((Tree::Bytes(input.get(colon + 1..end)?.to_vec()), end))
        }
        kind @ (b'l' | b'd') => {
            let (mut at, mut values) = (1, Vec::new());
            while *input.get(at)? != b'e' {
                let (value, length) = naive_decode(&input[at..])?;
                values.push(value);
                at += length;
            }
            if *kind == b'l' {
                return Some((Tree::List(values), at + 1));
            }
            let mut dict = BTreeMap::new();
            for pair in values.chunks(2) {
                let [Tree::Bytes(key), value] = pair else { return None };
                // The first one counts.
                dict.entry(key.clone()).or_insert_with(|| value.clone());
            }
            Some((Tree::Dict(dict), at + 1))
        }
        _ => None,
    }
}

fn to_tree(value: Value<'_, '_>) -> Tree {
    match value.kind() {
        Kind::Int => Tree::Int(value.int().unwrap()),
        Kind::Bytes => Tree::Bytes(value.bytes().unwrap().to_vec()),
        Kind::List => Tree::List(value.list().unwrap().map(to_tree).collect()),
        Kind::Dict => {
            let mut dict = BTreeMap::new();
            for (key, value) in value.dict().unwrap().iter() {
                dict.entry(key.to_vec()).or_insert_with(|| to_tree(value));
            }
            Tree::Dict(dict)
        }
    }
}

fn put_list(list: &mut ListEncoder<'_>, tree: &Tree) {
    match tree {
        Tree::Int(value) => list.int(*value),
        Tree::Bytes(bytes) => list.bytes(bytes),
        Tree::List(values) => list.list(|list| values.iter().for_each(|value| put_list(list, value))),
        Tree::Dict(values) => list.dict(|dict| values.iter().rev().for_each(|(key, value)| put_dict(dict, key, value))),
    };
}

fn put_dict(dict: &mut DictEncoder<'_>, key: &[u8], tree: &Tree) {
    match tree {
        Tree::Int(value) => dict.int(key, *value),
        Tree::Bytes(bytes) => dict.bytes(key, bytes),
        Tree::List(values) => dict.list(key, |list| values.iter().for_each(|value| put_list(list, value))),
        // The wrong way round, so that there is something to sort.
        Tree::Dict(values) => {
            dict.dict(key, |dict| values.iter().rev().for_each(|(key, value)| put_dict(dict, key, value)))
        }
    };
}

fn strict(input: &[u8]) -> Result<Document<'_>, DecodeError> {
    Document::decode(input, Mode::Strict, &Limits::default())
}

fn lenient(input: &[u8]) -> Result<Document<'_>, DecodeError> {
    Document::decode_prefix(input, Mode::Lenient, &Limits::default())
}

fn fault(result: Result<Document<'_>, DecodeError>) -> Option<(usize, Fault)> {
    result.err().map(|error| (error.offset, error.fault))
}

#[test]
fn canonical_text_is_taken_in_both_modes() {
    // The classes of libtorrent's and anacrolix's bdecode tests.
    for text in [
        "i0e",
        "i-1e",
        "i12453e",
        "i-42e",
        "0:",
        "4:spam",
        "3:\0\x01\x7f",
        "de",
        "le",
        "l4:spam4:eggse",
        "d4:spaml1:a1:bee",
        "lllleeee",
        "d1:ad1:bd1:cleeee",
        "d1:ai1e1:b3:foo1:cli1ei2ee1:dd1:xi1eee",
        "l0:0:0:e",
        "d1:ai1e2:aai2ee",
        "26:abcdefghijklmnopqrstuvwxyz",
        "d1:\0i1ee",
        "i9223372036854775807e",
        "i-9223372036854775808e",
    ] {
        let text = text.as_bytes();
        assert!(strict(text).is_ok(), "{text:?}");
        let document = lenient(text).unwrap();
        assert!(document.deviations().is_canonical());
        assert_eq!(document.length(), text.len());
        assert_eq!(document.root().raw(), text);
        assert_eq!(naive_encode(&to_tree(document.root())), text);
    }
}

#[test]
fn faults_are_named_with_their_byte() {
    use Fault::*;
    for (text, offset, expected) in [
        ("", 0, UnexpectedEnd),
        ("e", 0, NotAValue(b'e')),
        ("L1:ae", 0, NotAValue(b'L')),
        (" i1e", 0, NotAValue(b' ')),
        ("ie", 1, BadInteger),
        ("i-e", 2, BadInteger),
        ("i--1e", 2, BadInteger),
        ("i+1e", 1, BadInteger),
        ("i1.0e", 2, BadInteger),
        ("i1\0e", 2, BadInteger),
        ("i 1e", 1, BadInteger),
        ("i1", 2, UnexpectedEnd),
        ("i", 1, UnexpectedEnd),
        ("i9223372036854775808e", 0, IntegerTooBig),
        ("i-9223372036854775809e", 0, IntegerTooBig),
        ("i99999999999999999999999999e", 0, IntegerTooBig),
        ("1", 1, UnexpectedEnd),
        ("1:", 0, StringPastEnd),
        ("1a", 1, BadLength),
        ("1;a", 1, BadLength),
        ("-1:a", 0, NotAValue(b'-')),
        ("4294967296:x", 0, StringPastEnd),
        ("18446744073709551617:x", 0, StringPastEnd),
        ("d1:a9205357638345293824:11111", 4, StringPastEnd),
        ("d", 1, UnexpectedEnd),
        ("d1:a", 4, UnexpectedEnd),
        ("d1:ae", 4, KeyWithoutValue),
        ("d3:ab", 1, StringPastEnd),
        ("di1ei2ee", 1, KeyNotString),
        ("d1:ai1ei2ee", 7, KeyNotString),
        ("dlei1ee", 1, KeyNotString),
        ("ld1:alleee", 10, UnexpectedEnd),
    ] {
        assert_eq!(fault(strict(text.as_bytes())), Some((offset, expected)), "{text:?}");
        assert_eq!(fault(lenient(text.as_bytes())), Some((offset, expected)), "{text:?}");
    }
}

#[test]
fn deviations_are_refused_or_reported() {
    let none = Deviations::default();
    for (text, offset, fault_expected, reported) in [
        ("d1:bi1e1:ai2ee", 7, Fault::UnsortedKey, Deviations { unsorted_key: Some(7), ..none }),
        ("d2:aai1e1:ai2ee", 8, Fault::UnsortedKey, Deviations { unsorted_key: Some(8), ..none }),
        ("d1:ai1e1:ai2ee", 7, Fault::DuplicateKey, Deviations { duplicate_key: Some(7), ..none }),
        ("06:foobar", 0, Fault::LeadingZero, Deviations { leading_zero: Some(0), ..none }),
        ("00:", 0, Fault::LeadingZero, Deviations { leading_zero: Some(0), ..none }),
        ("li1ei03ee", 4, Fault::LeadingZero, Deviations { leading_zero: Some(4), ..none }),
        ("i-0e", 0, Fault::LeadingZero, Deviations { leading_zero: Some(0), ..none }),
        ("i-01e", 0, Fault::LeadingZero, Deviations { leading_zero: Some(0), ..none }),
        ("i0000000000000000000000e", 0, Fault::LeadingZero, Deviations { leading_zero: Some(0), ..none }),
    ] {
        assert_eq!(fault(strict(text.as_bytes())), Some((offset, fault_expected)), "{text:?}");
        assert_eq!(lenient(text.as_bytes()).unwrap().deviations(), reported, "{text:?}");
    }
    let twice = lenient(b"d1:ai1e1:ai2ee").unwrap();
    assert_eq!(twice.root().dict().unwrap().int("a"), Ok(Some(1)), "the first one counts");
}

#[test]
fn only_the_tolerant_take_integers_beyond_64_bits_and_read_them_as_none() {
    let tolerant = |text| Document::decode(text, Mode::Tolerant, &Limits::default());
    let text = b"d1:ai9223372036854775808e1:bi-9223372036854775809e1:ci-9223372036854775808e1:di7ee";
    assert_eq!(fault(lenient(text)), Some((4, Fault::IntegerTooBig)));
    let document = tolerant(text).unwrap();
    assert_eq!(document.deviations(), Deviations { big_integer: Some(4), ..Deviations::default() });
    let dict = document.root().dict().unwrap();
    let numbers: Vec<_> = dict.iter().map(|(_, value)| (value.kind(), value.int())).collect();
    assert_eq!(numbers, [None, None, Some(i64::MIN), Some(7)].map(|number| (Kind::Int, number)));
    assert_eq!(dict.int("a").unwrap_err().fault, FieldFault::Not(Kind::Int));
    // In all else it is lenient.
    for text in ["d1:bi1e1:ai2ee", "06:foobar", "i-0e"] {
        assert_eq!(tolerant(text.as_bytes()), lenient(text.as_bytes()), "{text}");
    }
    for text in ["i99999999999999999999x", "i99999999999999999999", "i-e", "d1:ae"] {
        assert_eq!(fault(tolerant(text.as_bytes())), fault(lenient(text.as_bytes())), "{text}");
    }
}

#[test]
fn a_prefix_says_where_it_ends() {
    for (text, length) in [("l1:ae extra", 5), ("i1ei2e", 3), ("lee", 2), ("d8:msg_typei1ee\0\0data", 15)] {
        assert_eq!(lenient(text.as_bytes()).unwrap().length(), length);
        assert_eq!(fault(strict(text.as_bytes())), Some((length, Fault::TrailingBytes)));
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { bytes: 200, depth: 3, tokens: 6 };
    let decode = |text: &str| fault(Document::decode(text.as_bytes(), Mode::Lenient, &limits));
    assert_eq!(decode("llleee"), None);
    assert_eq!(decode("lllleeee"), Some((3, Fault::TooDeep)));
    assert_eq!(decode("li1ei2ei3ei4ei5ee"), None);
    assert_eq!(decode("li1ei2ei3ei4ei5ei6ee"), Some((16, Fault::TooManyTokens)));
    assert_eq!(decode("d1:ai1e1:bi1e1:ci1ee"), Some((16, Fault::TooManyTokens)), "keys count");
    assert_eq!(decode(&format!("197:{}", "x".repeat(197))), Some((200, Fault::TooLong)));
    assert_eq!(decode(&format!("196:{}", "x".repeat(196))), None);
}

#[test]
fn a_million_levels_do_not_overflow_the_stack() {
    let deep = [vec![b'l'; 1_000_000], vec![b'e'; 1_000_000]].concat();
    assert_eq!(fault(lenient(&deep)), Some((100, Fault::TooDeep)));
    let limits = Limits { bytes: deep.len(), depth: 1_000_000, tokens: 1_000_000 };
    assert_eq!(Document::decode(&deep, Mode::Strict, &limits).unwrap().length(), deep.len());
}

#[test]
fn long_texts_are_fine() {
    let limits = Limits { bytes: 2_000_000, ..Limits::default() };
    let many = [b"l".to_vec(), b"0:".repeat(50_000), b"e".to_vec()].concat();
    assert_eq!(strict(&many).unwrap().root().list().unwrap().count(), 50_000);
    let long = [b"1000000:".to_vec(), vec![b'x'; 1_000_000]].concat();
    assert_eq!(Document::decode(&long, Mode::Strict, &limits).unwrap().root().bytes().unwrap().len(), 1_000_000);
}

#[test]
fn fields_are_typed_and_errors_name_them() {
    let document = strict(b"d4:dictd1:xi7ee3:inti-5e4:listl1:ae6:string3:abce").unwrap();
    let dict = document.root().dict().unwrap();
    assert_eq!(dict.require_int("int"), Ok(-5));
    assert_eq!(dict.require_bytes("string"), Ok(&b"abc"[..]));
    assert_eq!(dict.require_list("list").unwrap().map(|value| value.text().unwrap()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(dict.require_dict("dict").unwrap().require_int("x"), Ok(7));
    assert_eq!(dict.int("absent"), Ok(None));
    assert_eq!(dict.get("dict").unwrap().raw(), b"d1:xi7ee");
    assert_eq!(dict.get("dict").unwrap().span(), 7..15);
    let text = |error: FieldError| error.to_string();
    assert_eq!(text(dict.require_int("absent").unwrap_err()), "field \"absent\" (byte 0): missing");
    assert_eq!(text(dict.bytes("int").unwrap_err()), "field \"int\" (byte 20): not a string");
    assert_eq!(text(dict.list("int").unwrap_err()), "field \"int\" (byte 20): not a list");
    assert_eq!(text(dict.dict("list").unwrap_err()), "field \"list\" (byte 30): not a dictionary");
    assert_eq!(text(dict.int("string").unwrap_err()), "field \"string\" (byte 43): not an integer");
    assert_eq!(text(dict.error("int", FieldFault::Bad("negative"))), "field \"int\" (byte 20): negative");
}

#[test]
fn the_encoder_sorts_and_the_last_of_two_stays() {
    let text = encode_dict(|dict| {
        dict.bytes("b", "two").int("a", i64::MIN).raw("c", b"le").int("b", 2);
        dict.dict("aa", |inner| {
            inner.int("z", 0).int("y", 10);
        });
    });
    assert_eq!(text, b"d1:ai-9223372036854775808e2:aad1:yi10e1:zi0ee1:bi2e1:clee");
    let mut out = b"head".to_vec();
    encode_dict_into(&mut out, |dict| {
        dict.int("y", 1).int("x", 2);
    });
    assert_eq!(out, b"headd1:xi2e1:yi1ee");
    assert_eq!(
        encode_list(|list| {
            list.int(1).bytes("a").list(|_| {}).raw(b"de");
        }),
        b"li1e1:aledee"
    );
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(tree in tree()) {
        let text = encode_list(|list| put_list(list, &tree));
        prop_assert_eq!(&text, &naive_encode(&Tree::List(vec![tree.clone()])));
        let document = strict(&text).unwrap();
        prop_assert_eq!(to_tree(document.root().list().unwrap().next().unwrap()), tree);
    }

    #[test]
    fn every_cut_of_a_text_is_an_error(tree in tree(), extra in any::<u8>()) {
        let text = naive_encode(&tree);
        for end in 0..text.len() {
            prop_assert!(lenient(&text[..end]).is_err(), "cut at {}", end);
        }
        let longer = [&text[..], &[extra]].concat();
        prop_assert_eq!(lenient(&longer).map(|document| document.length()).ok(), Some(text.len()));
    }

    #[test]
    fn any_bytes_are_read_as_a_naive_reader_does(text in "[deil0-9:\\-a]{0,40}") {
        let ours = lenient(text.as_bytes()).ok().map(|document| (to_tree(document.root()), document.length()));
        prop_assert_eq!(ours, naive_decode(text.as_bytes()));
    }

    #[test]
    fn changed_texts_are_read_as_a_naive_reader_does(tree in tree(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = naive_encode(&tree);
        let at = at.index(text.len());
        text[at] = byte;
        let ours = lenient(&text).ok().map(|document| (to_tree(document.root()), document.length()));
        prop_assert_eq!(ours, naive_decode(&text));
    }

    #[test]
    fn strict_is_what_encodes_to_itself(text in "[deil0-9:\\-a]{0,40}") {
        let canonical = naive_decode(text.as_bytes())
            .is_some_and(|(tree, length)| length == text.len() && naive_encode(&tree) == text.as_bytes());
        prop_assert_eq!(strict(text.as_bytes()).is_ok(), canonical);
    }
}

/// Whether a string is text does not depend on what lies around it: before what is no UTF-8 it is a slice of what was checked at once,
/// behind it the string is checked alone.
#[test]
fn text_is_what_is_utf8_by_itself() {
    let split = "é".as_bytes();
    let parts: [&[u8]; 7] =
        ["früh".as_bytes(), &split[..1], &split[1..], "später".as_bytes(), b"\xff", b"", "ganz später".as_bytes()];
    let mut text = vec![b'l'];
    for part in parts {
        text.extend_from_slice(format!("{}:", part.len()).as_bytes());
        text.extend_from_slice(part);
    }
    text.push(b'e');
    let document = Document::decode(&text, Mode::Strict, &Limits::default()).unwrap();
    let read: Vec<Option<&str>> = document.root().list().unwrap().map(|value| value.text()).collect();
    assert_eq!(read, parts.map(|part| core::str::from_utf8(part).ok()));
    // The two halves of a character, though they would be one without the length between them; and what begins within one.
    let halves = b"l1:\xc3\xa91:xe";
    assert!(Document::decode(halves, Mode::Strict, &Limits::default()).is_err());
    let document = Document::decode_prefix(b"1:\xc3\xa9", Mode::Strict, &Limits::default()).unwrap();
    assert_eq!(document.root().text(), None);
}
