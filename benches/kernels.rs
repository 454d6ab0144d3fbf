//! Micro-benchmarks: a training step of each workload on the CPU and on the GPU, each kernel of each plan by the GPU's own
//! clock, and the plain twins of the products. `cargo bench`, or `cargo bench -- notebook` for some of them.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mlp_gpu::backend::cpu::{Cpu, matmul::matmul, matmul_a_bt::matmul_a_bt, matmul_at_b::matmul_at_b};
use mlp_gpu::backend::gpu::device::{Device, adapters, choose};
use mlp_gpu::backend::gpu::plan::PlanName;
use mlp_gpu::backend::gpu::{Gpu, Store};
use mlp_gpu::backend::{Backend, BackendExt, Measure, Precision, Split, Steps};
use mlp_gpu::bench::{Workload, workloads};
use mlp_gpu::data::{Dataset, digits};
use mlp_gpu::model::{Init, Mlp};
use mlp_gpu::random;
use mlp_gpu::recipe::{OptimizerKind, Recipe};
use mlp_gpu::state::State;

/// Steps a measurement.
const STEPS: usize = 16;

fn network(workload: &Workload, dataset: &Dataset) -> Mlp {
    Mlp::new(&[&[dataset.train.width], &workload.hidden[..], &[dataset.outputs()]].concat()).unwrap()
}

fn recipe(workload: &Workload) -> Recipe {
    Recipe { batch_size: workload.batch_size, ..Recipe::default() }
}

/// Whether `device` runs `workload` by `plan`; a software driver would take minutes for the large ones.
fn runs(device: &Device, plan: PlanName, model: &Mlp, workload: &Workload) -> bool {
    let too_much = device.hardware.software && model.parameters() * workload.batch_size > 10_000_000;
    !too_much && plan.check(model, &recipe(workload), &device.hardware).is_ok()
}

/// Uploads what is needed for steps, and the order of their rows.
fn ready(backend: &mut dyn Backend, workload: &Workload, dataset: &Dataset) -> Vec<u32> {
    backend.upload(Split::Train, &dataset.train).unwrap();
    let parameters = network(workload, dataset).initial_parameters(Init::He, 0);
    backend.set_state(&State::new(parameters, OptimizerKind::Sgd)).unwrap();
    let order = random::order(0, 0, dataset.train.len() as u32);
    order[..(STEPS * workload.batch_size).min(order.len())].to_vec()
}

fn steps(criterion: &mut Criterion, device: Option<&Device>, dataset: &Dataset) {
    let mut group = criterion.benchmark_group("rows through training steps");
    group.sample_size(10);
    for workload in workloads() {
        let model = network(&workload, dataset);
        let mut backends: Vec<Box<dyn Backend>> =
            vec![Box::new(Cpu::new(model.clone(), &recipe(&workload), 0).unwrap())];
        if let Some(device) = device {
            for plan in PlanName::ALL {
                if runs(device, plan, &model, &workload) {
                    let store = Store::new(device.clone());
                    backends.push(Box::new(Gpu::new(store, model.clone(), &recipe(&workload), Some(plan)).unwrap()));
                }
            }
        }
        for mut backend in backends {
            let order = ready(backend.as_mut(), &workload, dataset);
            group.throughput(Throughput::Elements(order.len() as u64));
            let id = BenchmarkId::new(format!("{} {}", backend.about().name, backend.about().plan), &workload.name);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| {
                    let start = Instant::now();
                    for _ in 0..iterations {
                        backend.pass(&order, workload.batch_size, 0.01).unwrap();
                    }
                    backend.wait().unwrap();
                    start.elapsed()
                });
            });
        }
    }
}

fn kernels(criterion: &mut Criterion, device: &Device, dataset: &Dataset) {
    let mut group = criterion.benchmark_group("kernel");
    group.sample_size(10);
    for workload in workloads() {
        let model = network(&workload, dataset);
        for plan in PlanName::ALL {
            if !runs(device, plan, &model, &workload) {
                continue;
            }
            let store = Store::new(device.clone());
            let mut gpu = Gpu::new(store, model.clone(), &recipe(&workload), Some(plan)).unwrap();
            let order = ready(&mut gpu, &workload, dataset);
            let rates = vec![0.01; order.len().div_ceil(workload.batch_size)];
            let steps = Steps { order: &order, rates: &rates };
            let Some(times) = gpu.profile(steps).unwrap() else { return };
            for (index, kernel) in times.iter().enumerate() {
                let id = BenchmarkId::new(
                    format!("{} {}", workload.name, plan.name()),
                    format!("{index} {}", kernel.kernel),
                );
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|iterations| {
                        let seconds: f64 = (0..iterations)
                            .map(|_| gpu.profile(steps).unwrap().unwrap()[index].clone())
                            .map(|time| time.seconds / time.launches as f64)
                            .sum();
                        Duration::from_secs_f64(seconds)
                    });
                });
            }
        }
    }
}

fn twins(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("twin");
    let (rows, inner, columns) = (64, 784, 128);
    let (x, w, d) = (vec![0.5_f32; rows * inner], vec![0.01_f32; inner * columns], vec![0.1_f32; rows * columns]);
    let (mut f, mut dw, mut dx) = (d.clone(), w.clone(), x.clone());
    group.bench_function("matmul", |bencher| bencher.iter(|| matmul(&x, &w, inner, columns, &mut f)));
    group.bench_function("matmul_at_b", |bencher| bencher.iter(|| matmul_at_b(&x, &d, inner, columns, &mut dw)));
    group.bench_function("matmul_a_bt", |bencher| bencher.iter(|| matmul_a_bt(&d, &w, inner, columns, &mut dx)));
}

fn all(criterion: &mut Criterion) {
    let dataset = digits().unwrap();
    let adapters = pollster::block_on(adapters());
    let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
    let device = choose(&infos, None).map(|index| pollster::block_on(Device::open(&adapters[index], Precision::F32)));
    let device = match device {
        Ok(device) => Some(device.unwrap()),
        Err(error) => {
            println!("only the CPU: {error}");
            None
        }
    };
    steps(criterion, device.as_ref(), &dataset);
    if let Some(device) = &device {
        kernels(criterion, device, &dataset);
    }
    twins(criterion);
}

criterion_group!(benches, all);
criterion_main!(benches);
