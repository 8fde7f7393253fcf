//! Read credit: how much the driver may read from the peer.
//!
//! The peer may be ahead of us by one window. Credit is given when half of it is used, so that a grant is worth its while,
//! and none while the parent holds reading, as when the disk is behind.
//!
//! Where a rate is limited, reading is *metered*: the connection says what it wants, and the parent gives it, in turn with
//! others. While a metered connection has no credit at all, silence is our own doing, as it is while reading is held.

use crate::border::PeerConfig;
use crate::journal::canon::{canon_enum, canon_struct};

#[derive(Clone, Debug, Default)]
pub(super) struct Credit {
    /// Granted and not used.
    left: u32,
    hold: Hold,
    meter: Option<Meter>,
    /// It had no credit until now, because it waited for its turn.
    starved: bool,
}

canon_struct!(out Credit { left, hold, meter, starved });

/// What is kept while the parent grants.
#[derive(Clone, Copy, Debug)]
struct Meter {
    /// How far the peer may be ahead of us, in bytes.
    window: u32,
    /// Of what is left, what was granted before reading was metered: nobody has counted it yet.
    uncounted: u32,
    /// What has come of that since it was last asked for.
    came: u64,
}

canon_struct!(out Meter { window, uncounted, came });

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hold {
    #[default]
    Off,
    On,
    /// Let go, and nobody has looked at the clock since.
    Ending,
}

canon_enum!(out Hold { 0 = Off, 1 = On, 2 = Ending });

impl Credit {
    pub fn received(&mut self, bytes: usize) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.left = self.left.saturating_sub(bytes);
        if let Some(meter) = &mut self.meter {
            let before = bytes.min(meter.uncounted);
            meter.uncounted -= before;
            meter.came += u64::from(before);
        }
    }

    /// Gives nothing while held.
    pub fn hold(&mut self, hold: bool) {
        self.hold = match (self.hold, hold) {
            (_, true) => Hold::On,
            (Hold::Off, false) => Hold::Off,
            (Hold::On | Hold::Ending, false) => Hold::Ending,
        };
    }

    /// Whether it was held, or without any credit, until now: true once after each time.
    pub fn take_release(&mut self) -> bool {
        let ending = self.hold == Hold::Ending;
        if ending {
            self.hold = Hold::Off;
        }
        core::mem::take(&mut self.starved) || ending
    }

    /// Whether silence is our own doing.
    pub fn is_held(&self) -> bool {
        self.hold != Hold::Off || self.waits()
    }

    /// Whether nothing can come before the parent grants more.
    fn waits(&self) -> bool {
        self.left == 0 && self.meter.is_some()
    }

    /// How much to grant now to a peer of this rate, in bytes a second; 0: nothing.
    pub fn due(&mut self, config: &PeerConfig, rate: impl FnOnce() -> u64) -> u32 {
        if self.hold != Hold::Off || self.left > config.read_window / 2 || self.meter.is_some() {
            // What a fast peer would get more is not worth looking up its rate.
            return 0;
        }
        let window = if rate() >= config.fast_rate { config.read_window_fast } else { config.read_window };
        let grant = window.saturating_sub(self.left);
        self.left = window;
        grant
    }

    /// Leaves granting to the parent, with this window; or grants by itself again.
    pub fn meter(&mut self, window: Option<u32>) {
        self.starved |= window.is_none() && self.waits();
        self.meter = match (window, self.meter) {
            (Some(window), Some(meter)) => Some(Meter { window, ..meter }),
            (Some(window), None) => Some(Meter { window, uncounted: self.left, came: 0 }),
            (None, _) => None,
        };
    }

    /// How much the parent is to grant; 0: nothing for now.
    pub fn wanted(&self) -> u32 {
        match self.meter {
            Some(meter) if self.hold == Hold::Off && self.left <= meter.window / 2 => {
                meter.window.saturating_sub(self.left)
            }
            _ => 0,
        }
    }

    /// The parent has granted so much.
    pub fn granted(&mut self, bytes: u32) {
        self.starved |= self.waits();
        self.left = self.left.saturating_add(bytes);
    }

    /// What came on credit that nobody had counted, since this was last asked.
    pub fn take_uncounted(&mut self) -> u64 {
        self.meter.as_mut().map_or(0, |meter| core::mem::take(&mut meter.came))
    }

    /// What the parent has granted and was not used.
    pub fn unused(&self) -> u32 {
        self.meter.map_or(0, |meter| self.left.saturating_sub(meter.uncounted))
    }
}
