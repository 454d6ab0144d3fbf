//! Parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    mlp_gpu::cli::main()
}
