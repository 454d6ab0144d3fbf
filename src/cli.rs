//! The command line: flags, checked and handed to one file per subcommand, and how what comes of it is told.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, FromArgMatches, Parser, Subcommand};

use crate::backend::select::{Request, Selected};
use crate::data::{Dataset, Decimal, Delimiter, Framing, Header, Missing, Scale, Task};
use crate::error::{self, Error, Remedy, Result};
use crate::files::{self, Named};
use crate::memory::{self, Bound};

use compute::{ComputeOptions, DeviceOptions};
use fetch::{FetchOptions, Place};
use full_screen::Stream;

mod bench;
mod check;
mod completions;
mod compute;
mod config;
mod cv;
mod data;
mod devices;
mod eval;
mod export;
mod fetch;
mod full_screen;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod help;
mod inspect;
mod jobs;
mod man;
mod merge;
mod model;
mod predict;
mod recipe;
mod report;
mod run_folder;
mod runs;
mod search;
mod shards;
mod signals;
mod terminal;
mod train;
mod tune;

/// Trains multi-layer perceptrons on any GPU, or on the CPU.
#[derive(Debug, Parser)]
#[command(name = "mlp-gpu", version, about, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The most memory to take, such as 500M or 8G; what would take more is refused [default: what the machine, the control group
    /// and ulimit -v leave]
    #[arg(long, value_name = "SIZE", global = true, env = "MLP_GPU_MAX_MEMORY", value_parser = parse_bytes)]
    max_memory: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a network; without flags, the notebook's: 784-7-10 on MNIST, ten epochs
    Train(Box<train::Options>),
    /// Cross-validate: train a network per fold, and judge each by the rows that it did not see
    Cv(Box<cv::Options>),
    /// Search for a recipe: train many settings, the promising ones longer, and say which is best
    Search(Box<search::Options>),
    /// List, compare and clean up the folders that train --run-dir made
    #[command(subcommand)]
    Runs(runs::Command),
    /// Put together what the shards of a cv, a search or a train of several networks trained: what one process would have made
    Merge(merge::Options),
    /// Time the training pass of some networks
    Bench(Box<bench::Options>),
    /// List the GPU adapters, and say which one `auto` takes
    Devices,
    /// Check every kernel and plan on this machine against the CPU's plain twins
    Check(check::Options),
    /// Evaluate a saved model on a data set
    Eval(Box<eval::Options>),
    /// Predict the classes of images or of rows of a table
    Predict(Box<predict::Options>),
    /// Show what a saved model holds
    Inspect(Box<inspect::Options>),
    /// Write a page on a run: curves, how good the model is, its mistakes, what it looks at
    Report(Box<report::Options>),
    /// Draw a picture of a run as SVG or PNG
    Plot(Box<report::plot::Options>),
    /// Write a saved model for other software: ONNX, NumPy, safetensors
    Export(export::Options),
    /// Fetch, list, check and look at data sets
    #[command(subcommand)]
    Data(data::Command),
    /// Print the completions of a shell
    Completions(completions::Options),
    /// Write a man page per command
    Man(man::Options),
}

