//! `mlp-gpu check`

use clap::Args;

use super::{DeviceOptions, note, print, select};
use crate::check;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    device: DeviceOptions,
    /// Run the kernels once more with the checks of bounds and loops that training does without
    #[arg(long)]
    shader_checks: bool,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let selected = select(&options.device.request())?;
    if let Some(why) = selected.why {
        note(&format!("Chosen: {why}"));
    }
    let (rows, where_) = match selected.gpu {
        None => (check::cpu()?, "the CPU".into()),
        Some(store) => {
            let device = store.device();
            let mut rows = check::gpu(device)?;
            if options.shader_checks {
                rows.extend(check::kernels(&device.checked(), check::KERNELS)?);
            }
            (rows, format!("{} ({})", device.info.name, device.info.backend))
        }
    };
    print(&format!("Checked on {where_}"))?;
    print(&format!(
        "{:<24} {:<20} {:<14} {:>12} {:>10} {:>10}  result",
        "kernel or plan", "shape", "compared", "worst error", "absolute", "relative"
    ))?;
    for row in &rows {
        let result = if row.comparison.passed() { "ok".into() } else { format!("FAILED, {}", row.comparison) };
        print(&format!(
            "{:<24} {:<20} {:<14} {:>12.3e} {:>10.1e} {:>10.1e}  {result}",
            row.name,
            row.shape,
            row.what,
            row.comparison.error(),
            row.tolerance.absolute,
            row.tolerance.relative,
        ))?;
    }
    let failed = rows.iter().filter(|row| !row.comparison.passed()).count();
    print(&format!("{} checks, {failed} failed", rows.len()))?;
    match failed {
        0 => Ok(()),
        _ => Err(Error::Check(format!("{failed} of {} checks failed on {where_}", rows.len()))),
    }
}
