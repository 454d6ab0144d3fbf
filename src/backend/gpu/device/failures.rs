//! What goes wrong on a device: errors, by the thread whose call they are of, and its loss.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use super::Device;
use crate::error::{Error, Result};

/// How long the word that a device is lost is waited for where something failed.
const HEARING: Duration = Duration::from_secs(5);

/// What the driver reported.
#[derive(Default)]
pub(super) struct Failures {
    /// That the device was lost, for good.
    lost: Option<String>,
    /// The first error since the last call of [`Device::check`], by the thread whose call it is of: engines on several threads share
    /// a device.
    errors: HashMap<ThreadId, String>,
}

/// Keeps what the driver reports of `device`.
pub(super) fn watch(device: &wgpu::Device) -> Arc<Mutex<Failures>> {
    let failures: Arc<Mutex<Failures>> = Arc::default();
    let of_errors = Arc::clone(&failures);
    // Called on the thread whose call failed.
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let mut failures = of_errors.lock().unwrap_or_else(PoisonError::into_inner);
        failures.errors.entry(std::thread::current().id()).or_insert_with(|| one_line(&error));
    }));
    let of_loss = Arc::clone(&failures);
    device.set_device_lost_callback(move |reason, message| {
        let message = format!("the device was lost ({reason:?}: {})", message.trim());
        of_loss.lock().unwrap_or_else(PoisonError::into_inner).lost.get_or_insert(message);
    });
    failures
}

impl Device {
    /// Whether it was lost, for good.
    pub fn is_lost(&self) -> bool {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).lost.is_some()
    }

    /// The first error the driver reported of this thread's calls since the last check, about `what`; or that the device was lost.
    ///
    /// # Errors
    /// [`Error::Gpu`] when there is one, [`Error::Lost`].
    pub fn check(&self, what: &str) -> Result<()> {
        let failures = || self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let error = failures().errors.remove(&std::thread::current().id());
        if error.is_some() {
            self.hear();
        }
        let named = |message: &str| format!("{what}: {message} (adapter {})", self.info.name);
        match (&failures().lost, error) {
            (Some(lost), _) => Err(Error::lost(named(lost))),
            (None, Some(error)) => Err(Error::Gpu(named(&error))),
            (None, None) => Ok(()),
        }
    }

    /// Waits for the word that the device is lost: what it fails with then may come before. It is said once the work under way has ended.
    pub(super) fn hear(&self) {
        if !self.is_lost() {
            let _ = self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: Some(HEARING) });
        }
    }
}

/// An error and its causes on one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
