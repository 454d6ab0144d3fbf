//! What a search draws from: for each option of a recipe its values, or a range of numbers.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use rand::{Rng, RngExt};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::model::Embed;
use crate::random;
use crate::recipe::{Facts, OptimizerKind, Recipe};

/// The options that are drawn, by their names in a recipe. In text it is TOML.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Space(BTreeMap<String, Choice>);

/// What an option is drawn from.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// Any of these values.
    Values(Vec<Value>),
    /// A number.
    Range(Range),
}

/// Numbers between two ends, which belong to it. They have three digits that count, so that they are short to write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    from: f64,
    to: f64,
    /// Whether their logarithms are even.
    log: bool,
    /// Whether they are whole.
    whole: bool,
    /// Whether the option's value is a list, of which a number is the only one.
    listed: bool,
}

/// Options that make trials incomparable.
const FIXED: [(&str, &str); 3] = [
    ("seed", "it draws the rows that trials are compared by: give it as a flag"),
    ("loss", "trials are compared by it: give it as a flag"),
    ("max_seconds", "trials would depend on the machine's speed"),
];

/// What values are.
const CHOICES: &str =
    "a list of values, as in lr = [0.001, 0.002], or a range, as in lr = { from = 1e-4, to = 1e-2, log = true }";

impl Space {
    /// The space in the TOML `text` of the file `path`. `check` turns a value into that of the option which it names, or says what
    /// the option takes.
    ///
    /// # Errors
    /// [`Error::File`] naming the key, what is wrong with it, and what it should be.
    pub fn parse(path: &Path, text: &str, check: &dyn Fn(&str, &Value) -> Result<Value, String>) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            let line = line.map_or_else(String::new, |line| format!("in line {line}, "));
            Error::file(path, format!("{line}{}", error.message().replace('\n', " ")), "TOML")
        })?;
        let mut space = BTreeMap::new();
        for (key, value) in table {
            let name = key.replace('-', "_");
            if let Some((_, why)) = FIXED.iter().find(|(fixed, _)| *fixed == name) {
                return Err(Error::file(path, format!("{key}, which is not searched: {why}"), "other options"));
            }
            let choice = choice(&name, &value, check);
            let choice = choice.map_err(|(found, expected)| Error::file(path, format!("{key}: {found}"), expected))?;
            if space.insert(name, choice).is_some() {
                return Err(Error::file(path, format!("{key} twice"), "each option once"));
            }
        }
        Ok(Self(space))
    }

    /// What is worth searching around `recipe` on data of these `facts`.
    pub fn suited(recipe: &Recipe, facts: &Facts) -> Self {
        // Wide networks cost most, and few rows do not need them. The recipe's own is one of them.
        let (widths, depths, activations): (&[usize], _, _) = match (facts.table, facts.rows) {
            (false, _) => (&[128, 256, 512], 1..=3, ["relu", "gelu", "silu"]),
            (true, 0..1500) => (&[32, 64, 128], 2..=4, ["gelu", "relu", "silu"]),
            (true, 1500..20_000) => (&[64, 128], 2..=4, ["gelu", "relu", "silu"]),
            (true, _) => (&[64, 128, 256], 2..=4, ["gelu", "relu", "silu"]),
        };
        let layers = |depth| widths.iter().map(move |width| json!(vec![*width; depth]));
        let hidden = depths.flat_map(layers);
        let around = |value: f64, below: f64, above: f64| {
            Choice::Range(Range {
                from: digits(value / below),
                to: digits(value * above),
                log: true,
                whole: false,
                listed: false,
            })
        };
        let decay = match recipe.optimizer.kind {
            OptimizerKind::AdamW if recipe.optimizer.weight_decay > 0.0 => {
                around(recipe.optimizer.weight_decay, 5.0, 3.0)
            }
            _ => Choice::Values(vec![json!(0.0), json!(1e-6), json!(1e-5), json!(1e-4)]),
        };
        // What few rows must not learn by heart; values suffer more from it.
        let most = if facts.values { 0.3 } else { 0.4 };
        let mut space = BTreeMap::from([
            ("hidden".into(), Choice::Values(hidden.collect())),
            ("activation".into(), Choice::Values(activations.map(Value::from).to_vec())),
            ("lr".into(), around(recipe.schedule.lr, 3.0, 3.0)),
            ("weight_decay".into(), decay),
            ("dropout".into(), Choice::Range(Range { from: 0.0, to: most, log: false, whole: false, listed: true })),
        ]);
        if let (Embed::Pbld(deviation), true) = (recipe.embed, facts.numbers) {
            let values = [0.5, 1.0, 3.0].map(|factor| json!(Embed::Pbld(digits(factor * f64::from(deviation)) as f32)));
            space.insert("embed".into(), Choice::Values(values.to_vec()));
        }
        Self(space)
    }

    /// Leaves out the options that `given` names.
    pub fn without(mut self, given: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| !given(name));
        self
    }

    /// The names of the options.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether nothing is drawn.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The setting of `trial` (from 1) by `seed`: it depends on nothing else. An option draws in the order of the names.
    pub fn draw(&self, seed: u64, trial: u32) -> Map<String, Value> {
        let mut rng = random::trial(seed, trial);
        self.0.iter().map(|(name, choice)| (name.clone(), choice.draw(&mut rng))).collect()
    }
}

