//! Tables through the real binary: in columns (Parquet, Arrow), of many files, with weights, and in the forms that people have.
#![allow(missing_docs, clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use mlp_gpu::{checkpoint, data};
use zip::write::SimpleFileOptions;

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mlp-gpu"));
    command.env_remove("MLP_GPU_DATA").env("MLP_GPU_OFFLINE", "1").env("NODEVICE_SELECT", "1").args(arguments);
    command
}

/// Standard output and standard error of a run that succeeds.
fn run(arguments: &[&str]) -> (String, String) {
    told(command(arguments).output().unwrap(), arguments)
}

fn told(output: Output, arguments: &[&str]) -> (String, String) {
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{arguments:?}: {err}");
    (out, err)
}

/// The one line of error of a run that fails with this exit code.
fn refused(arguments: &[&str], code: i32) -> String {
    let output = command(arguments).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(errors.len() == 1 && !text.contains("panicked"), "{text}");
    errors[0].to_owned()
}

#[test]
#[cfg(feature = "columnar")]
fn the_last_column_is_none_that_pandas_saved_its_index_in() {
    for last in ["last", "-1"] {
        let (_, err) = run(&["data", "inspect", "tests/reference/tables/kinds.parquet", "--label", last]);
        assert!(err.contains("labels in column 6 (\"kind\")"), "{err}");
    }
}

#[test]
fn what_is_to_be_predicted_is_neither_left_out_nor_a_category_and_weights_name_classes_as_data_do() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..40).map(|row| format!("{},{},{}\n", row % 7, row * 3 % 11, row % 2)).collect();
    let data = write(folder.path(), "t.csv", format!("a,b,label\n{rows}"));
    for (flag, column, part) in [
        ("--ignore", "label", "leave it out"),
        ("--ignore", "a,3", "leave it out"),
        ("--categories", "label", "categories"),
    ] {
        for command in [&["train", "--data"][..], &["data", "inspect"]] {
            let error = refused(&[command, &[&data, flag, column]].concat(), 2);
            let helps = format!("leave {flag} out");
            assert!(
                error.contains("column 3 (\"label\") is what is to be predicted") && error.contains(part),
                "{error}"
            );
            assert!(error.contains(&helps), "{error}");
        }
    }
    let weights = write(folder.path(), "w.csv", "class,weight\n0.0,1\n1e0,3\n");
    train(folder.path(), "m.st", &data, &["--class-weight", &weights, "--epochs", "1"]);
}

const SMALL: [&str; 6] = ["--backend", "cpu", "--hidden", "16", "--threads", "1"];

/// Trains a small network on `data`, for 3 epochs unless `more` says otherwise, and returns the path of the model, and what was said.
fn train(folder: &Path, name: &str, data: &str, more: &[&str]) -> (PathBuf, String) {
    let model = folder.join(name);
    let save = ["--save", model.to_str().unwrap()];
    let few = if more.contains(&"--epochs") { &[][..] } else { &["--epochs", "3"] };
    let (_, err) = run(&[&["train", "--data", data], &SMALL[..], few, &save, more].concat());
    (model, err)
}

fn parameters(model: &Path) -> Vec<f32> {
    checkpoint::load(model).unwrap().state.parameters
}

fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A recorded file.
#[cfg(feature = "columnar")]
fn recorded(name: &str) -> String {
    format!("{}/tests/reference/tables/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[cfg(feature = "columnar")]
const IN_COLUMNS: [&str; 5] = ["pandas.parquet", "polars.parquet", "pandas.feather", "polars.arrow", "pyarrow.arrows"];

#[test]
#[cfg(feature = "columnar")]
fn a_table_in_columns_is_the_same_table_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let text = recorded("table.csv");
    let (model, _) = train(folder.path(), "text.safetensors", &text, &["--label", "kind"]);
    let out = folder.path().join("out.csv");
    let predict = [
        ["predict", model.to_str().unwrap(), "--backend", "cpu"],
        ["--keep", "small,day,level", "--output", out.to_str().unwrap()],
    ]
    .concat();
    let predicted = |input: &str| {
        run(&[&predict[..], &[input]].concat());
        std::fs::read_to_string(&out).unwrap()
    };
    let evaluated =
        |data: &str| run(&["eval", model.to_str().unwrap(), "--backend", "cpu", "--json", "--data", data]).0;
    let (rows, figures) = (predicted(&text), evaluated(&text));
    assert_eq!(rows.lines().count(), 61);
    for name in IN_COLUMNS {
        let path = recorded(name);
        let (other, err) = train(folder.path(), "columns.safetensors", &path, &["--label", "kind"]);
        assert!(err.contains("60 rows, a header, 14 columns, labels in column 14"), "{err}");
        assert_eq!(parameters(&other), parameters(&model), "{name}");
        let [other, model] = [&other, &model].map(|path| checkpoint::load(path).unwrap().metadata.unwrap());
        assert_eq!((other.columns, other.scaling), (model.columns, model.scaling), "{name}");
        assert_eq!(predicted(&path), rows, "{name}");
        assert_eq!(evaluated(&path), figures, "{name}");
        let mut piped = command(&[&predict[..], &["-"]].concat());
        let child = piped.stdin(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut child = child.unwrap();
        child.stdin.take().unwrap().write_all(&std::fs::read(&path).unwrap()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(std::fs::read_to_string(&out).unwrap(), rows, "{name} on standard input");
        let test = ["--label", "kind", "--test", &path];
        let (tested, _) = train(folder.path(), "tested.safetensors", &text, &test);
        assert_eq!(checkpoint::load(&tested).unwrap().metadata.unwrap().reading.test.unwrap(), Path::new(&path));
    }
}

#[test]
#[cfg(feature = "columnar")]
fn kinds_of_columns_that_text_does_not_have_are_told() {
    let (out, err) = run(&["data", "inspect", &recorded("kinds.parquet"), "--label", "kind"]);
    for (column, what) in [
        ("price", "a number"),
        ("code", "3 features of 0 or 1"),
        ("took", "a number"),
        ("at", "days, read as %H:%M:%S%.f"),
        ("__index_level_0__", "they number the rows"),
    ] {
        let line = out.lines().find(|line| line.split_whitespace().next() == Some(column)).unwrap();
        assert!(line.contains(what), "{line}");
    }
    for note in ["tags (a list), inner (a struct), raw (bytes)", "as categories: code", "numbers of days: took"] {
        assert!(err.contains(note), "{note}: {err}");
    }
    let ruled = ["--label", "size", "--ignore", "code,took", "--missing", "drop", "--task", "values"];
    let (out, _) = run(&[&["data", "inspect", &recorded("kinds.parquet")], &ruled[..]].concat());
    assert!(out.contains("nothing: asked for") && out.contains("60 rows"), "{out}");
}

#[test]
#[cfg(feature = "columnar")]
fn damaged_files_in_columns_are_refused_in_one_line() {
    use mlp_gpu::data::{self, Options};
    let folder = tempfile::tempdir().unwrap();
    let options = Options { label: Some("kind".into()), ..Options::default() };
    let load = |bytes: &[u8]| {
        let path = write(folder.path(), "table", bytes);
        data::load(&path, &options).map(|(set, _)| set.train.len()).map_err(|error| error.to_string())
    };
    for name in IN_COLUMNS {
        let whole = std::fs::read(recorded(name)).unwrap();
        let mut failed = 0;
        for part in 1..40 {
            // Of a stream a part may be whole messages.
            let cut = whole.len() * part / 40;
            let error = load(&whole[..cut]).err();
            assert!(error.is_some() || name == "pyarrow.arrows", "{name} cut at {cut}");
            // Any byte may be another one: whatever is made of it, it is no panic.
            let mut bytes = whole.clone();
            bytes[cut] ^= 0xff;
            bytes[whole.len() - part] ^= 0x55;
            let changed = load(&bytes).err();
            failed += usize::from(changed.is_some());
            for text in error.iter().chain(&changed) {
                assert!(text.contains("found") && text.contains("expected") && !text.contains('\n'), "{name}: {text}");
            }
        }
        assert!(failed > 10, "{name}: {failed}");
    }
    // Values that claim to be a tebibyte when they are unpacked.
    let mut bytes = std::fs::read(recorded("pandas.feather")).unwrap();
    let frame = bytes.windows(4).position(|start| start == [0x04, 0x22, 0x4d, 0x18]).unwrap();
    bytes[frame - 8..frame].copy_from_slice(&(1u64 << 40).to_le_bytes());
    assert!(load(&bytes).unwrap_err().contains("claim to be 10995116"), "{:?}", load(&bytes));
    let packed = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("table.parquet", SimpleFileOptions::default()).unwrap();
        zip.write_all(&std::fs::read(recorded("polars.parquet")).unwrap()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    assert!(load(&packed).unwrap_err().contains("a Parquet file in a zip archive"));
}

/// Two numbers, a text, and a class.
type Row = ([f64; 2], &'static str, &'static str);

/// Rows around a centre a class, far apart.
fn blobs(rows: usize) -> Vec<Row> {
    let kinds = ["adela", "chin", "gento"];
    let row = |row: usize| {
        let class = row % 3;
        let near = |seed: f64| 0.4 * (row as f64 * seed).sin();
        let centre = [[0.0, 3.0], [3.0, 0.0], [-3.0, -3.0]][class];
        let place = ["north", "east"][usize::from(row.is_multiple_of(7))];
        ([centre[0] + near(1.3), centre[1] + near(2.7)], place, kinds[class])
    };
    (0..rows).map(row).collect()
}

fn lines(rows: &[Row]) -> Vec<String> {
    rows.iter().map(|([a, b], place, kind)| format!("{a:.3},{b:.3},{place},{kind}")).collect()
}

#[test]
fn many_files_are_one_table_in_the_order_of_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let rows = lines(&blobs(90));
    let header = "a,b,place,kind\n";
    let file = |rows: &[String]| rows.iter().fold(String::new(), |text, row| text + row + "\n");
    let whole = write(folder.path(), "whole.csv", header.to_owned() + &file(&rows));
    // A header in the first alone, columns in another order, a packed one.
    write(folder.path(), "parts/part-1.csv", header.to_owned() + &file(&rows[..30]));
    write(folder.path(), "parts/part-2.csv", file(&rows[30..45]));
    let turned = rows[45..70].iter().fold("kind,b,place,a\n".to_owned(), |text, row| {
        let cells: Vec<&str> = row.split(',').collect();
        text + &[cells[3], cells[1], cells[2], cells[0]].join(",") + "\n"
    });
    write(folder.path(), "parts/part-9.csv", turned);
    let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    zip.write_all((header.to_owned() + &file(&rows[70..])).as_bytes()).unwrap();
    let last = write(folder.path(), "parts/part-10.csv.gz", zip.finish().unwrap());
    let label = ["--label", "kind"];
    let (one, _) = train(folder.path(), "one.safetensors", &whole, &label);
    let parts = folder.path().join("parts");
    let (parts, pattern) = (parts.to_str().unwrap(), parts.join("part-*").to_str().unwrap().to_owned());
    for data in [parts, &pattern] {
        let (many, err) = train(folder.path(), "many.safetensors", data, &label);
        let told = format!("4 files, {parts}/part-1.csv to {last}, are read as one table of 90 rows");
        assert!(err.replace('\n', " ").contains(&told), "{err}");
        assert_eq!(parameters(&many), parameters(&one));
        let evaluate = |model: &Path, data: &str, more: &[&str]| {
            let arguments = ["eval", model.to_str().unwrap(), "--backend", "cpu", "--json", "--data", data];
            run(&[&arguments, more].concat()).0
        };
        assert_eq!(evaluate(&one, data, &[]), evaluate(&one, &whole, &[]), "the rows that training held out");
        let (tested, _) = train(folder.path(), "tested.safetensors", &whole, &["--label", "kind", "--test", data]);
        assert!(evaluate(&tested, &whole, &["--test", data]).contains("\"n\":90"));
        let error = refused(&["train", "--data", data, "--label", "kind", "--save", &last], 2);
        assert!(error.contains("would overwrite") && error.contains("part-10.csv.gz, which --data reads"), "{error}");
        let error = refused(&["train", "--data", &whole, "--test", data, "--label", "kind", "--save", &last], 2);
        assert!(error.contains("which --test reads"), "{error}");
    }
    // Names in another case are those of training, in each file.
    for (name, rows) in [("1", &rows[..45]), ("2", &rows[45..])] {
        write(folder.path(), &format!("upper/part-{name}.csv"), header.to_uppercase() + &file(rows));
    }
    let upper = folder.path().join("upper");
    let arguments = ["eval", one.to_str().unwrap(), "--backend", "cpu", "--json", "--data", upper.to_str().unwrap()];
    assert!(run(&arguments).0.contains("\"n\":"));
    write(folder.path(), "parts/part-11.csv", "a,b,place,kind\n1,2,north,chin\n\n1,2,chin\n");
    let error = refused(&["train", "--data", parts, "--label", "kind"], 1);
    assert!(error.contains("part-11.csv: found 3 cells in line 4"), "{error}");
    write(folder.path(), "parts/part-11.csv", "a,b,where,kind\n1,2,north,chin\n");
    let error = refused(&["train", "--data", parts, "--label", "kind"], 1);
    assert!(error.contains("part-11.csv: found no column \"place\"") && error.contains("part-1.csv"), "{error}");
    write(folder.path(), "parts/part-11.csv", "a,b,place,kind,more\n1,2,north,chin,1\n");
    let error = refused(&["train", "--data", parts, "--label", "kind"], 1);
    assert!(error.contains("part-11.csv: found a column \"more\" more"), "{error}");
    write(folder.path(), "parts/part-11.csv", "a,b,place,kind\n1,,north,chin\n");
    let error = refused(&["train", "--data", parts, "--label", "kind", "--missing", "refuse"], 1);
    let place = format!("1 in column 2 (\"b\"), the first in line 2 of {parts}/part-11.csv");
    assert!(error.contains(&place), "{error}");
    assert!(refused(&["train", "--data", "none-*.csv"], 1).contains("none-*.csv: found no file"));
}

#[test]
fn columns_of_one_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |header: &str| lines(&blobs(60)).iter().fold(header.to_owned(), |text, row| text + row + "\n");
    let twice = write(folder.path(), "twice.csv", rows("x,x,place,kind\n"));
    let plain = write(folder.path(), "plain.csv", rows("x,x.1,place,kind\n"));
    let (model, err) = train(folder.path(), "twice.safetensors", &twice, &["--label", "kind"]);
    assert!(err.contains("columns of a name that another one has are called \"x.1\""), "{err}");
    assert_eq!(
        parameters(&train(folder.path(), "plain.safetensors", &plain, &["--label", "kind"]).0),
        parameters(&model)
    );
    let predict = |data: &str| {
        let out = run(&["predict", model.to_str().unwrap(), data, "--backend", "cpu"]).0;
        out.lines().map(|line| line.rsplit_once(':').unwrap().1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(predict(&twice), predict(&plain));
    let (left, _) = train(folder.path(), "left.safetensors", &twice, &["--label", "kind", "--ignore", "x.1"]);
    assert_eq!(checkpoint::load(&left).unwrap().metadata.unwrap().schema.unwrap().features[0], "x");
}

#[test]
fn a_column_may_say_how_much_rows_weigh() {
    let folder = tempfile::tempdir().unwrap();
    // The same points are of two classes: those that weigh more decide.
    let table = |weights: [&str; 2]| {
        let mut text = "x,w,y,label\n".to_owned();
        for row in 0..200 {
            let class = row % 2;
            writeln!(text, "{},{},{},{}", row / 2 % 10, weights[class], row / 2 % 7, ["a", "b"][class]).unwrap();
        }
        text
    };
    let data = |name: &str, weights| write(folder.path(), name, table(weights));
    let heavy = data("heavy.csv", ["1", "4.5"]);
    let more = ["--weight", "w", "--epochs", "80"];
    let (model, err) = train(folder.path(), "heavy.safetensors", &heavy, &more);
    assert!(err.contains("left out, as it says how much rows weigh in training: w"), "{err}");
    let features = checkpoint::load(&model).unwrap().metadata.unwrap().schema.unwrap().features;
    assert_eq!(features, ["x", "y"]);
    let classes = |model: &Path, data: &str| {
        let (out, _) = run(&["predict", model.to_str().unwrap(), data, "--backend", "cpu"]);
        out.lines().filter(|line| line.contains(": b ")).count()
    };
    assert_eq!(classes(&model, &heavy), 200);
    let (other, _) = train(folder.path(), "light.safetensors", &data("light.csv", ["4.5", "1"]), &more);
    assert_eq!(classes(&other, &heavy), 0);
    // Rows to predict and to evaluate need none, and all count alike.
    let without = write(folder.path(), "without.csv", "x,y,label\n1,1,a\n2,2,b\n");
    assert_eq!(classes(&model, &without), 2);
    let evaluate = ["eval", model.to_str().unwrap(), "--backend", "cpu", "--json"];
    let (figures, _) = run(&[&evaluate[..], &["--data", &without]].concat());
    assert!(figures.contains("\"accuracy\":0.5"), "{figures}");
    assert!(refused(&[&evaluate[..], &["--weight", "w"]].concat(), 2).contains("--weight is for training"));
    for (weights, part) in [
        (["1", ""], "no weight in line 3, column 2 (\"w\")"),
        (["1", "-2"], "the weight -2 in line 3, column 2 (\"w\")"),
        (["1", "much"], "\"much\" in line 3, column 2 (\"w\"), which is text (100 such cells"),
        (["0", "0"], "no weight but 0"),
    ] {
        let error = refused(&["train", "--data", &data("bad.csv", weights), "--weight", "w"], 1);
        assert!(error.contains(part) && error.contains("bad.csv"), "{error}");
    }
    // Large ones, whose sum float32 cannot hold, are a fault of the column and not of the rate.
    let error = refused(&["train", "--data", &data("huge.csv", ["3e38", "3e38"]), "--weight", "w"], 1);
    assert!(error.contains("weights of a sum of inf") && error.contains("--weight"), "{error}");
    // A run goes on with the weights that it had.
    data("heavy.csv", ["1", "9"]);
    let error = refused(&["train", "--resume", model.to_str().unwrap(), "--epochs", "90"], 1);
    assert!(error.contains("found other rows"), "{error}");
    for column in ["label", "none"] {
        refused(&["train", "--data", &heavy, "--weight", column], 2);
    }
    refused(&["train", "--data", "digits", "--weight", "w"], 2);
}

fn accuracy(out: &str) -> f64 {
    out.lines().last().unwrap().strip_prefix("Test Accuracy: ").unwrap().parse().unwrap()
}

const WELL: [&str; 10] = ["--hidden", "32", "--epochs", "60", "--lr", "0.1", "--lr-decay", "0", "--batch-size", "16"];

#[test]
fn tables_in_the_forms_that_people_have_are_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let rows = blobs(240);
    let table = |header: &str, line: &dyn Fn(usize, &Row) -> String| {
        let rows = rows.iter().enumerate().map(|(at, row)| line(at, row));
        rows.fold(header.to_owned(), |text, row| text + &row + "\n")
    };
    let plain = table("a,b,label\n", &|_, ([a, b], _, kind)| format!("{a:.3},{b:.3},{kind}"));
    let zip = {
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("train.csv", SimpleFileOptions::default()).unwrap();
        zip.write_all(plain.as_bytes()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let tabs = plain.replace(',', "\t").replace('\n', "\r\n");
    let cases: [(&str, Vec<u8>, &[&str]); 11] = [
        (
            "texts",
            table("a,b,place,label\n", &|_, ([a, b], place, kind)| format!("{a:.3},{b:.3},{place},{kind}")).into(),
            &[],
        ),
        (
            "missing cells",
            table("a,b,label\n", &|row, ([a, b], _, kind)| {
                if row % 30 == 4 { format!("?,{b:.3},{kind}") } else { format!("{a:.3},{b:.3},{kind}") }
            })
            .into(),
            &[],
        ),
        ("a last comma", plain.replace('\n', ",\n").into(), &[]),
        ("decimal commas", plain.replace(',', ";").replace('.', ",").into(), &[]),
        (
            "UTF-16",
            [&b"\xff\xfe"[..], &tabs.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()].concat(),
            &[],
        ),
        (
            "aligned blanks",
            table("", &|_, ([a, b], _, kind)| format!("{a:>9.3}  {b:>9.3}   {kind}")).into(),
            &["--label", "last"],
        ),
        (
            "booleans",
            table("a,b,c,label\n", &|_, ([a, b], _, kind)| {
                format!("{a:.3},{b:.3},{},{kind}", if *a > 0.0 { "True" } else { "False" })
            })
            .into(),
            &[],
        ),
        (
            "a line of counts",
            format!(
                "240,2,first,second\n{}",
                table("", &|_, ([a, b], _, kind)| {
                    let class = ["adela", "chin", "gento"].iter().position(|name| name == kind).unwrap();
                    format!("{a:.3},{b:.3},0.5,{class}")
                })
            )
            .into(),
            &["--label", "last"],
        ),
        ("a zip archive", zip, &[]),
        (
            "seconds since 1970",
            table("time,label\n", &|_, ([a, _], _, _)| {
                let late = if *a > 0.0 { "late" } else { "early" };
                format!("{:.2},{late}", 1_700_000_030.0 + 10.0 * a)
            })
            .into(),
            &[],
        ),
        (
            "more columns than rows",
            table(&format!("{}label\n", "g,".repeat(400)), &|_, ([a, b], _, kind)| {
                format!("{}{kind}", format!("{a:.3},{b:.3},").repeat(200))
            })
            .into(),
            &[],
        ),
    ];
    for (what, content, more) in cases {
        let data = write(folder.path(), "table", &content);
        let (out, err) = run(&[&["train", "--backend", "cpu", "--data", &data], &WELL[..], more].concat());
        assert!(accuracy(&out) >= 0.9, "{what}: {out}{err}");
    }
    // Row numbers of a table in the order of its classes say all, and nothing.
    let mut sorted: Vec<usize> = (0..240).collect();
    sorted.sort_by_key(|row| row % 3);
    let noise = |row: usize| (row as f64 * 12.9898).sin() * 43_758.545 % 1.0;
    let numbered = sorted
        .iter()
        .enumerate()
        .fold(",a,label\n".to_owned(), |text, (at, row)| text + &format!("{at},{:.4},{}\n", noise(at), row % 3));
    let data = write(folder.path(), "numbered", numbered);
    let (out, err) = run(&[&["train", "--backend", "cpu", "--data", &data], &WELL[..]].concat());
    assert!(accuracy(&out) < 0.7 && err.contains("left out, as they number the rows"), "{out}{err}");
}

#[test]
fn a_competition_is_entered() {
    let folder = tempfile::tempdir().unwrap();
    let head = (0..64).map(|pixel| format!("pixel{pixel}")).collect::<Vec<_>>().join(",");
    let pixels = |row: usize| {
        let pixel = |at: usize| if at % 8 == row % 4 * 2 { 200 + (row + at) % 50 } else { (row * at) % 9 };
        (0..64).map(|at| pixel(at).to_string()).collect::<Vec<_>>().join(",")
    };
    let rows = (0..400).fold(format!("label,{head}\n"), |text, row| text + &format!("{},{}\n", row % 4, pixels(row)));
    let train_file = write(folder.path(), "train.csv", rows);
    let test = (400..500).fold(format!("{head}\n"), |text, row| text + &pixels(row) + "\n");
    let test = write(folder.path(), "test.csv", test);
    let (model, _) = train(folder.path(), "m.safetensors", &train_file, &["--epochs", "40"]);
    let out = folder.path().join("submission.csv");
    let more = ["--row-numbers", "--column-names", "ImageId,Label", "--output", out.to_str().unwrap()];
    run(&[&["predict", model.to_str().unwrap(), &test, "--backend", "cpu"], &more[..]].concat());
    let expected =
        (0..100).fold("ImageId,Label\n".to_owned(), |text, row| text + &format!("{},{}\n", row + 1, row % 4));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), expected);
    let error = refused(&["train", "--backend", "cpu", "--data", &train_file, "--test", &test], 1);
    assert!(error.contains("test.csv: found no column of labels") && error.contains("use predict"), "{error}");
}

/// The columns and the number of rows that `data inspect` tells of `data`.
fn inspected(data: &str, more: &[&str]) -> serde_json::Value {
    serde_json::from_str(&run(&[&["data", "inspect", data, "--json"], more].concat()).0).unwrap()
}

#[test]
fn columns_are_shown_where_no_target_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (0..20).map(|row| format!("{row}.5,{}\n", ["u", "v"][row % 2])).collect();
    write(folder.path(), "a.csv", format!("size,kind\n{rows}"));
    let file = folder.path().join("a.csv").to_str().unwrap().to_owned();
    let (out, err) = run(&["data", "inspect", &file]);
    assert!(out.contains("size") && err.contains("no target was found") && err.contains("--label"), "{out}{err}");
    assert!(refused(&["train", "--backend", "cpu", "--data", &file], 2).contains("no column is called label"));
}

#[test]
fn each_of_many_files_says_its_own_decimal_mark_and_whether_it_has_a_header() {
    let folder = tempfile::tempdir().unwrap();
    let pattern = |name: &str| folder.path().join(format!("{name}/*.csv")).to_str().unwrap().to_owned();
    let rows = |row: &dyn Fn(usize) -> String| (0..20).map(row).collect::<String>();
    let kind = |row: usize| ["u", "v"][row % 2];
    // Whole numbers say nothing of the mark that a later file has.
    write(folder.path(), "decimal/p-0.csv", format!("a;kind\n{}", rows(&|row| format!("{};{}\n", row % 2, kind(row)))));
    write(folder.path(), "decimal/p-1.csv", format!("a;kind\n{}", rows(&|row| format!("0,1{row:02};{}\n", kind(row)))));
    write(folder.path(), "decimal/p-2.csv", format!("a;kind\n{}", rows(&|row| format!("0.2{row:02};{}\n", kind(row)))));
    let found = inspected(&pattern("decimal"), &["--label", "kind"]);
    let range = &found["columns"][0];
    assert!(found["rows"] == 60 && range.to_string().contains("\"most\":1.0"), "{found}");
    // Headers of numbers, as pandas writes where columns have no names.
    for part in ["0", "1"] {
        write(
            folder.path(),
            &format!("numbers/p-{part}.csv"),
            format!("0,1,2\n{}", rows(&|row| format!("{row},5,{}\n", kind(row)))),
        );
    }
    let numbers = ["--label", "3", "--header"];
    let found = inspected(&pattern("numbers"), &[&numbers[..], &["yes"]].concat());
    assert!(found["rows"] == 40 && found["classes"].as_array().unwrap().len() == 2, "{found}");
    // A cell may be called as a column is.
    let kinds = |row: usize| ["a", "label"][row % 2];
    write(folder.path(), "cell/p-0.csv", format!("a,b,label\n{}", rows(&|row| format!("{row},1.5,{}\n", kinds(row)))));
    write(folder.path(), "cell/p-1.csv", rows(&|row| format!("{row},1.5,{}\n", kinds(row))));
    let found = inspected(&pattern("cell"), &[]);
    assert!(found["rows"] == 40 && found["classes"].as_array().unwrap().len() == 2, "{found}");
    // A header where the first file has none is no row.
    write(folder.path(), "later/p-0.csv", rows(&|row| format!("{row},1.5,{}\n", kind(row))));
    write(folder.path(), "later/p-1.csv", format!("a,b,kind\n{}", rows(&|row| format!("{row},1.5,{}\n", kind(row)))));
    let error = refused(&["data", "inspect", &pattern("later"), "--label", "3"], 1);
    assert!(error.contains("p-1.csv: found a header") && error.contains("p-0.csv has none"), "{error}");
}

#[test]
fn a_folder_of_the_parts_of_a_data_set_is_no_table() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["train.csv", "test.csv"] {
        write(folder.path(), name, "a,label\n1,x\n2,y\n3,x\n4,y\n");
    }
    let error = refused(&["train", "--data", folder.path().to_str().unwrap()], 1);
    assert!(error.contains("parts of a data set, test.csv and train.csv") && error.contains("--test"), "{error}");
}

/// The rows of a table, its notes and its data set, whose label is the last column.
fn load(path: &str, options: &data::Options) -> (data::Dataset, Vec<data::Note>) {
    let all = options.test.is_none().then_some(0.0);
    data::load(path, &data::Options { label: Some("last".into()), test_split: all, ..options.clone() }).unwrap()
}

#[test]
fn notes_of_further_files_name_them() {
    let folder = tempfile::tempdir().unwrap();
    let text = "a,label\n1,x\n2,y\n3,x\n";
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    write(folder.path(), "parts/1.csv", text);
    let second = write(folder.path(), "parts/2.csv", &wide);
    write(folder.path(), "parts/3.csv", &wide);
    let parts = folder.path().join("parts");
    let (_, notes) = load(parts.to_str().unwrap(), &data::Options::default());
    let told = format!("{second} and 1 others: text in UTF-16LE");
    assert!(notes.iter().any(|note| note.text == told), "{notes:?}");
    // What the first file has too is said once.
    write(folder.path(), "parts/1.csv", &wide);
    let (_, notes) = load(parts.to_str().unwrap(), &data::Options::default());
    assert_eq!(notes.iter().filter(|note| note.contains("UTF-16LE")).count(), 1, "{notes:?}");
}

#[test]
fn columns_that_cannot_be_read_as_in_training_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = |day: &dyn Fn(usize) -> String, wet: [&str; 2]| {
        let rows =
            (0..60).map(|row| format!("{},{},{},{}\n", row * 7 % 11, day(row), wet[row % 2], ["a", "b"][row % 2]));
        format!("size,day,wet,label\n{}", rows.collect::<String>())
    };
    let iso = |row: usize| format!("2020-{:02}-{:02}", 1 + row % 12, 1 + row % 28);
    let dots = |row: usize| format!("{:02}.{:02}.2020", 1 + row % 28, 1 + row % 12);
    let data = write(folder.path(), "train.csv", table(&iso, ["False", "True"]));
    let (model, _) = train(folder.path(), "m.safetensors", &data, &[]);
    let model = model.to_str().unwrap();
    let with = |name, day: &dyn Fn(usize) -> String, wet| write(folder.path(), name, table(day, wet));
    for (data, parts) in [
        (
            with("dots.csv", &dots, ["False", "True"]),
            ["\"01.01.2020\" in line 2, column 2 (\"day\"): 60 of 60", "%Y-%m-%d"],
        ),
        (with("wet.csv", &iso, ["dry", "wet"]), ["\"dry\" in line 2, column 3 (\"wet\"): 60 of 60", "false or true"]),
    ] {
        for arguments in [&["eval", model, "--data", &data][..], &["predict", model, &data]] {
            let error = refused(arguments, 1);
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        let error =
            refused(&["train", "--data", &format!("{}/train.csv", folder.path().display()), "--test", &data], 1);
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    // Marks of missing values are none of these cells, and yes and no may be said in other ways.
    let gap = |row: usize| if row.is_multiple_of(3) { iso(row) } else { "-".into() };
    let (_, err) = run(&["eval", model, "--data", &with("gaps.csv", &gap, ["0.0", "1.0"])]);
    assert!(err.contains("day (40)") && !err.contains("cannot be read"), "{err}");
}

#[test]
fn targets_and_cells_are_read_for_the_numbers_that_people_write() {
    let folder = tempfile::tempdir().unwrap();
    let rows = |row: usize| match row % 4 {
        0 => format!("-${row}.50\t\u{a0}a\t{row},25 EUR\n"),
        1 => format!("(1'2{:02}.00)\tb\u{a0}\t{row},5 EUR\n", row % 100),
        2 => format!("\u{2212}{row}\ta\t-\n"),
        _ => format!("1\u{202f}234\tb\t{row},75 EUR\n"),
    };
    let text: String = (0..80).map(rows).collect();
    let data = write(folder.path(), "people.tsv", format!("x\tkind\ty\n{}", text.replace('.', ",")));
    let found = inspected(&data, &["--target", "y"]);
    let columns = found["columns"].as_array().unwrap();
    assert_eq!(columns[0]["kind"], "number", "{found}");
    assert_eq!(columns[1]["range"]["texts"]["different"], 2, "{found}");
    assert_eq!(columns[2]["range"]["numbers"]["most"], 79.75, "{found}");
    assert_eq!(found["rows"], 60, "{found}");
}

#[test]
fn numbers_that_lie_close_together_stay_apart_wherever_they_begin() {
    let folder = tempfile::tempdir().unwrap();
    let moment = |row: usize| 1_700_000_000.0 + 0.25 * row as f64;
    let table = |rows: std::ops::Range<usize>, late: bool| {
        rows.map(|row| match () {
            // Missing, or the same, in all of the first rows.
            () if late && row < 1100 => format!(",{},{}\n", moment(0), row % 2),
            () => format!("{},{},{}\n", moment(row), moment(row), row % 2),
        })
        .collect::<String>()
    };
    let header = "a,b,label\n";
    let whole = write(folder.path(), "whole.csv", header.to_owned() + &table(0..60, false));
    write(folder.path(), "parts/1.csv", header);
    write(folder.path(), "parts/2.csv", header.to_owned() + &table(0..60, false));
    let late = write(folder.path(), "late.csv", header.to_owned() + &table(0..1300, true));
    let parts = folder.path().join("parts");
    let scaled = data::Options { scale: Some(data::Scale::Minmax), ..data::Options::default() };
    let inputs = |path: &str| load(path, &scaled).0.train.inputs.to_f32().into_owned();
    assert_eq!(inputs(parts.to_str().unwrap()), inputs(&whole));
    let late = inputs(&late);
    let width = late.len() / 1300;
    let told_apart = (0..width).filter(|feature| {
        let mut values: Vec<u32> = (1100..1300).map(|row| late[row * width + feature].to_bits()).collect();
        values.dedup();
        values.len() == 200
    });
    assert_eq!(told_apart.count(), 2);
}

/// Writes a Parquet file of these columns.
#[cfg(feature = "columnar")]
fn parquet(folder: &Path, name: &str, columns: Vec<(&str, arrow_array::ArrayRef)>) -> String {
    let batch = arrow_array::RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
    .unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    write(folder, name, bytes)
}

#[cfg(feature = "columnar")]
#[test]
fn booleans_after_a_thousand_missing_ones_and_days_as_labels_are_what_text_says() {
    use std::sync::Arc;

    use arrow_array::{BooleanArray, Float64Array, TimestampMillisecondArray};
    let folder = tempfile::tempdir().unwrap();
    let rows = 1200;
    let wet = |row: usize| (row >= 1000).then_some(row.is_multiple_of(3));
    let day = |row: usize| row % 2;
    let midnight = |row: usize| 1_704_067_200_000 + day(row) as i64 * 86_400_000;
    let columns = parquet(
        folder.path(),
        "t.parquet",
        vec![
            ("size", Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 8.0)))),
            ("wet", Arc::new(BooleanArray::from_iter((0..rows).map(wet)))),
            ("day", Arc::new(TimestampMillisecondArray::from_iter_values((0..rows).map(midnight)))),
        ],
    );
    // As pandas writes it.
    let word = |wet: Option<bool>| wet.map_or("", |wet| if wet { "True" } else { "False" });
    let text = (0..rows).fold("size,wet,day\n".to_owned(), |text, row| {
        text + &format!("{},{},2024-01-0{}\n", row as f64 / 8.0, word(wet(row)), 1 + day(row))
    });
    let text = write(folder.path(), "t.csv", text);
    let (of_text, _) = load(&text, &data::Options::default());
    let (of_columns, notes) = load(&columns, &data::Options::default());
    assert_eq!(of_text.classes, ["2024-01-01", "2024-01-02"]);
    assert_eq!((&of_columns.classes, &of_columns.schema), (&of_text.classes, &of_text.schema), "{notes:?}");
    assert_eq!(of_columns.train, of_text.train);
    // Also where the classes are known before.
    let crossed = load(&text, &data::Options { test: Some(columns.into()), ..Default::default() }).0;
    assert_eq!(crossed.test.unwrap().targets, of_text.train.targets);
}
