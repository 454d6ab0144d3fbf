//! The metadata of version 1, written before there were recipes: still read.

use serde::Deserialize;

use super::Best;
use crate::data::{Columns, Framing, Options, Origin, Scaling};
use crate::model::Init;
use crate::recipe::Recipe;
use crate::schedule::Schedule;

/// What a file said of its model.
#[derive(Deserialize)]
pub(super) struct Metadata {
    version: String,
    widths: Vec<usize>,
    data: String,
    classes: Vec<String>,
    image: Option<(usize, usize)>,
    #[serde(default)]
    columns: Option<Columns>,
    scaling: Option<Scaling>,
    #[serde(default)]
    framing: Option<Framing>,
    seed: u64,
    epochs: u32,
    #[serde(default)]
    origin: Origin,
    #[serde(default)]
    reading: Options,
    training: Option<Training>,
}

#[derive(Deserialize)]
struct Training {
    rows: usize,
    epochs: u32,
    batch_size: usize,
    schedule: OldSchedule,
    shuffle: bool,
    #[serde(default)]
    init: Option<OldInit>,
    #[serde(default)]
    device: Option<(String, String)>,
    #[serde(default)]
    best: Option<Best>,
}

#[derive(Deserialize)]
struct OldSchedule {
    initial: f64,
    decay: f64,
    every: u32,
    floor: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OldInit {
    Normal(f32),
    He,
}

impl From<Metadata> for super::Metadata {
    fn from(old: Metadata) -> Self {
        let hidden = old.widths.get(1..old.widths.len().saturating_sub(1)).unwrap_or_default().to_vec();
        let mut recipe = Recipe { hidden, seed: old.seed, epochs: old.epochs, ..Recipe::default() };
        let mut training = super::Training::default();
        if let Some(Training { rows, epochs, batch_size, schedule, shuffle, init, device, best }) = old.training {
            let OldSchedule { initial, decay, every, floor } = schedule;
            recipe.schedule = Schedule {
                lr: initial,
                lr_decay: decay,
                lr_decay_every: every,
                min_lr: Some(floor),
                ..Schedule::default()
            };
            (recipe.epochs, recipe.batch_size, recipe.shuffle) = (epochs, batch_size.max(1), shuffle);
            let step = rows.div_ceil(recipe.batch_size) as u64 * u64::from(old.epochs);
            let init_from = init.is_none().then(|| "a file that is not named".into());
            recipe.init = match init {
                Some(OldInit::Normal(deviation)) => Init::Normal(deviation),
                Some(OldInit::He) => Init::He,
                None => recipe.init,
            };
            training = super::Training { rows, step, init_from, device, best, ..super::Training::default() };
        }
        Self {
            format_version: 1,
            version: old.version,
            widths: old.widths,
            data: old.data,
            classes: old.classes,
            target_scale: None,
            image: old.image,
            columns: old.columns,
            schema: None,
            scaling: old.scaling,
            range: None,
            framing: old.framing,
            epochs: old.epochs,
            origin: old.origin,
            reading: old.reading,
            recipe,
            training,
        }
    }
}
