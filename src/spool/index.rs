//! The index beside the log: which stream wrote which range, and when. Pure.
//!
//! The file is a header and records of 16 bytes, little-endian: the offset in the log from which
//! the record holds (8 bytes), microseconds since the start of the run (7 bytes), the stream
//! (1 byte). A record is written when the stream changes and at most once a second otherwise, so
//! the index stays small beside the log and can be cut off anywhere by a crash: a record that is
//! not whole is ignored, and what stands behind the last one belongs to its stream.

/// First bytes of the file: name and version.
pub const HEADER: [u8; 16] = *b"ND-INDEX\x01\0\0\0\0\0\0\0";
pub const RECORD: usize = 16;

/// Where a range of the log came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Origin {
    Stdout = 1,
    Stderr = 2,
    /// Both on one description (`2>&1`, a terminal): nobody can tell them apart.
    Merged = 3,
    /// Not output: bytes that the disk wouldn't take are missing here.
    Gap = 4,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    pub offset: u64,
    /// Since the start of the run.
    pub micros: u64,
    pub origin: Origin,
}

impl Record {
    pub fn encode(self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..].copy_from_slice(&self.micros.to_le_bytes());
        bytes[15] = self.origin as u8;
        bytes
    }

    pub fn decode(bytes: [u8; RECORD]) -> Option<Self> {
        let (offset, rest) = bytes.split_at(8);
        let origin = match rest[7] {
            1 => Origin::Stdout,
            2 => Origin::Stderr,
            3 => Origin::Merged,
            4 => Origin::Gap,
            _ => return None,
        };
        let mut micros = [0; 8];
        micros[..7].copy_from_slice(&rest[..7]);
        Some(Self {
            offset: u64::from_le_bytes(offset.try_into().ok()?),
            micros: u64::from_le_bytes(micros),
            origin,
        })
    }
}

/// Reads records from the bytes behind the header; stops at the first that is not whole or not
/// one of ours.
pub fn records(bytes: &[u8]) -> impl Iterator<Item = Record> + '_ {
    bytes.chunks_exact(RECORD).map_while(|chunk| Record::decode(chunk.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_its_encoding_and_a_torn_one_is_ignored() {
        let records_in = [
            Record { offset: 0, micros: 0, origin: Origin::Stdout },
            Record { offset: u64::MAX >> 1, micros: (1 << 56) - 1, origin: Origin::Gap },
        ];
        let mut bytes: Vec<u8> = records_in.iter().flat_map(|r| r.encode()).collect();
        bytes.extend_from_slice(&[0; 7]);
        assert_eq!(records(&bytes).collect::<Vec<_>>(), records_in);
    }
}
