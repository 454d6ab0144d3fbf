//! The CPU backend: the training engine of [`network`], and one file per kernel, the oracle of the shader of the same name.
//!
//! Results do not depend on timing or on the number of threads: each sum has a fixed order.

use std::sync::Arc;

use rayon::prelude::*;

use crate::backend::fit::{check_samples, row_weights, rows_of, warper};
use crate::backend::{About, Backend, Evaluating, KernelTime, Measure, Parts, Peak, Precision, Split, Steps, Ticket};
use crate::data::{Inputs, Targets, View};
use crate::error::{Error, Result};
use crate::metrics::Evaluation;
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::state::State;
use network::{Buffers, Examples, Held, Network, Rows};
use sparse::SparseRows;
use store::Store;
use team::{Pace, Team};
use vector::augment::Augmenter;
use vector::{Vectors, pitch};

pub mod activate;
pub mod activate_backward;
pub mod augment;
pub mod bias_add;
pub mod circle;
pub mod clip;
pub mod cross_entropy;
pub mod dropout;
pub mod embed;
pub mod embed_backward;
pub mod front_step;
pub mod gather_f32;
pub mod gather_u8;
pub mod head;
pub mod loss_gradient;
pub mod matmul;
pub mod matmul_a_bt;
pub mod matmul_at_b;
mod narrow;
pub mod network;
mod panels;
mod peak;
pub mod reduce_rows;
pub mod reference;
pub mod row_softmax;
pub mod scale;
pub mod scale_backward;
mod sparse;
pub mod squares;
pub mod step;
pub mod store;
pub mod sum;
mod team;
pub mod vector;

/// Rows evaluated at a time by a thread: enough for an efficient product, few enough to stay in its cache.
const EVALUATION_ROWS: usize = 256;

/// Floating-point operations, as dense products, between two looks at what else is asked for: a fifth of a second where
/// they are slow.
const WORK: f64 = 2e10;

/// The name of its one plan.
pub(crate) const PLAN: &str = "fused";

/// A model and its data in memory, trained by a fixed number of threads.
pub struct Cpu {
    model: Mlp,
    recipe: Recipe,
    network: Network,
    buffers: Buffers,
    data: Parts<Resident>,
    evaluating: Evaluating<Pending>,
    /// The state that the last evaluation is of.
    evaluated: State,
    store: Store,
    team: Team,
}

/// The rows `order` of `inputs` as numbers: `x` is `order.len() x width`.
pub(crate) fn gather(inputs: &Inputs, order: &[u32], width: usize, x: &mut [f32]) {
    match inputs {
        Inputs::U8(data) => gather_u8::gather_u8(data, order, width, x),
        Inputs::F32(data) => gather_f32::gather_f32(data, order, width, x),
    }
}

/// A part of a data set.
struct Resident {
    rows: Arc<Rows>,
    view: View,
    /// How much each row weighs, where they differ.
    weights: Option<Vec<f32>>,
    /// What training augments them with.
    augmenter: Option<Augmenter>,
}

/// An evaluation: to be done when it is collected, or done because the state was about to change.
enum Pending {
    Asked(Vec<Split>),
    Done(Vec<Evaluation>),
}

impl Cpu {
    /// A backend that trains `model` by `recipe`, all parameters 0, on `threads` threads (0: one per core).
    ///
    /// # Errors
    /// [`Error::Usage`] when the threads cannot be started or the batch is empty.
    pub fn new(model: Mlp, recipe: &Recipe, threads: usize) -> Result<Self> {
        Self::with_vectors(model, recipe, threads, Vectors::detect())
    }

