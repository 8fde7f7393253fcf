//! What each network was given lately.
//!
//! A peer that comes again under another id, or from the next address, is the same taker: what counts is the network (/24 of IPv4,
//! /48 of IPv6). An account holds what went there in this window of time and in the one before
//! ([`ChokeConfig::seed_memory`](crate::border::ChokeConfig::seed_memory) each), so everything is forgotten after two at the latest.

use crate::journal::canon::canon_struct;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

/// The most accounts: five times the peers of one torrent at the highest limit that is usual. Above it, who was given least is
/// forgotten first.
const MOST: usize = 1024;

/// How many more there may be before some are forgotten, so that not each new one costs a look at all.
const SLACK: usize = MOST / 4;

#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    accounts: BTreeMap<IpAddr, Account>,
    /// The window that was swept last.
    swept: u64,
}

canon_struct!(out Ledger { accounts, swept });

#[derive(Clone, Copy, Debug)]
struct Account {
    /// The number of the window that `now` is of.
    window: u64,
    now: u64,
    before: u64,
}

canon_struct!(out Account { window, now, before });

impl Account {
    fn turned(self, window: u64) -> Account {
        match window.saturating_sub(self.window) {
            0 => self,
            1 => Account { window, now: 0, before: self.now },
            _ => Account { window, now: 0, before: 0 },
        }
    }
}

impl Ledger {
    /// So many bytes went to a network.
    pub fn book(&mut self, now: Time, memory: Duration, network: IpAddr, bytes: u64) {
        let window = window(now, memory);
        if window > self.swept {
            self.swept = window;
            self.accounts.retain(|_, account| {
                let account = account.turned(window);
                account.before > 0 || account.now > 0
            });
        }
        if bytes == 0 {
            return;
        }
        let account = self.accounts.entry(network).or_insert(Account { window, now: 0, before: 0 });
        *account = account.turned(window);
        account.now = account.now.saturating_add(bytes);
        if self.accounts.len() > MOST + SLACK {
            self.forget_least();
        }
    }

    /// Forgets those who were given least, many at once: a look at all of them pays for as many new ones.
    fn forget_least(&mut self) {
        let total = |account: &Account| account.now.saturating_add(account.before);
        let mut order: Vec<(u64, IpAddr)> =
            self.accounts.iter().map(|(network, account)| (total(account), *network)).collect();
        order.sort_unstable();
        let surplus = order.len().saturating_sub(MOST);
        for (_, network) in order.into_iter().take(surplus) {
            self.accounts.remove(&network);
        }
    }

    /// What a network was given lately, in bytes.
    pub fn given(&self, now: Time, memory: Duration, network: IpAddr) -> u64 {
        let account = self.accounts.get(&network).map(|account| account.turned(window(now, memory)));
        account.map_or(0, |account| account.now.saturating_add(account.before))
    }
}

fn window(now: Time, memory: Duration) -> u64 {
    u64::try_from(u128::from(now.as_micros()) / memory.as_micros().max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_forgotten_after_two_windows_and_bounded() {
        let (mut ledger, memory) = (Ledger::default(), Duration::from_secs(600));
        let [a, b] = [IpAddr::from([10, 0, 0, 0]), IpAddr::from([10, 0, 1, 0])];
        ledger.book(Time::from_secs(100), memory, a, 5);
        ledger.book(Time::from_secs(700), memory, a, 7);
        ledger.book(Time::from_secs(700), memory, b, 0);
        assert_eq!(ledger.given(Time::from_secs(700), memory, a), 12);
        assert_eq!(ledger.given(Time::from_secs(1_300), memory, a), 7);
        assert_eq!(ledger.given(Time::from_secs(1_900), memory, a), 0);
        ledger.book(Time::from_secs(1_900), memory, b, 1);
        assert_eq!(ledger.accounts.len(), 1);
        for network in 0..2 * MOST as u32 {
            ledger.book(Time::from_secs(1_901), memory, IpAddr::from(network.to_be_bytes()), u64::from(network) + 2);
        }
        assert!((MOST..=MOST + SLACK).contains(&ledger.accounts.len()));
        assert_eq!(ledger.given(Time::from_secs(1_901), memory, b), 0, "the least goes first");
    }
}
