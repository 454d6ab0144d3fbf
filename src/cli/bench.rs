//! `mlp-gpu bench`

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::recipe::{Hidden, parse_hidden};
use super::{ComputeOptions, DataOptions, jobs, note, print, select, tune};
use crate::backend::gpu::Store;
use crate::backend::gpu::cycles::Cycles;
use crate::backend::gpu::explain::Dispatch;
use crate::backend::select::Selected;
use crate::backend::{Backend, Steps};
use crate::bench::{self, Measurement, Timing, Workload};
use crate::data::{Dataset, Task};
use crate::error::{Error, Result};
use crate::files;
use crate::model::Mlp;
use crate::random;
use crate::recipe::{Loss, Optimizer, OptimizerKind, Recipe};
use crate::schedule::Schedule;
use crate::tuning;

#[derive(Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    compute: ComputeOptions,
    #[command(flatten)]
    data: DataOptions,
    /// Workload to time; again for more [default: all]
    #[arg(long, value_name = "NAME", value_parser = ["notebook", "tutorial", "deep", "wide"])]
    workload: Vec<String>,
    /// Time a network of one's own: widths of its hidden layers, with commas between them, or none
    #[arg(long, value_name = "WIDTHS", value_parser = parse_hidden, conflicts_with = "workload")]
    hidden: Option<Hidden>,
    /// Rows per step of that network
    #[arg(long, value_name = "N", default_value_t = 64, requires = "hidden",
          value_parser = clap::value_parser!(u32).range(1..))]
    batch_size: u32,
    /// Train on this many rows only, the first ones
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// Passes that are timed, after one to warm up
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    epochs: u32,
    /// How parameters follow their gradients
    #[arg(long, value_enum, value_name = "NAME", default_value = "sgd")]
    optimizer: OptimizerKind,
    /// Learning rate [default: 0.1 for sgd, 0.01 for momentum and nesterov, 0.001 for adam and adamw]
    #[arg(long, value_name = "RATE", value_parser = super::parse_rate)]
    lr: Option<f64>,
    /// Seed of the initial weights, of the order of the rows and of those that are drawn
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Time each kernel too, by the GPU's own clock
    #[arg(long)]
    profile: bool,
    /// Tell what a step on the GPU is made of, dispatch by dispatch: workgroups, operations, bytes, the least time by launches,
    /// memory and arithmetic, static cycles by a GPU's compiler where they are known, and the time that was measured
    #[arg(long, conflicts_with = "members")]
    explain: bool,
    /// Say which plan runs, and why
    #[arg(long, short)]
    verbose: bool,
    /// Measure which plan and which way to launch each kernel are the fastest on this GPU, and keep that in the cache folder:
    /// from then on every run on this adapter uses it
    #[arg(long)]
    tune: bool,
    /// Add what --tune measures to this file too, in the form of assets/tuning.json, so that it can come with the program
    #[arg(long, value_name = "FILE", requires = "tune")]
    export: Option<PathBuf>,
    /// Train so many networks at once, that differ in their seeds; numbers with commas between them, such as 1,4,16,64
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with_all = ["profile", "tune"],
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    members: Vec<u32>,
    /// Print a JSON object per workload
    #[arg(long)]
    json: bool,
}

