//! What the application asks of the session, and how it is answered.

use super::Session;
use super::sockets::Listen;
use crate::border::{
    Actions, AddTorrent, Command, CommandError, CommandId, InfoHashes, IpFilter, Notice, PeerId, RateLimits, TorrentId,
    TorrentSource,
};
use crate::cx::Cx;
use crate::metainfo::magnet::MagnetLimits;
use crate::metainfo::{Magnet, Metainfo, MetainfoLimits};
use crate::net_policy::Word;
use crate::rng::Stream;
use crate::torrent::{Shared, Torrent, check_priorities};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;

/// What is known of a torrent that is to be added.
enum Named {
    /// All of it, and its info dictionary.
    File(Box<Metainfo>, Bytes),
    /// Its hashes, and whom to ask.
    Link(Box<Magnet>),
}

impl Named {
    fn read(source: &TorrentSource) -> Result<Named, CommandError> {
        match source {
            TorrentSource::Metainfo(file) => {
                let meta = Metainfo::parse(file, &MetainfoLimits::default())
                    .map_err(|error| CommandError::BadMetainfo(error.to_string()))?;
                // Copied: what is around it (the layers of version 2, say) is not kept.
                let info = file.get(meta.info_span()).map(Bytes::copy_from_slice).unwrap_or_default();
                Ok(Named::File(Box::new(meta), info))
            }
            TorrentSource::Magnet(link) => Magnet::parse(link, &MagnetLimits::default())
                .map(|(magnet, _)| Named::Link(Box::new(magnet)))
                .map_err(|error| CommandError::BadMagnet(error.to_string())),
        }
    }

    /// Its hashes, and what to call it.
    fn is(&self) -> (InfoHashes, String) {
        match self {
            Named::File(meta, _) => (meta.hashes(), meta.name().to_string()),
            Named::Link(magnet) => {
                (magnet.hashes, magnet.name.clone().unwrap_or_else(|| magnet.hashes.best().to_hex()))
            }
        }
    }

    /// How many files it has at most.
    fn files(&self) -> usize {
        match self {
            Named::File(meta, _) => meta.layout().files().len(),
            Named::Link(_) => MetainfoLimits::default().files,
        }
    }
}

impl Session {
    pub(super) fn command(&mut self, out: &mut Actions, id: CommandId, command: Command) {
        if self.stopping.is_some() && !matches!(command, Command::Shutdown) {
            out.notices.push(Notice::CommandFailed { command: id, error: CommandError::Stopping });
            return;
        }
        match command {
            Command::Listen { tcp, udp, lsd, dht, addr, device } => {
                let listen = Listen { tcp, udp, lsd, dht, addr, device };
                self.with_cx(out, |this, cx| this.sockets.listen(cx, id, listen));
            }
            Command::Add(add) => {
                if let Err(error) = self.add(out, id, &add) {
                    out.notices.push(Notice::CommandFailed { command: id, error });
                }
            }
            Command::AddPeers { torrent, peers } => {
                self.order(out, id, torrent, |torrent, cx, _| {
                    torrent.add_peers(cx, &peers, Word::User);
                    Ok(())
                });
            }
            Command::Reannounce { torrent, force } => {
                let known = self.with_torrent(Some(torrent), out, |torrent, cx, shared| {
                    torrent.reannounce(cx, shared, force);
                });
                Self::answer(out, id, known.ok_or(CommandError::NoSuchTorrent));
            }
            Command::AddTrackers { torrent, tiers } => {
                let known = self.with_torrent(Some(torrent), out, |torrent, cx, shared| {
                    torrent.add_trackers(cx, shared, tiers);
                });
                Self::answer(out, id, known.ok_or(CommandError::NoSuchTorrent));
            }
            Command::ReplaceTrackers { torrent, tiers } => {
                let known = self.with_torrent(Some(torrent), out, |torrent, cx, shared| {
                    torrent.replace_trackers(cx, shared, tiers);
                });
                Self::answer(out, id, known.ok_or(CommandError::NoSuchTorrent));
            }
            Command::ScrapeTorrent { torrent } => {
                if let Err(error) = self.scrape_torrent(out, id, torrent) {
                    Self::answer(out, id, Err(error));
                }
            }
            Command::Scrape { trackers, torrents } => {
                if let Err(error) = self.scrape(out, id, &trackers, torrents) {
                    Self::answer(out, id, Err(error));
                }
            }
            Command::Announce(once) => {
                if let Err(error) = self.announce_once(out, id, &once) {
                    Self::answer(out, id, Err(error));
                }
            }
            Command::Remove { torrent, files } => {
                if !self.torrents.contains_key(&torrent) {
                    out.notices.push(Notice::CommandFailed { command: id, error: CommandError::NoSuchTorrent });
                    return;
                }
                self.removing.insert(torrent);
                self.with_torrent(Some(torrent), out, |torrent, cx, shared| torrent.remove(cx, shared, files));
            }
            Command::Pause { torrent, graceful } => {
                self.order(out, id, torrent, |torrent, cx, shared| torrent.pause(cx, shared, graceful));
            }
            Command::Resume { torrent } => {
                self.order(out, id, torrent, |torrent, cx, shared| torrent.resume(cx, shared));
            }
            Command::Recheck { torrent } => {
                self.order(out, id, torrent, |torrent, cx, shared| torrent.check_anew(cx, shared));
            }
            Command::Move { torrent, root } => {
                let begun =
                    self.with_torrent(Some(torrent), out, |torrent, cx, shared| torrent.move_to(cx, shared, id, root));
                // It answers when it has been moved.
                if let Err(error) = begun.unwrap_or(Err(CommandError::NoSuchTorrent)) {
                    Self::answer(out, id, Err(error));
                }
            }
            Command::SetGoal { torrent, goal } => {
                self.order(out, id, torrent, |torrent, cx, shared| torrent.set_goal(cx, shared, goal));
            }
            Command::SetManaged { torrent, managed } => {
                self.queue.set_managed(self.now, &self.config.queue, torrent, managed);
                self.order(out, id, torrent, |_, _, _| Ok(()));
            }
            Command::SetPlace { torrent, place } => {
                self.queue.set_place(self.now, &self.config.queue, torrent, place);
                self.order(out, id, torrent, |_, _, _| Ok(()));
            }
            Command::SetPriorities { torrent, files } => {
                let set = self
                    .with_torrent(Some(torrent), out, |torrent, cx, shared| torrent.set_priorities(cx, shared, &files));
                Self::answer(out, id, set.unwrap_or(Err(CommandError::NoSuchTorrent)));
            }
            Command::SetSequential { torrent, on } => {
                let set =
                    self.with_torrent(Some(torrent), out, |torrent, cx, shared| torrent.set_sequential(cx, shared, on));
                Self::answer(out, id, set.unwrap_or(Err(CommandError::NoSuchTorrent)));
            }
            Command::SetSuperSeed { torrent, on } => {
                let known =
                    self.with_torrent(Some(torrent), out, |torrent, cx, shared| torrent.set_super_seed(cx, shared, on));
                Self::answer(out, id, known.ok_or(CommandError::NoSuchTorrent));
            }
            Command::SetIpFilter { filter } => {
                let result = self.set_ip_filter(out, filter);
                Self::answer(out, id, result);
            }
            Command::SetLimits { torrent, download, upload } => {
                let done = self.set_limits(out, torrent, RateLimits { download, upload });
                Self::answer(out, id, done);
            }
            Command::AddDhtNodes { nodes } => {
                self.add_dht_nodes(out, nodes);
                Self::answer(out, id, Ok(()));
            }
            Command::Shutdown => self.shutdown(out),
        }
    }

