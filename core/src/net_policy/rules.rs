//! Policy and list together.

use super::{IpFilter, NetPolicy, Refusal, Request, Word};
use crate::cx::Cx;
use core::net::{IpAddr, SocketAddr};

/// What a session goes by: its policy, and the list of blocked addresses that it was given.
#[derive(Clone, Copy, Debug)]
pub struct NetRules<'r> {
    /// The switches.
    pub policy: &'r NetPolicy,
    /// Blocked addresses.
    pub filter: &'r IpFilter,
}

impl<'r> NetRules<'r> {
    /// Those of a call.
    pub(crate) fn of(cx: &Cx<'r>) -> NetRules<'r> {
        NetRules { policy: &cx.config.net, filter: cx.filter }
    }

    /// Whether a stream that comes from this address may stay. Asked before a byte of it is read.
    ///
    /// # Errors
    /// When it is blocked.
    pub fn may_come(&self, from: IpAddr) -> Result<(), Refusal> {
        if self.filter.blocks(from) { Err(Refusal::Filtered) } else { Ok(()) }
    }

    /// Whether a peer may be dialled: not blocked, and as [`NetPolicy::may_dial`] says.
    ///
    /// # Errors
    /// Why not.
    pub fn may_dial(&self, to: SocketAddr, word: Word) -> Result<(), Refusal> {
        self.may_come(to.ip())?;
        self.policy.may_dial(to, word)
    }

    /// Whether a tracker or web seed may be asked: not blocked, where the list holds for those
    /// ([`NetPolicy::filter_trackers`]), and as [`NetPolicy::may_ask`] says.
    ///
    /// # Errors
    /// Why not.
    pub fn may_ask(&self, request: &Request<'_>, word: Word) -> Result<(), Refusal> {
        if self.policy.filter_trackers {
            self.may_come(request.to.ip())?;
        }
        self.policy.may_ask(request, word)
    }
}
