//! What an [`Ensemble`] predicts on a device, and how good that is.
//!
//! Members work one after the other, each with all threads of the device. Those of the same shape share a backend, so that
//! hundreds of members start no more threads than one does. Means are taken in float64, in the order of the members.

use std::sync::Arc;

use crate::backend::cpu::{cross_entropy, head};
use crate::backend::select::Selected;
use crate::backend::{About, Backend, BackendExt, Split};
use crate::checkpoint::Ensemble;
use crate::data::{Inputs, Samples, Targets};
use crate::error::{Error, Remedy, Result};
use crate::metrics::Evaluation;
use crate::model::Mlp;
use crate::recipe::{Loss, Recipe};

/// An ensemble on a device.
pub struct Running<'a> {
    ensemble: &'a Ensemble,
    selected: &'a Selected,
    opened: Vec<Opened>,
}

/// A backend of members of one shape.
struct Opened {
    model: Mlp,
    recipe: Recipe,
    backend: Box<dyn Backend>,
    /// The member whose parameters it holds.
    holds: usize,
    /// The reading whose rows it holds.
    uploaded: Option<usize>,
}

/// What an ensemble predicts for some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// The weighted mean over the members, `rows x outputs`, row-major: probabilities of classes, or values in the unit of the
    /// targets.
    pub of: Vec<f64>,
    /// The standard deviation of the members' values around it, in the same unit: the root of the weighted mean of the squared
    /// differences. Empty for classes.
    pub spread: Vec<f64>,
}

/// How good predictions are.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluated {
    /// What can be summed over the rows.
    pub found: Evaluation,
    /// The outputs, `rows x outputs`, row-major: probabilities of classes, or standardised values.
    pub predicted: Vec<f32>,
}

impl Ensemble {
    /// The ensemble on the device that was `selected`.
    pub fn on<'a>(&'a self, selected: &'a Selected) -> Running<'a> {
        Running { ensemble: self, selected, opened: Vec::new() }
    }
}

impl Running<'_> {
    /// The backend of member `number`, with its parameters.
    fn open(&mut self, number: usize) -> Result<&mut Opened> {
        let member = &self.ensemble.members()[number];
        let (model, recipe) = member.to_evaluate()?;
        let found = self.opened.iter().position(|opened| opened.model == model && opened.recipe == recipe);
        let at = match found {
            Some(at) => at,
            None => {
                // A backend of the CPU has threads, and is soon opened; one of a GPU has none, and has shaders to compile.
                if self.selected.gpu.is_none() {
                    self.opened.clear();
                }
                let (backend, _) = self.selected.backend(&model, &recipe)?;
                self.opened.push(Opened { model, recipe, backend, holds: usize::MAX, uploaded: None });
                self.opened.len() - 1
            }
        };
        let opened = &mut self.opened[at];
        if opened.holds != number {
            opened.backend.set_state(&member.state_to_evaluate())?;
            opened.holds = number;
        }
        Ok(opened)
    }

    /// What it runs on.
    ///
    /// # Errors
    /// As [`Selected::backend`].
    pub fn about(&mut self) -> Result<About> {
        Ok(self.open(0)?.backend.about())
    }

    /// Predicts for rows, which `inputs` holds as each of [`Ensemble::readers`] takes them.
    ///
    /// # Errors
    /// [`Error::Data`] for inputs of another number of readers or rows, and what the backend fails with.
    pub fn predict(&mut self, inputs: &[Inputs]) -> Result<Prediction> {
        let ensemble = self.ensemble;
        let readers = ensemble.readers();
        check_rows(
            ensemble,
            inputs
                .iter()
                .enumerate()
                .map(|(reading, inputs)| inputs.len() / readers.get(reading).map_or(1, |reader| reader.model.inputs())),
        )?;
        let mut mean = Mean::new(ensemble);
        for (number, &reading) in ensemble.readings().iter().enumerate() {
            let predicted = self.open(number)?.backend.predict(&inputs[reading])?;
            check_finite(ensemble, number, &predicted)?;
            mean.add(number, &predicted);
        }
        Ok(mean.prediction())
    }

    /// Evaluates rows, which `samples` holds as each of [`Ensemble::readers`] takes them. What each member predicts by itself is
    /// told to `each`, with its number.
    ///
    /// Values are compared and their loss taken as the first member standardises them.
    ///
    /// # Errors
    /// As [`Running::predict`], and what `each` fails with.
    pub fn evaluate(
        &mut self,
        samples: &[Arc<Samples>],
        mut each: impl FnMut(usize, &Evaluated) -> Result<()>,
    ) -> Result<Evaluated> {
        let ensemble = self.ensemble;
        // Others may have been evaluated before.
        self.opened.iter_mut().for_each(|opened| opened.uploaded = None);
        check_rows(ensemble, samples.iter().map(|samples| samples.len()))?;
        let first = &samples[0];
        if samples.iter().any(|other| matches!(&other.targets, Targets::Classes(_)) && other.targets != first.targets) {
            return Err(other_rows(ensemble));
        }
        let mut mean = Mean::new(ensemble);
        for (number, &reading) in ensemble.readings().iter().enumerate() {
            let Opened { backend, uploaded, .. } = self.open(number)?;
            if *uploaded != Some(reading) {
                backend.upload(Split::Test, &samples[reading])?;
                *uploaded = Some(reading);
            }
            let found = backend.evaluate_now(Split::Test)?;
            let own = Evaluated { found, predicted: backend.predict_all(&samples[reading])? };
            check_finite(ensemble, number, &own.predicted)?;
            each(number, &own)?;
            if ensemble.len() == 1 {
                return Ok(own);
            }
            mean.add(number, &own.predicted);
        }
        let of = mean.prediction().of;
        let predicted: Vec<f32> = match ensemble.target_scale() {
            Some(scale) => scale.apply(&of),
            None => of.into_iter().map(|probability| probability as f32).collect(),
        };
        let (model, recipe) = ensemble.first().to_evaluate()?;
        let found = evaluation(recipe.loss, &predicted, &first.targets, model.outputs());
        Ok(Evaluated { found, predicted })
    }
}

