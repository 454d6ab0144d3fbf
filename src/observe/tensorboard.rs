//! Event files for [TensorBoard](https://www.tensorflow.org/tensorboard): scalars and histograms per epoch, pictures of the first
//! layer's units, and the recipe as hyperparameters.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use prost::Message;
use serde_json::Value as Json;

use self::messages::{
    Data, Experiment, HParams, Histogram, Image, Kind, Metadata, MetricInfo, MetricName, OptionInfo, Plugin, Session,
    Setting, Start, Summary, Value, What,
};
use super::{Observer, RunInfo, names, scalars};
use crate::data::TargetScale;
use crate::error::{Error, Result};
use crate::model::Mlp;
use crate::preview;
use crate::state::State;
use crate::train::{End, Event, Outcome, Snapshot};

mod messages;
mod records;

/// Buckets of a histogram.
const BUCKETS: usize = 64;

/// Writes a run to an event file. Each epoch reads its state from the device, for the histograms.
pub struct TensorBoard {
    path: PathBuf,
    file: BufWriter<File>,
    run: Option<Run>,
}

/// What is written of.
struct Run {
    model: Mlp,
    image: Option<(usize, usize)>,
    scale: Option<TargetScale>,
}

impl TensorBoard {
    /// An event file in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let host = std::env::var("HOSTNAME").ok().filter(|host| !host.is_empty() && !host.contains(['/', '\\']));
        let host = host.unwrap_or_else(|| "localhost".into());
        let name = format!("events.out.tfevents.{}.{host}.{}.0", now() as u64, std::process::id());
        let path = folder.join(name);
        let file = File::create(&path).map_err(Error::io("create", &path))?;
        let mut board = Self { path, file: BufWriter::new(file), run: None };
        board.write(0, What::FileVersion("brain.Event:2".into()))?;
        Ok(board)
    }

    fn write(&mut self, step: u32, what: What) -> Result<()> {
        let event = messages::Event { wall_time: now(), step: step.into(), what: Some(what) };
        records::write(&mut self.file, &event.encode_to_vec())
            .and_then(|()| self.file.flush())
            .map_err(Error::io("write", &self.path))
    }

    fn values(&mut self, step: u32, values: Vec<Value>) -> Result<()> {
        if values.is_empty() { Ok(()) } else { self.write(step, What::Summary(Summary { values })) }
    }

    /// Writes a part of what the plugin hparams shows, of which the tag says which it is.
    fn session(&mut self, tag: &str, session: Session) -> Result<()> {
        let content = HParams { version: 0, session: Some(session) }.encode_to_vec();
        let plugin = Plugin { name: "hparams".into(), content };
        let value =
            Value { tag: format!("_hparams_/{tag}"), metadata: Some(Metadata { plugin: Some(plugin) }), data: None };
        self.values(0, vec![value])
    }
}

impl Observer for TensorBoard {
    fn start(&mut self, run: &RunInfo<'_>) -> Result<()> {
        let scale = run.data.target_scale.clone();
        let names = names(scale.as_ref());
        let parts =
            run.evaluated().into_iter().map(|split| split.name()).chain(run.recipe.train_eval.then_some("train"));
        let metrics = parts.flat_map(|part| names.iter().map(move |name| format!("{name}/{part}")));
        let metrics = metrics.map(|tag| MetricInfo { name: Some(MetricName { tag }) }).collect();
        let options = run.recipe.options()?;
        let settings: BTreeMap<String, Setting> = options
            .into_iter()
            .filter_map(|(name, value)| Some((name, Setting { kind: Some(kind(value)?) })))
            .collect();
        let kinds = settings.iter().map(|(name, setting)| OptionInfo {
            name: name.clone(),
            kind: match setting.kind {
                Some(Kind::Truth(_)) => 2,
                Some(Kind::Number(_)) => 3,
                _ => 1,
            },
        });
        let experiment = Experiment { created: now(), options: kinds.collect(), metrics };
        self.session("experiment", Session::Experiment(experiment))?;
        self.session("session_start_info", Session::Start(Start { options: settings, time: now() }))?;
        self.run = Some(Run { model: run.model.clone(), image: run.data.image(), scale });
        Ok(())
    }

    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        let flow = ControlFlow::Continue(());
        let (Event::Epoch(epoch, snapshot), Some(run)) = (event, &self.run) else { return Ok(flow) };
        let scalar = |(tag, value)| Value { tag, metadata: None, data: Some(Data::Scalar(value as f32)) };
        let mut values: Vec<Value> = scalars(epoch, run.scale.as_ref()).into_iter().map(scalar).collect();
        values.extend(run.histograms(&snapshot.state()?));
        self.values(epoch.number, values)?;
        Ok(flow)
    }

    fn finish(&mut self, outcome: &Outcome, end: &mut Snapshot<'_>) -> Result<()> {
        if let Some(run) = &self.run {
            let picture = run.picture(&end.state()?)?;
            self.values(outcome.epoch, picture.into_iter().collect())?;
        }
        let status = i32::from(outcome.end != End::Stopped);
        self.session("session_end_info", Session::End(messages::End { status, time: now() }))
    }
}

