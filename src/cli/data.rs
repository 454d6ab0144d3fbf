//! `mlp-gpu data`

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, Subcommand};
use serde_json::json;

use super::fetch::{FetchOptions, Place};
use super::terminal::WIDTH;
use super::{ImageOptions, TableOptions, note, print, print_text, read_so, spare_data};
use crate::augment::Augment;
use crate::data::catalogue::{self, SETS, Set};
use crate::data::fetch::Event;
use crate::data::schema::{Kind, Profile, Range};
use crate::data::{self, Note, Table, idx};
use crate::error::{Error, Remedy, Result};
use crate::{cache, files, preview};

mod convert;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Fetch published data sets
    Fetch(FetchArguments),
    /// List the named data sets: where they are, how large, and whether they are what was published
    List(ListOptions),
    /// Check the files of a data set
    Check(CheckOptions),
    /// Write a picture of a data set: a row of examples per class
    Preview(PreviewOptions),
    /// Show the columns of a table, what they hold, and what they would become; or what a converted data set holds
    Inspect(InspectOptions),
    /// Read, split, encode and scale a data set once, and write it to a file whose rows are mapped and take no memory
    Convert(Box<convert::Options>),
}

/// All sets that are small, together.
const ALL: &str = "all";

/// The names that `fetch` takes.
fn names() -> PossibleValuesParser {
    let all = PossibleValue::new(ALL).help("All of them but EMNIST's, which are one archive of 562 MB");
    PossibleValuesParser::new(SETS.iter().map(|set| PossibleValue::new(set.name)).chain([all]))
}

#[derive(Debug, Args)]
pub(super) struct FetchArguments {
    /// Data set
    #[arg(value_name = "NAME", value_parser = names(), required = true)]
    names: Vec<String>,
    /// Data folder to fetch into [default: the cache folder]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    fetch: FetchOptions,
}

#[derive(Debug, Args)]
pub(super) struct ListOptions {
    /// A data folder to list beside the cache
    #[arg(long, value_name = "DIR", env = "MLP_GPU_DATA")]
    data_dir: Option<PathBuf>,
    /// Print a JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    /// A named data set, a data folder, or whatever `train --data` takes
    #[arg(value_name = "NAME|DIR")]
    data: String,
    /// Data folder: holds mnist/train-images-idx3-ubyte[.gz] and so on
    #[arg(long, value_name = "DIR", env = "MLP_GPU_DATA")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    images: ImageOptions,
}

