//! Runs in the file layout of [MLflow](https://mlflow.org)'s tracking: parameters, and metrics per epoch, in a folder that `mlflow ui`
//! and its Python API read as a store.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value as Json;

use super::{Observer, RunInfo, scalars};
use crate::data::TargetScale;
use crate::error::{Error, Result};
use crate::files;
use crate::train::{End, Event, Outcome, Snapshot};

/// The experiment that runs belong to: MLflow's default one.
const EXPERIMENT: &str = "0";

/// Where a run stands, as MLflow numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Running = 1,
    Finished = 3,
    Failed = 4,
    Killed = 5,
}

/// Writes a run into a store. A run that fails is marked as failed.
pub struct MlFlow {
    folder: PathBuf,
    id: String,
    run: Option<Run>,
}

/// A run under way.
struct Run {
    name: String,
    /// Milliseconds since 1970.
    start: u64,
    scale: Option<TargetScale>,
}

impl MlFlow {
    /// A new run in the store `root`, which is made if it is not there.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written.
    pub fn create(root: &Path) -> Result<Self> {
        let root = std::path::absolute(root).map_err(Error::io("find", root))?;
        // Random keys of the standard library: no two runs have the same.
        let random = || RandomState::new().hash_one(std::process::id());
        let id = format!("{:016x}{:016x}", random(), random());
        let folder = root.join(EXPERIMENT).join(&id);
        for part in ["metrics", "params", "tags", "artifacts"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part).map_err(Error::io("create", &part))?;
        }
        let experiment = root.join(EXPERIMENT);
        let meta = experiment.join("meta.yaml");
        if !meta.exists() {
            let (location, now) = (quoted(&uri(&experiment)), milliseconds());
            let text = format!(
                "artifact_location: {location}\ncreation_time: {now}\nexperiment_id: '{EXPERIMENT}'\nlast_update_time: {now}\n\
                 lifecycle_stage: active\nname: Default\n"
            );
            files::write(&meta, text.as_bytes())?;
        }
        Ok(Self { folder, id, run: None })
    }

    /// Writes what MLflow knows of the run, which is there from its start on.
    fn describe(&self, run: &Run, status: Status) -> Result<()> {
        let end = if status == Status::Running { "null".into() } else { milliseconds().to_string() };
        let (artifacts, id) = (quoted(&uri(&self.folder.join("artifacts"))), &self.id);
        let (name, user, start) = (quoted(&run.name), quoted(&user()), run.start);
        let text = format!(
            "artifact_uri: {artifacts}\nend_time: {end}\nentry_point_name: ''\nexperiment_id: '{EXPERIMENT}'\n\
             lifecycle_stage: active\nrun_id: {id}\nrun_name: {name}\nrun_uuid: {id}\nsource_name: ''\nsource_type: 4\n\
             source_version: ''\nstart_time: {start}\nstatus: {}\ntags: []\nuser_id: {user}\n",
            status as u8
        );
        files::write(&self.folder.join("meta.yaml"), text.as_bytes())
    }

    /// Writes a parameter or a tag.
    fn entry(&self, kind: &str, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(kind).join(name);
        std::fs::write(&path, text).map_err(Error::io("write", &path))
    }

    /// Adds a value to a metric, in whose name `/` parts folders.
    fn metric(&self, name: &str, value: f64, step: u32) -> Result<()> {
        let path = self.folder.join("metrics").join(name);
        let folder = files::folder_of(&path);
        std::fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        let line = format!("{} {value} {step}\n", milliseconds());
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(Error::io("write", &path))
    }
}

impl Observer for MlFlow {
    fn start(&mut self, info: &RunInfo<'_>) -> Result<()> {
        let name = format!("{} {}", info.data.name, info.model);
        let run = Run { name, start: milliseconds(), scale: info.data.target_scale.clone() };
        self.describe(&run, Status::Running)?;
        for (name, value) in [
            ("mlflow.runName", run.name.as_str()),
            ("mlflow.source.name", env!("CARGO_PKG_NAME")),
            ("mlflow.source.type", "LOCAL"),
            ("mlflow.user", &user()),
        ] {
            self.entry("tags", name, value)?;
        }
        let of_run = [("data", info.data.name.clone()), ("network", info.model.to_string())];
        let of_run = of_run.into_iter().map(|(name, value)| (name.to_owned(), Json::String(value)));
        for (name, value) in info.recipe.options()?.into_iter().chain(of_run) {
            let text = match value {
                Json::Null => continue,
                Json::String(text) => text,
                other => other.to_string(),
            };
            self.entry("params", &name, &text)?;
        }
        self.run = Some(run);
        Ok(())
    }

    fn event(&mut self, event: &mut Event<'_>) -> Result<ControlFlow<()>> {
        if let (Event::Epoch(epoch, _), Some(run)) = (event, &self.run) {
            for (name, value) in scalars(epoch, run.scale.as_ref()) {
                self.metric(&name, value, epoch.number)?;
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn finish(&mut self, outcome: &Outcome, _: &mut Snapshot<'_>) -> Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        self.entry("tags", "epoch", &outcome.epoch.to_string())?;
        self.describe(&run, if outcome.end == End::Stopped { Status::Killed } else { Status::Finished })
    }
}

impl Drop for MlFlow {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            // What the run failed with is what is told.
            let _ = self.describe(&run, Status::Failed);
        }
    }
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// Who runs this, as the environment says.
fn user() -> String {
    let named =
        ["USER", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    named.unwrap_or_else(|| "unknown".into())
}

/// A text of one line in YAML.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''").replace(['\n', '\r'], " "))
}

/// The URI of an absolute path.
fn uri(path: &Path) -> String {
    let mut uri = "file://".to_owned();
    for part in path.components() {
        let part = match part {
            Component::RootDir => continue,
            part => part.as_os_str().to_string_lossy().replace('\\', "/"),
        };
        uri.push('/');
        for byte in part.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
                uri.push(byte.into());
            } else {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn paths_become_uris_and_texts_one_line() {
        assert_eq!(uri(Path::new("/data/my runs/ü")), "file:///data/my%20runs/%C3%BC");
        assert_eq!(quoted("it's\nhere"), "'it''s here'");
    }
}
