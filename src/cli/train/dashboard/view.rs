//! How the screen is laid out, at any size.

use indicatif::HumanDuration;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Widget};

use super::board::{Board, PARTS, Point};
use super::confusion::{self, Form};
use super::curves::{self, short};
use super::theme::{Theme, level};
use crate::metrics::Evaluation;

/// A smaller screen shows a line alone, and a narrower one has everything in one column.
const LEAST: (u16, u16) = (40, 12);
const TWO_COLUMNS: u16 = 70;

/// The least height of a matrix below charts.
const MATRIX: u16 = 8;

/// The epochs of small charts.
const RECENT: usize = 12;

/// Draws the run and the last `notes`.
pub(super) fn draw(board: &Board, notes: &[String], theme: &Theme, frame: &mut Frame<'_>) {
    let (area, buffer) = (frame.area(), frame.buffer_mut());
    if area.is_empty() {
        return;
    }
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("{}; q stops", place(board));
        buffer.set_stringn(area.x, area.y, text, area.width.into(), theme.strong());
    } else {
        let foot = notes.len() as u16;
        let [head, body, told, keys] = Layout::vertical([
            Constraint::Length(3),
            Constraint::Min(0),
            Constraint::Length(foot),
            Constraint::Length(1),
        ])
        .areas(area);
        let named = draw_foot(board, *theme, keys, buffer);
        draw_head(board, *theme, head, buffer);
        draw_body(board, (*theme, named), body, buffer);
        for (note, row) in notes.iter().zip(told.rows()) {
            Line::from(note.as_str()).render(row, buffer);
        }
    }
    theme.fit(buffer);
}

/// The epoch, and how much of the run is done.
fn place(board: &Board) -> String {
    format!("Epoch {}/{}, {:.0} %", board.epoch, board.epochs, 100.0 * board.share())
}

fn draw_head(board: &Board, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let mut rows = area.rows();
    let mut line = |line: Line<'_>| {
        if let Some(row) = rows.next() {
            line.render(row, buffer);
        }
    };
    line(Line::styled(board.title.as_str(), theme.strong()));
    let share = board.share();
    let left = board.left().map_or_else(|| "?".into(), |left| format!("{:#}", HumanDuration(left)));
    let doing = if board.evaluating { ", evaluating" } else { "" };
    let rest = format!(" {:>3.0} %, {left} left{doing}", 100.0 * share);
    let start = format!("Epoch {}/{} ", board.epoch, board.epochs);
    let room = usize::from(area.width).saturating_sub(start.len() + rest.len() + 2).min(40);
    let done = (share * room as f64) as usize;
    let head = if done < room { ">" } else { "" };
    let bar = format!("[{:<room$}]", format!("{}{head}", "=".repeat(done)));
    line(Line::from(vec![Span::raw(start), Span::styled(bar, theme.strong()), Span::raw(rest)]));
    line(Line::from(figures(board)));
}

/// Draws what the keys do, and which parts have which curves: whether there is room for that.
fn draw_foot(board: &Board, theme: Theme, area: Rect, buffer: &mut Buffer) -> bool {
    let keys = if board.saves { "q stop   s save now   " } else { "q stop   " };
    Line::styled(keys, theme.muted()).render(area, buffer);
    let figures = |at: usize| board.told.iter().any(|point| point.figures[at].is_some());
    let parts = PARTS.into_iter().enumerate().filter(|(at, _)| figures(*at));
    let label = |(_, split)| Span::styled(format!("  {}", theme.label(split)), theme.part(split));
    let legend = Line::from_iter(parts.map(label)).right_aligned();
    let fits = keys.len() + legend.width() <= usize::from(area.width);
    if fits {
        legend.render(area, buffer);
    }
    fits
}

/// The learning rate, the speed and the best epoch, with small charts of the last epochs.
fn figures(board: &Board) -> String {
    let recent = &board.told[board.told.len().saturating_sub(RECENT)..];
    let chart = |of: fn(&Point) -> f64| {
        let most = recent.iter().map(of).fold(0.0, f64::max);
        let levels = recent.iter().map(|point| level(if most > 0.0 { of(point) / most } else { 0.0 }));
        if recent.len() > 1 { format!(" {}", levels.collect::<String>()) } else { String::new() }
    };
    let last = board.told.last();
    let rate = last.map(|last| format!("Learning rate {}{}   ", short(last.rate, 4), chart(|point| point.rate)));
    let speed = last.map_or_else(|| board.speed(), |last| last.rows_per_second);
    let speed = if speed < 1e4 { format!("{speed:.0}") } else { format!("{:.0}k", speed / 1e3) };
    let speeds = chart(|point| point.rows_per_second);
    let best = board.best().map(|best| format!("   Best epoch {}", best.epoch)).unwrap_or_default();
    format!("{}{speed} rows/s{speeds}{best}", rate.unwrap_or_default())
}

