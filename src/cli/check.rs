//! `mlp-gpu check`

use std::path::PathBuf;

use clap::Args;

use super::{DeviceOptions, jobs, note, print, print_text, select};
use crate::check::{self, Report, Row, Steps};
use crate::error::{Error, Result};
use crate::files;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    device: DeviceOptions,
    /// Run the kernels once more with the checks of bounds and loops that training does without
    #[arg(long)]
    shader_checks: bool,
    /// Write all that was found to this file, as JSON, with what the adapter is, hashes and times of whole steps: to be posted
    /// with a problem, or for docs/adapters.md
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let selected = select(&options.device.request())?;
    if options.report.is_some() && selected.gpu.is_none() {
        return Err(Error::Usage("--report is of a GPU adapter, and this checks the CPU: use --backend gpu".into()));
    }
    if let Some(path) = &options.report {
        files::check_replaceable(path)?;
    }
    if let Some(why) = &selected.why {
        note(&format!("Chosen: {why}"));
    }
    let where_ = match &selected.gpu {
        None => "the CPU".into(),
        Some(store) => format!("{} ({})", store.device().info.name, store.device().info.backend),
    };
    print(&format!("Checking {where_}"))?;
    print("What differs at most, and what it may differ by: absolute + relative part")?;
    let mut rows: Vec<Row> = Vec::new();
    let mut tell = |found: &[Row]| {
        for row in found {
            let before = rows.last().map(|row| (&row.name, &row.shape));
            if before != Some((&row.name, &row.shape)) {
                print_text(&format!("{} {}", row.name, row.shape))?;
            }
            print_text(&line(row))?;
            rows.push(row.clone());
        }
        Ok(())
    };
    match &selected.gpu {
        None => {
            let sign = jobs::sign("Checking", false);
            let found = check::cpu()?;
            drop(sign);
            tell(&found)?;
        }
        Some(store) => {
            let device = store.device();
            check::gpu(device, &mut tell)?;
            if options.shader_checks {
                check::each_kernel(&device.checked(), check::KERNELS, &mut tell)?;
            }
        }
    }
    let mut failed = rows.iter().filter(|row| !row.comparison.passed()).count();
    let mut checks = rows.len();
    if let (Some(path), Some(store)) = (&options.report, &selected.gpu) {
        let sign = jobs::sign("Timing whole steps", true);
        let report = Report::new(store.device(), &rows)?;
        drop(sign);
        for steps in &report.steps {
            let again = if steps.reproduced { "" } else { ", NOT the same again" };
            let Steps { network, plan, step_us, sha256, .. } = steps;
            print(&format!("{network}, plan {plan}: {step_us:.1} us per step, {}{again}", &sha256[..16]))?;
        }
        checks += report.steps.len();
        failed += report.steps.iter().filter(|steps| !steps.reproduced).count();
        let text = serde_json::to_string_pretty(&report).map_err(|error| Error::Check(error.to_string()))?;
        files::write(path, format!("{text}\n").as_bytes())?;
        note(&format!("Report: {}", path.display()));
    }
    print(&format!("{checks} checks, {failed} failed"))?;
    match failed {
        0 => Ok(()),
        _ => Err(Error::Check(format!("{failed} of {checks} checks failed on {where_}"))),
    }
}

fn line(row: &Row) -> String {
    let result = if row.comparison.passed() { "ok".into() } else { format!("FAILED, {}", row.comparison) };
    let (error, allowed) = (row.comparison.error(), row.tolerance);
    format!("    {:<14} {error:>10.3e} of {:>7.1e} + {:>7.1e}  {result}", row.what, allowed.absolute, allowed.relative)
}
