//! Numbers, bytes, text, lists, addresses: what all words are made of.

use super::{DecodeError, Decoder, Encoder, Problem, Put, Take};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use core::time::Duration;

macro_rules! canon_number {
    ($($number:ty),*) => {$(
        impl Put for $number {
            #[inline]
            fn put(&self, to: &mut Encoder<'_>) {
                to.number(u64::from(*self));
            }
        }
        impl Take for $number {
            fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                from.small()
            }
        }
    )*};
}

canon_number!(u8, u16, u32, u64);

impl Put for i64 {
    fn put(&self, to: &mut Encoder<'_>) {
        to.number(((self << 1) ^ (self >> 63)) as u64);
    }
}
impl Take for i64 {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let zigzag = from.number()?;
        Ok((zigzag >> 1) as i64 ^ -((zigzag & 1) as i64))
    }
}

impl Put for bool {
    #[inline]
    fn put(&self, to: &mut Encoder<'_>) {
        to.byte(u8::from(*self));
    }
}
impl Take for bool {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let wrong = from.error(Problem::Variant);
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(wrong),
        }
    }
}

impl<const N: usize> Put for [u8; N] {
    fn put(&self, to: &mut Encoder<'_>) {
        to.raw(self);
    }
}
impl<const N: usize> Take for [u8; N] {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.array()
    }
}

impl Put for Bytes {
    #[inline]
    fn put(&self, to: &mut Encoder<'_>) {
        to.buffer(self);
    }
}
impl Take for Bytes {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.buffer()
    }
}

impl Put for String {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len());
        to.raw(self.as_bytes());
    }
}
impl Take for String {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let length = from.number()?;
        let wrong = from.error(Problem::Text);
        core::str::from_utf8(from.raw(length)?).map(String::from).map_err(|_| wrong)
    }
}

impl<T: Put> Put for Box<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        (**self).put(to);
    }
}
impl<T: Take> Take for Box<T> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.take().map(Box::new)
    }
}

impl<T: Put> Put for Vec<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.len());
        self.iter().for_each(|item| item.put(to));
    }
}
impl<T: Take> Take for Vec<T> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let count = from.number()?;
        // Grows as items come, each of which takes a byte at least: a count alone allocates nothing.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(from.take()?);
        }
        Ok(items)
    }
}

impl<A: Put, B: Put> Put for (A, B) {
    fn put(&self, to: &mut Encoder<'_>) {
        self.0.put(to);
        self.1.put(to);
    }
}
impl<A: Take, B: Take> Take for (A, B) {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok((from.take()?, from.take()?))
    }
}

impl<T: Put> Put for Option<T> {
    fn put(&self, to: &mut Encoder<'_>) {
        self.is_some().put(to);
        if let Some(value) = self {
            value.put(to);
        }
    }
}
impl<T: Take> Take for Option<T> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.take::<bool>()?.then(|| from.take()).transpose()
    }
}

impl<T: Put, E: Put> Put for Result<T, E> {
    fn put(&self, to: &mut Encoder<'_>) {
        self.is_err().put(to);
        match self {
            Ok(value) => value.put(to),
            Err(error) => error.put(to),
        }
    }
}
impl<T: Take, E: Take> Take for Result<T, E> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(if from.take::<bool>()? { Err(from.take()?) } else { Ok(from.take()?) })
    }
}

impl Put for Duration {
    fn put(&self, to: &mut Encoder<'_>) {
        to.number(self.as_secs());
        to.number(u64::from(self.subsec_nanos()));
    }
}
impl Take for Duration {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let seconds = from.number()?;
        let wrong = from.error(Problem::Number);
        let nanos: u32 = from.small()?;
        // `new` would carry a billion into the seconds, and panic when they are full.
        if nanos < 1_000_000_000 { Ok(Duration::new(seconds, nanos)) } else { Err(wrong) }
    }
}

impl Put for IpAddr {
    fn put(&self, to: &mut Encoder<'_>) {
        match self {
            IpAddr::V4(ip) => {
                to.byte(4);
                to.raw(&ip.octets());
            }
            IpAddr::V6(ip) => {
                to.byte(6);
                to.raw(&ip.octets());
            }
        }
    }
}
impl Take for IpAddr {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let wrong = from.error(Problem::Variant);
        match from.byte()? {
            4 => Ok(IpAddr::V4(Ipv4Addr::from(from.array::<4>()?))),
            6 => Ok(IpAddr::V6(Ipv6Addr::from(from.array::<16>()?))),
            _ => Err(wrong),
        }
    }
}

impl Put for SocketAddr {
    fn put(&self, to: &mut Encoder<'_>) {
        self.ip().put(to);
        to.raw(&self.port().to_be_bytes());
        if let SocketAddr::V6(addr) = self {
            addr.flowinfo().put(to);
            addr.scope_id().put(to);
        }
    }
}
impl Take for SocketAddr {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let ip = from.take()?;
        let port = u16::from_be_bytes(from.array()?);
        Ok(match ip {
            IpAddr::V4(ip) => SocketAddr::V4(SocketAddrV4::new(ip, port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, from.take()?, from.take()?)),
        })
    }
}
