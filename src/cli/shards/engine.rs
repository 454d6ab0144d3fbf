//! Which share a process has: as a flag says, or the engine that started it does in the environment.

use std::fmt;

use crate::error::{Error, Result};

/// A share of the networks of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Shard {
    /// From 0.
    pub(super) index: u32,
    pub(super) of: u32,
}

/// What a share is called, from 1.
impl fmt::Display for Shard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index + 1, self.of)
    }
}

/// What --shard asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    This(Shard),
    /// What the environment says, perhaps with the number of shares.
    Auto(Option<u32>),
}

/// The most shares.
const MOST: u32 = 100_000;

pub(super) fn parse(text: &str) -> std::result::Result<Wanted, String> {
    let number = |text: &str| text.parse::<u32>().ok().filter(|number| (1..=MOST).contains(number));
    let wanted = match text.split_once('/') {
        None if text == "auto" => Some(Wanted::Auto(None)),
        None => None,
        Some(("auto", of)) => number(of).map(|of| Wanted::Auto(Some(of))),
        Some((index, of)) => match (number(index), number(of)) {
            (Some(index), Some(of)) if index <= of => Some(Wanted::This(Shard { index: index - 1, of })),
            _ => None,
        },
    };
    wanted.ok_or_else(|| "give the share and their number, from 1/1 on, such as 2/4; or auto, or auto/4".into())
}

/// The rank of a process and the number of processes, by the engine that started them. `mpirun` of Open MPI starts its processes
/// through Slurm where that is there, so that Slurm's own variables count last.
const RANKS: [(&str, &[&str]); 3] = [
    ("OMPI_COMM_WORLD_RANK", &["OMPI_COMM_WORLD_SIZE"]),
    ("PMI_RANK", &["PMI_SIZE"]),
    ("SLURM_PROCID", &["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS"]),
];
/// The number of a task of an array, and the least, the greatest and the number of them.
const ARRAY: [&str; 4] =
    ["SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX", "SLURM_ARRAY_TASK_COUNT"];
/// The number of a pod of an indexed job, from 0.
const POD: &str = "JOB_COMPLETION_INDEX";

impl Wanted {
    /// The share, where `variable` gives what a variable of the environment is set to.
    ///
    /// # Errors
    /// [`Error::Usage`] where it does not say which.
    pub(super) fn shard(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard> {
        let given = match self {
            Self::This(shard) => return Ok(shard),
            Self::Auto(given) => given,
        };
        let engine = Engine { variable: &variable };
        let known = match (engine.array(given.is_some())?, engine.rank()?) {
            // One process per task of an array adds nothing.
            (Some(task), None | Some(Known { of: Some(1), .. })) => task,
            (Some(task), Some(rank)) => task.times(&rank).ok_or_else(|| rank.uncounted())?,
            (None, Some(rank)) => rank,
            (None, None) => match engine.number(POD)? {
                Some(index) => Known { name: POD, index, of: None },
                None => {
                    let names = [ARRAY[0], RANKS[0].0, RANKS[1].0, RANKS[2].0, POD].join(", ");
                    return Err(usage(format!("no engine says in the environment which share this is ({names})")));
                }
            },
        };
        let of = given.or(known.of).ok_or_else(|| known.uncounted())?;
        if known.index < of && of <= MOST && known.of.is_none_or(|own| own == of) {
            return Ok(Shard { index: known.index, of });
        }
        let Known { name, index, of: own } = known;
        let own = own.map_or_else(String::new, |own| format!(" of {own}"));
        Err(usage(format!("{name} makes this the share {index}{own}, counted from 0, which is none of {of}")))
    }
}

fn usage(what: String) -> Error {
    Error::Usage(format!("--shard auto: {what}: give --shard I/N"))
}

/// The environment.
struct Engine<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
}

impl Engine<'_> {
    fn number(&self, name: &str) -> Result<Option<u32>> {
        let text = (self.variable)(name).filter(|text| !text.is_empty());
        let number =
            |text: String| text.parse().map_err(|_| usage(format!("{name} is {text:?}, which is no number from 0 on")));
        text.map(number).transpose()
    }

    /// The task of an array. Where the number of shares is `given`, tasks count from 0, so that one can be run again alone.
    fn array(&self, given: bool) -> Result<Option<Known>> {
        let name = ARRAY[0];
        let Some(id) = self.number(name)? else { return Ok(None) };
        if given {
            return Ok(Some(Known { name, index: id, of: None }));
        }
        let [least, greatest, count] = [self.number(ARRAY[1])?, self.number(ARRAY[2])?, self.number(ARRAY[3])?];
        let Some(count) = count else { return Ok(Some(Known { name, index: id, of: None })) };
        let least = least.unwrap_or(0);
        if greatest.is_some_and(|greatest| greatest.checked_sub(least) != count.checked_sub(1)) {
            return Err(usage(format!("the {count} tasks of the array do not follow one another")));
        }
        Ok(Some(Known { name, index: id.saturating_sub(least), of: Some(count) }))
    }

    /// The rank of this process among those that an engine started together.
    fn rank(&self) -> Result<Option<Known>> {
        // A batch script of Slurm has a rank too, but is one process of no step.
        let is_set = |name: &str| (self.variable)(name).is_some();
        let in_script = is_set("SLURM_JOB_ID") && !is_set("SLURM_STEP_ID");
        for (name, sizes) in RANKS {
            let Some(index) = self.number(name)?.filter(|_| !(in_script && name.starts_with("SLURM"))) else {
                continue;
            };
            let of = sizes.iter().map(|size| self.number(size)).find_map(Result::transpose).transpose()?;
            return Ok(Some(Known { name, index, of }));
        }
        Ok(None)
    }
}

