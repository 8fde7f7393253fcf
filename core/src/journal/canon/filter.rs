//! Lists of blocked addresses: for each family how many ranges, and for each range what lies between it and the one before,
//! and how many addresses follow its first. A million ranges are some 5 MB.
//!
//! Between two ranges lies one address at least, which is not counted: so no two ways to write a list are left.

use super::{DecodeError, Decoder, Encoder, Problem, Put, Take};
use crate::border::IpFilter;
use alloc::sync::Arc;
use alloc::vec::Vec;

impl Put for IpFilter {
    fn put(&self, to: &mut Encoder<'_>) {
        to.length(self.v4().len());
        let mut from = 0u32;
        for &(first, last) in self.v4() {
            to.number(u64::from(first.wrapping_sub(from)));
            to.number(u64::from(last.wrapping_sub(first)));
            from = last.wrapping_add(2);
        }
        to.length(self.v6().len());
        for &(first, last) in self.v6() {
            to.raw(&first.to_be_bytes());
            to.raw(&last.to_be_bytes());
        }
    }
}

impl Take for IpFilter {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let wrong = from.error(Problem::Number);
        // Both grow as ranges come: a count alone allocates nothing.
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        let mut next = Some(0u32);
        for _ in 0..from.number()? {
            let gap = from.small::<u32>()?;
            let first = next.and_then(|next| next.checked_add(gap)).ok_or(wrong)?;
            let last = first.checked_add(from.small()?).ok_or(wrong)?;
            v4.push((first, last));
            next = last.checked_add(2);
        }
        for _ in 0..from.number()? {
            v6.push((u128::from_be_bytes(from.array()?), u128::from_be_bytes(from.array()?)));
        }
        IpFilter::from_parts(v4, v6).ok_or(wrong)
    }
}

impl Put for Arc<IpFilter> {
    fn put(&self, to: &mut Encoder<'_>) {
        (**self).put(to);
    }
}
impl Take for Arc<IpFilter> {
    fn take(from: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        from.take().map(Arc::new)
    }
}
