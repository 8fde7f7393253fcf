//! The peer wire protocol: bytes to messages and back.
