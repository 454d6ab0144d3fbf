//! TFRecord files: each record stands between its length and its checksum, CRC-32C with TensorFlow's mask.

use std::io::{Result, Write};

/// CRC-32C of each byte: the polynomial of Castagnoli, reflected.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut crc, mut bit) = (byte as u32, 0);
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// CRC-32C of `bytes`.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, byte| (crc >> 8) ^ TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize])
}

/// The checksum as it is written: so that one of bytes which hold checksums stays a good one.
fn masked(bytes: &[u8]) -> u32 {
    checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// Writes `record` to `out`.
pub(super) fn write(out: &mut impl Write, record: &[u8]) -> Result<()> {
    let length = (record.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(&length).to_le_bytes())?;
    out.write_all(record)?;
    out.write_all(&masked(record).to_le_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;

    /// The records of a file, whose checksums are right.
    pub(in super::super) fn read(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(12);
            let length = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            assert_eq!(head[8..], masked(&head[..8]).to_le_bytes());
            let (record, rest) = rest.split_at(length);
            assert_eq!(rest[..4], masked(record).to_le_bytes());
            records.push(record.to_vec());
            bytes = &rest[4..];
        }
        records
    }

    #[test]
    fn checksums_are_those_of_the_standard_and_records_are_read_back() {
        // RFC 3720, B.4.
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        // As TensorFlow's own files have it behind a length of 24.
        assert_eq!(masked(&24u64.to_le_bytes()), 0x224b_7fa3);
        let mut file = Vec::new();
        write(&mut file, b"one").unwrap();
        write(&mut file, b"").unwrap();
        assert_eq!(read(&file), [b"one".to_vec(), Vec::new()]);
    }
}
