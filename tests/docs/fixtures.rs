//! A folder with the files that the pages' commands name, each as small as its command bears.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use tempfile::TempDir;

/// Rows of the tables; few enough for 200 epochs in a fraction of a second.
const ROWS: usize = 40;

/// The folder: tables, arrays, pictures, a model of other software, and published data sets below `data`.
pub fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    tables(at);
    arrays(at);
    pictures(at);
    fs::write(at.join("torch.safetensors"), foreign_model()).unwrap();
    for (set, prefix) in
        [("data/mnist", ""), ("data/fashion-mnist", ""), ("data/kmnist", ""), ("letters", "emnist-letters-")]
    {
        fs::create_dir_all(at.join(set)).unwrap();
        idx(&at.join(set), prefix, [("train", 48), (if prefix.is_empty() { "t10k" } else { "test" }, 20)]);
    }
    folder
}

/// Numbers from 0 on and below `below`, the same in every run.
fn draw(row: usize, column: usize, below: usize) -> usize {
    let mixed = (row as u64 * 0x9e37_79b9 + column as u64 * 0x85eb_ca6b + 12345).wrapping_mul(0xff51_afd7_ed55_8ccd);
    (mixed >> 33) as usize % below
}

/// Customers who leave or stay: numbers, text, dates, missing cells, ids.
fn customers(rows: std::ops::Range<usize>) -> Vec<String> {
    let row = |row: usize| {
        let age = 18 + draw(row, 1, 60);
        let plan = ["basic", "plus", "pro"][draw(row, 2, 3)];
        let joined = format!("20{:02}-{:02}-{:02}", 10 + draw(row, 3, 14), 1 + draw(row, 4, 12), 1 + draw(row, 5, 28));
        let monthly =
            if row % 11 == 3 { String::new() } else { format!("{}.{}", 9 + draw(row, 6, 60), draw(row, 7, 10)) };
        let churn = if draw(row, 8, 60) + age > 70 { "yes" } else { "no" };
        format!("{},c{},{joined},{age},{plan},{monthly},{},{churn}", 1000 + row, row / 4, 1 + draw(row, 9, 3))
    };
    rows.map(row).collect()
}

const HEADER: &str = "id,customer,joined,age,plan,monthly,importance,churn";

fn houses(rows: std::ops::Range<usize>) -> String {
    let mut text = String::from("id,area,rooms,district,built,price\n");
    for row in rows {
        let (area, rooms, built) = (30 + draw(row, 11, 170), 1 + draw(row, 12, 7), 1900 + draw(row, 13, 120));
        let district = ["north", "south", "east", "west"][draw(row, 14, 4)];
        let price = area * 2900 + rooms * 11_000 + (built - 1900) * 300 + draw(row, 15, 20_000);
        writeln!(text, "{row},{area},{rooms},{district},{built},{price}").unwrap();
    }
    text
}

fn tables(at: &Path) {
    let write = |name: &str, text: &str| fs::write(at.join(name), text).unwrap();
    let table = |rows: std::ops::Range<usize>| format!("{HEADER}\n{}\n", customers(rows).join("\n"));
    write("train.csv", &table(0..ROWS));
    write("test.csv", &table(ROWS..ROWS + 30));
    // What is to be predicted has no target, and a column that training did not see.
    let mut rows = String::from("name,id,customer,joined,age,plan,monthly,importance\n");
    for (number, line) in customers(ROWS..ROWS + 10).iter().enumerate() {
        writeln!(rows, "n{number},{}", line.rsplit_once(',').unwrap().0).unwrap();
    }
    write("rows.csv", &rows);
    write("houses.csv", &houses(0..ROWS));
    write("new-houses.csv", &houses(ROWS..ROWS + 10));
    for (name, rows) in [("part-1.csv", 0..15), ("part-2.csv", 15..25), ("part-10.csv", 25..ROWS)] {
        write(name, &table(rows));
    }
    let european = table(0..ROWS).replace(',', ";").replace('.', ",");
    write("europe.csv", &european);
    write("report.csv", &format!("Customers\nas of 2026, all plans\n\n{}", table(0..ROWS)));
    write("no-header.csv", &customers(0..ROWS).join("\n"));
    write("gaps.csv", &table(0..ROWS).replace("plus", "unknown"));
    let cells: String = (0..40).map(|row| format!("{row},{row},x\n")).collect();
    write("cells.csv", &format!("size,weight,label\n1,2,x\n3,oops,y\n{cells}"));
    write("weights.csv", "class,weight\nyes,2\nno,1\n");
    let mut packed = flate2::write::GzEncoder::new(File::create(at.join("train.csv.gz")).unwrap(), Default::default());
    packed.write_all(table(0..ROWS).as_bytes()).unwrap();
    packed.finish().unwrap();
    columns(at);
}

