//! The arguments of `dht`.

use crate::values;
use clap::{Args, Subcommand};
use parcacik_core::border::Target;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Ask the DHT, store in it, or be a node of it
///
/// The DHT (BEP 5) is who has which torrent, kept by everybody together, with no tracker; and small items that anybody can store (BEP 44). But for `run`, which is a node like any other, the commands ask and leave again, and say so (BEP 43), so that
/// nobody counts on them. Whom they have met is kept in the state folder: the next time they need no router.
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  parcacik dht get-peers HASH
  parcacik dht announce HASH --port 6881
  parcacik dht put note.txt
  parcacik dht put note.txt --key me.key --salt blog
  parcacik dht get TARGET
  parcacik dht ping router.bittorrent.com:6881
  parcacik dht sample --nodes 20
  parcacik dht run --listen 0.0.0.0:6881

`parcacik dht COMMAND --help` says what each prints with --json, and when it ends with exit code 1."
)]
pub struct DhtArgs {
    #[command(subcommand)]
    pub command: DhtCommand,
}

/// What can be done. What the help says is with the arguments of each.
#[derive(Debug, Subcommand)]
pub enum DhtCommand {
    GetPeers(GetPeersArgs),
    Announce(DhtAnnounceArgs),
    Get(GetArgs),
    Put(PutArgs),
    Sample(SampleArgs),
    Ping(PingArgs),
    Run(RunArgs),
}

/// How to be in the DHT.
#[derive(Debug, Args)]
pub struct DhtNetworkArgs {
    /// A node to begin with; may be repeated [default: router.bittorrent.com:6881, dht.transmissionbt.com:6881, router.utorrent.com:6881]
    #[arg(long, value_name = "HOST:PORT", value_parser = values::peer)]
    pub dht_bootstrap: Vec<Target>,
    /// The address to be a node at; may be repeated [default: every address, ports chosen by the system]
    #[arg(long, value_name = "IP:PORT", value_parser = values::listen)]
    pub listen: Vec<SocketAddr>,
    /// Where it is kept whom we have met [default: $XDG_STATE_HOME/parcacik]
    #[arg(long, value_name = "DIR", env = "PARCACIK_STATE_DIR", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Stop after this time (30s, 5m, 1h30m) if it is not done by then, with exit code 3
    #[arg(long, value_name = "TIME", value_parser = values::duration)]
    pub stop_after: Option<Duration>,
    /// Print an object a line to stdout
    #[arg(long)]
    pub json: bool,
}

/// Find peers of a torrent
///
/// Prints the address of each as it is found. They are hints: whoever answered may lie. The exit code is 1 when there is none.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik dht get-peers HASH --json

JSON (--json), an object a line: {\"event\":\"peers\",\"from\",\"peers\":[..]} for each node that names some, {\"event\":\"ended\",\"peers\",\"queries\",\"answers\",\"seeds\",\"leeches\",\"closest\":[{\"id\",\"address\"}]} for each
address family (seeds and leeches: with --scrape, else null).")]
pub struct GetPeersArgs {
    /// The info-hash, 40 hexadecimal digits
    #[arg(value_name = "HASH", value_parser = values::info_hash)]
    pub hash: [u8; 20],
    /// Estimate how many seeds and leeches there are, too (BEP 33)
    #[arg(long)]
    pub scrape: bool,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}

/// Announce this computer as a peer of a torrent, once
///
/// Nodes keep it for half an hour or so. Something should answer at the port: nothing is served here. Says how many nodes took it; the exit code is 1 when none did.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik dht announce HASH --port 6881

JSON (--json), an object a line for each address family: {\"info_hash\",\"port\",\"stored\",\"refused\":[{\"address\",\"code\",\"text\"}],\"queries\",\"answers\",\"peers\"} (peers: how many were met on the way).")]
pub struct DhtAnnounceArgs {
    /// The info-hash, 40 hexadecimal digits
    #[arg(value_name = "HASH", value_parser = values::info_hash)]
    pub hash: [u8; 20],
    /// The port that peers reach this computer at
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// Say that everything is there (BEP 33)
    #[arg(long)]
    pub seed: bool,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}

/// Get an item
///
/// Prints its value: of a string its bytes, of anything else its bencoding. An item that nobody can change is checked by its hash, one with a key by its signature; of several versions the newest is taken, when all nodes
/// close to it have been asked. The exit code is 1 when it is not found.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik dht get TARGET --json