    /// The same, which shares what there is of data sets in `store`.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn sharing(store: &Store, model: Mlp, recipe: &Recipe, threads: usize) -> Result<Self> {
        Ok(Self { store: store.clone(), ..Self::new(model, recipe, threads)? })
    }

    /// The same with the instructions `vectors`.
    ///
    /// # Errors
    /// As [`Cpu::new`].
    pub fn with_vectors(model: Mlp, recipe: &Recipe, threads: usize, vectors: Vectors) -> Result<Self> {
        if recipe.batch_size == 0 {
            return Err(Error::Usage("a batch needs at least one row".into()));
        }
        Ok(Self {
            network: Network::new(&model, recipe.into(), vectors),
            buffers: Buffers::default(),
            data: Parts::default(),
            evaluating: Evaluating::default(),
            evaluated: State::default(),
            store: Store::default(),
            team: Team::new(threads)?,
            recipe: recipe.clone(),
            model,
        })
    }

    /// The state is about to change: does the evaluation that was asked for in this one.
    fn settle(&mut self) -> Result<()> {
        let Some(Pending::Asked(splits)) = &self.evaluating.pending else { return Ok(()) };
        let found = splits.iter().map(|&split| self.evaluation(split)).collect::<Result<_>>()?;
        self.evaluating.pending = Some(Pending::Done(found));
        Ok(())
    }

    fn state_now(&self) -> State {
        self.network.state()
    }

    /// What there is to measure over the whole of `split`.
    fn evaluation(&self, split: Split) -> Result<Evaluation> {
        let Resident { rows, view, .. } = self.data.get(split)?;
        let (order, outputs) = (view.order(), self.model.outputs());
        match &view.samples.targets {
            Targets::Classes(labels) => {
                // Each row's loss and predicted class.
                let mut results = vec![(0.0f32, 0u32); order.len()];
                self.outputs(rows, &order, &mut results, 1, |results, order, p| {
                    for ((result, &row), p) in results.iter_mut().zip(order).zip(p.chunks_exact(pitch(outputs))) {
                        *result = cross_entropy::loss_and_class(&p[..outputs], labels[row as usize] as usize);
                    }
                });
                let mut total = Evaluation::empty(outputs);
                for (&(loss, class), &row) in results.iter().zip(order.iter()) {
                    total.count(f64::from(loss), labels[row as usize], class);
                }
                Ok(total)
            }
            Targets::Values(_) => {
                let mut predicted = vec![0.0; order.len() * outputs];
                self.outputs(rows, &order, &mut predicted, outputs, |predicted, _, f| {
                    for (predicted, f) in predicted.chunks_exact_mut(outputs).zip(f.chunks_exact(pitch(outputs))) {
                        predicted.copy_from_slice(&f[..outputs]);
                    }
                });
                Ok(head::values_evaluation(self.recipe.loss, &predicted, &view.values(), outputs))
            }
        }
    }

    /// Lets all threads work on each step where `drawn` is not set, and else on each step a number of them that is drawn:
    /// for checks that the bits depend on neither.
    pub(crate) fn fix_pace(&mut self, drawn: bool) {
        let most = self.team.threads();
        self.team.set_pace(if drawn { Pace::Drawn { most, state: 1 } } else { Pace::Fixed(most) });
    }

    /// Calls `with` with each chunk of `results` (`count` values for each row of `order`), the rows it is for, and their outputs
    /// (rows of `pitch(outputs)`), in parallel.
    fn outputs<T: Send>(
        &self,
        rows: &Rows,
        order: &[u32],
        results: &mut [T],
        count: usize,
        with: impl Fn(&mut [T], &[u32], &[f32]) + Sync,
    ) {
        self.team.install(|| {
            let chunks = results.par_chunks_mut(EVALUATION_ROWS * count).zip(order.par_chunks(EVALUATION_ROWS));
            chunks.for_each_init(Buffers::default, |buffers, (results, order)| {
                with(results, order, self.network.outputs(rows, order, buffers));
            });
        });
    }
}