fn draw_body(board: &Board, style: (Theme, bool), area: Rect, buffer: &mut Buffer) {
    let (theme, _) = style;
    let (charts, beside) = if area.width >= TWO_COLUMNS {
        let [charts, beside] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).spacing(2).areas(area);
        (charts, Some(beside))
    } else if area.height >= 3 * MATRIX {
        let [charts, below] = Layout::vertical([Constraint::Fill(2), Constraint::Fill(1)]).areas(area);
        (charts, Some(below))
    } else {
        (area, None)
    };
    let [loss, score] = Layout::vertical([Constraint::Fill(1), Constraint::Fill(1)]).areas(charts);
    curves::draw("Loss", board, style, f64::NEG_INFINITY, |figures| figures.loss, (loss, buffer));
    curves::draw(board.score_name(), board, style, f64::NEG_INFINITY, |figures| figures.score, (score, buffer));
    let Some(area) = beside else { return };
    if board.classes.is_empty() {
        draw_values(board, style, area, buffer);
    } else if let Some((split, found)) = &board.latest {
        draw_matrix(split.name(), found, &board.classes, theme, area, buffer);
    }
}

/// A frame without its title, and the room within it.
fn frame_of(area: Rect, theme: Theme) -> (Block<'static>, Rect) {
    let frame = Block::new().borders(Borders::TOP).border_style(theme.muted());
    let inner = frame.inner(area);
    (frame, inner)
}

/// Draws `frame` with a title.
fn draw_frame(frame: Block<'_>, title: &str, theme: Theme, area: Rect, buffer: &mut Buffer) {
    frame.title(Line::styled(format!(" {title} "), theme.strong())).render(area, buffer);
}

fn draw_matrix(part: &str, found: &Evaluation, names: &[String], theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (frame, inner) = frame_of(area, theme);
    let form = Form::of(found, names, inner);
    draw_frame(frame, &form.0.title(part), theme, area, buffer);
    confusion::draw(form, found, names, theme, inner, buffer);
}

