//! The page of a report: one file of HTML that asks for nothing else, complete without its script.

use std::fmt::Write;

use super::chart::colours::{hex, tones};
use super::chart::{Picture, svg, ticks};
use super::log::Run;
use super::{Log, Report};

mod classes;
mod compared;
mod run;
mod runs;
mod search;
mod sentence;
mod values;

pub use compared::compared;

/// What charts take of the room on narrow screens, as a share of their own width; they are moved sideways where that is too much.
const LEAST: f64 = 0.7;
/// Tables that become cards, one per row: of more columns than these, their class, and up to which width of the screen, in pixels.
const CARDS: [(usize, &str, u32); 2] = [(7, "cards", 760), (12, "unless-wide", 1150)];

/// The page of `report`.
pub fn page(report: &Report) -> String {
    let mut page = Page::default();
    let (run, lead) = match &report.log {
        Some(Log::Search(search)) => {
            search::add(&mut page, search);
            (None, Some(sentence::of_search(search)))
        }
        Some(Log::Runs(runs)) => {
            runs::add(&mut page, runs);
            (None, Some(sentence::of_runs(runs)))
        }
        Some(Log::Run(run)) => (Some(run), None),
        None => (None, None),
    };
    let evaluation = report.evaluation.as_ref();
    run::add(&mut page, run, evaluation);
    // Of several runs there may be a model too: an ensemble, or the best one.
    let of_model = (lead.is_none() || evaluation.is_some()).then(|| sentence::of_run(run, evaluation));
    let lead = lead.into_iter().chain(of_model).collect::<Vec<_>>().join(" ");
    if let Some(config) = &report.config {
        page.section("Command");
        page.text(config);
    }
    whole(&report.name, &lead, &page.body)
}

/// The page around its `body`.
fn whole(name: &str, lead: &str, body: &str) -> String {
    let (light, dark): (String, String) = tones()
        .map(|(name, on_white, on_black)| {
            (format!("--{name}:{};", hex(on_white)), format!("--{name}:{};", hex(on_black)))
        })
        .unzip();
    let charts: String = tones()
        .map(|(name, ..)| format!(".fill-{name}{{fill:var(--{name})}}.stroke-{name}{{stroke:var(--{name})}}\n"))
        .collect();
    let (name, lead, version) = (svg::escaped(name), svg::escaped(lead), env!("CARGO_PKG_VERSION"));
    let (style, script) = (include_str!("page/style.css"), include_str!("page/script.js"));
    let cards: String = CARDS
        .map(|(_, class, width)| {
            let rules = include_str!("page/cards.css").replace(".cards", &format!(".{class}"));
            format!("@media screen and (max-width:{width}px){{\n{rules}}}\n")
        })
        .concat();
    // The policy forbids every request, whatever a file might have smuggled in.
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src \
         'unsafe-inline'; img-src data:\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{name}</title>\n<style>\n\
         :root{{{light}color-scheme:light}}\n\
         @media screen and (prefers-color-scheme:dark){{:root:not([data-scheme=light]){{{dark}color-scheme:dark}}}}\n\
         @media screen{{:root[data-scheme=dark]{{{dark}color-scheme:dark}}}}\n\
         {charts}body,svg text{{font-family:{fonts}}}\n{style}{cards}</style>\n</head>\n<body>\n<header>\n\
         <button type=\"button\" id=\"scheme\" hidden>Light or dark</button>\n<h1>{name}</h1>\n<p class=\"lead\">{lead}</p>\n\
         </header>\n<main>\n{body}</main>\n<footer>Made by mlp-gpu {version}.</footer>\n<script>\n{script}</script>\n</body>\n</html>\n",
        fonts = svg::FONTS,
    )
}

/// The body of a page, as far as it is written.
#[derive(Default)]
struct Page {
    body: String,
    /// How many pictures may be shown in pieces.
    broken: usize,
}

/// A cell of a table: its text, and whether it is a number, which stands on the right.
enum Cell {
    Text(String),
    Number(String),
}

impl Page {
    fn section(&mut self, title: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", svg::escaped(title));
    }

    fn paragraph(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", svg::escaped(text));
    }

    /// Text as it is, with its lines.
    fn text(&mut self, text: &str) {
        let _ = writeln!(self.body, "<pre>{}</pre>", svg::escaped(text));
    }

