//! From the rows of a table to rows of features, by a schema.

use flate2::Crc;

use super::{Kind, Schema, quantities, times};
use crate::data::csv::{Frame, Held, NO_TEXT, Place};
use crate::data::truth::truth;

/// Features of the rows of a frame.
pub(in crate::data) struct Encoded {
    /// Row-major, for each part.
    pub(in crate::data) parts: Vec<Vec<f32>>,
    /// A checksum of all rows, in their order.
    pub(in crate::data) checksum: Crc,
    /// What was met, column by column of the schema.
    pub(in crate::data) met: Vec<Met>,
}

/// What was met in a column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::data) struct Met {
    /// Missing cells, and the place of the first one.
    pub(in crate::data) missing: (usize, Place),
    /// Cells with a text that training did not have, or that is no date; and the first one, with its place.
    pub(in crate::data) unknown: (usize, Option<(String, Place)>),
}

/// How the rows of a frame become features.
pub(in crate::data) struct Encoding<'a> {
    schema: &'a Schema,
    /// Those columns that become features.
    columns: Vec<Column>,
}

struct Column {
    /// The column of the schema.
    index: usize,
    /// Its first feature.
    first: usize,
    /// The feature that says that a cell is missing.
    indicator: Option<usize>,
    cells: Cells,
}

enum Cells {
    /// Numbers at a place, and what fills a missing one.
    Numbers(usize, f32),
    /// Text at a place: what each of the frame's texts becomes, and what a missing one does.
    Texts(usize, Vec<Coded>, Coded),
}

/// What a text becomes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Coded {
    /// This value of the first feature.
    Value(f32),
    /// 1 in this feature.
    One(usize),
    /// 1 in this feature, or nothing: training did not have it.
    New(Option<usize>),
    /// As if it were missing: it cannot be read.
    Unread,
}

impl<'a> Encoding<'a> {
    /// The encoding of the rows of `frame`, which holds what `schema` needs; its decimal mark is a comma or a point.
    pub(in crate::data) fn new(schema: &'a Schema, frame: &Frame, comma: bool) -> Self {
        let (mut columns, mut first) = (Vec::new(), 0);
        for (index, kind) in schema.columns.iter().enumerate() {
            let width = kind.width();
            let own = |indicator: &bool| indicator.then_some(first + width - 1);
            let texts =
                |code: &dyn Fn(&str) -> Coded, at: usize| frame.texts[at].iter().map(|text| code(text)).collect();
            let (cells, indicator) = match (kind, frame.held[index]) {
                (Kind::Number { origin, fill, indicator, .. }, Held::Number { at, .. }) => {
                    let fill = fill.map_or(f32::NAN, |fill| (fill - origin) as f32);
                    (Cells::Numbers(at, fill), own(indicator))
                }
                (Kind::Number { fill, indicator, .. }, Held::Text { at }) => {
                    let code = |text: &str| truth(text).map_or(Coded::Unread, |yes| Coded::Value(f32::from(yes)));
                    let fill = Coded::Value(fill.map_or(f32::NAN, |fill| fill as f32));
                    (Cells::Texts(at, texts(&code, at), fill), own(indicator))
                }
                (Kind::Quantity { unit, fill, indicator }, Held::Text { at }) => {
                    let value = |number: f64| Coded::Value(number as f32);
                    let code = |text: &str| quantities::number(text, unit, comma).map_or(Coded::Unread, value);
                    (Cells::Texts(at, texts(&code, at), value(*fill)), own(indicator))
                }
                (Kind::Boolean { texts: pair, fill, indicator }, Held::Text { at }) => {
                    let value = |yes: bool| Coded::Value(f32::from(yes));
                    let place = |text: &str| pair.iter().position(|value| value.eq_ignore_ascii_case(text));
                    let code = |text: &str| match place(text).map(|place| place == 1).or_else(|| truth(text)) {
                        Some(yes) => value(yes),
                        None => Coded::Unread,
                    };
                    (Cells::Texts(at, texts(&code, at), value(*fill)), own(indicator))
                }
                (Kind::Time { form, origin, fill, indicator }, Held::Text { at }) => {
                    let value = |days: f64| Coded::Value((days - origin) as f32);
                    let code = |text: &str| times::days_or_iso(text, form).map_or(Coded::Unread, value);
                    (Cells::Texts(at, texts(&code, at), value(*fill)), own(indicator))
                }
                (Kind::Categories { values, other, fill, indicator }, Held::Text { at }) => {
                    let other = other.then_some(first + values.len());
                    let code = |text: &str| match values.iter().position(|value| value == text) {
                        Some(place) => Coded::One(first + place),
                        None => Coded::New(other),
                    };
                    (Cells::Texts(at, texts(&code, at), Coded::One(first + fill)), own(indicator))
                }
                _ => continue,
            };
            columns.push(Column { index, first, indicator, cells });
            first += width;
        }
        Self { schema, columns }
    }

