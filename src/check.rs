//! The self-check: on the user's own adapter, every kernel against its CPU twin, and every plan against the CPU backend.
//! The test suite calls the same code.

use crate::backend::Precision;
use crate::backend::gpu::device::{Device, cooperative};
use crate::compare::{Comparison, Tolerance};
use crate::error::Result;

mod cases;
mod packs;
mod plans;
mod report;
mod start;

pub use cases::{Checked, KERNELS, kernels};
pub use packs::packs;
pub use plans::{cpu, each_plan, plans};
pub use report::{Report, Steps};
pub use start::{exactly, first_step};

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Row {
    /// The kernel, or the plan.
    pub name: String,
    /// Its sizes.
    pub shape: String,
    /// What was compared.
    pub what: &'static str,
    /// What it may differ by.
    pub tolerance: Tolerance,
    /// What was found.
    pub comparison: Comparison,
}

/// What is told of rows as soon as they are found.
pub type Tell<'a> = dyn FnMut(&[Row]) -> Result<()> + 'a;

/// All there is to check on `device`'s adapter: every kernel, every plan, packs, and where it has cooperative matrices the kernels
/// and plans that use them. It takes minutes, so rows are told as they are found.
///
/// # Errors
/// What the device, or `tell`, fails with.
pub fn gpu(device: &Device, tell: &mut Tell<'_>) -> Result<()> {
    each_kernel(device, KERNELS, tell)?;
    each_plan(device, 1, tell)?;
    tell(&packs(device)?)?;
    if device.hardware.cooperative.is_none() && cooperative(&device.adapter).is_some() {
        each_mixed(&pollster::block_on(Device::open(&device.adapter, Precision::Mixed))?, tell)?;
    }
    Ok(())
}

/// All that `run` tells.
fn told(run: impl FnOnce(&mut Tell<'_>) -> Result<()>) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    run(&mut |found| {
        rows.extend_from_slice(found);
        Ok(())
    })?;
    Ok(rows)
}

/// [`kernels`], told kernel by kernel.
///
/// # Errors
/// What the device, or `tell`, fails with.
pub fn each_kernel(device: &Device, checked: &[Checked], tell: &mut Tell<'_>) -> Result<()> {
    checked.iter().try_for_each(|one| tell(&kernels(device, std::slice::from_ref(one), 1)?))
}

fn each_mixed(device: &Device, tell: &mut Tell<'_>) -> Result<()> {
    let mixed: Vec<_> = KERNELS.iter().filter(|checked| checked.kernel.is_mixed()).copied().collect();
    each_kernel(device, &mixed, tell)?;
    each_plan(device, 1, tell)
}

/// The kernels and plans of mixed precision on `device`, which was opened for it.
///
/// # Errors
/// What the device fails with.
pub fn mixed(device: &Device) -> Result<Vec<Row>> {
    told(|tell| each_mixed(device, tell))
}