#[derive(Debug, Args)]
pub(super) struct PreviewOptions {
    /// Data set, as `train --data` takes it
    #[arg(value_name = "NAME|PATH")]
    data: String,
    /// Data folder: holds mnist/train-images-idx3-ubyte[.gz] and so on
    #[arg(long, value_name = "DIR", env = "MLP_GPU_DATA")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    images: ImageOptions,
    #[command(flatten)]
    fetch: FetchOptions,
    /// The PNG file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Show what training makes of images with this --augment: the first 8 images as they are, and each augmented 8 times
    #[arg(long, value_name = "HOW", default_value_t)]
    augment: Augment,
    /// Examples per class [default: 20], or with --augment per image [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=200))]
    columns: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct InspectOptions {
    /// A table: CSV, plain or packed; Parquet; Arrow; a folder or pattern of many files; - for standard input. Or a file of data
    /// convert
    #[arg(value_name = "FILE")]
    file: String,
    #[command(flatten)]
    table: TableOptions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &Command) -> Result<()> {
    match command {
        Command::Fetch(arguments) => fetch(arguments),
        Command::List(options) => list(options),
        Command::Check(options) => check(options),
        Command::Preview(options) => show(options),
        Command::Inspect(options) => inspect(options),
        Command::Convert(options) => convert::run(options),
    }
}

fn fetch(arguments: &FetchArguments) -> Result<()> {
    let own = arguments.data_dir.as_deref();
    let root = own.map_or_else(cache::folder, |folder| Ok(folder.to_path_buf()))?;
    let wanted =
        |set: &&Set| arguments.names.iter().any(|name| name == set.name || (name == ALL && set.archive.is_none()));
    for set in SETS.iter().filter(wanted) {
        let folder = root.join(set.folder);
        arguments.fetch.fetch(set, &folder, own.is_none(), &mut |event| match event {
            Event::Fetched(path, url) => print(&format!("{}: fetched from {url}", path.display())),
            Event::Present(path) => print(&format!("{}: already there", path.display())),
            _ => Ok(()),
        })?;
        print(&format!("{} is in {}. Licence: {}", set.name, folder.display(), set.licence))?;
    }
    Ok(())
}

/// What is known of a file of a published set.
enum State {
    /// It is the published one.
    Published,
    /// It may be: no hash of it is published.
    Unknown,
    /// It is not there, or is not what it should be.
    Bad(Error),
}

/// The four files of `set` in `folder`: where they are and what is known of them.
fn states(set: &Set, folder: &Path) -> Vec<(PathBuf, State)> {
    let state = |file: &catalogue::Published| match idx::find(folder, file.name) {
        Ok(path) => match file.verify(&path) {
            Ok(true) => (path, State::Published),
            Ok(false) => (path, State::Unknown),
            Err(error) => (path, State::Bad(error)),
        },
        Err(error) => (folder.join(file.name), State::Bad(error)),
    };
    set.files.iter().map(state).collect()
}

fn list(options: &ListOptions) -> Result<()> {
    let folders: Vec<PathBuf> = options.data_dir.iter().cloned().chain(cache::folder().ok()).collect();
    if !options.json {
        print(&format!("{:<16}{:>11}  {:<11}where", "data set", "bytes", "checked"))?;
    }
    let line = |name: &str, bytes: u64, checked: &str, folder: Option<&Path>, licence: &str| {
        if options.json {
            let folder = folder.map(|folder| folder.display().to_string());
            let object = json!({
                "name": name, "folder": folder, "bytes": bytes, "checked": checked, "licence": licence,
            });
            return print(&object.to_string());
        }
        let at = folder.map_or_else(|| "-".into(), |folder| folder.display().to_string());
        print(&format!("{name:<16}{bytes:>11}  {checked:<11}{at}"))
    };
    line("digits", 0, "embedded", None, "drawn by this program")?;
    for set in &SETS {
        let mut places: Vec<PathBuf> = folders.iter().map(|folder| folder.join(set.folder)).collect();
        places.retain(|folder| set.present(folder));
        if places.is_empty() {
            line(set.name, 0, "not here", None, set.licence)?;
        }
        for folder in places {
            let states = states(set, &folder);
            let bytes = states.iter().filter_map(|(path, _)| path.metadata().ok()).map(|found| found.len()).sum();
            let bad = |(path, state): &(PathBuf, State)| matches!(state, State::Bad(_)) && path.exists();
            let checked = match () {
                () if states.iter().any(bad) => "wrong",
                () if !set.complete(&folder) => "incomplete",
                () if states.iter().any(|(_, state)| matches!(state, State::Unknown)) => "unknown",
                () => "yes",
            };
            line(set.name, bytes, checked, Some(&folder), set.licence)?;
        }
    }
    Ok(())
}

fn check(options: &CheckOptions) -> Result<()> {
    let path = Path::new(&options.data);
    if let Some(set) = catalogue::set(&options.data) {
        let folders = options.data_dir.iter().cloned().chain(cache::folder().ok());
        let folder = folders.map(|folder| folder.join(set.folder)).find(|folder| set.present(folder));
        let fetch = || Error::Data(format!("{0} is not here: run mlp-gpu data fetch {0}", set.name));
        return published(&[(set, folder.ok_or_else(fetch)?)]);
    }
    let inside: Vec<(&Set, PathBuf)> = SETS.iter().map(|set| (set, path.join(set.folder))).collect();
    let inside: Vec<_> = inside.into_iter().filter(|(set, folder)| set.present(folder)).collect();
    if !inside.is_empty() {
        return published(&inside);
    }
    if path.is_dir() && SETS.iter().any(|set| set.present(path)) {
        // The folder of a set, or of several, has its name; any other may hold a set still.
        let name = path.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_str()?.to_owned()));
        let named = |set: &&Set| name.as_deref() == Some(set.folder) && set.present(path);
        let holds = |set: &&Set| states(set, path).iter().any(|(_, state)| matches!(state, State::Published));
        let mut sets: Vec<&Set> = SETS.iter().filter(named).collect();
        if sets.is_empty() {
            sets.extend(SETS.iter().find(holds));
        }
        if !sets.is_empty() {
            let places: Vec<_> = sets.into_iter().map(|set| (set, path.to_path_buf())).collect();
            return published(&places);
        }
    }
    let (dataset, notes) =
        data::load(&options.data, &data::Options { folder: options.data_dir.clone(), ..options.images.reading() })?;
    notes.iter().for_each(|line| note(&read_so(line)));
    print(&format!(
        "{}: well-formed, {} + {} rows of {} values, {}; not a published data set, so without a hash to check it by",
        dataset.name,
        dataset.train.len(),
        dataset.test.as_ref().map_or(0, |test| test.len()),
        dataset.train.width,
        match &dataset.target_scale {
            Some(scale) => format!("targets {}", data::classes::list(&scale.names)),
            None => format!("classes {}", data::classes::list(&dataset.classes)),
        },
    ))
}