/// How often a pack is timed; the median counts.
const ROUNDS: u32 = 3;

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
    let mut selected = select(&options.compute.request())?;
    if options.tune && selected.gpu.is_none() {
        return Err(Error::Usage("--tune is for a GPU, and this runs on the CPU: use --backend gpu".into()));
    }
    if let Some(path) = &options.export {
        files::check_replaceable(path)?;
    }
    if options.explain && selected.gpu.is_none() {
        return Err(Error::Usage("--explain is of a GPU's step, and this runs on the CPU: use --backend gpu".into()));
    }
    let mut dataset = options.data.load(options.seed, options.verbose, note)?;
    if let Some(samples) = options.samples {
        dataset.train = dataset.train.select(|row| row < samples as usize)?.into();
    }
    if let Some(why) = &selected.why {
        note(&format!("Backend: {why}"));
    }
    for (index, workload) in workloads.iter().enumerate() {
        let kind = options.optimizer;
        let recipe = Recipe {
            hidden: workload.hidden.clone(),
            batch_size: workload.batch_size.min(dataset.train.len()),
            seed: options.seed,
            loss: if dataset.task() == Task::Values { Loss::Mse } else { Loss::CrossEntropy },
            optimizer: Optimizer { kind, ..Optimizer::default() },
            ..Recipe::default()
        };
        let model = recipe.model_of(&dataset)?;
        if let (true, Some(store)) = (options.tune, &selected.gpu) {
            let (store, found) = tune::measure(store, &model, &recipe, &options.compute.request(), &dataset, note)?;
            if let Some(path) = &options.export {
                tuning::export(path, &store.device().info, found)?;
                note(&format!("Tuning: written to {}", path.display()));
            }
            selected.gpu = Some(store);
        }
        if let (true, Some(store)) = (options.explain, &selected.gpu) {
            explain(store, &model, &recipe, options, &dataset)?;
            continue;
        }
        if !options.members.is_empty() {
            let recipe = Recipe { schedule: rate_of(options, &recipe), ..recipe };
            packs(options, &selected, workload, (&model, &recipe), &dataset)?;
            continue;
        }
        let (mut backend, notes) = selected.backend(&model, &recipe)?;
        notes.iter().for_each(|line| note(line));
        if options.verbose {
            let about = backend.about();
            note(&format!("Plan of {}: {}: {}", workload.name, about.plan, about.plan_reason));
        }
        let learning_rate = options.lr.unwrap_or(kind.usual_rate()) as f32;
        let timing = Timing { epochs: options.epochs, learning_rate, profile: options.profile };
        let sign = jobs::sign(&format!("Timing {} ({model})", workload.name), true);
        let measured = bench::measure(backend.as_mut(), workload, &model, &dataset, &recipe, timing)?;
        drop(sign);
        backend.about().streamed.iter().for_each(|line| note(&format!("Data: {line}")));
        if options.profile && measured.kernels.is_none() {
            note(&format!("Profile: {} has no clock for single kernels", measured.adapter));
        }
        if options.json {
            let mut line = json!(measured);
            line["peer"] = "mlp-gpu".into();
            line["data"] = dataset.name.clone().into();
            line["optimizer"] = kind.name().into();
            print(&line.to_string())?;
        } else {
            if index == 0 {
                print(&format!("{}, {}, {}", measured.backend, measured.adapter, dataset.name))?;
                if let (Some(gflops), Some(copy)) = (measured.peak_gflops, measured.copy_gb_per_s) {
                    print(&format!("at best {gflops:.0} GFLOP/s in a large product, {copy:.1} GB/s in a large copy"))?;
                }
                print("workload  layers            batch  plan         epoch s     rows/s   GFLOP/s")?;
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

/// The schedule of `recipe` at the rate that is asked for.
fn rate_of(options: &Options, recipe: &Recipe) -> Schedule {
    Schedule { lr: options.lr.unwrap_or(recipe.optimizer.kind.usual_rate()), ..recipe.schedule }
}

/// Times packs of networks, each beside one alone.
fn packs(
    options: &Options,
    selected: &Selected,
    workload: &Workload,
    (model, recipe): (&Mlp, &Recipe),
    dataset: &Dataset,
) -> Result<()> {
    let measure = |members: u32| {
        let times = (ROUNDS, options.epochs);
        let what = if members == 1 { "one network".into() } else { format!("{members} networks") };
        let _sign = jobs::sign(&format!("Timing {what}"), true);
        bench::measure_pack(selected, workload, (model, recipe), dataset, members as usize, times)
    };
    let alone = measure(1)?;
    if !options.json {
        print(&format!(
            "{} ({model}, batches of {}), {}, {}",
            workload.name,
            workload.batch_size,
            jobs::device(selected),
            dataset.name
        ))?;
        print("members     pass s  member passes/s  s a member  of one alone")?;
    }
    for &members in &options.members {
        let pack = if members == 1 { alone.clone() } else { measure(members)? };
        let each = pack.epoch_s / f64::from(members);
        let cost = each / alone.epoch_s;
        if options.json {
            let mut line = json!(pack);
            line["peer"] = "mlp-gpu".into();
            line["data"] = dataset.name.clone().into();
            line["optimizer"] = recipe.optimizer.kind.name().into();
            line["of_one_alone"] = cost.into();
            print(&line.to_string())?;
        } else {
            let per_s = pack.member_passes_per_s;
            print(&format!("{members:>7}  {:>9.4}  {per_s:>15.2}  {each:>10.4}  {cost:>12.3}", pack.epoch_s))?;
        }
    }
    Ok(())
}

/// Rows of the steps that are explained, at most.
const EXPLAINED_STEPS: usize = 500;

/// Tells what a step of `model` is made of.
fn explain(store: &Store, model: &Mlp, recipe: &Recipe, options: &Options, dataset: &Dataset) -> Result<()> {
    let mut gpu = bench::ready(store, model, recipe, options.compute.request().plan, dataset)?;
    let batch_size = recipe.batch_size;
    let order = random::order(recipe.seed, 0, dataset.train.len() as u32);
    // Whole batches.
    let rows = (order.len() / batch_size).clamp(1, EXPLAINED_STEPS) * batch_size;
    let order = &order[..rows.min(order.len())];
    let rates = vec![rate_of(options, recipe).lr as f32; order.len().div_ceil(batch_size)];
    let explained = gpu.explain(Steps { order, rates: &rates }, batch_size)?;
    if options.json {
        let mut line = json!(explained);
        line["layers"] = json!(model.widths());
        line["batch"] = batch_size.into();
        line["adapter"] = gpu.about().device.into();
        return print(&line.to_string());
    }
    let us = |seconds: f64| format!("{:.2} us", 1e6 * seconds);
    print(&format!("{model}, {batch_size} rows a step, plan {}, {}", explained.plan, gpu.about().device))?;
    for dispatch in &explained.dispatches {
        let [memory, arithmetic] = dispatch.floors(&explained.peak);
        let Dispatch { what, how, groups, lanes, flop, bytes, cycles, seconds, .. } = dispatch;
        // A line for each of those that are joined.
        print(&format!("  {}", if what.is_empty() { how } else { what }.replace(" + ", "\n  + ")))?;
        if !what.is_empty() {
            print(&format!("    {}", how.replace(" + ", "\n    + ")))?;
        }
        let measured = seconds.map_or_else(String::new, |seconds| format!("; measured {}", us(seconds)));
        print(&format!(
            "    {groups} x {lanes} invocations, {:.3} MFLOP, {:.1} KiB{measured}",
            1e-6 * flop,
            bytes / 1024.0
        ))?;
        let counted = cycles
            .map_or_else(String::new, |Cycles { compiler, count }| format!("; {count} cycles per wave ({compiler})"));
        print(&format!("    at least {} by arithmetic, {} by memory{counted}", us(arithmetic), us(memory)))?;
    }
    let [launches, memory, arithmetic] = explained.floors();
    let per_step: f64 = explained.dispatches.iter().map(|dispatch| dispatch.per_step).sum();
    print(&format!(
        "  a step: at least {} by arithmetic, {} by memory,\n    {} by {per_step:.2} launches of {}",
        us(arithmetic),
        us(memory),
        us(launches),
        us(explained.launch_seconds)
    ))?;
    let idle =
        explained.idle().map_or_else(String::new, |idle| format!(", the device idle {:.0} % of it", 100.0 * idle));
    print(&format!(
        "    measured {}{idle}; the host takes {} a dispatch",
        us(explained.step_seconds),
        us(explained.host_seconds)
    ))
}

/// What was measured: a line of the table, and what is told below it.
fn row(measured: &Measurement, model: &Mlp) -> String {
    let line = format!(
        "{:<8}  {:<16}  {:>5}  {:<10}  {:>8.4}  {:>9.0}  {:>8.1}",
        measured.workload,
        model.to_string(),
        measured.batch,
        measured.plan,
        measured.epoch_s,
        measured.samples_per_s,
        measured.gflops,
    );
    let percent = |share: f64, of: &str| format!("{:.0} % of {of}", 100.0 * share);
    let mut more: Vec<String> =
        measured.dispatches.map(|count| format!("{count} dispatches per step")).into_iter().collect();
    more.extend(measured.peak_share.map(|share| percent(share, "the peak")));
    more.extend(measured.copy_share.map(|share| percent(share, "the copy")));
    more.extend(measured.test_accuracy.map(|accuracy| format!("test accuracy {accuracy:.4}")));
    more.push(format!("{:.1} MiB", measured.bytes as f64 / f64::from(1 << 20)));
    format!("{line}\n          {}", more.join(", "))
}
