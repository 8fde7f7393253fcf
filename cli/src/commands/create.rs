//! `create`: a `.torrent` file of a file or a folder.

use crate::args::CreateArgs;
use crate::exit::Outcome;
use crate::globs::Pattern;
use crate::hashing::{self, ReadFault};
use crate::output::Output;
use crate::progress::Counter;
use crate::publish::publish;
use crate::signals::Interrupt;
use crate::values::{clean, size};
use crate::written::Written;
use anyhow::{Context as _, anyhow, bail};
use parcacik_core::metainfo::builder::{BuildOptions, Builder, SourceFile};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or changes meanwhile, when what was found is no torrent, or when the output cannot be written.
pub fn run(args: &CreateArgs, output: &Output) -> anyhow::Result<Outcome> {
    if !args.force && args.output.symlink_metadata().is_ok() {
        bail!("{} exists; choose another name, or add --force to replace it", args.output.display());
    }
    let root = args.path.canonicalize().with_context(|| format!("cannot open {}", args.path.display()))?;
    // The user's own word for it, where it is one: `.` and `..` are not, and a link is called what it is called here.
    let name = match (&args.name, args.path.file_name().or(root.file_name())) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => unicode(name, &root)?,
        (None, None) => bail!("{} has no name; give it one with --name", args.path.display()),
    };
    if args.private && args.trackers.is_empty() {
        output.warn("a private torrent without a tracker: nobody will find a peer by it; add --tracker");
    }
    let (found, unused) = find(&root, args, output)?;
    if found.is_empty() && !args.excludes.is_empty() {
        bail!("nothing of {} is left: --exclude means all of it", args.path.display());
    }
    if found.is_empty() {
        bail!("{} holds no files", args.path.display());
    }
    for pattern in unused {
        output.warn(format_args!("--exclude {pattern} means no file or folder of {}", args.path.display()));
    }
    let options = BuildOptions {
        name,
        piece_length: args.piece_length,
        trackers: args.trackers.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: args.web_seeds.clone(),
        private: args.private,
        source: args.source.clone(),
        comment: args.comment.clone(),
        created_by: Some(concat!("Parcacik ", env!("CARGO_PKG_VERSION")).to_owned()),
        // A clock that stands before 1970 gives no date.
        creation_date: SystemTime::now().duration_since(UNIX_EPOCH).ok().and_then(|t| i64::try_from(t.as_secs()).ok()),
    };
    let sources = found.iter().map(|file| file.source.clone()).collect();
    let mut builder = Builder::new(sources, options)?;
    for (_, path) in builder.renamed() {
        output.warn(format_args!("one name is not safe on every system: it will be stored as {path}"));
    }

    let interrupt = Interrupt::listen()?;
    hash(&mut builder, &found, &interrupt, output)?;
    if interrupt.asked() {
        output.say("stopped; nothing was written");
        return Ok(Outcome::Interrupted);
    }
    let bytes = builder.finish()?;
    publish(&args.output, &bytes, args.force).with_context(|| format!("cannot write {}", args.output.display()))?;
    report(args, &bytes, output)?;
    Ok(Outcome::Done)
}

/// A file that is to be in the torrent.
struct Found {
    source: SourceFile,
    at: PathBuf,
    /// How it was when it was found.
    stamp: Stamp,
}

/// What changes when somebody writes to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Stamp {
        Stamp { length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) }
    }
}

