use super::*;
use crate::metainfo::Metainfo;
use proptest::prelude::*;
use sha1::{Digest, Sha1};
use std::collections::BTreeMap;
use std::prelude::v1::*;
use std::vec;

fn file(path: &[&str], length: u64) -> SourceFile {
    SourceFile { path: path.iter().map(|element| element.to_string()).collect(), length, executable: false }
}

fn named(name: &str) -> BuildOptions {
    BuildOptions { name: name.into(), ..BuildOptions::default() }
}

fn parse(bytes: &[u8]) -> Metainfo {
    Metainfo::parse(bytes, &MetainfoLimits::default()).unwrap()
}

#[test]
fn piece_lengths_suit_the_size() {
    const MIB: u64 = 1 << 20;
    for (total, length) in [
        (1, 16 << 10),
        (31 * MIB, 16 << 10),
        (32 * MIB, 32 << 10),
        (700 * MIB, 512 << 10),
        (4_700 * MIB, 4 << 20),
        (31_250 * MIB, 16 << 20),
        (1 << 40, 16 << 20),
        (u64::MAX, 16 << 20),
    ] {
        assert_eq!(auto_piece_length(total), length, "{total}");
    }
}

#[test]
fn a_folder_is_written_canonically() {
    let options = BuildOptions {
        piece_length: Some(4),
        trackers: vec![vec!["http://a/ann".into(), "udp://b:1".into()], vec![], vec!["http://c/ann".into()]],
        web_seeds: vec!["http://w/".into()],
        private: true,
        comment: Some("hi".into()),
        created_by: Some("me".into()),
        creation_date: Some(7),
        source: Some("site".into()),
        ..named("dir")
    };
    let mut files = vec![file(&["b"], 3), file(&["a", "c"], 0), file(&["a", "b"], 4)];
    files[2].executable = true;
    let mut builder = Builder::new(files, options).unwrap();
    let job = builder.next_job().unwrap();
    let range = |file, offset, length| FileRange { file, offset, length };
    assert_eq!((job.piece.get(), job.ranges), (0, vec![range(0, 0, 3), range(2, 0, 1)]));
    let last = builder.next_job().unwrap();
    assert_eq!((last.piece.get(), last.ranges), (1, vec![range(2, 1, 3)]));
    assert_eq!(builder.next_job(), None);
    // In any order.
    builder.piece_hashed(last.piece, [b'2'; 20]);
    assert_eq!(builder.finish(), Err(BuildError::Missing(1)));
    builder.piece_hashed(job.piece, [b'1'; 20]);
    let text = builder.finish().unwrap();
    let expected: &[u8] = b"d8:announce12:http://a/ann13:announce-listll12:http://a/ann9:udp://b:1el12:http://c/annee\
        7:comment2:hi10:created by2:me13:creation datei7e4:infod5:filesld6:lengthi3e4:pathl1:beed6:lengthi0e4:path\
        l1:a1:ceed4:attr1:x6:lengthi4e4:pathl1:a1:beee4:name3:dir12:piece lengthi4e6:pieces40:\
        11111111111111111111222222222222222222227:privatei1e6:source4:sitee8:url-list9:http://w/e";
    assert_eq!(text, expected, "{}", String::from_utf8_lossy(&text));
}

#[test]
fn what_no_torrent_can_hold_is_refused() {
    let new =
        |files: Vec<SourceFile>, options| Builder::new(files, options).map(|builder| builder.geometry()).unwrap_err();
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert_eq!(new(vec![file(&["a"], 1)], named(name)), BuildError::BadName(name.into()));
        assert_eq!(new(vec![file(&["a", name], 1)], named("n")), BuildError::BadName(name.into()));
    }
    assert_eq!(new(vec![file(&["a"], 1), file(&["a"], 1)], named("n")), BuildError::SamePath("a".into()));
    assert_eq!(
        new(vec![file(&["a", "b"], 1), file(&["a b"], 1), file(&["a"], 1)], named("n")),
        BuildError::SamePath("a".into())
    );
    assert_eq!(new(vec![file(&[], 1), file(&["a"], 1)], named("n")), BuildError::NotAlone);
    assert_eq!(new(vec![], named("n")), BuildError::Geometry(GeometryError::Empty));
    assert_eq!(new(vec![file(&["a"], 0)], named("n")), BuildError::Geometry(GeometryError::Empty));
    let huge = vec![file(&["a"], u64::MAX), file(&["b"], 1)];
    assert_eq!(new(huge, named("n")), BuildError::Geometry(GeometryError::TooManyPieces(u64::MAX)));
    let long = BuildOptions { piece_length: Some(u32::MAX), ..named("n") };
    assert_eq!(new(vec![file(&["a"], 1)], long), BuildError::PieceLength(u32::MAX));
    let deep: Vec<&str> = vec!["d"; 100];
    assert!(matches!(new(vec![file(&deep, 1)], named("n")), BuildError::BadName(_)));
}

