//! Resume data: what is taken is what would have been written; and whatever it claims of whatever files, each piece is believed, hashed
//! or neither, and none is believed that reaches behind the end of its file.
//!
//! No fuzzer finds a checksum. So the input is read as it is, and once more with the right length and checksum put to it.

use parcacik_core::bitfield::Bitfield;
use parcacik_core::border::{FileState, PersistConfig, StorageLayout};
use parcacik_core::path::SafePath;
use parcacik_core::rng::{Seeds, Stream};
use parcacik_core::torrent::resume::{Reconciled, ResumeData, reconcile};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// Three files in five pieces.
static LAYOUT: LazyLock<StorageLayout> = LazyLock::new(|| {
    let file = |name: &str, length| (SafePath::sanitize([name.as_bytes()]), length, false, false);
    StorageLayout::new([file("a", 20_000), file("b", 9_000), file("c", 46_000)], 16_384)
});

/// One input.
pub fn run(input: &[u8]) {
    if let Ok(data) = ResumeData::parse(input) {
        assert_eq!(data.emit(), input);
    }
    let mut bytes = input.to_vec();
    if let Some(length) = bytes.get_mut(12..16) {
        length.copy_from_slice(&(input.len() as u32 + 32).to_be_bytes());
    }
    let digest = Sha256::digest(&bytes);
    bytes.extend_from_slice(&digest);
    if let Ok(data) = ResumeData::parse(&bytes) {
        assert_eq!(data.emit(), bytes);
        compare(&data);
    }
}

fn compare(data: &ResumeData) {
    let mut rng = Seeds::for_tests(1).decisions(Stream::Persist, 0);
    // As recorded; a little longer and later; shorter; older; gone.
    let changes: [fn(FileState) -> Option<FileState>; 5] = [
        Some,
        |file| Some(FileState { length: file.length.saturating_add(1), modified: file.modified.saturating_add(1) }),
        |file| Some(FileState { length: file.length.saturating_sub(1), ..file }),
        |file| Some(FileState { modified: file.modified.saturating_sub(1), ..file }),
        |_| None,
    ];
    for (turn, _) in changes.iter().enumerate() {
        // Each file another way.
        let files: Vec<Option<FileState>> =
            data.files.iter().enumerate().map(|(at, file)| changes[(turn + at) % changes.len()]((*file)?)).collect();
        let sorted = reconcile(data, &files, &LAYOUT, &PersistConfig::default(), &mut rng);
        check(&sorted, &files, &data.apart);
        for piece in sorted.samples.iter() {
            let mut sorted = sorted.clone();
            let doubted = sorted.sample_failed(piece, &LAYOUT, &data.apart);
            assert!(doubted.iter().all(|&piece| !sorted.trusted.get(piece) && sorted.to_check.get(piece)));
            check(&sorted, &files, &data.apart);
        }
    }
}

fn check(sorted: &Reconciled, files: &[Option<FileState>], apart: &Bitfield) {
    assert!(sorted.samples.iter().all(|piece| sorted.to_check.get(piece)));
    for piece in sorted.trusted.iter() {
        assert!(!sorted.to_check.get(piece), "believed and to be hashed");
        for span in LAYOUT.spans(piece, 0, LAYOUT.piece_length(), apart) {
            use parcacik_core::border::Place;
            let file = if span.place == Place::PartFile { LAYOUT.files().len() } else { span.file };
            let length = files.get(file).copied().flatten().map_or(0, |file| file.length);
            assert!(span.place == Place::Padding || span.offset + span.length <= length, "behind the end of its file");
        }
    }
}
