//! What compilers of real GPUs count for the kernels, without running them: assets/cycles.tsv, which `tests/gpu-compilers/run --record`
//! writes. Only programs that it was given are known: those of a few networks, with today's shaders.

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::backend::gpu::join::Joined;
use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan;
use crate::error::Result;
use crate::hex::hex;

const TABLE: &str = include_str!("../../../assets/cycles.tsv");

/// The compiler that stands for the adapters of a vendor, by its PCI or Khronos number.
const COMPILERS: [(u32, &str); 4] =
    [(0x10de, "nvk-hopper"), (0x1002, "radv-rdna3"), (0x106b, "asahi-m1"), (0x5143, "turnip-a740")];

/// Static cycles of one wave of a dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cycles {
    /// Whose count it is.
    pub compiler: &'static str,
    /// The count; a loop counts once or by the compiler's guess.
    pub count: u64,
}

/// What tells a program from others: a hash of its text and of the values of its constants.
pub fn fingerprint(source: &str, constants: &str) -> String {
    let mut hash = Sha256::new();
    [source, "\n", constants].into_iter().for_each(|part| hash.update(part));
    hex(&hash.finalize()[..8])
}

/// The text and the constants of `launch`, as far as they decide what compilers make of it: sizes change nothing but the ends of loops in
/// an elementary kernel.
///
/// # Errors
/// As [`Kernel::source`](crate::backend::gpu::kernels::Kernel::source).
pub fn program(launch: &Launch) -> Result<(String, String)> {
    let constants = launch.constants.iter().map(|(name, value)| format!("{name}={value}"));
    let constants = if launch.kernel.fused { constants.collect::<Vec<_>>().join(" ") } else { String::new() };
    Ok((launch.kernel.source(launch.link)?, constants))
}

/// The cycles of `dispatch` by the compiler that stands for the adapters of `vendor`, where they are known.
///
/// # Errors
/// When the shaders cannot be joined.
pub(super) fn of(dispatch: &plan::Dispatch, vendor: u32) -> Result<Option<Cycles>> {
    let (source, constants) = match &dispatch.pieces[..] {
        [piece] => program(&piece.launch)?,
        pieces => (Joined::new(pieces)?.source, String::new()),
    };
    Ok(known(&fingerprint(&source, &constants), vendor))
}

fn known(fingerprint: &str, vendor: u32) -> Option<Cycles> {
    let compiler = COMPILERS.iter().find(|(of, _)| *of == vendor)?.1;
    let mut rows = TABLE.lines().map(|line| line.split('\t'));
    let column = rows.next()?.position(|name| name == compiler)?;
    let mut row = rows.find(|row| row.clone().next() == Some(fingerprint))?;
    Some(Cycles { compiler, count: row.nth(column)?.parse().ok()? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_cycles_of_every_compiler_and_of_nothing_else() {
        let mut rows = TABLE.lines();
        let header: Vec<_> = rows.next().unwrap().split('\t').collect();
        assert_eq!(header[0], "program");
        assert_eq!(header[1..], COMPILERS.map(|(_, compiler)| compiler));
        for row in rows.clone() {
            let cells: Vec<_> = row.split('\t').collect();
            assert_eq!(cells.len(), header.len(), "{row}");
            for (&(vendor, compiler), cell) in COMPILERS.iter().zip(&cells[1..]) {
                let count = known(cells[0], vendor).map(|cycles| (cycles.compiler, cycles.count.to_string()));
                assert_eq!(count, (!cell.is_empty()).then(|| (compiler, (*cell).to_owned())));
            }
        }
        let first = rows.next().unwrap().split('\t').next().unwrap();
        assert!(known(first, 0x10de).is_some());
        assert_eq!((known(first, 0), known(&fingerprint("", ""), 0x10de)), (None, None));
        assert_ne!(fingerprint("a", "b=1"), fingerprint("a", "b=2"));
    }
}
