//! What a run does: what the flags say, and what the model says that it goes on from.

use std::fmt::{Debug, Display};
use std::path::Path;

use super::Options;
use crate::checkpoint::{Checkpoint, Training};
use crate::cli::{Hidden, PlanChoice};
use crate::data::{self, Dataset, Header, classes};
use crate::error::{Error, Result};
use crate::model::Init;
use crate::schedule::Schedule;
use crate::train;

/// The model that a run goes on from, and how it was trained.
pub(super) struct Resumed<'a> {
    path: &'a Path,
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) training: &'a Training,
}

impl<'a> Resumed<'a> {
    /// The model of `path`, if its file says how it was trained.
    pub(super) fn new(path: &'a Path, checkpoint: &'a Checkpoint) -> Result<Self> {
        match checkpoint.metadata.as_ref().and_then(|metadata| metadata.training.as_ref()) {
            Some(training) => Ok(Self { path, checkpoint, training }),
            None => {
                let expected = "a file of train --save (--init-from starts anew from any file)";
                Err(Error::file(path, "a model that does not say how it was trained", expected))
            }
        }
    }

    /// What flag `flag` comes to: `given`, if that is what the model was trained with.
    fn agree<T: PartialEq + Debug>(&self, flag: &str, given: Option<T>, kept: T) -> Result<T> {
        match given {
            Some(given) if given != kept => {
                Err(self.contradiction(flag, &format!("{given:?}"), &format!("with {kept:?}")))
            }
            _ => Ok(kept),
        }
    }

    /// Refuses a share that is not the one that was drawn.
    fn agree_share(&self, flag: &str, given: Option<f64>, drawn: Option<f64>) -> Result<()> {
        match given {
            Some(given) if drawn != Some(given) => {
                let kept = drawn.map_or_else(|| "without it".into(), |share| format!("with {share}"));
                Err(self.contradiction(flag, &given, &kept))
            }
            _ => Ok(()),
        }
    }

    fn contradiction(&self, flag: &str, given: &dyn Display, kept: &dyn Display) -> Error {
        let path = self.path.display();
        Error::Usage(format!(
            "{} contradicts {path}, which was trained {kept}: leave {flag} out, or --resume",
            format!("{flag} {given}").trim_end()
        ))
    }

    /// Refuses a data set that is not the one that the model was trained on, read and parted in the same way.
    pub(super) fn check_data(&self, options: &Options, dataset: &Dataset) -> Result<()> {
        let Some(metadata) = &self.checkpoint.metadata else { return Ok(()) };
        let given = |flag: &str, given: bool| if given { flag.to_owned() } else { String::new() };
        let own = &options.data;
        let label = given("--label ", own.label.is_some()) + &given("--header ", own.header != Header::Auto);
        let (origin, kept) = (dataset.origin, metadata.origin);
        let differing = [
            (dataset.columns != metadata.columns, label, "other columns"),
            (dataset.classes != metadata.classes, String::new(), "other classes"),
            (
                dataset.image != metadata.image,
                given("--image-size ", own.image_size.is_some()),
                "images of another size",
            ),
            (!origin.same_rows(&kept), given("--data ", own.data.is_some()), "other rows"),
            (origin.test != kept.test, given("--test-split ", own.test_split.is_some()), "another test part"),
            (origin.validation != kept.validation, String::new(), "another validation part"),
            (dataset.scaling != metadata.scaling, given("--scale ", own.scale.is_some()), "features of another scale"),
        ];
        match differing.into_iter().find(|(differs, ..)| *differs) {
            Some((_, flags, what)) if !flags.is_empty() => {
                let flags = flags.trim_end();
                Err(Error::Usage(format!(
                    "{flags}: makes {what} of {} than {} was trained on ({}): leave it out, or --resume",
                    dataset.name,
                    self.path.display(),
                    metadata.data
                )))
            }
            Some((.., what)) => Err(Error::Data(format!(
                "{}: found {what} ({} rows, classes {}), expected what {} was trained on: {} with {} rows",
                dataset.name,
                origin.rows,
                classes::list(&dataset.classes),
                self.path.display(),
                metadata.data,
                kept.rows
            ))),
            None => Ok(()),
        }
    }
}

/// What a run does, whether by a flag, by the model that it goes on from, or by default.
pub(super) struct Settings {
    /// The data set.
    pub(super) source: String,
    /// How it is read.
    pub(super) reading: data::Options,
    pub(super) hidden: Vec<usize>,
    /// How weights begin; none where the data decides.
    pub(super) init: Option<Init>,
    /// The batch size is not yet held down to the rows that there are.
    pub(super) run: train::Options,
    pub(super) plan: PlanChoice,
}