    /// Encodes all rows, each into the part that `part` says of `parts`. Memory of the frame is given back on the way.
    pub(in crate::data) fn apply(&self, frame: Frame, parts: usize, part: impl Fn(usize) -> usize) -> Encoded {
        let (numbers, texts) = frame.widths();
        let width = self.schema.width();
        let mut rows = vec![0; parts];
        (0..frame.rows()).for_each(|row| rows[part(row)] += 1);
        let mut encoded = Encoded {
            parts: rows.into_iter().map(|rows| Vec::with_capacity(rows * width)).collect(),
            checksum: Crc::new(),
            met: vec![Met::default(); self.schema.columns.len()],
        };
        let mut first = 0;
        let mut features = vec![0.0; width];
        for chunk in frame.chunks {
            for (row, &line) in chunk.lines.iter().enumerate() {
                features.fill(0.0);
                let (numbers, codes) =
                    (&chunk.numbers[row * numbers..][..numbers], &chunk.codes[row * texts..][..texts]);
                for column in &self.columns {
                    let met = &mut encoded.met[column.index];
                    let place = Place { file: chunk.file, number: line };
                    column.encode(numbers, codes, &frame.texts, &mut features, place, met);
                }
                encoded.checksum.update(bytemuck::cast_slice(&features));
                encoded.parts[part(first + row)].extend_from_slice(&features);
            }
            first += chunk.lines.len();
        }
        encoded
    }
}

impl Column {
    /// Writes the features of a row whose cells of numbers and of text are given.
    fn encode(
        &self,
        numbers: &[f32],
        codes: &[u32],
        texts: &[Vec<String>],
        features: &mut [f32],
        place: Place,
        met: &mut Met,
    ) {
        let mut missing = || {
            if met.missing.0 == 0 {
                met.missing.1 = place;
            }
            met.missing.0 += 1;
            self.indicator
        };
        let coded = match &self.cells {
            Cells::Numbers(at, fill) => {
                let value = numbers[*at];
                features[self.first] = value;
                if value.is_nan() {
                    features[self.first] = *fill;
                    if let Some(indicator) = missing() {
                        features[indicator] = 1.0;
                    }
                }
                return;
            }
            Cells::Texts(at, coded, fill) => match codes[*at] {
                NO_TEXT => {
                    if let Some(indicator) = missing() {
                        features[indicator] = 1.0;
                    }
                    *fill
                }
                code => {
                    let coded = coded[code as usize];
                    if matches!(coded, Coded::New(_) | Coded::Unread) {
                        met.unknown.0 += 1;
                        met.unknown.1.get_or_insert_with(|| (texts[*at][code as usize].clone(), place));
                    }
                    if coded == Coded::Unread { *fill } else { coded }
                }
            },
        };
        match coded {
            Coded::Value(value) => features[self.first] = value,
            Coded::One(feature) | Coded::New(Some(feature)) => features[feature] = 1.0,
            Coded::New(None) | Coded::Unread => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::csv::Chunk;
    use crate::data::{Columns, Missing};

    #[test]
    fn rows_become_features_and_what_is_met_is_counted() {
        let columns = Columns { count: 4, label: 3, names: None };
        let values = ["b".to_owned(), "a".to_owned()];
        let kinds = vec![
            Kind::Number { origin: 100.0, fill: Some(102.0), indicator: true, truth: false },
            Kind::Categories { values: values.to_vec(), other: false, fill: 1, indicator: false },
            Kind::Boolean { texts: ["no", "yes"].map(String::from), fill: true, indicator: false },
            Kind::Target,
        ];
        let schema = Schema::new(&columns, kinds, Missing::Fill);
        let frame = Frame {
            places: crate::data::csv::Places::default(),
            held: vec![
                Held::Number { at: 0, origin: 100.0 },
                Held::Text { at: 0 },
                Held::Text { at: 1 },
                Held::Nothing,
            ],
            texts: vec![["a", "b", "c"].map(String::from).to_vec(), ["TRUE", "no", "?!"].map(String::from).to_vec()],
            chunks: vec![
                Chunk { numbers: vec![1.0, f32::NAN], codes: vec![0, 0, 1, 1], lines: vec![2, 3], file: 0 },
                Chunk { numbers: vec![3.0, f32::NAN], codes: vec![2, 2, NO_TEXT, NO_TEXT], lines: vec![5, 7], file: 0 },
            ],
        };
        let at = |number| Place { file: 0, number };
        let encoding = Encoding::new(&schema, &frame, false);
        let encoded = encoding.apply(frame, 2, |row| row % 2);
        assert_eq!(encoded.parts[0], [1.0, 0.0, 0.0, 1.0, 1.0, 3.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!(encoded.parts[1], [2.0, 1.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0, 1.0, 1.0]);
        assert_eq!(encoded.met[0].missing, (2, at(3)));
        assert_eq!(encoded.met[1], Met { missing: (1, at(7)), unknown: (1, Some(("c".into(), at(5)))) });
        assert_eq!(encoded.met[2], Met { missing: (1, at(7)), unknown: (1, Some(("?!".into(), at(5)))) });
    }
}