/// Prints a line for each file.
fn published(places: &[(&Set, PathBuf)]) -> Result<()> {
    let mut bad = 0;
    for (set, folder) in places {
        for (path, state) in states(set, folder) {
            match state {
                State::Published => print(&format!("{}: ok", path.display()))?,
                State::Unknown => {
                    print(&format!("{}: of the right length; no hash of it is published", path.display()))?
                }
                State::Bad(error) => {
                    bad += 1;
                    print(&format!("{error}: WRONG"))?;
                }
            }
        }
    }
    let names: Vec<&str> = places.iter().map(|(set, _)| set.name).collect();
    match bad {
        0 => Ok(()),
        _ => Err(Error::Check(format!(
            "{bad} of {} files of {} are missing or not the published ones: fetch them with mlp-gpu data fetch",
            4 * places.len(),
            names.join(", ")
        ))),
    }
}

/// Images whose augmentation is shown.
const AUGMENTED_IMAGES: usize = 8;

fn show(options: &PreviewOptions) -> Result<()> {
    files::check_replaceable(&options.out)?;
    let folder = match options.fetch.locate(&options.data, options.data_dir.as_deref())? {
        Place::Folder(folder) => folder,
        Place::Nowhere { why, .. } => return Err(Error::Data(why)),
    };
    let reading = data::Options { folder, ..options.images.reading() };
    spare_data("<NAME|PATH>", &options.data, &reading, &[("--out", options.out.clone())])?;
    let (dataset, notes) = data::load(&options.data, &reading)?;
    notes.iter().for_each(|line| note(&read_so(line)));
    let (augment, path, name) = (options.augment, options.out.display(), &dataset.name);
    if augment.is_none() {
        let columns = options.columns.unwrap_or(20);
        files::write(&options.out, &preview::contact_sheet(&dataset, usize::from(columns), 2)?)?;
        return print(&format!("{path}: {columns} examples of each class of {name}"));
    }
    let columns = options.columns.unwrap_or(8);
    let counts = (AUGMENTED_IMAGES, usize::from(columns));
    files::write(&options.out, &preview::augmented_sheet(&dataset, augment, counts, 2)?)?;
    print(&format!(
        "{path}: the first {AUGMENTED_IMAGES} images of {name}, and each {columns} times augmented by {augment}"
    ))
}

