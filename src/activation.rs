//! The activations: a file each with its plain functions, the twins of its shader in `shaders/link/activation/`, the same over
//! vectors for the CPU engine, and its operators in ONNX. The list below is the registry.

use clap::ValueEnum;
pub(crate) use pulp::Simd;
use serde::{Deserialize, Serialize};

pub(crate) use crate::backend::cpu::vector::exponential::{Exponential, sigmoids as sigmoids_of_vector};
pub(crate) use crate::backend::cpu::vector::multiply_add;

pub mod exponential;
mod gelu;
mod identity;
mod leaky_relu;
mod mish;
mod relu;
mod selu;
mod sigmoid;
mod silu;
#[cfg(test)]
mod softplus;
mod tanh;

/// The registry, handed to the macro `$then` before `$arguments`. A line an activation: its type, its file (here and in
/// `shaders/link/activation/`), its name in recipes, files and messages, and what it is.
macro_rules! activations {
    ($then:ident! $($arguments:tt)*) => {
        $then! {
            {
                [] Relu relu "relu" "`max(f, 0)`; its slope is 0 at exactly 0";
                [] LeakyRelu leaky_relu "leaky-relu" "`f` above 0, else `0.01 f`";
                [] Tanh tanh "tanh" "The hyperbolic tangent";
                [] Sigmoid sigmoid "sigmoid" "`1 / (1 + exp(-f))`";
                [] Gelu gelu "gelu" "`f P(X <= f)` for a standard normal X, by the error function (Hendrycks and Gimpel 2016)";
                [] Silu silu "silu" "`f sigmoid(f)`, also known as swish";
                [] Selu selu "selu" "Scaled exponential linear unit (Klambauer et al. 2017)";
                [] Mish mish "mish" "`f tanh(ln(1 + exp(f)))` (Misra 2019)";
                [] Identity identity "identity" "`f`";
                [cfg(test)] Softplus softplus "softplus" "`ln(1 + exp(f))`";
            }
            $($arguments)*
        }
    };
}
pub(crate) use activations;

macro_rules! define {
    ({ $([$($only:meta)?] $name:ident $file:ident $text:literal $what:literal;)* }) => {
        /// What a hidden layer does to its sums. The formulas are PyTorch's.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, Serialize, Deserialize,
        )]
        pub enum Activation {
            $(
                $(#[$only])?
                #[doc = $what]
                #[serde(rename = $text)]
                #[value(name = $text)]
                $name,
            )*
        }

        impl Activation {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($(#[$only])? Self::$name),*];

            /// Its name in recipes, files and messages.
            pub fn name(self) -> &'static str {
                match self {
                    $($(#[$only])? Self::$name => $text,)*
                }
            }

            /// The WGSL that is linked into kernels.
            pub(crate) fn shader(self) -> &'static str {
                match self {
                    $($(#[$only])? Self::$name => {
                        include_str!(concat!("../shaders/link/activation/", stringify!($file), ".wgsl"))
                    })*
                }
            }
        }

        /// The types of the activations, a module that names nothing else.
        pub(crate) mod types {
            $($(#[$only])? pub(crate) use super::$file::$name;)*
        }
    };
}
activations!(define!);

impl Default for Activation {
    fn default() -> Self {
        Self::Relu
    }
}

/// Evaluates `$body` for the activation `$which`, whose type it knows as `$activate`: compiled once for each.
macro_rules! monomorphised {
    ({ $([$($only:meta)?] $name:ident $file:ident $text:literal $what:literal;)* } $which:expr, $activate:ident, $body:expr) => {
        match $which {
            $($(#[$only])? $crate::activation::Activation::$name => {
                type $activate = $crate::activation::types::$name;
                $body
            })*
        }
    };
    ($which:expr, |$activate:ident| $body:expr) => {
        $crate::activation::activations!(monomorphised! $which, $activate, $body)
    };
}
pub(crate) use monomorphised;

/// An activation. NaN stays NaN, so that a run that diverged cannot look healthy.
///
/// What is saved of a forward pass is the input `f` where [`Activate::SAVES_INPUT`], else the output `h`.
pub(crate) trait Activate {
    /// Whether the slope is computed from the input; otherwise the output suffices.
    const SAVES_INPUT: bool = false;
    /// What makes it of its input in ONNX.
    const OPERATORS: &'static [Operator];

    /// The activation of `f`.
    fn activate(f: f32) -> f32;

    /// The gradient at the input, from that at the output and from what is saved.
    fn activate_backward(gradient: f32, saved: f32) -> f32;

    /// [`Activate::activate`] of a vector.
    fn activate_vector<S: Simd>(simd: S, f: S::f32s) -> S::f32s;

    /// [`Activate::activate_backward`] of a vector.
    fn activate_backward_vector<S: Simd>(simd: S, gradient: S::f32s, saved: S::f32s) -> S::f32s;

    /// The activation of `f` and its slope there, from textbook formulas in f64.
    #[cfg(test)]
    fn exact(f: f64) -> (f64, f64);
}

/// An operator of ONNX. Its first operand is what the one before it made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Operator {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its second operand.
    pub(crate) operand: Option<Operand>,
}

/// A second operand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Operand {
    /// The activation's input.
    Input,
    /// A number.
    Number(f32),
}

impl Operator {
    const fn of(name: &'static str) -> Self {
        Self { name, operand: None }
    }

    const fn with_input(name: &'static str) -> Self {
        Self { name, operand: Some(Operand::Input) }
    }

    const fn with(name: &'static str, number: f32) -> Self {
        Self { name, operand: Some(Operand::Number(number)) }
    }
}

impl Activation {
    /// Whether its slope is computed from its input; otherwise its output suffices.
    pub fn saves_input(self) -> bool {
        monomorphised!(self, |A| A::SAVES_INPUT)
    }

    /// The activation of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|activation| activation.name() == name)
    }

    /// Its operators in ONNX.
    pub(crate) fn operators(self) -> &'static [Operator] {
        monomorphised!(self, |A| A::OPERATORS)
    }

    /// The activation of one value.
    pub(crate) fn function(self) -> fn(f32) -> f32 {
        monomorphised!(self, |A| A::activate)
    }

    /// The gradient at a value, from that behind it and from what is saved of it.
    pub(crate) fn backward_function(self) -> fn(f32, f32) -> f32 {
        monomorphised!(self, |A| A::activate_backward)
    }

    /// The activation of `f` and its slope there.
    #[cfg(test)]
    pub(crate) fn exact(self, f: f64) -> (f64, f64) {
        monomorphised!(self, |A| A::exact(f))
    }
}

