//! The activations as plain functions of one value, a file each: the twins of `shaders/link/activation/`.

use crate::model::Activation;

pub mod exponential;
pub mod gelu;
pub mod identity;
pub mod leaky_relu;
pub mod mish;
pub mod relu;
pub mod selu;
pub mod sigmoid;
pub mod silu;
pub mod tanh;

/// An activation of one value, and how gradients pass it.
#[derive(Clone, Copy)]
pub struct Functions {
    /// `h` from `f`.
    pub activate: fn(f32) -> f32,
    /// The gradient at `f`, from that at `h` and from what is saved: `f` where [`Activation::saves_input`], else `h`.
    pub activate_backward: fn(f32, f32) -> f32,
}

/// The functions of `activation`.
pub fn functions(activation: Activation) -> Functions {
    macro_rules! functions {
        ($name:ident) => {
            Functions { activate: $name::activate, activate_backward: $name::activate_backward }
        };
    }
    match activation {
        Activation::Relu => functions!(relu),
        Activation::LeakyRelu => functions!(leaky_relu),
        Activation::Tanh => functions!(tanh),
        Activation::Sigmoid => functions!(sigmoid),
        Activation::Gelu => functions!(gelu),
        Activation::Silu => functions!(silu),
        Activation::Selu => functions!(selu),
        Activation::Mish => functions!(mish),
        Activation::Identity => functions!(identity),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The activation of `x` and its slope there, from textbook formulas in f64.
    fn exact(activation: Activation, x: f64) -> (f64, f64) {
        let sigmoid = |x: f64| if x > 0.0 { 1.0 / (1.0 + (-x).exp()) } else { x.exp() / (1.0 + x.exp()) };
        let (scale, alpha) = (1.050_700_987_355_480_5, 1.673_263_242_354_377_2);
        match activation {
            Activation::Relu => (x.max(0.0), f64::from(x > 0.0)),
            Activation::LeakyRelu if x > 0.0 => (x, 1.0),
            Activation::LeakyRelu => (0.01 * x, 0.01),
            Activation::Tanh => (x.tanh(), x.cosh().powi(-2)),
            Activation::Sigmoid => (sigmoid(x), sigmoid(x) * sigmoid(-x)),
            Activation::Gelu => {
                let density = (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
                (x * cumulative(x), cumulative(x) + x * density)
            }
            Activation::Silu => (x * sigmoid(x), sigmoid(x) + x * sigmoid(x) * sigmoid(-x)),
            Activation::Selu if x > 0.0 => (scale * x, scale),
            Activation::Selu => (scale * alpha * x.exp_m1(), scale * alpha * x.exp()),
            Activation::Mish => {
                let softplus = if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() };
                let t = softplus.tanh();
                (x * t, t + x * sigmoid(x) * (1.0 - t * t))
            }
            Activation::Identity => (x, 1.0),
        }
    }

    /// The normal distribution function: its series near 0, its continued fraction (Abramowitz and Stegun 26.2.14) beyond.
    fn cumulative(x: f64) -> f64 {
        let a = x.abs();
        let density = (-0.5 * a * a).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let tail = if a < 3.0 {
            let (mut term, mut sum) = (a, a);
            for n in 1..200 {
                term *= a * a / f64::from(2 * n + 1);
                sum += term;
            }
            0.5 - density * sum
        } else {
            density / (1..200).rev().fold(a, |fraction, n| a + f64::from(n) / fraction)
        };
        if x < 0.0 { tail } else { 1.0 - tail }
    }

    #[test]
    fn activations_are_within_a_few_units_in_the_last_place_and_slopes_within_a_few_of_1() {
        let coarse = (-80_000..80_000).map(|step| step as f32 / 800.0);
        let fine = (-4_000..4_000).map(|step| step as f32 / 1e6);
        let xs: Vec<f32> = coarse.chain(fine).collect();
        let ulp = f64::from(f32::EPSILON);
        for activation in Activation::ALL {
            let Functions { activate, activate_backward } = functions(activation);
            for &x in &xs {
                let (value, slope) = exact(activation, f64::from(x));
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
        for activation in Activation::ALL {
            let Functions { activate, activate_backward } = functions(activation);
            assert!(activate(f32::NAN).is_nan(), "{activation:?}");
            assert!(activate_backward(f32::NAN, 1.0).is_nan(), "{activation:?}");
            if activation != Activation::Relu
                && activation != Activation::LeakyRelu
                && activation != Activation::Identity
            {
                assert!(activate_backward(1.0, f32::NAN).is_nan(), "{activation:?}");
            }
            for x in [f32::MAX, 0.0, -0.0, f32::MIN, 200.0, -200.0] {
                let (value, slope) = exact(activation, f64::from(x));
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
