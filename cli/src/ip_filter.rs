//! Lists of blocked addresses (`--ip-filter`): read from files, packed with gzip or not, and put together.

use crate::output::Output;
use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use parcacik_core::net_policy::{FilterLimits, FilterReport, IpFilter};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most bytes of a list, unpacked: a hundred bytes a line for as many ranges as are taken.
const MAX_BYTES: u64 = 800 << 20;
/// What a packed file begins with.
const GZIP: &[u8] = b"\x1f\x8b";

/// Reads all lists; `None` when there are none.
///
/// # Errors
/// When one cannot be read, or holds nothing that is a range. Single bad lines are told, and the others count.
pub fn load(files: &[PathBuf], output: &Output) -> anyhow::Result<Option<Arc<IpFilter>>> {
    let mut all: Option<IpFilter> = None;
    for file in files {
        let name = file.display();
        let (filter, report) = read(file).with_context(|| format!("{name}: not a usable list of addresses"))?;
        output.detail(format_args!("{name}: {} ranges are blocked, {} after joining", report.ranges, filter.len()));
        if let Some(first) = report.problems.first() {
            let bad = report.bad;
            output.warn(format_args!("{name}: {bad} lines cannot be read and are left out; the first is {first}"));
        }
        match &mut all {
            Some(all) => all.extend(&filter),
            None => all = Some(filter),
        }
    }
    Ok(all.map(Arc::new))
}

fn read(path: &Path) -> anyhow::Result<(IpFilter, FilterReport)> {
    let mut file = File::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(GZIP.len() as u64).read_to_end(&mut start)?;
    let list = if start == GZIP {
        unpack(MultiGzDecoder::new(start.chain(file))).context("it cannot be unpacked")?
    } else {
        unpack(start.chain(file))?
    };
    Ok(IpFilter::parse(&list, &FilterLimits::default())?)
}

/// All of it, as far as there may be.
fn unpack(from: impl Read) -> anyhow::Result<Vec<u8>> {
    let mut list = Vec::new();
    from.take(MAX_BYTES + 1).read_to_end(&mut list)?;
    if list.len() as u64 > MAX_BYTES {
        bail!("it has more than {} MiB", MAX_BYTES >> 20);
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;

    #[test]
    fn lists_are_put_together_packed_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, packed) = (dir.path().join("a.p2p"), dir.path().join("b.dat.gz"));
        std::fs::write(&plain, "Bad:1.2.3.0-1.2.3.255\nno range\n").unwrap();
        let mut gz = GzEncoder::new(File::create(&packed).unwrap(), Compression::fast());
        gz.write_all(b"001.002.004.000 - 001.002.004.255 , 000 , x\n2001:db8::/32\n").unwrap();
        gz.finish().unwrap();
        let filter = load(&[plain, packed], &Output::new(true, 0)).unwrap().unwrap();
        let ranges: Vec<String> = filter.ranges().map(|(first, last)| format!("{first}-{last}")).collect();
        assert_eq!(ranges, ["1.2.3.0-1.2.4.255", "2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"]);
        assert!(load(&[], &Output::new(true, 0)).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_with_a_list_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let say = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            format!("{:#}", load(&[path], &Output::new(true, 0)).unwrap_err())
        };
        assert!(say("a", b"1.2.3.4/33\n").ends_with("line 1: the length of the prefix is not valid"));
        assert!(
            say("b", b"\x1f\x8bnot gzip at all").contains("b: not a usable list of addresses: it cannot be unpacked")
        );
        assert!(say("c", b"PK\x03\x04").contains("not text"));
        let missing = format!("{:#}", load(&[dir.path().join("none")], &Output::new(true, 0)).unwrap_err());
        assert!(missing.contains("none: "), "{missing}");
    }
}