/// How good the `predicted` rows of `outputs` probabilities, or standardised values, are by `loss`.
pub(crate) fn evaluation(loss: Loss, predicted: &[f32], targets: &Targets, outputs: usize) -> Evaluation {
    match targets {
        Targets::Classes(labels) => {
            let mut total = Evaluation::empty(outputs);
            for (p, &label) in predicted.chunks_exact(outputs).zip(labels) {
                let (loss, class) = cross_entropy::loss_and_class(p, label as usize);
                total.count(f64::from(loss), label, class);
            }
            total
        }
        Targets::Values(values) => head::values_evaluation(loss, predicted, values, outputs),
    }
}

/// Refuses predictions of member `number` that are not finite: its parameters are too large for these rows.
fn check_finite(ensemble: &Ensemble, number: usize, predicted: &[f32]) -> Result<()> {
    let outputs = ensemble.first().model.outputs().max(1);
    let Some(at) = predicted.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let of = if ensemble.len() > 1 { format!("member {number} of ") } else { String::new() };
    Err(Error::Data(format!(
        "{of}{} gives {} for row {}: its parameters are too large for these inputs; train it anew at a lower rate",
        ensemble.name(),
        predicted[at],
        at / outputs
    )))
}

/// Checks that there are `rows` for each reader, as many for each.
fn check_rows(ensemble: &Ensemble, rows: impl ExactSizeIterator<Item = usize>) -> Result<()> {
    let (given, readers) = (rows.len(), ensemble.readers().len());
    if given != readers {
        let name = ensemble.name();
        return Err(Error::Data(format!(
            "rows read in {given} ways do not fit {name}, whose members read them in {readers}"
        )));
    }
    let rows: Vec<usize> = rows.collect();
    if rows.iter().any(|count| *count != rows[0]) { Err(other_rows(ensemble)) } else { Ok(()) }
}

fn other_rows(ensemble: &Ensemble) -> Error {
    let name = ensemble.name();
    let error = format!("the members of {name} take other rows of these data: their parts were drawn in other ways");
    Error::Data(error).advise(&[Remedy::Option("seed")])
}

/// The weighted mean of what members predict, and the spread around it. Both are taken of the differences from the first
/// member, so that the mean of equal numbers is that number, and a spread that is small beside the values keeps its digits.
struct Mean<'a> {
    ensemble: &'a Ensemble,
    first: Vec<f64>,
    differences: Vec<f64>,
    /// For values.
    squares: Vec<f64>,
}

impl<'a> Mean<'a> {
    fn new(ensemble: &'a Ensemble) -> Self {
        Self { ensemble, first: Vec::new(), differences: Vec::new(), squares: Vec::new() }
    }

    /// Adds the `outputs` of member `number`, the first of which is 0.
    fn add(&mut self, number: usize, outputs: &[f32]) {
        let values = match self.ensemble.members()[number].target_scale() {
            Some(scale) => scale.undo(outputs),
            None => outputs.iter().copied().map(f64::from).collect(),
        };
        if number == 0 {
            self.differences = vec![0.0; values.len()];
            self.squares = vec![0.0; if self.ensemble.target_scale().is_some() { values.len() } else { 0 }];
            self.first = values;
            return;
        }
        let weight = f64::from(self.ensemble.weights()[number]);
        let difference = |(value, first): (f64, &f64)| value - first;
        for (sum, difference) in self.squares.iter_mut().zip(values.iter().copied().zip(&self.first).map(difference)) {
            *sum += weight * difference * difference;
        }
        for (sum, difference) in self.differences.iter_mut().zip(values.into_iter().zip(&self.first).map(difference)) {
            *sum += weight * difference;
        }
    }

    fn prediction(self) -> Prediction {
        let total: f64 = self.ensemble.weights().iter().copied().map(f64::from).sum();
        let mean = |sum: &f64| sum / total;
        let spread = |(squares, sum): (f64, &f64)| (squares / total - mean(sum).powi(2)).max(0.0).sqrt();
        let spread = self.squares.into_iter().zip(&self.differences).map(spread).collect();
        let of = self.first.iter().zip(&self.differences).map(|(first, sum)| first + mean(sum)).collect();
        Prediction { of, spread }
    }
}
