//! The range of pixels: 0 to 255 as in files, 0 to 1 or -1 to 1 as networks take them, 0 to 16 or 0 to 65535. All are brought to
//! 0 to 255, so that one model takes images from any source. The range is decided on all parts of a data set, and kept in the
//! model.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::array::{Array, Kind};
use crate::data::{Inputs, Scaling};

/// How far a float may be from a whole number of 255ths, in 255ths: what is lost where it is stored in 16 bits, and in more.
const NEAR: [f32; 2] = [0.07, 0.002];
/// How far a value may be beyond its range, as a share of it: what arithmetic in float32 may lose.
const BEYOND: f32 = 1e-4;
/// The fewest different shades by which rows that are not said to be images are known as pixels.
const SHADES: usize = 32;
/// The greatest value below which bytes of rows that are no images are counts or such.
const COUNTS: f32 = 32.0;
/// The least brightest pixel by which other numbers than bytes are taken as pixels up to 255.
const BRIGHT: f32 = 128.0;

/// What the values of inputs stand for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// Pixels from 0 to this.
    Pixels(f32),
    /// Pixels from -1 to 1.
    Signed,
    /// Any numbers.
    Numbers,
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pixels(top) => write!(out, "pixels from 0 to {top}"),
            Self::Signed => out.write_str("pixels from -1 to 1"),
            Self::Numbers => out.write_str("numbers"),
        }
    }
}

impl Range {
    /// Bytes as they are in files of images.
    pub(in crate::data) const BYTES: Self = Self::Pixels(255.0);

    /// What values with this `look` stand for; `image` where their shape says that they are images.
    pub(in crate::data) fn of(look: &Look, image: bool) -> Self {
        let Look { bytes, least, most, .. } = *look;
        match () {
            () if bytes && image && [1.0, 15.0, 16.0].contains(&most) => Self::Pixels(most),
            () if bytes && most < if image { 15.0 } else { COUNTS } => Self::Numbers,
            () if bytes => Self::BYTES,
            () if image && (least + 1.0).abs() <= BEYOND && within(most, 1.0) => Self::Signed,
            () if least < 0.0 || most == 0.0 => Self::Numbers,
            () if within(most, 1.0) && (image || look.shades >= SHADES) => Self::Pixels(1.0),
            () if !image => Self::Numbers,
            () if (most == 15.0 || most == 16.0) && look.whole => Self::Pixels(most),
            () if within(most, 255.0) && most >= BRIGHT && (look.whole || (least == 0.0 && most > 200.0)) => {
                Self::BYTES
            }
            () if look.wide && most > 4095.0 && most <= 65_535.0 => Self::Pixels(65_535.0),
            () => Self::Numbers,
        }
    }

    /// What values with this `look` stand for where a model's inputs stood for this: the same, or another range of pixels if
    /// they cannot be of the same one.
    ///
    /// # Errors
    /// The first value, in text, where they can be neither.
    pub(in crate::data) fn of_more(self, look: &Look) -> Result<Self, String> {
        let Look { bytes, least, most, .. } = *look;
        let signed = (-1.0 - BEYOND..0.0).contains(&least) && within(most, 1.0);
        let fits = |top| least >= 0.0 && within(most, top);
        match self {
            Self::Numbers => Ok(Self::Numbers),
            _ if bytes && (self == Self::BYTES || !self.holds(look)) => Ok(Self::BYTES),
            // No image is all brighter than its mean, nor of shades below a 255th.
            Self::Signed if signed => Ok(self),
            Self::Pixels(255.0) | Self::Signed if fits(1.0) => Ok(Self::Pixels(1.0)),
            _ if self.holds(look) => Ok(self),
            _ if signed => Ok(Self::Signed),
            _ if fits(1.0) => Ok(Self::Pixels(1.0)),
            _ if fits(255.0) => Ok(Self::BYTES),
            _ if fits(65_535.0) && look.wide => Ok(Self::Pixels(65_535.0)),
            _ => Err(format!("the value {}", if least < 0.0 { least } else { most })),
        }
    }