/// Flags that choose the data set.
#[derive(Debug, Args)]
struct DataOptions {
    /// Data set: auto (MNIST if it is here or can be fetched, else digits), mnist, fashion-mnist, kmnist, qmnist, emnist-letters and
    /// other parts of EMNIST, digits, or the path of a table (CSV, plain or packed; Parquet; Arrow; a folder or pattern of many
    /// files; - for standard input), of arrays (.npz, .npy, IDX, or a folder of them), of a folder with a folder of images for
    /// each class, or of what data convert wrote [default: auto, or what the model was trained on]
    #[arg(long, value_name = "NAME|PATH")]
    data: Option<String>,
    /// Data folder: holds mnist/train-images-idx3-ubyte[.gz] and so on
    #[arg(long, value_name = "DIR", env = "MLP_GPU_DATA")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    table: TableOptions,
    /// Table of the test part: a file, or a folder or pattern of many
    #[arg(long, value_name = "FILE", conflicts_with = "test_split")]
    test: Option<PathBuf>,
    /// Share of the rows to draw as the test part, where the data has none of its own; 0 for none [default: 0.1]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    test_split: Option<f64>,
    /// Share of the training rows to draw as a validation part, which is evaluated after each epoch; 0 for none [default: none; of
    /// train on tables of 500 rows or more, by the recipe table, 0.1]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    validation_split: Option<f64>,
    /// How features are scaled, by the training rows; those that are 0 or 1 for a text are only held by a robust scaling's clip
    /// [default: 255 for bytes and images; robust for tables of no more features than rows; else standard]
    #[arg(long, value_enum)]
    scale: Option<Scale>,
    #[command(flatten)]
    arrays: ArrayOptions,
    #[command(flatten)]
    images: ImageOptions,
    #[command(flatten)]
    fetch: FetchOptions,
}

/// Flags that say how folders of images are read.
#[derive(Debug, Clone, Args)]
struct ImageOptions {
    /// Resize images in folders to this height and width; or the height and width of images that are rows of arrays
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = parse_size)]
    image_size: Option<(usize, usize)>,
    /// How images in folders become rows [default: resize; for a saved model as its file says]
    #[arg(long, value_enum)]
    framing: Option<Framing>,
    /// Keep the colours of images in folders, three values per pixel
    #[arg(long)]
    colour: bool,
    /// Go on without the images in folders that cannot be read, even if more than one of ten is broken
    #[arg(long)]
    skip_broken: bool,
}

impl ImageOptions {
    /// How folders of images are read.
    fn reading(&self) -> crate::data::Options {
        crate::data::Options {
            image_size: self.image_size,
            framing: self.framing,
            colour: self.colour,
            skip_broken: self.skip_broken,
            ..crate::data::Options::default()
        }
    }
}

impl DataOptions {
    /// The data set; what there is to say of it goes to `tell`. Random parts are drawn with `seed`.
    fn load(&self, seed: u64, verbose: bool, tell: impl Fn(&str)) -> Result<Dataset> {
        self.read(self.data.as_deref().unwrap_or("auto"), self.reading(seed), &[], verbose, tell)
    }

    /// The data set `source`, fetched on first use; what there is to say of it goes to `tell`. None of `outputs` may be a
    /// file of it.
    fn read(
        &self,
        source: &str,
        reading: crate::data::Options,
        outputs: &[Named],
        verbose: bool,
        tell: impl Fn(&str),
    ) -> Result<Dataset> {
        let (source, folder) = self.locate(source, verbose, &tell)?;
        let reading = crate::data::Options { folder, ..reading };
        let flag = if self.data.is_none() && source != "auto" { "--resume" } else { "--data" };
        spare_data(flag, source, &reading, outputs)?;
        spill_beside(source);
        let (dataset, notes) = crate::data::load(source, &reading)?;
        notes.iter().for_each(|note| tell(&read_so(note)));
        Ok(dataset)
    }

    /// `source` and the data folder in which to look for it, fetched on first use; `digits` where `auto` finds nothing else, and
    /// why in all detail where `verbose`.
    fn locate<'a>(&self, source: &'a str, verbose: bool, tell: impl Fn(&str)) -> Result<(&'a str, Option<PathBuf>)> {
        Ok(match self.fetch.locate(source, self.data_dir.as_deref())? {
            Place::Folder(folder) => (source, folder),
            Place::Nowhere { short, why } => {
                tell(&format!("Data: the embedded data set digits: {short}"));
                if verbose {
                    tell(&format!("Data: {why}"));
                }
                ("digits", None)
            }
        })
    }

    /// How it is read, but for the folder.
    fn reading(&self, seed: u64) -> crate::data::Options {
        crate::data::Options {
            test: self.test.clone(),
            test_split: self.test_split,
            validation_split: self.validation_split,
            table_validation: None,
            scale: self.scale,
            arrays: self.arrays.arrays.clone(),
            transpose: self.arrays.transpose,
            image_size: self.images.image_size,
            framing: self.images.framing,
            colour: self.images.colour,
            skip_broken: self.images.skip_broken,
            seed,
            ..self.table.reading()
        }
    }
}

