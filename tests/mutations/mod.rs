//! Small files with some bytes changed, the same ones in each run: what readers of files from outside are tried with.

/// Random numbers below a bound, the same in each run.
pub fn random() -> impl FnMut(usize) -> usize {
    let mut state = 7u64;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) as usize) % below.max(1)
    }
}

/// `bytes` with some of them changed, cut, doubled or put elsewhere, by `random`.
pub fn mutated(bytes: &[u8], random: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random(4) {
        let at = random(bytes.len().max(1));
        match random(7) {
            0 => bytes.truncate(at),
            1 => bytes.extend_from_within(at..),
            2 if !bytes.is_empty() => bytes[at] ^= 1 << random(8),
            3 if !bytes.is_empty() => bytes[at] = [0, 0xff, 0x7f, b'"', b'\n', b',', b'9'][random(7)],
            4 if bytes.len() >= at + 4 => bytes[at..at + 4].copy_from_slice(&[0xff; 4]),
            5 => drop(bytes.drain(at..(at + random(9)).min(bytes.len()))),
            _ => bytes.splice(at..at, (0..random(9)).map(|byte| (31 * byte) as u8)).for_each(drop),
        }
    }
    bytes
}