/// train.parquet, as other software writes it.
#[cfg(feature = "columnar")]
fn columns(at: &Path) {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

    let texts = |column| {
        customers(0..ROWS).iter().map(move |row| row.split(',').nth(column).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let ages = texts(3).iter().map(|cell| cell.parse::<i64>().unwrap()).collect::<Int64Array>();
    let monthly = texts(5).iter().map(|cell| cell.parse::<f64>().ok()).collect::<Float64Array>();
    let text = |column| Arc::new(StringArray::from(texts(column))) as ArrayRef;
    let batch = RecordBatch::try_from_iter([
        ("joined", text(2)),
        ("age", Arc::new(ages) as ArrayRef),
        ("plan", text(4)),
        ("monthly", Arc::new(monthly) as ArrayRef),
        ("churn", text(7)),
    ])
    .unwrap();
    let file = File::create(at.join("train.parquet")).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[cfg(not(feature = "columnar"))]
fn columns(_: &Path) {}

/// A NumPy file of this type, shape and content.
fn npy(kind: &str, shape: &str, bytes: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    let header = format!("{header:<117}\n");
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), bytes].concat()
}

fn arrays(at: &Path) {
    // As numpy.random.rand(rows, 4) and its argmax.
    let pair = |from: usize, rows: usize| {
        let cell = |row: usize, column: usize| draw(row, 20 + column, 1000) as f64 / 1000.0;
        let x = (from..from + rows).flat_map(|row| (0..4).flat_map(move |column| cell(row, column).to_le_bytes()));
        let best = |row| (0..4).max_by(|&a, &b| cell(row, a).total_cmp(&cell(row, b))).unwrap() as i64;
        let y = (from..from + rows).flat_map(|row| best(row).to_le_bytes());
        (
            npy("<f8", &format!("{rows}, 4"), &x.collect::<Vec<_>>()),
            npy("<i8", &format!("{rows},"), &y.collect::<Vec<_>>()),
        )
    };
    for (name, from, rows) in [("train", 0, ROWS), ("test", ROWS, 20)] {
        let (x, y) = pair(from, rows);
        fs::write(at.join(format!("X_{name}.npy")), x).unwrap();
        fs::write(at.join(format!("y_{name}.npy")), y).unwrap();
    }
    let (x, y) = pair(0, ROWS);
    for (file, names) in [("own.npz", ["x", "y"]), ("odd.npz", ["measured", "kind"])] {
        let mut archive = zip::ZipWriter::new(File::create(at.join(file)).unwrap());
        for (name, bytes) in names.iter().zip([&x, &y]) {
            archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
    }
}

/// Images and labels of 28 x 28, framed as MNIST's: a bar whose width is the class.
fn idx(folder: &Path, prefix: &str, parts: [(&str, usize); 2]) {
    for (part, rows) in parts {
        let mut images = vec![0, 0, 8, 3];
        [rows, 28, 28].iter().for_each(|&size| images.extend((size as u32).to_be_bytes()));
        let mut labels = vec![0, 0, 8, 1];
        labels.extend((rows as u32).to_be_bytes());
        for row in 0..rows {
            let class = row % 10;
            let lit = |at: usize| (13 - class..15 + class).contains(&(at % 28)) && (4..24).contains(&(at / 28));
            images.extend((0..784).map(|at| if lit(at) { 200 + draw(row, at, 55) as u8 } else { 0 }));
            labels.push(class as u8);
        }
        fs::write(folder.join(format!("{prefix}{part}-images-idx3-ubyte")), images).unwrap();
        fs::write(folder.join(format!("{prefix}{part}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Writes an image of `side` x `side` RGB pixels.
fn png(path: &Path, side: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) {
    let mut encoder = png::Encoder::new(File::create(path).unwrap(), side, side);
    encoder.set_color(png::ColorType::Rgb);
    let pixels: Vec<u8> = (0..side * side).flat_map(|at| pixel(at % side, at / side)).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
}

fn pictures(at: &Path) {
    let classes = ["bird", "cat", "dog"];
    for (number, class) in classes.into_iter().enumerate() {
        fs::create_dir_all(at.join("photos").join(class)).unwrap();
        for image in 0..8 {
            let path = at.join(format!("photos/{class}/{image}.png"));
            png(&path, 24, |x, y| {
                let mut colour = [draw(image, (x * 24 + y) as usize, 60) as u8; 3];
                colour[number] += 150;
                colour
            });
        }
    }
    // Strokes of ink on paper: one digit, and a number of three.
    let stroke = |at: u32, x: u32, y: u32| (at..at + 5).contains(&x) && (20..44).contains(&y);
    let ink = |dark: bool| if dark { [30; 3] } else { [235; 3] };
    fs::create_dir_all(at.join("scans")).unwrap();
    for class in ["one", "two"] {
        fs::create_dir_all(at.join("handwriting").join(class)).unwrap();
    }
    for name in [
        "photo.png",
        "scans/a.png",
        "scans/b.png",
        "handwriting/one/a.png",
        "handwriting/one/b.png",
        "handwriting/two/a.png",
        "handwriting/two/b.png",
    ] {
        png(&at.join(name), 64, |x, y| ink(stroke(30, x, y)));
    }
    png(&at.join("number.png"), 64, |x, y| ink([10, 30, 50].iter().any(|&at| stroke(at, x, y))));
}

/// A model as PyTorch saves it, 784-32-16-10, with names that say the order of its layers.
fn foreign_model() -> Vec<u8> {
    let (mut header, mut data) = (String::new(), Vec::new());
    for (name, outputs, inputs) in [("fc1", 32, 784), ("fc2", 16, 32), ("classifier", 10, 16)] {
        for (tensor, shape, count) in
            [("weight", format!("[{outputs},{inputs}]"), outputs * inputs), ("bias", format!("[{outputs}]"), outputs)]
        {
            let from = data.len();
            data.extend((0..count).flat_map(|at| ((draw(at, 30, 2000) as f32 - 1000.0) / 8000.0).to_le_bytes()));
            let sep = if from == 0 { "" } else { "," };
            write!(
                header,
                "{sep}\"{name}.{tensor}\":{{\"dtype\":\"F32\",\"shape\":{shape},\"data_offsets\":[{from},{}]}}",
                data.len()
            )
            .unwrap();
        }
    }
    let header = format!("{{{header}}}");
    let header = format!("{header:<width$}", width = header.len().next_multiple_of(8));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}
