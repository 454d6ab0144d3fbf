//! The body of the page of a single run: its figures, its curves, how good its model is and what it looks at.

use super::{Cell, Page, classes, extreme, said, seconds, values};
use crate::recipe::shown;
use crate::report::chart::{Picture, ticks};
use crate::report::log::Run;
use crate::report::{Evaluation, plots};

/// Adds all that the log of `run` and the `evaluation` of a model say.
pub(super) fn add(page: &mut Page, run: Option<&Run>, evaluation: Option<&Evaluation>) {
    if let Some(evaluation) = evaluation {
        match &evaluation.classes {
            Some(classes) => classes::tiles(page, classes, evaluation),
            None => values::tiles(page, evaluation),
        }
    }
    if let Some(run) = run {
        let kept = evaluation.map(|evaluation| evaluation.model.epochs).filter(|epoch| *epoch > 0);
        let curves = plots::curves(run, kept);
        if !curves.is_empty() {
            page.section("Training");
            page.pictures(curves.into_iter().map(|picture| (picture, "")));
        }
        if let Some(text) = best(run) {
            page.paragraph(&text);
        }
    }
    if let Some(evaluation) = evaluation {
        match &evaluation.classes {
            Some(classes) => classes::add(page, classes),
            None => values::add(page, evaluation),
        }
        let units = units(evaluation);
        if let Some(picture) = plots::mistakes(&evaluation.mistakes) {
            page.section("Mistakes and first layer");
            surest(page, evaluation);
            page.pictures(std::iter::once((picture, "")).chain(units));
        } else {
            mistakes(page, evaluation);
            looks_at(page, evaluation, units);
        }
    }
    recipe(page, run, evaluation);
    machine(page, run, evaluation);
}

/// What the log says of the best epoch.
fn best(run: &Run) -> Option<String> {
    let (epoch, by) = run.best()?;
    let (number, of, figure) = (epoch.number, run.epochs.len(), ticks::number(epoch.figure(by), 4));
    Some(format!("Of {of} epochs, epoch {number} has the {}: {figure}.", extreme(by)))
}

/// How many mistakes there are of classes, and which ones are shown.
fn surest(page: &mut Page, evaluation: &Evaluation) {
    if evaluation.classes.is_some() {
        let (all, rows) = (ticks::count(evaluation.mistakes.all), ticks::count(evaluation.rows));
        page.paragraph(&format!(
            "{all} of {rows} rows were taken for another class. These are those that the model is surest of."
        ));
    }
}

/// The rows of a table of which the model is most wrong.
fn mistakes(page: &mut Page, evaluation: &Evaluation) {
    let mistakes = &evaluation.mistakes;
    if mistakes.rows.is_empty() {
        return;
    }
    let of_classes = evaluation.classes.is_some();
    page.section(if of_classes { "Most confident mistakes" } else { "Largest errors" });
    surest(page, evaluation);
    let known = !mistakes.columns.is_empty();
    if known {
        let shown = mistakes.columns.len();
        let which = if evaluation.importance.is_some() { "most important" } else { "first" };
        page.paragraph(&format!("Cells are told as the model sees them, of the {shown} {which} columns."));
    }
    let last = if of_classes { ["probability", "of the class"] } else { ["error", ""] };
    let mut head = vec!["row", if of_classes { "class" } else { "actual" }, "predicted", last[0]];
    head.extend(of_classes.then_some(last[1]));
    head.extend(mistakes.columns.iter().map(String::as_str));
    let row = |mistake: &crate::report::evaluation::Mistake| {
        let mut cells = vec![
            Cell::Number(ticks::count(mistake.row)),
            Cell::Text(mistake.actual.clone()),
            Cell::Text(mistake.predicted.clone()),
        ];
        match mistake.certainty {
            (p, Some(own)) => {
                cells.extend([p, own].map(|p| Cell::Number(format!("{p:.4}"))));
            }
            (error, None) => cells.push(Cell::Number(ticks::number(error, 4))),
        }
        cells.extend(mistake.cells.iter().map(|cell| Cell::Text(cell.clone())));
        cells
    };
    page.table(&head, &mistakes.rows.iter().map(row).collect::<Vec<_>>(), |_| false);
}