/// Flags that say how arrays are read.
#[derive(Debug, Clone, Args)]
struct ArrayOptions {
    /// What arrays are, where their names do not say it, such as X=images,y=labels,X_test=more,y_test=others
    #[arg(long, value_name = "WHAT=NAME", value_delimiter = ',')]
    arrays: Vec<String>,
    /// Put images of arrays and IDX files upright that lie on their side, or not [default: only those of EMNIST's files]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    transpose: Option<bool>,
}

impl ArrayOptions {
    /// How arrays are read.
    fn reading(&self) -> crate::data::Options {
        let Self { arrays, transpose } = self.clone();
        crate::data::Options { arrays, transpose, ..crate::data::Options::default() }
    }
}

/// Flags that say what form a CSV file has.
#[derive(Debug, Clone, Args)]
struct CsvOptions {
    /// Whether a CSV file's first line names the columns
    #[arg(long, value_enum, default_value = "auto")]
    header: Header,
    /// What stands between the cells of a CSV file
    #[arg(long, value_enum, default_value = "auto")]
    delimiter: Delimiter,
    /// The decimal mark of a CSV file
    #[arg(long, value_enum, default_value = "auto")]
    decimal: Decimal,
    /// Lines to skip at the top of each CSV file; 0: only comments [default: comments, and lines of text with fewer cells than all
    /// rows have]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=1000))]
    skip_lines: Option<u16>,
}

impl CsvOptions {
    /// How CSV files are read.
    fn reading(&self) -> crate::data::Options {
        crate::data::Options {
            header: self.header,
            delimiter: self.delimiter,
            decimal: self.decimal,
            skip_lines: self.skip_lines.map(usize::from),
            ..crate::data::Options::default()
        }
    }
}

/// Flags that say how tables are read.
#[derive(Debug, Clone, Args)]
struct TableOptions {
    /// Column of the labels in a table: its name, or its number from 1 on (-1 or last: the last one) [default: the one
    /// named label, class, target or y]
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    label: Option<String>,
    /// Another name of --label, for targets that are numbers
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true, conflicts_with = "label")]
    target: Option<String>,
    /// Whether targets are classes or values [default: what they look like]
    #[arg(long, value_enum)]
    task: Option<Task>,
    /// Columns of a table to leave out, with commas between: names, or numbers from 1 on
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Columns of a table to take as categories, whatever they look like
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    categories: Vec<String>,
    /// The most categories of a column; the others are one more, "other" [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    max_categories: Option<u16>,
    /// Column of numbers from 0 on that says how much each row weighs in training, and is no feature; evaluation counts all rows
    /// alike
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    weight: Option<String>,
    /// What is done about missing cells of a table
    #[arg(long, value_enum, default_value = "fill")]
    missing: Missing,
    /// Cells that stand for a missing value, beside empty ones, ?, NA, NaN, null and such
    #[arg(long, value_name = "TEXTS", value_delimiter = ',', allow_hyphen_values = true)]
    missing_values: Vec<String>,
    #[command(flatten)]
    csv: CsvOptions,
}

impl TableOptions {
    /// How tables are read.
    fn reading(&self) -> crate::data::Options {
        crate::data::Options {
            label: self.label.clone(),
            target: self.target.clone(),
            task: self.task,
            ignore: self.ignore.clone(),
            categories: self.categories.clone(),
            weight: self.weight.clone(),
            max_categories: self.max_categories.map(usize::from),
            missing: self.missing,
            missing_values: self.missing_values.clone(),
            ..self.csv.reading()
        }
    }
}