/// The files under `root`, in the order of their names; and the patterns that left nothing out.
fn find<'a>(root: &Path, args: &'a CreateArgs, output: &Output) -> anyhow::Result<(Vec<Found>, Vec<&'a Pattern>)> {
    let meta = fs::metadata(root).with_context(|| format!("cannot look at {}", root.display()))?;
    if meta.is_file() {
        return Ok((vec![found(root, Vec::new(), &meta)], args.excludes.iter().collect()));
    }
    if !meta.is_dir() {
        bail!("{} is neither a file nor a folder", root.display());
    }
    // The output file may lie in the folder: one that exists (--force) is told by its number, whatever its name.
    let skip = fs::metadata(&args.output).ok().map(|meta| (meta.dev(), meta.ino()));
    let mut files = Vec::new();
    let mut unused: Vec<&Pattern> = args.excludes.iter().collect();
    let mut left_out = 0u64;
    // Folders that are still to be read, with their paths inside the torrent.
    let mut folders = vec![(root.to_owned(), Vec::new())];
    while let Some((folder, path)) = folders.pop() {
        let cannot = || format!("cannot read the folder {}", folder.display());
        for entry in fs::read_dir(&folder).with_context(cannot)? {
            let entry = entry.with_context(cannot)?;
            let at = entry.path();
            // What is left out may have any name at all.
            let mut inside: Vec<String> = path.clone();
            inside.push(entry.file_name().to_string_lossy().into_owned());
            let excluded = args.excludes.iter().any(|pattern| pattern.matches(&inside));
            unused.retain(|pattern| !pattern.matches(&inside));
            if excluded {
                left_out += 1;
                output.detail(format_args!("{} is left out", at.display()));
                continue;
            }
            let meta = fs::symlink_metadata(&at).with_context(|| format!("cannot look at {}", at.display()))?;
            if meta.is_symlink() {
                output.warn(format_args!("{} is a symbolic link, left out", at.display()));
                continue;
            }
            if !meta.is_file() && !meta.is_dir() {
                output.warn(format_args!("{} is neither a file nor a folder, left out", at.display()));
                continue;
            }
            if skip == Some((meta.dev(), meta.ino())) {
                continue;
            }
            unicode(&entry.file_name(), &at)?;
            if meta.is_dir() {
                folders.push((at, inside));
            } else {
                files.push(found(&at, inside, &meta));
            }
        }
    }
    if left_out > 0 {
        output.say(format_args!("left out by --exclude: {left_out} files and folders; -v names them"));
    }
    files.sort_unstable_by(|a, b| a.source.path.cmp(&b.source.path));
    Ok((files, unused))
}

fn found(at: &Path, path: Vec<String>, meta: &Metadata) -> Found {
    let executable = meta.permissions().mode() & 0o100 != 0;
    Found { source: SourceFile { path, length: meta.len(), executable }, at: at.to_owned(), stamp: Stamp::of(meta) }
}

/// BEP 3: "All strings in a .torrent file that contains text must be UTF-8 encoded".
fn unicode(name: &OsStr, at: &Path) -> anyhow::Result<String> {
    let name = name.to_str().ok_or_else(|| anyhow!("the name of {} is not UTF-8; rename it", at.display()))?;
    Ok(name.to_owned())
}

fn hash(builder: &mut Builder, found: &[Found], interrupt: &Interrupt, output: &Output) -> anyhow::Result<()> {
    let geometry = builder.geometry();
    let paths: Vec<PathBuf> = found.iter().map(|file| file.at.clone()).collect();
    let layout = builder.layout().clone();
    let mut counter = Counter::start(output, "hashing", geometry.total_length());
    let changed =
        |at: &Path| anyhow!("{} changed while it was read; start again when nobody writes to it", at.display());
    hashing::hash_pieces(&layout, &paths, interrupt, |number, hash| {
        let Some(piece) = geometry.piece(number) else { return Ok(()) };
        match hash {
            Ok(hash) => builder.piece_hashed(piece, hash),
            Err(ReadFault { file, error }) => {
                let at = paths.get(file).map(PathBuf::as_path).unwrap_or(Path::new("a file"));
                return Err(match error.kind() {
                    io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound => changed(at),
                    _ => anyhow::Error::new(error).context(format!("cannot read {}", at.display())),
                });
            }
        }
        counter.add(u64::from(geometry.length(piece)));
        Ok(())
    })?;
    counter.finish();
    // Hashes of a file that somebody wrote to fit no version of it.
    match found.iter().find(|file| !fs::metadata(&file.at).is_ok_and(|meta| Stamp::of(&meta) == file.stamp)) {
        Some(file) if !interrupt.asked() => Err(changed(&file.at)),
        _ => Ok(()),
    }
}

fn report(args: &CreateArgs, bytes: &[u8], output: &Output) -> anyhow::Result<()> {
    let created = Written::read_back(&args.output, bytes)?;
    if args.json {
        return Ok(output.json(&created)?);
    }
    let (path, name) = (created.path.display(), clean(&created.name));
    let (length, piece) = (size(created.bytes), size(u64::from(created.piece_length)));
    let (files, plural) = (created.files, if created.files == 1 { "" } else { "s" });
    output.result(format_args!(
        "{path}: {name}, {length} in {files} file{plural}, {} pieces of {piece}\ninfo-hash {}",
        created.piece_count, created.info_hash
    ))?;
    Ok(())
}