JSON (--json), one object: {\"target\",\"value\" (the bencoding, in hexadecimal digits),\"text\" (of a string that is UTF-8, else null),\"key\",\"salt\",\"seq\",\"signature\"} (the last four null where there is no key).")]
pub struct GetArgs {
    /// The target, 40 hexadecimal digits; or a public key, 64 of them
    #[arg(value_name = "TARGET", value_parser = values::item_name)]
    pub target: values::ItemName,
    /// What tells this item from others of the same key
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = values::salt)]
    pub salt: String,
    /// Print the bencoding of a string, too
    #[arg(long, conflicts_with = "json")]
    pub bencoded: bool,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}

/// Store an item
///
/// Stores the bytes of a file as a string, of at most 996 bytes, and prints the target that it is found by. With --key, it is signed, and can be replaced by whoever has the key: it gets the number after that of the version that
/// is found. Nodes forget items after two hours; with --keep it is stored again every hour. The exit code is 1 when no node took it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik dht put note.txt
  parcacik dht put note.txt --key me.key --salt blog

A key file has one line of 64 hexadecimal digits: the 32 bytes of an ed25519 private key (RFC 8032). 128 digits are read as well: the 64 bytes that it is expanded to, as libtorrent keeps it. Whoever has the file can
replace the item; it is made readable by its owner alone.

JSON (--json), one object: {\"target\",\"key\",\"salt\",\"seq\",\"cas\",\"stored\",\"refused\":[{\"address\",\"code\",\"text\"}]} (key, salt, seq and cas null without --key; cas: the number that it takes the place of).")]
pub struct PutArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Sign it with the key in this file, which is made if it does not exist
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// What tells this item from others of the same key, at most 64 bytes
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, requires = "key", value_parser = values::salt)]
    pub salt: String,
    /// The file is a bencoded value already, of at most 1000 bytes
    #[arg(long)]
    pub bencoded: bool,
    /// Go on until it is stopped, and store it again every hour
    #[arg(long)]
    pub keep: bool,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}

/// Ask nodes which torrents they have peers of
///
/// Asks one node, or walks through the network (BEP 51), and prints each info-hash once. The exit code is 1 when no node had any to name.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  parcacik dht sample --nodes 20 --json
  parcacik dht sample router.bittorrent.com:6881

JSON (--json), an object a line for each node that answers: {\"id\",\"address\",\"num\" (how many it knows in all),\"interval\" (for how many seconds it will say the same),\"samples\":[..]}.")]
pub struct SampleArgs {
    /// The node; without it, those that are met
    #[arg(value_name = "HOST:PORT", value_parser = values::peer)]
    pub node: Option<Target>,
    /// How many nodes of each address family to ask at the most
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "node", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub nodes: u32,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}

/// Ask whether a node is there
///
/// Prints its id, its address, how long it took, and what it says that it runs. The exit code is 1 when it does not answer.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik dht ping router.bittorrent.com:6881

JSON (--json), one object: {\"id\",\"address\",\"milliseconds\",\"version\" (hexadecimal digits, or null)}.")]
pub struct PingArgs {
    /// The node
    #[arg(value_name = "HOST:PORT", value_parser = values::peer)]
    pub node: Target,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}

/// Be a node until it is stopped
///
/// Answers others, keeps peers and items for them, and knows its neighbours. Prints the id and the address of each node that it is, and then how it does. Without a network it waits for one.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  parcacik dht run --listen 0.0.0.0:6881

JSON (--json), an object a line for each of its nodes: {\"event\":\"node\",\"id\",\"address\"} at the start, {\"event\":\"ready\",\"address\"} when it knows enough others, {\"event\":\"moved\",\"address\",\"ip\",\"id\"} when others see it elsewhere,
and every --interval {\"event\":\"status\",\"address\",\"id\",\"ip\",\"contacts\",\"good\",\"torrents\",\"peers\",\"items\",\"network\" (how many nodes there are, roughly),\"received\",\"bytes_received\",\"sent\",\"bytes_sent\",\"queries\",\"answers\",\"timeouts\",\"asked\",\"replies\",\"silenced\",\"ignored\",\"strays\",\"malformed\"}.")]
pub struct RunArgs {
    /// How often it is told how it does
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = values::duration)]
    pub interval: Duration,
    /// Answer nobody (BEP 43)
    #[arg(long)]
    pub read_only: bool,
    #[command(flatten)]
    pub network: DhtNetworkArgs,
}
