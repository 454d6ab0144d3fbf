//! What the training loop asks of a device that trains many networks at once.

use std::sync::Arc;

use rayon::prelude::*;

use crate::backend::{About, Split, Steps, Ticket};
use crate::data::{Inputs, Samples};
use crate::error::Result;
use crate::metrics::Evaluation;
use crate::state::State;

/// Members for which a host works side by side: for fewer it takes less time than threads take to wake.
const MANY: usize = 8;

/// What `make` makes for each of `members`, in their order.
pub(crate) fn for_each_member<T: Sync, R: Send>(members: &[T], make: impl Fn(&T) -> R + Send + Sync) -> Vec<R> {
    if members.len() < MANY { members.iter().map(make).collect() } else { members.par_iter().map(make).collect() }
}

/// A device that holds the states of networks of one shape, the members of a pack, and data for all of them. It trains and
/// evaluates them together, and **each member's bits are those of the same network alone**.
///
/// What is asked of all members is a list with an entry for each, in their order.
pub trait Pack: Send {
    /// What it is.
    fn about(&self) -> About;

    /// How many members there are.
    fn members(&self) -> usize;

    /// Makes `samples` resident as `split`, all rows for every member.
    ///
    /// # Errors
    /// When the rows do not fit the model or the device.
    fn upload(&mut self, split: Split, samples: &Arc<Samples>) -> Result<()>;

    /// Gives each member rows of its own of `split`, by their numbers in the samples that were uploaded. What is told of a member is
    /// of these rows then, and its orders count them: order 0 is the first row of its list.
    ///
    /// # Errors
    /// When nothing was uploaded, a list is missing or empty, or a row is not there.
    fn assign(&mut self, split: Split, rows: &[Vec<u32>]) -> Result<()>;

    /// Hands over the first of each member's steps, as many as make a sensible portion of work: how many batches, at least one
    /// where there is one. Members go on by as many, or by all they have where that is fewer; a member without steps stays as it
    /// is. May return before the work is done.
    ///
    /// # Errors
    /// When nothing was uploaded, a row is not there, or the device fails.
    fn train(&mut self, steps: &[Steps<'_>]) -> Result<usize>;

    /// Waits until the steps handed over are done; an evaluation handed over after them may still be under way.
    ///
    /// # Errors
    /// When the device fails.
    fn wait(&mut self) -> Result<()>;

    /// Hands over the evaluation of these parts of each member, in the state that the work before leaves.
    ///
    /// # Errors
    /// When one of them was not uploaded, or the device fails.
    fn evaluate(&mut self, splits: &[Vec<Split>]) -> Result<Ticket>;

    /// What the evaluation of `ticket`, the last one, found of each member: for each of its parts.
    ///
    /// # Errors
    /// When a later one was handed over, or the device fails.
    fn collect(&mut self, ticket: Ticket) -> Result<Vec<Vec<Evaluation>>>;

    /// A member's outputs for `inputs`, as [`crate::backend::Backend::predict`] gives them.
    ///
    /// # Errors
    /// When there is no such member, the rows do not fit the model, or the device fails.
    fn predict(&mut self, member: usize, inputs: &Inputs) -> Result<Vec<f32>>;

    /// A member's state now, or as it was when `at`, the last evaluation, was handed over.
    ///
    /// # Errors
    /// When there is no such member, a later evaluation was handed over, or the device fails.
    fn state(&mut self, member: usize, at: Option<Ticket>) -> Result<State>;

    /// The states of all members, as [`Pack::state`] gives that of one.
    ///
    /// # Errors
    /// As [`Pack::state`].
    fn states(&mut self, at: Option<Ticket>) -> Result<Vec<State>> {
        (0..self.members()).map(|member| self.state(member, at)).collect()
    }

    /// Replaces a member's state.
    ///
    /// # Errors
    /// When there is no such member, the state is of another model or optimizer, or the device fails.
    fn set_state(&mut self, member: usize, state: &State) -> Result<()>;
}