    /// Figures in a row: what each is called, what it is, and what there is to say of it.
    fn tiles(&mut self, tiles: &[(&str, String, String)]) {
        self.body.push_str("<dl class=\"tiles\">\n");
        for (name, figure, beside) in tiles {
            let (name, figure, beside) = (svg::escaped(name), svg::escaped(figure), svg::escaped(beside));
            let _ =
                writeln!(self.body, "<div><dt>{name}</dt><dd>{figure}</dd><dd class=\"beside\">{beside}</dd></div>");
        }
        self.body.push_str("</dl>\n");
    }

    /// Names and values in columns.
    fn list(&mut self, entries: &[(String, String)]) {
        self.body.push_str("<dl class=\"list\">\n");
        for (name, value) in entries {
            let _ = writeln!(self.body, "<div><dt>{}</dt><dd>{}</dd></div>", svg::escaped(name), svg::escaped(value));
        }
        self.body.push_str("</dl>\n");
    }

    /// Pictures beside each other, as far as there is room, each with what there is to say of it.
    fn pictures<'a>(&mut self, pictures: impl IntoIterator<Item = (Picture, &'a str)>) {
        self.pictures_and(pictures, |_| {});
    }

    /// The same, and behind them what `last` adds.
    fn pictures_and<'a>(
        &mut self,
        pictures: impl IntoIterator<Item = (Picture, &'a str)>,
        last: impl FnOnce(&mut Self),
    ) {
        let mut figures = String::new();
        for (picture, caption) in pictures {
            let least = if picture.width > 420.0 { picture.width * LEAST } else { 0.0 };
            let wide = if picture.width > 620.0 { " class=\"wide\"" } else { "" };
            let caption = match caption {
                "" => String::new(),
                caption => format!("<figcaption>{}</figcaption>", svg::escaped(caption)),
            };
            let (drawn, kind, pieces) = match picture.pieces.filter(|piece| *piece < picture.width) {
                None => (svg::element(&picture), "scroll", String::new()),
                Some(width) => {
                    self.broken += 1;
                    let (whole, pieces) = svg::element_and_pieces(&picture, width, &format!("picture-{}", self.broken));
                    (whole, "scroll whole", format!("<div class=\"pieces\">{pieces}</div>"))
                }
            };
            let _ = writeln!(
                figures,
                "<figure{wide}><div class=\"{kind}\"><div style=\"min-width:{least:.0}px\">{drawn}</div></div>{pieces}{caption}</figure>"
            );
        }
        let mut behind = Self::default();
        last(&mut behind);
        figures.push_str(&behind.body);
        if !figures.is_empty() {
            let _ = writeln!(self.body, "<div class=\"charts\">\n{figures}</div>");
        }
    }

    /// A table; `marked` rows stand out. Columns of numbers alone stand on the right, whoever wrote them.
    fn table(&mut self, head: &[&str], rows: &[Vec<Cell>], marked: impl Fn(usize) -> bool) {
        let is_number = |cell: &Cell| match cell {
            Cell::Number(_) => true,
            Cell::Text(text) => text.parse::<f64>().is_ok(),
        };
        let numbers: Vec<bool> =
            (0..head.len()).map(|column| rows.iter().filter_map(|row| row.get(column)).all(is_number)).collect();
        let class = |column: usize| if numbers[column] { " class=\"number\"" } else { "" };
        let classes: Vec<&str> =
            CARDS.iter().filter(|(columns, ..)| head.len() > *columns).map(|(_, class, _)| *class).collect();
        let cards = if classes.is_empty() { String::new() } else { format!(" class=\"{}\"", classes.join(" ")) };
        let _ = write!(self.body, "<div class=\"scroll\"><table{cards}>\n<thead><tr>");
        for (column, name) in head.iter().enumerate() {
            let _ = write!(self.body, "<th scope=\"col\"{}>{}</th>", class(column), breakable(name));
        }
        self.body.push_str("</tr></thead>\n<tbody>\n");
        for (index, row) in rows.iter().enumerate() {
            self.body.push_str(if marked(index) { "<tr class=\"marked\">" } else { "<tr>" });
            for (column, Cell::Text(text) | Cell::Number(text)) in row.iter().enumerate().take(head.len()) {
                let name = if cards.is_empty() {
                    String::new()
                } else {
                    format!(" data-name=\"{}\"", svg::escaped(head[column]))
                };
                let _ = write!(self.body, "<td{}{name}>{}</td>", class(column), breakable(text));
            }
            self.body.push_str("</tr>\n");
        }
        self.body.push_str("</tbody>\n</table></div>\n");
    }
}

/// `text` as content that may also be broken behind underscores.
fn breakable(text: &str) -> String {
    svg::escaped(text).replace('_', "_<wbr/>")
}