/// Has what is made of a converted data set lie beside its file, where there is no memory for it.
fn spill_beside(source: &str) {
    if crate::data::converted::present(source.as_ref()) {
        memory::spill(files::folder_of(source.as_ref()));
    }
}

/// A note on how data was read, with the flag that says otherwise.
fn read_so(note: &crate::data::Note) -> String {
    let flag = note.option.map(|option| format!(" (--{} says otherwise)", option.replace('_', "-")));
    format!("Data: {note}{}", flag.unwrap_or_default())
}

/// Refuses `outputs` that are files of the data set `source`, which `flag` names.
fn spare_data(flag: &'static str, source: &str, reading: &crate::data::Options, outputs: &[Named]) -> Result<()> {
    // What is not there yet is not read.
    if !outputs.iter().any(|(_, path)| path.exists()) {
        return Ok(());
    }
    let files = crate::data::files(source, reading).into_iter().map(|path| (flag, path));
    let test = reading.test.iter().flat_map(|path| {
        // What cannot be listed is told of when it is read.
        let files = crate::data::table_files(path).unwrap_or_else(|_| vec![path.clone()]);
        files.into_iter().map(|path| ("--test", path))
    });
    let inputs: Vec<Named> = files.chain(test).collect();
    files::refuse_overwriting(outputs, &inputs)
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share: &f64| (0.0..1.0).contains(share));
    share.ok_or_else(|| "give a number from 0 on and below 1, such as 0.1".into())
}

fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let side = |text: &str| text.parse().ok().filter(|side: &usize| (1..=1 << 14).contains(side));
    let size = text.split_once('x').and_then(|(height, width)| Some((side(height)?, side(width)?)));
    size.ok_or_else(|| "give height and width in pixels, such as 28x28".into())
}

/// A number of bytes: digits, and K, M, G or T for powers of 1024.
fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].to_ascii_uppercase();
    let power = match unit.trim_end_matches('B').trim_end_matches('I') {
        "" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        "T" => Some(40),
        _ => None,
    };
    let bytes = digits.parse::<f64>().ok().zip(power).map(|(number, power)| number * (1u64 << power) as f64);
    let bytes = bytes.filter(|bytes| (1.0..1e18).contains(bytes)).map(|bytes| bytes as u64);
    bytes.ok_or_else(|| "give a size such as 500M or 8G".into())
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && *rate >= 0.0);
    rate.ok_or_else(|| "give a number from 0 on".into())
}

/// The exit code where standard output was closed: that of a program which SIGPIPE ends, in a shell.
const CLOSED_PIPE: u8 = 141;

/// Runs the program: parses the process's arguments, does what they say, prints a failure in one line.
pub fn main() -> ExitCode {
    let words = match config::expanded(std::env::args_os().collect()) {
        Ok(words) => words,
        Err(error) => {
            note(&format!("error: {}", told(&error)));
            return ExitCode::from(error.exit_code());
        }
    };
    let matches = help::command().try_get_matches_from(&words);
    let Cli { mut command, max_memory } = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with exit code 0, misuse to standard error with 2.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    memory::watch();
    if let Some(bytes) = max_memory {
        memory::set_limit(bytes);
    }
    if let Command::Train(options) = &mut command {
        options.words = words;
    }
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        // Who read the output wants no more of it: the end is quiet, as that of programs which the signal ends.
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::BrokenPipe => ExitCode::from(CLOSED_PIPE),
        Err(error) => {
            note(&format!("error: {}", told(&error)));
            ExitCode::from(match error {
                Error::Interrupted => signals::exit_code(),
                error => error.exit_code(),
            })
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Train(options) => train::run(*options),
        Command::Cv(options) => cv::run(&options),
        Command::Search(options) => search::run(&options),
        Command::Runs(command) => runs::run(&command),
        Command::Merge(options) => merge::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Devices => devices::run(),
        Command::Check(options) => check::run(&options),
        Command::Eval(options) => eval::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::Inspect(options) => inspect::run(&options),
        Command::Report(options) => report::run(&options),
        Command::Plot(options) => report::plot::run(&options),
        Command::Export(options) => export::run(&options),
        Command::Data(command) => data::run(&command),
        Command::Completions(options) => completions::run(&options),
        Command::Man(options) => man::run(&options),
    }
}