impl Backend for Cpu {
    fn about(&self) -> About {
        let data: usize = self.data.iter().map(|part| part.rows.bytes() + part.view.samples.targets.bytes()).sum();
        let threads = self.team.threads();
        About {
            name: "cpu",
            device: if threads == 1 { "1 thread".into() } else { format!("{threads} threads") },
            plan: PLAN,
            plan_reason: "the CPU backend's only one",
            precision: Precision::F32,
            dispatches: None,
            bytes: (data + self.network.bytes() + self.buffers.bytes()) as u64,
            streamed: Vec::new(),
        }
    }

    fn upload_view(&mut self, split: Split, view: &View) -> Result<()> {
        let samples = &view.samples;
        check_samples(&self.model, samples)?;
        let augmenter = warper(&self.recipe, split, samples)?.map(Augmenter::new);
        // Inputs that are dropped, moved or embedded are not those that are 0.
        let changed = self.model.input_dropout() > 0.0 || augmenter.is_some() || !self.model.front().is_none();
        let rows = if changed || self.recipe.batch_size > SparseRows::MAX_BATCH {
            Arc::new(Rows::dense(samples))
        } else {
            self.store.rows(samples, self.team.threads())
        };
        let weights = row_weights(&self.model, &self.recipe, split, samples)?;
        self.data.set(split, Resident { rows, view: view.clone(), weights, augmenter });
        Ok(())
    }

    fn train(&mut self, steps: Steps<'_>) -> Result<usize> {
        self.settle()?;
        let Self { model, network, recipe, buffers, data, team, .. } = self;
        let Resident { rows, view, weights, augmenter } = data.get(Split::Train)?;
        let samples = &view.samples;
        let batch_size = recipe.batch_size;
        let portion = WORK / (6.0 * model.parameters() as f64 * batch_size as f64);
        let steps = steps.take((portion as usize).max(1), batch_size);
        steps.check(view.len(), batch_size)?;
        let order = view.numbers(steps.order);
        let targets = head::Targets::new(&samples.targets, weights.as_deref());
        let examples = Examples { rows, augmenter: augmenter.as_ref(), targets };
        network.train(team, examples, Steps { order: &order, ..steps }, batch_size, buffers);
        Ok(steps.rates.len())
    }

    fn wait(&mut self) -> Result<()> {
        Ok(())
    }

    fn evaluate(&mut self, splits: &[Split]) -> Result<Ticket> {
        for &split in splits {
            self.data.get(split)?;
        }
        self.evaluated = self.state_now();
        Ok(self.evaluating.begin(Pending::Asked(splits.to_vec()), false))
    }

    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Evaluation>> {
        match self.evaluating.take(ticket)? {
            Pending::Asked(splits) => splits.iter().map(|&split| self.evaluation(split)).collect(),
            Pending::Done(found) => Ok(found),
        }
    }

    fn predict(&mut self, inputs: &Inputs) -> Result<Vec<f32>> {
        let count = rows_of(&self.model, inputs)? as usize;
        let width = self.model.outputs();
        let rows = Rows::Dense(Held::Own(inputs.clone()));
        let order: Vec<u32> = (0..count as u32).collect();
        let mut found = vec![0.0; count * width];
        self.outputs(&rows, &order, &mut found, width, |results, _, outputs| {
            for (result, outputs) in results.chunks_exact_mut(width).zip(outputs.chunks_exact(pitch(width))) {
                result.copy_from_slice(&outputs[..width]);
            }
        });
        Ok(found)
    }

    fn state(&mut self, at: Option<Ticket>) -> Result<State> {
        let Some(ticket) = at else { return Ok(self.state_now()) };
        self.evaluating.check(ticket)?;
        Ok(self.evaluated.clone())
    }

    fn set_state(&mut self, state: &State) -> Result<()> {
        self.settle()?;
        state.check(&self.model, self.recipe.optimizer.kind)?;
        self.network.set_state(state);
        Ok(())
    }

    fn measure(&mut self) -> Option<&mut dyn Measure> {
        Some(self)
    }
}

impl Measure for Cpu {
    fn profile(&mut self, _: Steps<'_>) -> Result<Option<Vec<KernelTime>>> {
        Ok(None)
    }