    /// What the values of the `first` part stand for, where `all` parts look so: the same as all, or pixels that are darker by far
    /// in other parts, or brighter.
    pub(super) fn of_first(first: &Look, all: &Look, image: bool) -> Self {
        let (own, together) = (Self::of(first, image), Self::of(all, image));
        let near = |top: f32, other: f32| top.max(other) < 2.0 * top.min(other);
        match (own, together) {
            // Few images may lack the brightest shade.
            (Self::Pixels(top), Self::Pixels(other)) if near(top, other) => together,
            _ if own.is_pixels() => own,
            _ => together,
        }
    }

    /// What a part with this `look` stands for where the first one stands for this, and `all` parts look so.
    ///
    /// # Errors
    /// What the part holds, where that is not clear.
    pub(super) fn of_part(self, look: &Look, all: &Look, image: bool) -> Result<Self, String> {
        let (alone, together) = (Self::of(look, image), Self::of(all, image));
        if self == Self::Numbers {
            // Pixels about their mean are below 0 too, in each part.
            let apart = image && all.least < 0.0 && matches!(alone, Self::Pixels(_)) && look.most > 1.0;
            return if apart { Err(alone.to_string()) } else { Ok(self) };
        }
        match self.of_more(look) {
            Ok(more) if more == self && together.is_pixels() => Ok(self),
            Ok(more) if more != self && more == alone => Ok(more),
            _ if self == together || self == alone => Ok(self),
            _ => Err(alone.to_string()),
        }
    }

    /// Whether values with this look are within it.
    fn holds(self, look: &Look) -> bool {
        match self {
            Self::Pixels(top) => look.least >= 0.0 && within(look.most, top),
            Self::Signed => look.least >= -1.0 - BEYOND && within(look.most, 1.0),
            Self::Numbers => true,
        }
    }

    /// `inputs` from 0 to 255 where they are pixels: bytes where all of them are whole.
    pub(in crate::data) fn bring(self, inputs: Inputs, near: f32) -> Inputs {
        let (offset, factor) = match (self, &inputs) {
            (Self::Pixels(255.0), Inputs::U8(_)) | (Self::Numbers, Inputs::F32(_)) => return inputs,
            (Self::Numbers, Inputs::U8(_)) => (0.0, 1.0),
            (Self::Pixels(top), _) => (0.0, 255.0 / top),
            (Self::Signed, _) => (1.0, 127.5),
        };
        let mut values = inputs.to_f32().into_owned();
        values.iter_mut().for_each(|value| *value = (*value + offset) * factor);
        let whole = |value: &f32| (value - value.round()).abs() <= near && (-0.5..255.5).contains(value);
        if self.is_pixels() && values.iter().all(whole) {
            Inputs::U8(values.into_iter().map(|value| value.round() as u8).collect())
        } else {
            Inputs::F32(values)
        }
    }

    /// Whether they are pixels.
    pub(in crate::data) fn is_pixels(self) -> bool {
        self != Self::Numbers
    }

    /// The scaling of `width` features by which pixels that were brought to 0 to 255 are again as they were; none where they
    /// still are.
    pub(in crate::data) fn as_they_were(self, width: usize) -> Option<Scaling> {
        let (offset, divisor) = match self {
            Self::Pixels(255.0) | Self::Numbers => return None,
            Self::Pixels(top) => (0.0, 255.0 / top),
            Self::Signed => (127.5, 127.5),
        };
        Some(Scaling { offset: vec![offset; width], divisor: vec![divisor; width], clip: None })
    }
}

/// Whether `value` is no further than `top`, but for rounding.
fn within(value: f32, top: f32) -> bool {
    value <= top * (1.0 + BEYOND)
}

/// What all values of some inputs look like.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) struct Look {
    /// Whether they are bytes.
    bytes: bool,
    /// Whether they are whole numbers of a type of 16 bits or more.
    wide: bool,
    least: f32,
    most: f32,
    /// Whether all are whole numbers.
    whole: bool,
    /// The number of different shades where all are 255ths, else 0.
    shades: usize,
}