/// What a variable says.
struct Known {
    name: &'static str,
    /// From 0.
    index: u32,
    of: Option<u32>,
}

impl Known {
    /// That of several processes `inner` of each of several tasks.
    fn times(self, inner: &Known) -> Option<Known> {
        let size = inner.of?;
        let index = self.index.checked_mul(size)?.checked_add(inner.index)?;
        let of = match self.of {
            Some(of) => Some(of.checked_mul(size)?),
            None => None,
        };
        Some(Known { name: self.name, index, of })
    }

    /// That nothing says how many there are.
    fn uncounted(&self) -> Error {
        let name = self.name;
        Error::Usage(format!(
            "--shard auto: {name} says which share this is, but nothing says how many there are: give --shard auto/N"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(wanted: &str, variables: &[(&str, &str)]) -> Result<Shard, String> {
        let variable =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        parse(wanted)?.shard(variable).map_err(|error| error.to_string())
    }

    #[test]
    fn a_share_is_what_the_flag_or_the_engine_says() {
        let found = |wanted, variables: &[(&str, &str)]| shard(wanted, variables).map(|shard| shard.to_string());
        let slurm = [("SLURM_PROCID", "2"), ("SLURM_NTASKS", "4")];
        let array = |id, min, max, count| {
            [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_MAX", max),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ]
        };
        let mpi = [("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "3")];
        assert_eq!(found("2/4", &slurm), Ok("2/4".into()));
        assert_eq!(found("auto", &slurm), Ok("3/4".into()));
        assert_eq!(found("auto", &mpi), Ok("1/3".into()));
        // What mpirun says counts more than the step of Slurm in which it started its processes.
        assert_eq!(found("auto", &[slurm, mpi].concat()), Ok("1/3".into()));
        assert_eq!(found("auto", &[("PMI_RANK", "1"), ("PMI_SIZE", "2")]), Ok("2/2".into()));
        assert_eq!(found("auto/5", &[("JOB_COMPLETION_INDEX", "4")]), Ok("5/5".into()));
        assert_eq!(found("auto", &array("7", "5", "8", "4")), Ok("3/4".into()));
        // A task that is run again alone: with the number of shares, tasks count from 0.
        assert_eq!(found("auto/4", &array("2", "2", "2", "1")), Ok("3/4".into()));
        let one = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")];
        assert_eq!(found("auto", &[&array("1", "0", "3", "4")[..], &one].concat()), Ok("2/4".into()));
        assert_eq!(found("auto", &one), Ok("1/1".into()));
        // Several processes in each task of an array, by srun; a batch script itself is one process.
        let both = [&array("1", "0", "3", "4")[..], &slurm, &[("SLURM_JOB_ID", "9")]].concat();
        assert_eq!(found("auto", &both), Ok("2/4".into()));
        assert_eq!(found("auto", &[&both[..], &[("SLURM_STEP_ID", "0")]].concat()), Ok("7/16".into()));
    }

    #[test]
    fn what_does_not_say_a_share_is_refused_with_what_to_give() {
        for text in ["0/4", "5/4", "1/0", "x", "auto/0", "1/", "/2", "1/2/3", "-1/2", "1/100001"] {
            assert!(parse(text).is_err(), "{text}");
        }
        let error = |wanted, variables: &[(&str, &str)]| shard(wanted, variables).expect_err("no share");
        assert!(error("auto", &[]).contains("OMPI_COMM_WORLD_RANK"));
        assert!(error("auto", &[("JOB_COMPLETION_INDEX", "1")]).contains("give --shard auto/N"));
        assert!(
            error("auto/2", &[("JOB_COMPLETION_INDEX", "2")]).contains("JOB_COMPLETION_INDEX makes this the share 2")
        );
        assert!(error("auto", &[("PMI_RANK", "x"), ("PMI_SIZE", "2")]).contains("PMI_RANK is \"x\""));
        assert!(error("auto/3", &[("PMI_RANK", "1"), ("PMI_SIZE", "2")]).contains("none of 3"));
        let odd = [("SLURM_ARRAY_TASK_ID", "2"), ("SLURM_ARRAY_TASK_MIN", "0"), ("SLURM_ARRAY_TASK_MAX", "6")];
        assert!(error("auto", &[&odd[..], &[("SLURM_ARRAY_TASK_COUNT", "4")]].concat()).contains("follow one another"));
    }
}
