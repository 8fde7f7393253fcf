//! Bencode (BEP 3): decoding and encoding.