impl Look {
    /// The look of `inputs`, whose precisions are beside them.
    pub(in crate::data) fn of<'a>(inputs: impl Iterator<Item = (&'a Inputs, Precision)> + Clone) -> Self {
        let mut look =
            Self { bytes: true, wide: true, least: f32::INFINITY, most: f32::NEG_INFINITY, whole: true, shades: 0 };
        let (mut met, mut shaded) = ([false; 256], true);
        for (inputs, precision) in inputs {
            look.wide &= precision.wide;
            match inputs {
                Inputs::U8(bytes) => {
                    let range = |(least, most): (u8, u8), byte: &u8| (least.min(*byte), most.max(*byte));
                    let (least, most) = bytes.iter().fold((u8::MAX, 0), range);
                    (look.least, look.most) = (look.least.min(f32::from(least)), look.most.max(f32::from(most)));
                    shaded = false;
                }
                Inputs::F32(values) => {
                    look.bytes = false;
                    for value in values {
                        (look.least, look.most) = (look.least.min(*value), look.most.max(*value));
                        look.whole &= value.fract() == 0.0;
                        let shade = value * 255.0;
                        shaded &= (shade - shade.round()).abs() <= precision.near;
                        met[(shade.round() as usize).min(255)] = true;
                    }
                }
            }
        }
        if shaded {
            look.shades = met.iter().filter(|met| **met).count();
        }
        look
    }
}

/// What the type of an array says of its numbers.
#[derive(Debug, Clone, Copy)]
pub(in crate::data) struct Precision {
    pub(in crate::data) near: f32,
    /// Whether they are whole numbers of 16 bits or more.
    wide: bool,
}

impl Precision {
    /// That of float32.
    pub(in crate::data) const SINGLE: Self = Self { near: NEAR[1], wide: false };

