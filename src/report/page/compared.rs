//! The page of runs that were made one by one and are set beside each other.

use super::{Cell, Page, extreme, figure, is_greatest, whole};
use crate::report::log::{Epoch, Run};
use crate::report::plots;

/// The page of `runs`, each by its name. `lines` are what is to be said of them: in the first line nothing and their names, in each
/// other what it is about and what it is for each run.
pub fn compared(runs: &[Run], lines: &[Vec<String>]) -> String {
    let mut page = Page::default();
    let curves = plots::curves_of_runs(runs);
    if !curves.is_empty() {
        page.section("Training");
        page.pictures(curves.into_iter().map(|picture| (picture, "")));
    }
    if let Some((head, lines)) = lines.split_first() {
        page.section("What differs, and how they went");
        let head: Vec<&str> = head.iter().map(String::as_str).collect();
        let rows: Vec<Vec<Cell>> = lines.iter().map(|line| line.iter().cloned().map(Cell::Text).collect()).collect();
        page.table(&head, &rows, |_| false);
    }
    let names: Vec<&str> = runs.iter().map(|run| &run.name[..]).collect();
    let title = match names.len() {
        count if count > 3 => format!("{count} runs"),
        _ => names.join(", "),
    };
    whole(&title, &sentence(runs), &page.body)
}

/// Which of `runs` is the best one.
fn sentence(runs: &[Run]) -> String {
    let judged: Vec<_> = runs.iter().filter_map(|run| run.best().map(|(epoch, by)| (run, epoch, by))).collect();
    let count = match runs.len() {
        1 => "A run".to_owned(),
        count => format!("{count} runs"),
    };
    let Some(&(_, _, by)) = judged.first() else { return format!("{count}, of which no epoch is done.") };
    if judged.iter().any(|(.., other)| *other != by) {
        return format!("{count}, which were judged by different figures.");
    }
    let score = |epoch: &Epoch| if is_greatest(by) { -epoch.figure(by) } else { epoch.figure(by) };
    let best = judged.iter().min_by(|(_, one, _), (_, other, _)| score(one).total_cmp(&score(other)));
    let Some((run, epoch, _)) = best else { return count };
    let value = figure(epoch.figure(by));
    format!("{count}. {} has the {}: {value}, in epoch {}.", run.name, extreme(by), epoch.number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, losses: &[f64]) -> Run {
        let epoch = |(number, loss): (u32, &f64)| Epoch {
            number,
            figures: [("validation_loss".to_owned(), *loss)].into_iter().collect(),
        };
        Run { name: name.into(), epochs: (1..).zip(losses).map(epoch).collect(), ..Run::default() }
    }

    #[test]
    fn the_best_run_is_named_and_names_are_only_text() {
        let runs = [run("<wide>", &[0.5, 0.25]), run("deep", &[0.5, 0.375])];
        let lines = [["", "<wide>", "deep"], ["lr", "0.1", "0.2"]].map(|line| line.map(String::from).to_vec());
        let page = compared(&runs, &lines);
        assert!(page.contains("2 runs. &lt;wide&gt; has the least validation loss: 0.2500, in epoch 2."), "{page}");
        assert!(page.contains("<td>lr</td>") && page.contains("Loss, validation") && !page.contains("<wide>"));
        assert!(compared(&[run("a", &[])], &[]).contains("no epoch is done"));
    }
}
