//! Which backend a run gets: one way for the command line and the library.

use clap::ValueEnum;

use crate::backend::cpu::reference::Reference;
use crate::backend::cpu::{self, Cpu, store};
use crate::backend::gpu::device::{self, Device};
use crate::backend::gpu::plan::PlanName;
use crate::backend::gpu::store::streamed;
use crate::backend::gpu::{Gpu, Store};
use crate::backend::lasting::{Alone, Lasting};
use crate::backend::{Backend, Precision};
use crate::data::Dataset;
use crate::error::{Error, Remedy, Result};
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::tuning;

/// Where to compute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Choice {
    /// A hardware GPU if there is one, else the CPU
    #[default]
    Auto,
    /// A GPU; a software driver if there is no other
    Gpu,
    /// The CPU
    Cpu,
}

/// What is asked of a backend; the default is the best there is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Where to compute.
    pub backend: Choice,
    /// The GPU adapter: its index, or a part of its name.
    pub adapter: Option<String>,
    /// What products are computed in.
    pub precision: Precision,
    /// The most bytes of the GPU's memory that data may take; larger data are streamed. By default what [`Device::data_bytes`] says.
    pub gpu_memory: Option<u64>,
    /// How a step runs on the GPU; the best way where none is named.
    pub plan: Option<PlanName>,
    /// Threads of the CPU backend; 0 for one per core.
    pub threads: usize,
    /// Whether the launches that were tuned for the adapter are left aside.
    pub untuned: bool,
    /// Whether the CPU and GPUs are to train to the same bits: by the plain twins and by the plan elementary, which sum in the same
    /// order.
    pub exact: bool,
}

/// The device that a [`Request`] came to.
pub struct Selected {
    /// The GPU; none for the CPU.
    pub gpu: Option<Store>,
    /// Why it is this one, where nobody asked for it.
    pub why: Option<String>,
    /// What there is to say beside that.
    pub notes: Vec<String>,
    /// Is told of a GPU that is lost and opened anew in the middle of a run.
    pub tell: fn(&str),
    /// What networks on the CPU share.
    memory: store::Store,
    request: Request,
}

impl Request {
    /// The CPU with `threads` threads; 0 for one per core.
    pub fn cpu(threads: usize) -> Self {
        Self { backend: Choice::Cpu, threads, ..Self::default() }
    }

    /// Opens what is asked for, with the launches that were tuned for it.
    ///
    /// # Errors
    /// [`Error::Usage`] where the parts of the request contradict each other, [`Error::Adapter`] where there is no such adapter
    /// or it refuses.
    pub fn select(&self) -> Result<Selected> {
        let mixed = self.precision == Precision::Mixed;
        let contradiction = |what: &str, remedies: &[Remedy]| Err(Error::Usage(what.into()).advise(remedies));
        if self.exact && mixed {
            return contradiction("the same bits on all devices are those of f32", &[Remedy::FullPrecision]);
        }
        match self.plan {
            Some(plan @ (PlanName::Fused | PlanName::Ahead | PlanName::Resident)) if self.exact => {
                let what = format!("the plan {} sums in another order than the CPU", plan.name());
                return contradiction(&what, &[Remedy::NoPlan]);
            }
            Some(plan @ (PlanName::Elementary | PlanName::Ahead | PlanName::Resident)) if mixed => {
                let what = format!("the plan {} computes in f32, not in mixed precision", plan.name());
                return contradiction(&what, &[Remedy::NoPlan, Remedy::FullPrecision]);
            }
            Some(plan @ (PlanName::Elementary | PlanName::Ahead | PlanName::Resident))
                if self.backend == Choice::Cpu && !self.exact =>
            {
                return Err(Error::PlanUnfit { plan, why: "is for a GPU, and this runs on the CPU".into() }
                    .advise(&[Remedy::NoPlan, Remedy::Gpu]));
            }
            _ => {}
        }
        match self.backend {
            Choice::Cpu if self.adapter.is_some() => {
                contradiction("an adapter is a GPU, and this runs on the CPU", &[Remedy::NoAdapter, Remedy::Gpu])
            }
            Choice::Cpu if self.gpu_memory.is_some() => {
                let what = "the memory of a GPU is limited, and this runs on the CPU";
                contradiction(what, &[Remedy::Without("gpu_memory"), Remedy::Gpu])
            }
            Choice::Cpu if mixed => {
                contradiction("mixed precision is for a GPU", &[Remedy::FullPrecision, Remedy::Gpu])
            }
            Choice::Cpu => Ok(self.selected(None, None)),
            Choice::Gpu => Ok(self.selected(Some(self.open()?), None)),
            // Without an adapter there is nothing to fall back to.
            Choice::Auto if self.adapter.is_some() => {
                Ok(self.selected(Some(self.open()?), Some("the adapter that was named".into())))
            }
            Choice::Auto if mixed => Ok(self.selected(Some(self.open()?), Some("mixed precision".into()))),
            Choice::Auto => self.select_best(),
        }
    }

