//! Resume data: what is taken is what would have been written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parcacik_core::torrent::resume::ResumeData;

fuzz_target!(|input: &[u8]| {
    if let Ok(data) = ResumeData::parse(input) {
        assert_eq!(data.emit(), input);
    }
});
