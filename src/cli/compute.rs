//! Flags that choose the device, and how it works.

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::parse_bytes;
use crate::backend::Precision;
use crate::backend::gpu::plan::PlanName;
use crate::backend::select::{Choice, Request};

/// The environment variable that names an adapter where no flag does.
const ADAPTER_NAME: &str = "WGPU_ADAPTER_NAME";

/// Where to compute.
#[derive(Debug, Args)]
pub(super) struct DeviceOptions {
    /// Where to compute
    #[arg(long, value_enum, default_value = "auto")]
    backend: Choice,
    /// GPU adapter: its index or a part of its name, as `mlp-gpu devices` lists them [default: that of WGPU_ADAPTER_NAME if it is
    /// set, else the best]
    #[arg(long, value_name = "NAME|INDEX")]
    adapter: Option<String>,
    /// What products are computed in
    #[arg(long, value_enum, default_value = "f32")]
    precision: Precision,
    /// The most memory of the GPU that data may take, such as 4G; rows of larger data pass through it in every epoch, to the same
    /// results [default: three quarters of what it has, where its driver tells]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    gpu_memory: Option<u64>,
}

impl DeviceOptions {
    pub(super) fn request(&self) -> Request {
        let Self { backend, adapter, precision, gpu_memory } = self;
        // wgpu's own variable: it says which GPU, not that there must be one.
        let by_environment = || std::env::var(ADAPTER_NAME).ok().filter(|name| !name.is_empty());
        let adapter = adapter.clone().or_else(|| by_environment().filter(|_| *backend != Choice::Cpu));
        let (backend, precision, gpu_memory) = (*backend, *precision, *gpu_memory);
        Request { backend, adapter, precision, gpu_memory, ..Request::default() }
    }
}

/// Where and how to compute.
#[derive(Debug, Args)]
pub(super) struct ComputeOptions {
    #[command(flatten)]
    device: DeviceOptions,
    /// How a step runs on the GPU: auto (the best way for the network and the adapter), elementary (a kernel for each operation),
    /// fused (few kernels that do several operations each), ahead (fewer launches, for one hidden layer on a hardware GPU), resident (one
    /// kernel for many steps, for small networks)
    #[arg(long, value_name = "PLAN", default_value = "auto", value_parser = plans())]
    plan: Plan,
    /// Threads of the CPU backend; 0 for one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
}

/// A plan by name, or the best one.
#[derive(Debug, Clone, Copy)]
struct Plan(Option<PlanName>);

fn plans() -> impl TypedValueParser<Value = Plan> {
    let names = ["auto"].into_iter().chain(PlanName::ALL.map(PlanName::name));
    PossibleValuesParser::new(names).map(|name| Plan(PlanName::named(&name)))
}

impl ComputeOptions {
    pub(super) fn request(&self) -> Request {
        Request { plan: self.plan.0, threads: usize::from(self.threads), ..self.device.request() }
    }
}