/// A choice of the option `name`, or what is wrong with it, and what it should be.
fn choice(
    name: &str,
    value: &toml::Value,
    check: &dyn Fn(&str, &Value) -> Result<Value, String>,
) -> Result<Choice, (String, String)> {
    let checked = |value: &Value| check(name, value).map_err(|expected| (value.to_string(), expected));
    match value {
        toml::Value::Array(values) if values.is_empty() => {
            Err(("an empty list".into(), "at least one value, or the key left out".into()))
        }
        toml::Value::Array(values) => {
            values.iter().map(json_of).map(|value| checked(&value)).collect::<Result<_, _>>().map(Choice::Values)
        }
        toml::Value::Table(table) => {
            let other = |key: &&String| !["from", "to", "log"].contains(&key.as_str());
            if let Some(key) = table.keys().find(other) {
                return Err((format!("the key {key}"), CHOICES.into()));
            }
            let end = |key: &str| match table.get(key) {
                Some(toml::Value::Integer(end)) => Ok((*end as f64, json!(end))),
                Some(toml::Value::Float(end)) => Ok((*end, json!(end))),
                Some(other) => Err((format!("{key} = {}", json_of(other)), format!("a number as {key}"))),
                None => Err((format!("no {key}"), CHOICES.into())),
            };
            let ((from, first), (to, last)) = (end("from")?, end("to")?);
            let log = match table.get("log") {
                None => false,
                Some(toml::Value::Boolean(log)) => *log,
                Some(_) => return Err(("a log that is neither true nor false".into(), CHOICES.into())),
            };
            let listed = checked(&first)?.is_array();
            checked(&last)?;
            if from >= to {
                return Err((format!("from {first} to {last}"), "a from below its to".into()));
            }
            if log && from <= 0.0 {
                return Err((format!("log from {first}"), "a from above 0, or log = false".into()));
            }
            // Between whole ends lies a number that is not, and the option takes it or not.
            let between = from.floor() + 0.5;
            let whole = from.fract() == 0.0 && to.fract() == 0.0 && check(name, &json!(between)).is_err();
            Ok(Choice::Range(Range { from, to, log, whole, listed }))
        }
        other => Err((json_of(other).to_string(), CHOICES.into())),
    }
}

fn json_of(value: &toml::Value) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

impl Choice {
    fn draw(&self, rng: &mut impl Rng) -> Value {
        match self {
            Self::Values(values) => values[rng.random_range(0..=values.len() - 1)].clone(),
            Self::Range(range) => range.draw(rng),
        }
    }
}

impl Range {
    fn draw(&self, rng: &mut impl Rng) -> Value {
        let Self { from, to, log, whole, listed } = *self;
        // The upper 53 bits: a number from 0 on, below 1.
        let share = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let between = |from: f64, to: f64| from + share * (to - from);
        let number = match (log, whole) {
            (true, _) => between(from.ln(), to.ln()).exp(),
            (false, true) => between(from, to + 1.0).floor(),
            (false, false) => between(from, to),
        };
        let number = if whole { number.round() } else { digits(number) }.clamp(from, to);
        let number = if whole { json!(number as i64) } else { json!(number) };
        if listed { json!([number]) } else { number }
    }
}

/// `number` with three digits that count: the last bits of logarithms, which not all machines have alike, are not in it.
fn digits(number: f64) -> f64 {
    format!("{number:.2e}").parse().unwrap_or(number)
}

/// As TOML, which [`Space::parse`] reads.
impl fmt::Display for Space {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, choice) in &self.0 {
            match choice {
                // Lists, numbers and texts without special characters are in TOML what they are in JSON.
                Choice::Values(values) => writeln!(out, "{name} = {}", listed(values))?,
                Choice::Range(Range { from, to, log, whole, .. }) => {
                    let end = |end: f64| if *whole { json!(end as i64) } else { json!(end) };
                    let log = if *log { ", log = true" } else { "" };
                    writeln!(out, "{name} = {{ from = {}, to = {}{log} }}", end(*from), end(*to))?;
                }
            }
        }
        Ok(())
    }
}

