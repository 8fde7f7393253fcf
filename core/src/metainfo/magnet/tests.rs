use super::*;
use crate::metainfo::MetainfoLimits;
use proptest::prelude::*;
use std::format;
use std::string::ToString;
use std::vec;

const CD: [u8; 20] = [0xcd; 20];
const V1: &str = "magnet:?xt=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
const V2: &str = "magnet:?xt=urn:btmh:1220cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";

fn read(text: &str) -> Magnet {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn warned(text: &str) -> Vec<(&'static str, MagnetProblem)> {
    let (_, warnings) = Magnet::parse(text, &MagnetLimits::default()).unwrap();
    warnings.into_iter().map(|warning| (warning.parameter, warning.problem)).collect()
}

fn addr(text: &str) -> Target {
    Target::Addr(text.parse().unwrap())
}

/// Classes of links as the tests of other clients have them (libtorrent, Transmission), the links written anew; what is
/// read agrees with libtorrent 2.1.1, but where a comment says otherwise.
#[test]
fn links_that_are_taken() {
    let v1 = |rest: &str| read(&format!("{V1}{rest}"));
    assert_eq!(
        read(&V1.to_uppercase().replace("MAGNET:?XT=URN:BTIH", "magnet:?xt=urn:btih")).hashes,
        InfoHashes::v1(CD)
    );
    let base32 = read("magnet:?xt=urn:btih:MFRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC");
    assert_eq!(base32.hashes, InfoHashes::v1(*b"abababababababababab"));
    assert_eq!(read(V2).hashes, InfoHashes { v1: None, v2: Some([0xcd; 32]) });
    let hybrid = read(&format!("{V2}&xt=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"));
    assert_eq!(hybrid.hashes, InfoHashes { v1: Some(CD), v2: Some([0xcd; 32]) });
    assert_eq!(v1("&dn=foo%20bar+baz").name.as_deref(), Some("foo bar baz"));
    let order = read("magnet:?dn=x&tr=http://1/announce&xt=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd");
    assert_eq!((order.name.as_deref(), &order.trackers[..]), (Some("x"), &["http://1/announce".to_string()][..]));
    let mixed = read("magnet:?XT=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd&dN=foobar&Ws=http://foo.com/bar");
    assert_eq!(
        (mixed.name.as_deref(), &mixed.web_seeds[..]),
        (Some("foobar"), &["http://foo.com/bar".to_string()][..])
    );
    assert_eq!(v1("&tr.0=udp://1&tr.1=http://2&tr=http://3").trackers, ["udp://1", "http://2", "http://3"]);
    assert_eq!(v1("&tr.a=udp://1&tr.1=http://2").trackers, ["http://2"]);
    assert_eq!(v1("&tr=http://3&tr=http://3").tiers(), [["http://3"]]);
    assert_eq!(
        v1("&ws=http://foo.com/bar&ws=http://bar.com/foo").web_seeds,
        ["http://foo.com/bar", "http://bar.com/foo"]
    );
    assert_eq!(v1("&dht=127.0.0.1:43&dht=10.0.0.1:1337").nodes, [addr("127.0.0.1:43"), addr("10.0.0.1:1337")]);
    assert_eq!(v1("&tr=udp%3A%2F%2Fx%zz").trackers, [""; 0], "a broken escape spoils its tracker only");
    // libtorrent keeps the NUL and the bytes that are not UTF-8.
    assert_eq!(v1("&dn=a%00b").name.as_deref(), Some("ab"));
    assert_eq!(v1("&dn=%ff%fe").name.as_deref(), Some("\u{fffd}\u{fffd}"));
    assert_eq!(read(&V1.replace("xt=", "xt.1=")).hashes, InfoHashes::v1(CD));
    assert_eq!(read(&V1.replace("magnet:", "magnet://")).hashes, InfoHashes::v1(CD));
    assert_eq!(read(&V1.replace("magnet:", "MAGNET:///")).hashes, InfoHashes::v1(CD));
    assert_eq!(read(" cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd\n").hashes, InfoHashes::v1(CD));
    assert_eq!(v1("&amp;dn=x").name.as_deref(), Some("x"), "out of a page's source");
    assert_eq!(v1("&xt=urn:ed2k:31D6CFE0D16AE931B73C59D7E0C089C0&x=y&&=&dn").hashes, InfoHashes::v1(CD));
    let others = v1("&xs=http%3A%2F%2Fa%2Fb.torrent&as=http://c/d&xl=1099511627776");
    assert_eq!((others.sources, others.alternatives), (vec!["http://a/b.torrent".into()], vec!["http://c/d".into()]));
    assert_eq!(others.length, Some(1 << 40));
}

#[test]
fn links_that_are_refused() {
    let error = |text: &str| text.parse::<Magnet>().unwrap_err();
    let table = [
        ("magnet:?xt=urn:btih:ababababababababababababababababababababab", MagnetError::BadInfoHash),
        ("magnet:?xt=urn:btih:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", MagnetError::BadInfoHash),
        ("magnet:?xt=urn:btih:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", MagnetError::BadInfoHash),
        ("magnet:?xt=urn:btih:MFRGCYTB MJQWEYLCMFRGCYTBMJQWEYL", MagnetError::BadInfoHash),
        ("magnet:?xt=urn:btih:", MagnetError::BadInfoHash),
        ("magnet:?xt=urn:btmh:1220cdcd", MagnetError::BadInfoHash),
        ("magnet:?xt=urn%%3A", MagnetError::BadInfoHash),
        ("magnet:", MagnetError::NotMagnet),
        ("magnet:?", MagnetError::NoInfoHash),
        ("magnet:?dn=x", MagnetError::NoInfoHash),
        ("magnet:?xt.a=urn:btih:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", MagnetError::NoInfoHash),
        ("http://example/", MagnetError::NotMagnet),
        ("", MagnetError::NotMagnet),
        ("cdcd", MagnetError::NotMagnet),
    ];
    for (text, expect) in table {
        assert_eq!(error(text), expect, "{text}");
    }
    assert_eq!(error(&format!("{V1}&xt=urn:btih:{}", "ab".repeat(20))), MagnetError::SeveralTorrents);
    assert_eq!(error(&format!("{V2}&xt=urn:btmh:1220{}", "ab".repeat(32))), MagnetError::SeveralTorrents);
    assert_eq!(read(&format!("{V1}&xt=urn:btih:{}", "CD".repeat(20))).hashes, InfoHashes::v1(CD), "twice the same");
    assert_eq!(error(&format!("{V1}&dn={}", "x".repeat(70_000))), MagnetError::TooLong);
    // Another function than SHA-256 (0x11: SHA-1): another's business, if there is a hash that is ours.
    assert_eq!(warned(&format!("{V1}&xt=urn:btmh:1114{}", "ab".repeat(20))), [("xt", MagnetProblem::UnknownHash)]);
}

/// RFC 4648; the first and the fourth as clients' tests have them.
#[test]
fn base32() {
    let table = [
        ("MFRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC", "6162616261626162616261626162616261626162"),
        ("mfrgcytbmjqweylcmfrgcytbmjqweylc", "6162616261626162616261626162616261626162"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "0000000000000000000000000000000000000000"),
        ("77777777777777777777777777777777", "ffffffffffffffffffffffffffffffffffffffff"),
        ("T7BAXHUY5KMLJI26MIRQIGS67FHKE6AJ", "9fc20b9e98ea98b4a35e6223041a5ef94ea27809"),
    ];
    for (text, expect) in table {
        assert_eq!(
            digits::unbase32(text.as_bytes()).map(|hash| InfoHash(hash).to_hex()).as_deref(),
            Some(expect),
            "{text}"
        );
    }
    for bad in ["MFRGCYTB MJQWEYLCMFRGCYTBMJQWEYL", "1FRGCYTBMJQWEYLCMFRGCYTBMJQWEYLC", "MFRGCYTB"] {
        assert_eq!(digits::unbase32(bad.as_bytes()), None, "{bad}");
    }
}

#[test]
fn peers_fall_out_one_by_one() {
    let link = format!(
        "{V1}&x.pe=1.2.3.4:0&x.pe=1.2.3.4:5&x.pe=1.2.3.4:65536&x.pe=%5B2a00::1%5D:6881&x.pe=Peer.Example:80\
         &x.pe=1.2.3.4&x.pe=2a00::1:6881&x.pe=[2a00::1]&x.pe=0.0.0.0:1&x.pe=1.2.3.999:1&x.pe=b%C3%BCcher.example:1\
         &x.pe=:1&x.pe=a:+1&x.pe=a%20b:1&x.pe=x%zz:1&x.pe=[::ffff:1.2.3.4]:5"
    );
    let host = Target::Host { name: "peer.example".into(), port: 80 };
    assert_eq!(read(&link).peers, [addr("1.2.3.4:5"), addr("[2a00::1]:6881"), host]);
    let problems = warned(&link);
    assert_eq!(problems.len(), 12);
    assert!(problems.iter().all(|(parameter, _)| *parameter == "x.pe"));
    assert_eq!(problems[11], ("x.pe", MagnetProblem::Escape));
}

/// BEP 53, and what other clients' tests do to it.
#[test]
fn selected_files() {
    let so = |text: &str| -> Vec<(u32, u32)> {
        read(&format!("{V1}{text}")).selected.ranges().map(|range| range.into_inner()).collect()
    };
    assert_eq!(so("&so=0,2,4,6-8"), [(0, 0), (2, 2), (4, 4), (6, 8)]);
    assert_eq!(so("&so=7-4&so=10"), [(10, 10)]);
    assert_eq!(so("&so=100000000&so=10"), [(10, 10)]);
    assert_eq!(so("&so=&so=,,1"), [(1, 1)]);
    assert_eq!(so("&so=\"1,2\""), []);
    assert_eq!(so("&so=-1,1-,a,+2,1-2-3,99999999999999999999"), []);
    assert_eq!(so("&so=5-7,1-3,2-6,9,8"), [(1, 9)]);
    assert_eq!(so("&so=0-249999"), [(0, 249_999)]);
    assert_eq!(so("&so=0-4294967295"), []);
    let mut huge = FileRanges::new();
    huge.insert(0, u32::MAX);
    huge.insert(u32::MAX, u32::MAX);
    huge.insert(3, 2);
    assert_eq!((huge.ranges().len(), huge.count(), huge.to_string().as_str()), (1, 1 << 32, "0-4294967295"));
}

/// CVE-2010-1853 was a client that took as many trackers as a link had.
#[test]
fn nothing_is_taken_beyond_its_limit() {
    let limits = MagnetLimits {
        trackers: 2,
        web_seeds: 1,
        sources: 1,
        peers: 1,
        ranges: 2,
        url: 20,
        name: 5,
        ..MagnetLimits::default()
    };
    let link = format!(
        "{V1}&tr=udp://1&tr=udp://2&tr=udp://3&ws=http://1&ws=http://2&xs=a&xs=b&as=a&as=b&x.pe=1.1.1.1:1&x.pe=1.1.1.1:2\
         &so=1,3,5,7&tr=udp://{}&dn=abcdüx&dn=again",
        "x".repeat(20)
    );
    let (magnet, warnings) = Magnet::parse(&link, &limits).unwrap();
    assert_eq!((magnet.trackers.len(), magnet.web_seeds.len(), magnet.peers.len()), (2, 1, 1));
    assert_eq!((magnet.sources.len(), magnet.alternatives.len(), magnet.selected.ranges().len()), (1, 1, 2));
    assert_eq!(magnet.name.as_deref(), Some("abcd"));
    let problems: Vec<_> = warnings.iter().map(|warning| (warning.parameter, warning.problem)).collect();
    use MagnetProblem::*;
    let many = ["tr", "ws", "xs", "as", "x.pe", "so"].map(|parameter| (parameter, TooMany));
    assert_eq!(problems, [&many[..], &[("tr", TooLong), ("dn", Twice)]].concat());
    assert_eq!(warnings[7].to_string(), "\"dn\" ignored: given twice, the first one counts");
    let limits = MagnetLimits { warnings: 3, ..limits };
    assert_eq!(Magnet::parse(&link, &limits).unwrap().1.len(), 3);
    assert_eq!(warned(&format!("{V1}&tr=gopher://x&ws=file:///etc/passwd&xl=-1&tr=")).len(), 4);
}

#[test]
fn the_name_cannot_play_tricks_on_a_terminal() {
    let name = read(&format!("{V1}&dn=%1b[2Jevil%e2%80%aegpj.exe%0a")).name;
    assert_eq!(name.as_deref(), Some("[2Jevilgpj.exe"));
}

#[test]
fn the_link_to_a_torrent() {
    let file = |private: &str| {
        format!(
            "d8:announce12:http://a/ann13:announce-listll12:http://a/ann9:udp://b:1el12:http://a/annee\
             4:infod6:lengthi5e4:name3:a b12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaa{private}e\
             5:nodesll7:1.2.3.4i5eel4:nodei6eee8:url-list8:http://ce"
        )
    };
    let torrent = Metainfo::parse(file("").as_bytes(), &MetainfoLimits::default()).unwrap();
    let magnet = Magnet::of(&torrent);
    let hash = torrent.hashes().best().to_hex();
    assert_eq!(
        magnet.to_string(),
        format!(
            "magnet:?xt=urn:btih:{hash}&dn=a%20b&xl=5&tr=http%3A%2F%2Fa%2Fann&tr=udp%3A%2F%2Fb%3A1&ws=http%3A%2F%2Fc\
             &dht=1.2.3.4:5&dht=node:6"
        )
    );
    assert_eq!(read(&magnet.to_string()), magnet);
    let private = Metainfo::parse(file("7:privatei1e").as_bytes(), &MetainfoLimits::default()).unwrap();
    assert_eq!(Magnet::of(&private).nodes, []);
}

#[test]
fn the_link_to_a_torrent_leaves_out_a_web_seed_that_is_no_url() {
    // As archive.org wrote them: a path alone, beside URLs.
    let file = "d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae\
                8:url-listl10:/32/items/8:http://cee";
    let torrent = Metainfo::parse(file.as_bytes(), &MetainfoLimits::default()).unwrap();
    let magnet = Magnet::of(&torrent);
    assert_eq!(magnet.web_seeds, ["http://c"]);
    assert_eq!(read(&magnet.to_string()), magnet);
}

fn any_target() -> impl Strategy<Value = Target> {
    prop_oneof![
        (any::<[u8; 4]>(), 1u16..).prop_map(|(ip, port)| Target::Addr((ip, port).into())),
        (any::<[u8; 16]>(), 1u16..).prop_map(|(ip, port)| Target::Addr((ip, port).into())),
        ("[a-z][a-z0-9-]{0,10}\\.[a-z]{2,5}", 1u16..).prop_map(|(name, port)| Target::Host { name, port }),
    ]
    .prop_filter("somebody can be there", |target| match target {
        Target::Addr(addr) => {
            addr.ip() == addr.ip().to_canonical()
                && crate::net_policy::AddrClass::of(addr.ip()) != crate::net_policy::AddrClass::Unusable
        }
        Target::Host { name, .. } => !name.starts_with("xn--"),
    })
}

/// Some, no two alike.
fn some<T: std::fmt::Debug + PartialEq>(one: impl Strategy<Value = T>) -> impl Strategy<Value = Vec<T>> {
    proptest::collection::vec(one, 0..5).prop_map(|mut all| {
        let mut at = 0;
        while at < all.len() {
            if all[..at].contains(&all[at]) { _ = all.remove(at) } else { at += 1 }
        }
        all
    })
}

prop_compose! {
    fn any_magnet()(
        v1 in any::<Option<[u8; 20]>>(), v2 in any::<[u8; 32]>(), hybrid: bool,
        name in proptest::option::of("[^\\pC\\pZ]{1,20}( [+&=%#]{1,3})?"), length in any::<Option<u64>>(),
        trackers in some("(udp|http|wss)://[!-~ü中]{1,30}"), web_seeds in some("https?://[!-~ü]{1,30}"),
        sources in some("[!-~]{1,20}"), alternatives in some("[!-~]{1,20}"),
        peers in some(any_target()), nodes in some(any_target()),
        files in proptest::collection::vec((0u32..1000, 0u32..10), 0..8),
    ) -> Magnet {
        let mut selected = FileRanges::new();
        files.into_iter().for_each(|(first, more)| selected.insert(first, first + more));
        let hashes = InfoHashes { v1, v2: (hybrid || v1.is_none()).then_some(v2) };
        // What nobody sees is taken out of names.
        let name = name.map(|name| name.chars().filter(|c| !crate::path::is_invisible(*c)).collect::<String>());
        let name = name.filter(|name| !name.is_empty());
        Magnet { hashes, name, length, trackers, web_seeds, sources, alternatives, peers, nodes, selected }
    }
}

/// What a link led to is a `.torrent` file with all that the link says besides.
#[test]
fn a_torrent_file_is_made_of_the_dictionary_and_the_link() {
    let info = b"d6:lengthi5e4:name5:a.txt12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let hash = InfoHash(<sha1::Sha1 as sha1::Digest>::digest(info).into()).to_hex();
    let link = std::format!(
        "magnet:?xt=urn:btih:{hash}&tr=http://a.example/ann&tr=udp://b.example:1&ws=http://c.example/f&dht=d.example:6881"
    );
    let file = link.parse::<Magnet>().unwrap().torrent_file(info);
    let torrent = Metainfo::parse(&file, &crate::metainfo::MetainfoLimits::default()).unwrap();
    assert_eq!(torrent.warnings(), <[std::string::String; 0]>::default());
    assert_eq!(torrent.hashes().best().to_hex(), hash);
    assert_eq!(torrent.trackers(), [["http://a.example/ann"], ["udp://b.example:1"]]);
    assert_eq!(torrent.web_seeds(), ["http://c.example/f"]);
    assert_eq!(torrent.nodes(), [("d.example".into(), 6881)]);
    let bare = hash.parse::<Magnet>().unwrap().torrent_file(info);
    assert!(bare.starts_with(b"d4:info") && bare.len() == info.len() + 8);
}

proptest! {
    #[test]
    fn what_is_written_is_read(magnet in any_magnet()) {
        let link = magnet.to_string();
        let (back, warnings) = Magnet::parse(&link, &MagnetLimits::default()).unwrap();
        prop_assert_eq!(&back, &magnet, "{}", link);
        prop_assert_eq!(warnings, vec![]);
    }

    #[test]
    fn ranges_behave_like_a_set(ops in proptest::collection::vec((0u32..60, 0u32..12), 0..30)) {
        let mut ranges = FileRanges::new();
        let mut model = std::collections::BTreeSet::new();
        for (first, more) in ops {
            ranges.insert(first, first + more);
            model.extend(first..=first + more);
        }
        let ours: Vec<u32> = ranges.ranges().flatten().collect();
        prop_assert_eq!(&ours, &model.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(ranges.count(), model.len() as u64);
        (0..80).for_each(|file| assert_eq!(ranges.contains(file), model.contains(&file)));
        let touching = ranges.ranges().zip(ranges.ranges().skip(1)).filter(|(a, b)| a.end() + 1 >= *b.start()).count();
        prop_assert_eq!(touching, 0);
    }

    /// Whatever is read can be written and read again, and is the same then.
    #[test]
    fn no_link_makes_it_panic(rest in any::<String>(), likely in "(&(tr|x\\.pe|so|dn|ws|xs|dht|xl|xt)(\\.[0-9])?=[ -~]{0,12}){0,6}") {
        let _ = rest.parse::<Magnet>();
        let _ = format!("magnet:?{rest}").parse::<Magnet>();
        for tail in [rest, likely] {
            if let Ok(magnet) = format!("{V1}{tail}").parse::<Magnet>() {
                prop_assert_eq!(read(&magnet.to_string()), magnet);
            }
        }
    }
}
