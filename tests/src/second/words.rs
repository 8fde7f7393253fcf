//! Handshake and messages, read and written byte by byte.

/// The first 20 bytes of every handshake (BEP 3).
pub const GREETING: &[u8; 20] = b"\x13BitTorrent protocol";

/// A place in a piece: its number, where it begins, how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The piece.
    pub piece: u32,
    /// Where in the piece, in bytes.
    pub begin: u32,
    /// How many bytes.
    pub length: u32,
}

/// One message. The names are those of BEP 3, BEP 6 and BEP 10.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// No number, no body.
    KeepAlive,
    /// 0.
    Choke,
    /// 1.
    Unchoke,
    /// 2.
    Interested,
    /// 3.
    NotInterested,
    /// 4: a piece.
    Have(u32),
    /// 5: a bit for each piece, the highest bit of the first byte for piece 0.
    Bitfield(Vec<u8>),
    /// 6.
    Request(Range),
    /// 7: piece, begin, data.
    Piece(u32, u32, Vec<u8>),
    /// 8.
    Cancel(Range),
    /// 9: where the DHT listens.
    Port(u16),
    /// 13 (BEP 6).
    Suggest(u32),
    /// 14 (BEP 6).
    HaveAll,
    /// 15 (BEP 6).
    HaveNone,
    /// 16 (BEP 6).
    Reject(Range),
    /// 17 (BEP 6).
    AllowedFast(u32),
    /// 20 (BEP 10): the extension's number, its payload.
    Extended(u8, Vec<u8>),
    /// Any other number, or one of the above with a body that it cannot have.
    Other(u8, Vec<u8>),
}

impl Word {
    /// What goes over the wire, the length in front.
    pub fn bytes(&self) -> Vec<u8> {
        let (id, body) = match self {
            Word::KeepAlive => return vec![0, 0, 0, 0],
            Word::Choke => (0, vec![]),
            Word::Unchoke => (1, vec![]),
            Word::Interested => (2, vec![]),
            Word::NotInterested => (3, vec![]),
            Word::Have(piece) => (4, piece.to_be_bytes().to_vec()),
            Word::Bitfield(bits) => (5, bits.clone()),
            Word::Request(range) => (6, range_bytes(*range)),
            Word::Piece(piece, begin, data) => (7, [&piece.to_be_bytes()[..], &begin.to_be_bytes(), data].concat()),
            Word::Cancel(range) => (8, range_bytes(*range)),
            Word::Port(port) => (9, port.to_be_bytes().to_vec()),
            Word::Suggest(piece) => (13, piece.to_be_bytes().to_vec()),
            Word::HaveAll => (14, vec![]),
            Word::HaveNone => (15, vec![]),
            Word::Reject(range) => (16, range_bytes(*range)),
            Word::AllowedFast(piece) => (17, piece.to_be_bytes().to_vec()),
            Word::Extended(id, payload) => (20, [&[*id][..], payload].concat()),
            Word::Other(id, body) => (*id, body.clone()),
        };
        let mut out = (body.len() as u32 + 1).to_be_bytes().to_vec();
        out.push(id);
        out.extend_from_slice(&body);
        out
    }

    /// Reads what follows the length: a number and a body. Never empty.
    fn read(id: u8, body: &[u8]) -> Word {
        let number = |at: usize| u32::from_be_bytes([body[at], body[at + 1], body[at + 2], body[at + 3]]);
        let range = || Range { piece: number(0), begin: number(4), length: number(8) };
        match (id, body.len()) {
            (0, 0) => Word::Choke,
            (1, 0) => Word::Unchoke,
            (2, 0) => Word::Interested,
            (3, 0) => Word::NotInterested,
            (4, 4) => Word::Have(number(0)),
            (5, _) => Word::Bitfield(body.to_vec()),
            (6, 12) => Word::Request(range()),
            (7, 8..) => Word::Piece(number(0), number(4), body[8..].to_vec()),
            (8, 12) => Word::Cancel(range()),
            (9, 2) => Word::Port(u16::from_be_bytes([body[0], body[1]])),
            (13, 4) => Word::Suggest(number(0)),
            (14, 0) => Word::HaveAll,
            (15, 0) => Word::HaveNone,
            (16, 12) => Word::Reject(range()),
            (17, 4) => Word::AllowedFast(number(0)),
            (20, 1..) => Word::Extended(body[0], body[1..].to_vec()),
            _ => Word::Other(id, body.to_vec()),
        }
    }
}

fn range_bytes(range: Range) -> Vec<u8> {
    [range.piece, range.begin, range.length].iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// What a stream holds: a handshake, then messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unit {
    /// The 68 bytes.
    Handshake {
        /// Eight bytes of flags.
        reserved: [u8; 8],
        /// The torrent.
        info_hash: [u8; 20],
        /// Who speaks.
        peer_id: [u8; 20],
    },
    /// A message.
    Word(Word),
}

/// Reads one direction of a stream.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    at: usize,
    greeted: bool,
}

impl Decoder {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole thing; `Err` when what comes cannot be BitTorrent.
    pub fn take(&mut self) -> Result<Option<Unit>, String> {
        let rest = &self.bytes[self.at..];
        if !self.greeted {
            let known = rest.len().min(GREETING.len());
            if rest[..known] != GREETING[..known] {
                return Err(format!("a handshake that begins with {:?}", &rest[..known]));
            }
            if rest.len() < 68 {
                return Ok(None);
            }
            let (mut reserved, mut info_hash, mut peer_id) = ([0; 8], [0; 20], [0; 20]);
            reserved.copy_from_slice(&rest[20..28]);
            info_hash.copy_from_slice(&rest[28..48]);
            peer_id.copy_from_slice(&rest[48..68]);
            self.greeted = true;
            self.at += 68;
            return Ok(Some(Unit::Handshake { reserved, info_hash, peer_id }));
        }
        if rest.len() < 4 {
            return Ok(None);
        }
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        if length > 1 << 24 {
            return Err(format!("a message of {length} bytes"));
        }
        if rest.len() < 4 + length {
            return Ok(None);
        }
        let word = if length == 0 { Word::KeepAlive } else { Word::read(rest[4], &rest[5..4 + length]) };
        self.at += 4 + length;
        Ok(Some(Unit::Word(word)))
    }

    /// The info-hash of a handshake that has come as far as that.
    pub fn named(&self) -> Option<[u8; 20]> {
        self.bytes.get(self.at + 28..self.at + 48).filter(|_| !self.greeted)?.try_into().ok()
    }

    /// The length that the message declares that comes next, where that much has come.
    pub fn declared(&self) -> Option<u32> {
        let head = self.bytes.get(self.at..self.at + 4).filter(|_| self.greeted)?;
        Some(u32::from_be_bytes([head[0], head[1], head[2], head[3]]))
    }

    /// Bytes of something that is not whole.
    pub fn unfinished(&self) -> usize {
        self.bytes.len() - self.at
    }
}