/// Tells what the columns of a table hold and what they would become, if all rows were learnt from.
fn inspect(options: &InspectOptions) -> Result<()> {
    let reading = options.table.reading();
    if data::converted::present(options.file.as_ref()) {
        return convert::inspect(&options.file, &reading, options.json);
    }
    let (table, mut notes) = table_to_show(&options.file, &reading)?;
    let mut decided = Vec::new();
    let (profiles, schema) = table.profile(&mut decided)?;
    // What is decided of columns stands in the table itself.
    notes.iter().for_each(|line| note(&read_so(line)));
    if options.json {
        notes.append(&mut decided);
        let notes: Vec<&str> = notes.iter().map(|note| &note.text[..]).collect();
        return print(
            &json!({
                "file": options.file,
                "rows": table.rows(),
                "columns": profiles,
                "classes": table.classes(),
                "features": schema.features,
                "notes": notes,
            })
            .to_string(),
        );
    }
    print(&format!(
        "{}: {} rows, {} columns, {} features",
        options.file,
        table.rows(),
        profiles.len(),
        schema.width()
    ))?;
    let name = |profile: &Profile| profile.column.chars().take(24).collect::<String>();
    let longest = |of: &dyn Fn(&Profile) -> String| profiles.iter().map(|it| of(it).chars().count()).max().unwrap_or(0);
    let width = longest(&name).max(6);
    let kind = longest(&|profile| profile.kind.name().to_owned()).max(4);
    // What is left of a line, but for columns that become something long.
    let room = WIDTH.saturating_sub(width + kind + 7 + 4 * 2 + longest(&becomes));
    let holds_width = room.clamp(LEAST_HELD, MOST_HELD).min(longest(&|profile| holds(profile, MOST_HELD))).max(5);
    print(&format!("{:<width$}  {:<kind$}  {:>7}  {:<holds_width$}  becomes", "column", "kind", "missing", "holds"))?;
    for profile in &profiles {
        let line = format!(
            "{:<width$}  {:<kind$}  {:>7}  {:<holds_width$}  {}",
            name(profile),
            profile.kind.name(),
            profile.missing,
            holds(profile, holds_width),
            becomes(profile)
        );
        print_text(line.trim_end())?;
    }
    Ok(())
}

/// The table to show. Where no column is named as the target, nor called as one, the last one is shown as it.
fn table_to_show(file: &str, reading: &data::Options) -> Result<(Table, Vec<Note>)> {
    let is_untold = |error: &Error| match error {
        Error::Advised { remedies, .. } => reading.column().is_none() && remedies.contains(&Remedy::Option("label")),
        _ => false,
    };
    match data::table(file, reading) {
        Err(error) if is_untold(&error) => {
            let last = data::Options { label: Some("last".into()), ..reading.clone() };
            let (table, mut notes) = data::table(file, &last).map_err(|_| error)?;
            let text =
                "no target was found by its name, and train needs one: the last column is shown as it".to_owned();
            notes.insert(0, Note { text, option: Some("label") });
            Ok((table, notes))
        }
        read => read,
    }
}

/// Characters of what a column holds, at the least and at the most.
const LEAST_HELD: usize = 14;
const MOST_HELD: usize = 44;

/// The range or the most frequent values of a column, in at most `most` characters.
fn holds(profile: &Profile, most: usize) -> String {
    let text = match &profile.range {
        Range::Unread => "-".to_owned(),
        Range::Numbers { least, most } => format!("{} to {}", shortly(*least), shortly(*most)),
        Range::Texts { different, frequent } => {
            let shown: Vec<String> = frequent.iter().map(|(text, count)| format!("{text:?} {count}")).collect();
            format!("{different}: {}", shown.join(", "))
        }
    };
    if text.chars().count() <= most { text } else { text.chars().take(most - 3).collect::<String>() + "..." }
}

/// A number with no more digits than float32 tells apart, where it is one.
fn shortly(value: f64) -> String {
    match value as f32 {
        single if f64::from(single) == value => single.to_string(),
        _ => value.to_string(),
    }
}

/// What a column becomes, in a few words.
fn becomes(profile: &Profile) -> String {
    let missing = |indicator: &bool| if *indicator { ", and whether it is missing" } else { "" };
    match &profile.kind {
        Kind::Target => "what is predicted".into(),
        Kind::LeftOut { why } => format!("nothing: {why}"),
        Kind::Number { fill, indicator, .. } => match fill {
            Some(fill) if profile.missing > 0 => {
                format!("a number, {} where it is missing{}", shortly(*fill), missing(indicator))
            }
            _ => "a number".into(),
        },
        Kind::Quantity { unit, indicator, .. } => format!("a number, read without {unit}{}", missing(indicator)),
        Kind::Boolean { texts: [no, yes], indicator, .. } => format!("{no} 0, {yes} 1{}", missing(indicator)),
        Kind::Time { form, indicator, .. } => format!("days, read as {form}{}", missing(indicator)),
        Kind::Categories { values, other, indicator, .. } => {
            let others = if *other { ", 1 for others" } else { "" };
            format!("{} features of 0 or 1{others}{}", values.len() + usize::from(*other), missing(indicator))
        }
    }
}