fn listed(values: &[Value]) -> String {
    let shown = |value: &Value| match value {
        Value::Array(values) => listed(values),
        value => value.to_string(),
    };
    format!("[{}]", values.iter().map(shown).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::recipe::RecipeName;

    /// Takes what a recipe takes; of a list of numbers a single one too.
    fn check(name: &str, value: &Value) -> Result<Value, String> {
        let tried = |value: Value| {
            let flags = Map::from_iter([(name.to_owned(), value)]);
            Recipe::default().overlaid(&flags).map(|_| flags[name].clone())
        };
        tried(value.clone()).or_else(|_| tried(json!([value]))).map_err(|error| error.to_string())
    }

    fn parse(text: &str) -> Result<Space> {
        Space::parse("space.toml".as_ref(), text, &check)
    }

    #[test]
    fn a_space_is_read_and_drawn_within_its_ends() {
        let text = "hidden = [[128, 128], 64]\nlr = { from = 1e-4, to = 1e-2, log = true }\n\
                    batch-size = { from = 16, to = 19 }\ndropout = { from = 0, to = 0.5 }\nactivation = [\"relu\"]\n";
        let space = parse(text).unwrap();
        let (mut sizes, mut low) = (std::collections::BTreeSet::new(), 0);
        for trial in 1..400 {
            let drawn = space.draw(5, trial);
            assert!(drawn["hidden"] == json!([128, 128]) || drawn["hidden"] == json!([64]));
            let (lr, dropout) = (drawn["lr"].as_f64().unwrap(), drawn["dropout"][0].as_f64().unwrap());
            assert!((1e-4..=1e-2).contains(&lr) && (0.0..=0.5).contains(&dropout), "{drawn:?}");
            sizes.insert(drawn["batch_size"].as_u64().unwrap());
            low += u32::from(lr < 1e-3);
            Recipe::default().overlaid(&drawn).unwrap();
        }
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [16, 17, 18, 19]);
        // Half of the draws of a logarithm are in the lower half of it.
        assert!((150..250).contains(&low), "{low}");
        assert_eq!(parse(&space.to_string()).unwrap(), space);
    }

    #[test]
    fn a_setting_depends_on_seed_and_trial_alone() {
        let facts = Facts { table: true, values: false, rows: 5000, validation: true, numbers: true };
        let space = Space::suited(&Recipe::new(RecipeName::Table, None), &facts);
        assert_eq!(space.draw(0, 7), space.draw(0, 7));
        assert!(space.draw(0, 7) != space.draw(0, 8) && space.draw(0, 7) != space.draw(1, 7));
        assert_eq!(parse(&space.to_string()).unwrap(), space);
        assert_eq!(Value::Object(space.draw(0, 2)).to_string(), PINNED);
    }

    /// An update of a library must not change what a search finds unseen.
    const PINNED: &str = concat!(
        r#"{"activation":"gelu","dropout":[0.396],"embed":"pbld:0.05","hidden":[128,128,128],"#,
        r#""lr":0.00156,"weight_decay":0.0887}"#
    );

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_key() {
        for (text, parts) in [
            ("lr = []", ["lr: an empty list", "at least one value"]),
            ("lr = { from = 2.0, to = 1.0 }", ["lr: from 2.0 to 1.0", "a from below its to"]),
            ("lr = { from = 0, to = 1, log = true }", ["lr: log from 0", "above 0"]),
            ("lr = { from = 0.1 }", ["lr: no to", "a range"]),
            ("lr = { from = 0.1, to = 0.2, step = 1 }", ["the key step", "a range"]),
            ("lr = 0.1", ["lr: 0.1", "a list of values"]),
            ("depth = [1, 2]", ["depth: 1", "no option depth"]),
            ("epochs = [1.5]", ["epochs: 1.5", "recipe"]),
            ("activation = [\"rulu\"]", ["activation: \"rulu\"", "recipe"]),
            ("seed = [1, 2]", ["seed", "give it as a flag"]),
            ("lr = [0.1]\nlr = [0.2]", ["line 2", "TOML"]),
            ("batch_size = [8]\nbatch-size = [16]", ["twice", "once"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("space.toml: "), "{error}");
            parts.iter().for_each(|part| assert!(error.contains(part), "{text}: no {part:?} in {error}"));
        }
    }
}
