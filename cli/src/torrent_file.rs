//! Reading `.torrent` files.

use anyhow::{Context as _, bail};
use bytes::Bytes;
use parcacik_core::metainfo::{Metainfo, MetainfoLimits};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// A `.torrent` file that was read.
#[derive(Clone, Debug)]
pub struct TorrentFile {
    /// Its bytes.
    pub bytes: Bytes,
    /// What they say.
    pub metainfo: Metainfo,
}

/// Reads and checks a `.torrent` file.
///
/// # Errors
/// They name the file, and the field or byte that is wrong.
pub fn read(path: &Path) -> anyhow::Result<TorrentFile> {
    let shown = path.display();
    if let Some((scheme, _)) = path.to_str().and_then(|text| text.split_once(':')).filter(|_| !path.exists()) {
        match scheme.to_ascii_lowercase().as_str() {
            "magnet" => bail!("magnet links are not supported yet; give a .torrent file"),
            "http" | "https" => bail!("{shown}: URLs are not fetched; download the .torrent file first"),
            _ => {}
        }
    }
    let limits = MetainfoLimits::default();
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        bail!("{shown} is a folder; give a .torrent file");
    }
    let mut bytes = Vec::new();
    // One byte more than is taken tells "too long" from "just right", whatever the file says of its length.
    file.take(limits.bytes as u64 + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    let metainfo = Metainfo::parse(&bytes, &limits).with_context(|| format!("{shown} cannot be used"))?;
    Ok(TorrentFile { bytes: bytes.into(), metainfo })
}
