//! The extension protocol (BEP 10): who we are, who the peer is, and which messages each takes.

use super::{PeerConn, PeerFacts, PeerSaid};
use crate::border::PeerFault;
use crate::cx::Cx;
use crate::wire::{ExtendedHandshake, Extension, Message, clean_name};
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;

impl PeerConn {
    pub(super) fn our_introduction(&self, cx: &Cx<'_>, facts: &PeerFacts<'_>) -> ExtendedHandshake {
        let known = [Extension::Metadata, Extension::Pex, Extension::UploadOnly, Extension::DontHave].into_iter();
        ExtendedHandshake {
            extensions: known.filter(|&e| offered(e, cx, facts)).map(|e| (e, e.our_id())).collect(),
            client: Some(cx.config.session.client.clone()),
            // BEP 10 sees no need for it where the peer dialled us, as it knows the port; it need not be the same one.
            port: facts.listen_port.filter(|&port| port > 0),
            reqq: Some(cx.config.peer.reqq),
            your_ip: Some(self.remote.ip().to_canonical()),
            metadata_size: facts.metadata.and_then(|info| u32::try_from(info.len()).ok()),
            upload_only: facts.upload_only.then_some(true),
            ..ExtendedHandshake::default()
        }
    }

    /// Tells a peer whether we only give: by one byte where it takes that as a message, else by a whole introduction anew. BEP 10:
    /// "Subsequent handshake messages can be used to enable/disable extensions without restarting the connection". It would
    /// be enough to say what has changed; but some take what is not in it for what is not offered any more.
    pub(super) fn reintroduce(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) {
        if !self.extended {
            return;
        }
        let message = match self.extension_ids.get(Extension::UploadOnly) {
            Some(id) => Message::Extended { id, payload: Bytes::from(vec![u8::from(facts.upload_only)]) },
            None => {
                let mut ours = self.our_introduction(cx, facts);
                ours.upload_only = Some(facts.upload_only);
                Message::Extended { id: 0, payload: Bytes::from(ours.emit()) }
            }
        };
        self.outbox.message(cx.now, &message);
    }

    /// Tells a peer that the info dictionary, which we looked for, may be asked of us now; or that it may not. BEP 10: "If the
    /// id is zero, the extension is disabled". It would be enough to say what has changed, but see above.
    pub(super) fn introduce_metadata(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>) {
        if !self.extended {
            return;
        }
        let mut ours = self.our_introduction(cx, facts);
        // What a torrent that turned out to be private does not offer any more (BEP 27).
        for (at, extension) in [Extension::Metadata, Extension::Pex].into_iter().enumerate() {
            if !offered(extension, cx, facts) {
                ours.extensions.insert(at, (extension, 0));
            }
        }
        self.outbox.message(cx.now, &Message::Extended { id: 0, payload: Bytes::from(ours.emit()) });
    }

    pub(super) fn on_extended(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, id: u8, payload: Bytes) {
        if !self.extended {
            return self.fault(cx, PeerFault::ExtensionNotAgreed);
        }
        if id == 0 {
            return match ExtendedHandshake::parse(&payload) {
                Ok(handshake) => self.on_introduction(cx, handshake),
                Err(_) => self.fault(cx, PeerFault::BadExtendedHandshake),
            };
        }
        match Extension::from_our_id(id).filter(|&extension| offered(extension, cx, facts)) {
            Some(Extension::UploadOnly) => match payload[..] {
                [flag @ 0..=1] => {
                    self.introduction.upload_only = Some(flag == 1);
                    self.said.push_back(PeerSaid::Introduced);
                    self.useless(cx);
                }
                _ => self.useless(cx),
            },
            Some(Extension::Metadata) => self.on_metadata(cx, facts, &payload),
            Some(Extension::DontHave) => self.on_dont_have(cx, facts, &payload),
            Some(extension) => self.said.push_back(PeerSaid::Extended { extension, payload }),
            None => self.useless(cx),
        }
    }

    /// BEP 54: "When the local node receives a *DontHave* message with index *n*, it marks the piece as unavailable at the sending
    /// peer."
    fn on_dont_have(&mut self, cx: &mut Cx<'_>, facts: &PeerFacts<'_>, payload: &[u8]) {
        let Ok(number) = payload.try_into().map(u32::from_be_bytes) else {
            return self.fault(cx, PeerFault::WrongMessageLength);
        };
        let Some(geometry) = facts.geometry else {
            self.early.lost(number);
            return self.useless(cx);
        };
        let Some(piece) = geometry.piece(number) else { return self.fault(cx, PeerFault::PieceOutOfRange) };
        if self.pieces.remove(number) {
            // "If the *Fast* extension has not been negotiated with the sending peer, then any outstanding requests for chunks of
            // the discarded piece are silently cancelled [...]. If [it] has been negotiated, no requests are silently cancelled:
            // the peer will explicitly reject any such requests".
            let returned = if self.fast { Vec::new() } else { self.requests.return_piece(piece) };
            self.said.push_back(PeerSaid::Lost { piece, returned });
        }
        // Once is news; to have and not to have by turns is a flood.
        self.useless(cx);
    }

    fn on_introduction(&mut self, cx: &mut Cx<'_>, handshake: ExtendedHandshake) {
        self.extension_ids.update(&handshake);
        // Later handshakes say what has changed.
        let old = &mut self.introduction;
        old.client =
            handshake.client.map(|name| clean_name(&name, cx.config.peer.max_client_name)).or(old.client.take());
        old.port = handshake.port.or(old.port);
        old.reqq = handshake.reqq.or(old.reqq);
        old.your_ip = handshake.your_ip.or(old.your_ip);
        old.ipv4 = handshake.ipv4.or(old.ipv4);
        old.ipv6 = handshake.ipv6.or(old.ipv6);
        old.metadata_size = handshake.metadata_size.or(old.metadata_size);
        old.upload_only = handshake.upload_only.or(old.upload_only);
        old.encryption = handshake.encryption.or(old.encryption);
        self.peer_reqq = old.reqq.unwrap_or(cx.config.peer.default_reqq);
        self.said.push_back(PeerSaid::Introduced);
        self.useless(cx);
    }
}

/// Whether we take messages of an extension for this torrent.
fn offered(extension: Extension, cx: &Cx<'_>, facts: &PeerFacts<'_>) -> bool {
    match extension {
        // We ask for it, or serve it.
        Extension::Metadata => facts.metadata.is_some() || facts.geometry.is_none(),
        Extension::UploadOnly | Extension::DontHave => true,
        // BEP 27: exchanging peers "by any of these mechanisms other than the private tracker subverts the tracker's access
        // control".
        Extension::Pex => cx.config.pex.enabled && !facts.private,
        // Nobody here reads it.
        Extension::Holepunch => false,
    }
}
