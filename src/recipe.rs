//! What decides a run's numbers.

/// What makes a step of the parameters from their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptimizerKind {
    /// Gradient descent.
    Sgd,
}

impl OptimizerKind {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Sgd];
}