    /// As it was before, for a run that goes on: where nothing is asked for, the backend of the name `before` if it can be had, and on
    /// a GPU the plan that it had there.
    ///
    /// # Errors
    /// As [`Request::select`].
    pub fn select_as(&self, before: &str, plan: Option<PlanName>) -> Result<Selected> {
        if self.backend == Choice::Cpu {
            return Self { exact: self.exact || before == Reference::NAME, ..self.clone() }.select();
        }
        // Another precision may take another plan, and exactness has one of its own.
        let plan = plan.filter(|_| before == "gpu" && self.precision == Precision::F32 && !self.exact);
        let on_gpu = Self { backend: Choice::Gpu, plan: self.plan.or(plan), ..self.clone() };
        if self.backend == Choice::Gpu || self.adapter.is_some() || self.precision == Precision::Mixed {
            return Self { backend: self.backend, ..on_gpu }.select();
        }
        let again = match before {
            "gpu" => on_gpu,
            // The plain twins.
            _ => Self { exact: self.exact || before == Reference::NAME, ..self.on_cpu() },
        };
        match again.select() {
            Ok(selected) => Ok(Selected { why: Some("as before".into()), ..selected }),
            Err(_) => self.select(),
        }
    }

    /// The same on the CPU, where nobody asked for it.
    fn on_cpu(&self) -> Self {
        Self { backend: Choice::Cpu, gpu_memory: None, ..self.clone() }
    }

    fn select_best(&self) -> Result<Selected> {
        let adapters = pollster::block_on(device::adapters());
        let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
        let why = match device::best_hardware(&infos) {
            None if infos.is_empty() => "no GPU adapter was found (see mlp-gpu devices)".into(),
            None => "only software GPU adapters were found (see mlp-gpu devices)".into(),
            Some(index) => match pollster::block_on(Device::open(&adapters[index], self.precision)) {
                Ok(device) => return Ok(self.selected(Some(device), Some("the best hardware adapter".into()))),
                Err(error) => error.to_string(),
            },
        };
        match self.on_cpu().select() {
            Ok(selected) => Ok(Selected { why: Some(why), ..selected }),
            Err(error) => Err(error),
        }
    }

    fn open(&self) -> Result<Device> {
        let adapters = pollster::block_on(device::adapters());
        let infos: Vec<_> = adapters.iter().map(wgpu::Adapter::get_info).collect();
        let index = device::choose(&infos, self.adapter.as_deref())?;
        pollster::block_on(Device::open(&adapters[index], self.precision))
    }

    fn selected(&self, device: Option<Device>, why: Option<String>) -> Selected {
        let mut notes = Vec::new();
        let gpu = device.map(|mut device| {
            match tuning::load(&device.info) {
                _ if self.untuned => {}
                Ok(tuning) => {
                    if !tuning.is_empty() {
                        notes.push(format!("Tuning: {} choices that were measured on this adapter", tuning.len()));
                    }
                    device.hardware.tuning = tuning;
                }
                Err(error) => notes.push(format!("Tuning: none: {error}")),
            }
            device.data_bytes = self.gpu_memory.unwrap_or(device.data_bytes);
            Store::new(device)
        });
        let plan = if self.exact { Some(PlanName::Elementary) } else { self.plan };
        let request = Self { plan, ..self.clone() };
        Selected { gpu, why, notes, tell: |_| (), memory: store::Store::default(), request }
    }
}