    /// Has a torrent do what a command says, and answers it.
    fn order(
        &mut self,
        out: &mut Actions,
        command: CommandId,
        torrent: TorrentId,
        call: impl FnOnce(&mut Torrent, &mut Cx, &mut Shared) -> Result<(), CommandError>,
    ) {
        let done = self.with_torrent(Some(torrent), out, call);
        Self::answer(out, command, done.unwrap_or(Err(CommandError::NoSuchTorrent)));
    }

    fn set_ip_filter(&mut self, out: &mut Actions, filter: Arc<IpFilter>) -> Result<(), CommandError> {
        if filter.len() > self.config.net.max_filter_ranges as usize {
            return Err(CommandError::Limit);
        }
        self.filter = filter;
        self.with_cx(out, |this, cx| this.acceptor.drop_blocked(cx));
        let ids: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in ids {
            self.with_torrent(Some(id), out, |torrent, cx, shared| torrent.drop_blocked(cx, shared));
        }
        self.dht_filter_changed(out);
        Ok(())
    }

    /// Answers a command that has no answer of its own.
    pub(super) fn answer(out: &mut Actions, command: CommandId, result: Result<(), CommandError>) {
        out.notices.push(match result {
            Ok(()) => Notice::CommandDone { command },
            Err(error) => Notice::CommandFailed { command, error },
        });
    }

    fn add(&mut self, out: &mut Actions, command: CommandId, add: &AddTorrent) -> Result<(), CommandError> {
        if self.torrents.len() >= self.config.session.max_torrents as usize {
            return Err(CommandError::Limit);
        }
        if !add.limits.are_sound() {
            return Err(CommandError::ZeroLimit);
        }
        let named = Named::read(&add.source)?;
        let (hashes, name) = named.is();
        if hashes.v1.is_none() {
            return Err(CommandError::V2Only);
        }
        if let Some(&twin) = hashes.names().find_map(|name| self.names.get(&name)) {
            return Err(CommandError::Duplicate(twin));
        }
        check_priorities(named.files(), add.priorities.as_deref().unwrap_or_default())?;
        let id = TorrentId(self.next_torrent);
        self.next_torrent += 1;
        // BEP 20 prefix, then chance: a fresh id for each torrent, so that torrents cannot be linked by it.
        let mut peer_id = PeerId([0; 20]);
        peer_id.0[..8].copy_from_slice(&self.config.session.peer_id_prefix);
        self.seeds.secrets(Stream::Session, u64::from(id.0)).fill(&mut peer_id.0[8..]);
        for name in hashes.names() {
            self.names.insert(name, id);
        }
        out.notices.push(Notice::Added { command, torrent: id, hashes, name });
        let mut cx = cx!(self, out, id.0 + 1);
        let torrent = match &named {
            Named::File(meta, info) => Torrent::new(&mut cx, id, peer_id, meta, info.clone(), add),
            Named::Link(magnet) => Torrent::from_magnet(&mut cx, id, peer_id, magnet, add),
        };
        self.torrents.insert(id, Box::new(torrent));
        self.alive += 1;
        let waits = self.queue.add(self.now, &self.config.queue, id, add.managed);
        self.with_torrent(Some(id), out, |torrent, cx, shared| {
            if waits {
                torrent.set_queued(cx, shared, true);
            }
        });
        if let Named::File(meta, _) = &named {
            self.note_nodes(out, meta);
        }
        Ok(())
    }
}
