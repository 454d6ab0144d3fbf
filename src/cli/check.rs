//! `mlp-gpu check`

use clap::Args;

use super::{DeviceOptions, note, print, print_text, select};
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
    print("What differs at most, and what it may differ by: absolute + relative part")?;
    let mut before = None;
    for row in &rows {
        let subject = (&row.name, &row.shape);
        if before != Some(subject) {
            print_text(&format!("{} {}", row.name, row.shape))?;
            before = Some(subject);
        }
        let result = if row.comparison.passed() { "ok".into() } else { format!("FAILED, {}", row.comparison) };
        let (error, allowed) = (row.comparison.error(), row.tolerance);
        print_text(&format!(
            "    {:<14} {error:>10.3e} of {:>7.1e} + {:>7.1e}  {result}",
            row.what, allowed.absolute, allowed.relative
        ))?;
    }
    let failed = rows.iter().filter(|row| !row.comparison.passed()).count();
    print(&format!("{} checks, {failed} failed", rows.len()))?;
    match failed {
        0 => Ok(()),
        _ => Err(Error::Check(format!("{failed} of {} checks failed on {where_}", rows.len()))),
    }
}