/// Opens what `request` asks for, with what there is to say of it.
fn select(request: &Request) -> Result<Selected> {
    let mut selected = request.select()?;
    selected.notes.iter().for_each(|line| note(line));
    selected.tell = note;
    Ok(selected)
}

/// An error with the flags that would help.
fn told(error: &Error) -> String {
    match error {
        Error::Advised { error, remedies } => {
            format!("{}: {}", told(error), error::listed(remedies.iter().map(flags_for)))
        }
        Error::Memory { of: Bound::Limit, .. } => format!("{error} (--max-memory)"),
        Error::Unsuited { option, why } => format!("--{} {why}", option.replace('_', "-")),
        Error::Diverged { .. } => format!("{error}: lower --lr, or hold steps with --clip-norm 1"),
        error => error.to_string(),
    }
}

/// What to do, by flags.
fn flags_for(remedy: &Remedy) -> String {
    match remedy {
        Remedy::SmallerBatch => "use a smaller --batch-size".into(),
        Remedy::BatchOf(rows) => format!("use a smaller --batch-size, of at most {rows}"),
        Remedy::SmallerLayers => "use a smaller --hidden".into(),
        Remedy::Limit => "say how much memory it may take with --max-memory SIZE".into(),
        Remedy::LayersOf(units) => format!("use a smaller --hidden, of at most {units} units a layer"),
        Remedy::LessData | Remedy::FewerInputs | Remedy::Driver => remedy.to_string(),
        Remedy::LowerRate => "lower --lr".into(),
        Remedy::Cpu => "use --backend cpu".into(),
        Remedy::Unchecked => "look closer with mlp-gpu check, or train unchecked with --no-check".into(),
        Remedy::Inexact => "leave --exact out".into(),
        Remedy::Gpu => "use --backend gpu".into(),
        Remedy::NoAdapter => "leave --adapter out".into(),
        Remedy::FullPrecision => "leave --precision mixed out".into(),
        Remedy::Plan(plan) => format!("use --plan {}", plan.name()),
        Remedy::NoPlan => "leave --plan out".into(),
        Remedy::Option(name) => match *name {
            "missing" => "use --missing fill, or --missing drop".into(),
            "missing_values" => "name what stands for a missing value with --missing-values".into(),
            "ignore" => "leave the column out with --ignore".into(),
            "categories" => "take the column's cells as names with --categories".into(),
            "decimal" => "use --decimal comma".into(),
            "arrays" => "say which is which with --arrays X=NAME,y=NAME".into(),
            "label" => "say which one it is with --label".into(),
            "mirror" => "give another one with --mirror URL".into(),
            "folder" => "name it with --data-dir DIR (or MLP_GPU_DATA=DIR)".into(),
            "validation_split" => "draw one with --validation-split SHARE".into(),
            "seed" => "draw the same for all with --test-split and --seed".into(),
            "weight" => "name another column with --weight".into(),
            "image_size" => "use --image-size HEIGHTxWIDTH".into(),
            name => format!("use --{}", name.replace('_', "-")),
        },
        Remedy::Without(name) => format!("leave --{} out", name.replace('_', "-")),
        Remedy::Predict => "mlp-gpu predict takes images without classes".into(),
        Remedy::NamedLayers => "name them in order with --layers a,b,c".into(),
        Remedy::Activation => "name another with --activation".into(),
        Remedy::Normalize => "give the inputs' scaling with --normalize MEAN,STD".into(),
        Remedy::Values => "--task values for a number".into(),
        Remedy::Member => {
            "pick one with --member I of eval, predict, inspect and export; export writes it into a file of its own"
                .into()
        }
        Remedy::AsItIs => "leave --layers, --activation and --normalize out".into(),
    }
}

