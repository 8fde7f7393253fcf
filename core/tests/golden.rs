//! Recordings of today's behaviour epoch: they must come to the digest that they were made with.
//!
//! **A digest that changes needs a new epoch** ([`BEHAVIOUR`] goes up) **and a line in the changelog**: recordings that people have kept do not replay any more.
//! Then the files are made anew, by `PARCACIK_REWRITE_GOLDEN=1 cargo test -p parcacik-testkit --test golden`. They are recordings of virtual worlds: no address, name
//! or key in them is anybody's.

use parcacik_core::journal::{BEHAVIOUR, Reader, replay};
use std::fs;
use std::path::Path;

/// The longest that one may be, in bytes.
const MAX_LENGTH: usize = 256 << 10;

#[test]
fn golden_recordings_come_to_their_digests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut events = 0;
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        let name = path.display();
        let bytes = fs::read(&path).expect("it can be read");
        assert!(bytes.len() <= MAX_LENGTH, "{name}: {} bytes", bytes.len());
        let reader = Reader::new(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(reader.header().behaviour, BEHAVIOUR, "{name} is of another epoch: make it anew");
        let report = replay(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        if let Some(difference) = report.difference {
            panic!(
                "{name}: the core acts in another way. If that is meant, raise BEHAVIOUR and make the files anew.\n{difference}"
            );
        }
        if let Some(drift) = report.drift {
            panic!("{name}: {drift}. If a machine has got another field, raise STATE and make the files anew.");
        }
        assert!(report.is_complete() && report.states > 0, "{name} was cut off, or is of another STATE: make it anew");
        events += report.events;
    }
    assert!(events >= 1_000, "only {events} events in all");
}