#[test]
fn names_that_are_not_safe_everywhere_are_told() {
    let builder = Builder::new(vec![file(&["a: b"], 1), file(&["c"], 1)], named("n")).unwrap();
    let renamed: Vec<_> = builder.renamed().map(|(at, path)| (at, path.to_string())).collect();
    assert_eq!(renamed, [(0, "n/a_ b".to_string())]);
}

fn options() -> impl Strategy<Value = BuildOptions> {
    let text = || prop::option::of("[a-zé]{1,8}");
    let tiers = prop::collection::vec(prop::collection::btree_set("http://[a-z]{1,3}/a", 1..3), 0..3);
    (
        ("[a-z]{1,8}", prop::option::of(1u32..100)),
        tiers,
        prop::collection::btree_set("http://[a-z]{1,3}/", 0..3),
        any::<bool>(),
        (text(), text(), text()),
        prop::option::of(0i64..i64::MAX),
    )
        .prop_map(|((name, piece_length), tiers, seeds, private, (comment, created_by, source), creation_date)| {
            BuildOptions {
                name,
                piece_length,
                trackers: tiers.into_iter().map(|tier| tier.into_iter().collect()).collect(),
                web_seeds: seeds.into_iter().collect(),
                private,
                comment,
                created_by,
                creation_date,
                source,
            }
        })
}

proptest! {
    #[test]
    fn what_is_built_is_parsed_back(
        options in options(),
        files in prop::collection::btree_map("[a-z]{1,3}", (0u64..200, any::<bool>()), 1..6),
        single in any::<bool>(),
        order in any::<u64>(),
    ) {
        let mut files: Vec<SourceFile> = files
            .into_iter()
            .map(|(name, (length, executable))| SourceFile { path: vec!["d".into(), name], length, executable })
            .collect();
        if single {
            files.truncate(1);
            files[0].path.clear();
        }
        let total: u64 = files.iter().map(|file| file.length).sum();
        prop_assume!(total > 0);
        // The data of file n are bytes of n.
        let data: Vec<u8> = files.iter().enumerate().flat_map(|(at, file)| vec![at as u8; file.length as usize]).collect();
        let mut builder = Builder::new(files.clone(), options.clone()).unwrap();
        let mut jobs = BTreeMap::new();
        while let Some(job) = builder.next_job() {
            let bytes: Vec<u8> = job.ranges.iter().flat_map(|range| vec![range.file as u8; range.length as usize]).collect();
            jobs.insert(u64::from(job.piece.get()).wrapping_mul(order | 1), (job.piece, Sha1::digest(&bytes)));
        }
        for (piece, hash) in jobs.into_values() {
            builder.piece_hashed(piece, hash.into());
        }
        let parsed = parse(&builder.finish().unwrap());
        prop_assert_eq!(parsed.geometry(), builder.geometry());
        prop_assert_eq!(parsed.geometry().total_length(), total);
        prop_assert_eq!(parsed.layout(), builder.layout());
        prop_assert_eq!(parsed.name(), &options.name);
        prop_assert_eq!(parsed.trackers(), &options.trackers[..]);
        prop_assert_eq!(parsed.web_seeds(), &options.web_seeds[..]);
        prop_assert_eq!(parsed.private(), options.private);
        prop_assert_eq!(parsed.comment(), options.comment.as_deref());
        prop_assert_eq!(parsed.created_by(), options.created_by.as_deref());
        prop_assert_eq!(parsed.source(), options.source.as_deref());
        prop_assert_eq!(parsed.creation_date(), options.creation_date);
        prop_assert_eq!(parsed.warnings(), &[] as &[String]);
        for (piece, bytes) in parsed.geometry().iter().zip(data.chunks(parsed.geometry().piece_length() as usize)) {
            let hash: [u8; 20] = Sha1::digest(bytes).into();
            prop_assert_eq!(parsed.piece_hashes().get(piece), Some(hash));
        }
        for (parsed, source) in parsed.files().iter().zip(&files) {
            prop_assert_eq!((parsed.length, parsed.executable), (source.length, source.executable));
        }
    }
}
