//! Reading `.torrent` files: from the disk, or from the web.

use crate::output::Output;
use crate::values::{clean, span};
use anyhow::{Context as _, anyhow, bail};
use bytes::Bytes;
use parcacik_core::fetch::{FetchError, FetchOptions};
use parcacik_core::metainfo::{Magnet, Metainfo, MetainfoLimits};
use parcacik_core::net_policy::Refusal;
use parcacik_driver_smol::http::{HttpClient, HttpOptions};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

/// A `.torrent` file that was read.
#[derive(Clone, Debug)]
pub struct TorrentFile {
    /// Where it came from, as the user named it.
    pub source: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// What they say.
    pub metainfo: Metainfo,
}

/// What a user's word for a torrent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source<'a> {
    /// A file on the disk.
    File(&'a Path),
    /// A URL to be fetched.
    Url(&'a str),
    /// A magnet link, or an info-hash alone.
    Magnet(&'a str),
}

impl<'a> Source<'a> {
    /// What `word` is. A file that exists is a file, whatever its name.
    pub fn of(word: &'a Path) -> Source<'a> {
        let text = word.to_str().filter(|_| !word.exists());
        if let Some(hash) = text.filter(|text| text.len() == 40 && text.bytes().all(|digit| digit.is_ascii_hexdigit()))
        {
            return Source::Magnet(hash);
        }
        let Some((text, (scheme, _))) = text.and_then(|text| Some((text, text.split_once(':')?))) else {
            return Source::File(word);
        };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Source::Url(text),
            "magnet" => Source::Magnet(text),
            _ => Source::File(word),
        }
    }
}

/// Reads and checks a torrent file, which is fetched when it is named by a URL; that ends when the program is stopped.
///
/// # Errors
/// They name the source, and the field or byte that is wrong.
pub fn read(word: &Path, output: &Output) -> anyhow::Result<TorrentFile> {
    if let Source::Url(url) = Source::of(word) {
        output.say(format_args!("fetching {url}"));
    }
    futures_lite::future::block_on(load(word))
}

/// Like [`read`], without a word. Files are read at once: only URLs are waited for.
///
/// # Errors
/// As [`read`].
pub async fn load(word: &Path) -> anyhow::Result<TorrentFile> {
    let shown = word.display();
    let bytes = match Source::of(word) {
        Source::File(path) => read_file(path)?,
        Source::Url(url) => fetch(url).await?,
        Source::Magnet(link) => return Err(magnet(link)),
    };
    let metainfo = match Metainfo::parse(&bytes, &MetainfoLimits::default()) {
        Ok(metainfo) => metainfo,
        Err(_) if is_web_page(&bytes) => bail!(
            "{shown} is a web page, not a torrent; open it in a browser, and copy the link that downloads the torrent"
        ),
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be used")),
    };
    Ok(TorrentFile { source: shown.to_string(), bytes, metainfo })
}

fn read_file(path: &Path) -> anyhow::Result<Bytes> {
    let shown = path.display();
    let limit = MetainfoLimits::default().bytes as u64;
    let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
    if file.metadata().is_ok_and(|meta| meta.is_dir()) {
        bail!("{shown} is a folder; give a .torrent file");
    }
    let mut bytes = Vec::new();
    // One byte more than is taken tells "too long" from "just right", whatever the file says of its length.
    file.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    Ok(bytes.into())
}

async fn fetch(url: &str) -> anyhow::Result<Bytes> {
    let options = FetchOptions {
        user_agent: Some(concat!("Parcacik/", env!("CARGO_PKG_VERSION")).to_owned()),
        ..FetchOptions::default()
    };
    let client = HttpClient::new(HttpOptions::default())?;
    match client.fetch(url, options).await {
        Ok(fetched) => Ok(fetched.bytes),
        Err(error) => Err(match advice(&error) {
            Some(advice) => anyhow!("cannot fetch {url}: {error}; {advice}"),
            None => anyhow!("cannot fetch {url}: {error}"),
        }),
    }
}

/// What the user can do about it.
fn advice(error: &FetchError) -> Option<String> {
    use parcacik_core::border::IoFault;
    Some(match error {
        FetchError::Status { status: 401 | 403 | 407, .. } => {
            "the site wants you to log in, or serves browsers only: download the file with a browser and give that"
                .into()
        }
        FetchError::Status { status: 404 | 410, .. } => "check the URL; the torrent may have been taken down".into(),
        FetchError::Status { status: 429 | 500..=599, retry_after } => match retry_after {
            Some(seconds) => format!("try again in {}", span(Duration::from_secs(u64::from(*seconds)))),
            None => "try again later".into(),
        },
        FetchError::Status { .. } => "download the file with a browser and give that".into(),
        FetchError::Magnet(link) => format!("give that link itself to download or metadata: {}", clean(link)),
        FetchError::Downgrade { url } => format!("if you trust that, give {url} itself"),
        FetchError::Refused { url, refusal: Refusal::FromGlobalToLocal } => {
            format!("if that is meant, give {url} itself")
        }
        FetchError::Resolve { .. } => "check the URL and the connection".into(),
        FetchError::Io { fault: IoFault::TooLarge, .. } => "that is no torrent file".into(),
        FetchError::Io { fault: IoFault::Untrusted, .. } => {
            "check the URL and this machine's clock; SSL_CERT_FILE names a file with other certificates to trust".into()
        }
        FetchError::Io { .. } | FetchError::TimedOut => "check the URL and the connection, or try again later".into(),
        _ => return None,
    })
}

const MAGNET_ADVICE: &str = "a magnet link is taken by download and metadata only; give a .torrent file, such as `metadata LINK -o FILE` writes";

fn magnet(link: &str) -> anyhow::Error {
    match link.parse::<Magnet>() {
        Ok(magnet) => {
            let name = magnet.name.unwrap_or_else(|| magnet.hashes.best().to_hex());
            anyhow!("{}: {MAGNET_ADVICE}", clean(&name))
        }
        Err(error) => anyhow!("{error}"),
    }
}

/// Whether bytes that are no torrent are HTML: a page about one, or one that asks for a login.
fn is_web_page(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let start = text.get(..text.len().min(14)).unwrap_or_default().to_ascii_lowercase();
    start.starts_with(b"<!doctype html") || start.starts_with(b"<html") || start.starts_with(b"<head")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_by_their_scheme() {
        assert_eq!(Source::of(Path::new("HTTPS://a.example/b")), Source::Url("HTTPS://a.example/b"));
        assert_eq!(Source::of(Path::new("magnet:?xt=")), Source::Magnet("magnet:?xt="));
        let hash = "0123456789abcdefABCD0123456789abcdefABCD";
        assert_eq!(Source::of(Path::new(hash)), Source::Magnet(hash));
        for file in ["a.torrent", "https", "c:a.torrent", "./http/a", "", "httpx://a"] {
            assert_eq!(Source::of(Path::new(file)), Source::File(Path::new(file)), "{file}");
        }
    }

    #[test]
    fn pages_are_told_from_torrents() {
        for page in ["<!DOCTYPE html>", " \n<html lang=en>", "\u{feff}<Html>", "<head><title>"] {
            assert!(is_web_page(page.as_bytes()), "{page}");
        }
        for other in ["", "d4:infode", "<?xml?>", "html"] {
            assert!(!is_web_page(other.as_bytes()), "{other}");
        }
    }
}