impl Selected {
    /// Threads of the CPU that there are for all that runs at a time.
    pub fn threads(&self) -> usize {
        match self.request.threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        }
    }

    /// What it came from, with the plan that follows from the rest of it.
    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    /// The plan that was asked for.
    pub(crate) fn plan(&self) -> Option<PlanName> {
        self.request.plan
    }

    /// The CPU with `threads` threads, to train `model` by `recipe`, all parameters 0.
    pub(crate) fn cpu(&self, model: &Mlp, recipe: &Recipe, threads: usize) -> Result<Cpu> {
        Cpu::sharing(&self.memory, model.clone(), recipe, threads)
    }

    /// The names of the backend that trains `model` by `recipe`, and of the plan of its steps.
    ///
    /// # Errors
    /// [`Error::PlanUnfit`] where the plan that was asked for cannot train it.
    pub(crate) fn backend_and_plan(&self, model: &Mlp, recipe: &Recipe) -> Result<(String, String)> {
        let names = match &self.gpu {
            None => ("cpu", cpu::PLAN),
            Some(store) => {
                let hardware = &store.device().hardware;
                ("gpu", PlanName::choose(model, recipe, hardware, self.plan())?.0.name())
            }
        };
        Ok((names.0.into(), names.1.into()))
    }

    /// Of each part of `data` that the GPU cannot keep: that it is streamed, and why.
    pub fn streamed(&self, data: &Dataset) -> Vec<String> {
        let Some(store) = &self.gpu else { return Vec::new() };
        data.parts().filter_map(|(split, part)| Some(streamed(split, &store.refusal(part)?))).collect()
    }

    /// A backend that trains `model` by `recipe`, all parameters 0, and what there is to say of it.
    ///
    /// # Errors
    /// [`Error::PlanUnfit`] where the plan that was asked for cannot train it, [`Error::Gpu`] where the adapter cannot hold it.
    pub fn backend(&self, model: &Mlp, recipe: &Recipe) -> Result<(Box<dyn Backend>, Vec<String>)> {
        let Request { precision, plan, threads, exact, .. } = &self.request;
        let Some(store) = &self.gpu else {
            if *exact {
                return Ok((Box::new(Reference::new(model.clone(), recipe)), Vec::new()));
            }
            return Ok((Box::new(self.cpu(model, recipe, *threads)?), Vec::new()));
        };
        let (store, plan, batch_size) = (store.clone(), *plan, recipe.batch_size);
        let (of, by) = (model.clone(), recipe.clone());
        let open = move || -> Result<Alone<Gpu>> { Ok(Alone::new(Gpu::new(store.living()?, of.clone(), &by, plan)?)) };
        let gpu = Lasting::new(Box::new(open), batch_size, self.tell)?;
        let about = Backend::about(&gpu);
        let full = *precision == Precision::Mixed && about.precision == Precision::F32;
        let note = if about.plan == PlanName::Elementary.name() {
            "Precision: f32: the plan elementary computes in nothing else".into()
        } else {
            format!("Precision: f32: {model} has no products large enough for cooperative matrices")
        };
        Ok((Box::new(gpu), full.then_some(note).into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_goes_on_exactly_leaves_the_plan_before_aside() {
        let request = Request { backend: Choice::Gpu, exact: true, ..Request::default() };
        // There may be no adapter, but nothing contradicts.
        match request.select_as("gpu", Some(PlanName::Fused)) {
            Ok(selected) => assert_eq!(selected.plan(), Some(PlanName::Elementary)),
            Err(error) => assert!(matches!(error, Error::Adapter(_)), "{error}"),
        }
    }
}