/// The units of the first layer, and how they are read.
fn units(evaluation: &Evaluation) -> Option<(Picture, &'static str)> {
    let layer = evaluation.first_layer.as_ref()?;
    let told = match layer.images.is_empty() {
        false => "0 is mid-grey; the largest weight of each unit is white or black.",
        true => {
            "A column of cells for each unit; weights of all features of a column together, times their trained factors."
        }
    };
    Some((plots::units(layer)?, told))
}

/// The columns that matter, and the units of the first layer.
fn looks_at(page: &mut Page, evaluation: &Evaluation, units: Option<(Picture, &'static str)>) {
    let importance = evaluation.importance.as_ref().and_then(|found| Some((plots::importance(found)?, found)));
    if importance.is_none() && units.is_none() {
        return;
    }
    page.section("What the model looks at");
    let told = importance.as_ref().map_or_else(String::new, |(_, found)| {
        let (repeats, rows, part) = (found.repeats, ticks::count(found.rows as u64), &evaluation.part);
        format!(
            "Each column's cells were permuted {repeats} times among {rows} rows of the {part} part. Whiskers are a standard \
             deviation to both sides."
        )
    });
    page.pictures(importance.map(|(picture, _)| (picture, told.as_str())).into_iter().chain(units));
}

/// Every option of the training.
fn recipe(page: &mut Page, run: Option<&Run>, evaluation: Option<&Evaluation>) {
    // The log's first line says more than the recipe: what of the data was read, and files.
    let of_log = run.filter(|run| !run.head.is_empty()).map(|run| &run.head);
    let own = evaluation.map(|evaluation| &evaluation.model.recipe).filter(|recipe| !recipe.is_empty());
    let Some(options) = own.or(of_log) else { return };
    page.section("Recipe");
    let of_elsewhere = ["classes", "plan_reason", "version", "adapter", "backend", "plan", "precision"];
    let told = |value: &serde_json::Value| match value {
        value if value.is_null() => None,
        serde_json::Value::Array(values) if values.is_empty() => None,
        value => Some(shown(value)),
    };
    let options = options.iter().filter(|(name, _)| !of_elsewhere.contains(&name.as_str()));
    let entries: Vec<(String, String)> =
        options.filter_map(|(name, value)| Some((name.replace('_', "-"), told(value)?))).collect();
    page.list(&entries);
}

/// Where it ran, and how long.
fn machine(page: &mut Page, run: Option<&Run>, evaluation: Option<&Evaluation>) {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: Option<String>| entries.extend(value.map(|value| (name.to_owned(), value)));
    let timed = run.filter(|run| run.has("train_seconds"));
    add("epochs", timed.map(|run| run.epochs.len().to_string()));
    add("training", timed.map(|run| seconds(run.sum("train_seconds"))));
    add("evaluation", timed.map(|run| seconds(run.sum("eval_seconds"))));
    let rate = timed.map(|run| {
        let speeds = run.series("samples_per_second");
        let rows: f64 = speeds.iter().map(|(_, speed)| speed).sum::<f64>() / speeds.len().max(1) as f64;
        ticks::count(rows.round() as u64)
    });
    add("rows per second", rate);
    let trained = evaluation.and_then(|evaluation| evaluation.model.trained_on.clone());
    add("trained on", said(run, "backend").or(trained.as_ref().map(|(backend, _)| backend.clone())));
    add("device", said(run, "adapter"));
    add("plan", said(run, "plan").or(trained.map(|(_, plan)| plan)));
    add("precision", said(run, "precision"));
    add("trained by mlp-gpu", said(run, "version"));
    if let Some(evaluation) = evaluation {
        let machine = &evaluation.machine;
        add("evaluated on", Some(format!("{}, {}", machine.backend, machine.device)));
        add("processor", machine.processor.clone());
        add("threads", Some(machine.threads.to_string()));
        add("system", Some(machine.system.clone()));
        add("parameters", Some(ticks::count(evaluation.model.parameters as u64)));
    }
    if !entries.is_empty() {
        page.section("Machine and time");
        page.list(&entries);
    }
}
