//! The range of pixels: 0 to 255 as in files, 0 to 1 as networks take them, or 0 to 16. All are brought to 0 to 255, so that
//! one model takes images from any source.

use std::fmt;

use super::array::{Array, Kind};
use crate::data::Inputs;

/// How far a float may be from a whole number of 255ths, in 255ths: what is lost where it is stored in 16 bits, and in more.
const NEAR: [f32; 2] = [0.07, 0.002];
/// The fewest different shades by which rows that are not said to be images are known as pixels.
const SHADES: usize = 32;
/// The greatest value below which bytes of rows that are no images are counts or such.
const COUNTS: u8 = 32;

/// What values stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Range {
    /// Pixels from 0 to this.
    Pixels(f32),
    /// Pixels from -1 to 1.
    Signed,
    /// Any numbers.
    Numbers,
    /// Whatever they are.
    AsTheyAre,
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(top) => write!(out, "pixels from 0 to {top}"),
            Self::Signed => out.write_str("pixels from -1 to 1"),
            Self::Numbers | Self::AsTheyAre => out.write_str("numbers"),
        }
    }
}

impl Range {
    /// What `inputs` of an array of `elements` stand for; `image` where its shape says that they are images.
    pub(super) fn of(inputs: &Inputs, array: &Precision, image: bool) -> Self {
        match inputs {
            Inputs::U8(bytes) => match (bytes.iter().copied().max().unwrap_or(0), image) {
                (top @ (1 | 15 | 16), true) => Self::Pixels(f32::from(top)),
                (most, true) if most < 15 => Self::Numbers,
                (most, false) if most < COUNTS => Self::Numbers,
                _ => Self::Pixels(255.0),
            },
            Inputs::F32(values) => {
                let (least, most) = values
                    .iter()
                    .fold((f32::INFINITY, 0.0f32), |(least, most), &value| (least.min(value), most.max(value)));
                let whole = || values.iter().all(|value| value.fract() == 0.0);
                match () {
                    () if image && least == -1.0 && most <= 1.0 => Self::Signed,
                    () if least < 0.0 || most == 0.0 => Self::Numbers,
                    () if image && most <= 1.0 => Self::Pixels(1.0),
                    () if !image && most <= 1.0 && are_shades(values, array.near) => Self::Pixels(1.0),
                    () if !image => Self::Numbers,
                    () if (most == 15.0 || most == 16.0) && whole() => Self::Pixels(most),
                    () if most <= 255.0 && most > 200.0 => Self::Pixels(255.0),
                    () if most <= 255.0 && most > 16.0 && whole() => Self::Pixels(255.0),
                    () if array.wide && most > 4095.0 && most <= 65_535.0 => Self::Pixels(65_535.0),
                    () => Self::Numbers,
                }
            }
        }
    }

    /// What `inputs` are, if they cannot stand for this.
    pub(super) fn fault(self, inputs: &Inputs) -> Option<String> {
        let (least, top) = match self {
            Self::Pixels(top) => (0.0, top),
            Self::Signed => (-1.0, 1.0),
            Self::Numbers | Self::AsTheyAre => return None,
        };
        let values = inputs.to_f32();
        let beyond = values.iter().find(|value| !(least..=top).contains(*value));
        let small = || {
            top > 16.0 && values.iter().all(|value| *value <= 1.0) && values.iter().any(|value| value.fract() != 0.0)
        };
        match beyond {
            Some(value) => Some(format!("the value {value}")),
            None => small().then(|| Self::Pixels(1.0).to_string()),
        }
    }

    /// `inputs` from 0 to 255 where they are pixels: bytes where all of them are whole.
    pub(super) fn bring(self, inputs: Inputs, array: &Precision) -> Inputs {
        match (self, inputs) {
            (Self::Numbers, Inputs::U8(bytes)) => Inputs::F32(bytes.into_iter().map(f32::from).collect()),
            (Self::Pixels(255.0), Inputs::U8(bytes)) => Inputs::U8(bytes),
            (Self::Numbers | Self::AsTheyAre, inputs) => inputs,
            (Self::Pixels(_) | Self::Signed, inputs) => {
                let (offset, top) = if let Self::Pixels(top) = self { (0.0, top) } else { (1.0, 2.0) };
                let mut values = inputs.to_f32().into_owned();
                values.iter_mut().for_each(|value| *value = (*value + offset) * (255.0 / top));
                if values.iter().all(|value| (value - value.round()).abs() <= array.near && *value < 255.5) {
                    Inputs::U8(values.into_iter().map(|value| value.round() as u8).collect())
                } else {
                    Inputs::F32(values)
                }
            }
        }
    }