impl Run {
    /// The weights and the biases of each layer.
    fn histograms(&self, state: &State) -> Vec<Value> {
        let of =
            |tag: String, values: &[f32]| Value { tag, metadata: None, data: Some(Data::Histogram(histogram(values))) };
        let layers = self.model.layers().iter().enumerate();
        layers
            .flat_map(|(number, layer)| {
                [("weights", &layer.weights), ("biases", &layer.biases)]
                    .map(|(what, range)| of(format!("{what}/layer_{number}"), &state.parameters[range.clone()]))
            })
            .collect()
    }

    /// The units of the first layer as one picture, where the inputs are images.
    fn picture(&self, state: &State) -> Result<Option<Value>> {
        let Some(size) = self.image else { return Ok(None) };
        let png = preview::units(&self.model, &state.parameters, Some(size))?;
        // Width, height and the kind of colours stand at fixed places of a PNG.
        let side =
            |at: usize| png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, i32::from_be_bytes);
        let colours = if png.get(25) == Some(&0) { 1 } else { 3 };
        let image = Image { height: side(20), width: side(16), colours, png };
        Ok(Some(Value { tag: "units/layer_0".into(), metadata: None, data: Some(Data::Image(image)) }))
    }
}

/// How `values` are distributed, in buckets of one width.
fn histogram(values: &[f32]) -> Histogram {
    let numbers = || values.iter().map(|value| f64::from(*value)).filter(|value| value.is_finite());
    let (min, max) = numbers().fold((f64::MAX, f64::MIN), |(min, max), value| (min.min(value), max.max(value)));
    if min > max {
        return Histogram::default();
    }
    let buckets = if min == max { 1 } else { BUCKETS };
    let width = (max - min) / buckets as f64;
    let mut counts = vec![0.0; buckets];
    for value in numbers() {
        let bucket = if width > 0.0 { ((value - min) / width) as usize } else { 0 };
        counts[bucket.min(buckets - 1)] += 1.0;
    }
    let ends = (1..=buckets).map(|bucket| if bucket == buckets { max } else { min + width * bucket as f64 }).collect();
    let sum_of_squares = numbers().map(|value| value * value).sum();
    Histogram { min, max, count: numbers().count() as f64, sum: numbers().sum(), sum_of_squares, ends, counts }
}

