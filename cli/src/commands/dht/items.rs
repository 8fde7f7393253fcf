//! `dht get` and `dht put`.

use super::{Manner, anybody, key, nodes, refused, refused_for, stored, tell_refusals, with_client};
use crate::args::{GetArgs, PutArgs};
use crate::exit::Outcome;
use crate::output::Output;
use crate::values::{ItemName, hex};
use anyhow::{Context as _, bail};
use futures_lite::future::pending;
use parcacik_core::dht::item::mutable_target;
use parcacik_core::dht::krpc::{ErrorCode, MAX_VALUE};
use parcacik_core::dht::node::{self, NodeSaid};
use parcacik_core::dht::{ImmutableItem, Item, ItemError, MutableItem, NodeId, SecretKey};
use parcacik_driver_smol::dht::DhtClient;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// Gets an item.
///
/// # Errors
/// As [`super::run`].
pub fn get(args: &GetArgs, output: &Output) -> anyhow::Result<Outcome> {
    let salt = args.salt.as_bytes().to_vec();
    let target = match &args.target {
        ItemName::Target(target) => NodeId(*target),
        ItemName::Key(key) => mutable_target(key, &salt),
    };
    with_client(&args.network, Manner::Asks, output, async |client: &DhtClient| {
        let (found, outcomes) = newest(client, target, salt).await;
        let Some(item) = found else {
            anybody(&outcomes)?;
            output.say(format_args!("nobody has an item under {target}"));
            return Ok(Outcome::Failed);
        };
        if let Item::Mutable(item) = &item {
            output.detail(format_args!("signed by {}, number {}", hex(item.key()), item.seq()));
        }
        match text_of(item.value()) {
            _ if args.network.json => output.json(&as_json(&item))?,
            Some(bytes) if !args.bencoded => output.bytes(bytes)?,
            _ => output.bytes(item.value())?,
        }
        Ok(Outcome::Done)
    })
}

/// The newest version of an item that is found; what came of the lookups, as far as they were waited for.
async fn newest(client: &DhtClient, target: NodeId, salt: Vec<u8>) -> (Option<Item>, Vec<node::Outcome>) {
    let mut task = client.get(target, salt, None);
    let (mut newest, mut outcomes): (Option<Item>, _) = (None, Vec::new());
    while let Some(said) = task.next().await {
        match said {
            // There is only one version.
            NodeSaid::Item { item: item @ Item::Immutable(_), .. } => return (Some(item), outcomes),
            NodeSaid::Item { item, .. } if newest.as_ref().is_none_or(|known| item.seq() > known.seq()) => {
                newest = Some(item);
            }
            NodeSaid::Ended { outcome, .. } => outcomes.push(outcome),
            _ => {}
        }
    }
    (newest, outcomes)
}

/// The bytes of a bencoded string; `None`: it is something else.
fn text_of(value: &[u8]) -> Option<&[u8]> {
    let colon = value.iter().position(|byte| *byte == b':')?;
    // An item's value is canonical: what begins with a digit is one string.
    value.first()?.is_ascii_digit().then(|| &value[colon + 1..])
}

fn as_json(item: &Item) -> Value {
    let text = text_of(item.value()).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let signed = match item {
        Item::Immutable(_) => None,
        Item::Mutable(item) => Some(item),
    };
    json!({
        "target": item.target().to_string(),
        "value": hex(item.value()),
        "text": text,
        "key": signed.map(|item| hex(item.key())),
        "salt": signed.map(|item| String::from_utf8_lossy(item.salt())),
        "seq": signed.map(MutableItem::seq),
        "signature": signed.map(|item| hex(item.signature())),
    })
}

/// Stores an item.
///
/// # Errors
/// As [`super::run`].
pub fn put(args: &PutArgs, output: &Output) -> anyhow::Result<Outcome> {
    let shown = args.file.display();
    let bytes = read(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let value = if args.bencoded { bytes } else { [format!("{}:", bytes.len()).as_bytes(), &bytes].concat() };
    // Before anybody is asked.
    let immutable = ImmutableItem::new(value.clone()).map_err(|error| match error {
        ItemError::TooBig => anyhow::anyhow!("{shown} is too long for an item: it has at most {MAX_VALUE} bytes"),
        other => anyhow::anyhow!("{shown} is no item: {other}"),
    })?;
    let secret = args.key.as_deref().map(|path| key::read_or_make(path, output)).transpose()?;
    let manner = if args.keep { Manner::Stays { read_only: true } } else { Manner::Asks };
    with_client(&args.network, manner, output, async |client: &DhtClient| {
        let (item, cas) = match &secret {
            None => (Item::Immutable(immutable), None),
            Some(secret) => sign(client, secret, args.salt.as_bytes(), value).await?,
        };
        let task = if args.keep { client.keep_put(item.clone(), cas) } else { client.put(item.clone(), cas) };
        let outcomes = task.outcomes(|_| {}).await;
        if !args.keep {
            anybody(&outcomes)?;
        }
        tell(args, output, &item, cas, &outcomes)?;
        if args.keep {
            output.say("it is stored again every hour; Ctrl-C ends that");
            return pending().await;
        }
        if stored(&outcomes) > 0 {
            return Ok(Outcome::Done);
        }
        if refused_for(&outcomes, ErrorCode::CAS_MISMATCH) || refused_for(&outcomes, ErrorCode::OLD_SEQ) {
            bail!("somebody else has just stored another version with this key; try again");
        }
        Ok(Outcome::Failed)
    })
}

/// The version after the newest that is found, and the number of that one.
async fn sign(
    client: &DhtClient,
    secret: &SecretKey,
    salt: &[u8],
    value: Vec<u8>,
) -> anyhow::Result<(Item, Option<i64>)> {
    let (found, outcomes) = newest(client, mutable_target(&secret.public(), salt), salt.to_vec()).await;
    // Who has asked nobody does not know what there is.
    anybody(&outcomes)?;
    let cas = found.and_then(|item| item.seq());
    let seq = match cas {
        None => 1,
        Some(seq) => seq.checked_add(1).context("the item has the greatest number there is, and cannot be replaced")?,
    };
    let item = MutableItem::sign(secret, salt.to_vec(), seq, value)?;
    Ok((Item::Mutable(item), cas))
}

fn tell(
    args: &PutArgs,
    output: &Output,
    item: &Item,
    cas: Option<i64>,
    outcomes: &[node::Outcome],
) -> anyhow::Result<()> {
    let signed = match item {
        Item::Immutable(_) => None,
        Item::Mutable(item) => Some(item),
    };
    if args.network.json {
        output.json(&json!({
            "target": item.target().to_string(),
            "key": signed.map(|item| hex(item.key())),
            "salt": signed.map(|_| &args.salt),
            "seq": item.seq(),
            "cas": cas,
            "stored": stored(outcomes),
            "refused": refused(outcomes),
        }))?;
    } else {
        output.result(item.target())?;
        if let Some(item) = signed {
            output.say(format_args!("public key {}, number {}", hex(item.key()), item.seq()));
        }
        output.say(format_args!("stored by {}", nodes(stored(outcomes))));
    }
    tell_refusals(output, outcomes);
    Ok(())
}

/// A file, as far as an item can have it: a longer one is found to be too long by the byte that follows.
fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_VALUE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_its_bytes_and_nothing_else_is_one() {
        assert_eq!(text_of(b"5:a:b\0c"), Some(&b"a:b\0c"[..]));
        assert_eq!(text_of(b"0:"), Some(&b""[..]));
        for other in [&b"i5e"[..], b"l1:ae", b"d1:a1:be", b""] {
            assert_eq!(text_of(other), None);
        }
    }
}