impl Settings {
    /// Of a new run, perhaps with the parameters of `initial`.
    pub(super) fn new(options: &Options, initial: Option<&Checkpoint>) -> Self {
        let default = train::Options::default();
        let rate = default.schedule;
        let seed = options.seed.unwrap_or(default.seed);
        let kept = |initial: &Checkpoint| hidden(initial).to_vec();
        let given = options.hidden.as_ref().map(|Hidden(widths)| widths.clone());
        Self {
            source: options.data.data.clone().unwrap_or_else(|| "auto".into()),
            reading: options.data.reading(seed),
            hidden: given.or(initial.map(kept)).unwrap_or_else(|| vec![7]),
            init: options.init,
            run: train::Options {
                epochs: options.epochs.unwrap_or(default.epochs),
                batch_size: options.batch_size.map_or(default.batch_size, |rows| rows as usize),
                schedule: Schedule {
                    initial: options.lr.unwrap_or(rate.initial),
                    decay: options.lr_decay.unwrap_or(rate.decay),
                    every: options.lr_decay_every.unwrap_or(rate.every),
                    floor: options.min_lr.unwrap_or(rate.floor),
                },
                seed,
                shuffle: !options.no_shuffle,
                ..default
            },
            plan: options.plan,
        }
    }

    /// Of a run that goes on from `resumed`.
    pub(super) fn resume(options: &Options, resumed: &Resumed<'_>) -> Result<Self> {
        let (training, rate) = (resumed.training, resumed.training.schedule);
        let Some(metadata) = &resumed.checkpoint.metadata else { return Ok(Self::new(options, None)) };
        let hidden_given = options.hidden.as_ref().map(|Hidden(widths)| widths.clone());
        let hidden = resumed.agree("--hidden", hidden_given, hidden(resumed.checkpoint).to_vec())?;
        let seed = resumed.agree("--seed", options.seed, metadata.seed)?;
        let epochs = options.epochs.unwrap_or(training.epochs);
        if epochs < metadata.epochs {
            let done = format!("for {} epochs (--epochs is the total)", metadata.epochs);
            return Err(resumed.contradiction("--epochs", &epochs, &done));
        }
        if options.no_shuffle && training.shuffle {
            return Err(resumed.contradiction("--no-shuffle", &"", &"with a new order each epoch"));
        }
        // A batch of at least all rows is as large as they are many.
        let batch_size = match options.batch_size.map(|rows| rows as usize) {
            Some(given) if given > training.batch_size && training.batch_size == training.rows => given,
            given => resumed.agree("--batch-size", given, training.batch_size)?,
        };
        let schedule = Schedule {
            initial: resumed.agree("--lr", options.lr, rate.initial)?,
            decay: resumed.agree("--lr-decay", options.lr_decay, rate.decay)?,
            every: resumed.agree("--lr-decay-every", options.lr_decay_every, rate.every)?,
            floor: resumed.agree("--min-lr", options.min_lr, rate.floor)?,
        };
        let source = match &options.data.data {
            Some(given) if *given != metadata.data && given != "auto" => {
                if ![given, &metadata.data].iter().all(|path| Path::new(path).exists()) {
                    return Err(resumed.contradiction("--data", given, &format!("on {}", metadata.data)));
                }
                given.clone()
            }
            Some(given) => given.clone(),
            None => metadata.data.clone(),
        };
        resumed.agree_share("--test-split", options.data.test_split, metadata.origin.test)?;
        resumed.agree_share("--validation-split", options.data.validation_split, metadata.origin.validation)?;
        let reading = options.data.reading(seed).or(&metadata.reading);
        let run = train::Options {
            epochs,
            done: metadata.epochs,
            batch_size,
            schedule,
            seed,
            shuffle: training.shuffle,
            ..train::Options::default()
        };
        let plan = match (&training.device, options.plan) {
            (Some((backend, plan)), PlanChoice::Auto) if backend == "gpu" => PlanChoice::named(plan),
            (_, plan) => plan,
        };
        Ok(Self { source, reading, hidden, init: training.init, run, plan })
    }
}

/// Widths of the hidden layers.
fn hidden(checkpoint: &Checkpoint) -> &[usize] {
    let widths = checkpoint.model.widths();
    &widths[1..widths.len() - 1]
}