/// An option's value; lists are text.
fn kind(value: Json) -> Option<Kind> {
    Some(match value {
        Json::Null => return None,
        Json::Bool(truth) => Kind::Truth(truth),
        Json::Number(number) => Kind::Number(number.as_f64()?),
        Json::String(text) => Kind::Text(text),
        value => Kind::Text(value.to_string()),
    })
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::backend::select::Choice;
    use crate::{Recipe, Request, Trainer, data};

    /// The events of the file in `folder`.
    fn events(folder: &Path) -> Vec<messages::Event> {
        let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        let records = records::tests::read(&std::fs::read(file).unwrap());
        records.iter().map(|record| messages::Event::decode(&record[..]).unwrap()).collect()
    }

    #[test]
    fn a_run_is_read_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join("t.csv");
        let rows = (0..40).map(|row| format!("{row},{},{}\n", row % 7, if row % 3 == 0 { "a" } else { "b" }));
        std::fs::write(&table, format!("x,y,label\n{}", rows.collect::<String>())).unwrap();
        let (data, _) = data::load(table.to_str().unwrap(), &data::Options::default()).unwrap();
        let recipe = Recipe { epochs: 2, ..Recipe::default() };
        let board = folder.path().join("board");
        let mut observer = TensorBoard::create(&board).unwrap();
        let request = Request { backend: Choice::Cpu, ..Request::default() };
        let model = Mlp::new(&[data.train.width, 3, 2]).unwrap();
        let trainer = Trainer::new(model, &data).recipe(recipe).on(request);
        let trained = trainer.observe(&mut observer).run().unwrap();

        let events = events(&board);
        assert_eq!(events[0].what, Some(What::FileVersion("brain.Event:2".into())));
        let of = |step: i64| -> Vec<Value> {
            let of_step = events.iter().filter(|event| event.step == step);
            let summaries = of_step.filter_map(|event| match &event.what {
                Some(What::Summary(summary)) => Some(summary.values.clone()),
                _ => None,
            });
            summaries.flatten().collect()
        };
        for epoch in &trained.epochs {
            let values = of(epoch.number.into());
            let data = |tag: &str| values.iter().find(|value| value.tag == tag).unwrap().data.clone().unwrap();
            let train = epoch.train.as_ref().unwrap();
            assert_eq!(data("loss/train"), Data::Scalar(train.mean_loss() as f32));
            assert_eq!(data("accuracy/test"), Data::Scalar(epoch.test.as_ref().unwrap().accuracy() as f32));
            assert_eq!(data("learning_rate"), Data::Scalar(epoch.learning_rate as f32));
            let Data::Histogram(weights) = data("weights/layer_1") else { panic!("no histogram") };
            assert_eq!((weights.count, weights.counts.iter().sum::<f64>(), weights.counts.len()), (6.0, 6.0, BUCKETS));
            assert!(weights.min < weights.max && weights.ends[BUCKETS - 1] == weights.max);
        }
        let sessions: Vec<Session> = of(0)
            .into_iter()
            .map(|value| value.metadata.unwrap().plugin.unwrap())
            .inspect(|plugin| assert_eq!(plugin.name, "hparams"))
            .filter_map(|plugin| HParams::decode(&plugin.content[..]).unwrap().session)
            .collect();
        let [Session::Experiment(experiment), Session::Start(start), Session::End(end)] = &sessions[..] else {
            panic!("{sessions:?}")
        };
        assert_eq!(start.options["batch_size"].kind, Some(Kind::Number(36.0)));
        assert_eq!(start.options["optimizer"].kind, Some(Kind::Text("sgd".into())));
        assert_eq!((experiment.options.len(), end.status), (start.options.len(), 1));
        assert!(experiment.metrics.iter().any(|metric| metric.name.as_ref().unwrap().tag == "accuracy/test"));
    }

    #[test]
    fn units_are_a_picture_and_equal_weights_one_bucket() {
        let model = Mlp::new(&[12, 5, 2]).unwrap();
        let state = State::new(vec![0.5; model.parameters()], crate::recipe::OptimizerKind::Sgd);
        let run = Run { model, image: Some((3, 4)), scale: None };
        let Some(Data::Image(image)) = run.picture(&state).unwrap().unwrap().data else { panic!("no image") };
        let decoded = image::load_from_memory(&image.png).unwrap();
        assert_eq!((image.width as u32, image.height as u32), (decoded.width(), decoded.height()));
        assert_eq!(image.colours, 1);
        let found = histogram(&[0.5; 9]);
        assert_eq!((found.counts, found.ends, found.count), (vec![9.0], vec![0.5], 9.0));
        assert_eq!(histogram(&[]), Histogram::default());
    }
}
