//! What a report says of the machine that it was made on.

use serde::{Deserialize, Serialize};

use crate::backend::About;

/// A machine and its device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The operating system and the kind of processor, such as `linux, x86_64`.
    pub system: String,
    /// The processor's name, where it can be told.
    pub processor: Option<String>,
    /// The threads that it runs at once.
    pub threads: usize,
    /// `cpu` or `gpu`.
    pub backend: String,
    /// The device in words.
    pub device: String,
}

impl Machine {
    /// This machine, with the device that `about` is.
    pub fn of(about: &About) -> Self {
        Self {
            system: format!("{}, {}", std::env::consts::OS, std::env::consts::ARCH),
            processor: processor(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            backend: about.name.into(),
            device: about.device.clone(),
        }
    }
}

/// The name of the processor: what Linux has in a file, and macOS and Windows say when they are asked.
fn processor() -> Option<String> {
    let name = if cfg!(target_os = "linux") {
        let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        line.split_once(':')?.1.trim().to_owned()
    } else if cfg!(target_os = "macos") {
        let output = std::process::Command::new("/usr/sbin/sysctl").args(["-n", "machdep.cpu.brand_string"]).output();
        String::from_utf8(output.ok()?.stdout).ok()?.trim().to_owned()
    } else {
        std::env::var("PROCESSOR_IDENTIFIER").ok()?
    };
    Some(name).filter(|name| !name.is_empty())
}
