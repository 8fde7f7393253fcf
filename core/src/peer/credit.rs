//! Read credit: how much the driver may read from the peer.
//!
//! The peer may be ahead of us by one window. Credit is given when half of it is used, so that a grant is worth its while,
//! and none while the parent holds reading, as when the disk is behind.

use crate::border::PeerConfig;

#[derive(Clone, Debug, Default)]
pub(super) struct Credit {
    /// Granted and not used.
    left: u32,
    hold: Hold,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hold {
    #[default]
    Off,
    On,
    /// Let go, and nobody has looked at the clock since.
    Ending,
}

impl Credit {
    pub fn received(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// Gives nothing while held.
    pub fn hold(&mut self, hold: bool) {
        self.hold = match (self.hold, hold) {
            (_, true) => Hold::On,
            (Hold::Off, false) => Hold::Off,
            (Hold::On | Hold::Ending, false) => Hold::Ending,
        };
    }

    /// Whether it was held until now: true once after each hold.
    pub fn take_release(&mut self) -> bool {
        let ending = self.hold == Hold::Ending;
        if ending {
            self.hold = Hold::Off;
        }
        ending
    }

    pub fn is_held(&self) -> bool {
        self.hold != Hold::Off
    }

    /// How much to grant now to a peer of this rate, in bytes a second; 0: nothing.
    pub fn due(&mut self, config: &PeerConfig, rate: impl FnOnce() -> u64) -> u32 {
        if self.is_held() || self.left > config.read_window / 2 {
            // What a fast peer would get more is not worth looking up its rate.
            return 0;
        }
        let window = if rate() >= config.fast_rate { config.read_window_fast } else { config.read_window };
        let grant = window.saturating_sub(self.left);
        self.left = window;
        grant
    }
}