/// `text` as a word of a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=+%@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The most characters of a line on standard error, and how many of them are its beginning.
const LONGEST: (usize, usize) = (1500, 1000);

/// `text` as a terminal shows it as it is: control characters but those to `keep`, and characters that turn the direction of text,
/// are escaped as in JSON, for they may come from files.
fn shown<'a>(text: &'a str, keep: &[char]) -> Cow<'a, str> {
    let special = |c: char| {
        (c.is_control() && !keep.contains(&c)) || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(special) {
        return text.into();
    }
    let escaped = |c: char| match c {
        '\n' if special(c) => "\\n".into(),
        c if special(c) => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect::<String>().into()
}

/// `line` without its middle where it is long: what is wrong stands at its beginning, what to do at its end.
fn cut(line: &str) -> Cow<'_, str> {
    let (most, start) = LONGEST;
    // No character has more than four bytes.
    if line.len() <= most || line.chars().count() <= most {
        return line.into();
    }
    let at = |place: usize| line.char_indices().nth(place).map_or(line.len(), |(at, _)| at);
    let end = line.char_indices().rev().nth(most - start).map_or(0, |(at, _)| at);
    format!("{} ... {}", &line[..at(start)], &line[end..]).into()
}

/// A line on standard output.
///
/// # Errors
/// [`Error::Io`] when it cannot be written: the disk is full, or the reader of a pipe went away.
fn print(line: &str) -> Result<()> {
    let line = shown(line, &['\n', '\t']);
    full_screen::write_line(Stream::Output, &line).map_err(Error::io("write", "standard output".as_ref()))
}

/// A line of text on standard output, folded where it is wider than a terminal.
///
/// # Errors
/// As [`print`].
fn print_text(line: &str) -> Result<()> {
    print(&terminal::folded_result(line))
}

/// A line on standard error: escaped, cut, and folded where it is wider than a terminal. If that is closed there is nobody to tell.
fn note(line: &str) {
    let _ = full_screen::write_line(Stream::Error, &terminal::folded_note(&shown(&cut(line), &[])));
}

/// Lines on standard error, each of them once.
#[derive(Default)]
struct Once(RefCell<HashSet<String>>);

impl Once {
    fn note(&self, line: &str) {
        if self.0.borrow_mut().insert(line.to_owned()) {
            note(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn lines_are_single_and_short_whatever_files_say() {
        assert_eq!(shown("a \u{e9} \"b\"", &[]), "a \u{e9} \"b\"");
        assert_eq!(shown("\u{1b}[31mx\n\0\u{202e}", &[]), r"\u001b[31mx\n\u0000\u202e");
        assert_eq!(shown("1\t2\n\u{9b}", &['\n', '\t']), "1\t2\n\\u009b");
        let long = format!("{}\u{e9}{}", "a".repeat(5000), "z".repeat(5000));
        let short = cut(&long);
        assert!(short.starts_with("aaa") && short.ends_with("zzz") && short.len() < 1600, "{short}");
        assert_eq!(cut(&long[..1500]), long[..1500]);
    }

    #[test]
    fn sizes_are_read_with_and_without_a_unit() {
        let sizes = ["1024", "1K", "1.5kib", "2M", "8GB"].map(|text| parse_bytes(text).ok());
        assert_eq!(sizes, [Some(1024), Some(1024), Some(1536), Some(2 << 20), Some(8 << 30)]);
        assert!(["", "G", "-1", "0", "1X", "nan", "inf", "1e30"].iter().all(|text| parse_bytes(text).is_err()));
    }

    #[test]
    fn no_two_flags_of_a_command_contradict_each_other() {
        Cli::command().debug_assert();
    }
}
