//! What a `.torrent` file says.

mod geometry;

pub use geometry::{BLOCK_LENGTH, Block, Geometry, GeometryError, PieceIndex};