    fn peak(&mut self) -> Result<Peak> {
        Ok(peak::peak(&self.team, self.network.vectors()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::augment::Warper;
    use super::*;
    use crate::augment::Augment;
    use crate::backend::BackendExt;
    use crate::data::Samples;
    use crate::model::Init;

    /// The parameters after two epochs of 150 rows.
    fn trained(widths: &[usize], batch_size: usize, bytes: bool, threads: usize, pace: Option<Pace>) -> Vec<u32> {
        let model = Mlp::new(widths).unwrap();
        let (rows, width) = (150, widths[0]);
        let pixel = |at: usize| if at * 2_654_435_761 % 97 < 20 { (at % 251) as u8 } else { 0 };
        let pixels: Vec<u8> = (0..rows * width).map(pixel).collect();
        let inputs = if bytes {
            Inputs::U8(pixels)
        } else {
            Inputs::F32(pixels.iter().map(|&byte| f32::from(byte) / 255.0).collect())
        };
        let labels = (0..rows).map(|row| (row % model.classes()) as u32).collect();
        let samples = Arc::new(Samples::new(inputs, width, labels).unwrap());
        let recipe = Recipe { batch_size, ..Recipe::default() };
        let mut cpu = Cpu::new(model.clone(), &recipe, threads).unwrap();
        if let Some(pace) = pace {
            cpu.team.set_pace(pace);
        }
        cpu.upload(Split::Train, &samples).unwrap();
        cpu.set_state(&State::new(model.initial_parameters(Init::He, 3), recipe.optimizer.kind)).unwrap();
        for _ in 0..2 {
            cpu.pass(&(0..rows as u32).rev().collect::<Vec<_>>(), batch_size, 0.1).unwrap();
        }
        cpu.parameters().unwrap().into_iter().map(f32::to_bits).collect()
    }

    /// The parameters after an epoch and a half of 60 images of 6 x 9, in two halves with a state kept between them.
    fn augmented(recipe: &Recipe, samples: Samples, input_dropout: f64, threads: usize) -> Vec<f32> {
        let model = Mlp::new(&[54, 20, 7, 3]).unwrap().with_dropout(input_dropout, &[]).unwrap();
        let open = || {
            let mut cpu = Cpu::new(model.clone(), recipe, threads).unwrap();
            cpu.upload(Split::Train, &Arc::new(samples.clone())).unwrap();
            cpu
        };
        let mut state = State::new(model.initial_parameters(Init::He, 3), recipe.optimizer.kind);
        for order in [(0..60).collect::<Vec<u32>>(), (0..60).take(30).collect()] {
            let mut cpu = open();
            cpu.set_state(&state).unwrap();
            cpu.pass(&order, recipe.batch_size, 0.1).unwrap();
            state = cpu.state(None).unwrap();
        }
        state.parameters
    }

    #[test]
    fn rows_are_augmented_before_inputs_are_dropped_by_seed_step_and_row_alone() {
        let augment = "shift:1.5,rotate:20,scale:0.2,elastic:2".parse().unwrap();
        let recipe = Recipe { batch_size: 16, seed: 5, augment, ..Recipe::default() };
        let pixels: Vec<u8> = (0..60 * 54).map(|at: usize| (at * 2_654_435_761 % 251) as u8).collect();
        let labels: Vec<u32> = (0..60).map(|row| row % 3).collect();
        let rows = |inputs| Samples::new(inputs, 54, labels.clone()).unwrap().with_image((6, 9)).unwrap();
        for input_dropout in [0.0, 0.3] {
            let one = augmented(&recipe, rows(Inputs::U8(pixels.clone())), input_dropout, 1);
            for threads in [2, 3] {
                assert_eq!(augmented(&recipe, rows(Inputs::U8(pixels.clone())), input_dropout, threads), one);
            }
            let other = Recipe { seed: 6, ..recipe.clone() };
            assert_ne!(augmented(&other, rows(Inputs::U8(pixels.clone())), input_dropout, 1), one);
        }
        // As without augmentation on rows that the twin has augmented: one step, as the next augments them anew.
        let mut x = vec![0.0; 16 * 54];
        gather_u8::gather_u8(&pixels, &(0..16).collect::<Vec<u32>>(), 54, &mut x);
        augment::augment(&Warper::new(augment, (6, 9)), Warper::key(5, 1), 0, &mut x);
        let model = Mlp::new(&[54, 20, 7, 3]).unwrap().with_dropout(0.3, &[]).unwrap();
        let step = |recipe: &Recipe, samples: Samples| {
            let mut cpu = Cpu::new(model.clone(), recipe, 2).unwrap();
            cpu.upload(Split::Train, &Arc::new(samples)).unwrap();
            cpu.set_state(&State::new(model.initial_parameters(Init::He, 3), recipe.optimizer.kind)).unwrap();
            cpu.pass(&(0..16).collect::<Vec<u32>>(), 16, 0.1).unwrap();
            cpu.parameters().unwrap()
        };
        let before = Samples::new(Inputs::F32(x), 54, labels[..16].to_vec()).unwrap();
        let plain = Recipe { augment: Augment::default(), ..recipe.clone() };
        assert_eq!(step(&recipe, rows(Inputs::U8(pixels))), step(&plain, before));
    }

    #[test]
    fn rows_of_unknown_size_are_refused_where_training_augments_them() {
        let recipe = Recipe { augment: "shift:1".parse().unwrap(), ..Recipe::default() };
        let samples = Arc::new(Samples::new(Inputs::U8(vec![1; 12]), 6, vec![0, 1]).unwrap());
        let mut cpu = Cpu::new(Mlp::new(&[6, 2]).unwrap(), &recipe, 1).unwrap();
        let error = cpu.upload(Split::Train, &samples).unwrap_err();
        assert!(matches!(&error, Error::Data(text) if text.contains("images of known size")), "{error}");
        cpu.upload(Split::Test, &samples).unwrap();
        let images = Samples::clone(&samples).with_image((2, 3)).unwrap();
        cpu.upload(Split::Train, &Arc::new(images)).unwrap();
    }

    #[test]
    fn predictions_in_portions_are_those_of_all_rows_at_once() {
        let (width, rows) = (1 << 20, 20);
        let model = Mlp::new(&[width, 2]).unwrap();
        let recipe = Recipe::default();
        let mut cpu = Cpu::new(model.clone(), &recipe, 2).unwrap();
        cpu.set_state(&State::new(model.initial_parameters(Init::He, 3), recipe.optimizer.kind)).unwrap();
        let pixels = (0..rows * width).map(|at: usize| (at * 2_654_435_761 % 251) as u8).collect();
        let samples = Samples::new(Inputs::U8(pixels), width, vec![0; rows]).unwrap();
        let found = cpu.predict_all(&samples).unwrap();
        assert_eq!((found.len(), &found), (2 * rows, &cpu.predict(&samples.inputs).unwrap()));
    }

    #[test]
    fn bits_do_not_depend_on_who_does_a_step() {
        for (widths, batch_size) in
            [(&[60, 7, 10][..], 16), (&[60, 12, 9, 10], 7), (&[60, 128, 10], 32), (&[60, 80, 33, 3], 50)]
        {
            for bytes in [true, false] {
                let one = trained(widths, batch_size, bytes, 1, None);
                for threads in [2, 3, 7] {
                    let drawn = (1..4).map(|state| Pace::Drawn { most: threads, state });
                    for pace in [Pace::Fixed(1), Pace::Fixed(threads)].into_iter().chain(drawn) {
                        let name = format!("{widths:?} bytes {bytes}, {threads} threads, {pace:?}");
                        assert_eq!(trained(widths, batch_size, bytes, threads, Some(pace)), one, "{name}");
                    }
                    assert_eq!(trained(widths, batch_size, bytes, threads, None), one);
                }
            }
        }
    }
}
