//! Parse, run, exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mlp_gpu::memory::Allocator = mlp_gpu::memory::Allocator;

fn main() -> ExitCode {
    // A layer of Mesa's complains on standard error where there is no desktop; this keeps it out. Users' own choice stays.
    if std::env::var_os("NODEVICE_SELECT").is_none() {
        // SAFETY: this is the only thread yet.
        unsafe { std::env::set_var("NODEVICE_SELECT", "1") };
    }
    mlp_gpu::cli::main()
}