/// A figure with as many digits as others of its kind; what stands for one that is not there.
fn figure(figure: f64) -> String {
    match figure {
        figure if figure.abs() < 1000.0 => ticks::number_with(figure, 4),
        figure => ticks::number(figure, 5),
    }
}

/// Whether the best epoch by the figure `by` has the greatest one.
fn is_greatest(by: &str) -> bool {
    by.ends_with("accuracy")
}

/// What the best epoch by the figure `by` has: the least validation loss, say.
fn extreme(by: &str) -> String {
    let name = by.replace('_', " ").replace("train ", "training ");
    format!("{} {name}", if is_greatest(by) { "greatest" } else { "least" })
}

/// A time in words.
fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 10.0 => format!("{seconds:.2} s"),
        seconds if seconds < 100.0 => format!("{seconds:.1} s"),
        seconds if seconds < 6000.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3600.0),
    }
}

/// What a run's first line says of `name`, as text; none where it is not there or nothing.
fn said(run: Option<&Run>, name: &str) -> Option<String> {
    let value = run?.head.get(name).filter(|value| !value.is_null())?;
    Some(crate::recipe::shown(value)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::evaluation::Evaluation;

    fn evaluation(classes: bool) -> Evaluation {
        let target = "{\"name\":\"<y>\",\"rmse\":1.5,\"mae\":1,\"r2\":null,\"median_absolute_error\":1,\"baseline_rmse\":3,\
                      \"error_quantiles\":[[0.5,0]],\"points\":[[1,2],[2,2.5]],\"errors\":{\"from\":-1,\"to\":1,\"counts\":[1,1],\"beyond\":[0,1]}}";
        let class = |name: &str| {
            format!(
                "{{\"name\":\"{name}\",\"support\":2,\"precision\":0.5,\"recall\":null,\"f1\":null,\"roc_auc\":0.75,\"roc\":[[0,0],[0,0.5],[1,1]]}}"
            )
        };
        let found = format!(
            "{{\"accuracy\":0.5,\"log_loss\":null,\"balanced_accuracy\":null,\"roc_auc\":0.75,\"average_precision\":null,\
             \"f1_macro\":null,\"matthews\":null,\"calibration_error\":0.1,\"baseline_accuracy\":0.5,\"baseline_log_loss\":0.7,\
             \"confusion\":[1,1,2,0],\"classes\":[{},{}],\"calibration\":[{{\"rows\":4,\"confidence\":0.6,\"accuracy\":0.5}}]}}",
            class("<script>alert(1)</script>"),
            class("b")
        );
        let (classes, targets) = if classes { (found.as_str(), "") } else { ("null", target) };
        let text = format!(
            "{{\"version\":\"0\",\"model\":{{\"data\":\"a & <b>.csv\",\"training_rows\":9,\"epochs\":3,\"widths\":[2,3,2],\"parameters\":17,\
             \"activation\":\"relu\",\"members\":1,\"images\":false,\"recipe\":{{\"lr\":0.1,\"hidden\":[3]}},\"trained_on\":[\"cpu\",\"fused\"]}},\
             \"part\":\"test\",\"rows\":4,\"loss\":0.5,\"classes\":{classes},\"targets\":[{targets}],\"mistakes\":{{\"all\":3,\"columns\":[\"c<i>\"],\
             \"rows\":[{{\"row\":1,\"actual\":\"<u>\",\"predicted\":\"b\",\"certainty\":[0.9,0.1],\"image\":null,\"cells\":[\"</td>\"]}}]}},\
             \"importance\":{{\"by\":\"log loss\",\"error\":0.5,\"rows\":4,\"repeats\":5,\"columns\":[{{\"name\":\"c<i>\",\"mean\":0.1,\"deviation\":0.01}}]}},\
             \"first_layer\":{{\"all\":3,\"units\":[0,1,2],\"images\":[],\"columns\":[\"c<i>\"],\"weights\":[1,0.5,0]}},\
             \"machine\":{{\"system\":\"linux\",\"processor\":\"<p>\",\"threads\":2,\"backend\":\"cpu\",\"device\":\"2 threads\"}}}}"
        );
        serde_json::from_str(&text).expect("an evaluation")
    }

    fn log(text: &str) -> Option<Log> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, text).expect("a file");
        Some(Log::read(&path).expect("a log"))
    }

    /// Checks that `html` has no element that came from a file, asks for nothing, and is well-formed.
    fn check(html: &str) {
        let body = &html[html.find("<body>").expect("a body")..html.find("<script>").expect("a script")];
        let whole = body.replace("<body>", "").replace(" hidden>", " hidden=\"\">");
        svg::check(&whole);
        for smuggled in ["<script>alert", "<i>", "<u>", "<p>.", "<y>", "<b>", "http:", "https:", "@import", "url("] {
            assert!(!body.contains(smuggled), "{smuggled}");
        }
        let head = &html[..html.find("<body>").expect("a body")];
        assert!(!head.contains("http:") && !head.contains("https:") && !head.contains("url("), "{head}");
    }

    #[test]
    fn narrow_screens_have_cards_for_wide_tables_and_pieces_of_wide_pictures() {
        let mut page = Page::default();
        for columns in [7, 8, 13] {
            let names: Vec<String> = (0..columns).map(|column| format!("column_{column}")).collect();
            let head: Vec<&str> = names.iter().map(String::as_str).collect();
            let cells = (0..columns).map(|column| Cell::Text(if column == 0 { "1.5".into() } else { "<b>".into() }));
            page.table(&head, &[cells.collect()], |_| false);
        }
        svg::check(&page.body);
        let of_tables: Vec<&str> = page.body.split("<table").skip(1).collect();
        assert!(of_tables[0].starts_with('>') && !of_tables[0].contains("data-name"), "{}", page.body);
        assert!(
            of_tables[1].starts_with(" class=\"cards\"") && of_tables[2].starts_with(" class=\"cards unless-wide\"")
        );
        assert!(of_tables[1].contains("<td class=\"number\" data-name=\"column_0\">1.5</td>"), "{}", page.body);
        assert!(of_tables[1].contains("<td data-name=\"column_1\">&lt;b&gt;</td>"), "{}", page.body);
        let mut page = Page::default();
        page.pictures([800.0, 300.0].map(|width| {
            let mut picture = Picture::new(width, 50.0, "");
            picture.pieces = Some(300.0);
            (picture, "")
        }));
        svg::check(&page.body);
        assert_eq!(page.body.matches("<use href=\"#picture-1\"/>").count(), 3);
        assert!(page.body.contains("viewBox=\"600 0 300 50\"") && !page.body.contains("picture-2"), "{}", page.body);
    }

    #[test]
    fn pages_are_whole_and_nothing_from_files_becomes_an_element() {
        let run = "{\"widths\":[2,3,2],\"data\":\"<b>\",\"backend\":\"cpu\",\"adapter\":\"<i>\"}\n\
                   {\"epoch\":1,\"lr\":0.1,\"train_loss\":0.7,\"validation_loss\":0.6,\"validation_accuracy\":0.5,\"train_seconds\":1}\n\
                   {\"epoch\":2,\"lr\":0.1,\"train_loss\":0.6,\"validation_loss\":null,\"train_seconds\":1}\n";
        let name = "<b>run</b>".to_owned();
        for classes in [true, false] {
            let evaluation = Some(evaluation(classes));
            let config = Some("data = \"<u>\"".into());
            let html = page(&Report { name: name.clone(), log: log(run), evaluation, config });
            check(&html);
            let expected = if classes { "Confusion matrix" } else { "Predicted &lt;y&gt;" };
            assert!(
                html.contains(expected) && html.contains("&lt;b&gt;run&lt;/b&gt;") && html.contains("Learning rate")
            );
        }
        check(&page(&Report { name: name.clone(), log: log(run), ..Report::default() }));
        check(&page(&Report { name: name.clone(), evaluation: Some(evaluation(true)), ..Report::default() }));
        let folds = "{\"epoch\":1,\"fold\":1,\"repeat\":1,\"test_loss\":0.5}\n{\"epoch\":1,\"fold\":2,\"repeat\":1,\"test_loss\":0.6}\n";
        check(&page(&Report { name: name.clone(), log: log(folds), ..Report::default() }));
        let trial = |trial: u32, rung: u32, loss: &str| {
            format!(
                "{{\"trial\":{trial},\"rung\":{rung},\"epochs\":{rung},\"setting\":{{\"lr\":0.{trial},\"activation\":\"<i>\"}},\
                 \"epoch\":[{rung}],\"loss\":{loss},\"figures\":{{}},\"blocks\":[0.1,0.2]}}\n"
            )
        };
        let search = format!(
            "{{\"search\":{{\"trials\":3,\"recipe\":{{\"lr\":0.1,\"activation\":\"relu\",\"epochs\":16}},\"folds\":null,\"seed\":0}}}}\n{}{}{}{}",
            trial(1, 1, "0.5"),
            trial(2, 1, "0.4"),
            trial(3, 1, "null"),
            trial(2, 2, "0.3")
        );
        check(&page(&Report { name, log: log(&search), ..Report::default() }));
    }
}
