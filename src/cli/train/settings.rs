//! What a run does: what the flags say, and what the model says that it goes on from.

use std::fmt::Display;
use std::path::Path;

use serde_json::Value;

use super::Options;
use crate::checkpoint::{self, Checkpoint, Metadata};
use crate::cli::cv::TABLE_VALIDATION;
use crate::cli::recipe::{Given, flag, recipe, shown};
use crate::data::{self, Dataset, Header, classes};
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::recipe::Recipe;
use crate::train::Begun;

/// What a run does, whether by a flag, by the model that it goes on from, or by default.
pub(super) struct Settings {
    /// The data set.
    pub(super) source: String,
    /// How it is read.
    pub(super) reading: data::Options,
    /// Its recipe where the rows are images. Batch sizes are not yet held down to the rows that there are.
    images: Result<Recipe>,
    /// Its recipe where they are none.
    others: Result<Recipe>,
}

impl Settings {
    /// Of a new run with what is `given` of its recipe, perhaps with the parameters of `initial`.
    pub(super) fn new(options: &Options, given: &Given, initial: Option<&Checkpoint>) -> Result<Self> {
        let of = |images| recipe(given, images, initial.map(|initial| initial.model.hidden()));
        let (images, others) = match (of(true), of(false)) {
            // Refused before any work, whatever the rows are.
            (Err(error), Err(_)) => return Err(error),
            recipes => recipes,
        };
        let seed = images.as_ref().or(others.as_ref()).map_or(0, |recipe| recipe.seed);
        let source = options.data.data.clone().unwrap_or_else(|| "auto".into());
        let stops = others.as_ref().is_ok_and(|recipe| recipe.stopping.early_stop.is_some());
        let table_validation = stops.then_some(TABLE_VALIDATION);
        let reading = data::Options { table_validation, ..options.data.reading(seed) };
        Ok(Self { source, reading, images, others })
    }

    /// The most epochs that the run may have.
    pub(super) fn epochs(&self) -> u32 {
        [&self.images, &self.others].into_iter().flatten().map(|recipe| recipe.epochs).max().unwrap_or(0)
    }

    /// The run's recipe on rows that are images, or are none.
    pub(super) fn recipe(self, images: bool) -> Result<Recipe> {
        if images { self.images } else { self.others }
    }
}

/// The model that a run goes on from, and how it was trained.
pub(super) struct Resumed<'a> {
    pub(super) path: &'a Path,
    pub(super) metadata: &'a Metadata,
}

impl<'a> Resumed<'a> {
    /// The model of `path`, if its file says how it was trained.
    pub(super) fn new(path: &'a Path, checkpoint: &'a Checkpoint) -> Result<Self> {
        match &checkpoint.metadata {
            Some(metadata) if metadata.training.rows > 0 => Ok(Self { path, metadata }),
            _ => {
                let expected = "a file of train --save (--init-from starts anew from any file)";
                Err(Error::file(path, "a model that does not say how it was trained", expected))
            }
        }
    }

    /// How much of the run is done beside whole epochs; `model` is what it trains.
    pub(super) fn begun(&self, model: &Mlp) -> Result<Begun> {
        checkpoint::midway::begun(self.path, self.metadata, model, self.metadata.recipe.optimizer.kind)
    }

    /// What the run does: what the model was trained with. The flags that are `given` may say the same again, and how many epochs
    /// there are to be.
    pub(super) fn settings(&self, options: &Options, given: &Given) -> Result<Settings> {
        let Metadata { training, recipe, epochs: done, .. } = self.metadata;
        let (kept, mut given) = (recipe.options()?, given.clone());
        // A batch of at least all rows is as large as they are many.
        let capped = recipe.batch_size == training.rows;
        if capped && given.get("batch_size").and_then(Value::as_u64) > Some(training.rows as u64) {
            given.remove("batch_size");
        }
        for (name, value) in &given {
            let kept = kept.get(name).unwrap_or(&Value::Null);
            if name == "epochs" {
                if value.as_u64() < Some(u64::from(*done)) {
                    let trained = format!("for {done} epochs (--epochs is the total)");
                    return Err(self.contradiction("--epochs", value, &trained));
                }
            } else if name == "shuffle" && value != kept {
                return Err(self.contradiction(&flag(name), &"", &"with a new order each epoch"));
            } else if value != kept {
                return Err(self.contradiction(&flag(name), &shown(value), &format!("with {}", shown(kept))));
            }
        }
        let recipe = recipe.overlaid(&given)?;
        let reading = self.reading(options, self.metadata.drawn_by())?;
        Ok(Settings { source: self.source(options)?, reading, images: Ok(recipe.clone()), others: Ok(recipe) })
    }

    fn source(&self, options: &Options) -> Result<String> {
        let kept = &self.metadata.data;
        match &options.data.data {
            Some(given) if given != kept && given != "auto" => {
                if ![given, kept].iter().all(|path| Path::new(path).exists()) {
                    return Err(self.contradiction("--data", given, &format!("on {kept}")));
                }
                Ok(given.clone())
            }
            given => Ok(given.as_ref().unwrap_or(kept).clone()),
        }
    }

    fn reading(&self, options: &Options, seed: u64) -> Result<data::Options> {
        let (given, drawn) = (&options.data, &self.metadata.origin);
        for (flag, given, drawn) in [
            ("--test-split", given.test_split, drawn.test),
            ("--validation-split", given.validation_split, drawn.validation),
        ] {
            if let Some(given) = given
                && drawn != Some(given).filter(|share| *share > 0.0)
            {
                let kept = drawn.map_or_else(|| "without it".into(), |share| format!("with {share}"));
                return Err(self.contradiction(flag, &given, &kept));
            }
        }
        let plain = self.metadata.columns.is_some() && self.metadata.schema.is_none();
        Ok(data::Options { plain, ..given.reading(seed).or(&self.metadata.reading) })
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
        let metadata = self.metadata;
        let given = |flag: &str, given: bool| if given { flag.to_owned() } else { String::new() };
        let own = &options.data;
        let label =
            given("--label ", own.table.label.is_some()) + &given("--header ", own.table.csv.header != Header::Auto);
        let (origin, kept) = (dataset.origin, metadata.origin);
        let differing = [
            (dataset.columns != metadata.columns, label, "other columns"),
            (dataset.schema != metadata.schema, String::new(), "columns that become other features"),
            (dataset.classes != metadata.classes, String::new(), "other classes"),
            (
                dataset.target_scale != metadata.target_scale,
                given("--task ", own.table.task.is_some()),
                "other targets",
            ),
            (
                dataset.image() != metadata.image,
                given("--image-size ", own.images.image_size.is_some()),
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
