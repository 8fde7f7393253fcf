//! Where addresses of peers come from.

use core::fmt;
use core::iter::Sum;
use core::ops::{BitOr, BitOrAssign};

/// Who or what has named an address.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The user: it is tried for ever.
    User,
    /// A tracker.
    Tracker,
    /// The DHT (BEP 5).
    Dht,
    /// Another peer, by peer exchange (BEP 11).
    Pex,
    /// Local discovery (BEP 14).
    Lsd,
    /// What was known when the torrent was last saved.
    Resume,
    /// It connected to us.
    Incoming,
}

impl Source {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// All of them, in their order.
    pub const ALL: [Source; Source::COUNT] =
        [Source::User, Source::Tracker, Source::Dht, Source::Pex, Source::Lsd, Source::Resume, Source::Incoming];

    /// One word for it, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::User => "user",
            Source::Tracker => "tracker",
            Source::Dht => "dht",
            Source::Pex => "pex",
            Source::Lsd => "lsd",
            Source::Resume => "resume",
            Source::Incoming => "incoming",
        }
    }

    /// Whether whoever is behind it could be anybody, and name anything: such a source gets a part of the list only.
    pub const fn is_hearsay(self) -> bool {
        matches!(self, Source::Dht | Source::Pex | Source::Lsd | Source::Resume)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of sources: all who have named one address.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sources(u8);

impl Sources {
    /// Whether `source` is in it.
    pub const fn has(self, source: Source) -> bool {
        self.0 & Sources::bit(source) != 0
    }

    /// Those in it, in their order.
    pub fn iter(self) -> impl Iterator<Item = Source> {
        Source::ALL.into_iter().filter(move |&source| self.has(source))
    }

    /// The only one in it, when there is one only.
    pub fn lone(self) -> Option<Source> {
        if self.0.is_power_of_two() { self.iter().next() } else { None }
    }

    /// One bit for each, by their order.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    const fn bit(source: Source) -> u8 {
        1 << source as u8
    }
}

impl From<Source> for Sources {
    fn from(source: Source) -> Sources {
        Sources(Sources::bit(source))
    }
}

impl BitOr for Sources {
    type Output = Sources;

    fn bitor(self, other: Sources) -> Sources {
        Sources(self.0 | other.0)
    }
}

impl BitOrAssign<Source> for Sources {
    fn bitor_assign(&mut self, source: Source) {
        self.0 |= Sources::bit(source);
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How many addresses each source has named. One that several have named counts for each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceCounts {
    known: [u32; Source::COUNT],
    connected: [u32; Source::COUNT],
}

impl SourceCounts {
    /// Addresses that are known.
    pub fn known(&self, source: Source) -> u32 {
        self.known[source as usize]
    }

    /// Those of them with a connection.
    pub fn connected(&self, source: Source) -> u32 {
        self.connected[source as usize]
    }

    pub(crate) fn count(&mut self, sources: Sources, connected: bool) {
        for source in sources.iter() {
            self.known[source as usize] += 1;
            self.connected[source as usize] += u32::from(connected);
        }
    }

    pub(crate) fn discount(&mut self, sources: Sources, connected: bool) {
        for source in sources.iter() {
            self.known[source as usize] -= 1;
            self.connected[source as usize] -= u32::from(connected);
        }
    }
}

/// Of addresses: who has named each, and whether there is a connection to it.
impl<S: Into<Sources>> FromIterator<(S, bool)> for SourceCounts {
    fn from_iter<I: IntoIterator<Item = (S, bool)>>(all: I) -> SourceCounts {
        let mut counts = SourceCounts::default();
        all.into_iter().for_each(|(sources, connected)| counts.count(sources.into(), connected));
        counts
    }
}

impl Sum for SourceCounts {
    fn sum<I: Iterator<Item = SourceCounts>>(all: I) -> SourceCounts {
        let mut sum = SourceCounts::default();
        for counts in all {
            let pairs = sum.known.iter_mut().zip(counts.known).chain(sum.connected.iter_mut().zip(counts.connected));
            pairs.for_each(|(sum, count)| *sum = sum.saturating_add(count));
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn a_set_keeps_who_named_it() {
        let mut sources = Sources::default();
        assert_eq!(sources.lone(), None);
        sources |= Source::Pex;
        assert_eq!(sources.lone(), Some(Source::Pex));
        sources |= Source::Tracker;
        sources |= Source::Pex;
        assert_eq!((sources.lone(), format!("{sources:?}")), (None, "{Tracker, Pex}".into()));
        assert!(sources.has(Source::Tracker) && !sources.has(Source::User));
        for source in Source::ALL {
            assert_eq!(Sources::from(source).lone(), Some(source));
        }
    }

    #[test]
    fn counts_go_both_ways() {
        let (mut counts, both) = (SourceCounts::default(), Sources::from(Source::Lsd) | Sources::from(Source::Pex));
        counts.count(both, true);
        counts.count(Source::Pex.into(), false);
        assert_eq!((counts.known(Source::Pex), counts.connected(Source::Pex)), (2, 1));
        let twice: SourceCounts = [counts, counts].into_iter().sum();
        assert_eq!((twice.known(Source::Pex), twice.connected(Source::Lsd)), (4, 2));
        counts.discount(both, true);
        assert_eq!((counts.known(Source::Lsd), counts.connected(Source::Pex), counts.known(Source::Pex)), (0, 0, 1));
    }
}