    /// Whether they are pixels.
    pub(super) fn is_pixels(self) -> bool {
        matches!(self, Self::Pixels(_) | Self::Signed)
    }
}

/// What the type of an array says of its numbers.
pub(super) struct Precision {
    near: f32,
    /// Whether they are whole numbers of 16 bits or more.
    wide: bool,
}

impl Precision {
    pub(super) fn of(array: &Array) -> Self {
        let (kind, size) = (array.element.kind, array.element.size);
        let near = NEAR[usize::from(kind != Kind::Float || size > 2)];
        Self { near, wide: matches!(kind, Kind::Signed | Kind::Unsigned) && size > 1 }
    }
}

/// Whether all values are 255ths, and of many shades.
fn are_shades(values: &[f32], near: f32) -> bool {
    let mut met = [false; 256];
    for value in values {
        let shade = value * 255.0;
        if (shade - shade.round()).abs() > near {
            return false;
        }
        met[(shade.round() as usize).min(255)] = true;
    }
    met.iter().filter(|met| **met).count() >= SHADES
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINGLE: Precision = Precision { near: NEAR[1], wide: false };
    const HALF: Precision = Precision { near: NEAR[0], wide: false };

    fn floats(values: impl Iterator<Item = f32>) -> Inputs {
        Inputs::F32(values.collect())
    }

    #[test]
    fn pixels_of_every_range_become_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        let unit = || floats(bytes.iter().map(|&byte| f32::from(byte) / 255.0));
        let half = || floats(bytes.iter().map(|&byte| half::f16::from_f32(f32::from(byte) / 255.0).to_f32()));
        let whole = || floats(bytes.iter().map(|&byte| f32::from(byte)));
        let wide = floats(bytes.iter().map(|&byte| f32::from(byte) * 257.0));
        for (inputs, precision, image, top) in [
            (Inputs::U8(bytes.clone()), SINGLE, true, 255.0),
            (Inputs::U8(bytes.clone()), SINGLE, false, 255.0),
            (unit(), SINGLE, true, 1.0),
            (unit(), SINGLE, false, 1.0),
            (half(), HALF, true, 1.0),
            (half(), HALF, false, 1.0),
            (whole(), SINGLE, true, 255.0),
            (wide, Precision { wide: true, ..SINGLE }, true, 65_535.0),
        ] {
            let range = Range::of(&inputs, &precision, image);
            assert_eq!(range, Range::Pixels(top));
            assert_eq!(range.bring(inputs, &precision), Inputs::U8(bytes.clone()));
        }
        let signed = floats(bytes.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0));
        assert_eq!(Range::of(&signed, &SINGLE, true), Range::Signed);
        assert_eq!(Range::Signed.bring(signed, &SINGLE), Inputs::U8(bytes.clone()));
        let drawn = Inputs::U8(vec![0, 1, 1]);
        assert_eq!(Range::of(&drawn, &SINGLE, true).bring(drawn, &SINGLE), Inputs::U8(vec![0, 255, 255]));
        let shaded = floats([0.0, 0.3, 1.0].into_iter());
        assert_eq!(Range::of(&shaded, &SINGLE, true).bring(shaded, &SINGLE), floats([0.0, 76.5, 255.0].into_iter()));
        let digits = floats([0.0, 8.0, 16.0].into_iter());
        assert_eq!(Range::of(&digits, &SINGLE, true).bring(digits, &SINGLE), floats([0.0, 127.5, 255.0].into_iter()));
    }

    #[test]
    fn numbers_stay_numbers() {
        for (inputs, image) in [
            (floats((0..1000).map(|at| at as f32 / 999.0)), false),
            (floats((0..1000).map(|at| (at % 2) as f32)), false),
            (floats((0..1000).map(|at| at as f32)), false),
            (floats([-1.5, 0.5, 1.0].into_iter()), true),
            (floats([0.0, 3.5, 7.0].into_iter()), true),
            (Inputs::U8(vec![0, 1, 7]), true),
            (Inputs::U8(vec![0, 1, 31]), false),
            (floats([0.0; 4].into_iter()), true),
        ] {
            assert_eq!(Range::of(&inputs, &SINGLE, image), Range::Numbers);
            let values = inputs.to_f32().into_owned();
            assert_eq!(Range::Numbers.bring(inputs, &SINGLE), Inputs::F32(values));
        }
    }
}