/// R2 by epochs, and the figures of the last epoch.
fn draw_values(board: &Board, style: (Theme, bool), area: Rect, buffer: &mut Buffer) {
    let [chart, table] = Layout::vertical([Constraint::Fill(1), Constraint::Length(6)]).areas(area);
    // Far below 0 it says nothing, and hides the rest.
    let floor = -1.0;
    curves::draw("R2", board, style, floor, |figures| figures.more.map_or(0.0, |(_, r2)| r2), (chart, buffer));
    let (theme, _) = style;
    let Some(last) = board.told.last() else { return };
    let (frame, inner) = frame_of(table, theme);
    draw_frame(frame, &format!("Epoch {}", last.epoch), theme, table, buffer);
    let mut lines = vec![Line::styled(format!("{:10} {:>8} {:>8} {:>7}", "", "RMSE", "MAE", "R2"), theme.muted())];
    for (split, figures) in PARTS.into_iter().zip(&last.figures) {
        let Some(figures) = figures else { continue };
        let (mae, r2) = figures.more.unwrap_or_default();
        let line = format!("{:10} {:>8} {:>8} {r2:>7.4}", split.name(), short(figures.score, 5), short(mae, 5));
        lines.push(Line::styled(line, theme.part(split)));
    }
    Paragraph::new(lines).render(inner, buffer);
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::style::Color;

    use super::*;
    use crate::data::TargetScale;
    use crate::metrics::Errors;
    use crate::train::Epoch;

    /// A run of ten epochs on so many classes, or on values where they are 0; `told` epochs are done.
    fn run_of(classes: usize, told: u32) -> Board {
        let scale =
            (classes == 0).then(|| TargetScale { names: vec!["price".into()], mean: vec![3.0], deviation: vec![2.0] });
        let mut board = Board {
            title: "784-128-10   cpu, 2 threads   digits".into(),
            epochs: 10,
            rows: 1000,
            saves: true,
            classes: (0..classes).map(|class| format!("class {class}")).collect(),
            scale,
            epoch: 1,
            handed: 500,
            ..Board::default()
        };
        for number in 1..=told {
            let part = |rows: u64| {
                let mut found = Evaluation { loss_sum: rows as f64 / f64::from(number), ..Evaluation::empty(classes) };
                for row in 0..rows {
                    match classes {
                        0 => found.rows += 1,
                        _ => {
                            let label = row as usize % classes;
                            let wrong = row % 10 == 0;
                            found.count(0.0, label as u32, ((label + usize::from(wrong)) % classes) as u32);
                        }
                    }
                }
                found.errors = (0..usize::from(classes == 0)).map(|_| Errors::default()).collect();
                found
            };
            board.epoch(&Epoch {
                number,
                learning_rate: 0.1 / f64::from(number),
                rows: 1000,
                train: Some(part(1000)),
                test: Some(part(400)),
                validation: Some(part(300)),
                train_seconds: 0.01,
                eval_seconds: 0.01,
            });
        }
        board
    }

    /// The lines of a screen of this size.
    fn drawn(board: &Board, theme: Theme, width: u16, height: u16) -> (Vec<String>, Buffer) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
        let notes = ["Saved: m.safetensors (epoch 3)".to_owned()];
        terminal.draw(|frame| draw(board, &notes, &theme, frame)).expect("drawn");
        let buffer = terminal.backend().buffer().clone();
        let line = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
        (buffer.content.chunks(width.max(1).into()).map(line).collect(), buffer)
    }

    fn has(lines: &[String], text: &str) -> bool {
        lines.iter().any(|line| line.contains(text))
    }

    #[test]
    fn a_screen_of_80_by_24_shows_all_of_a_run() {
        let (lines, _) = drawn(&run_of(10, 3), Theme::new(true, true), 80, 24);
        for text in [
            "784-128-10   cpu, 2 threads   digits",
            "Epoch 4/10 [",
            " 30 %",
            "Learning rate 0.0333",
            "100k rows/s",
            "Best epoch",
            " Loss ",
            " Accuracy ",
            "  training  validation  test",
            " Accuracy  0.9000 ",
            "epoch 1",
            "Confusion, test, rows",
            "Saved: m.safetensors (epoch 3)",
            "q stop   s save now",
        ] {
            assert!(has(&lines, text), "{text}: {lines:#?}");
        }
        // The matrix: each class has forty rows, and one in ten rows is taken for the next class.
        let first = lines.iter().find(|line| line.contains("class 0") && line.contains('·'));
        assert!(first.is_some_and(|line| line.trim_end().ends_with('·')), "{lines:#?}");
    }

    #[test]
    fn values_have_their_errors_in_place_of_the_matrix() {
        let (lines, _) = drawn(&run_of(0, 3), Theme::new(true, true), 80, 24);
        for text in [" Loss ", " RMSE ", " R2 ", "MAE", "validation", "Epoch 3"] {
            assert!(has(&lines, text), "{text}: {lines:#?}");
        }
        assert!(!has(&lines, "Confusion") && !has(&lines, "Accuracy"));
    }

    #[test]
    fn any_size_and_any_number_of_classes_can_be_drawn() {
        for (classes, told) in [(10, 0), (2, 1), (10, 10), (47, 4), (700, 2), (0, 0), (0, 5)] {
            let board = run_of(classes, told);
            for (width, height) in
                [(0, 0), (1, 1), (39, 30), (40, 12), (45, 40), (69, 24), (70, 12), (120, 40), (300, 90)]
            {
                let (lines, _) = drawn(&board, Theme::new(true, true), width, height);
                assert!(width < 40 || has(&lines, "Epoch"), "{classes} {width} x {height}");
            }
        }
        let (lines, _) = drawn(&run_of(10, 3), Theme::new(true, true), 30, 10);
        assert_eq!(lines[0].trim_end(), "Epoch 4/10, 30 %; q stops");
        assert!(lines[1..].iter().all(|line| line.trim().is_empty()));
    }

    #[test]
    fn matrices_take_the_form_that_there_is_room_for() {
        let form = |classes: usize, width: u16, height: u16| {
            let found = Evaluation { confusion: vec![1000; classes * classes], ..Evaluation::empty(classes) };
            let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
            Form::of(&found, &names, Rect::new(0, 0, width, height)).0
        };
        assert_eq!(form(10, 60, 20), Form::Counts);
        assert_eq!(form(10, 38, 20), Form::Shares);
        assert_eq!(form(26, 58, 30), Form::Shades);
        assert_eq!(form(26, 58, 20), Form::Mistakes);
        assert_eq!(form(100, 58, 200), Form::Mistakes);
        let (lines, _) = drawn(&run_of(700, 1), Theme::new(true, true), 80, 24);
        assert!(has(&lines, "Mistakes, test, most frequent") && has(&lines, "class 0 taken for class 1"), "{lines:#?}");
    }

    #[test]
    fn colours_and_characters_are_those_that_are_allowed() {
        let board = run_of(10, 4);
        let colours = |theme| {
            let (_, buffer) = drawn(&board, theme, 120, 40);
            buffer.content.iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
        };
        assert!(colours(Theme::new(true, true)) > 100);
        assert_eq!(colours(Theme::new(false, true)), 0);
        let (lines, _) = drawn(&board, Theme::new(false, true), 120, 40);
        assert!(has(&lines, "× test") && has(&lines, "• validation"), "{lines:#?}");
        for board in [&board, &run_of(0, 4)] {
            let (lines, _) = drawn(board, Theme::new(false, false), 120, 40);
            assert!(lines.iter().all(|line| line.is_ascii()), "{lines:#?}");
        }
    }
}
