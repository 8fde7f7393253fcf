//! Messages of BEP 9: what was taken and is sent again is taken as the same, and data are what is behind the dictionary.

use bytes::Bytes;
use parcacik_core::wire::{UtMetadata, metadata_block_length, metadata_blocks};

/// One input.
pub fn run(input: &[u8]) {
    if let Ok(message) = UtMetadata::parse(&Bytes::copy_from_slice(input)) {
        let again = message.emit();
        assert_eq!(UtMetadata::parse(&again.into()).as_ref(), Ok(&message));
        if let UtMetadata::Data { data, total_size, .. } = &message {
            assert!(input.ends_with(data) && data.len() < input.len());
            assert_ne!(*total_size, Some(0));
        }
    }
    if let Some(size) = input.first_chunk().map(|size| u32::from_be_bytes(*size)) {
        let blocks = metadata_blocks(size);
        let lengths = [0, blocks.saturating_sub(1), blocks].map(|block| metadata_block_length(size, block));
        assert_eq!(lengths.map(|length| length.is_some()), [size > 0, size > 0, false]);
        let last = lengths[1].unwrap_or(0);
        assert_eq!(u64::from(blocks.saturating_sub(1)) * 16_384 + u64::from(last), u64::from(size));
    }
}
