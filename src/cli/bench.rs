//! `mlp-gpu bench`

use clap::Args;
use serde_json::json;

use super::{DataOptions, DeviceOptions, Hidden, PlanChoice, note, parse_hidden, print};
use crate::bench::{self, Measurement, Timing, Workload};
use crate::error::Result;
use crate::model::Mlp;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    device: DeviceOptions,
    /// How a step runs on the GPU
    #[arg(long, value_enum, default_value = "auto")]
    plan: PlanChoice,
    #[command(flatten)]
    data: DataOptions,
    /// Workload to time; again for more [default: all]
    #[arg(long, value_name = "NAME", value_parser = ["notebook", "tutorial", "deep", "wide"])]
    workload: Vec<String>,
    /// Time a network of one's own: widths of its hidden layers, with commas between them, or none
    #[arg(long, value_name = "WIDTHS", value_parser = parse_hidden, conflicts_with = "workload")]
    hidden: Option<Hidden>,
    /// Rows a step of that network
    #[arg(long, value_name = "N", default_value_t = 64, requires = "hidden",
          value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Passes that are timed, after one to warm up
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// Learning rate
    #[arg(long, value_name = "RATE", default_value_t = 0.1, value_parser = super::parse_rate)]
    lr: f64,
    /// Seed of the initial weights, of the order of the rows and of those that are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads of the CPU backend; 0 for one a core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    /// Time each kernel too, by the GPU's own clock
    #[arg(long)]
    profile: bool,
    /// Say which plan runs, and why
    #[arg(long, short)]
    verbose: bool,
    /// Print a JSON object a workload
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let workloads = match &options.hidden {
        Some(Hidden(hidden)) => {
            vec![Workload { name: "own".into(), hidden: hidden.clone(), batch_size: options.batch_size as usize }]
        }
        None => bench::workloads()
            .into_iter()
            .filter(|workload| options.workload.is_empty() || options.workload.contains(&workload.name))
            .collect(),
    };
    let dataset = options.data.load(options.seed, note)?;
    let (target, why) = options.device.resolve()?;
    if let Some(why) = why {
        note(&format!("Backend: {why}"));
    }
    for (index, workload) in workloads.iter().enumerate() {
        let widths = [&[dataset.train.width], &workload.hidden[..], &[dataset.classes.len()]].concat();
        let model = Mlp::new(&widths)?;
        let batch_size = workload.batch_size.min(dataset.train.len());
        let mut backend = target.backend(&model, batch_size, usize::from(options.threads), options.plan)?;
        if options.verbose {
            note(&format!("Plan of {}: {}: {}", workload.name, backend.plan(), backend.plan_reason()));
        }
        let (epochs, learning_rate) = (options.epochs, options.lr as f32);
        let timing = Timing { epochs, learning_rate, seed: options.seed, profile: options.profile };
        let measured = bench::measure(backend.as_mut(), workload, &model, &dataset, timing)?;
        if options.profile && measured.kernels.is_none() {
            note(&format!("Profile: {} has no clock for single kernels", measured.adapter));
        }
        if options.json {
            let mut line = json!(measured);
            line["peer"] = "mlp-gpu".into();
            line["data"] = dataset.name.clone().into();
            print(&line.to_string())?;
        } else {
            if index == 0 {
                print(&format!("{}, {}, {}", measured.backend, measured.adapter, dataset.name))?;
                print(
                    "workload  layers            batch  plan        dispatches  epoch s   rows/s  GFLOP/s  accuracy      MiB",
                )?;
            }
            print(&row(&measured, &model))?;
            for time in measured.kernels.iter().flatten() {
                let each = 1e6 * time.seconds / time.launches.max(1) as f64;
                print(&format!("    {:<40}  {each:>10.2} us each of {}", time.kernel, time.launches))?;
            }
        }
    }
    Ok(())
}

fn row(measured: &Measurement, model: &Mlp) -> String {
    format!(
        "{:<8}  {:<16}  {:>5}  {:<10}  {:>10}  {:>7.4}  {:>7.0}  {:>7.1}  {:>8.4}  {:>7.1}",
        measured.workload,
        model.to_string(),
        measured.batch,
        measured.plan,
        measured.dispatches.map_or_else(|| "-".into(), |count| count.to_string()),
        measured.epoch_s,
        measured.samples_per_s,
        measured.gflops,
        measured.test_accuracy,
        measured.bytes as f64 / f64::from(1 << 20),
    )
}
