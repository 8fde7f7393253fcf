//! Torrent files: what is taken has a geometry that adds up and paths that stay inside.

use parcacik_core::metainfo::{Metainfo, MetainfoLimits};

/// One input.
pub fn run(input: &[u8]) {
    let limits = MetainfoLimits::default();
    if let Ok(meta) = Metainfo::parse(input, &limits) {
        let layout = meta.layout();
        let mut end = 0;
        for file in layout.files() {
            assert_eq!(file.offset, end);
            end += file.length;
            for element in file.path.elements() {
                assert!(
                    !element.is_empty() && element != "." && element != ".." && !element.contains(['/', '\\', '\0'])
                );
            }
        }
        assert_eq!(layout.total_length(), end);
        assert!(meta.is_v1() || meta.is_v2());
        let info = input.get(meta.info_span()).expect("the info dictionary lies in the file");
        let again = Metainfo::parse_info(info, &limits).expect("the info dictionary alone is good too");
        assert_eq!(again.hashes(), meta.hashes());
    }
}
