//! The body of the page of a search: what was tried, how it went, and the answer.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Cell, Page, figure};
use crate::recipe::shown;
use crate::report::chart::ticks;
use crate::report::log::Search;
use crate::report::plots;
use crate::search::Found;

/// The most trials of the table.
const TRIALS: usize = 200;

/// Adds charts, the answer and the table of trials.
pub(super) fn add(page: &mut Page, search: &Search) {
    let ranked = search.ranked();
    let best = search.best();
    let number = best.as_ref().map(|best| best.trial);
    page.section("The answer");
    match &best {
        Some(best) => {
            page.paragraph(&answer(best, &ranked));
            if !search.is_done() {
                page.paragraph("The search has not ended: this is the answer so far.");
            }
            let option = |name: &String| Some((name.replace('_', "-"), shown(search.option(best, name)?)));
            let mut options: Vec<(String, String)> = search.drawn().iter().filter_map(option).collect();
            let figures = best.figures.iter().map(|(name, value)| (in_words(name), figure(*value)));
            options.extend(figures);
            page.list(&options);
        }
        None => page.paragraph("No trial has ended with a model yet."),
    }
    page.section("Trials");
    let pictures = [
        plots::rungs(search).map(|picture| {
            (picture, "Each rung trains the trials that are left anew, for more epochs. It may judge them by other rows than the rung before.")
        }),
        plots::settings(search).map(|picture| (picture, "A line for each trial, by its last rung; the loss is the last axis.")),
    ];
    page.pictures(pictures.into_iter().flatten());
    table(page, search, &ranked, number);
    let fixed = search.head.get("options").and_then(Value::as_object);
    if let Some(fixed) = fixed.filter(|fixed| !fixed.is_empty()) {
        page.section("Options of all trials");
        page.list(&fixed.iter().map(|(name, value)| (name.replace('_', "-"), shown(value))).collect::<Vec<_>>());
    }
    if let Some(space) = search.head.get("space").and_then(Value::as_str) {
        page.section("What was drawn from");
        page.text(space);
    }
}

fn answer(best: &Found, ranked: &[&Found]) -> String {
    let loss = |found: &Found| found.loss.map_or_else(|| "–".into(), |loss| ticks::number(loss, 4));
    let own = if best.trial == 1 { ", the recipe's own setting" } else { "" };
    let mut text = format!("Trial {}{own}, of {} epochs: loss {}.", best.trial, best.epochs, loss(best));
    if let Some(least) = ranked.first().filter(|least| least.trial != best.trial) {
        let (trial, loss) = (least.trial, loss(least));
        text += &format!(
            " Trial {trial} has less loss, {loss}, but does not beat trial 1 by more than a standard error of the difference."
        );
    }
    text
}

/// What the figure `name` of a trial is called.
fn in_words(name: &str) -> String {
    let name = name.replace("held_back", "held-back").replace('_', " ");
    [("rmse", "RMSE"), ("mae", "MAE"), ("r2", "R²")].iter().fold(name, |name, (from, to)| name.replace(from, to))
}

/// The table of trials, the best ones first.
fn table(page: &mut Page, search: &Search, ranked: &[&Found], best: Option<u32>) {
    let names = search.drawn();
    let figures: BTreeSet<&String> = ranked.iter().flat_map(|found| found.figures.keys()).collect();
    let figures: Vec<&String> = figures.into_iter().filter(|name| !name.ends_with("validation_loss")).collect();
    let shown_names: Vec<String> = names.iter().map(|name| name.replace('_', "-")).collect();
    let shown_figures: Vec<String> = figures.iter().map(|name| in_words(name)).collect();
    let mut head = vec!["trial", "rung", "epochs", "loss"];
    head.extend(shown_names.iter().map(String::as_str));
    head.extend(shown_figures.iter().map(String::as_str));
    let row = |found: &&Found| {
        let mut row = vec![
            Cell::Number(found.trial.to_string()),
            Cell::Number(found.rung.to_string()),
            Cell::Number(found.epochs.to_string()),
            Cell::Number(found.loss.map_or_else(String::new, figure)),
        ];
        row.extend(names.iter().map(|name| Cell::Text(search.option(found, name).map(shown).unwrap_or_default())));
        let own = |name: &&String| found.figures.get(*name).map_or_else(|| "–".into(), |value| figure(*value));
        row.extend(figures.iter().map(|name| Cell::Number(own(name))));
        row
    };
    let rows: Vec<Vec<Cell>> = ranked.iter().take(TRIALS).map(row).collect();
    page.table(&head, &rows, |at| best == Some(ranked[at].trial));
    let failed: BTreeSet<u32> =
        search.found.iter().filter(|found| found.loss.is_none()).map(|found| found.trial).collect();
    let mut rest = Vec::new();
    if ranked.len() > TRIALS {
        rest.push(format!("{} more trials are in the log.", ticks::count((ranked.len() - TRIALS) as u64)));
    }
    if !failed.is_empty() {
        let failed: Vec<String> = failed.iter().map(u32::to_string).collect();
        rest.push(format!("Failed: trial {}.", failed.join(", ")));
    }
    if !rest.is_empty() {
        page.paragraph(&rest.join(" "));
    }
}
