//! Micro-benchmarks: a training step of each workload on the CPU and on the GPU, each kernel of each plan by the GPU's own
//! clock, and the plain twins of the products. `cargo bench`, or `cargo bench -- notebook` for some of them.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mlp_gpu::backend::cpu::{Cpu, matmul::matmul, matmul_a_bt::matmul_a_bt, matmul_at_b::matmul_at_b};
use mlp_gpu::backend::gpu::Gpu;
use mlp_gpu::backend::gpu::device::{Device, adapters, choose};
use mlp_gpu::backend::gpu::plan::PlanName;
use mlp_gpu::backend::{Backend, Precision, Split};
use mlp_gpu::bench::{Workload, workloads};
use mlp_gpu::data::{Dataset, digits};
use mlp_gpu::model::{Init, Mlp};
use mlp_gpu::random;

/// Steps a measurement.
const STEPS: usize = 16;

fn network(workload: &Workload, dataset: &Dataset) -> Mlp {
    Mlp::new(&[&[dataset.train.width], &workload.hidden[..], &[dataset.outputs()]].concat()).unwrap()
}

/// Whether `device` runs `workload` by `plan`; a software driver would take minutes for the large ones.
fn runs(device: &Device, plan: PlanName, model: &Mlp, workload: &Workload) -> bool {
    let too_much = device.hardware.software && model.parameters() * workload.batch_size > 10_000_000;
    !too_much && plan.check(model, workload.batch_size, &device.hardware).is_ok()
}

/// Uploads what is needed for steps, and the order of their rows.
fn ready(backend: &mut dyn Backend, workload: &Workload, dataset: &Dataset) -> Vec<u32> {
    backend.upload(Split::Train, &dataset.train).unwrap();
    backend.set_parameters(&network(workload, dataset).initial_parameters(Init::He, 0)).unwrap();
    let order = random::order(0, 0, dataset.train.len() as u32);
    order[..(STEPS * workload.batch_size).min(order.len())].to_vec()
}

fn steps(criterion: &mut Criterion, device: Option<&Device>, dataset: &Dataset) {
    let mut group = criterion.benchmark_group("rows through training steps");
    group.sample_size(10);
    for workload in workloads() {
        let model = network(&workload, dataset);
        let mut backends: Vec<Box<dyn Backend>> =
            vec![Box::new(Cpu::new(model.clone(), workload.batch_size, 0).unwrap())];
        if let Some(device) = device {
            for plan in PlanName::ALL {
                if runs(device, plan, &model, &workload) {
                    let gpu = Gpu::new(device.clone(), model.clone(), workload.batch_size, Some(plan));
                    backends.push(Box::new(pollster::block_on(gpu).unwrap()));
                }
            }
        }
        for mut backend in backends {
            let order = ready(backend.as_mut(), &workload, dataset);
            group.throughput(Throughput::Elements(order.len() as u64));
            let id = BenchmarkId::new(format!("{} {}", backend.name(), backend.plan()), &workload.name);
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| {
                    let start = Instant::now();
                    for _ in 0..iterations {
                        backend.train(&order, 0.01).unwrap();
                    }
                    backend.synchronize().unwrap();
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
            let gpu = Gpu::new(device.clone(), model.clone(), workload.batch_size, Some(plan));
            let mut gpu = pollster::block_on(gpu).unwrap();
            let order = ready(&mut gpu, &workload, dataset);
            let Some(times) = gpu.profile(&order, 0.01).unwrap() else { return };
            for (index, kernel) in times.iter().enumerate() {
                let id = BenchmarkId::new(
                    format!("{} {}", workload.name, plan.name()),
                    format!("{index} {}", kernel.kernel),
                );
                group.bench_function(id, |bencher| {
                    bencher.iter_custom(|iterations| {
                        let seconds: f64 = (0..iterations)
                            .map(|_| gpu.profile(&order, 0.01).unwrap().unwrap()[index].clone())
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
