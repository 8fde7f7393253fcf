//! Names of files: whatever goes in, what comes out stays inside, and sanitising again changes nothing.

use parcacik_core::path::{MAX_DEPTH, MAX_ELEMENT, SafePath};

/// One input.
pub fn run(input: &[u8]) {
    let path = SafePath::sanitize(input.split(|&byte| byte == b'\n'));
    assert!((1..=MAX_DEPTH).contains(&path.elements().len()));
    for element in path.elements() {
        assert!((1..=MAX_ELEMENT).contains(&element.len()));
        assert!(element != "." && element != ".." && !element.contains(['/', '\\', '\0', ':']));
    }
    assert_eq!(SafePath::sanitize(path.elements().iter().map(|element| element.as_bytes())), path);
}
