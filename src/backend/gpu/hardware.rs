//! What of an adapter decides how kernels are launched, and what was measured on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backend::gpu::launch::Launch;
use crate::backend::gpu::plan::PlanName;
use crate::model::Mlp;
use crate::recipe::Recipe;

/// Cooperative matrices with operands of 16 bits and sums of 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooperative {
    /// Rows and columns: 16 or 8.
    pub side: usize,
    /// Invocations of a subgroup.
    pub subgroup: usize,
}

/// What of an adapter decides how kernels are launched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// Whether it computes on a CPU: there loads cost more than arithmetic and barriers, and a few invocations fill all
    /// cores; a GPU wants many invocations and short ones.
    pub software: bool,
    /// Invocations of a subgroup at least; 0 where shaders cannot use subgroups.
    pub subgroup: u32,
    /// Invocations of a workgroup at most.
    pub invocations: u32,
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Storage buffers that a kernel can bind.
    pub storage_buffers: u32,
    /// By which cooperative matrices products of wide layers are made, where precision is mixed.
    pub cooperative: Option<Cooperative>,
    /// The fastest ways to launch some kernels, where they were measured.
    pub tuning: Tuning,
}

impl Hardware {
    /// A GPU with what every WebGPU device has.
    pub const GPU: Self = Self::plain(false);
    /// A software driver with as much.
    pub const SOFTWARE: Self = Self::plain(true);

    const fn plain(software: bool) -> Self {
        Self {
            software,
            subgroup: 0,
            invocations: 256,
            workgroup_bytes: 16_384,
            storage_buffers: 8,
            cooperative: None,
            tuning: Tuning(BTreeMap::new()),
        }
    }
}

/// What was measured to be the fastest: of what is made, the kernel and way, under [`Launch::what`]; of a network, the plan, under
/// [`PlanName::subject`]. Empty where nothing was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tuning(BTreeMap<String, String>);

impl Tuning {
    /// Remembers `launch` as the fastest way to make what it makes.
    pub fn set(&mut self, launch: &Launch) {
        self.0.insert(launch.what.clone(), launch.choice());
    }

    /// Remembers that `what` is best made in the way `choice`: [`Launch::what`] and [`Launch::choice`].
    pub fn set_choice(&mut self, what: &str, choice: &str) {
        self.0.insert(what.to_owned(), choice.to_owned());
    }

    /// Remembers `plan` as the fastest to train `model` by `recipe`.
    pub fn set_plan(&mut self, model: &Mlp, recipe: &Recipe, plan: PlanName) {
        self.0.insert(PlanName::subject(model, recipe), plan.name().to_owned());
    }

    /// The fastest plan to train `model` by `recipe`, where that was measured.
    pub fn plan(&self, model: &Mlp, recipe: &Recipe) -> Option<PlanName> {
        self.0.get(&PlanName::subject(model, recipe)).and_then(|name| PlanName::named(name))
    }

    /// Whether the ways to make what `launch` makes were measured.
    pub fn has(&self, launch: &Launch) -> bool {
        self.0.contains_key(&launch.what)
    }

    /// How many things were measured.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes over what `other` has.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Of the `ways` to make one thing, the place of the fastest as far as that was measured, else of the first.
    pub fn pick(&self, ways: &[Launch]) -> usize {
        let known = ways.first().and_then(|first| self.0.get(&first.what));
        known.and_then(|choice| ways.iter().position(|way| way.choice() == *choice)).unwrap_or(0)
    }
}
