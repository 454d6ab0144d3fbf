//! `mlp-gpu plot`

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::source::RunOptions;
use crate::cli::{note, print};
use crate::error::{Error, Result};
use crate::files::{self, Named};
use crate::report::chart::{Picture, png, svg};
use crate::report::{Evaluation, Log, evaluation, plots};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    run: RunOptions,
    /// The picture
    #[arg(long, value_enum)]
    what: What,
    /// Write the picture to this file, as SVG or PNG by its ending [default: SVG to standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Loss, accuracy or RMSE, and learning rate by epochs
    Curves,
    /// Confusion matrix
    Confusion,
    /// Weights of the first layer's units: as images, or by columns
    Units,
    /// Most confident mistakes, of images
    Errors,
    /// ROC curves
    Roc,
    /// Accuracy by the predicted class's probability
    Calibration,
    /// How much the error grows without each column, of tables
    Importance,
    /// Predicted by actual values, and how often errors are how large
    Residuals,
    /// Losses of a search's trials by epochs
    Rungs,
    /// Settings and losses of a search's trials
    Settings,
}

/// How a picture is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Svg,
    Png,
}

impl Form {
    fn of(path: &Path) -> Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => Err(Error::Usage(format!("--output {}: give it the ending .svg or .png", path.display()))),
        }
    }
}

pub(in crate::cli) fn run(options: &Options) -> Result<()> {
    let form = options.output.as_deref().map(Form::of).transpose()?.unwrap_or(Form::Svg);
    let outputs: Vec<Named> = options.output.iter().map(|path| ("--output", path.clone())).collect();
    if let Some(path) = &options.output {
        files::check_replaceable(path)?;
        files::refuse_overwriting(&outputs, &options.run.inputs())?;
    }
    let picture = picture(options, &outputs)?;
    let bytes = match form {
        Form::Svg => svg::file(&picture).into_bytes(),
        Form::Png => png::file(&picture)?,
    };
    match &options.output {
        Some(path) => {
            files::write(path, &bytes)?;
            note(&format!("The picture is in {}", path.display()));
            Ok(())
        }
        None => print(String::from_utf8_lossy(&bytes).trim_end()),
    }
}

/// The picture that is asked for.
fn picture(options: &Options, outputs: &[Named]) -> Result<Picture> {
    let (what, run) = (options.what, &options.run);
    let missing = |why: &str| {
        let name = what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        Error::Data(format!("{}: there is no picture {name}: {why}", run.run.display()))
    };
    match what {
        What::Curves => {
            let pictures = match run.log()? {
                Log::Run(log) => plots::curves(&log, None),
                Log::Runs(runs) => plots::curves_of_runs(&runs),
                Log::Search(_) => return Err(missing("a search has rungs and settings")),
            };
            Picture::beside(pictures).ok_or_else(|| missing("no epoch was evaluated"))
        }
        What::Rungs | What::Settings => {
            let Log::Search(search) = run.log()? else { return Err(missing("this is no log of search")) };
            let picture = if what == What::Rungs { plots::rungs } else { plots::settings };
            picture(&search).ok_or_else(|| missing("no trial has ended yet, or nothing was drawn"))
        }
        What::Units => {
            let layer = run.first_layer()?;
            layer.as_ref().and_then(plots::units).ok_or_else(|| missing("it takes a model with a hidden layer"))
        }
        _ => {
            let evaluation = run.report(outputs, what == What::Importance)?.evaluation;
            let Some(evaluation) = evaluation else { return Err(missing("a log alone does not tell, give the model")) };
            of_evaluation(what, &evaluation).map_err(missing)
        }
    }
}

/// The picture `what` of an evaluation; otherwise why there is none.
fn of_evaluation(what: What, evaluation: &Evaluation) -> Result<Picture, &'static str> {
    let classes = || evaluation.classes.as_ref().ok_or("the model predicts values, not classes");
    match what {
        What::Confusion => Ok(plots::confusion(classes()?)),
        What::Roc => plots::roc(classes()?).ok_or("no class has rows of it and others"),
        What::Calibration => plots::calibration(classes()?).ok_or("probabilities are not finite"),
        What::Errors => plots::mistakes(&evaluation.mistakes)
            .ok_or("the rows are no images, or there is no mistake; report shows rows of tables"),
        What::Importance => {
            evaluation.importance.as_ref().and_then(plots::importance).ok_or("rows are images, or columns are too many")
        }
        What::Residuals => {
            let one = |target: &evaluation::Target| [plots::actual_and_predicted(target), plots::errors(target)];
            let pictures = evaluation.targets.iter().flat_map(one).flatten().collect();
            Picture::beside(pictures).ok_or("the model predicts classes, not values")
        }
        What::Curves | What::Rungs | What::Settings | What::Units => Err("it is of something else"),
    }
}