    pub(super) fn of(array: &Array) -> Self {
        let (kind, size) = (array.element.kind, array.element.size);
        let near = NEAR[usize::from(kind != Kind::Float || size > 2)];
        Self { near, wide: matches!(kind, Kind::Signed | Kind::Unsigned) && size > 1 }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const SINGLE: Precision = Precision::SINGLE;
    const HALF: Precision = Precision { near: NEAR[0], wide: false };

    fn floats(values: impl IntoIterator<Item = f32>) -> Inputs {
        Inputs::F32(values.into_iter().collect())
    }

    fn look(inputs: &Inputs, precision: Precision) -> Look {
        Look::of(std::iter::once((inputs, precision)))
    }

    #[test]
    fn pixels_of_every_range_become_the_same_bytes() {
        let bytes: Vec<u8> = (0..=255).collect();
        let unit = || floats(bytes.iter().map(|&byte| f32::from(byte) / 255.0));
        let half = || floats(bytes.iter().map(|&byte| half::f16::from_f32(f32::from(byte) / 255.0).to_f32()));
        let whole = || floats(bytes.iter().map(|&byte| f32::from(byte)));
        let wide = floats(bytes.iter().map(|&byte| f32::from(byte) * 257.0));
        let signed = floats(bytes.iter().map(|&byte| f32::from(byte) / 127.5 - 1.0));
        for (inputs, precision, image, expected) in [
            (Inputs::U8(bytes.clone()), SINGLE, true, Range::BYTES),
            (Inputs::U8(bytes.clone()), SINGLE, false, Range::BYTES),
            (unit(), SINGLE, true, Range::Pixels(1.0)),
            (unit(), SINGLE, false, Range::Pixels(1.0)),
            (half(), HALF, true, Range::Pixels(1.0)),
            (half(), HALF, false, Range::Pixels(1.0)),
            (whole(), SINGLE, true, Range::BYTES),
            (wide, Precision { wide: true, ..SINGLE }, true, Range::Pixels(65_535.0)),
            (signed, SINGLE, true, Range::Signed),
        ] {
            let range = Range::of(&look(&inputs, precision), image);
            assert_eq!(range, expected);
            let before = inputs.to_f32().into_owned();
            let brought = range.bring(inputs, precision.near);
            assert_eq!(brought, Inputs::U8(bytes.clone()));
            // And they can be as they were.
            let mut values = brought.to_f32().into_owned();
            if let Some(scaling) = range.as_they_were(values.len()) {
                scaling.apply(&mut values);
            }
            assert!(values.iter().zip(&before).all(|(a, b)| (a - b).abs() < 1e-3), "{range}");
        }
        for (inputs, range, expected) in [
            (Inputs::U8(vec![0, 1, 1]), Range::Pixels(1.0), Inputs::U8(vec![0, 255, 255])),
            (floats([0.0, 0.3, 1.000_05]), Range::Pixels(1.0), floats([0.0, 76.5, 1.000_05 * 255.0])),
            (floats([0.0, 8.0, 16.0]), Range::Pixels(16.0), floats([0.0, 127.5, 255.0])),
        ] {
            assert_eq!(Range::of(&look(&inputs, SINGLE), true), range);
            assert_eq!(range.bring(inputs, SINGLE.near), expected);
        }
    }

    #[test]
    fn numbers_stay_numbers() {
        for (inputs, image) in [
            (floats((0..1000).map(|at| at as f32 / 999.0)), false),
            (floats((0..1000).map(|at| (at % 2) as f32)), false),
            (floats((0..1000).map(|at| at as f32)), false),
            (floats([-1.5, 0.5, 1.0]), true),
            (floats([0.0, 3.5, 7.0]), true),
            (floats([0.0, 3.0, 39.0]), true),
            (floats([0.3, 60.5, 230.0]), true),
            (Inputs::U8(vec![0, 1, 7]), true),
            (Inputs::U8(vec![0, 1, 31]), false),
            (floats([0.0; 4]), true),
        ] {
            assert_eq!(Range::of(&look(&inputs, SINGLE), image), Range::Numbers, "{inputs:?}");
            let values = inputs.to_f32().into_owned();
            assert_eq!(Range::Numbers.bring(inputs, SINGLE.near), Inputs::F32(values));
        }
    }

    #[test]
    fn more_rows_of_a_model_are_of_its_range_or_of_one_that_they_can_be_of() {
        let (unit, sixteen, signed) = (Range::Pixels(1.0), Range::Pixels(16.0), Range::Signed);
        for (model, inputs, expected) in [
            (sixteen, floats([0.0, 14.0]), Ok(sixteen)),
            (sixteen, Inputs::U8(vec![0, 15]), Ok(sixteen)),
            (sixteen, Inputs::U8(vec![0, 200]), Ok(Range::BYTES)),
            (unit, floats([0.1, 0.7]), Ok(unit)),
            (unit, floats([0.0, 200.0]), Ok(Range::BYTES)),
            (unit, floats([-0.5, 0.7]), Ok(signed)),
            (Range::BYTES, Inputs::U8(vec![0, 1]), Ok(Range::BYTES)),
            (Range::BYTES, floats([0.0, 1.0]), Ok(unit)),
            (Range::BYTES, floats([0.0, 90.0]), Ok(Range::BYTES)),
            (Range::BYTES, floats([-0.99, 1.0]), Ok(signed)),
            (signed, floats([-0.3, 0.2]), Ok(signed)),
            (signed, floats([0.3, 0.2]), Ok(unit)),
            (Range::Numbers, floats([-5.0, 900.0]), Ok(Range::Numbers)),
            (Range::BYTES, floats([-2.5, 1.0]), Err("the value -2.5".to_owned())),
            (unit, floats([0.0, 256.0]), Err("the value 256".to_owned())),
        ] {
            assert_eq!(model.of_more(&look(&inputs, SINGLE)), expected, "{model} {inputs:?}");
        }
    }
}
