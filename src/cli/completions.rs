//! `mlp-gpu completions`

use clap::Args;
use clap_complete::Shell;

use super::help;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut help::command(), "mlp-gpu", &mut script);
    let script = String::from_utf8(script).map_err(|error| Error::Data(format!("the completions: {error}")))?;
    super::print(script.trim_end())
}
