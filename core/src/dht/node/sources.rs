//! How much one sender gets, and who is not listened to at all.
//!
//! Five answers a second for each source, then silence; a source that sends more than five datagrams a second for ten
//! seconds is ignored for five minutes; and all answers together keep to a rate. The numbers are in
//! [`DhtConfig`](crate::border::DhtConfig). A source is an IPv4 address or a /64 of IPv6: each costs 28 bytes.

use crate::border::DhtConfig;
use crate::dht::table::host_number;
use crate::journal::canon::canon_struct;
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Answers are counted in quarters of a second; any second touches five of them.
const SLOTS: usize = 5;
const SLOT_MICROS: u64 = 250_000;

/// What a datagram that was not asked for deserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// An answer, if it is a query.
    Answer,
    /// To be taken note of, without an answer.
    Silence,
    /// Not to be read.
    Ignore,
}

/// The machine. See the [module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    by_host: BTreeMap<u64, Source>,
    /// Bytes of answers that may be sent, as of `at`.
    credit: u64,
    at: Time,
}

canon_struct!(out Sources { by_host, credit, at });

#[derive(Clone, Copy, Debug, Default)]
struct Source {
    /// The quarter of a second that the last count is of.
    slot: u32,
    /// The window that `heard` is of.
    window: u32,
    /// Until when it is ignored, in seconds.
    blocked: u32,
    /// Datagrams in the window.
    heard: u16,
    /// Answers in this quarter of a second, and those before it.
    answers: [u8; SLOTS],
}

canon_struct!(out Source { slot, window, blocked, heard, answers });

impl Sources {
    /// Whether a sender is not to be listened to at all.
    pub(super) fn is_blocked(&self, now: Time, ip: IpAddr) -> bool {
        self.by_host.get(&host_number(ip)).is_some_and(|source| seconds(now) < source.blocked)
    }

    /// A datagram came that nobody had asked for. Says what it deserves, and counts an answer if that is one.
    pub(super) fn heard(&mut self, now: Time, config: &DhtConfig, ip: IpAddr) -> Verdict {
        let host = host_number(ip);
        if !self.by_host.contains_key(&host) && self.by_host.len() >= config.max_sources as usize {
            self.make_room(now, config);
        }
        let source = self.by_host.entry(host).or_default();
        if seconds(now) < source.blocked {
            return Verdict::Ignore;
        }
        let micros = u64::try_from(config.block_window.as_micros()).unwrap_or(u64::MAX).max(1);
        let window = (now.as_micros() / micros) as u32;
        if source.window != window {
            source.window = window;
            source.heard = 0;
        }
        source.heard = source.heard.saturating_add(1);
        if u32::from(source.heard) > config.block_after {
            source.blocked = seconds(now + config.block_for);
            return Verdict::Ignore;
        }
        source.turn((now.as_micros() / SLOT_MICROS) as u32);
        let answers: u32 = source.answers.iter().map(|count| u32::from(*count)).sum();
        if answers >= config.replies_per_second {
            return Verdict::Silence;
        }
        source.answers[0] += 1;
        Verdict::Answer
    }

    /// Whether an answer of so many bytes may be sent, to whomever; if so, it counts.
    pub(super) fn may_send(&mut self, now: Time, config: &DhtConfig, bytes: usize) -> bool {
        let most = u64::from(config.reply_bytes_per_second);
        let passed = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let came = if self.at == Time::ZERO { most } else { passed.saturating_mul(most) / 1_000_000 };
        if came > 0 {
            self.credit = (self.credit + came).min(most);
            self.at = now.max(Time(1));
        }
        match self.credit.checked_sub(bytes as u64) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }

    /// How many senders are known.
    pub(super) fn len(&self) -> usize {
        self.by_host.len()
    }

    /// Forgets the half that was heard longest ago; who is blocked stays, as long as that helps.
    fn make_room(&mut self, now: Time, config: &DhtConfig) {
        let mut slots: Vec<u32> = self.by_host.values().map(|source| source.slot).collect();
        slots.sort_unstable();
        let middle = slots.get(slots.len() / 2).copied().unwrap_or(0);
        let second = seconds(now);
        self.by_host.retain(|_, source| source.slot > middle || second < source.blocked);
        if self.by_host.len() >= config.max_sources as usize {
            self.by_host.clear();
        }
    }
}

impl Source {
    fn turn(&mut self, slot: u32) {
        let passed = slot.saturating_sub(self.slot) as usize;
        self.slot = slot;
        if passed >= SLOTS {
            self.answers = [0; SLOTS];
        } else {
            self.answers.rotate_right(passed);
            self.answers[..passed].fill(0);
        }
    }
}

fn seconds(time: Time) -> u32 {
    u32::try_from(time.as_micros() / 1_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use std::vec::Vec;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([50, 0, 0, n])
    }

    #[test]
    fn any_second_has_five_answers_at_the_most() {
        let (config, mut sources) = (DhtConfig { block_after: 60_000, ..DhtConfig::default() }, Sources::default());
        let mut answered = Vec::new();
        for n in 0..2000u64 {
            let now = Time(n * 7_777);
            if sources.heard(now, &config, ip(1)) == Verdict::Answer {
                answered.push(now);
            }
        }
        assert!(answered.len() >= 50, "{}", answered.len());
        for six in answered.windows(6) {
            assert!(six[5].since(six[0]) > Duration::from_secs(1), "{six:?}");
        }
    }

    #[test]
    fn who_floods_is_ignored_for_five_minutes() {
        let (config, mut sources) = (DhtConfig::default(), Sources::default());
        let mut last = Verdict::Answer;
        for n in 0..51 {
            last = sources.heard(Time::from_millis(1000 + n), &config, ip(1));
        }
        assert_eq!(last, Verdict::Ignore);
        assert_eq!(sources.heard(Time::from_secs(2), &config, ip(2)), Verdict::Answer, "others are not meant");
        assert!(sources.is_blocked(Time::from_secs(300), ip(1)));
        assert_eq!(sources.heard(Time::from_secs(302), &config, ip(1)), Verdict::Answer);
    }

    #[test]
    fn five_a_second_is_no_flood() {
        let (config, mut sources) = (DhtConfig::default(), Sources::default());
        for n in 0..1000 {
            assert_ne!(sources.heard(Time::from_millis(1000 + n * 201), &config, ip(1)), Verdict::Ignore);
        }
    }

    #[test]
    fn many_senders_cost_what_they_may() {
        let (config, mut sources) = (DhtConfig { max_sources: 64, ..DhtConfig::default() }, Sources::default());
        for n in 0..51 {
            sources.heard(Time::from_millis(1000 + n), &config, ip(255));
        }
        for n in 0..10_000u32 {
            sources.heard(Time::from_millis(2000 + u64::from(n)), &config, IpAddr::from(n.to_be_bytes()));
            assert!(sources.len() <= 64);
        }
        assert!(sources.is_blocked(Time::from_secs(20), ip(255)), "who is blocked stays so");
        assert!(size_of::<Source>() + size_of::<u64>() <= 50);
    }

    #[test]
    fn all_answers_keep_to_a_rate() {
        let (config, mut sources) =
            (DhtConfig { reply_bytes_per_second: 10_000, ..DhtConfig::default() }, Sources::default());
        let mut sent = 0;
        for n in 0..10_000u64 {
            sent += u64::from(sources.may_send(Time::from_millis(5000 + n), &config, 100)) * 100;
        }
        assert!((100_000..=110_000).contains(&sent), "{sent}");
    }
}