/// `then` where `x` is above 0, else `otherwise`.
#[inline(always)]
fn above_zero<S: Simd>(simd: S, x: S::f32s, then: S::f32s, otherwise: S::f32s) -> S::f32s {
    simd.select_f32s(simd.greater_than_f32s(x, simd.splat_f32s(0.0)), then, otherwise)
}

/// `value`, but NaN where `x` is.
#[inline(always)]
fn unless_nan<S: Simd>(simd: S, x: S::f32s, value: S::f32s) -> S::f32s {
    simd.select_f32s(simd.equal_f32s(x, x), value, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activations_are_within_a_few_units_in_the_last_place_and_slopes_within_a_few_of_1() {
        let coarse = (-80_000..80_000).map(|step| step as f32 / 800.0);
        let fine = (-4_000..4_000).map(|step| step as f32 / 1e6);
        let xs: Vec<f32> = coarse.chain(fine).collect();
        let ulp = f64::from(f32::EPSILON);
        for &activation in Activation::ALL {
            let (activate, activate_backward) = (activation.function(), activation.backward_function());
            for &x in &xs {
                let (value, slope) = activation.exact(f64::from(x));
                let h = activate(x);
                // Exponentials below e^-87 are 0.
                let lost = 1.7e-38 * (1.0 + f64::from(x.abs()));
                let error = ((f64::from(h) - value).abs() - lost) / value.abs().max(lost);
                assert!(error <= 6.0 * ulp, "{activation:?} of {x}: {h} is not {value}");
                let found = f64::from(activate_backward(1.0, if activation.saves_input() { x } else { h }));
                assert!((found - slope).abs() <= 6.0 * ulp, "{activation:?} at {x}: slope {found} is not {slope}");
            }
        }
    }

    #[test]
    fn ends_are_right_and_nan_stays() {
        for &activation in Activation::ALL {
            let (activate, activate_backward) = (activation.function(), activation.backward_function());
            assert!(activate(f32::NAN).is_nan(), "{activation:?}");
            assert!(activate_backward(f32::NAN, 1.0).is_nan(), "{activation:?}");
            if activation != Activation::Relu
                && activation != Activation::LeakyRelu
                && activation != Activation::Identity
            {
                assert!(activate_backward(1.0, f32::NAN).is_nan(), "{activation:?}");
            }
            for x in [f32::MAX, 0.0, -0.0, f32::MIN, 200.0, -200.0] {
                let (value, slope) = activation.exact(f64::from(x));
                let h = activate(x);
                assert!(
                    h == value as f32 || (f64::from(h) - value).abs() <= 2e-7 * value.abs(),
                    "{activation:?} of {x}: {h}"
                );
                let found = f64::from(activate_backward(1.0, if activation.saves_input() { x } else { h }));
                assert!((found - slope).abs() <= 1e-7, "{activation:?} at {x}: {found}");
            }
            let bounded = matches!(activation, Activation::Tanh | Activation::Sigmoid);
            assert_eq!(activate(f32::INFINITY), if bounded { 1.0 } else { f32::INFINITY }, "{activation:?}");
        }
    }
}
