//! What only states are made of, and no word that a driver says or hears: written, never read back.

use super::{Encoder, Put, canon_struct};
use crate::border::{Source, SourceCounts, Sources};
use crate::metainfo::{Block, PieceIndex};
use crate::time::Time;
use crate::torrent::picker::Priority;
use crate::wire::{PexFlags, PexPeer};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use bytes::BytesMut;
use core::cmp::Reverse;
use core::net::{Ipv4Addr, Ipv6Addr};

impl Put for usize {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(*self);
    }
}

impl Put for i32 {
    fn put(&self, to: &mut Encoder<'_>) {
        i64::from(*self).put(to);
    }
}

impl Put for i128 {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(&self.to_be_bytes());
    }
}

impl Put for Time {
    fn put(&self, to: &mut Encoder<'_>) {
        to.number(self.0);
    }
}

impl Put for Sources {
    fn put(&self, to: &mut Encoder<'_>) {
        to.byte(self.bits());
    }
}

impl Put for SourceCounts {
    fn put(&self, to: &mut Encoder<'_>) {
        for source in Source::ALL {
            self.known(source).put(to);
            self.connected(source).put(to);
        }
    }
}

impl Put for PexFlags {
    fn put(&self, to: &mut Encoder<'_>) {
        to.byte(self.0);
    }
}

canon_struct!(out PexPeer { addr, flags });

impl Put for Priority {
    fn put(&self, to: &mut Encoder<'_>) {
        self.get().put(to);
    }
}

impl Put for Ipv4Addr {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(&self.octets());
    }
}

impl Put for Ipv6Addr {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(&self.octets());
    }
}

impl Put for BytesMut {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len());
        to.raw(self);
    }
}

impl Put for PieceIndex {
    fn put(&self, to: &mut Encoder<'_>) {
        self.get().put(to);
    }
}

impl Put for Block {
    fn put(&self, to: &mut Encoder<'_>) {
        (self.piece(), self.begin(), self.length()).put(to);
    }
}

impl<T: Put> Put for Reverse<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.put(to);
    }
}

/// How many, and then each.
fn put_all<T: Put>(length: usize, items: impl Iterator<Item = T>, to: &mut Encoder<'_>) {
    to.length(length);
    items.for_each(|item| item.put(to));
}

impl<T: Put + ?Sized> Put for &T {
    fn put(&self, to: &mut Encoder<'_>) {
        (**self).put(to);
    }
}

impl<T: Put> Put for VecDeque<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        put_all(self.len(), self.iter(), to);
    }
}

impl<T: Put> Put for BTreeSet<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        put_all(self.len(), self.iter(), to);
    }
}

impl<K: Put, V: Put> Put for BTreeMap<K, V> {
    fn put(&self, to: &mut Encoder<'_>) {
        put_all(self.len(), self.iter(), to);
    }
}

/// Arrays of what is not bytes: their length is known.
macro_rules! canon_array {
    ($($item:ty $(: $of:ident)?),* $(,)?) => {$(
        impl<$($of: Put,)? const N: usize> Put for [$item; N] {
            fn put(&self, to: &mut Encoder<'_>) {
                self.iter().for_each(|item| item.put(to));
            }
        }
    )*};
}

canon_array!(u32, u64, usize, Option<T>: T, BTreeSet<T>: T);

macro_rules! canon_tuple {
    ($($($name:ident)*;)*) => {$(
        impl<$($name: Put),*> Put for ($($name,)*) {
            #[expect(non_snake_case, reason = "the parts are named as their types are")]
            fn put(&self, to: &mut Encoder<'_>) {
                let ($($name,)*) = self;
                $($name.put(to);)*
            }
        }
    )*};
}

canon_tuple! {
    A B C;
    A B C D;
    A B C D E;
    A B C D E F;
    A B C D E F G;
}
