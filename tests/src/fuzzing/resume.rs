//! Resume data: what is taken is what would have been written.

use parcacik_core::torrent::resume::ResumeData;

/// One input.
pub fn run(input: &[u8]) {
    if let Ok(data) = ResumeData::parse(input) {
        assert_eq!(data.emit(), input);
    }
}
